"""The optimisers of `etfgym.nets.by_hand`, in NumPy alone: each says in which direction the parameters go.

All of them do w <- w - learning_rate * direction, element by element; g is the gradient. With the same settings each
takes torch's steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Optimizer(ABC):
    """Changes parameters step by step so that a loss falls.

    Args:
        parameters: Arrays of float64 that `step` changes in place, such as `Network.parameters`.
        learning_rate: Above 0.

    Raises:
        ValueError: If a setting is out of its range or a parameter no such array.
    """

    SLOTS: ClassVar[int] = 0
    """How many numbers it remembers for each parameter."""

    def __init__(self, parameters: Sequence[Floats], learning_rate: float) -> None:
        kinds = [each.dtype if isinstance(each, np.ndarray) else f"a {type(each).__name__}" for each in parameters]
        if any(kind != np.float64 for kind in kinds):
            msg = f"parameters must be arrays of float64, to be changed in place, got {', '.join(map(str, kinds))}"
            raise ValueError(msg)
        self.parameters = list(parameters)
        self.learning_rate = _above_zero("learning_rate", learning_rate)
        self.steps = 0  # the papers' t: while a step is taken it counts already
        self._memories = [np.zeros((self.SLOTS, *each.shape)) for each in parameters]

    def step(self, gradients: Sequence[npt.ArrayLike]) -> None:
        """Change every parameter.

        Args:
            gradients: Of the loss, in the order and the shapes of the parameters.

        Raises:
            ValueError: If a shape differs; nothing has changed then.
        """
        wanted, came = [each.shape for each in self.parameters], [np.shape(each) for each in gradients]
        if came != wanted:
            msg = f"gradients must have the parameters' shapes {wanted}, got {came}"
            raise ValueError(msg)
        self.steps += 1
        for parameter, gradient, memory in zip(self.parameters, gradients, self._memories, strict=True):
            parameter[...] -= self.learning_rate * self.direction(np.asarray(gradient, dtype=np.float64), memory)

    @abstractmethod
    def direction(self, g: Floats, memory: Floats) -> Floats:
        """Return where one parameter goes, and bring its memory up to date in place.

        Args:
            g: Its gradient, any shape.
            memory: Of shape (SLOTS, *that shape), zeros at first.
        """


class SGD(Optimizer):
    """Stochastic gradient descent: g (Robbins and Monro 1951; Rumelhart et al. 1986, eq. 8).

    Example:
        Down the parabola x^2, whose slope is 2x.

        >>> x = np.array([-5.0])
        >>> optimizer = SGD([x], learning_rate=0.1)
        >>> optimizer.step([2 * x])
        >>> x
        array([-4.])
    """

    def __init__(self, parameters: Sequence[Floats], learning_rate: float = 0.01) -> None:
        super().__init__(parameters, learning_rate)

    def direction(self, g: Floats, memory: Floats) -> Floats:  # noqa: ARG002 (it remembers nothing)
        """See `Optimizer`."""
        return g


class Momentum(Optimizer):
    """v <- momentum * v + g, then v (Polyak 1964; Rumelhart et al. 1986, eq. 9).

    The papers have the learning rate inside v, which is the same as long as it stays what it is.

    Args:
        parameters: See `Optimizer`.
        learning_rate: See there.
        momentum: Part of the last direction that is kept, in [0, 1).
    """

    SLOTS = 1

    def __init__(self, parameters: Sequence[Floats], learning_rate: float = 0.01, momentum: float = 0.9) -> None:
        super().__init__(parameters, learning_rate)
        self.momentum = _fraction("momentum", momentum)

    def direction(self, g: Floats, memory: Floats) -> Floats:
        """See `Optimizer`."""
        memory[0] = self.momentum * memory[0] + g
        return np.asarray(memory[0])


class Nesterov(Momentum):
    """v <- momentum * v + g, then g + momentum * v (Nesterov 1983; Sutskever et al. 2013, eq. 3 and 4).

    Sutskever et al. take the gradient where momentum alone would lead, w - learning_rate * momentum * v. Here w is that
    place, so that the gradient is taken at the parameters as they are (Bengio, Boulanger-Lewandowski and Pascanu 2013,
    "Advances in Optimizing Recurrent Networks", sec. 3.5). Arguments as `Momentum`.
    """

    def direction(self, g: Floats, memory: Floats) -> Floats:
        """See `Optimizer`."""
        return g + self.momentum * super().direction(g, memory)


class AdaGrad(Optimizer):
    """s <- s + g^2, then g / (sqrt(s) + epsilon) (Duchi, Hazan and Singer 2011, fig. 1, diagonal matrices).

    Args:
        parameters: See `Optimizer`.
        learning_rate: See there.
        epsilon: Keeps what is divided by above 0.
    """

    SLOTS = 1

    def __init__(self, parameters: Sequence[Floats], learning_rate: float = 0.01, epsilon: float = 1e-10) -> None:
        super().__init__(parameters, learning_rate)
        self.epsilon = _above_zero("epsilon", epsilon)

    def direction(self, g: Floats, memory: Floats) -> Floats:
        """See `Optimizer`."""
        memory[0] += g**2
        return np.asarray(g / (np.sqrt(memory[0]) + self.epsilon))


class RMSprop(Optimizer):
    """s <- decay * s + (1 - decay) * g^2, then g / (sqrt(s) + epsilon) (Tieleman and Hinton 2012, lecture 6.5).

    Args:
        parameters: See `Optimizer`.
        learning_rate: See there.
        decay: Part of the old mean of squares that is kept, in [0, 1).
        epsilon: Keeps what is divided by above 0.
    """

    SLOTS = 1

    def __init__(
        self, parameters: Sequence[Floats], learning_rate: float = 0.01, decay: float = 0.99, epsilon: float = 1e-8
    ) -> None:
        super().__init__(parameters, learning_rate)
        self.decay = _fraction("decay", decay)
        self.epsilon = _above_zero("epsilon", epsilon)

    def direction(self, g: Floats, memory: Floats) -> Floats:
        """See `Optimizer`."""
        memory[0] = self.decay * memory[0] + (1.0 - self.decay) * g**2
        return np.asarray(g / (np.sqrt(memory[0]) + self.epsilon))


class AdaDelta(Optimizer):
    """d = sqrt(u + epsilon) / sqrt(s + epsilon) * g, where s and u are running means of g^2 and of d^2.

    Zeiler (2012), "ADADELTA: An Adaptive Learning Rate Method", algorithm 1; its learning rate is 1.

    Args:
        parameters: See `Optimizer`.
        learning_rate: See there.
        decay: Part of the old means that is kept, in [0, 1).
        epsilon: Gets it going: u begins at 0.
    """

    SLOTS = 2

    def __init__(
        self, parameters: Sequence[Floats], learning_rate: float = 1.0, decay: float = 0.9, epsilon: float = 1e-6
    ) -> None:
        super().__init__(parameters, learning_rate)
        self.decay = _fraction("decay", decay)
        self.epsilon = _above_zero("epsilon", epsilon)

    def direction(self, g: Floats, memory: Floats) -> Floats:
        """See `Optimizer`."""
        memory[0] = self.decay * memory[0] + (1.0 - self.decay) * g**2
        d = np.sqrt(memory[1] + self.epsilon) / np.sqrt(memory[0] + self.epsilon) * g
        memory[1] = self.decay * memory[1] + (1.0 - self.decay) * d**2
        return np.asarray(d)


class Adam(Optimizer):
    """m / (sqrt(v) + epsilon), where m and v are running means of g and of g^2 (Kingma and Ba 2015, algorithm 1).

    The means begin at 0 and are too near it at first, so at step t they are divided by 1 - beta1^t and 1 - beta2^t.

    Args:
        parameters: See `Optimizer`.
        learning_rate: See there.
        beta1: Part of the old m that is kept, in [0, 1).
        beta2: Part of the old v that is kept, in [0, 1).
        epsilon: Keeps what is divided by above 0.

    Example:
        The first step is as long as the learning rate, however steep the slope.

        >>> x = np.array([1.0, 1.0])
        >>> Adam([x], learning_rate=0.1).step([[500.0, 0.002]])
        >>> x.round(4)
        array([0.9, 0.9])
    """

    SLOTS = 2

    def __init__(
        self,
        parameters: Sequence[Floats],
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__(parameters, learning_rate)
        self.beta1, self.beta2 = _fraction("beta1", beta1), _fraction("beta2", beta2)
        self.epsilon = _above_zero("epsilon", epsilon)

    def direction(self, g: Floats, memory: Floats) -> Floats:
        """See `Optimizer`."""
        memory[0] = self.beta1 * memory[0] + (1.0 - self.beta1) * g
        memory[1] = self.beta2 * memory[1] + (1.0 - self.beta2) * g**2
        m, v = memory[0] / (1.0 - self.beta1**self.steps), memory[1] / (1.0 - self.beta2**self.steps)
        return np.asarray(m / (np.sqrt(v) + self.epsilon))


def _fraction(name: str, value: float) -> float:
    if not 0 <= value < 1:
        msg = f"{name} must be in [0, 1), got {value!r}"
        raise ValueError(msg)
    return value


def _above_zero(name: str, value: float) -> float:
    if not value > 0:
        msg = f"{name} must be above 0, got {value!r}"
        raise ValueError(msg)
    return value
