"""CNN: a one-dimensional convolutional torso over the days of a window."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class CNN(nn.Module):
    """Map windows (B, W, F) to features (B, D): two convolutions over the days, then one dense layer.

    It owns the scaler of its input: each of the F columns is shifted and scaled by buffers that `fit_scaler` sets, so
    that they travel with the weights.

    Args:
        window: Days W.
        columns: Columns F of a day, any unit.
        channels: Filters of each convolution.
        kernel: Days that a filter spans.
        features: D.

    Example:
        >>> CNN()(torch.zeros(8, 20, 6)).shape
        torch.Size([8, 128])
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, window: int = 20, columns: int = 6, channels: int = 32, kernel: int = 3, features: int = 128
    ) -> None:
        super().__init__()
        days = window - 2 * (kernel - 1)
        if days < 1:
            msg = f"window must be longer than {2 * (kernel - 1)} days for two convolutions of {kernel}, got {window}"
            raise ValueError(msg)
        self.spec: dict[str, Any] = {
            "window": window,
            "columns": columns,
            "channels": channels,
            "kernel": kernel,
            "features": features,
        }
        self.register_buffer("mean", torch.zeros(columns))
        self.register_buffer("std", torch.ones(columns))
        self.kernel = kernel
        # A convolution over the days is one dense layer on every `kernel` days in a row. On a CPU a matrix
        # product on a view of the window is faster than Conv1d, forward and backward.
        self.first = nn.Linear(kernel * columns, channels)
        self.second = nn.Linear(kernel * channels, channels)
        self.dense = nn.Linear(days * channels, features)

    def fit_scaler(self, windows: Tensor) -> None:
        """Set the scaler to the mean and standard deviation of each column of `windows` (N, W, F)."""
        rows = windows.reshape(-1, windows.shape[-1]).double()
        self.mean.copy_(rows.mean(0))
        self.std.copy_(rows.std(0).clamp_min(1e-6))

    def forward(self, windows: Tensor) -> Tensor:
        """Return features (B, D) of windows (B, W, F)."""
        scaled = (windows - self.mean) / self.std
        first = torch.relu(self.first(self._in_a_row(scaled)))  # (B, W - 2, 32)
        second = torch.relu(self.second(self._in_a_row(first)))  # (B, W - 4, 32)
        return torch.relu(self.dense(second.flatten(1)))

    def _in_a_row(self, days: Tensor) -> Tensor:
        """Return every `kernel` days in a row (B, W - kernel + 1, kernel * F) of days (B, W, F); a view."""
        batch, count, columns = days.shape
        shape = (batch, count - self.kernel + 1, self.kernel * columns)
        return days.contiguous().as_strided(shape, (count * columns, columns, 1))
