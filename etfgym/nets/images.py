"""ImageCNN: a convolutional torso for pictures, and the classifier it grows into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from etfgym.checks import whole_number

KERNEL = 3


class ImageCNN(nn.Module):
    """Map pictures (B, C, H, W), 0 to 255, to features (B, D): (conv 3x3, ReLU, max-pool 2x2) x 3, dense, ReLU.

    The pixels are divided by 255 inside. A convolution keeps the size of the picture, a pool halves it, rounding down.
    The weights are initialised for ReLU (He et al. 2015, eq. 10).

    Args:
        channels: Channels C: 1 for grey, 3 for red, green and blue.
        height: Pixels H.
        width: Pixels W.
        filters: Filters of each convolution; as many convolutions as there are numbers.
        features: D.

    Raises:
        ValueError: If a setting is out of its range, or nothing is left of the picture after the last pool.

    Example:
        >>> ImageCNN()(torch.zeros(8, 1, 28, 28)).shape
        torch.Size([8, 128])
    """

    def __init__(
        self,
        channels: int = 1,
        height: int = 28,
        width: int = 28,
        filters: Sequence[int] = (16, 32, 64),
        features: int = 128,
    ) -> None:
        super().__init__()
        self.channels = whole_number("channels", channels, 1)
        self.height = whole_number("height", height, 1)
        self.width = whole_number("width", width, 1)
        self.filters = [whole_number("each of filters", number, 1) for number in filters]
        self.features = whole_number("features", features, 1)
        least = 2 ** len(self.filters)
        if min(height, width) < least:
            msg = f"{len(self.filters)} pools need at least {least} x {least} pixels, got {height} x {width}"
            raise ValueError(msg)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(inputs, outputs, KERNEL, padding="same")
            for inputs, outputs in pairwise([channels, *self.filters])
        )
        left = (height // least) * (width // least)
        self.dense = nn.Linear(([channels, *self.filters])[-1] * left, features)
        for layer in (*self.convolutions, self.dense):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    @property
    def spec(self) -> dict[str, Any]:
        """The arguments that make an equal torso; JSON can hold them."""
        names = ("channels", "height", "width", "filters", "features")
        return {name: getattr(self, name) for name in names}

    def forward(self, pictures: Tensor) -> Tensor:
        """Return features (B, D) of pictures (B, C, H, W)."""
        values = pictures / 255.0
        for convolution in self.convolutions:
            values = functional.max_pool2d(torch.relu(convolution(values)), 2)
        return torch.relu(self.dense(values.flatten(1)))


class ImageClassifier(nn.Module):
    """Map pictures (B, C, H, W) to one number a class (B, K): an `ImageCNN`, and one dense layer.

    Args:
        torso: Arguments of the `ImageCNN`.
        outputs: Classes K.
        dropout: Part of the features that is zeroed while `training`, in [0, 1).

    Example:
        >>> ImageClassifier({"height": 32, "width": 32}, outputs=2)(torch.zeros(8, 1, 32, 32)).shape
        torch.Size([8, 2])
    """

    def __init__(self, torso: Mapping[str, Any], outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.torso = ImageCNN(**torso)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.torso.features, outputs)

    @property
    def spec(self) -> dict[str, Any]:
        """The arguments that make an equal model; JSON can hold them."""
        return {"torso": self.torso.spec, "outputs": self.head.out_features, "dropout": self.dropout.p}

    def forward(self, pictures: Tensor) -> Tensor:
        """Return outputs (B, K) of pictures (B, C, H, W)."""
        outputs: Tensor = self.head(self.dropout(self.torso(pictures)))
        return outputs
