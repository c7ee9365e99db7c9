"""Experience replay: a ring of transitions in plain arrays (Lin 1992; Mnih et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from etfgym.checks import whole_number

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Batch:
    """Transitions, one a row: observations (B, D), actions (B,), rewards (B,), next observations, terminated (B,)."""

    observations: Floats
    actions: npt.NDArray[np.int64]
    rewards: Floats
    next_observations: Floats
    terminated: npt.NDArray[np.bool_]


class Replay:
    """The last `capacity` transitions.

    Only `terminated` is kept: a truncated episode goes on in principle, so its last transition is like any other.

    Args:
        capacity: Transitions kept.
        size: Numbers D in an observation, flattened.
    """

    def __init__(self, capacity: int, size: int) -> None:
        self.capacity = whole_number("capacity", capacity, 1)
        self._observations = np.zeros((capacity, size), np.float32)
        self._next_observations = np.zeros((capacity, size), np.float32)
        self._actions = np.zeros(capacity, np.int64)
        self._rewards = np.zeros(capacity, np.float32)
        self._terminated = np.zeros(capacity, np.bool_)
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, self.capacity)

    def add(self, batch: Batch) -> None:
        """Add transitions, overwriting the oldest; at most `capacity` at once."""
        count = len(batch.actions)
        if count > self.capacity:
            msg = f"{count} transitions at once don't fit a replay of {self.capacity}"
            raise ValueError(msg)
        rows = (self._added + np.arange(count)) % self.capacity
        self._observations[rows] = batch.observations
        self._actions[rows] = batch.actions
        self._rewards[rows] = batch.rewards
        self._next_observations[rows] = batch.next_observations
        self._terminated[rows] = batch.terminated
        self._added += count

    def sample(self, count: int, rng: np.random.Generator) -> Batch:
        """Return `count` transitions drawn evenly, with replacement."""
        rows = rng.integers(len(self), size=count)
        return Batch(
            self._observations[rows],
            self._actions[rows],
            self._rewards[rows],
            self._next_observations[rows],
            self._terminated[rows],
        )

    @property
    def observations(self) -> Floats:
        """Every observation kept, shape (len, D); a view."""
        return self._observations[: len(self)]
