"""Examples from price tables: windows as the environments show them, and what followed each; split by date.

The window that ends at row t is made of rows <= t, what followed of rows t to t + horizon. An example belongs to a part
by the days of what followed: training ends before the first day of validation, and validation before that of the test.
Windows look back, so the first of a later part see days of the one before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from etfgym import sources
from etfgym.features import relative
from etfgym.ledger import implied_dividends
from etfgym.prices import MIN_BARS, PriceError, PriceTable
from etfgym.sources.universes import universe

Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]
Follows = Callable[[PriceTable], Floats]
"""From a table of T bars to what followed its rows, shape (T - horizon, K)."""

LEAST_VOLATILITY = 1e-4
"""Of a window, as the standard deviation of a daily log return; a window of equal closes would be divided by zero."""
HALF_A_YEAR = np.timedelta64(183, "D")
FEWEST_EXAMPLES = 252
"""To be trained on."""


def load_source(source: str, min_bars: int = MIN_BARS) -> list[PriceTable]:
    """Return the tables of a price source as one writes it in one word.

    Args:
        source: "builtin", "world:NAME", "world:NAME:SEED" or the path of a CSV, of a folder of them or of a Parquet
            table; "builtin", "yahoo" and a path may be followed by ":SPY,QQQ" or ":UNIVERSE", and "yahoo" has to be.
        min_bars: Fewest bars a table may have.

    Raises:
        PriceError: If there is no such source or ticker, or if its prices are at fault.

    Example:
        >>> load_source("builtin:SP500")
        [PriceTable(SP500, 5031 bars, 1999-01-04 to 2018-12-31, builtin (arch))]
    """
    place, colon, names = source.rpartition(":")
    if source == "yahoo":
        msg = "yahoo: say which tickers, for example yahoo:SPY,QQQ"
        raise PriceError(msg)
    if not colon or source.startswith("world:") or Path(source).exists():
        return sources.load(source, min_bars=min_bars)
    return sources.load(place, universe(names), min_bars=min_bars)


def windows_of(table: PriceTable, window: int) -> npt.NDArray[np.float32]:
    """Return every window of a table, shape (T - window + 1, window, 6): what the environments show at its last row.

    Raises:
        PriceError: If the table is shorter than a window.

    Example:
        >>> windows_of(load_source("builtin:SP500")[0], 20).shape
        (5012, 20, 6)
    """
    if len(table) < window:
        msg = f"{table.ticker}: a window takes {window} bars, got {len(table)}; fetch a longer history"
        raise PriceError(msg)
    features = relative(table, window)
    rows = np.lib.stride_tricks.sliding_window_view(features.base, window, axis=0).transpose(0, 2, 1)
    affine = features.scale[window - 1 :, None], features.shift[window - 1 :, None]
    return np.asarray(rows * affine[0] + affine[1], dtype=np.float32)


def volatility(closes: Floats, window: int) -> Floats:
    """Return the root mean square of the daily log returns in each window of closes (T,), shape (T - window + 1,).

    Example:
        >>> volatility(np.exp([0.0, 0.01, 0.0, 0.02]), window=3).round(4)
        array([0.01  , 0.0158])
    """
    squares = np.diff(np.log(closes)) ** 2
    means = np.lib.stride_tricks.sliding_window_view(squares, window - 1).mean(axis=1)
    return np.asarray(np.maximum(np.sqrt(means), LEAST_VOLATILITY))


def overnight(table: PriceTable) -> Floats:
    """Return the log of the next open, with the dividend paid at it, over the close, shape (T - 1, 1).

    On an ex-date the open falls by a dividend that was announced long before; who held over the night is paid it.
    """
    opens = table.open + implied_dividends(table.close, table.adj_close)
    return np.log(opens[1:] / table.close[:-1])[:, None]


def next_close(table: PriceTable) -> Floats:
    """Return the log of the next close over the close, without dividends, shape (T - 1, 1)."""
    return np.diff(np.log(table.close))[:, None]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples of one or more tables, one after the other, each by date."""

    windows: npt.NDArray[np.float32]
    """Shape (N, W, F)."""
    follows: Floats
    """What followed, shape (N, K)."""
    volatility: Floats
    """Of the window, see `volatility`, shape (N,)."""
    tickers: npt.NDArray[np.str_]
    """Shape (N,)."""
    first: Days
    """The day after the window, shape (N,)."""
    last: Days
    """The last day of what followed, shape (N,)."""

    @classmethod
    def of(cls, tables: Sequence[PriceTable], window: int, follows: Follows, horizon: int = 1) -> Dataset:
        """Return all examples of `tables`.

        Args:
            tables: Of one or more tickers.
            window: Days of a window.
            follows: What is to be told.
            horizon: Days that it takes after the window.

        Example:
            >>> data = Dataset.of(load_source("builtin"), 20, overnight)
            >>> data.windows.shape, data.follows.shape, str(data.first[0])
            ((10022, 20, 6), (10022, 1), '1999-02-02')
        """
        parts = []
        for table in tables:
            count = len(table) - window + 1 - horizon
            after = table.dates[window:]
            part = cls(
                windows=windows_of(table, window)[:count],
                follows=follows(table)[window - 1 :],
                volatility=volatility(table.close, window)[:count],
                tickers=np.full(count, table.ticker),
                first=after[:count],
                last=after[horizon - 1 :],
            )
            parts.append(part)
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS})

    def __len__(self) -> int:
        return len(self.follows)

    def part(self, chosen: npt.NDArray[np.bool_] | slice) -> Dataset:
        """Return some of the examples."""
        return Dataset(**{name: getattr(self, name)[chosen] for name in COLUMNS})

    def of_ticker(self, ticker: str) -> Dataset:
        """Return the examples of one ticker."""
        return self.part(self.tickers == ticker)

    def told(self) -> str:
        """Return how many examples of what, and from when to when.

        Example:
            >>> Dataset.of(load_source("builtin"), 20, overnight).told()
            '10,022 examples of 2 tickers, 1999-02-02 to 2018-12-31'
        """
        names = np.unique(self.tickers)
        what = str(names[0]) if len(names) == 1 else f"{len(names)} tickers"
        return f"{len(self):,} examples of {what}, {self.first.min()} to {self.last.max()}"


COLUMNS = [column.name for column in fields(Dataset)]


def split_by_years(data: Dataset, valid_years: int, test_years: int) -> tuple[Dataset, Dataset, Dataset]:
    """Return the examples to train on, to choose by and to test on, the same days for all tickers.

    Args:
        data: Nothing after the last day that all of its tickers have is used.
        valid_years: Calendar years before the test.
        test_years: The last calendar years. An incomplete one counts as a year if half of it or more is there, and
            else comes on top.

    Raises:
        PriceError: If too little is left to train on.

    Example:
        >>> data = Dataset.of(load_source("builtin"), 20, overnight)
        >>> for part in split_by_years(data, valid_years=2, test_years=3):
        ...     print(part.told())
        7,506 examples of 2 tickers, 1999-02-02 to 2013-12-31
        1,008 examples of 2 tickers, 2014-01-02 to 2015-12-31
        1,508 examples of 2 tickers, 2016-01-04 to 2018-12-31
    """
    last = min(data.last[data.tickers == ticker].max() for ticker in np.unique(data.tickers))
    test = (last + HALF_A_YEAR).astype("datetime64[Y]") - test_years
    valid = test - valid_years
    train = data.last < valid
    if train.sum() < FEWEST_EXAMPLES:
        msg = (
            f"{int(train.sum())} examples before {valid} are too few to train on: {data.told()}, of which the last "
            f"{valid_years + test_years} years choose and test; take a longer history"
        )
        raise PriceError(msg)
    between = (data.first >= valid) & (data.last < test)
    return data.part(train), data.part(between), data.part((data.first >= test) & (data.last <= last))
