"""Entropy of labels, and how much of it a question answers: what a decision tree chooses its questions by."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[Any]


def entropy(weights: npt.ArrayLike) -> float:
    """Return -sum(p log2 p) in bits (Shannon 1948, sec. 6), where 0 log 0 = 0.

    Args:
        weights: Of each category, shape (K,): counts, or probabilities; they are divided by their sum.

    Raises:
        ValueError: If one is negative or not finite, or all are 0.

    Example:
        >>> entropy([1, 1]), entropy([7, 0]), round(entropy([9, 5]), 4)
        (1.0, 0.0, 0.9403)
    """
    given = np.asarray(weights, dtype=np.float64)
    if given.ndim != 1 or not bool(np.all((given >= 0) & np.isfinite(given)) and np.any(given > 0)):
        msg = f"weights must be a list of finite numbers, none negative, one above 0; got {given.tolist()!s:.60}"
        raise ValueError(msg)
    p = given[given > 0] / given.sum()
    return max(0.0, -float(np.sum(p * np.log2(p))))  # not -0.0


def split_entropy(values: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Return the entropy of the labels among rows of equal value, its mean over the rows, in bits.

    Quinlan (1986), "Induction of Decision Trees", Machine Learning 1, sec. 4: E(A).

    Args:
        values: The category of each row, shape (N,), numbers or words.
        labels: What is to be told, shape (N,).

    Raises:
        ValueError: If they are not as many, or none.

    Example:
        >>> split_entropy(["sun", "sun", "rain", "rain"], [1, 1, 0, 1])
        0.5
    """
    rows, classes = _columns(values, labels)
    kinds, kind_of_row, counts = np.unique(rows, return_inverse=True, return_counts=True)
    entropies = [_of_labels(classes[kind_of_row == kind]) for kind in range(len(kinds))]
    return float(np.average(entropies, weights=counts))


def information_gain(values: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Return by how many bits knowing the value lowers the entropy of the labels.

    Quinlan (1986), sec. 4: gain(A) = I(p, n) - E(A). Arguments and errors as `split_entropy`.

    Example:
        >>> round(information_gain(["sun", "sun", "rain", "rain"], [1, 1, 0, 1]), 4)
        0.3113
    """
    _, classes = _columns(values, labels)
    return _of_labels(classes) - split_entropy(values, labels)


def _of_labels(labels: Labels) -> float:
    return entropy(np.unique(labels, return_counts=True)[1])


def _columns(values: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Labels, Labels]:
    rows, classes = np.asarray(values), np.asarray(labels)
    if rows.ndim != 1 or rows.shape != classes.shape or not rows.size:
        msg = f"values and labels must be as many, one or more, got shapes {rows.shape} and {classes.shape}"
        raise ValueError(msg)
    return rows, classes
