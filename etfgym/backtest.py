"""A policy on a period of a table: BacktestResult, the account day by day and what it comes to."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from etfgym import hindsight, metrics
from etfgym.envs.etf import EtfTradingEnv
from etfgym.envs.etf_vector import EtfTradingVectorEnv
from etfgym.envs.settings import Settings
from etfgym.ledger import Costs, Curves, implied_dividends, run_orders
from etfgym.policies import Policy, Replay
from etfgym.prices import PriceTable
from etfgym.splits import Period


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """What one policy did on one ticker in one period.

    `dates` has shape (L + 1,): the eve and the L days traded, as in `curves`. `open_prices` and `close_prices` are
    those of the L days, dollars.
    """

    ticker: str
    dates: npt.NDArray[np.datetime64]
    curves: Curves
    open_prices: npt.NDArray[np.float64]
    close_prices: npt.NDArray[np.float64]
    costs: Costs

    @property
    def total_return(self) -> float:
        """Profit over initial cash, a fraction."""
        return float(metrics.total_return(self.curves.equity))

    @property
    def sharpe(self) -> float:
        """See `metrics.sharpe`; NaN if the account never moved."""
        return float(metrics.sharpe(self.curves.equity))

    @property
    def max_drawdown(self) -> float:
        """See `metrics.max_drawdown`."""
        return float(metrics.max_drawdown(self.curves.equity))

    @property
    def quoted_value(self) -> float:
        """Dollars bought and sold at the quoted prices, the closing sale included."""
        at_open = float(np.abs(self.curves.filled[1:]) @ self.open_prices)
        return at_open + self._sold_at_the_end * float(self.close_prices[-1])

    @property
    def turnover(self) -> float:
        """Value bought and sold over initial cash."""
        return self.quoted_value / float(self.curves.equity[0])

    @property
    def cost(self) -> float:
        """Dollars lost to commission, fixed fees and slippage."""
        return float(self.curves.fees.sum()) + self.quoted_value * self.costs.slippage_bps / 10_000

    @property
    def trades(self) -> int:
        """Orders filled, the closing sale included."""
        return int(np.count_nonzero(self.curves.filled)) + int(self._sold_at_the_end > 0)

    @property
    def _sold_at_the_end(self) -> int:
        return int(self.curves.units[-2] + self.curves.filled[-1])


def backtest(policy: Policy, table: PriceTable, period: Period, **keywords: Any) -> BacktestResult:
    """Trade `period` with `policy` and return the account day by day.

    Args:
        policy: See `etfgym.policies.Policy`. Its `env_keywords`, if it has any, override `keywords`. If its `predict`
            takes `action_masks`, as sb3-contrib's maskable models do, it gets `info["action_mask"]`.
        table: Prices, with at least a window before the period.
        period: From `etfgym.splits`.
        **keywords: Of the environment, see `etfgym.envs.settings.Settings`.

    Example:
        >>> from etfgym.policies import BuyAndHold
        >>> from etfgym.sources import load
        >>> from etfgym.splits import Fold, split_by_fold
        >>> table = load("builtin", "SP500")[0]
        >>> round(backtest(BuyAndHold(), table, split_by_fold(table, Fold(2018)).test).total_return, 4)
        -0.0674
    """
    keywords = keywords | getattr(policy, "env_keywords", {})
    env = EtfTradingEnv(prices=table, start=period.eve, length=period.days, **keywords)
    masked = _takes_masks(policy)
    observation, info = env.reset(seed=0)  # ticker and start are fixed: nothing is left to chance
    orders = np.zeros(period.days, np.int64)
    state, first, over, day = None, np.ones(1, np.bool_), False, 0
    while not over:
        given = {"action_masks": info["action_mask"]} if masked else {}
        action, state = policy.predict(observation, state=state, episode_start=first, deterministic=True, **given)
        observation, _, over, _, info = env.step(int(action))
        orders[day] = info["requested"]
        day += env.settings.decision_every
        first = np.zeros(1, np.bool_)
    return _account(table, period, orders, env.settings)


def backtest_together(
    policy: Policy, tables: Sequence[PriceTable], periods: Sequence[Period], **keywords: Any
) -> list[BacktestResult]:
    """Trade each period with `policy` as `backtest` does, tables that have the same days side by side.

    It is the quicker way for a network, which decides for many accounts as fast as for one.

    Args:
        policy: Whose `predict` takes batches of observations.
        tables: Prices; shape (n,).
        periods: One a table.
        **keywords: As in `backtest`.
    """
    results: dict[int, BacktestResult] = {}
    masked = _takes_masks(policy)
    days = [(period.eve, period.days) for period in periods]
    for eve, length in dict.fromkeys(days):
        chosen = [number for number, found in enumerate(days) if found == (eve, length)]
        group = [tables[number] for number in chosen]
        env = EtfTradingVectorEnv(len(group), prices=group, start=eve, length=length, **keywords)
        observation, info = env.reset(seed=0, options={"ticker": [table.ticker for table in group]})
        orders = np.zeros((len(group), length), np.int64)
        state, first = None, np.ones(len(group), np.bool_)
        for day in range(0, length, env.settings.decision_every):
            given = {"action_masks": info["action_mask"]} if masked else {}
            actions, state = policy.predict(observation, state=state, episode_start=first, deterministic=True, **given)
            observation, _, _, _, info = env.step(actions)
            orders[:, day] = info["requested"]
            first = np.zeros(len(group), np.bool_)
        for row, number in zip(orders, chosen, strict=True):
            results[number] = _account(tables[number], periods[number], row, env.settings)
    return [results[number] for number in range(len(tables))]


def hindsight_policy(table: PriceTable, period: Period, **keywords: Any) -> Replay:
    """Return the policy that plays the best orders of `period`, found with all of it known; see `etfgym.hindsight`.

    Args:
        table: Prices.
        period: From `etfgym.splits`.
        **keywords: Of the environment that the agent trades in.
    """
    settings = Settings.from_keywords(keywords)
    orders = hindsight.best_orders(
        *_days(table, period),
        initial_cash=settings.initial_cash,
        costs=settings.costs,
        units=settings.units,
        order_policy=settings.order_policy,
        decision_every=settings.decision_every,
    )
    allowed = hindsight.allowed_orders(settings.units, settings.order_policy)
    actions = [allowed.index(order) for order in orders.tolist()]
    return Replay(actions, hindsight.env_keywords(settings.units, settings.order_policy))


def _takes_masks(policy: Policy) -> bool:
    return "action_masks" in inspect.signature(policy.predict).parameters


def _account(table: PriceTable, period: Period, orders: npt.NDArray[np.int64], settings: Settings) -> BacktestResult:
    """Return the account that these orders make, through the same ledger as the environment's."""
    opens, closes, dividends = _days(table, period)
    clip = settings.order_policy == "clip"
    curves = run_orders(
        orders, opens, closes, dividends, initial_cash=settings.initial_cash, costs=settings.costs, clip=clip
    )
    dates = np.append(period.eve, table.dates[_rows(table, period)])
    return BacktestResult(table.ticker, dates, curves, opens, closes, settings.costs)


def _rows(table: PriceTable, period: Period) -> slice:
    """Return the rows of the days traded."""
    first = int(np.searchsorted(table.dates, period.first))
    return slice(first, first + period.days)


def _days(table: PriceTable, period: Period) -> tuple[npt.NDArray[np.float64], ...]:
    """Return opens, closes and dividends of the days traded, each (L,)."""
    rows = _rows(table, period)
    return table.open[rows].copy(), table.close[rows].copy(), implied_dividends(table.close, table.adj_close)[rows]
