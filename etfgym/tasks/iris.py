"""Iris: four lengths of a flower to its species, by a network of 4-5-3 in NumPy beside scikit-learn's models."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from tqdm import tqdm

from etfgym.nets import files
from etfgym.nets.by_hand import Affine, Network, Tanh, dense_network
from etfgym.nets.by_hand_optimizers import Momentum
from etfgym.tasks import tabular
from etfgym.tasks.entropy import information_gain
from etfgym.tasks.fit import History, draw_curve
from etfgym.tasks.outcome import Outcome, Setup
from etfgym.tasks.tabular import Floats, Parts, Rows

WIDTHS = (4, 5, 3)
EPOCHS, BATCH = 200, 16
SPECIES = ("setosa", "versicolor", "virginica")
LENGTHS = ("sepal length", "sepal width", "petal length", "petal width")


class Model(NamedTuple):
    """The network, and the scale of what it takes."""

    network: Network
    mean: Floats
    """Of each length, shape (4,), in cm."""
    std: Floats
    """Likewise."""

    def logits(self, lengths: Floats) -> Floats:
        """Return a number for each species (N, 3) of lengths (N, 4) in cm."""
        return self.network.forward((lengths - self.mean) / self.std)


def run(setup: Setup) -> list[Outcome]:
    """See `etfgym.tasks`; the data comes with scikit-learn."""
    lengths, species = load_iris(return_X_y=True)
    parts = tabular.split(species, setup.seed)
    model, history = fit(lengths, species, parts, epochs=2 if setup.quick else EPOCHS, seed=setup.seed)
    save(setup.folder, model)
    draw_curve([("4-5-3", history)], setup.folder / "curve.png", f"species of {len(parts.train)} irises")

    known = lengths[parts.known]
    found = tabular.search(
        tabular.usual(setup.seed),
        known,
        species[parts.known],
        scoring="accuracy",
        seed=setup.seed,
        quick=setup.quick,
    )
    told = {"4-5-3 in NumPy": model.logits(lengths[parts.test]).argmax(1)}
    told |= {name: each.model.predict(lengths[parts.test]) for name, each in found.items()}
    tree = found["tree"]
    question = first_question(tree.model, known, species[parts.known])
    found["tree"] = tree._replace(chosen=f"{tree.chosen}; {question}")
    return tabular.accuracies(told, species, parts, found, what="irises", seconds=history.seconds)


def predict(folder: Path, given: str) -> str:
    """See `etfgym.tasks`; `given` is the four lengths in cm: sepal length and width, petal length and width."""
    model = load(folder)
    lengths = tabular.numbers(given, 4, f"lengths in cm ({', '.join(LENGTHS)})")
    return tabular.most_likely(model.logits(lengths)[0], SPECIES)


def fit(lengths: Floats, species: Rows, parts: Parts, *, epochs: int, seed: int) -> tuple[Model, History]:
    """Return a network fitted to the training rows, with the weights of the epoch of least loss in validation.

    Args:
        lengths: Shape (N, 4), in cm.
        species: 0, 1 or 2, shape (N,).
        parts: Of `tabular.split`.
        epochs: Passes over the training rows.
        seed: Of weights and batches.
    """
    rng, history, start = np.random.default_rng(seed), History(), time.perf_counter()
    scaler = StandardScaler().fit(lengths[parts.train])
    inputs, targets = scaler.transform(lengths), np.eye(3)[species]  # (N, 4), (N, 3)
    network = dense_network(WIDTHS, rng, activation=Tanh)
    optimizer = Momentum(network.parameters, learning_rate=0.05)
    kept: list[Floats] = []
    for epoch in tqdm(range(epochs), desc="iris", unit="epoch", leave=False, disable=None):
        for rows in np.split(rng.permutation(parts.train), range(BATCH, len(parts.train), BATCH)):
            optimizer.step(network.gradient(inputs[rows], targets[rows]))
        history.train_losses.append(network.loss(inputs[parts.train], targets[parts.train]))
        history.valid_losses.append(network.loss(inputs[parts.valid], targets[parts.valid]))
        if history.valid_losses[-1] <= history.valid_losses[history.best]:
            history.best, kept = epoch, [each.copy() for each in network.parameters]
    for parameter, best in zip(network.parameters, kept, strict=True):
        parameter[...] = best
    history.seconds = time.perf_counter() - start
    return Model(network, scaler.mean_, scaler.scale_), history


def save(folder: Path, model: Model) -> None:
    """Write the model into a folder."""
    names = ("hidden.weight", "hidden.bias", "out.weight", "out.bias", "mean", "std")
    arrays = (*model.network.parameters, model.mean, model.std)
    weights = {name: torch.from_numpy(array) for name, array in zip(names, arrays, strict=True)}
    files.save(folder, "model", weights, {"net": "by_hand", "widths": WIDTHS, "species": SPECIES})


def load(folder: Path) -> Model:
    """Return the model that `save` wrote.

    Raises:
        ValueError: If there is none.
    """
    with files.refusing(folder, "model of iris"):
        part = {name: weight.numpy() for name, weight in files.load(folder, "model")[0].items()}
        hidden, out = (Affine(part[f"{layer}.weight"], part[f"{layer}.bias"]) for layer in ("hidden", "out"))
        model = Model(Network([hidden, Tanh(), out]), part["mean"], part["std"])
        model.logits(np.zeros((1, 4)))  # the shapes go together
    return model


def first_question(tree: DecisionTreeClassifier, lengths: Floats, species: Rows) -> str:
    """Return the question at a tree's root, and by how many bits its answer lowers the entropy of the species.

    Args:
        tree: Fitted.
        lengths: What it was fitted to, shape (n, 4), in cm.
        species: Shape (n,).
    """
    column, threshold = int(tree.tree_.feature[0]), float(tree.tree_.threshold[0])
    gain = information_gain(lengths[:, column] <= threshold, species)
    return f"it first asks whether {LENGTHS[column]} <= {threshold:.2f} cm, which gains {gain:.4f} bits"
