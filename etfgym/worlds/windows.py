"""What the learnt worlds share: windows of bars as points of a space, and paths made of points drawn in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from etfgym.worlds.history import GAP, MOVE, PAID, STEPS, WINDOW, Floats, History, day_columns, windows_of

LONG = 10_000
"""Windows that a model's mean return is measured on: eight centuries."""

Sampler = Callable[[np.random.Generator, int], Floats]
"""From a generator and n to n windows, shape (n, WINDOW * columns)."""


@dataclass(frozen=True, eq=False)
class Space:
    """The map between steps and plain numbers of mean 0 and variance 1 without correlation within a day.

    A column x becomes arcsinh(x / its standard deviation), which is linear near zero and a logarithm far out, so that
    a few days don't outweigh thousands; then the columns of a day (five for each ETF) are rotated onto their principal
    components. The way back ends within what each column has ever been, so wicks are never negative.
    Dividends are reinvested: they are part of gap and move, and no day of a path pays any.

    `spread`, `mean`, `least` and `most` have shape (columns,); `whiten` and `colour`, its inverse, (columns, columns).
    """

    spread: Floats
    mean: Floats
    whiten: Floats
    colour: Floats
    least: Floats
    most: Floats

    @classmethod
    def of(cls, steps: Floats) -> Space:
        """Return the space of steps, shape (tickers, days, 6)."""
        days = day_columns(steps)
        spread = np.maximum(days.std(axis=0), 1e-9)
        bent = np.arcsinh(days / spread)
        mean = bent.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov((bent - mean).T))
        sizes = np.sqrt(np.maximum(values, 1e-9))
        return cls(spread, mean, vectors / sizes, (vectors * sizes).T, days.min(axis=0), days.max(axis=0))

    def windows(self, steps: Floats) -> Floats:
        """Return every window of consecutive days, shape (days - WINDOW + 1, WINDOW * columns)."""
        days = windows_of((np.arcsinh(day_columns(steps) / self.spread) - self.mean) @ self.whiten)
        return days.reshape(len(days), -1)

    def steps(self, windows: Floats) -> Floats:
        """Return the steps (tickers, n * WINDOW, 6) of windows (n, WINDOW * columns), one after the other."""
        bent = windows.reshape(-1, self.mean.size) @ self.colour + self.mean
        days = np.clip(np.sinh(np.clip(bent, -50, 50)) * self.spread, self.least, self.most)
        learnt = days.reshape(len(days), -1, PAID).transpose(1, 0, 2)
        return np.concatenate((learnt, np.zeros((*learnt.shape[:2], STEPS - PAID))), axis=2)


@dataclass(frozen=True, eq=False)
class Windows:
    """Paths of windows that are drawn independently of each other."""

    space: Space
    sample: Sampler
    shift: Floats
    """What is added to gap and move of each day, shape (tickers, 1, 2)."""

    @classmethod
    def of(cls, space: Space, sample: Sampler, history: History) -> Windows:
        """Return the model whose long paths have the mean gap and move of `history`.

        Whatever learns windows in a bent space gets the mean return wrong by some hundredths of the volatility, which
        is nothing to the windows and several per cent a year to whoever holds; so it is measured and taken out.
        """
        made = day_columns(space.steps(sample(np.random.default_rng(0), LONG)))
        missing = (day_columns(history.steps).mean(axis=0) - made.mean(axis=0)).reshape(-1, 1, PAID)
        return cls(space, sample, missing[:, :, [GAP, MOVE]])

    def draw(self, rng: np.random.Generator, bars: int) -> Floats:
        """Return steps, shape (tickers, bars, 6)."""
        steps = self.space.steps(self.sample(rng, -(-bars // WINDOW)))[:, :bars]
        steps[:, :, [GAP, MOVE]] += self.shift
        return steps


def space_and_windows(history: History) -> tuple[Space, Floats]:
    """Return the space of a history and its windows in it, (n, WINDOW * columns)."""
    space = Space.of(history.steps)
    return space, space.windows(history.steps)
