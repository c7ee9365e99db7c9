"""Recycled: arrays for a step's results, used again once nobody holds them."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

LINE = 64
"""Bytes of a cache line; a buffer that starts on one is written a quarter faster."""

KEPT = 4
"""Buffers kept for use again. A loop that holds this step's arrays and the last one's needs three."""


class Recycled:
    """Hands out arrays of one shape that belong to whoever holds them.

    An array handed out is never written to again while it, or any view of it, is alive; once all are gone, its
    memory is handed out again. Fresh memory for thousands of windows at each step would cost as much in page faults
    as filling it does.

    Args:
        shape: Of each array.
        dtype: Of each array.

    Example:
        >>> buffers = Recycled((2, 3), np.float32)
        >>> held, other = buffers.take(), buffers.take()
        >>> np.shares_memory(held, other)
        False
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self._shape = shape
        self._dtype = np.dtype(dtype)
        self._memory: list[npt.NDArray[np.uint8]] = []
        self._arrays: list[npt.NDArray[Any]] = []  # each on its piece of memory
        self._keep(*self._new())
        self._unheld = sys.getrefcount(self._memory[0])

    def take(self) -> npt.NDArray[Any]:
        """Return an array that nobody else holds; its content is undefined."""
        for number in range(len(self._memory)):
            # numpy makes the owner of the memory the base of every view, and of every view of a view.
            if sys.getrefcount(self._memory[number]) == self._unheld:
                return self._arrays[number].view()
        memory, array = self._new()
        if len(self._memory) < KEPT:
            self._keep(memory, array)
        return array.view()

    def _keep(self, memory: npt.NDArray[np.uint8], array: npt.NDArray[Any]) -> None:
        self._memory.append(memory)
        self._arrays.append(array)

    def _new(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]:
        """Return memory, and the array on it that starts on a cache line."""
        memory = np.empty(self._dtype.itemsize * math.prod(self._shape) + LINE, np.uint8)
        return memory, np.ndarray(self._shape, self._dtype, memory, -memory.ctypes.data % LINE)

    def __reduce__(self) -> tuple[Any, ...]:
        return Recycled, (self._shape, self._dtype)
