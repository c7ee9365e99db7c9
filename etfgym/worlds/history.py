"""History: what a world learns from. Real bars of one or several ETFs as steps from each close to the next bar.

A step is six numbers that do not depend on the price level, and any six of them (four not negative) make a valid bar:

| column | what it is |
| --- | --- |
| GAP | log of Open over the last Close |
| MOVE | log of Close over the last Close |
| UPPER | log of High over the higher of Open and Close, >= 0 |
| LOWER | log of the lower of Open and Close over Low, >= 0 |
| VOLUME | log of Volume over its mean of the 252 days up to this one |
| PAID | minus the log of what the dividend leaves of the last Close, >= 0, so that MOVE + PAID is the total return |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import numpy.typing as npt
import pandas as pd

from etfgym.ledger import implied_dividends
from etfgym.prices import MIN_BARS, PriceTable
from etfgym.prices import VOLUME as TABLE_VOLUME

Floats = npt.NDArray[np.float64]

GAP, MOVE, UPPER, LOWER, VOLUME, PAID = range(6)
STEPS = 6

WINDOW = 20
"""Days that an agent sees, and that windows of the learnt worlds and of the discriminative score have."""
YEAR = 252
FEWEST_STEPS = 4 * YEAR
"""A world of less than four years would be four years told over and over."""


@dataclass(frozen=True, eq=False)
class History:
    """Steps of the days that all tickers have, and where prices go on from there.

    `steps` has shape (tickers, days, 6); `last_close` (dollars) and `usual_volume` (units, the mean of the last 252
    days) have shape (tickers,).
    """

    tickers: tuple[str, ...]
    span: str
    steps: Floats
    last_close: Floats
    usual_volume: Floats

    @classmethod
    def of(cls, tables: Sequence[PriceTable]) -> History:
        """Return the history of tables on their common days.

        Raises:
            ValueError: If they have fewer than 1,009 days in common.

        Example:
            >>> from etfgym.sources import load
            >>> history = History.of(load("builtin"))
            >>> history.steps.shape, history.span
            ((2, 5030, 6), '1999-01-04 to 2018-12-31')
        """
        days = reduce(np.intersect1d, (table.dates for table in tables))
        names = tuple(table.ticker for table in tables)
        if days.size <= FEWEST_STEPS:
            msg = f"a world needs {FEWEST_STEPS + 1} days that {', '.join(names)} have in common, got {days.size}; "
            raise ValueError(msg + "leave out the ticker with the shortest history")
        steps, last_close, usual_volume = [], [], []
        for table in tables:
            bars = table.bars[np.isin(table.dates, days)]
            usual = _usual_volume(bars)
            steps.append(_steps(bars, usual))
            last_close.append(bars[-1, 3])
            usual_volume.append(usual[-1])
        return cls(names, f"{days[0]} to {days[-1]}", np.stack(steps), np.array(last_close), np.array(usual_volume))

    @property
    def total_returns(self) -> Floats:
        """Daily log returns, dividends included, shape (tickers, days)."""
        return np.asarray(self.steps[:, :, MOVE] + self.steps[:, :, PAID])

    def part(self, days: npt.NDArray[np.int64]) -> History:
        """Return the history of these days alone, one after the other."""
        return replace(self, steps=self.steps[:, days])

    def tables(self, steps: Floats, world: str, seed: int) -> list[PriceTable]:
        """Return the bars that these steps lead to from the last real close, a table for each ticker.

        A bar's date is a weekday from 2000-01-03 on. The ticker tells that nothing of it happened: "SPY-BOOTSTRAP-3".

        Args:
            steps: Shape (tickers, bars, 6).
            world: Its name.
            seed: What it was drawn with.

        Raises:
            PriceError: If the path leaves the range of prices that a table may have.
        """
        count = steps.shape[1]
        dates = np.busday_offset(np.datetime64("2000-01-03"), np.arange(count), roll="forward")
        tables = []
        for i, ticker in enumerate(self.tickers):
            bars = _bars(steps[i], float(self.last_close[i]), float(self.usual_volume[i]))
            source = f"{world} world, seed {seed}, of {ticker} {self.span}"
            name = f"{ticker}-{world.upper()}-{seed}"
            tables.append(PriceTable(name, dates, bars, source, min_bars=min(count, MIN_BARS)))
        return tables


def day_columns(steps: Floats) -> Floats:
    """Return the first five columns of each ticker's steps side by side, (days, tickers * 5), from (tickers, days, 6).

    The dividend, which comes on one day in sixty, is counted into gap and move: they are those of the total return.
    """
    days = steps[:, :, :PAID].copy()
    days[:, :, [GAP, MOVE]] += steps[:, :, [PAID]]
    return days.transpose(1, 0, 2).reshape(steps.shape[1], -1)


def windows_of(days: Floats) -> Floats:
    """Return every window of consecutive days, (n - WINDOW + 1, WINDOW, columns), from (n, columns)."""
    views = np.lib.stride_tricks.sliding_window_view(days, WINDOW, axis=0)  # (n, columns, WINDOW)
    return np.ascontiguousarray(views.transpose(0, 2, 1))


def _usual_volume(bars: Floats) -> Floats:
    """Return the mean volume of the year up to each day, of what there is of it, shape (T,); 1 at least."""
    volume = pd.Series(np.maximum(bars[:, TABLE_VOLUME], 1.0))
    return volume.rolling(YEAR, min_periods=1).mean().to_numpy(np.float64)


def _steps(bars: Floats, usual_volume: Floats) -> Floats:
    """Return the steps (T - 1, 6) of bars (T, 6)."""
    opening, high, low, close, volume, _ = bars[1:].T
    before = bars[:-1, 3]
    paid = implied_dividends(bars[:, 3], bars[:, 5])[1:] / before
    columns = (
        np.log(opening / before),
        np.log(close / before),
        np.log(high / np.maximum(opening, close)),
        np.log(np.minimum(opening, close) / low),
        np.log(np.maximum(volume, 1.0) / usual_volume[1:]),
        -np.log1p(-paid),
    )
    return np.column_stack(columns)


def _bars(steps: Floats, last_close: float, usual_volume: float) -> Floats:
    """Return the bars (T, 6) of steps (T, 6), from the close before them on; Adj Close ends at the Close."""
    gap, move, upper, lower, volume, paid = steps.T
    close = last_close * np.exp(np.cumsum(move))
    opening = np.append(last_close, close[:-1]) * np.exp(gap)
    high = np.maximum(opening, close) * np.exp(upper)
    low = np.minimum(opening, close) * np.exp(-lower)
    factor = np.exp(np.cumsum(paid) - paid.sum())
    return np.column_stack((opening, high, low, close, np.round(usual_volume * np.exp(volume)), close * factor))
