"""Comparisons of agents over many tasks and runs, after Agarwal et al. (2021), with intervals.

"Deep Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS 34. Scores are as in
`etfgym.stats.intervals`, and so is the bootstrap: runs are resampled within their task, and deviations stretched.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from etfgym.stats.intervals import (
    NO_INTERVAL,
    Floats,
    Interval,
    mean_draws,
    percentiles,
    run_counts,
    stretched,
    times_drawn,
)


def iqm(scores: Floats) -> float:
    """Return the interquartile mean: of all runs of all tasks, the mean without the lowest and the highest quarter.

    From n runs floor(n / 4) are left out at each end, as in scipy's `trim_mean`. A run counts once, so a task with more
    runs than others weighs more.

    Args:
        scores: Shape (tasks, runs), any unit; NaN where a task lacks a run.

    Raises:
        ValueError: If there is no task, or one without a run.

    Example:
        >>> iqm(np.array([[-90.0, 1.0], [2.0, 90.0]]))
        1.5
    """
    return float(_iqm(scores, (~np.isnan(scores))[None].astype(np.float64), run_counts(scores))[0])


def iqm_interval(scores: Floats, rng: np.random.Generator, groups: npt.ArrayLike | None = None) -> Interval:
    """Return the interval of `iqm`, for these very tasks.

    Args:
        scores: See `iqm`.
        rng: Draws the resamples.
        groups: See `mean_interval`.

    Returns:
        `NO_INTERVAL` if any task has a single run.

    Raises:
        ValueError: As `mean_interval`.

    Example:
        >>> interval = iqm_interval(np.array([[0.0, 0.1, 0.2], [0.3, 0.4, 0.5]]), np.random.default_rng(0))
        >>> round(interval.low, 2), round(interval.high, 2)
        (0.16, 0.34)
    """
    counts = run_counts(scores)
    if counts.min() < 2:
        return NO_INTERVAL
    return percentiles(_iqm(stretched(scores), times_drawn(scores, rng, groups), counts))


def probability_of_improvement(scores: Floats, others: Floats) -> float:
    """Return how probable it is that a run scores above a run of the other agent on the same task.

    In each task it is the share of pairs of runs in which the first is higher, ties counted half (the Mann-Whitney
    statistic over the number of pairs); these are averaged over tasks. 0.5 means no difference.

    Args:
        scores: Shape (tasks, runs), any unit; NaN where a task lacks a run.
        others: The other agent's, shape (tasks, its runs).

    Raises:
        ValueError: If there is no task, or one without a run, or if the agents differ in their number of tasks.

    Example:
        >>> probability_of_improvement(np.array([[1.0, 2.0]]), np.array([[0.0, 1.0]]))  # wins, wins, ties, wins
        0.875
    """
    return float(np.mean(np.nanmean(_win_shares(scores, others), axis=1)))


def probability_of_improvement_interval(
    scores: Floats, others: Floats, rng: np.random.Generator, groups: npt.ArrayLike | None = None
) -> Interval:
    """Return the interval of `probability_of_improvement`, for these very tasks; the agents' runs are independent.

    Each run stands for the share of the other agent's runs that it beats. The statistic's chance is, but for terms that
    fall with the square of the number of runs, that of the means of these shares (DeLong, DeLong and Clarke-Pearson,
    1988), and these means are what is resampled.

    Args:
        scores: See `probability_of_improvement`.
        others: See there.
        rng: Draws the resamples.
        groups: See `mean_interval`; it holds for both agents.

    Returns:
        `NO_INTERVAL` if any task has a single run of either agent.

    Raises:
        ValueError: As `probability_of_improvement` and `mean_interval`.

    Example:
        >>> scores, others = np.array([[1.0, 2.0, 3.0]]), np.array([[0.0, 2.0, 2.5]])
        >>> interval = probability_of_improvement_interval(scores, others, np.random.default_rng(0))
        >>> round(interval.low, 2), round(interval.high, 2)
        (0.07, 1.0)
    """
    won, lost = _win_shares(scores, others), _win_shares(others, scores)
    if min(run_counts(won).min(), run_counts(lost).min()) < 2:
        return NO_INTERVAL
    ours = mean_draws(won, times_drawn(won, rng, groups))
    theirs = 1.0 - mean_draws(lost, times_drawn(lost, rng, groups))
    return percentiles(np.clip(ours + theirs - probability_of_improvement(scores, others), 0.0, 1.0))


def performance_profile(scores: Floats, thresholds: Floats) -> Floats:
    """Return the share of runs that score above each threshold, averaged over tasks.

    Args:
        scores: Shape (tasks, runs), any unit; NaN where a task lacks a run.
        thresholds: Shape (K,), same unit.

    Returns:
        Shape (K,), in [0, 1].

    Raises:
        ValueError: If there is no task, or one without a run.

    Example:
        >>> performance_profile(np.array([[0.1, 0.3], [0.2, 0.4]]), np.array([0.0, 0.2, 0.4]))
        array([1. , 0.5, 0. ])
    """
    run_counts(scores)
    return np.array([np.mean(np.nanmean(_above(scores, threshold), axis=1)) for threshold in thresholds])


def performance_profile_band(
    scores: Floats, thresholds: Floats, rng: np.random.Generator, groups: npt.ArrayLike | None = None
) -> Floats:
    """Return the ends of the 95 % interval of `performance_profile` at each threshold, shape (2, K): low, high.

    The band is pointwise: that the whole profile lies in it is less probable.

    Args:
        scores: See `performance_profile`.
        thresholds: See there.
        rng: Draws the resamples, the same ones for each threshold.
        groups: See `mean_interval`.

    Returns:
        All NaN if any task has a single run.

    Raises:
        ValueError: As `mean_interval`.

    Example:
        >>> scores = np.array([[0.1, 0.3], [0.2, 0.4]])
        >>> performance_profile_band(scores, np.array([0.0, 0.5]), np.random.default_rng(0))
        array([[1., 0.],
               [1., 0.]])
    """
    if run_counts(scores).min() < 2:
        return np.full((2, thresholds.size), np.nan)
    times = times_drawn(scores, rng, groups)
    ends = [percentiles(np.clip(mean_draws(_above(scores, level), times), 0.0, 1.0)) for level in thresholds]
    return np.array(ends).T


def _iqm(values: Floats, times: Floats, counts: npt.NDArray[np.int64]) -> Floats:
    """Return the interquartile mean of each resample, shape (resamples,).

    Args:
        values: Shape (tasks, runs).
        times: How often a resample holds each of them, shape (resamples, tasks, runs).
        counts: Of each task's runs, shape (tasks,).
    """
    order = np.argsort(values, axis=None)  # NaN last, and held by none
    total, cut = int(counts.sum()), int(counts.sum()) // 4
    places = np.cumsum(times.reshape(times.shape[0], -1)[:, order], axis=1)  # up to which place in a sorted resample
    kept = np.diff(np.clip(places, cut, total - cut), axis=1, prepend=cut)
    return np.asarray(kept @ np.nan_to_num(values.ravel()[order]) / (total - 2 * cut))


def _win_shares(scores: Floats, others: Floats) -> Floats:
    """Return the share of the other agent's runs that each run beats, shape (tasks, runs), ties counted half."""
    run_counts(scores)
    opponents = run_counts(others)
    if len(scores) != len(others):
        msg = f"both agents must have the same tasks, got {len(scores)} and {len(others)}"
        raise ValueError(msg)
    mine, theirs = scores[:, :, None], others[:, None, :]
    wins = np.sum(mine > theirs, axis=2) + np.sum(mine == theirs, axis=2) / 2  # NaN compares as neither
    return np.where(np.isnan(scores), np.nan, wins / opponents[:, None])


def _above(scores: Floats, threshold: float) -> Floats:
    return np.where(np.isnan(scores), np.nan, scores > threshold)
