"""Experience replay: rings of transitions (Lin 1992; Mnih et al. 2015), each observation kept once.

Every environment has a ring of its own, in which an episode's observations follow each other: the next observation
of a slot is that of the slot after it. An episode's last observation has a slot without a transition. So the ring
is the same whatever the autoreset mode, and an n-step return is a walk along it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agents.priorities import Priorities
from etfgym.checks import whole_number

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NOTHING, GOES_ON, CUT, TERMINATED = range(4)
"""What a slot holds: no transition, or one after which the episode goes on, was truncated or is over."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Transitions, one a row; with n-step returns, k <= n of them in a row count as one.

    Attributes:
        slots: Where they lie, shape (B,).
        observations: Shape (B, D).
        actions: Shape (B,).
        rewards: r + gamma r' + ... of k steps, shape (B, 1); or, where the replay knows it, what every action would
            have earned, shape (B, actions).
        discounts: gamma^k, or 0 after a terminated transition, shape (B, 1).
        next_observations: Shape (B, D).
        next_rests: What follows each action, after the window that they share, shape (B, actions, rest); or None.
        next_masks: Which actions may follow, shape (B, 1, actions) or (B, actions, actions); None if all may.
        weights: Importance weights of prioritised replay, at most 1, shape (B, 1); or None.
    """

    slots: Integers | Tensor
    observations: Tensor
    actions: Tensor
    rewards: Tensor
    discounts: Tensor
    next_observations: Tensor
    next_rests: Tensor | None = None
    next_masks: Tensor | None = None
    weights: Tensor | None = None

    def to(self, device: str) -> Batch:
        """Return the batch on a device."""
        if device == "cpu":
            return self
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {
            name: part.to(device) if isinstance(part, Tensor) else part for name, part in parts.items()
        }
        return Batch(**moved)


class Rings:
    """Where each ring's newest slot is, and the drawing of slots that hold a transition.

    Args:
        capacity: Slots in all.
        num_envs: Rings.
        history: Slots before an observation's own that belong to it.
        n_step: Transitions that a return spans.
        gamma: Discount a step.
        priority_exponent: Of prioritised replay, see `Priorities`; 0 draws evenly.
    """

    def __init__(
        self,
        capacity: int,
        num_envs: int,
        *,
        history: int = 0,
        n_step: int = 1,
        gamma: float = 0.99,
        priority_exponent: float = 0.0,
    ) -> None:
        self.length = whole_number("capacity", capacity, 1) // num_envs
        if self.length < n_step + history + 1:
            msg = f"a replay of {capacity} transitions is too small for {num_envs} environments with n_step={n_step}"
            raise ValueError(msg)
        self.num_envs, self.history, self.n_step, self.gamma = num_envs, history, n_step, gamma
        self.written = np.zeros(num_envs, np.int64)  # slots ever written to each ring
        self.priorities = Priorities(num_envs * self.length, priority_exponent) if priority_exponent else None

    def newest(self, envs: Integers) -> Integers:
        """Return the slots of these rings' newest observations."""
        return _newest(envs, self.written, self.length)

    def advance(self, envs: Integers) -> Integers:
        """Return the next slots of these rings; the transitions that lose an observation by it are forgotten."""
        slots = _advance(envs, self.written, self.length)
        spoilt = self.shifted(slots, self.history) if self.history else slots
        self.forget(spoilt)
        if self.priorities is not None:
            self.priorities.clear(spoilt)
        return slots

    def shifted(self, slots: Integers, by: int) -> Integers:
        """Return the slots that lie `by` further in the same rings."""
        places = slots % self.length
        moved: Integers = slots - places + (places + by) % self.length
        return moved

    def draw(self, count: int, rng: np.random.Generator, importance: float) -> tuple[Integers, Tensor | None]:
        """Return `count` slots that hold a transition, drawn with replacement, and their importance weights (B, 1)."""
        if self.priorities is not None:
            slots, weights = self.priorities.draw(count, rng, importance)
            return slots, torch.from_numpy(weights)[:, None]
        filled = min(int(self.written.max()), self.length)
        slots = np.empty(0, np.int64)
        while len(slots) < count:  # a few slots in a hundred hold none
            places = rng.integers(self.num_envs * filled, size=count + count // 8 + 8)
            if filled < self.length and self.num_envs > 1:
                places = places // filled * self.length + places % filled
            places = places[self.holds(places)]
            slots = np.concatenate((slots, places)) if len(slots) else places
        return slots[:count], None

    def stored(self) -> Integers:
        """Return every slot that holds a transition."""
        slots = np.arange(self.num_envs * self.length)
        return slots[self.holds(slots)]

    def __len__(self) -> int:
        return len(self.stored())

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that the replay holds, by name, sharing its memory: to be saved, and to be written to."""
        parts = {"written": torch.from_numpy(self.written)}
        if self.priorities is not None:
            parts["priorities"] = torch.from_numpy(self.priorities.sums)
            parts["largest_error"] = torch.from_numpy(self.priorities.largest)
        return parts

    def holds(self, slots: Integers) -> Bools:
        """Return which of the slots hold a transition."""
        raise NotImplementedError

    def forget(self, slots: Integers) -> None:
        """Mark slots as holding none."""
        raise NotImplementedError


class Replay(Rings):
    """Transitions of any environment: observations as flat rows, or frames of which a stack shares all but one.

    Args:
        capacity: Slots in all; an episode takes as many as it has frames, a first stack and the last one included.
        num_envs: Environments that fill it.
        size: Numbers D in an observation.
        stack: Frames in it; 1 for anything but frames.
        dtype: float32, or uint8 for frames.
        actions: How many there are, where the environments say which are allowed: masks are kept then.
        device: Where the observations lie.
        **rings: See `Rings`.
    """

    def __init__(
        self,
        capacity: int,
        num_envs: int,
        size: int,
        *,
        stack: int = 1,
        dtype: torch.dtype = torch.float32,
        actions: int | None = None,
        device: str = "cpu",
        **rings: float,
    ) -> None:
        super().__init__(capacity, num_envs, history=stack - 1, **rings)  # type: ignore[arg-type]
        slots = num_envs * self.length
        pixels = np.uint8 if dtype is torch.uint8 else np.float32
        empty = np.zeros((slots, size // stack), pixels)  # NumPy's zeros take memory when they are written
        self.observations = torch.from_numpy(empty).to(device)
        self.actions = np.zeros(slots, np.uint8)
        self.rewards = np.zeros(slots, np.float32)
        self.kinds = np.full(slots, NOTHING, np.uint8)
        self.masks = None if actions is None else np.ones((slots, actions), np.bool_)

    def holds(self, slots: Integers) -> Bools:
        """See `Rings`."""
        held: Bools = self.kinds[slots] != NOTHING
        return held

    def forget(self, slots: Integers) -> None:
        """See `Rings`."""
        self.kinds[slots] = NOTHING

    def tensors(self) -> dict[str, Tensor]:
        """See `Rings`."""
        arrays = {"actions": self.actions, "rewards": self.rewards, "kinds": self.kinds}
        if self.masks is not None:
            arrays["masks"] = self.masks
        own = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return super().tensors() | own | {"observations": self.observations}

    def begin(self, envs: Integers, rows: Tensor, masks: Bools | None = None) -> None:
        """Take note of the first observations (k, D) of new episodes in the environments `envs` (k,)."""
        for frames in rows.chunk(self.history + 1, dim=1):
            self._append(envs, frames, masks)

    def add(
        self,
        envs: Integers,
        actions: Integers,
        rewards: npt.NDArray[np.float32],
        kinds: npt.NDArray[np.uint8],
        rows: Tensor,
        masks: Bools | None = None,
    ) -> None:
        """Add a transition to the ring of each of `envs`.

        Args:
            envs: Shape (k,), like all that follow.
            actions: Taken at the newest observation.
            rewards: What they earned.
            kinds: GOES_ON, CUT or TERMINATED.
            rows: The observations that they led to, (k, D); the last of an episode, not the first of the next.
            masks: Which actions may follow, (k, actions).
        """
        slots = self.newest(envs)
        _record(slots, actions, rewards, kinds, self.actions, self.rewards, self.kinds)
        if self.priorities is not None:
            self.priorities.add(slots)
        self._append(envs, rows[:, rows.shape[1] - self.observations.shape[1] :], masks)

    def _append(self, envs: Integers, frames: Tensor, masks: Bools | None) -> None:
        slots = self.advance(envs)
        if frames.device.type == "cpu":
            self.observations.numpy()[slots] = frames.numpy()  # a fraction of the time of torch's
        else:
            self.observations.index_copy_(0, torch.from_numpy(slots).to(frames.device), frames)
        if self.masks is not None and masks is not None:
            self.masks[slots] = masks

    def observe(self, slots: Integers) -> Tensor:
        """Return the observations (B, D) of these slots."""
        parts = []
        for by in range(-self.history, 1):
            places = torch.from_numpy(self.shifted(slots, by) if by else slots).to(self.observations.device)
            parts.append(self.observations.index_select(0, places))
        return torch.cat(parts, dim=1) if self.history else parts[0]

    def sample(self, count: int, rng: np.random.Generator, importance: float = 1.0) -> Batch:
        """Return `count` transitions; `importance` is beta of `Priorities.draw`."""
        slots, weights = self.draw(count, rng, importance)
        rings = self.actions, self.rewards, self.kinds, self.length
        actions, rewards, discounts, following = _walk(slots, *rings, self.n_step, self.gamma)
        return Batch(
            slots,
            self.observe(slots),
            torch.from_numpy(actions),
            torch.from_numpy(rewards),
            torch.from_numpy(discounts),
            self.observe(following),
            next_masks=None if self.masks is None else torch.from_numpy(self.masks[following])[:, None],
            weights=weights,
        )


@numba.njit(cache=True)
def _advance(envs: Integers, written: Integers, ring: int) -> Integers:
    for env in envs:
        written[env] += 1
    return _newest(envs, written, ring)


@numba.njit(cache=True)
def _newest(envs: Integers, written: Integers, ring: int) -> Integers:
    slots = np.empty(envs.size, np.int64)
    for i in range(envs.size):
        slots[i] = envs[i] * ring + (written[envs[i]] - 1) % ring
    return slots


@numba.njit(cache=True)
def _record(
    slots: Integers,
    actions: Integers,
    rewards: Floats,
    kinds: Bytes,
    all_actions: Bytes,
    all_rewards: Floats,
    all_kinds: Bytes,
) -> None:
    for i in range(slots.size):
        slot = slots[i]
        all_actions[slot], all_rewards[slot], all_kinds[slot] = actions[i], rewards[i], kinds[i]


@numba.njit(cache=True)
def _walk(
    slots: Integers, actions: Bytes, rewards: Floats, kinds: Bytes, ring: int, n_step: int, gamma: float
) -> tuple[Integers, Floats, Floats, Integers]:
    """Return actions (B,), n-step rewards and discounts (B, 1), and the slots (B,) of the observations after them."""
    taken = np.empty(slots.size, np.int64)
    totals, discounts = np.empty((slots.size, 1), np.float32), np.empty((slots.size, 1), np.float32)
    following = np.empty(slots.size, np.int64)
    for i in range(slots.size):
        slot = slots[i]
        taken[i] = actions[slot]
        total, discount = 0.0, 1.0
        for _ in range(n_step):
            kind = kinds[slot]
            if kind == NOTHING:  # the ring's newest observation, or the last of an episode that was left
                break
            total += discount * rewards[slot]
            discount *= gamma
            slot = slot + 1 if (slot + 1) % ring else slot + 1 - ring
            if kind != GOES_ON:
                discount *= kind != TERMINATED
                break
        totals[i, 0], discounts[i, 0], following[i] = total, discount, slot
    return taken, totals, discounts, following
