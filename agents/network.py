"""QNetwork: what the DQN learns with, in plain torch, over one flat vector of parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn
from torch.nn import functional

from etfgym.nets import build
from etfgym.nets.nature import NatureCNN
from etfgym.nets.torso import Torso


@dataclass(frozen=True, slots=True)
class Shape:
    """What an observation is, flattened to one row: a window (W, F), frames (C, H, W) or nothing, then `rest` numbers.

    Frames are uint8, all else float32.
    """

    window: tuple[int, int] | None = None
    frames: tuple[int, int, int] | None = None
    rest: int = 0

    @property
    def front(self) -> int:
        """Numbers in the window or the frames."""
        return math.prod(self.window or self.frames or (0,))

    @property
    def size(self) -> int:
        """Numbers in an observation."""
        return self.front + self.rest

    @classmethod
    def of(cls, space: spaces.Space[Any]) -> Shape:
        """Return the shape of one environment's observations.

        Raises:
            ValueError: If the space is none of those the DQN knows.
        """
        if isinstance(space, spaces.Dict) and set(space) == {"window", "account"}:
            (days, columns), (rest,) = space["window"].shape, space["account"].shape  # type: ignore[misc]
            return cls(window=(days, columns), rest=rest)
        if isinstance(space, spaces.Box):
            match space.shape:
                case (rest,):
                    return cls(rest=rest)
                case (days, columns):
                    return cls(window=(days, columns))
                case (stack, height, width) if space.dtype == np.uint8:
                    return cls(frames=(stack, height, width))
        msg = (
            "the DQN takes a Box (W, F), a Dict of window and account, a Box (D,) or frames (C, H, W) in uint8, "
            f"got {space}"
        )
        raise ValueError(msg)


class NoisyLinear(nn.Linear):
    """A dense layer that explores by noise in its weights, scaled by what it learns (Fortunato et al. 2018, eq. 9-11).

    `draw` makes the factorised noise of the next forwards; `still` takes it away.
    """

    weight_noise: Tensor
    bias_noise: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        bound = 1 / math.sqrt(inputs)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)
        self.weight_scale = nn.Parameter(torch.full((outputs, inputs), 0.5 * bound))
        self.bias_scale = nn.Parameter(torch.full((outputs,), 0.5 * bound))
        self.register_buffer("weight_noise", torch.zeros(outputs, inputs), persistent=False)
        self.register_buffer("bias_noise", torch.zeros(outputs), persistent=False)

    def draw(self, generator: torch.Generator) -> None:
        """Draw new noise."""
        sides = torch.randn(sum(self.weight.shape), generator=generator).to(self.weight.device)
        outputs, inputs = (sides.sign() * sides.abs().sqrt()).split(list(self.weight.shape))
        self.weight_noise = torch.outer(outputs, inputs)
        self.bias_noise = outputs

    def still(self) -> None:
        """Take the noise away: the layer is its mean."""
        self.weight_noise = torch.zeros_like(self.weight_noise)
        self.bias_noise = torch.zeros_like(self.bias_noise)

    def forward(self, values: Tensor) -> Tensor:
        """Return the layer's outputs under the present noise."""
        weight = self.weight + self.weight_scale * self.weight_noise
        return functional.linear(values, weight, self.bias + self.bias_scale * self.bias_noise)


class QNetwork(nn.Module):
    """Q-values (B, actions), or quantiles of the return (B, actions, N), of flat observations (B, D).

    A torso looks at the window (see `etfgym.nets`) or the frames (`NatureCNN`); the rest of the observation joins after
    it, and dense layers lead to the values. A torso's dropout is off: it is for supervised training, an agent's values
    are no matter of chance.

    Args:
        shape: Of an observation.
        actions: How many there are.
        torso: Spec of the torso on a window, see `etfgym.nets.build`; its sizes follow from `shape` and `features`.
        features: Width of the torso's output.
        head: Widths of the dense layers after it.
        dueling: A state's value and the actions' advantages apart (Wang et al. 2016, eq. 9).
        noisy: Dense layers with noise for exploration.
        quantiles: N, of the distribution of returns (Dabney et al. 2018); None for its mean only.

    Attributes:
        flat: Every parameter, one after the other, shape (P,); the modules' parameters are views of it.
        gradient: Likewise their gradients.
    """

    def __init__(
        self,
        shape: Shape,
        actions: int,
        *,
        torso: Mapping[str, Any],
        features: int,
        head: tuple[int, ...],
        dueling: bool = False,
        noisy: bool = False,
        quantiles: int | None = None,
    ) -> None:
        super().__init__()
        self.shape, self.dueling, self.noisy, self.quantiles = shape, dueling, noisy, quantiles
        self.torso: Torso | NatureCNN | None = None
        if shape.window:
            days, columns = shape.window
            self.torso = build({**torso, "window": days, "columns": columns, "features": features})
        elif shape.frames:
            self.torso = NatureCNN(*shape.frames, features=features)
        dense = NoisyLinear if noisy else nn.Linear
        widths = (shape.rest + (features if self.torso else 0), *head)
        outputs = (actions + dueling) * (quantiles or 1)
        self.head = nn.ModuleList(dense(*pair) for pair in pairwise(widths))
        self.out = dense(widths[-1], outputs)
        if isinstance(self.torso, Torso):
            self.torso.dropout.eval()  # not the whole: cuDNN goes back through an RNN in training mode only
        self.lay_flat()

    def forward(self, rows: Tensor) -> Tensor:
        """Return values (B, actions) or quantiles (B, actions, N)."""
        return self.top(self.embed(rows), rows[:, self.shape.front :])

    def embed(self, rows: Tensor) -> Tensor:
        """Return the torso's features (B, features); none without a torso."""
        front = rows[:, : self.shape.front]
        return self.torso(front.reshape(-1, *(self.shape.window or self.shape.frames or ()))) if self.torso else front

    def top(self, features: Tensor, rest: Tensor) -> Tensor:
        """Return values from features (B, features) and the rest of the observation (B, rest)."""
        hidden = torch.cat((features, rest), dim=1)
        for layer in self.head:
            hidden = torch.relu(layer(hidden))
        return self.join(self.out(hidden))

    def join(self, outputs: Tensor) -> Tensor:
        """Return values of the last layer's outputs: state value and advantages joined, one axis for quantiles."""
        if self.quantiles:
            outputs = outputs.view(len(outputs), -1, self.quantiles)
        if not self.dueling:
            return outputs
        advantages = outputs[:, 1:]
        return outputs[:, :1] + advantages - advantages.mean(dim=1, keepdim=True)

    def draw_noise(self, generator: torch.Generator | None) -> None:
        """Draw new noise in noisy layers, or take it away (None)."""
        for layer in (*self.head, self.out) if self.noisy else ():
            if generator is None:
                layer.still()
            else:
                layer.draw(generator)

    def lay_flat(self) -> None:
        """Make every parameter a view of `flat`, and its gradient of `gradient`; again after a copy or a move."""
        parameters = list(self.parameters())
        self.flat = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
        self.gradient = torch.zeros_like(self.flat)
        start = 0
        for parameter in parameters:
            part = slice(start, start + parameter.numel())
            parameter.data = self.flat[part].view_as(parameter)
            parameter.grad = self.gradient[part].view_as(parameter)
            start = part.stop

    @property
    def torso_part(self) -> slice:
        """Where the torso's parameters are in `flat`: they come first."""
        return slice(0, sum(parameter.numel() for parameter in self.torso.parameters()) if self.torso else 0)

    def fit_scaler(self, rows: Tensor) -> None:
        """Fit the torso's scaler, if it has one, to observations (N, D)."""
        if isinstance(self.torso, Torso):
            self.torso.fit_scaler(rows[:, : self.shape.front].reshape(-1, *self.shape.window))  # type: ignore[misc]
