"""What a training tells while it goes on: a bar, and TensorBoard scalars under stable-baselines3's names."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

EVERY = 1_000
"""Transitions from one note to the next."""


class Progress:
    """Means over recent episodes and updates, told every 1,000 transitions.

    Args:
        total: Transitions of the whole training.
        done: Those already behind it.
        num_envs: Environments that the episodes come from.
        tensorboard: Folder where TensorBoard looks; None writes nothing.
        bar: Show a bar with return, epsilon and transitions a second.
    """

    def __init__(self, total: int, done: int, num_envs: int, *, tensorboard: Path | None, bar: bool) -> None:
        self._writer: Any = None
        if tensorboard is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(tensorboard))
        self._bar = tqdm(total=total, initial=done, unit="transition", unit_scale=True, disable=not bar)
        self.told = bar or tensorboard is not None
        """Whether there is anybody to tell."""
        self._returns = np.zeros(num_envs)
        self._lengths = np.zeros(num_envs, np.int64)
        self._finished: deque[tuple[float, int]] = deque(maxlen=100)
        self._errors: deque[Tensor] = deque(maxlen=100)
        self._started, self._start = time.perf_counter(), done
        self._written = done

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

    def restart(self) -> None:
        """Forget the episodes under way: new ones begin."""
        self._returns[:] = 0.0
        self._lengths[:] = 0

    def errors(self, errors: Tensor) -> None:
        """Take note of one update's errors."""
        self._errors.append(errors)

    def write(self, transitions: int, updates: int, epsilon: float, learning_rate: float) -> None:
        """Tell, if it is time to."""
        if transitions < self._written + EVERY and transitions < (self._bar.total or 0):
            return
        self._bar.update(transitions - self._written)
        self._written = transitions
        rows = {
            "rollout/exploration_rate": epsilon,
            "time/fps": (transitions - self._start) / (time.perf_counter() - self._started),
            "train/learning_rate": learning_rate,
            "train/n_updates": updates,
        }
        if self._finished:
            rows["rollout/ep_rew_mean"], rows["rollout/ep_len_mean"] = np.mean(self._finished, axis=0)
            self._bar.set_postfix({"return": f"{rows['rollout/ep_rew_mean']:.3g}", "epsilon": f"{epsilon:.2f}"})
        if self._errors:
            losses = [functional.smooth_l1_loss(errors, 0.0 * errors) for errors in self._errors]
            rows["train/loss"] = float(sum(losses)) / len(losses)
        if self._writer is not None:
            for name, value in rows.items():
                self._writer.add_scalar(name, value, transitions)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Close bar and file."""
        self._bar.close()
        if self._writer is not None:
            self._writer.close()
