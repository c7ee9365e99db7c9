"""NatureCNN: the convolutional torso for stacks of frames (Mnih et al. 2015, Methods, "Model architecture")."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

LARGE = ((32, 8, 4), (64, 4, 2), (64, 3, 1))
"""Filters, size and stride of the convolutions over 84 x 84 pixels."""
SMALL = ((16, 3, 2), (32, 3, 2))
"""The same for frames under 36 pixels."""


class NatureCNN(nn.Module):
    """Map stacks of frames (B, C, H, W), uint8, to features (B, D); the pixels are divided by 255 inside.

    Args:
        stack: Frames C.
        height: Pixels H; under 36 the convolutions are two small ones.
        width: Pixels W.
        features: D.

    Example:
        >>> NatureCNN()(torch.zeros(8, 4, 84, 84, dtype=torch.uint8)).shape
        torch.Size([8, 512])
    """

    def __init__(self, stack: int = 4, height: int = 84, width: int = 84, features: int = 512) -> None:
        super().__init__()
        self.spec: dict[str, Any] = {"stack": stack, "height": height, "width": width, "features": features}
        convolutions = LARGE if min(height, width) >= 36 else SMALL
        channels = (stack, *(filters for filters, _, _ in convolutions))
        self.convolutions = nn.ModuleList(
            nn.Conv2d(inputs, filters, size, stride)
            for inputs, (filters, size, stride) in zip(channels, convolutions, strict=False)
        )
        with torch.no_grad():
            numbers = self._convolve(torch.zeros(1, stack, height, width)).numel()
        self.dense = nn.Linear(numbers, features)

    def forward(self, frames: Tensor) -> Tensor:
        """Return features (B, D) of frames (B, C, H, W)."""
        return torch.relu(self.dense(self._convolve(frames / 255.0).flatten(1)))

    def _convolve(self, pixels: Tensor) -> Tensor:
        for convolution in self.convolutions:
            pixels = torch.relu(convolution(pixels))
        return pixels
