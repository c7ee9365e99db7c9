"""Accounts: n accounts trading on one Market. Both environments are thin shells around this."""

from __future__ import annotations

import functools
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from etfgym.checks import one_of
from etfgym.envs import kernel
from etfgym.envs.buffers import Recycled
from etfgym.envs.market import Market, as_start
from etfgym.envs.settings import REWARDS, Settings
from etfgym.prices import COLUMNS
from etfgym.sources import load

Observation = npt.NDArray[np.float32] | dict[str, npt.NDArray[Any]]
Bools = npt.NDArray[np.bool_]
State = npt.NDArray[np.void]


class WrongActionError(ValueError):
    """An action is not a number of the action space."""


class Accounts:
    """The state of n accounts and what can be done with them.

    Args:
        settings: The environment's keywords.
        count: Number of accounts.
        num_threads: Threads that share the accounts out among them; the results are the same for any number.

    Attributes:
        settings: The keywords in force.
        market: What is traded.
        state: Shape (n,), dtype `kernel.ACCOUNT`; at all times equity = cash + units x close of the row. Each step
            makes a new one, so what was read from it keeps its values.
        orders: Units that each action orders, shape (actions,), int64.
        rates: See `etfgym.ledger.Costs.rates`.
        clip: Whether `order_policy` is "clip".
        reward: `kernel.PNL`, `kernel.LOG` or `kernel.EXCESS`.
        terms: The keywords as the kernels read them, shape (7,), float64: rates, initial cash, clip,
            decision_every, reward.
        observation_space: Of one account: Box (window, 6), or a Dict of it with `account` (3,), or of `row` (1,) and
            `account`.
        action_space: Of one account: Discrete(2 * len(units) + 1).
    """

    def __init__(self, settings: Settings, count: int, num_threads: int = 1) -> None:
        tables = load(settings.prices, settings.tickers, min_bars=1)
        self.settings = settings
        self.market = Market(tables, window=settings.window, features=settings.features, length=settings.length)
        self.orders = np.array(settings.orders, np.int64)
        self.rates = settings.costs.rates
        self.clip = settings.order_policy == "clip"
        self.reward = REWARDS.index(settings.reward)
        every = min(settings.decision_every, settings.length)
        self.terms = np.array([*self.rates, settings.initial_cash, self.clip, every, self.reward], np.float64)
        starts = [self.market.start_rows(number, settings.start) for number in range(len(tables))]
        self._starts = np.array(starts, np.int64)  # (tables, 2)
        bounds = [count * part // num_threads for part in range(num_threads + 1)]
        self._parts: list[tuple[Any, ...]] = [
            (*part, np.zeros(1, kernel.DESK)) for part in itertools.pairwise(bounds)
        ]  # a thread's share: first account, last + 1, and where it works
        shapes = {"window": (settings.window, len(COLUMNS)), "row": (1,), "account": (3,)}
        types = {"window": np.float32, "row": np.int32, "account": np.float32}
        self._buffers = {name: Recycled((count, *shapes[name]), types[name]) for name in self._names()}
        self._absent = {name: np.empty((0, *shapes[name]), types[name]) for name in shapes}
        self._states = Recycled((count,), kernel.ACCOUNT)
        self.state = self._states.take()
        self.state[:] = np.zeros(count, kernel.ACCOUNT)
        self.observation_space = self._space()
        self.action_space = spaces.Discrete(len(self.orders))

    def _names(self) -> tuple[str, ...]:
        """Return what is observed."""
        if self.settings.observe == "index":
            return "row", "account"
        return ("window", "account") if self.settings.observe_account else ("window",)

    def _space(self) -> spaces.Space[Any]:
        low, high = (np.tile(column, (self.settings.window, 1)) for column in (self.market.low, self.market.high))
        every: dict[str, spaces.Space[Any]] = {
            "window": spaces.Box(low, high, dtype=np.float32),
            "row": spaces.Box(0, len(self.market.close) - 1, (1,), np.int32),
            "account": spaces.Box(0.0, 1.0, (3,), np.float32),
        }
        names = self._names()
        return every["window"] if names == ("window",) else spaces.Dict({name: every[name] for name in names})

    def open(self, which: Bools, rng: np.random.Generator, options: dict[str, Any]) -> None:
        """Start a new episode for the accounts marked in `which` (n,), drawing table and start row.

        Args:
            which: Accounts to start.
            rng: Draws the tables, then the rows.
            options: "ticker" and "start" fix what would be drawn or was given as keyword; "ticker" is one for all, or
                a list of one for each account started.

        Raises:
            ValueError: If an option is unknown or can't be met.
        """
        for name in options:
            one_of("reset option", name, ("ticker", "start"))
        count = int(which.sum())
        if "ticker" in options:
            known, asked = self.market.tickers.tolist(), options["ticker"]
            names = [asked] * count if isinstance(asked, str) else list(asked)
            if len(names) != count:
                msg = f"ticker must be one for all or one for each of the {count} accounts started, got {len(names)}"
                raise ValueError(msg)
            tables = np.array([known.index(one_of("ticker", name, known)) for name in names])
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
        fresh["cash"] = fresh["equity"] = self.settings.initial_cash
        state = self._states.take()
        state[:] = self.state
        state[which] = fresh
        self.state = state

    def step(
        self, actions: npt.NDArray[np.int64], idle: Bools
    ) -> tuple[Observation, npt.NDArray[np.float64], Bools, int]:
        """Take the accounts that are not `idle` through one step.

        Args:
            actions: Shape (n,), each a number of the action space.
            idle: Shape (n,).

        Returns:
            Observations, rewards (n,), terminated (n,), all of them new arrays, and how many are terminated.

        Raises:
            WrongActionError: If an action is not of the action space; nothing has changed then.
        """
        before, after = self.state, self._states.take()
        seen = self._take()
        rewards, terminated = np.empty(len(before)), np.empty(len(before), np.bool_)
        market, given = self.market, (before, after, idle, actions, self.orders, self.terms)
        arrays: tuple[Any, ...] = *given, market.prices, market.features, *seen.values(), rewards, terminated
        mine, *others = self._parts
        if not others:
            counts = [kernel.step_accounts(*mine, *arrays)]
        else:
            threads = _threads(len(others), os.getpid())
            running = [threads.submit(kernel.step_accounts, *part, *arrays) for part in others]
            counts = [kernel.step_accounts(*mine, *arrays)]
            counts += [part.result() for part in running]
        if min(counts) < 0:
            raise WrongActionError
        self.state = after
        return self._named(seen), rewards, terminated, sum(counts)

    def observe(self) -> Observation:
        """Return every account's observation in new arrays, (n, ...) or a dict of them."""
        seen = self._take()
        self._write(np.ones(len(self.state), np.bool_), seen)
        return self._named(seen)

    def observe_again(self, which: Bools, observation: Observation) -> None:
        """Write the observations of the accounts marked in `which` (n,) into `observation`."""
        given = observation if isinstance(observation, dict) else {"window": observation}
        self._write(which, self._absent | given)

    def _take(self) -> dict[str, npt.NDArray[Any]]:
        """Return arrays for the kernels to write, without rows for what is not observed."""
        seen = self._absent.copy()
        for name, buffers in self._buffers.items():
            seen[name] = buffers.take()
        return seen

    def _write(self, which: Bools, seen: dict[str, npt.NDArray[Any]]) -> None:
        kernel.write_observations(self.state, which, self.market.prices, self.market.features, *seen.values())

    def _named(self, seen: dict[str, npt.NDArray[Any]]) -> Observation:
        """Return observations as the space has them."""
        if len(self._buffers) == 1:
            return seen["window"]
        return {name: seen[name] for name in self._buffers}

    def masks(self, state: State) -> npt.NDArray[np.int8]:
        """Return which actions would do something, judged at the last Close, shape (n, actions)."""
        out = np.empty((len(state), len(self.orders)), np.int8)
        kernel.write_masks(state, self.orders, self.terms, self.market.prices, out)
        return out

    def deeds(self, before: State, actions: npt.NDArray[np.int64], idle: Bools) -> State:
        """Return what the step from `before` did in every account, dtype `kernel.STEP`; zeros where it was idle."""
        out = np.empty(len(before), kernel.STEP)
        kernel.write_steps(before, idle, actions, self.orders, self.terms, self.market.prices, out)
        return out


@functools.cache
def _threads(count: int, process: int) -> ThreadPoolExecutor:
    """Return a pool of `count` threads; `process` is part of its name because threads do not survive a fork."""
    return ThreadPoolExecutor(count, thread_name_prefix=f"etfgym-{process}")
