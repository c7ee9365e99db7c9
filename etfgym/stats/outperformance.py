"""Whether the best of several agents beats buy-and-hold, counting that it was picked as the best of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from etfgym.stats import intervals
from etfgym.stats.blocks import FEWEST_DAYS, block_length
from etfgym.stats.intervals import Floats
from etfgym.stats.sharpe import FLAT, check_returns


class Outperformance(NamedTuple):
    """p-values of the hypothesis that no agent has a higher mean return than the benchmark; small speaks against it."""

    spa: float
    """Hansen (2005), "A Test for Superior Predictive Ability": the consistent one of his three, studentised."""
    reality_check: float
    """White (2000), "A Reality Check for Data Snooping"; bad agents among the many weaken it."""


def outperformance(returns: Floats, benchmark: Floats, rng: np.random.Generator) -> Outperformance:
    """Return p-values of the best of K agents against one benchmark, from a stationary bootstrap of days by `arch`.

    `arch` (8.0) does not divide by standard errors, whatever its `studentize`, so for the SPA test each agent's excess
    is divided by its standard deviation first; its test of losses is then that of studentised ones. The Reality Check
    is its upper p-value of the excess as it is. Blocks are as long as `block_length` of the excess.

    Args:
        returns: Of the agents, day by day, fractions, shape (K, T).
        benchmark: Of buy-and-hold on the same days, shape (T,).
        rng: Draws the resamples.

    Returns:
        Both 1 if no agent earned more on average: the statistic, which stops at 0, is then the least that it can be.
        NaN if there are fewer than `FEWEST_DAYS`.

    Raises:
        ValueError: If shapes don't fit, or a return is not a finite number.

    Example:
        >>> benchmark, luck = np.random.default_rng(0).normal(0.0005, 0.01, (2, 500))
        >>> found = outperformance(np.stack([benchmark + 0.001, benchmark]) + luck, benchmark, np.random.default_rng(0))
        >>> round(found.spa, 2), round(found.reality_check, 2)
        (0.03, 0.03)
    """
    check_returns(returns, 1)
    check_returns(benchmark, 1)
    if returns.ndim != 2 or benchmark.shape != returns.shape[1:]:
        msg = f"returns must have shape (agents, days), benchmark (days,); got {returns.shape} and {benchmark.shape}"
        raise ValueError(msg)
    if benchmark.size < FEWEST_DAYS:
        return Outperformance(np.nan, np.nan)
    excess = (returns - benchmark).T  # (T, K)
    if excess.mean(axis=0).max() <= 0:
        return Outperformance(1.0, 1.0)
    spread = excess.std(axis=0, ddof=1)
    studentised = excess / np.where(spread > FLAT, spread, 1.0)
    return Outperformance(_p_values(studentised, rng)["consistent"], _p_values(excess, rng)["upper"])


def _p_values(excess: Floats, rng: np.random.Generator) -> dict[str, float]:
    """Return the p-values "lower", "consistent" and "upper" of a mean excess of 0 or less, shape (T, K)."""
    from arch.bootstrap import SPA  # heavy

    no_loss, reps = np.zeros(excess.shape[0]), intervals.RESAMPLES
    test = SPA(no_loss, -excess, block_size=block_length(excess), reps=reps, studentize=False, seed=rng)
    test.compute()
    return dict(zip(("lower", "consistent", "upper"), test.pvalues.tolist(), strict=True))
