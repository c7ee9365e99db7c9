"""Adam over one flat vector of parameters (Kingma & Ba 2015, algorithm 1), with the gradient's norm clipped."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
NEAR_ZERO = 1e-6
"""Added to the norm, as torch's `clip_grad_norm_` does."""
VANISHED = 1e-30
"""A mean below it is nothing: those of weights without a gradient would decay into numbers so small that a CPU takes a
hundred times as long over them."""

Floats = npt.NDArray[np.float32]


class Adam:
    """Change `flat` by the gradient, as `torch.optim.Adam` does after `clip_grad_norm_`.

    On a CPU it is one compiled loop: torch's nine passes over the numbers take longer than all else in a small
    network's update.

    Args:
        flat: Parameters, shape (P,), changed in place.
        gradient: Their gradient, shape (P,), read at each step.
    """

    def __init__(self, flat: Tensor, gradient: Tensor) -> None:
        self._flat, self._gradient = flat, gradient
        self.mean = torch.zeros_like(flat)
        self.square = torch.zeros_like(flat)
        on_host = flat.device.type == "cpu"  # elsewhere a tensor, so that a CUDA graph counts it
        self._steps: int | Tensor = 0 if on_host else torch.zeros((), dtype=torch.float64, device=flat.device)

    @property
    def steps(self) -> int:
        """Steps taken."""
        return int(self._steps)

    @steps.setter
    def steps(self, count: int) -> None:
        self._steps += count - self.steps

    def step(self, learning_rate: float | Tensor, max_norm: float) -> None:
        """Take one step, with the gradient scaled down to `max_norm` where it is longer."""
        self._steps += 1
        flat, gradient, mean, square = self._flat, self._gradient, self.mean, self.square
        if flat.device.type == "cpu":
            steps = self.steps
            rate = float(learning_rate) / (1 - BETA_1**steps)
            scalars = np.float32(rate), np.float32(1 / math.sqrt(1 - BETA_2**steps)), max_norm
            _step(flat.numpy(), gradient.numpy(), mean.numpy(), square.numpy(), *scalars)
        else:
            taken = torch.as_tensor(self._steps)
            rates, correction = learning_rate / (1 - BETA_1**taken), (1 - BETA_2**taken).rsqrt()
            _step_in_torch(flat, gradient, mean, square, rates, correction, max_norm)


@numba.njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _step(
    flat: Floats, gradient: Floats, mean: Floats, square: Floats, rate: Any, correction: Any, max_norm: float
) -> None:
    total = np.float32(0.0)
    for i in range(flat.size):
        total += gradient[i] * gradient[i]
    scale = np.float32(min(max_norm / (math.sqrt(total) + NEAR_ZERO), 1.0))
    keep_mean, keep_square = np.float32(BETA_1), np.float32(BETA_2)
    new_mean, new_square = np.float32(1 - BETA_1), np.float32(1 - BETA_2)
    tiny, vanished = np.float32(EPSILON), np.float32(VANISHED)
    for i in range(flat.size):
        slope = gradient[i] * scale
        first = keep_mean * mean[i] + new_mean * slope
        first = first if abs(first) > vanished else np.float32(0.0)
        second = keep_square * square[i] + new_square * slope * slope
        mean[i] = first
        square[i] = second
        flat[i] -= rate * first / (np.sqrt(second) * correction + tiny)


@torch.no_grad()
def _step_in_torch(
    flat: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, rate: Tensor, correction: Tensor, max_norm: float
) -> None:
    gradient.mul_((max_norm / (gradient.norm() + NEAR_ZERO)).clamp_(max=1.0))
    mean.lerp_(gradient, 1 - BETA_1)
    square.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
    flat.sub_(mean / square.sqrt().mul_(correction).add_(EPSILON) * rate)
