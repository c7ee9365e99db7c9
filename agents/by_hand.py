"""Values and gradients of a QNetwork: by autograd for every network, by hand where a CPU spends most on bookkeeping.

Both ways have one interface, `Engine`, and tests hold them equal. By hand, a network is a list of dense layers over
one vector of parameters, run by one compiled function: a convolution over days is a dense layer on days in a row.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import cython_blas  # noqa: F401 (numba's np.dot calls it; `one_thread` must find it loaded)
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from agents.layer_kernels import LAYER, gradient, values
from agents.losses import huber
from agents.network import QNetwork
from etfgym.nets.cnn import CNN

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


class Engine(Protocol):
    """Runs a network."""

    def values(self, rows: Tensor) -> Tensor:
        """Return values (B, actions), or quantiles (B, actions, N), of observations (B, D)."""

    def branches(self, rows: Tensor, rests: Tensor) -> Tensor:
        """Return values (B, K, actions) where K rests of an observation, (B, K, rest), follow one window, (B, D)."""

    def gradient(self, rows: Tensor, actions: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        """Set `network.gradient` to that of the mean loss; return the errors, targets less values, (B, K).

        Args:
            rows: Observations (B, D).
            actions: Those whose values are fitted, shape (B,), if K = 1; else every action's is.
            targets: Shape (B, K), K being 1 or the number of actions; with quantiles (B, K, N).
            weights: Of each observation's loss, shape (B, 1); None: all weigh the same.
        """


def engine(network: QNetwork) -> Engine:
    """Return the fastest way to run `network`: by hand for dense layers and a plain CNN on a CPU, else by autograd."""
    torso = network.torso
    plain = torso is None or (isinstance(torso, CNN) and torso.activation == "relu" and not torso.layer_norm)
    if plain and not network.noisy and network.quantiles is None and network.flat.device.type == "cpu":
        return ByHand(network)
    return Autograd(network)


def one_thread() -> threadpool_limits:
    """Return a context in which matrix products take one thread: on products this small, two only wait for each other.

    It keeps sums in the same order, too, whatever the machine.
    """
    return threadpool_limits(1, user_api="blas")


class Autograd:
    """By torch's autograd."""

    def __init__(self, network: QNetwork) -> None:
        self._network = network

    @torch.no_grad()
    def values(self, rows: Tensor) -> Tensor:
        """See `Engine`."""
        values: Tensor = self._network(rows)
        return values

    @torch.no_grad()
    def branches(self, rows: Tensor, rests: Tensor) -> Tensor:
        """See `Engine`."""
        features = self._network.embed(rows).repeat_interleave(rests.shape[1], dim=0)  # (B * K, features)
        values = self._network.top(features, rests.flatten(0, 1))
        return values.view(*rests.shape[:2], *values.shape[1:])

    def gradient(self, rows: Tensor, actions: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        """See `Engine`."""
        values = self._network(rows)
        if targets.shape[1] == 1:
            values = values[torch.arange(len(values), device=values.device), actions][:, None]
        losses, errors = huber(values, targets)
        self._network.gradient.zero_()
        (losses if weights is None else losses * weights).mean().backward()
        return errors


class ByHand:
    """By hand, for a `CNN` or no torso, dense layers and values without quantiles."""

    def __init__(self, network: QNetwork) -> None:
        torso, shape = network.torso, network.shape
        assert torso is None or isinstance(torso, CNN)  # noqa: S101 (for the type checker; `engine` sees to it)
        places, place = {}, 0
        for parameter in network.parameters():
            places[id(parameter)], place = place, place + parameter.numel()
        slides = [torso.first, torso.second] if torso else []
        dense = [*([torso.last] if torso else []), *network.head, network.out]
        self._layers = np.zeros(len(slides) + len(dense), LAYER)
        for layer, module in zip(self._layers, [*slides, *dense], strict=True):
            assert isinstance(module, nn.Linear)  # noqa: S101 (for the type checker)
            layer["weight"], layer["bias"] = places[id(module.weight)], places[id(module.bias)]
            layer["outputs"], layer["inputs"] = module.weight.shape
        self._layers["span"][: len(slides)] = torso.kernel if torso else 0
        self._join = len(slides) + (torso is not None)  # the layer before which the rest joins
        self._layers["joins"][self._join] = shape.rest > 0
        self._days = shape.window[0] if shape.window else 0
        self._front = shape.front
        self._flat, self._gradient = network.flat.numpy(), network.gradient.numpy()
        self._scaler = (torso.mean.numpy(), torso.std.numpy()) if torso else (np.zeros(1, np.float32),) * 2
        self._dueling = network.dueling
        self._plans: dict[tuple[int, int], tuple[npt.NDArray[np.void], Floats]] = {}

    def values(self, rows: Tensor) -> Tensor:
        """See `Engine`."""
        layers, work = self._plan(rows.shape[0], 1)
        seen = rows.numpy()
        found = values(self._flat, layers, self._scaler, work, seen, seen[:, self._front :], self._dueling)
        return torch.from_numpy(found)

    def branches(self, rows: Tensor, rests: Tensor) -> Tensor:
        """See `Engine`."""
        count, branches, _ = rests.shape
        layers, work = self._plan(count, branches)
        after = rests.flatten(0, 1).numpy()
        found = values(self._flat, layers, self._scaler, work, rows.numpy(), after, self._dueling)
        return torch.from_numpy(found).view(count, branches, -1)

    def gradient(self, rows: Tensor, actions: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        """See `Engine`."""
        layers, work = self._plan(rows.shape[0], 1)
        parts = self._flat, self._gradient, layers, self._scaler, work, rows.numpy(), self._front
        weighted = np.ones((rows.shape[0], 1), np.float32) if weights is None else weights.numpy()
        errors = gradient(*parts, actions.numpy(), targets.numpy(), weighted, self._dueling)
        return torch.from_numpy(errors)

    def _plan(self, count: int, branches: int) -> tuple[npt.NDArray[np.void], Floats]:
        """Return the layers for a batch of `count` observations, with `branches` rests each, and their workspace."""
        if (count, branches) in self._plans:
            return self._plans[count, branches]
        layers, days = self._layers.copy(), self._days
        end = count * self._front  # the scaled windows come first
        for i, layer in enumerate(layers):
            days -= max(layer["span"] - 1, 0)
            layer["rows"] = count * (days if layer["span"] else branches if i >= self._join else 1)
            if layer["span"] or layer["joins"] or i == 0:
                layer["x"], end = end, end + layer["rows"] * layer["inputs"]
            else:
                layer["x"] = layers["y"][i - 1]  # the layer before wrote it there
            layer["y"], end = end, end + layer["rows"] * layer["outputs"]
        largest = int((layers["rows"] * np.maximum(layers["inputs"], layers["outputs"])).max())
        # Two more places, for the slopes on the way back.
        self._plans[count, branches] = layers, np.zeros(end + 2 * largest, np.float32)
        return self._plans[count, branches]
