"""RNN: a recurrent torso that reads a window day by day."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from etfgym.checks import one_of, whole_number
from etfgym.nets.torso import Torso

CELLS: dict[str, type[nn.RNN | nn.LSTM | nn.GRU]] = {"simple": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
"""Elman (1990); Hochreiter and Schmidhuber (1997); Cho et al. (2014)."""


class RNN(Torso):
    """Map windows (B, W, F) to features (B, D): the hidden state after the last day, then one dense layer.

    Args:
        window: Days W.
        columns: Columns F of a day, any unit.
        cell: "simple" (tanh), "lstm" or "gru".
        hidden: Width of the hidden state.
        features: D.
        activation: Of the dense layer, see `Torso`, like `dropout` and `layer_norm`.
        dropout: See there.
        layer_norm: See there.

    Example:
        >>> RNN(cell="gru")(torch.zeros(8, 20, 6)).shape
        torch.Size([8, 128])
    """

    def __init__(
        self,
        window: int = 20,
        columns: int = 6,
        cell: str = "lstm",
        hidden: int = 64,
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
        self.cell = one_of("cell", cell, CELLS)
        self.hidden = whole_number("hidden", hidden, 1)
        self.recurrent = CELLS[cell](columns, hidden, batch_first=True)
        for name, parameter in self.recurrent.named_parameters():
            if name.startswith("weight_ih"):
                nn.init.xavier_uniform_(parameter)  # the gates are sigmoids and tanh
            elif name.startswith("weight_hh"):
                for gate in parameter.split(hidden):
                    nn.init.orthogonal_(gate)  # Saxe et al. (2014): what is remembered neither grows nor fades
            else:
                nn.init.zeros_(parameter)
        self.last = self.dense(hidden, features)
        self.last_norm = self.norm(features)

    @property
    def spec(self) -> dict[str, Any]:
        """See `Torso.spec`."""
        return super().spec | {"net": "rnn", "cell": self.cell, "hidden": self.hidden}

    def forward(self, windows: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return features (B, D) of windows (B, W, F).

        Args:
            windows: Where a row has fewer than W days, they stand first and anything follows.
            lengths: How many days each row has, shape (B,), from 1 to W; None: all of them.
        """
        states, _ = self.recurrent(self.scaled(windows))  # (B, W, hidden)
        if lengths is None:
            state = states[:, -1]
        else:
            state = states[torch.arange(len(states), device=states.device), lengths - 1]
        features: Tensor = self.activate(self.last_norm(self.last(self.dropout(state))))
        return features
