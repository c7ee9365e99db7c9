"""TensorBoard scalars, under the names that stable-baselines3's users know."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


class Scalars:
    """Means over recent episodes and updates, written every 1,000 transitions.

    Args:
        folder: Where TensorBoard looks; None writes nothing.
        num_envs: Environments that the episodes come from.
    """

    def __init__(self, folder: Path | None, num_envs: int) -> None:
        self._writer: Any = None
        if folder is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder))
        self._returns = np.zeros(num_envs)
        self._lengths = np.zeros(num_envs, np.int64)
        self._finished: deque[tuple[float, int]] = deque(maxlen=100)
        self._losses: deque[float] = deque(maxlen=100)
        self._started = time.perf_counter()
        self._written = 0

    def step(
        self, rewards: npt.NDArray[np.float64], over: npt.NDArray[np.bool_], counted: npt.NDArray[np.bool_]
    ) -> None:
        """Take note of one step of every environment, (n,) each; `counted` leaves out those that only reset."""
        self._returns += rewards
        self._lengths += counted
        for i in np.flatnonzero(over):
            self._finished.append((self._returns[i], self._lengths[i]))
        self._returns[over] = 0.0
        self._lengths[over] = 0

    def loss(self, value: float) -> None:
        """Take note of one update's loss."""
        self._losses.append(value)

    def write(self, transitions: int, updates: int, epsilon: float, learning_rate: float) -> None:
        """Write the scalars if it is time to."""
        if self._writer is None or transitions < self._written + 1_000:
            return
        self._written = transitions
        rows = {
            "rollout/exploration_rate": epsilon,
            "time/fps": transitions / (time.perf_counter() - self._started),
            "train/learning_rate": learning_rate,
            "train/n_updates": updates,
        }
        if self._finished:
            rows["rollout/ep_rew_mean"], rows["rollout/ep_len_mean"] = np.mean(self._finished, axis=0)
        if self._losses:
            rows["train/loss"] = float(np.mean(self._losses))
        for name, value in rows.items():
            self._writer.add_scalar(name, value, transitions)

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
