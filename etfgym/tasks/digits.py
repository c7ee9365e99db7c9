"""Digits: 8 x 8 pixels to one of ten digits, by an MLP of (30, 30, 30) beside scikit-learn's models."""

from __future__ import annotations

from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from torch.nn import functional

from etfgym.tasks import tabular
from etfgym.tasks.fit import Fitting, draw_curve
from etfgym.tasks.outcome import Outcome, Setup
from etfgym.tasks.tabular import Search

TORSO = {"hidden": [30, 30], "features": 30}
"""With the head it is 64-30-30-30-10."""
TARGET = 0.86


def run(setup: Setup) -> list[Outcome]:
    """See `etfgym.tasks`; the data comes with scikit-learn."""
    pixels, digits = load_digits(return_X_y=True)
    parts = tabular.split(digits, setup.seed)
    model, history = tabular.fit_dense(
        TORSO,
        pixels,
        torch.from_numpy(digits),
        parts,
        functional.cross_entropy,
        Fitting(
            epochs=2 if setup.quick else 100,
            batch_size=32,
            optimizer="sgd",
            learning_rate=0.01,
            momentum=0.9,
            l2=0.01,
        ),
        outputs=10,
        seed=setup.seed,
        label="digits",
    )
    tabular.save(setup.folder, model, {})
    draw_curve([("MLP", history)], setup.folder / "curve.png", f"{len(parts.train):,} digits of 8 x 8")

    by_sgd = MLPClassifier(
        (30, 30, 30),
        solver="sgd",
        batch_size=32,
        learning_rate_init=0.01,
        max_iter=1000,
        tol=1e-2 if setup.quick else 1e-4,
        random_state=setup.seed,
    )
    found = tabular.search(
        {"scikit-learn's MLP": Search(tabular.standardised(by_sgd), {}), **tabular.usual(setup.seed)},
        pixels[parts.known],
        digits[parts.known],
        scoring="accuracy",
        seed=setup.seed,
        quick=setup.quick,
    )
    test = pixels[parts.test]
    told = {"MLP": tabular.outputs(model, test).argmax(1)}
    told |= {name: each.model.predict(test) for name, each in found.items()}
    return tabular.accuracies(told, digits, parts, found, what="digits", seconds=history.seconds, target=TARGET)


def predict(folder: Path, given: str) -> str:
    """See `etfgym.tasks`; `given` is 64 numbers from 0 (white) to 16 (black), row by row."""
    model, _ = tabular.load(folder, "digits")
    logits = tabular.outputs(model, tabular.numbers(given, 64, "numbers from 0 to 16"))[0]
    return tabular.most_likely(logits, [str(digit) for digit in range(10)])
