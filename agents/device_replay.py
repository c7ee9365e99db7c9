"""Replay on a device: `agents.market_replay`'s sixteen bytes a transition, added and drawn without the host."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from agents.market_replay import check_fits, check_units
from agents.market_torch import Account, TorchMarket
from agents.replay import Batch
from etfgym.checks import whole_number


class DeviceReplay:
    """The last transitions of `num_envs` accounts that take their steps together, with `Replay.sample`.

    A transition is the account before it and the action, in one slot; what it led to is worked out. So there is no
    slot for an episode's last observation, and row r of the ring holds every account's transition of one step.

    Args:
        market: What the accounts trade.
        capacity: Slots in all.
        num_envs: Accounts.
        generator: Draws the slots.
        n_step: Transitions that a return spans.
        gamma: Discount a step.
        counterfactual: Batches tell what every action would have earned and led to.

    Raises:
        ValueError: If the market doesn't fit into a slot, or an episode's return not into the ring.

    Attributes:
        words: Units (24 bits), row (24), bars left (12) and action (4), shape (length, num_envs), int64.
        cash: Dollars, the same shape.
        written: Steps ever added, a number on the device.
        most_units: The most units that an account ever had in it, likewise.
    """

    priorities = None

    def __init__(
        self,
        market: TorchMarket,
        capacity: int,
        num_envs: int,
        generator: torch.Generator,
        *,
        n_step: int,
        gamma: float,
        counterfactual: bool,
    ) -> None:
        self.length = whole_number("capacity", capacity, 1) // num_envs
        if self.length < n_step:
            msg = f"a replay of {capacity} transitions is too small for {num_envs} environments with n_step={n_step}"
            raise ValueError(msg)
        check_fits(market.rows, market.length, len(market.orders), 16)
        self.num_envs, self.n_step, self.gamma, self.counterfactual = num_envs, n_step, gamma, counterfactual
        self._market, self._generator = market, generator
        shape, device = (self.length, num_envs), market.device
        self.words = torch.zeros(shape, dtype=torch.int64, device=device)
        self.cash = torch.zeros(shape, dtype=torch.float64, device=device)
        self.written = torch.zeros((), dtype=torch.int64, device=device)
        self.most_units = torch.zeros((), dtype=torch.int64, device=device)

    def add(self, account: Account, actions: Tensor) -> None:
        """Add every account's transition, (num_envs,) each: the account before it, and what was done."""
        place = (self.written % self.length)[None]
        words = account.units << 40 | account.row << 16 | (account.last - account.row) << 4 | actions
        self.words.index_copy_(0, place, words[None])
        self.cash.index_copy_(0, place, account.cash[None])
        self.most_units.copy_(torch.maximum(self.most_units, account.units.max()))
        self.written += 1

    def check(self) -> None:
        """Wait for the device, and see that every account fitted into its slot.

        Raises:
            ValueError: If one had too many units.
        """
        check_units(int(self.most_units))

    def stored(self) -> Tensor:
        """Return every slot that holds a transition; this waits for the device."""
        return torch.arange(len(self), device=self.words.device)

    def __len__(self) -> int:
        return min(int(self.written), self.length) * self.num_envs

    def observe(self, slots: Tensor) -> Tensor:
        """Return the observations (B, D) of these slots."""
        return self._market.observe(self._read(slots)[0])

    def sample(self, count: int, rng: np.random.Generator, importance: float | Tensor = 1.0) -> Batch:
        """Return `count` transitions, drawn evenly by the device's generator; see `Replay.sample`."""
        del rng, importance
        filled = self.written.clamp(max=self.length) * self.num_envs
        draws = torch.rand(count, dtype=torch.float64, generator=self._generator, device=self.words.device)
        return self.batch((draws * filled).long())

    def batch(self, slots: Tensor) -> Batch:
        """Return the transitions of these slots (B,)."""
        market = self._market
        account, actions = self._read(slots)
        after = Account(*(part[:, None] for part in account))  # (B, 1)
        orders = market.orders.expand(len(slots), -1) if self.counterfactual else market.orders[actions][:, None]
        after, rewards, _ = market.step(after, orders)  # (B, 1 or actions)
        total, discounts = rewards.float().double(), torch.full_like(after.cash[:, :1], self.gamma)
        walks, here = torch.ones_like(slots, dtype=torch.bool), slots
        later = (self.written - 1 - slots // self.num_envs) % self.length  # rows from the slot's to the newest
        for step in range(1, self.n_step):
            here = (here + self.num_envs) % self.words.numel()
            following, done = self._read(here)
            begins = following.last - following.row == market.length  # this episode is over, or was broken off
            walks = walks & (later >= step) & ~begins
            reached, rewards, _ = market.step(after, market.orders[done][:, None])
            total = torch.where(walks[:, None], total + discounts * rewards.float(), total)
            discounts = torch.where(walks[:, None], discounts * self.gamma, discounts)
            after = Account(*(torch.where(walks[:, None], new, old) for new, old in zip(reached, after, strict=True)))
        discounts = discounts.masked_fill(after.row == after.last, 0.0)
        first = Account(*(part[:, 0] for part in after))  # of the actions' outcomes: they share the window
        return Batch(
            slots,
            market.observe(account),
            actions,
            total.float(),
            discounts.float(),
            market.observe(first),
            next_rests=market.shares(after) if self.counterfactual and market.rest else None,
            next_masks=market.masks(after),
        )

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that the replay holds, by name, sharing its memory: to be saved, and to be written to."""
        return {name: getattr(self, name) for name in ("words", "cash", "written", "most_units")}

    def _read(self, slots: Tensor) -> tuple[Account, Tensor]:
        """Return the accounts (B,) of these slots, and what each then did."""
        words = self.words.view(-1)[slots]
        row = words >> 16 & 0xFFFFFF
        account = Account(self.cash.view(-1)[slots], words >> 40 & 0xFFFFFF, row, row + (words >> 4 & 0xFFF))
        return account, words & 15
