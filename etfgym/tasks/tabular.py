"""What tasks on the rows of a table have in common: their parts, a dense network, scikit-learn's models beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from torch import Tensor
from tqdm import tqdm

from etfgym.nets import files
from etfgym.nets.headed import Headed
from etfgym.tasks.fit import Examples, Fitting, History, fit
from etfgym.tasks.outcome import Outcome

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

FOLDS = 5


class Parts(NamedTuple):
    """The rows of each part, shape (n,) each; no row is in two."""

    train: Rows
    valid: Rows
    test: Rows

    @property
    def known(self) -> Rows:
        """All but the test's: what a search with its own folds may look at."""
        return np.concatenate([self.train, self.valid])


def split(labels: npt.NDArray[Any], seed: int) -> Parts:
    """Return 64, 16 and 20 % of the rows, drawn at random, each with the same share of every label.

    Args:
        labels: Shape (N,).
        seed: Of the drawing.

    Raises:
        ValueError: If a label has too few rows.

    Example:
        >>> [len(part) for part in split(np.array([0, 1] * 50), seed=0)]
        [64, 16, 20]
    """
    rows = np.arange(len(labels))
    counts = dict(zip(*np.unique(labels, return_counts=True), strict=True))
    if min(counts.values()) < 2 * FOLDS:
        scarce = min(counts, key=lambda label: counts[label])
        msg = f"every label needs at least {2 * FOLDS} rows, {scarce} has {counts[scarce]}; leave it out"
        raise ValueError(msg)
    known, test = train_test_split(rows, test_size=0.2, stratify=labels, random_state=seed)
    train, valid = train_test_split(known, test_size=0.2, stratify=labels[known], random_state=seed)
    return Parts(train, valid, test)


def as_windows(inputs: Floats) -> Tensor:
    """Return rows (N, F) as the windows (N, 1, F) that a torso takes."""
    return torch.from_numpy(inputs.astype(np.float32))[:, None]


def fit_dense(
    torso: Mapping[str, Any],
    inputs: Floats,
    targets: Tensor,
    parts: Parts,
    loss: Callable[[Tensor, Tensor], Tensor],
    how: Fitting,
    *,
    outputs: int,
    seed: int,
    label: str,
) -> tuple[Headed, History]:
    """Return a DNN fitted to the training rows, with the weights of the epoch of least loss in validation.

    Args:
        torso: What of a DNN's spec is not its default; the inputs' shape is added.
        inputs: Shape (N, F); standardised by mean and deviation of the training rows, inside the model.
        targets: Shape (N, ...).
        parts: Of `split`.
        loss: See `fit`, like `how` and `label`.
        how: See there.
        outputs: K, numbers that the model gives a row.
        seed: Of weights, batches and dropout.
        label: See there.
    """
    windows = as_windows(inputs)
    train, valid = (
        Examples((windows[rows],), targets[rows]) for rows in map(torch.from_numpy, (parts.train, parts.valid))
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Headed({"net": "dnn", "window": 1, "columns": inputs.shape[1], **torso}, outputs)
    model.torso.fit_scaler(train.inputs[0])
    return model, fit(model, train, valid, loss, how, seed=seed, label=label)


@torch.no_grad()
def outputs(model: Headed, inputs: Floats) -> Floats:
    """Return the model's outputs of rows (N, F), shape (N, K)."""
    told: Tensor = model.eval()(as_windows(inputs))
    return told.numpy().astype(np.float64)


def save(folder: Path, model: Headed, settings: Mapping[str, Any]) -> None:
    """Write the model into a folder, with what else `predict` has to know."""
    files.save(folder, "model", model.state_dict(), {"model": model.spec, **settings})


def load(folder: Path, task: str) -> tuple[Headed, dict[str, Any]]:
    """Return the model and the settings that `save` wrote.

    Raises:
        ValueError: If there are none, or they don't go together.
    """
    with files.refusing(folder, f"model of {task}"):
        weights, settings = files.load(folder, "model")
        model = Headed(**settings["model"])
        model.load_state_dict(weights)
    return model.eval(), settings


# ------------------------------------------------------------------------------------------------ scikit-learn


class Search(NamedTuple):
    """One of scikit-learn's models, and the settings it is tried with."""

    model: Any
    grid: Mapping[str, Sequence[Any]]


def standardised(model: Any) -> Pipeline:
    """Return `model` after a scaler that is fitted with it, so that a fold's scale is that of its training rows."""
    return make_pipeline(StandardScaler(), model)


def usual(seed: int) -> dict[str, Search]:
    """Return logistic regression, a tree that asks for the most information, and an SVM, each with its grid."""
    tree = DecisionTreeClassifier(criterion="entropy", random_state=seed)
    return {
        "logistic regression": Search(
            standardised(LogisticRegression(max_iter=1000)), {"logisticregression__C": (0.01, 0.1, 1.0, 10.0)}
        ),
        "tree": Search(tree, {"max_depth": (3, 5, 8), "min_samples_leaf": (1, 5, 20)}),
        "SVM": Search(standardised(SVC()), {"svc__C": (0.3, 1.0, 3.0), "svc__gamma": ("scale", 0.01)}),
    }


class Searched(NamedTuple):
    """What a grid search found."""

    model: Any
    """With the best settings, fitted to all rows that the search was given."""
    chosen: str
    """Those settings in words."""
    cross_validated: float
    """Their mean score over the folds."""
    seconds: float

    def note(self, metric: str) -> str:
        """Return what a reader has to know of the search."""
        return f"{self.chosen + '; ' if self.chosen else ''}{metric} in cross-validation {self.cross_validated:.4f}."


def search(
    searches: Mapping[str, Search], inputs: Floats, labels: Rows, *, scoring: str, seed: int, quick: bool
) -> dict[str, Searched]:
    """Return each model with the settings of its grid that do best in cross-validation.

    Args:
        searches: By the models' names.
        inputs: Shape (n, F), without the test's rows.
        labels: Shape (n,).
        scoring: One of scikit-learn's scores, such as "roc_auc" or "accuracy".
        seed: Of the folds.
        quick: Two folds and one setting a model.
    """
    folds = StratifiedKFold(2 if quick else FOLDS, shuffle=True, random_state=seed)
    found = {}
    for name, (model, grid) in (
        bar := tqdm(searches.items(), desc="grid search", unit="model", leave=False, disable=None)
    ):
        bar.set_postfix_str(name)
        start = time.perf_counter()
        tried = {setting: values[:1] for setting, values in grid.items()} if quick else grid
        best = GridSearchCV(model, tried, scoring=scoring, cv=folds).fit(inputs, labels)
        words = ", ".join(f"{key.rpartition('__')[2]} {value}" for key, value in best.best_params_.items())
        found[name] = Searched(best.best_estimator_, words, float(best.best_score_), time.perf_counter() - start)
    return found


def accuracies(
    told: Mapping[str, Rows],
    labels: Rows,
    parts: Parts,
    found: Mapping[str, Searched],
    *,
    what: str,
    seconds: float,
    target: float | None = None,
) -> list[Outcome]:
    """Return how often each model tells the class, beside telling the most frequent one of the other rows.

    Args:
        told: By the models' names, the class of each row of the test set, shape (n,).
        labels: Of all rows, shape (N,).
        parts: Of `split`.
        found: Which of the models a search found; the others are our network.
        what: What the rows are, such as "digits".
        seconds: Of the network's training.
        target: What is wanted of the network.
    """
    truth = labels[parts.test]
    return [
        Outcome(
            model=name,
            metric="accuracy",
            value=float(np.mean(classes == truth)),
            baselines={"most frequent": float(np.mean(truth == np.bincount(labels[parts.known]).argmax()))},
            tested_on=f"{len(truth)} {what} that no model was fitted to",
            seconds=found[name].seconds if name in found else seconds,
            target=None if name in found else target,
            note=f"{name}: {found[name].note('accuracy')}" if name in found else "",
            figures={"accuracy in cross-validation": found[name].cross_validated} if name in found else {},
        )
        for name, classes in told.items()
    ]


def numbers(given: str, count: int, what: str) -> Floats:
    """Return numbers that a user wrote with commas, shape (1, count).

    Raises:
        ValueError: If they are not so many finite numbers.

    Example:
        >>> numbers("5.1, 3.5,1.4,0.2", 4, "lengths in cm").tolist()
        [[5.1, 3.5, 1.4, 0.2]]
    """
    try:
        values = np.array([float(word) for word in given.split(",")])
    except ValueError:
        values = np.array([np.nan])
    if len(values) != count or not np.isfinite(values).all():
        msg = f"wanted are {count} {what} with commas between, got {given!r}"
        raise ValueError(msg)
    return values[None]


def most_likely(logits: Floats, names: Sequence[str]) -> str:
    """Return the three likeliest classes, one a line, each with its probability.

    Args:
        logits: Shape (K,).
        names: Of the K classes.

    Example:
        >>> print(most_likely(np.log([0.25, 0.75]), ["no", "yes"]))
        yes  0.7500
        no   0.2500
    """
    odds = np.exp(logits - logits.max())
    width = max(map(len, names))
    best = np.argsort(-odds)[:3]
    return "\n".join(f"{names[number].ljust(width)}  {odds[number] / odds.sum():.4f}" for number in best)
