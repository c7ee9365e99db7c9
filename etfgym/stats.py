"""What can be believed about many results: bootstrap intervals over seeds and over what was traded.

Scores come as a matrix, shape (tasks, runs): a task is one ETF in one test year, a run is one seed. Tasks may differ
in their number of runs; NaN stands where there is none. Every task weighs the same in a mean.

Agarwal et al. (2021), "Deep Reinforcement Learning at the Edge of the Statistical Precipice", section 4, resample
runs with replacement within each task (a stratified bootstrap) and take percentiles. A plain bootstrap of n runs
shows only (n - 1) / n of their variance, which many tasks do not average away: with three runs the interval would be
a fifth too narrow. So deviations are stretched by sqrt(n / (n - 1)), after Rao and Wu (1988), "Resampling Inference
with Complex Survey Data", JASA 83, 231-241. Percentiles of very few values still promise too much: three runs of a
single normal task give an interval that holds the truth five times in six, not nineteen in twenty.
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


def mean_interval(scores: Floats, rng: np.random.Generator) -> Interval:
    """Return the interval of the mean over tasks and runs, for these very tasks: only their runs are resampled.

    Args:
        scores: Shape (tasks, runs), any unit; NaN where a task lacks a run.
        rng: Draws the resamples.

    Returns:
        `NO_INTERVAL` if any task has a single run: one run says nothing of its own chance.

    Raises:
        ValueError: If there is no task, or one without a run.

    Example:
        >>> interval = mean_interval(np.array([[0.0, 0.1, 0.2], [0.3, 0.4, 0.5]]), np.random.default_rng(0))
        >>> round(interval.low, 2), round(interval.high, 2)
        (0.18, 0.32)
        >>> mean_interval(np.array([[0.1], [0.2]]), np.random.default_rng(0))
        Interval(low=nan, high=nan)
    """
    runs, counts = _packed(scores)
    if counts.min() < 2:
        return NO_INTERVAL
    means = np.zeros(RESAMPLES)
    for task, count in zip(runs, counts, strict=True):
        drawn = rng.integers(count, size=(RESAMPLES, count))
        means += _stretched(task[:count])[drawn].mean(axis=1)
    return _percentiles(means / counts.size)


def paired_difference_interval(
    scores: Floats, baseline: Floats, rng: np.random.Generator, *, deterministic: bool = False
) -> Interval:
    """Return the interval of the mean of score minus baseline, for other tasks of the kind and other runs.

    Tasks are drawn with replacement, then runs within each task drawn (Davison and Hinkley, 1997, section 3.8). As
    the means of tasks already vary by chance of their runs, this counts that part twice and errs to the wide side.
    Tasks count as independent; where they move together, as ETFs of one year do, the interval is too narrow.

    Args:
        scores: Shape (tasks, runs); NaN where a task lacks a run.
        baseline: The score to beat in each task, shape (tasks,), without chance.
        rng: Draws the resamples.
        deterministic: Whether the scores have no chance in them, so that a single run is all there is to know.

    Returns:
        `NO_INTERVAL` if there is a single task, or if any task has a single run unless `deterministic`.

    Raises:
        ValueError: If there is no task, one without a run, or one without a baseline.

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
    means = np.nanmean(runs, axis=1)  # (tasks,)
    runs += (_stretched(means) - means)[:, None]
    drawn = rng.integers(tasks, size=(RESAMPLES, tasks))
    totals = np.zeros(drawn.shape)  # (RESAMPLES, tasks): the sum of the runs drawn in each task drawn
    for draw in range(int(counts.max())):
        chosen = runs[drawn, rng.integers(counts[drawn])]
        totals += np.where(draw < counts[drawn], chosen, 0.0)
    return _percentiles((totals / counts[drawn]).mean(axis=1))


def _packed(scores: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return each task's runs in rising order, the missing last, and how many it has."""
    if scores.ndim != 2 or scores.size == 0 or bool(np.isinf(scores).any()):
        msg = f"scores must be finite or NaN, shape (tasks, runs), with one of each or more; got shape {scores.shape}"
        raise ValueError(msg)
    counts = (~np.isnan(scores)).sum(axis=1)
    if counts.min() == 0:
        msg = f"every task needs a run with a score; task {int(np.argmin(counts))} has none"
        raise ValueError(msg)
    return np.sort(scores, axis=1), counts  # sorting puts NaN last


def _stretched(values: Floats) -> Floats:
    """Return values pulled away from their mean, so that a bootstrap of them has their unbiased variance."""
    mean = values.mean()
    return np.asarray(mean + (values - mean) * np.sqrt(values.size / (values.size - 1)))


def _percentiles(means: Floats) -> Interval:
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))
