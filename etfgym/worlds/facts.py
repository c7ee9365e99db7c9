"""Stylised facts: what daily returns of every market have in common, each as one number.

Cont (2001), "Empirical properties of asset returns: stylized facts and statistical issues", Quantitative Finance 1,
223-236, lists them: heavy tails, no memory of the sign, a long memory of the size, and losses that raise the
volatility to come.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from etfgym.metrics import PERIODS_PER_YEAR

Floats = npt.NDArray[np.float64]

TAIL = 0.05
"""Share of the days, the largest by size, that the tail index is estimated on."""
CLUSTER_LAGS = range(1, 21)
LEVERAGE_LAGS = range(1, 11)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The facts of daily log returns; of several ETFs, their mean."""

    drift: float
    """Mean times 252, a fraction a year."""
    volatility: float
    """Standard deviation (ddof=1) times sqrt(252), a fraction a year."""
    kurtosis: float
    """Excess kurtosis, the biased estimate m4 / m2^2 - 3; 0 for a normal distribution."""
    tail_index: float
    """See `tail_index`; about 3 for most markets; a normal distribution would give about 6 at this share."""
    clustering: float
    """Autocorrelation of absolute returns, its mean over lags 1 to 20."""
    leverage: float
    """Correlation of r[t] with abs(r[t + k]), its mean over k = 1 to 10; below 0 where losses raise volatility."""
    correlation: float
    """Of the returns of each two ETFs on one day, its mean; NaN for a single ETF."""


def stylised_facts(returns: Floats) -> Facts:
    """Return the facts of daily log returns, shape (ETFs, T).

    Raises:
        ValueError: If there are fewer than 100 days, a value is not finite, or an ETF's returns don't vary.

    Example:
        >>> facts = stylised_facts(np.random.default_rng(0).normal(0.0, 0.01, (2, 5000)))
        >>> round(facts.volatility, 2), abs(facts.clustering) < 0.01, abs(facts.leverage) < 0.01
        (0.16, True, True)
    """
    if returns.ndim != 2 or returns.shape[1] < 100 or not np.isfinite(returns).all() or (np.ptp(returns, 1) == 0).any():
        msg = f"returns must be finite and vary, shape (ETFs, T), T >= 100; got shape {returns.shape}"
        raise ValueError(msg)
    size = np.abs(returns)
    spread = returns - returns.mean(axis=1, keepdims=True)
    pairs = np.atleast_2d(np.corrcoef(returns))[np.triu_indices(len(returns), 1)]
    return Facts(
        drift=float(returns.mean() * PERIODS_PER_YEAR),
        volatility=float(np.mean(returns.std(axis=1, ddof=1)) * np.sqrt(PERIODS_PER_YEAR)),
        kurtosis=float(np.mean((spread**4).mean(axis=1) / (spread**2).mean(axis=1) ** 2) - 3),
        tail_index=float(np.mean([tail_index(each) for each in returns])),
        clustering=float(np.mean([_lagged(each, each, CLUSTER_LAGS) for each in size])),
        leverage=float(np.mean([_lagged(r, s, LEVERAGE_LAGS) for r, s in zip(returns, size, strict=True)])),
        correlation=float(pairs.mean()) if pairs.size else float("nan"),
    )


def tail_index(returns: Floats) -> float:
    """Return Hill's (1975) estimate of a in P(abs(r) > x) ~ x^-a, both tails together.

    With the sizes sorted from the largest x[1] on, it is k / sum(log(x[i] / x[k + 1]), i = 1..k), k being 5 % of the
    days: 1 / a is the mean excess of the log beyond the threshold.

    Args:
        returns: Shape (T,), of which 5 % and one more are not zero.
    """
    k = max(1, int(TAIL * returns.size))
    largest = np.sort(np.abs(returns))[-k - 1 :]
    return float(k / np.log(largest[1:] / largest[0]).sum())


def _lagged(first: Floats, later: Floats, lags: range) -> float:
    """Return the mean over lags of corr(first[t], later[t + lag]), with means and variances of the whole series."""
    a, b = first - first.mean(), later - later.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(np.mean([a[:-lag] @ b[lag:] for lag in lags]) / scale)
