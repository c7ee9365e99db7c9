"""Replay for the trading environments: 16 bytes a transition, from which everything else is worked out again.

The market doesn't answer to an order, so the account (row, bars left, units, cash) at a decision tells the
observation, and with an action the reward and what follows, float for float what the environment gave: both call the
functions of `etfgym.envs.kernel`. So it is known, too, what every other action would have come to.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from agents.market_kernel import NO_ACTION, replay_accounts, store_accounts
from agents.network import Shape
from agents.replay import Batch, Bools, Integers, Replay, Rings
from agents.settings import DQNConfig
from etfgym.envs.accounts import Accounts
from etfgym.envs.etf_vector import EtfTradingVectorEnv
from etfgym.prices import COLUMNS

MAX_UNITS, MAX_ROWS, MAX_LENGTH = (1 << 24) - 1, (1 << 24) - 1, (1 << 12) - 1
"""What fits into a slot's word, see `agents.market_kernel.unpack`."""


def check_fits(rows: int, length: int, actions: int, most_actions: int) -> None:
    """Raise ValueError if a market's rows, an episode's bars or the actions don't fit into a slot's word."""
    limits = (("rows of prices", rows, MAX_ROWS), ("bars an episode", length, MAX_LENGTH))
    for what, value, most in (*limits, ("actions", actions, most_actions)):
        if value > most:
            msg = f"the replay takes at most {most:,} {what}, got {value:,}; use fewer"
            raise ValueError(msg)


def check_units(most: int) -> None:
    """Raise ValueError if the largest number of units held doesn't fit into a slot's word."""
    if most > MAX_UNITS:
        msg = f"the replay takes at most {MAX_UNITS:,} units an account, got {most:,}; start with less cash"
        raise ValueError(msg)


class MarketReplay(Rings):
    """Transitions of an `EtfTradingVectorEnv`, with the interface of `Replay`.

    Args:
        accounts: The environment's; read when a transition is added.
        capacity: Slots in all; an episode takes one more than it has transitions.
        counterfactual: Batches tell what every action would have earned and led to.
        **rings: See `Rings`.

    Raises:
        ValueError: If the market or the account doesn't fit into a slot.
    """

    def __init__(self, accounts: Accounts, capacity: int, *, counterfactual: bool = False, **rings: float) -> None:
        super().__init__(capacity, len(accounts.state), **rings)  # type: ignore[arg-type]
        settings, market = accounts.settings, accounts.market
        check_fits(len(market.close), settings.length, len(accounts.orders), NO_ACTION)
        self._accounts = accounts
        self.counterfactual = counterfactual
        self.words = np.full(self.num_envs * self.length, NO_ACTION, np.uint64)
        self.cash = np.zeros(self.num_envs * self.length)
        self._window = settings.window * len(COLUMNS)
        self._rest = 3 if settings.observe_account else 0
        self._market = (market.base, market.scale, market.shift, market.open, market.close, market.dividend)
        self._rules = (market.paid_so_far, accounts.rates, accounts.clip, accounts.reward)
        self._episode = (settings.decision_every, settings.length, float(settings.initial_cash))

    def holds(self, slots: Integers) -> Bools:
        """See `Rings`."""
        held: Bools = (self.words[slots] & np.uint64(15)) != NO_ACTION
        return held

    def forget(self, slots: Integers) -> None:
        """See `Rings`."""
        self.words[slots] |= np.uint64(NO_ACTION)

    def tensors(self) -> dict[str, Tensor]:
        """See `Rings`."""
        own = {"words": torch.from_numpy(self.words.view(np.int64)), "cash": torch.from_numpy(self.cash)}
        return super().tensors() | own

    def begin(self, envs: Integers, rows: Tensor, masks: Bools | None = None) -> None:
        """Take note of the accounts as they are, at the beginning of an episode; see `Replay.begin`."""
        del rows, masks  # they follow from the account
        state, slots = self._accounts.state, self.advance(envs)
        units, row, last, cash = (state[name] for name in ("units", "row", "last", "cash"))
        most = store_accounts(envs, slots, units, row, last, cash, self.words, self.cash)
        check_units(most)

    def add(
        self,
        envs: Integers,
        actions: Integers,
        rewards: object,
        kinds: object,
        rows: Tensor,
        masks: Bools | None = None,
    ) -> None:
        """Add a transition to the ring of each of `envs`; see `Replay.add`."""
        del rewards, kinds
        slots = self.newest(envs)
        self.words[slots] ^= (NO_ACTION ^ actions).astype(np.uint64)
        if self.priorities is not None:
            self.priorities.add(slots)
        self.begin(envs, rows, masks)

    def observe(self, slots: Integers) -> Tensor:
        """Return the observations (B, D) of these slots."""
        return self._work_out(slots, 0)[0]

    def sample(self, count: int, rng: np.random.Generator, importance: float = 1.0) -> Batch:
        """Return `count` transitions; see `Replay.sample`."""
        slots, weights = self.draw(count, rng, importance)
        observations, actions, rewards, discounts, following, rests, masks = self._work_out(slots, self.n_step)
        next_rests = rests if self.counterfactual and self._rest else None
        return Batch(slots, observations, actions, rewards, discounts, following, next_rests, masks, weights)

    def _work_out(self, slots: Integers, steps: int) -> tuple[Tensor, ...]:
        count, orders = len(slots), self._accounts.orders
        branches = len(orders) if self.counterfactual else 1
        size = self._window + self._rest
        out = (
            np.empty((count, size), np.float32),
            np.empty(count, np.int64),
            np.empty((count, branches), np.float32),
            np.empty((count, 1), np.float32),
            np.empty((count, size), np.float32),
            np.empty((count, branches, 3), np.float32),
            np.empty((count, branches, len(orders)), np.bool_),
        )
        replay_accounts(
            slots, self.words, self.cash, self.length, steps, self.gamma, self.counterfactual,
            orders, self._market, self._rules, self._episode, len(COLUMNS), *out,
        )  # fmt: skip
        return tuple(torch.from_numpy(part) for part in out)


def make_replay(
    envs: VectorEnv[Any, Any, Any], config: DQNConfig, shape: Shape, actions: int | None, device: str
) -> Replay | MarketReplay:
    """Return the replay for these environments: of accounts where they are our market, else of observations.

    Args:
        envs: Those that will fill it.
        config: Settings of the learner.
        shape: Of an observation.
        actions: How many there are, if the environments say which are allowed; else None.
        device: Where the observations lie.

    Raises:
        ValueError: If `counterfactual` is asked of an environment that can't know.
    """
    rings: dict[str, Any] = {name: getattr(config, name) for name in ("n_step", "gamma", "priority_exponent")}
    if isinstance(envs, EtfTradingVectorEnv) and not config.clip_rewards:
        return MarketReplay(envs.accounts, config.buffer_size, counterfactual=config.counterfactual, **rings)
    if config.counterfactual:
        msg = "counterfactual=True needs environments that know every action's outcome: an EtfTradingVectorEnv"
        raise ValueError(msg)
    stack, dtype = (shape.frames[0], torch.uint8) if shape.frames else (1, torch.float32)
    return Replay(
        config.buffer_size,
        envs.num_envs,
        shape.size,
        stack=stack,
        dtype=dtype,
        actions=actions,
        device=device,
        **rings,
    )
