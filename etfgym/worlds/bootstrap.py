"""The block bootstrap: real bars in a new order, whole, and the same days for every ETF."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from etfgym.checks import whole_number
from etfgym.worlds.history import Floats, History


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """The stationary bootstrap of Politis and Romano (1994), JASA 89, 1303-1313, over the days of a history.

    A path is made of blocks: a day drawn evenly from all, and the days that followed it, for a geometric number of
    days; after the last day comes the first. What happens inside a bar, between ETFs on one day, and within a block
    is kept; what reaches further than a block is lost.
    """

    mean_block: int = 20
    """Mean length of a block, days, the window that an agent sees. Politis and White's (2004) rule, as
    `arch.bootstrap.optimal_block_length` has it, asks for 3 to 9 days for the returns of the builtin indices and for
    150 for their size. Longer blocks keep more, and show more of what was."""

    def __post_init__(self) -> None:
        whole_number("mean_block", self.mean_block, 1)

    def fit(self, history: History, seed: int) -> DaysAgain:
        """Return the model of `history`; nothing is left to the seed."""
        del seed
        return DaysAgain(history.steps, self.mean_block)


@dataclass(frozen=True, eq=False)
class DaysAgain:
    """Steps (tickers, days, 6) whose days are drawn again in blocks of a mean length."""

    steps: Floats
    mean_block: int

    def draw(self, rng: np.random.Generator, bars: int) -> Floats:
        """Return steps, shape (tickers, bars, 6)."""
        return self.steps[:, stationary_days(rng, self.steps.shape[1], bars, self.mean_block)]


def stationary_days(rng: np.random.Generator, days: int, count: int, mean_block: int) -> npt.NDArray[np.int64]:
    """Return `count` of the days 0 to `days` - 1 in blocks of consecutive ones, shape (count,).

    Example:
        >>> stationary_days(np.random.default_rng(1), 100, 10, mean_block=4).tolist()
        [86, 87, 83, 84, 85, 86, 87, 88, 89, 30]
    """
    begins = rng.random(count) < 1 / mean_block
    begins[0] = True
    first = rng.integers(days, size=count)
    at = np.maximum.accumulate(np.where(begins, np.arange(count), 0))  # where the block of each place begins
    return (first[at] + np.arange(count) - at) % days
