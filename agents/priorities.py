"""Prioritised replay's weights: a tree of sums, to draw slots in proportion (Schaul et al. 2016, B.2.1)."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SMALLEST = 1e-6
"""Added to every error, so that no transition is lost."""


class Priorities:
    """A weight for each of `count` slots; a slot without a transition has none.

    Args:
        count: Slots.
        exponent: alpha: a weight is (|error| + 1e-6) ** alpha (eq. 1).
    """

    def __init__(self, count: int, exponent: float) -> None:
        self.exponent = exponent
        self.largest = np.ones(1)  # a transition that was never drawn counts with the largest error seen
        self.leaves = 1 << (count - 1).bit_length()
        self.sums = np.zeros(2 * self.leaves)  # node i holds the sum of nodes 2 i and 2 i + 1; the leaves come last

    @property
    def weights(self) -> Floats:
        """Every slot's weight, shape (leaves,); a view."""
        return self.sums[self.leaves :]

    def clear(self, slots: Integers) -> None:
        """Take the weights of these slots away."""
        _set(self.sums, slots, np.zeros(len(slots)))

    def add(self, slots: Integers) -> None:
        """Give new transitions the largest weight so far."""
        _set(self.sums, slots, np.full(len(slots), self._weight(self.largest)[0]))

    def update(self, slots: Integers, errors: Floats) -> None:
        """Set the weights of these slots from their absolute errors, shape (B,)."""
        self.largest[0] = max(self.largest[0], errors.max())
        _set(self.sums, slots, self._weight(errors))

    def draw(self, count: int, rng: np.random.Generator, importance: float) -> tuple[Integers, npt.NDArray[np.float32]]:
        """Return `count` slots, one from each equal share of the sum, and their importance weights (B,), at most 1.

        Args:
            count: B.
            rng: Draws the places.
            importance: beta: a weight is (N * probability) ** -beta over the largest of the batch (3.4).
        """
        places = (np.arange(count) + rng.random(count)) * (self.sums[1] / count)
        slots = _find(self.sums, places)
        weights = self.weights[slots] ** -importance  # N and the sum cancel
        return slots, (weights / weights.max()).astype(np.float32)

    def _weight(self, errors: npt.ArrayLike) -> Floats:
        weights: Floats = (np.asarray(errors, np.float64) + SMALLEST) ** self.exponent
        return weights


@numba.njit(cache=True)
def _set(sums: Floats, slots: Integers, weights: Floats) -> None:
    for i in range(slots.size):
        node = sums.size // 2 + slots[i]
        sums[node] = weights[i]
        while node > 1:
            node //= 2
            sums[node] = sums[2 * node] + sums[2 * node + 1]


@numba.njit(cache=True)
def _find(sums: Floats, places: Floats) -> Integers:
    slots = np.empty(places.size, np.int64)
    for i in range(places.size):
        node, place = 1, places[i]
        while node < sums.size // 2:
            node *= 2
            # The right side only if there is something in it: rounding may leave a place just above the sum.
            if place >= sums[node] and sums[node + 1] > 0.0:
                place -= sums[node]
                node += 1
        slots[i] = node - sums.size // 2
    return slots
