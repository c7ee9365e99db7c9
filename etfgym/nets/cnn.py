"""CNN: a one-dimensional convolutional torso over the days of a window."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from etfgym.checks import whole_number
from etfgym.nets.torso import Torso


class CNN(Torso):
    """Map windows (B, W, F) to features (B, D): two convolutions over the days, then one dense layer.

    Args:
        window: Days W.
        columns: Columns F of a day, any unit.
        channels: Filters of each convolution.
        kernel: Days that a filter spans.
        features: D.
        activation: See `Torso`, like `dropout` and `layer_norm`.
        dropout: See there.
        layer_norm: See there; over the filters of each day.

    Example:
        >>> import torch
        >>> CNN()(torch.zeros(8, 20, 6)).shape
        torch.Size([8, 128])
    """

    def __init__(
        self,
        window: int = 20,
        columns: int = 6,
        channels: int = 32,
        kernel: int = 3,
        features: int = 128,
        activation: str = "relu",
        dropout: float = 0.0,
        layer_norm: bool = False,
    ) -> None:
        super().__init__(
            window=window,
            columns=columns,
            features=features,
            activation=activation,
            dropout=dropout,
            layer_norm=layer_norm,
        )
        self.channels = whole_number("channels", channels, 1)
        self.kernel = whole_number("kernel", kernel, 1)
        days = window - 2 * (kernel - 1)
        if days < 1:
            msg = f"window must be longer than {2 * (kernel - 1)} days for two convolutions of {kernel}, got {window}"
            raise ValueError(msg)
        # A convolution over the days is one dense layer on every `kernel` days in a row. On a CPU a matrix
        # product on a view of the window is faster than Conv1d, forward and backward.
        self.first = self.dense(kernel * columns, channels)
        self.second = self.dense(kernel * channels, channels)
        self.last = self.dense(days * channels, features)
        self.first_norm, self.second_norm, self.last_norm = map(self.norm, (channels, channels, features))

    @property
    def spec(self) -> dict[str, Any]:
        """See `Torso.spec`."""
        return super().spec | {"net": "cnn", "channels": self.channels, "kernel": self.kernel}

    def forward(self, windows: Tensor) -> Tensor:
        """Return features (B, D) of windows (B, W, F)."""
        first = self.activate(self.first_norm(self.first(self._in_a_row(self.scaled(windows)))))  # (B, W - 2, 32)
        second = self.activate(self.second_norm(self.second(self._in_a_row(self.dropout(first)))))  # (B, W - 4, 32)
        features: Tensor = self.activate(self.last_norm(self.last(self.dropout(second).flatten(1))))
        return features

    def _in_a_row(self, days: Tensor) -> Tensor:
        """Return every `kernel` days in a row (B, W - kernel + 1, kernel * F) of days (B, W, F); a view."""
        batch, count, columns = days.shape
        shape = (batch, count - self.kernel + 1, self.kernel * columns)
        return days.contiguous().as_strided(shape, (count * columns, columns, 1))
