"""Sharpe ratios and what they are worth: chance, length and shape of the record, and the choice among many trials.

Every ratio here is per period, a day for daily returns, as in the papers, and its standard deviation has ddof=1; times
the root of the periods in a year it is the ratio of `etfgym.metrics`. Kurtosis is raw: 3 for normal returns.
`ffn`, for trials, comes with pip install "etfgym[report]".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd

from etfgym.checks import whole_number
from etfgym.stats import intervals
from etfgym.stats.blocks import FEWEST_DAYS, block_length
from etfgym.stats.intervals import CONFIDENCE, NO_INTERVAL, Floats, Interval

FLAT = 1e-12  # a spread of returns up to this is rounding
NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Record:
    """What the tests of a Sharpe ratio need to know of a track record.

    Raises:
        ValueError: If there are fewer than two periods.
    """

    sharpe: float
    """Mean return over its standard deviation (ddof=1), per period; NaN if returns don't vary."""
    periods: int
    """Number of returns."""
    skew: float = 0.0
    """Third standardised moment of the returns."""
    kurtosis: float = 3.0
    """Fourth standardised moment of the returns, not less 3."""

    def __post_init__(self) -> None:
        whole_number("periods", self.periods, 2)

    @classmethod
    def of(cls, returns: Floats) -> Record:
        """Return the record of these returns; skew and kurtosis are the estimators adjusted for bias, as in ffn.

        Args:
            returns: Fractions, shape (T,), T >= 4.

        Raises:
            ValueError: If there are fewer returns, or one is not a finite number.

        Example:
            >>> Record.of(np.array([0.01, -0.01, 0.02, -0.02, 0.01, -0.01]))
            Record(sharpe=0.0, periods=6, skew=0.0, kurtosis=1.125)
        """
        check_returns(returns, 4)
        skew, excess_kurtosis = pd.Series(returns).agg(["skew", "kurt"]).tolist()
        sharpe = float(_sharpe(returns)[0]) if returns.std() > FLAT else math.nan
        return cls(sharpe, returns.size, skew, excess_kurtosis + 3.0)


def sharpe_interval(returns: Floats, rng: np.random.Generator) -> Interval:
    """Return the interval of the Sharpe ratio, per period, from resamples of blocks of days.

    Percentiles of the stationary bootstrap of Politis and Romano (1994), by `arch`, with `block_length`.

    Args:
        returns: Fractions, shape (T,).
        rng: Draws the resamples.

    Returns:
        `NO_INTERVAL` if returns don't vary or there are fewer than `FEWEST_DAYS`.

    Raises:
        ValueError: If a return is not a finite number.

    Example:
        >>> returns = np.random.default_rng(0).normal(0.001, 0.01, 252)
        >>> interval = sharpe_interval(returns, np.random.default_rng(0))
        >>> [round(float(end * np.sqrt(252)), 1) for end in interval]
        [-0.5, 3.5]
    """
    check_returns(returns, 1)
    if returns.size < FEWEST_DAYS or returns.std() <= FLAT:
        return NO_INTERVAL
    from arch.bootstrap import StationaryBootstrap  # heavy

    bootstrap = StationaryBootstrap(block_length(returns[:, None]), returns, seed=rng)
    found = bootstrap.conf_int(_sharpe, intervals.RESAMPLES, method="percentile", size=CONFIDENCE)
    return Interval(*found.ravel().tolist())


def probabilistic_sharpe(record: Record, benchmark: float = 0.0, *, at_benchmark: bool = False) -> float:
    """Return the probability that the true Sharpe ratio is above `benchmark`, both per period.

    The default, which `deflated_sharpe` and `min_track_record` share, is the convention of Bailey and Lopez de Prado
    (2012), "The Sharpe Ratio Efficient Frontier": the estimator's variance at the estimate, over T - 1.

    Args:
        record: Of the strategy.
        benchmark: The ratio to be above.
        at_benchmark: Take the variance at the benchmark, over T: the test's size is then that of the null hypothesis
            (Lopez de Prado, Lipton and Zoonekynd, 2025, "How to Use the Sharpe Ratio").

    Returns:
        In [0, 1]; NaN if the Sharpe ratio is, or if the moments fit no distribution.

    Example:
        >>> round(probabilistic_sharpe(Record(sharpe=0.1, periods=252)), 3)
        0.943
    """
    variance = _variance(record, benchmark if at_benchmark else record.sharpe)
    if not variance > 0:
        return math.nan
    periods = record.periods if at_benchmark else record.periods - 1
    return NORMAL.cdf((record.sharpe - benchmark) * math.sqrt(periods / variance))


def min_track_record(record: Record, benchmark: float = 0.0) -> float:
    """Return how many periods it takes until `probabilistic_sharpe` of such returns is 0.95.

    Bailey and Lopez de Prado (2012), as there.

    Args:
        record: Of the strategy; its length does not matter.
        benchmark: The ratio to be above, per period.

    Returns:
        Infinity if the record is not above the benchmark; NaN as `probabilistic_sharpe`.

    Example:
        >>> round(min_track_record(Record(sharpe=1 / 252**0.5, periods=252)) / 252, 1)  # years, at 1 a year
        2.7
    """
    if record.sharpe <= benchmark:
        return math.inf
    variance = _variance(record, record.sharpe)
    return 1 + variance * (NORMAL.inv_cdf(0.95) / (record.sharpe - benchmark)) ** 2 if variance > 0 else math.nan


def expected_max_sharpe(trials: int, spread: float) -> float:
    """Return the highest Sharpe ratio that so many trials without skill are expected to reach.

    Bailey and Lopez de Prado (2014), "The Deflated Sharpe Ratio", by `ffn`.

    Args:
        trials: How many there were, tuning included, >= 1.
        spread: Standard deviation of their Sharpe ratios, >= 0; the result is per the same period.

    Raises:
        ValueError: If there is no trial, or `spread` is negative or not a number.

    Example:
        >>> round(expected_max_sharpe(100, 0.05), 4)
        0.1265
    """
    _check_trials(trials, spread)
    from ffn.core import calc_expected_max_sharpe  # heavy

    return float(calc_expected_max_sharpe(trials, spread))


def deflated_sharpe(returns: Floats, trials: int, spread: float) -> float:
    """Return the probability that a record's true Sharpe ratio is above 0, given that it is the best of many trials.

    It is `probabilistic_sharpe` of the record above `expected_max_sharpe`, by `ffn`, in the convention of 2012 and 2014
    (the variance at the estimate, T - 1). Trials that resemble each other count in full, which errs to the low side.

    Args:
        returns: Of the best trial, fractions, shape (T,), T >= 4.
        trials: How many there were, tuning included, >= 1.
        spread: Standard deviation of their Sharpe ratios per period, >= 0.

    Returns:
        In [0, 1]; NaN as `probabilistic_sharpe`.

    Raises:
        ValueError: As `Record.of` and `expected_max_sharpe`.

    Example:
        >>> returns = np.random.default_rng(0).normal(0.001, 0.01, 2520)
        >>> round(deflated_sharpe(returns, 1, 0.0), 3), round(deflated_sharpe(returns, 100, 0.02), 3)
        (1.0, 0.826)
    """
    check_returns(returns, 4)
    _check_trials(trials, spread)
    from ffn.core import calc_deflated_sharpe_ratio  # heavy

    # Of the trials' ratios ffn reads their number and standard deviation alone: any numbers that have both will do.
    ratios = np.linspace(-1.0, 1.0, trials)
    if trials > 1:
        ratios *= spread / ratios.std(ddof=1)
    return float(calc_deflated_sharpe_ratio(pd.Series(returns), ratios, nperiods=1, annualized_trials=False))


def check_returns(returns: Floats, least: int) -> None:
    """Raise ValueError unless there are `least` returns or more over the last axis, all of them finite."""
    if returns.ndim == 0 or returns.shape[-1] < least or not bool(np.isfinite(returns).all()):
        msg = f"returns must be {least} finite numbers or more, got {returns.tolist()!s:.60}"
        raise ValueError(msg)


def _check_trials(trials: int, spread: float) -> None:
    whole_number("trials", trials, 1)
    if not 0 <= spread < math.inf:
        msg = f"spread is a standard deviation of Sharpe ratios per period, >= 0, got {spread:g}"
        raise ValueError(msg)


def _variance(record: Record, sharpe: float) -> float:
    """Return the variance of the estimated ratio, times the number of periods, were `sharpe` the true one."""
    return 1 - record.skew * sharpe + (record.kurtosis - 1) / 4 * sharpe**2


def _sharpe(returns: Floats) -> Floats:
    """Return the ratio, shape (1,); 0 where returns don't vary, as in a resample that holds idle days alone."""
    spread = returns.std(ddof=1)
    return np.array([returns.mean() / spread if spread > FLAT else 0.0])
