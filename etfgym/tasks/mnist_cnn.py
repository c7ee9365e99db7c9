"""MNIST by convolutions: (conv 3x3, ReLU, max-pool 2x2) x 3 and a dense layer, after 3 epochs and after 12."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional

from etfgym.nets import files
from etfgym.nets.images import ImageClassifier
from etfgym.tasks import idx, images, tabular
from etfgym.tasks.fit import Examples, Fitting, History, accuracy, draw_curve, fit, outputs_of
from etfgym.tasks.outcome import Outcome, Setup

STAGES = ((3, 1e-3, 0.98), (9, 3e-4, 0.99))
"""Epochs, Adam's learning rate in them, and the accuracy that is wanted after."""
DROPOUT = 0.25


def run(setup: Setup) -> list[Outcome]:
    """See `etfgym.tasks`; `data` is that of `etfgym.tasks.idx.load`."""
    pictures = idx.load(setup.data, quick=setup.quick)
    train, valid, test = map(_as_planes, (pictures.train, pictures.valid, pictures.test))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(setup.seed)
        model = ImageClassifier({"filters": [16, 32, 64], "features": 128}, idx.KINDS, DROPOUT)

    baselines = images.baselines(train, test)
    outcomes, history = [], History()
    for epochs, rate, target in STAGES:
        how = Fitting(epochs=1 if setup.quick else epochs, batch_size=64, learning_rate=rate)
        stage = fit(
            model, train, valid, functional.cross_entropy, how, seed=setup.seed, score=accuracy, label="mnist-cnn"
        )
        history = _joined(history, stage)
        outcomes.append(
            Outcome(
                model=f"CNN, {len(history.scores)} epochs",
                metric="accuracy",
                value=accuracy(outputs_of(model, test), test.targets),
                baselines=baselines,
                tested_on=pictures.tested_on,
                seconds=history.seconds,
                target=pictures.wanted(target),
            )
        )
    files.save(setup.folder, "model", model.state_dict(), {"model": model.spec, **pictures.settings})
    draw_curve([("CNN", history)], setup.folder / "curve.png", f"{len(train):,} pictures of {pictures.set_name}")
    return outcomes


def _as_planes(pictures: Examples) -> Examples:
    """Return pictures (N, 28, 28) as (N, 1, 28, 28)."""
    return Examples((pictures.inputs[0][:, None],), pictures.targets)


def _joined(first: History, second: History) -> History:
    """Return what happened in two stages; the second's best epoch is the one that was kept."""
    return History(
        train_losses=first.train_losses + second.train_losses,
        valid_losses=first.valid_losses + second.valid_losses,
        scores=first.scores + second.scores,
        best=len(first.scores) + second.best,
        seconds=first.seconds + second.seconds,
    )


def predict(folder: Path, given: str) -> str:
    """See `etfgym.tasks`; `given` is the file of a picture."""
    model, settings = images.load(folder, "mnist-cnn")
    picture = torch.from_numpy(images.drawn(images.open_picture(Path(given)), settings["side"]))
    return tabular.most_likely(model(picture[None, None]).detach().double().numpy()[0], settings["names"])
