"""What a simple recurrent network does to one sequence, in NumPy alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Recurrent:
    """h_t = activation(Wx x_t + Wh h_(t-1) + b), with outputs Wy h_t + by (Elman 1990, "Finding Structure in Time").

    The matrices stand left of column vectors, as in the papers; in `etfgym.nets.by_hand` an example is a row.

    Args:
        wx: From inputs to states, shape (N, F).
        wh: From one state to the next, shape (N, N).
        b: Shape (N,).
        wy: From states to outputs, shape (K, N).
        by: Shape (K,).
        activation: Element by element.

    Raises:
        ValueError: If the shapes don't fit each other.

    Example:
        A number that forgets half of itself with every step.

        >>> net = Recurrent(wx=[[1]], wh=[[0.5]], b=[0], wy=[[2]], by=[1], activation=np.asarray)
        >>> states = net.states([[1], [0], [0]])
        >>> states.ravel(), net.outputs(states).ravel()
        (array([1.  , 0.5 , 0.25]), array([3. , 2. , 1.5]))
    """

    def __init__(
        self,
        *,
        wx: npt.ArrayLike,
        wh: npt.ArrayLike,
        b: npt.ArrayLike,
        wy: npt.ArrayLike,
        by: npt.ArrayLike,
        activation: Callable[[Floats], Floats] = np.tanh,
    ) -> None:
        parts = [np.asarray(part, dtype=np.float64) for part in (wx, wh, b, wy, by)]
        self.wx, self.wh, self.b, self.wy, self.by = parts
        self.activation = activation
        n, k = self.b.size, self.by.size
        f = self.wx.size // max(n, 1)
        came = [part.shape for part in parts]
        if came != [(n, f), (n, n), (n,), (k, n), (k,)]:
            msg = f"wx, wh, b, wy, by must be (N, F), (N, N), (N,), (K, N), (K,), got shapes {came}"
            raise ValueError(msg)

    def step(self, x: Floats, state: Floats) -> Floats:
        """Return the next state (N,) from an input (F,) and the state before it (N,)."""
        return self.activation(self.wx @ x + self.wh @ state + self.b)

    def states(self, inputs: npt.ArrayLike) -> Floats:
        """Return the states (T, N) after each of the inputs (T, F); before the first it is 0.

        Raises:
            ValueError: If the inputs have another shape.
        """
        xs = np.asarray(inputs, dtype=np.float64)
        if xs.ndim != 2 or xs.shape[1] != self.wx.shape[1]:
            msg = f"inputs must be (T, {self.wx.shape[1]}), one step a row, got shape {xs.shape}"
            raise ValueError(msg)
        states = np.zeros((len(xs) + 1, self.b.size))
        for t, x in enumerate(xs):
            states[t + 1] = self.step(x, states[t])
        return states[1:]

    def outputs(self, states: Floats) -> Floats:
        """Return the outputs (T, K) of states (T, N)."""
        return states @ self.wy.T + self.by
