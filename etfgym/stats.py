"""What can be believed about many results: bootstrap intervals over seeds and over what was traded.

Scores come as a matrix, shape (tasks, runs): a task is one ETF in one test year, a run is one seed. Tasks may differ
in their number of runs; NaN stands where there is none. Every task weighs the same in a mean.

Agarwal et al. (2021), "Deep Reinforcement Learning at the Edge of the Statistical Precipice", resample runs with
replacement within each task (a stratified bootstrap) and take percentiles. A plain bootstrap of n runs shows only
(n - 1) / n of their variance, which many tasks do not average away: with three runs the interval would be a fifth too
narrow. So deviations are stretched by sqrt(n / (n - 1)), after Rao and Wu (1988), "Resampling Inference with Complex
Survey Data", JASA 83, 231-241. Percentiles of very few values still promise too much: three runs of a single task give
an interval that holds the truth less often than nineteen times in twenty.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 5000


class Interval(NamedTuple):
    """The ends of a 95 % interval; both are NaN where the results can't give one."""

    low: float
    high: float

    @property
    def available(self) -> bool:
        """Whether there is an interval."""
        return not np.isnan(self.low)


NO_INTERVAL = Interval(float("nan"), float("nan"))


def mean_interval(scores: Floats, rng: np.random.Generator, groups: npt.ArrayLike | None = None) -> Interval:
    """Return the interval of the mean over tasks and runs, for these very tasks: only their runs are resampled.

    Args:
        scores: Shape (tasks, runs), any unit; NaN where a task lacks a run.
        rng: Draws the resamples.
        groups: A label for each task, shape (tasks,). Column by column, tasks of one label come from the same run,
            such as one network that traded them all: their luck is shared, so they are drawn together. None: none do.

    Returns:
        `NO_INTERVAL` if any task has a single run: one run says nothing of its own chance.

    Raises:
        ValueError: If there is no task, or one without a run, or if tasks of a group lack different runs.

    Example:
        >>> interval = mean_interval(np.array([[0.0, 0.1, 0.2], [0.3, 0.4, 0.5]]), np.random.default_rng(0))
        >>> round(interval.low, 2), round(interval.high, 2)
        (0.17, 0.33)
        >>> mean_interval(np.array([[0.1], [0.2]]), np.random.default_rng(0))
        Interval(low=nan, high=nan)
    """
    runs, counts = _packed(scores)
    if counts.min() < 2:
        return NO_INTERVAL
    labels = _labels(scores, groups)
    totals = np.zeros(RESAMPLES)
    for label in range(labels.max() + 1):
        together = runs[labels == label].sum(axis=0)  # (runs,)
        together = together[~np.isnan(together)]
        drawn = rng.integers(together.size, size=(RESAMPLES, together.size))
        totals += _stretched(together)[drawn].mean(axis=1)
    return _percentiles(totals / counts.size)


def paired_difference_interval(
    scores: Floats,
    baseline: Floats,
    rng: np.random.Generator,
    groups: npt.ArrayLike | None = None,
    *,
    deterministic: bool = False,
) -> Interval:
    """Return the interval of the mean of score minus baseline, for other tasks of the kind and other runs.

    Tasks are drawn with replacement, then runs within each task drawn (Davison and Hinkley, 1997). As the means of
    tasks already vary by chance of their runs, this counts that part twice and errs to the wide side.
    Tasks count as independent; where they move together, as ETFs of one year do, the interval is too narrow.

    Args:
        scores: Shape (tasks, runs); NaN where a task lacks a run.
        baseline: The score to beat in each task, shape (tasks,), without chance.
        rng: Draws the resamples.
        groups: See `mean_interval`.
        deterministic: Whether the scores have no chance in them, so that a single run is all there is to know.

    Returns:
        `NO_INTERVAL` if there is a single task, or if any task has a single run unless `deterministic`.

    Raises:
        ValueError: As `mean_interval`, or if a task has no baseline.

    Example:
        >>> scores, baseline = np.array([[0.1], [0.2], [0.0]]), np.array([0.0, 0.0, 0.0])
        >>> interval = paired_difference_interval(scores, baseline, np.random.default_rng(0), deterministic=True)
        >>> round(interval.low, 2), round(interval.high, 2)
        (-0.02, 0.22)
    """
    if baseline.shape != scores.shape[:1] or not bool(np.isfinite(baseline).all()):
        msg = f"baseline must be one finite number for each of {scores.shape[0]} tasks, got shape {baseline.shape}"
        raise ValueError(msg)
    runs, counts = _packed(scores - baseline[:, None])
    tasks = counts.size
    if tasks < 2 or (counts.min() < 2 and not deterministic):
        return NO_INTERVAL
    labels = _labels(scores, groups)
    means = np.nanmean(runs, axis=1)  # (tasks,)
    runs += (_stretched(means) - means)[:, None]
    drawn = rng.integers(tasks, size=(RESAMPLES, tasks))
    totals = np.zeros(drawn.shape)  # the sum of the runs drawn in each task drawn
    for draw in range(int(counts.max())):
        luck = rng.random(drawn.shape)
        if groups is not None:
            luck = np.take_along_axis(luck, labels[drawn], axis=1)
        chosen = runs[drawn, (luck * counts[drawn]).astype(np.int64)]
        totals += np.where(draw < counts[drawn], chosen, 0.0)
    return _percentiles((totals / counts[drawn]).mean(axis=1))


def _packed(scores: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return each task's runs with the missing ones moved to the end, and how many it has."""
    if scores.ndim != 2 or scores.size == 0 or bool(np.isinf(scores).any()):
        msg = f"scores must be finite or NaN, shape (tasks, runs), with one of each or more; got shape {scores.shape}"
        raise ValueError(msg)
    missing = np.isnan(scores)
    counts = (~missing).sum(axis=1)
    if counts.min() == 0:
        msg = f"every task needs a run with a score; task {int(np.argmin(counts))} has none"
        raise ValueError(msg)
    return np.take_along_axis(scores, np.argsort(missing, axis=1, kind="stable"), axis=1), counts


def _labels(scores: Floats, groups: npt.ArrayLike | None) -> npt.NDArray[np.int64]:
    """Return the group of each task, numbered from 0; each is its own where no groups are given."""
    if groups is None:
        return np.arange(scores.shape[0])
    names, labels = np.unique(np.asarray(groups), return_inverse=True)
    missing = np.isnan(scores)
    for label, name in enumerate(names):
        of_group = missing[labels == label]
        if (of_group != of_group[0]).any():
            msg = f"tasks of one group must have the same runs, those of group {name} don't"
            raise ValueError(msg)
    return labels


def _stretched(values: Floats) -> Floats:
    """Return values pulled away from their mean, so that a bootstrap of them has their unbiased variance."""
    mean = values.mean()
    return np.asarray(mean + (values - mean) * np.sqrt(values.size / (values.size - 1)))


def _percentiles(means: Floats) -> Interval:
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))
