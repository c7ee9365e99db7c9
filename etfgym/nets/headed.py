"""Headed: a torso's third life, a supervised model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from etfgym.nets import build


class Headed(nn.Module):
    """Map windows (B, W, F) to outputs (B, K): a torso, and one dense layer.

    Args:
        torso: Its spec, see `etfgym.nets.build`.
        outputs: K: classes, or numbers to be told.

    Example:
        >>> import torch
        >>> Headed({"net": "dnn", "features": 16}, outputs=10)(torch.zeros(8, 20, 6)).shape
        torch.Size([8, 10])
    """

    def __init__(self, torso: Mapping[str, Any], outputs: int) -> None:
        super().__init__()
        self.torso = build(torso)
        self.head = nn.Linear(self.torso.features, outputs)

    @property
    def spec(self) -> dict[str, Any]:
        """The arguments that make an equal model; JSON can hold them."""
        return {"torso": self.torso.spec, "outputs": self.head.out_features}

    def forward(self, windows: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return outputs (B, K) of windows (B, W, F); `lengths` (B,) for an `RNN` whose rows end early."""
        outputs: Tensor = self.head(self.torso(windows) if lengths is None else self.torso(windows, lengths))
        return outputs
