"""What one seed would have claimed, what the best of several would, and how the doubt shrinks with their number."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
import numpy.typing as npt
import pandas as pd

from etfgym.report.results import Results
from etfgym.report.scores import agent_scores, new_rng, shared_luck
from etfgym.stats import mean_interval

Floats = npt.NDArray[np.float64]

SUBSETS = 10
"""Choices of seeds over which the width of an interval is averaged."""


def claims(results: Results, agent: str, *, year: int | None = None) -> pd.DataFrame:
    """Return what each seed alone would have reported, of one test year or of all (None): a row a seed.

    Columns: `own` and `hold`, mean returns over the cells; `difference`, of the two; `won`, the share of cells in which
    the seed ended above buy-and-hold. All are fractions.

    Args:
        results: Of `load_results`.
        agent: A learner, or another agent in which chance plays a part.
        year: A test year.
    """
    scores, hold, _ = agent_scores(results, agent, year=year)
    cells = scores.dropna(axis=1)  # a seed that lacks a cell is not comparable
    gaps = cells.sub(hold, axis=0)
    return pd.DataFrame(
        {"own": cells.mean(), "hold": float(hold.mean()), "difference": gaps.mean(), "won": (gaps > 0).mean()}
    )


def best_of(values: Floats, number: int) -> float:
    """Return the mean of the highest of `number` values, over all choices of so many among them.

    Args:
        values: Shape (n,).
        number: From 1 to n.

    Raises:
        ValueError: If it is not.

    Example:
        >>> best_of(np.array([1.0, 2.0, 3.0]), 2)  # of (1, 2), (1, 3) and (2, 3)
        2.6666666666666665
    """
    count = len(values)
    if not 1 <= number <= count:
        msg = f"number must be from 1 to the {count} values, got {number}"
        raise ValueError(msg)
    weights = [comb(place, number - 1) / comb(count, number) for place in range(count)]  # it is the highest chosen
    return float(np.sort(values) @ weights)


def widths(results: Results, agent: str, numbers: Sequence[int]) -> Floats:
    """Return how wide the 95 % interval of the mean return is with so many seeds, a mean over choices of them.

    Args:
        results: Of `load_results`.
        agent: A learner.
        numbers: Of seeds, each at least 2 and at most those that there are; shape (n,).

    Returns:
        Fractions, shape (n,).
    """
    scores = agent_scores(results, agent)[0].dropna(axis=1)
    groups, matrix, rng = shared_luck(results, agent, scores.index), scores.to_numpy(np.float64), new_rng()
    found = []
    for number in numbers:
        drawn = [rng.choice(matrix.shape[1], number, replace=False) for _ in range(SUBSETS)]
        intervals = [mean_interval(matrix[:, seeds], new_rng(), groups) for seeds in drawn]
        found.append(np.mean([high - low for low, high in intervals]))
    return np.array(found)
