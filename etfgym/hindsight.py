"""The best that could have been done in a year, known only afterwards: the ceiling in every report.

Exact dynamic programming over units held: of two histories that hold equal units, the one with more cash can do
whatever the other can, so only the most cash for each number of units needs to be kept. Under `"reject"` the result
is the optimum over the environment's own orders. Under `"clip"`, where a fill may be any part of an order, the
orders allowed are every number of units up to the largest; that is an upper bound, which some five-action
sequence may or may not reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from etfgym.checks import one_of
from etfgym.ledger import ORDER_POLICIES, Costs, action_orders, fill_order, liquidate

Floats = npt.NDArray[np.float64]

MOST_STATES = 200_000


def best_orders(
    open_prices: Floats,
    close_prices: Floats,
    dividends: Floats,
    *,
    initial_cash: float,
    costs: Costs,
    units: Sequence[int] = (20, 10),
    order_policy: str = "clip",
    decision_every: int = 1,
) -> npt.NDArray[np.int64]:
    """Return the units to order at each decision, shape (ceil(L / decision_every),), for the most money at the end.

    Args:
        open_prices: Where each day's order fills, shape (L,), dollars.
        close_prices: Shape (L,), dollars; on the last one everything is sold.
        dividends: Dollars a unit held over the night before, shape (L,).
        initial_cash: Dollars at the start.
        costs: What trades cost.
        units: Units of the environment's buy actions.
        order_policy: "reject": orders are those of `units`, exact. "clip": any number up to the largest.
        decision_every: Days from one decision to the next.

    Raises:
        ValueError: If the units are so many that the states can't be listed.

    Example:
        >>> opens, closes = np.array([10.0, 20.0]), np.array([15.0, 25.0])
        >>> best_orders(opens, closes, 0 * opens, initial_cash=30.0, costs=Costs()).tolist()
        [2, 0]
    """
    orders = np.array(allowed_orders(units, order_policy), np.int64)
    days = open_prices.size
    states = min(days * int(orders.max()), _most_units(open_prices, close_prices, dividends, initial_cash)) + 1
    if states > MOST_STATES:
        msg = f"hindsight would need {states} states of units held, more than {MOST_STATES}; use smaller units"
        raise ValueError(msg)
    return np.asarray(
        _solve(
            orders, open_prices, close_prices, dividends, float(initial_cash), costs.rates, states, int(decision_every)
        )
    )


def allowed_orders(units: Sequence[int], order_policy: str) -> tuple[int, ...]:
    """Return the orders that hindsight may give, buys first, then 0, then the sales mirrored.

    This is also the action list of an environment made with `env_keywords(units, order_policy)`.
    """
    clipped = one_of("order_policy", order_policy, ORDER_POLICIES) == "clip"
    return action_orders(range(max(units), 0, -1) if clipped else units)


def env_keywords(units: Sequence[int], order_policy: str) -> dict[str, Any]:
    """Return the keywords of an environment in which hindsight's orders are actions and are filled as planned."""
    orders = allowed_orders(units, order_policy)
    return {"units": orders[: len(orders) // 2], "order_policy": "reject"}


def _most_units(open_prices: Floats, close_prices: Floats, dividends: Floats, cash: float) -> int:
    """Return a bound on the units that any account could ever hold: by each day's best growth, all in."""
    before = np.append(open_prices[0], close_prices[:-1])
    overnight = (np.maximum(open_prices, close_prices) + dividends) / np.minimum(before, open_prices)
    wealth = cash * np.cumprod(np.maximum(overnight, 1.0) * np.maximum(close_prices / open_prices, 1.0))
    return int(min(np.max(wealth / np.minimum(open_prices, close_prices)), 1e15)) + 1


@numba.njit(cache=True)
def _solve(  # noqa: C901 (one loop nest, read in one go)
    orders: npt.NDArray[np.int64],
    opens: Floats,
    closes: Floats,
    dividends: Floats,
    initial_cash: float,
    rates: tuple[float, float, float],
    states: int,
    decision_every: int,
) -> npt.NDArray[np.int64]:
    days = opens.size
    decisions = (days + decision_every - 1) // decision_every
    most_cash = np.full(states, -1.0)  # for each number of units held; -1: can't be reached
    most_cash[0] = initial_cash
    held_most = 0  # the largest number of units that can be reached
    chosen = np.zeros((decisions, states), np.int32)  # the order that led to each number of units
    for day in range(days):
        for held in range(held_most + 1):
            if most_cash[held] >= 0.0:
                most_cash[held] += held * dividends[day]
        if day % decision_every:
            continue
        after = np.full(states, -1.0)
        reached = held_most
        for held in range(held_most + 1):
            if most_cash[held] < 0.0:
                continue
            for order in orders:
                cash, units, filled, _ = fill_order(most_cash[held], held, order, opens[day], rates, False)
                if filled == order and cash > after[units]:
                    after[units] = cash
                    chosen[day // decision_every, units] = order
                    reached = max(reached, units)
        most_cash, held_most = after, reached
    best, units = -1.0, 0
    for held in range(held_most + 1):
        if most_cash[held] >= 0.0:
            cash, _ = liquidate(most_cash[held], held, closes[days - 1], rates)
            if cash > best:
                best, units = cash, held
    plan = np.zeros(decisions, np.int64)
    for decision in range(decisions - 1, -1, -1):
        plan[decision] = chosen[decision, units]
        units -= plan[decision]
    return plan
