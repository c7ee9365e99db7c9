"""Measures of equity curves, over the last axis. Conventions: 252 periods a year, a risk-free rate of zero.

A curve begins with the initial capital. A curve with NaN, or with a value that is not positive, is refused.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

PERIODS_PER_YEAR = 252


def total_return(equity: Floats) -> Floats:
    """Return the last value over the first, less one, as a fraction.

    Args:
        equity: Account value after each day, shape (..., T), T >= 2, dollars, all > 0.

    Raises:
        ValueError: If the curve is too short or has a value that is not a positive number.

    Example:
        >>> float(total_return(np.array([100.0, 80.0, 110.0])).round(6))
        0.1
    """
    _check(equity)
    return np.asarray(equity[..., -1] / equity[..., 0] - 1.0)


def sharpe(equity: Floats) -> Floats:
    """Return the annualised Sharpe ratio of daily returns: mean over standard deviation (ddof=1), times sqrt(252).

    NaN where the returns don't vary or there are fewer than two of them. Arguments and errors as `total_return`.

    Example:
        >>> float(sharpe(np.array([100.0, 101.0, 100.0, 102.0])).round(4))
        6.9872
    """
    _check(equity)
    returns = equity[..., 1:] / equity[..., :-1] - 1.0
    if returns.shape[-1] < 2:
        return np.full(equity.shape[:-1], np.nan)
    spread = returns.std(axis=-1, ddof=1)
    flat = spread <= 1e-12  # rounding of a constant curve's returns
    return np.where(flat, np.nan, np.sqrt(PERIODS_PER_YEAR) * returns.mean(axis=-1) / np.where(flat, 1.0, spread))


def max_drawdown(equity: Floats) -> Floats:
    """Return the largest fall from a running peak, as a positive fraction of that peak.

    Arguments and errors as `total_return`.

    Example:
        >>> float(max_drawdown(np.array([100.0, 120.0, 90.0, 130.0])))
        0.25
    """
    return np.asarray(np.max(drawdown(equity), axis=-1))


def drawdown(equity: Floats) -> Floats:
    """Return how far each day lies below the highest value so far, as a positive fraction of it, shape (..., T).

    Arguments and errors as `total_return`.
    """
    _check(equity)
    return np.asarray(1.0 - equity / np.maximum.accumulate(equity, axis=-1))


def _check(equity: Floats) -> None:
    if equity.ndim == 0 or equity.shape[-1] < 2 or not bool(np.all(equity > 0)):  # NaN fails `> 0` as well
        msg = f"equity must have two days or more, all positive numbers; got {equity.tolist()!s:.60}"
        raise ValueError(msg)
