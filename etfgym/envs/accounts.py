"""Accounts: n accounts trading on one Market. Both environments are thin shells around this."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from etfgym.checks import one_of
from etfgym.envs import kernel
from etfgym.envs.market import Market, as_start
from etfgym.envs.settings import REWARDS, Settings
from etfgym.prices import COLUMNS
from etfgym.sources import load

Observation = npt.NDArray[np.float32] | dict[str, npt.NDArray[np.float32]]


class Accounts:
    """The state of n accounts and what can be done with them.

    Args:
        settings: The environment's keywords.
        count: Number of accounts.

    Attributes:
        state: Shape (n,), dtype `kernel.ACCOUNT`.
        observation_space: Of one account: Box (window, 6), or a Dict of it with `account` (3,).
        action_space: Of one account: Discrete(2 * len(units) + 1).
    """

    def __init__(self, settings: Settings, count: int) -> None:
        tables = load(settings.prices, settings.tickers, min_bars=1)
        self.settings = settings
        self.market = Market(tables, window=settings.window, features=settings.features, length=settings.length)
        self.state = np.zeros(count, kernel.ACCOUNT)
        self.orders = np.array(settings.orders, np.int64)
        self._rates = settings.costs.rates
        self._clip = settings.order_policy == "clip"
        self._reward = REWARDS.index(settings.reward)
        starts = [self.market.start_rows(number, settings.start) for number in range(len(tables))]
        self._starts = np.array(starts, np.int64)  # (tables, 2)
        low, high = (np.tile(column, (settings.window, 1)) for column in (self.market.low, self.market.high))
        window = spaces.Box(low, high, dtype=np.float32)
        account = spaces.Box(0.0, 1.0, (3,), np.float32)
        both = spaces.Dict({"window": window, "account": account})
        self.observation_space: spaces.Space[Any] = both if settings.observe_account else window
        self.action_space = spaces.Discrete(len(self.orders))

    def open(self, which: npt.NDArray[np.bool_], rng: np.random.Generator, options: dict[str, Any]) -> None:
        """Start a new episode for the accounts marked in `which` (n,), drawing table and start row.

        Args:
            which: Accounts to start.
            rng: Draws the tables, then the rows.
            options: "ticker" and "start" fix what would be drawn or was given as keyword.

        Raises:
            ValueError: If an option is unknown or can't be met.
        """
        for name in options:
            one_of("reset option", name, ("ticker", "start"))
        count = int(which.sum())
        if "ticker" in options:
            ticker = one_of("ticker", options["ticker"], self.market.tickers.tolist())
            tables = np.full(count, self.market.tickers.tolist().index(ticker))
        else:
            tables = rng.integers(len(self.market.tables), size=count)
        starts = self._starts
        if "start" in options:
            starts = starts.copy()
            start = as_start(options["start"])
            for number in np.unique(tables):
                starts[number] = self.market.start_rows(int(number), start)
        rows = rng.integers(starts[tables, 0], starts[tables, 1])
        fresh = np.zeros(count, kernel.ACCOUNT)
        fresh["table"] = tables
        fresh["first"] = fresh["row"] = rows
        fresh["last"] = rows + self.settings.length
        for field in ("cash", "equity", "hold_cash", "hold_equity"):
            fresh[field] = self.settings.initial_cash
        self.state[which] = fresh

    def step(
        self, actions: npt.NDArray[np.int64], active: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """Take the active accounts through one step; return rewards (n,) and terminated (n,), new arrays."""
        rewards = np.empty(len(self.state))
        terminated = np.empty(len(self.state), np.bool_)
        market = self.market
        kernel.step_accounts(
            self.state,
            active,
            self.orders[actions],
            market.open,
            market.close,
            market.dividend,
            self._rates,
            self._clip,
            self.settings.decision_every,
            self._reward,
            float(self.settings.initial_cash),
            rewards,
            terminated,
        )
        return rewards, terminated

    def observe(self) -> Observation:
        """Return every account's observation in new arrays: (n, window, 6), or a dict of it and `account` (n, 3)."""
        window = np.empty((len(self.state), self.settings.window, len(COLUMNS)), np.float32)
        kernel.write_windows(self.state, self.market.base, self.market.scale, self.market.shift, window)
        if not self.settings.observe_account:
            return window
        shares = np.empty((len(self.state), 3), np.float32)
        kernel.write_shares(self.state, self.market.close, shares)
        return {"window": window, "account": shares}

    def masks(self) -> npt.NDArray[np.int8]:
        """Return which actions would do something, judged at the last Close, shape (n, actions)."""
        out = np.empty((len(self.state), len(self.orders)), np.int8)
        kernel.write_masks(self.state, self.orders, self.market.close, self._rates, self._clip, out)
        return out

    def info(self) -> dict[str, npt.NDArray[Any]]:
        """Return what every account's `info` says, an array (n, ...) a key; see `EtfTradingEnv`."""
        state, market = self.state, self.market
        rows = state["row"]
        info: dict[str, npt.NDArray[Any]] = {
            "ticker": market.tickers[state["table"]],
            "date": market.dates[rows],
            "price": market.close[rows],
        }
        for name in ("requested", "filled", "cash", "units", "equity", "fees", "dividends"):
            info[name] = state[name].copy()
        info["action_mask"] = self.masks()
        return info
