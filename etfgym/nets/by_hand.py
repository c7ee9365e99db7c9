"""A neural network from scratch, in NumPy alone: layers, losses, and the gradient by backpropagation.

A batch is a matrix with one example a row, shape (B, features), in float64. A layer's `forward` remembers what its
`backward` needs. `backward` takes the gradient of the loss with respect to what the layer gave and returns that with
respect to what it took: the chain rule, from the last layer to the first (Rumelhart, Hinton and Williams 1986,
"Learning representations by back-propagating errors", Nature 323, eq. 4-7).

The optimisers are in `etfgym.nets.by_hand_optimizers`. Learning is three lines: here exclusive or, which no network
without a hidden layer can tell (Minsky and Papert 1969).

Example:
    >>> from etfgym.nets.by_hand_optimizers import Adam
    >>> x, classes = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    >>> network = dense_network([2, 8, 2], np.random.default_rng(0), activation=Tanh)
    >>> optimizer = Adam(network.parameters, learning_rate=0.05)
    >>> for _ in range(200):
    ...     optimizer.step(network.gradient(x, np.eye(2)[classes]))
    >>> network.forward(x).argmax(axis=1)
    array([0, 1, 1, 0])
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

Criterion: TypeAlias = "Callable[[Floats, npt.ArrayLike], tuple[float, Floats]]"
"""From outputs (B, K) and targets (B, K) to the loss and its gradient with respect to the outputs (B, K)."""


# Functions of one number, element by element. Each takes any shape and returns the same.


def step(x: npt.ArrayLike) -> Floats:
    """Return 1 where x > 0, else 0: the perceptron's activation (Rosenblatt 1958). Its slope is 0: it can't learn."""
    return np.where(np.asarray(x) > 0, 1.0, 0.0)


def sigmoid(x: npt.ArrayLike) -> Floats:
    """Return 1 / (1 + exp(-x)), without overflow at any x.

    Example:
        >>> sigmoid([-1000.0, 0.0, 1000.0])
        array([0. , 0.5, 1. ])
    """
    return np.asarray(np.exp(-np.logaddexp(0.0, np.negative(x))))  # logaddexp(0, -x) = log(1 + exp(-x))


def relu(x: npt.ArrayLike) -> Floats:
    """Return max(x, 0) (Nair and Hinton 2010)."""
    return np.maximum(x, 0.0)


def leaky_relu(x: npt.ArrayLike, slope: float = 0.01) -> Floats:
    """Return x where x > 0, else `slope` times x (Maas, Hannun and Ng 2013, sec. 2)."""
    return np.where(np.asarray(x) > 0, x, np.multiply(slope, x))


def softmax(logits: npt.ArrayLike) -> Floats:
    """Return exp(z) over its sum along the last axis (Bishop 2006, eq. 4.104), without overflow at any z.

    Example:
        >>> softmax([1.9, 1.1, 0.2]).round(4)
        array([0.6127, 0.2753, 0.1119])
    """
    return np.asarray(np.exp(log_softmax(logits)))


def log_softmax(logits: npt.ArrayLike) -> Floats:
    """Return the logarithm of `softmax`, finite even where that is 0 in floating point."""
    z = np.asarray(logits, dtype=np.float64)
    z = z - z.max(axis=-1, keepdims=True)  # a shift changes no probability, and the largest exp is now 1
    return np.asarray(z - np.log(np.exp(z).sum(axis=-1, keepdims=True)))


# Losses. Each returns its value and its gradient, see `Criterion`.


def cross_entropy(logits: Floats, targets: npt.ArrayLike) -> tuple[float, Floats]:
    """Return the mean over the batch of -sum(t log softmax(z)), and its gradient (softmax(z) - t) / B.

    Bishop (2006), "Pattern Recognition and Machine Learning", eq. 4.108 and 4.109.

    Args:
        logits: z, shape (B, K).
        targets: t, the probability of each class, shape (B, K); rows add up to 1. `np.eye(K)[classes]` where the
            class is known.

    Raises:
        ValueError: If the targets are no such probabilities.

    Example:
        >>> loss, gradient = cross_entropy(np.zeros((1, 2)), [[1, 0]])
        >>> round(loss, 4), gradient.tolist()
        (0.6931, [[-0.5, 0.5]])
    """
    t = _like(logits, targets, f"np.eye({logits.shape[-1]})[classes]")
    if not bool(np.all(t >= 0) and np.allclose(t.sum(axis=1), 1.0)):
        msg = f"each row of targets must be probabilities that add up to 1, got {t[:1].tolist()!s:.60}"
        raise ValueError(msg)
    batch = len(t)
    return float(-(t * log_softmax(logits)).sum() / batch), (softmax(logits) - t) / batch


def mean_squared_error(outputs: Floats, targets: npt.ArrayLike) -> tuple[float, Floats]:
    """Return the mean of (y - t)^2 over batch and outputs alike, and its gradient 2 (y - t) / (B K).

    Args:
        outputs: y, shape (B, K).
        targets: t, shape (B, K), in the unit of the outputs.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> mean_squared_error(np.array([[3.0]]), [[1.0]])
        (4.0, array([[4.]]))
    """
    error = outputs - _like(outputs, targets, "targets[:, None]")
    return float(np.mean(error**2)), 2.0 * error / error.size


def _like(outputs: Floats, targets: npt.ArrayLike, cure: str) -> Floats:
    """Return targets as floats; NumPy would broadcast a wrong shape into a wrong loss without a word."""
    t = np.asarray(targets, dtype=np.float64)
    if outputs.ndim != 2 or t.shape != outputs.shape:
        msg = f"outputs and targets must be (B, K) alike, got shapes {outputs.shape} and {t.shape}; perhaps {cure}"
        raise ValueError(msg)
    return t


# Layers.


class Layer(ABC):
    """One layer of a network."""

    parameters: Sequence[Floats] = ()
    """What an optimiser changes in place."""
    gradients: Sequence[Floats] = ()
    """Those of the loss with respect to the parameters, in their order; `backward` sets them."""

    @abstractmethod
    def forward(self, x: Floats) -> Floats:
        """Return the layer's outputs (B, K) of its inputs (B, F)."""

    @abstractmethod
    def backward(self, gradient: Floats) -> Floats:
        """Return the gradient with respect to the last inputs (B, F), from that with respect to the outputs (B, K)."""


class Affine(Layer):
    """x W + b (Rumelhart et al. 1986, eq. 1).

    Args:
        weight: W, shape (F, K); a copy is kept.
        bias: b, shape (K,); a copy is kept.

    Raises:
        ValueError: If the shapes don't fit each other, or in `forward` the inputs.

    Example:
        >>> Affine([[1, 3, 5], [2, 4, 6]], [0, 0, 0]).forward([[1, 2]])
        array([[ 5., 11., 17.]])
    """

    def __init__(self, weight: npt.ArrayLike, bias: npt.ArrayLike) -> None:
        self.weight = np.array(weight, dtype=np.float64)
        self.bias = np.array(bias, dtype=np.float64)
        if self.weight.ndim != 2 or self.bias.shape != self.weight.shape[1:]:
            msg = f"weight must be (F, K) and bias (K,), got shapes {self.weight.shape} and {self.bias.shape}"
            raise ValueError(msg)
        self.parameters = (self.weight, self.bias)

    @classmethod
    def drawn(cls, inputs: int, outputs: int, rng: np.random.Generator, gain: float) -> Affine:
        """Return a layer with normal weights of variance `gain` / inputs, and biases of 0.

        What passes through keeps its size if `gain` is the activation's `GAIN`.
        """
        return cls(rng.normal(0.0, np.sqrt(gain / inputs), (inputs, outputs)), np.zeros(outputs))

    def forward(self, x: npt.ArrayLike) -> Floats:
        """See `Layer`."""
        self._x = np.asarray(x, dtype=np.float64)
        if self._x.ndim != 2 or self._x.shape[1] != len(self.weight):
            msg = f"inputs must be (B, {len(self.weight)}), one example a row, got shape {self._x.shape}"
            raise ValueError(msg)
        return self._x @ self.weight + self.bias

    def backward(self, gradient: Floats) -> Floats:
        """See `Layer`; Rumelhart et al. (1986), eq. 6 and 7."""
        self.gradients = (self._x.T @ gradient, gradient.sum(axis=0))  # summed over the batch
        return gradient @ self.weight.T


class Activation(Layer):
    """A function of each number, whose derivative can be told from what it gives."""

    GAIN: ClassVar[float] = 1.0
    """See `Affine.drawn`. 1 near a slope of 1 (LeCun et al. 1998, "Efficient BackProp", eq. 16)."""

    def forward(self, x: Floats) -> Floats:
        """See `Layer`."""
        self._y = self.function(x)
        return self._y

    def backward(self, gradient: Floats) -> Floats:
        """See `Layer`."""
        return gradient * self.derivative(self._y)

    @staticmethod
    @abstractmethod
    def function(x: Floats) -> Floats:
        """Return y = f(x)."""

    @staticmethod
    @abstractmethod
    def derivative(y: Floats) -> Floats:
        """Return f'(x) from y = f(x)."""


class ReLU(Activation):
    """See `relu`; at x = 0 the derivative is taken to be 0."""

    GAIN = 2.0  # half of the numbers are set to 0 (He et al. 2015, "Delving Deep into Rectifiers", eq. 10)
    function = staticmethod(relu)

    @staticmethod
    def derivative(y: Floats) -> Floats:
        """See `Activation`."""
        return step(y)


class Sigmoid(Activation):
    """See `sigmoid`."""

    function = staticmethod(sigmoid)

    @staticmethod
    def derivative(y: Floats) -> Floats:
        """See `Activation`; Bishop (2006), eq. 4.88."""
        return y * (1.0 - y)


class Tanh(Activation):
    """The hyperbolic tangent."""

    @staticmethod
    def function(x: Floats) -> Floats:
        """See `Activation`."""
        return np.asarray(np.tanh(x))

    @staticmethod
    def derivative(y: Floats) -> Floats:
        """See `Activation`; Bishop (2006), eq. 5.60."""
        return 1.0 - y**2


# Networks.


class Network:
    """Layers, each of which takes what the one before it gave, and a loss.

    Args:
        layers: From the inputs to the outputs.
        criterion: `cross_entropy`, where the outputs are logits, or `mean_squared_error`.

    Example:
        A neuron: 1 x 1 + 2 x 3 + 1.

        >>> Network([Affine([[1], [2]], [1]), ReLU()]).forward([[1, 3]])
        array([[8.]])
    """

    def __init__(self, layers: Sequence[Layer], criterion: Criterion = cross_entropy) -> None:
        self.layers = list(layers)
        self.criterion = criterion

    @property
    def parameters(self) -> list[Floats]:
        """Every layer's, for an optimiser to change in place."""
        return [parameter for layer in self.layers for parameter in layer.parameters]

    def forward(self, x: npt.ArrayLike) -> Floats:
        """Return outputs (B, K) of inputs (B, F).

        Raises:
            ValueError: If the inputs don't fit the first affine layer.
        """
        values = np.asarray(x, dtype=np.float64)
        for layer in self.layers:
            values = layer.forward(values)
        return values

    def loss(self, x: npt.ArrayLike, targets: npt.ArrayLike) -> float:
        """Return the loss of inputs (B, F) and targets (B, K)."""
        return self.criterion(self.forward(x), targets)[0]

    def gradient(self, x: npt.ArrayLike, targets: npt.ArrayLike) -> list[Floats]:
        """Return the gradient of the loss of inputs (B, F) and targets (B, K), in the order of `parameters`."""
        _, gradient = self.criterion(self.forward(x), targets)
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)
        return [each for layer in self.layers for each in layer.gradients]


def dense_network(
    widths: Sequence[int],
    rng: np.random.Generator,
    activation: type[Activation] = ReLU,
    criterion: Criterion = cross_entropy,
) -> Network:
    """Return a network of affine layers with an activation between them, none after the last.

    Args:
        widths: Of the inputs, the hidden layers and the outputs.
        rng: Draws the weights.
        activation: `ReLU`, `Sigmoid` or `Tanh`.
        criterion: See `Network`.

    Raises:
        ValueError: If there are fewer than two widths, or one is below 1.

    Example:
        >>> sum(each.size for each in dense_network([784, 100], np.random.default_rng(0)).parameters)
        78500
    """
    if len(widths) < 2 or min(widths) < 1:
        msg = f"widths must be two or more, from inputs to outputs, each at least 1, got {list(widths)}"
        raise ValueError(msg)
    layers: list[Layer] = []
    for inputs, outputs in pairwise(widths):
        layers += [Affine.drawn(inputs, outputs, rng, activation.GAIN), activation()]
    return Network(layers[:-1], criterion)
