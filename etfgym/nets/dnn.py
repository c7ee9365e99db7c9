"""DNN: dense layers over a window laid out as one row."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from etfgym.checks import whole_number
from etfgym.nets.torso import Torso


class DNN(Torso):
    """Map windows (B, W, F) to features (B, D) by dense layers.

    Args:
        window: Days W.
        columns: Columns F of a day, any unit.
        hidden: Widths of the layers before the last; none makes it a single layer.
        features: D.
        activation: See `Torso`, like `dropout` and `layer_norm`.
        dropout: See there.
        layer_norm: See there.

    Example:
        >>> import torch
        >>> DNN(hidden=(64, 64))(torch.zeros(8, 20, 6)).shape
        torch.Size([8, 128])
    """

    def __init__(
        self,
        window: int = 20,
        columns: int = 6,
        hidden: Sequence[int] = (128,),
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
        self.hidden = [whole_number("each of hidden", width, 1) for width in hidden]
        widths = [window * columns, *self.hidden, features]
        self.layers = nn.ModuleList(self.dense(*pair) for pair in pairwise(widths))
        self.norms = nn.ModuleList(self.norm(width) for width in widths[1:])

    @property
    def spec(self) -> dict[str, Any]:
        """See `Torso.spec`."""
        return super().spec | {"net": "dnn", "hidden": self.hidden}

    def forward(self, windows: Tensor) -> Tensor:
        """Return features (B, D) of windows (B, W, F)."""
        values = self.scaled(windows).flatten(1)  # (B, W * F)
        for number, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            values = self.activate(norm(layer(self.dropout(values) if number else values)))
        return values
