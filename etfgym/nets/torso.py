"""Torso: what `DNN`, `CNN` and `RNN` have in common. Each turns windows into features, in any of its three lives.

A torso is the feature extractor of a stable-baselines3 model (`etfgym.nets.extractor`), the lower part of our DQN's
Q-network, or, under a head, a supervised model (`etfgym.nets.headed`). The account part of an observation never enters
it: it joins the features after.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from etfgym.checks import one_of, whole_number


def _lecun_normal(weight: Tensor) -> Tensor:
    return nn.init.kaiming_normal_(weight, nonlinearity="linear")


ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "relu": (torch.relu, nn.init.kaiming_normal_),
    "tanh": (torch.tanh, nn.init.xavier_normal_),
    "sigmoid": (torch.sigmoid, nn.init.xavier_normal_),
    "selu": (torch.selu, _lecun_normal),
}
"""Every activation, with the initialisation of the weights before it that keeps the variance of what passes through.

He et al. (2015), eq. 10, for ReLU; Glorot and Bengio (2010), eq. 12, for tanh and sigmoid; LeCun et al. (1998), sec.
4.6, for SELU (Klambauer et al. 2017).
"""


class Torso(nn.Module):
    """Map windows (B, W, F) to features (B, D).

    It owns the scaler of its input: each of the F columns is shifted and scaled by buffers that `fit_scaler` sets, so
    that they travel with the weights. Until then they leave the input as it is.

    Args:
        window: Days W (or seasons, words, rows of an image).
        columns: Columns F of a day, any unit.
        features: D.
        activation: After each layer: "relu", "tanh", "sigmoid" or "selu"; the weights are initialised to suit it.
        dropout: Part of the numbers between layers that is zeroed while `training`, in [0, 1).
        layer_norm: Normalise each layer's outputs before its activation (Ba et al. 2016). There is no batch
            normalisation: an agent's batches change with what it does.

    Raises:
        ValueError: If a setting is out of its range.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, *, window: int, columns: int, features: int, activation: str, dropout: float, layer_norm: bool
    ) -> None:
        super().__init__()
        self.window = whole_number("window", window, 1)
        self.columns = whole_number("columns", columns, 1)
        self.features = whole_number("features", features, 1)
        self.activation = one_of("activation", activation, ACTIVATIONS)
        if not 0 <= dropout < 1:
            msg = f"dropout is the part of the numbers that is zeroed, in [0, 1), got {dropout!r}"
            raise ValueError(msg)
        self.layer_norm = layer_norm
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("mean", torch.zeros(columns))
        self.register_buffer("std", torch.ones(columns))

    @property
    def spec(self) -> dict[str, Any]:
        """What `etfgym.nets.build` makes an equal torso of; JSON can hold it."""
        return {
            "window": self.window,
            "columns": self.columns,
            "features": self.features,
            "activation": self.activation,
            "dropout": self.dropout.p,
            "layer_norm": self.layer_norm,
        }

    def fit_scaler(self, windows: Tensor) -> None:
        """Set the scaler to the mean and standard deviation of each column of `windows` (N, W, F)."""
        rows = windows.reshape(-1, windows.shape[-1]).double()
        self.mean.copy_(rows.mean(0))
        std = rows.std(0)
        self.std.copy_(torch.where(std > 1e-6, std, 1.0))  # what never moved here may move elsewhere

    def scaled(self, windows: Tensor) -> Tensor:
        """Return windows (B, W, F) less the mean, over the standard deviation."""
        return (windows - self.mean) / self.std

    def dense(self, inputs: int, outputs: int) -> nn.Linear:
        """Return a dense layer, initialised for the activation that follows."""
        layer = nn.Linear(inputs, outputs)
        ACTIVATIONS[self.activation][1](layer.weight)
        nn.init.zeros_(layer.bias)
        return layer

    def norm(self, width: int) -> nn.Module:
        """Return what normalises `width` numbers before the activation: nothing, unless `layer_norm`."""
        return nn.LayerNorm(width) if self.layer_norm else nn.Identity()

    def activate(self, values: Tensor) -> Tensor:
        """Return the activation of `values`."""
        return ACTIVATIONS[self.activation][0](values)
