"""The accounting, written once: orders, fills, costs, dividends, cash. Everything that trades calls this.

One day of one account (`trade_day`), in this order: the dividend on units held over the night is paid, the order
fills at the open, on the last day everything is sold at the close, and the account is valued at the close.

These functions are plain Python, readable and slow; the environments compile them unchanged with numba
(`register_jitable`), and a test holds the two equal to the bit. Fills are whole units; money is in dollars.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from numba.extending import register_jitable

from etfgym.checks import real_number

ALL = 10**18
"""An order of this many units means as many as cash or holdings allow (under the order policy "clip")."""

ORDER_POLICIES = ("clip", "reject")
"""What becomes of an order that cash or holdings can't cover: filled as far as they go, or not at all."""

DIVIDEND_ROUNDING = 5e-6
"""Fraction of the Close below which an implied dividend is rounding of the published columns, and none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What one trade costs.

    Raises:
        ValueError: If a value is out of its range, with the likely fix.
    """

    commission: float = 0.001
    """Broker fee as a fraction of traded value, in [0, 0.1); 0.001 is ten basis points."""
    fixed_fee: float = 0.0
    """Dollars for each order that is filled, >= 0."""
    slippage_bps: float = 0.0
    """Basis points by which a buy fills above and a sale below the quoted price, in [0, 1000)."""

    def __post_init__(self) -> None:
        for name in ("commission", "fixed_fee", "slippage_bps"):
            real_number(name, getattr(self, name))
        if not 0 <= self.commission < 0.1:
            fix = self.commission / 10_000
            hint = f" (basis points? then write {fix:g})" if 0 < fix < 0.1 else ""
            msg = f"commission is a fraction of traded value in [0, 0.1), got {self.commission:g}{hint}"
            raise ValueError(msg)
        if not 0 <= self.fixed_fee < float("inf"):
            msg = f"fixed_fee is in dollars an order and >= 0, got {self.fixed_fee:g}"
            raise ValueError(msg)
        if not 0 <= self.slippage_bps < 1000:
            msg = f"slippage_bps is in basis points in [0, 1000), got {self.slippage_bps:g}"
            raise ValueError(msg)

    @property
    def rates(self) -> tuple[float, float, float]:
        """Commission (fraction), fixed fee (dollars) and slippage (fraction), as the functions below take them."""
        return float(self.commission), float(self.fixed_fee), self.slippage_bps / 10_000.0


def action_orders(units: Sequence[int]) -> tuple[int, ...]:
    """Return the units that each action orders: the buys as given, hold, the sales mirrored.

    Example:
        >>> action_orders((20, 10))
        (20, 10, 0, -10, -20)
    """
    return (*units, 0, *(-number for number in reversed(units)))


def implied_dividends(close: npt.NDArray[np.float64], adj_close: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the cash paid on each ex-date per unit held over the night before, in dollars, shape (T,).

    Yahoo's Adj Close scales the past by 1 - dividend / Close[t - 1] at each ex-date t, so
    dividend[t] = Close[t-1] * (1 - (Adj[t-1] / Close[t-1]) / (Adj[t] / Close[t])); the first row pays none.

    Example:
        >>> implied_dividends(np.array([100.0, 99.0]), np.array([99.0, 99.0]))
        array([0., 1.])
    """
    factor = adj_close / close
    fraction = 1.0 - factor[:-1] / factor[1:]
    fraction[fraction < DIVIDEND_ROUNDING] = 0.0
    return np.concatenate(([0.0], close[:-1] * fraction))


@register_jitable(forceinline=True)
def fill_order(
    cash: float,
    units: int,
    order: int,
    price: float,
    rates: tuple[float, float, float],
    clip: bool,
    tries: int = ALL,
) -> tuple[float, int, int, float]:
    """Fill one order and return (cash, units, filled, fee).

    Args:
        cash: Dollars in the account, >= 0.
        units: Units held, >= 0.
        order: Units wanted: positive buys, negative sells.
        price: Quoted price of a unit, dollars, > 0; slippage is added here.
        rates: Commission, fixed fee and slippage, see `Costs.rates`.
        clip: Fill what cash or holdings can't cover as far as they go (True) or not at all (False).
        tries: How often a purchase that is not covered may be made smaller by one unit. Two are enough for anything
            but absurd numbers of units; where they are not, the cash returned is NaN. See `etfgym.envs.kernel`.
    """
    if order == 0:
        return cash, units, 0, 0.0
    commission, fixed_fee, slippage = rates
    price = price * (1.0 + (slippage if order > 0 else -slippage))
    filled = max(order, -units)
    if order > 0:
        # The division may round either way, so start one above what it says and come down to what cash covers.
        affordable = int((cash - fixed_fee) / (price * (1.0 + commission))) + 1 if cash > fixed_fee else 0
        filled = min(order, affordable)
    left, fee = _after_fill(cash, filled, price, rates)
    tried = 0  # counted up: the compiler then unrolls what it knows the number of
    while left < 0.0 and filled > 0 and tried < tries:
        tried += 1
        filled -= 1
        left, fee = _after_fill(cash, filled, price, rates)
    if left < 0.0 and filled > 0:
        return math.nan, units, 0, 0.0
    if filled == 0 or (filled != order and not clip) or left < 0.0:  # the last: a sale that would not pay its fee
        return cash, units, 0, 0.0
    return left, units + filled, filled, fee


@register_jitable(forceinline=True)
def _after_fill(cash: float, filled: int, price: float, rates: tuple[float, float, float]) -> tuple[float, float]:
    """Return (cash, fee) after `filled` units were bought (positive) or sold (negative) at `price`, dollars."""
    value = filled * price
    fee = rates[1] + rates[0] * abs(value)
    return cash - (value + fee), fee


@register_jitable(forceinline=True)
def liquidate(cash: float, units: int, price: float, rates: tuple[float, float, float]) -> tuple[float, float]:
    """Sell every unit and return (cash, fee); the fee never takes more than the account then holds."""
    if units == 0:
        return cash, 0.0
    commission, fixed_fee, slippage = rates
    value = units * (price * (1.0 - slippage))
    fee = fixed_fee + commission * value
    if fee >= cash + value:  # not cash + (value - fee): that can round to just below zero
        return 0.0, cash + value
    return cash + (value - fee), fee


@register_jitable(forceinline=True)
def trade_day(
    cash: float,
    units: int,
    order: int,
    open_price: float,
    close_price: float,
    dividend: float,
    last: bool,
    rates: tuple[float, float, float],
    clip: bool,
    tries: int = ALL,
) -> tuple[float, int, int, float, float, float]:
    """Take an account through one bar and return (cash, units, filled, fees, dividends, equity).

    Args:
        cash: Dollars at the evening before.
        units: Units held over the night.
        order: Units wanted at this open.
        open_price: Where the order fills, dollars.
        close_price: Where the account is valued, and sold out if `last`, dollars.
        dividend: Dollars paid at this open for each unit held over the night.
        last: Whether the account is closed on this bar.
        rates: See `Costs.rates`.
        clip: See `fill_order`.
        tries: See there.
    """
    dividends = units * dividend
    cash, units, filled, fees = fill_order(cash + dividends, units, order, open_price, rates, clip, tries)
    if last:
        cash, closing_fee = liquidate(cash, units, close_price, rates)
        return cash, 0, filled, fees + closing_fee, dividends, cash
    return cash, units, filled, fees, dividends, cash + units * close_price


@dataclass(frozen=True, slots=True)
class Curves:
    """An account day by day, arrays of shape (L + 1,), the first entry before any trade.

    `cash`, `equity`, `fees` and `dividends` are dollars, `units` those held at the close, `filled` the signed units
    of the order filled that day. The closing sale is in `fees` and `cash`, not in `filled`; `units` ends at 0.
    """

    cash: npt.NDArray[np.float64]
    units: npt.NDArray[np.int64]
    filled: npt.NDArray[np.int64]
    fees: npt.NDArray[np.float64]
    dividends: npt.NDArray[np.float64]
    equity: npt.NDArray[np.float64]


def run_orders(
    orders: npt.NDArray[np.int64],
    open_prices: npt.NDArray[np.float64],
    close_prices: npt.NDArray[np.float64],
    dividends: npt.NDArray[np.float64],
    *,
    initial_cash: float,
    costs: Costs,
    clip: bool = True,
) -> Curves:
    """Trade a whole list of orders, one a day, and close the account on the last day.

    Args:
        orders: Units wanted at each open, shape (L,).
        open_prices: Shape (L,), dollars.
        close_prices: Shape (L,), dollars.
        dividends: Dollars a unit held over the night before, shape (L,).
        initial_cash: Dollars at the start.
        costs: What trades cost.
        clip: See `fill_order`.

    Raises:
        ValueError: If prices or dividends are not one number for each order.

    Example:
        >>> one, free = np.ones(2), Costs(commission=0.0)
        >>> run_orders(np.array([5, 0]), 10 * one, 11 * one, 0 * one, initial_cash=100.0, costs=free).equity
        array([100., 105., 105.])
    """
    wanted = np.asarray(orders, np.int64)
    opens, closes, paid = (np.asarray(path, np.float64) for path in (open_prices, close_prices, dividends))
    if not wanted.shape == opens.shape == closes.shape == paid.shape == (wanted.size,):  # numba checks no bounds
        shapes = ", ".join(str(path.shape) for path in (wanted, opens, closes, paid))
        msg = f"orders, opens, closes and dividends must all have one shape (L,), got {shapes}"
        raise ValueError(msg)
    return Curves(*_run_orders(wanted, opens, closes, paid, float(initial_cash), costs.rates, clip))


@numba.njit(cache=True)
def _run_orders(
    orders: npt.NDArray[np.int64],
    opens: npt.NDArray[np.float64],
    closes: npt.NDArray[np.float64],
    dividends: npt.NDArray[np.float64],
    cash: float,
    rates: tuple[float, float, float],
    clip: bool,
) -> tuple[npt.NDArray[Any], ...]:
    days = orders.size
    money = np.zeros((4, days + 1))  # cash, fees, dividends, equity
    counts = np.zeros((2, days + 1), np.int64)  # units, filled
    money[0, 0] = money[3, 0] = cash
    units = 0
    for day in range(days):
        cash, units, filled, fees, paid, equity = trade_day(
            cash, units, orders[day], opens[day], closes[day], dividends[day], day == days - 1, rates, clip
        )
        money[:, day + 1] = np.array((cash, fees, paid, equity))
        counts[:, day + 1] = np.array((units, filled))
    return money[0], counts[0], counts[1], money[1], money[2], money[3]
