"""Measures of equity curves, over the last axis. Conventions: 252 periods a year, a risk-free rate of zero.

A curve begins with the initial capital. A curve with NaN, or with a value that is not positive, is refused.
A ratio with nothing to divide by is NaN. Where empyrical has the measure too, the values agree (a drawdown is positive
here, and a curve without a losing day has no Sortino ratio).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

PERIODS_PER_YEAR = 252
TAIL = 0.05
"""The share of days that value at risk and its conditional form look at."""

FLAT = 1e-12
"""A spread of daily returns up to this is the rounding of a curve that grows evenly, and counts as none."""


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


def cagr(equity: Floats) -> Floats:
    """Return the constant yearly growth that leads from the first value to the last, as a fraction.

    Arguments and errors as `total_return`.

    Example:
        >>> float(cagr(np.linspace(100.0, 121.0, 2 * 252 + 1)).round(6))
        0.1
    """
    _check(equity)
    return np.asarray((equity[..., -1] / equity[..., 0]) ** (PERIODS_PER_YEAR / (equity.shape[-1] - 1)) - 1.0)


def volatility(equity: Floats) -> Floats:
    """Return the standard deviation of daily returns (ddof=1), times sqrt(252); NaN for a single return.

    Arguments and errors as `total_return`.

    Example:
        >>> float(volatility(np.array([100.0, 101.0, 100.0, 102.0])).round(4))
        0.2416
    """
    return np.asarray(np.sqrt(PERIODS_PER_YEAR) * _spread(_returns(equity)))


def sharpe(equity: Floats) -> Floats:
    """Return the annualised Sharpe ratio of daily returns: mean over standard deviation (ddof=1), times sqrt(252).

    NaN where the returns don't vary or there are fewer than two of them. Arguments and errors as `total_return`.

    Example:
        >>> float(sharpe(np.array([100.0, 101.0, 100.0, 102.0])).round(4))
        6.9872
    """
    returns = _returns(equity)
    return _ratio(np.sqrt(PERIODS_PER_YEAR) * returns.mean(axis=-1), _spread(returns))


def sortino(equity: Floats) -> Floats:
    """Return the annualised Sortino ratio: mean daily return over the downside deviation from 0, times sqrt(252).

    The downside deviation is the root of the mean square of min(return, 0) over ALL days, the good ones as zeros
    (Sortino and Price, 1994). NaN where no day lost (empyrical: infinity) or there is a single return.
    Arguments and errors as `total_return`.

    Example:
        >>> float(sortino(np.array([100.0, 110.0, 99.0])).round(6))  # no gain on average
        0.0
    """
    returns = _returns(equity)
    if returns.shape[-1] < 2:
        return np.full(equity.shape[:-1], np.nan)
    downside = np.sqrt(np.mean(np.square(np.minimum(returns, 0.0)), axis=-1))
    return _ratio(np.sqrt(PERIODS_PER_YEAR) * returns.mean(axis=-1), downside)


def calmar(equity: Floats) -> Floats:
    """Return `cagr` over `max_drawdown`; NaN for a curve that never fell.

    Arguments and errors as `total_return`.

    Example:
        >>> float(calmar(np.concatenate([[100.0, 80.0], np.linspace(80.0, 110.0, 251)])).round(6))  # 10 % over 20 %
        0.5
    """
    return _ratio(cagr(equity), max_drawdown(equity))


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


def longest_drawdown(equity: Floats) -> npt.NDArray[np.int64]:
    """Return the length of the longest time under water, in days.

    It is the largest number of days in a row whose close lies below an earlier one (or below the initial capital). The
    day that reaches the peak again is not counted; a fall that is never made up counts to the last day.
    Arguments and errors as `total_return`.

    Example:
        >>> int(longest_drawdown(np.array([100.0, 90.0, 95.0, 100.0, 99.0])))
        2
    """
    days = np.arange(equity.shape[-1])
    at_peak = np.where(drawdown(equity) > 0.0, 0, days)  # the first day is one
    return np.asarray(np.max(days - np.maximum.accumulate(at_peak, axis=-1), axis=-1))


def value_at_risk(equity: Floats) -> Floats:
    """Return the 5 % quantile of daily returns, as a fraction: negative for a loss, the sign empyrical uses.

    Between two returns it is interpolated linearly. Arguments and errors as `total_return`.

    Example:
        >>> float(value_at_risk(np.array([100.0, 90.0, 99.0])).round(6))  # 5 % of the way from -0.1 to 0.1
        -0.09
    """
    return np.asarray(np.quantile(_returns(equity), TAIL, axis=-1))


def conditional_value_at_risk(equity: Floats) -> Floats:
    """Return the mean of the worst 5 % of daily returns, as a fraction: negative for a loss, as `value_at_risk`.

    Of n returns these are the 1 + floor(0.05 (n - 1)) lowest, as in empyrical. Arguments and errors as `total_return`.

    Example:
        >>> float(conditional_value_at_risk(np.array([100.0, 90.0, 99.0])).round(6))
        -0.1
    """
    returns = _returns(equity)
    last = int((returns.shape[-1] - 1) * TAIL)
    return np.asarray(np.partition(returns, last, axis=-1)[..., : last + 1].mean(axis=-1))


def turnover(traded: Floats, equity: Floats) -> Floats:
    """Return all that was bought and sold, over the initial capital.

    Args:
        traded: Dollars bought and sold each day, shape (..., T), all >= 0.
        equity: See `total_return`.

    Raises:
        ValueError: As `total_return`, or if `traded` is not one such number for each day.

    Example:
        >>> float(turnover(np.array([0.0, 50.0, 55.0]), np.array([100.0, 104.0, 105.0])))
        1.05
    """
    return _over_capital("traded", traded, equity)


def cost_share(costs: Floats, equity: Floats) -> Floats:
    """Return all that trading cost, over the initial capital.

    Args:
        costs: Dollars lost to commission, fees and slippage each day, shape (..., T), all >= 0.
        equity: See `total_return`.

    Raises:
        ValueError: As `turnover`.

    Example:
        >>> float(cost_share(np.array([0.0, 0.5, 0.5]), np.array([100.0, 104.0, 105.0])))
        0.01
    """
    return _over_capital("costs", costs, equity)


def exposure(cash: Floats, equity: Floats) -> Floats:
    """Return the mean share of equity that was in the market, 1 - cash / equity, over the nights of the period.

    These are the closes but for the first, which is before any trade, and the last, when all has been sold.
    NaN for a single day.

    Args:
        cash: Dollars not invested at each close, shape (..., T), all >= 0.
        equity: See `total_return`.

    Raises:
        ValueError: As `turnover`.

    Example:
        >>> float(exposure(np.array([100.0, 50.0, 0.0, 105.0]), np.array([100.0, 100.0, 104.0, 105.0])))
        0.75
    """
    _check(equity)
    _check_daily("cash", cash, equity)
    if equity.shape[-1] < 3:
        return np.full(equity.shape[:-1], np.nan)
    return np.asarray(np.mean(1.0 - cash[..., 1:-1] / equity[..., 1:-1], axis=-1))


def hit_rate(equity: Floats, units: npt.NDArray[np.int64], filled: npt.NDArray[np.int64]) -> Floats:
    """Return the share of days with a gain among the days with a position; NaN if there was never one.

    A day has a position if units were held over the night before it or bought at its open.

    Args:
        equity: See `total_return`.
        units: Units held at each close, shape (..., T), see `etfgym.ledger.Curves`.
        filled: Units bought (positive) or sold (negative) at each open, shape (..., T).

    Raises:
        ValueError: As `total_return`, or if units or orders are not one number for each day.

    Example:
        >>> equity = np.array([100.0, 101.0, 100.0, 100.0])
        >>> float(hit_rate(equity, np.array([0, 1, 0, 0]), np.array([0, 1, -1, 0])))  # in the market on two days
        0.5
    """
    gained = _returns(equity) > 0.0
    _check_daily("units", units, equity)
    _check_daily("filled", filled, equity, signed=True)
    invested = (units[..., :-1] > 0) | (filled[..., 1:] > 0)
    return _ratio((gained & invested).sum(axis=-1), invested.sum(axis=-1))


def _returns(equity: Floats) -> Floats:
    """Return daily returns, shape (..., T - 1)."""
    _check(equity)
    return np.asarray(equity[..., 1:] / equity[..., :-1] - 1.0)


def _spread(returns: Floats) -> Floats:
    if returns.shape[-1] < 2:
        return np.full(returns.shape[:-1], np.nan)
    return np.asarray(returns.std(axis=-1, ddof=1))


def _ratio(above: npt.ArrayLike, below: npt.ArrayLike) -> Floats:
    """Return the quotient, NaN where there is nothing to divide by."""
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    nothing = ~(below > FLAT)
    return np.where(nothing, np.nan, above / np.where(nothing, 1.0, below))


def _over_capital(name: str, dollars: Floats, equity: Floats) -> Floats:
    _check(equity)
    _check_daily(name, dollars, equity)
    return np.asarray(dollars.sum(axis=-1) / equity[..., 0])


def _check_daily(name: str, values: npt.NDArray[Any], equity: Floats, *, signed: bool = False) -> None:
    good = values.shape == equity.shape and bool(np.all(np.isfinite(values) if signed else values >= 0))
    if not good:
        wanted = "a number" if signed else "a number >= 0"
        msg = f"{name} must be {wanted} for each day of equity, shape {equity.shape}; got {values.tolist()!s:.60}"
        raise ValueError(msg)


def _check(equity: Floats) -> None:
    if equity.ndim == 0 or equity.shape[-1] < 2 or not bool(np.all((equity > 0) & (equity < np.inf))):  # NaN fails
        msg = f"equity must have two days or more, all positive numbers; got {equity.tolist()!s:.60}"
        raise ValueError(msg)
