"""Bootstrap intervals of means: over seeds, and over what was traded.

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

FEWEST_CLUSTERS = 6
"""Fewer clusters than this say too little to resample: there is no interval then."""


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
    if run_counts(scores).min() < 2:
        return NO_INTERVAL
    return percentiles(mean_draws(scores, times_drawn(scores, rng, groups)))


def paired_difference_interval(
    scores: Floats,
    baseline: Floats,
    rng: np.random.Generator,
    groups: npt.ArrayLike | None = None,
    *,
    clusters: npt.ArrayLike | None = None,
    deterministic: bool = False,
) -> Interval:
    """Return the interval of the mean of score minus baseline, for other tasks of the kind and other runs.

    Tasks are drawn with replacement, then runs within each task drawn (Davison and Hinkley, 1997). As the means of
    tasks already vary by chance of their runs, this counts that part twice and errs to the wide side.
    Tasks of one cluster are drawn together, whole (Cameron, Gelbach and Miller, 2008): ETFs of one year move together,
    and taken as independent they would make the interval far too narrow. With few clusters it remains somewhat so.

    Args:
        scores: Shape (tasks, runs); NaN where a task lacks a run.
        baseline: The score to beat in each task, shape (tasks,), without chance.
        rng: Draws the resamples.
        groups: See `mean_interval`.
        clusters: A label for each task, shape (tasks,), such as its test year; at least `FEWEST_CLUSTERS` different
            ones are needed. None: tasks count as independent.
        deterministic: Whether the scores have no chance in them, so that a single run is all there is to know.

    Returns:
        `NO_INTERVAL` if there is a single task, or too few clusters, or if any task has a single run unless
        `deterministic`.

    Raises:
        ValueError: As `mean_interval`, or if a task has no baseline or no cluster.

    Example:
        >>> scores, baseline = np.array([[0.1], [0.2], [0.0]]), np.array([0.0, 0.0, 0.0])
        >>> interval = paired_difference_interval(scores, baseline, np.random.default_rng(0), deterministic=True)
        >>> round(interval.low, 2), round(interval.high, 2)
        (-0.02, 0.22)
    """
    if baseline.shape != scores.shape[:1] or not bool(np.isfinite(baseline).all()):
        msg = f"baseline must be one finite number for each of {scores.shape[0]} tasks, got shape {baseline.shape}"
        raise ValueError(msg)
    counts = run_counts(scores)
    tasks = counts.size
    members = _members(_numbered("clusters", clusters, tasks))  # (clusters, tasks of the largest)
    too_few = members.shape[0] < (2 if clusters is None else FEWEST_CLUSTERS)
    if too_few or (counts.min() < 2 and not deterministic):
        return NO_INTERVAL
    runs = _packed(scores - baseline[:, None])
    runs += _cluster_stretch(np.nanmean(runs, axis=1), members)[:, None]
    drawn = members[rng.integers(members.shape[0], size=(RESAMPLES, members.shape[0]))].reshape(RESAMPLES, -1)
    labels = _groups(scores, groups)
    totals = np.zeros(drawn.shape)  # the sum of the runs drawn in each task drawn
    for draw in range(int(counts.max())):
        luck = rng.random(drawn.shape)
        if groups is not None:
            luck = np.take_along_axis(luck, labels[drawn], axis=1)
        chosen = runs[drawn, (luck * counts[drawn]).astype(np.int64)]
        totals += np.where(draw < counts[drawn], chosen, 0.0)
    there = drawn >= 0
    return percentiles(np.where(there, totals / counts[drawn], 0.0).sum(axis=1) / there.sum(axis=1))


def run_counts(scores: Floats) -> npt.NDArray[np.int64]:
    """Return how many runs each task has, shape (tasks,).

    Raises:
        ValueError: If scores are not as `mean_interval` wants them.
    """
    if scores.ndim != 2 or scores.size == 0 or bool(np.isinf(scores).any()):
        msg = f"scores must be finite or NaN, shape (tasks, runs), with one of each or more; got shape {scores.shape}"
        raise ValueError(msg)
    counts = np.sum(~np.isnan(scores), axis=1)
    if counts.min() == 0:
        msg = f"every task needs a run with a score; task {int(np.argmin(counts))} has none"
        raise ValueError(msg)
    return np.asarray(counts)


def times_drawn(scores: Floats, rng: np.random.Generator, groups: npt.ArrayLike | None) -> Floats:
    """Return how often each run is in each resample of the runs of its task, shape (RESAMPLES, tasks, runs).

    Arguments and errors as `mean_interval`; no task's run is drawn for another task.
    """
    labels = _groups(scores, groups)
    times = np.zeros((RESAMPLES, *scores.shape))
    for label in range(labels.max() + 1):
        of_group = np.flatnonzero(labels == label)
        present = np.flatnonzero(~np.isnan(scores[of_group[0]]))
        drawn = rng.integers(present.size, size=(RESAMPLES, present.size))
        cells = drawn + present.size * np.arange(RESAMPLES)[:, None]
        found = np.bincount(cells.ravel(), minlength=cells.size).reshape(cells.shape)
        times[:, of_group[:, None], present] = found[:, None, :]
    return times


def stretched(scores: Floats) -> Floats:
    """Return each task's runs pulled away from their mean, so that a bootstrap has the mean's unbiased variance.

    Args:
        scores: Shape (tasks, runs), two runs or more a task; NaN, where a task lacks one, stays.
    """
    counts = run_counts(scores)[:, None]
    mean = np.nanmean(scores, axis=1, keepdims=True)
    return np.asarray(mean + (scores - mean) * np.sqrt(counts / (counts - 1)))


def mean_draws(scores: Floats, times: Floats) -> Floats:
    """Return the mean over tasks and runs in each resample, shape (RESAMPLES,); `times` as from `times_drawn`."""
    shares = stretched(scores) / run_counts(scores)[:, None] / scores.shape[0]
    return np.asarray(times.reshape(RESAMPLES, -1) @ np.nan_to_num(shares).ravel())


def percentiles(draws: Floats) -> Interval:
    """Return the interval that holds the middle 95 % of a statistic's values in resamples, shape (RESAMPLES,)."""
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))


def _packed(scores: Floats) -> Floats:
    """Return each task's runs with the missing ones moved to the end."""
    return np.take_along_axis(scores, np.argsort(np.isnan(scores), axis=1, kind="stable"), axis=1)


def _numbered(name: str, labels: npt.ArrayLike | None, tasks: int) -> npt.NDArray[np.int64]:
    """Return the label of each task as a number from 0; each has its own where no labels are given."""
    if labels is None:
        return np.arange(tasks)
    given = np.asarray(labels)
    if given.shape != (tasks,):
        msg = f"{name} must be one label for each of {tasks} tasks, got shape {given.shape}"
        raise ValueError(msg)
    return np.asarray(np.unique(given, return_inverse=True)[1])


def _groups(scores: Floats, groups: npt.ArrayLike | None) -> npt.NDArray[np.int64]:
    """Return the number of each task's group, after a look at whether the tasks of a group have the same runs."""
    labels = _numbered("groups", groups, scores.shape[0])
    missing = np.isnan(scores)
    _, first = np.unique(labels, return_index=True)
    wrong = np.flatnonzero((missing != missing[first][labels]).any(axis=1))
    if wrong.size:
        name = np.asarray(groups)[wrong[0]]
        msg = f"tasks of one group must have the same runs, those of group {name} don't"
        raise ValueError(msg)
    return labels


def _members(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the tasks of each cluster, shape (clusters, tasks of the largest), -1 where there are no more."""
    sizes = np.bincount(labels)
    members = np.full((sizes.size, sizes.max()), -1)
    for label, size in enumerate(sizes):
        members[label, :size] = np.flatnonzero(labels == label)
    return members


def _cluster_stretch(means: Floats, members: npt.NDArray[np.int64]) -> Floats:
    """Return what to add to each task's mean, so that clusters' means are pulled away from that of all tasks.

    As `stretched`, with clusters for runs and the same for each task of one.
    """
    there = members >= 0
    of_cluster = np.where(there, means[members], 0.0).sum(axis=1) / there.sum(axis=1)
    clusters = members.shape[0]
    pull = (of_cluster - means.mean()) * (np.sqrt(clusters / (clusters - 1)) - 1)
    added = np.zeros(means.size)
    added[members[there]] = np.repeat(pull, there.sum(axis=1))
    return added
