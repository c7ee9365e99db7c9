"""Market: checked tables laid end to end, as the kernel reads them, and the rows where an episode may start."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from etfgym.checks import DateLike, as_day
from etfgym.features import make_features
from etfgym.ledger import implied_dividends
from etfgym.prices import PriceError, PriceTable

Start: TypeAlias = "DateLike | tuple[DateLike, DateLike] | None"


def as_start(value: Start | list[DateLike]) -> Start:
    """Return a start as it was given, a pair as a tuple.

    Raises:
        ValueError: If it is neither None, nor a date, nor a pair of dates, the earlier first.
    """
    if not isinstance(value, tuple | list):
        if value is not None:
            as_day(value)
        return value
    if len(value) != 2 or as_day(value[0]) > as_day(value[1]):
        msg = f"start must be a date or a pair of dates, the earlier first, got {value!r}"
        raise ValueError(msg)
    return value[0], value[1]


class Market:
    """The bars of one or more tables in flat arrays, with global row numbers.

    Args:
        tables: Checked tables.
        window: Days that an observation shows.
        features: Kind of window features, see `etfgym.features.FEATURES`.
        length: Bars that an episode trades.

    Raises:
        PriceError: If a table is shorter than one window and one episode.

    Attributes:
        dates, open, close, dividend: Shape (N,), N being the sum of the tables' lengths; dollars a unit.
        paid_so_far: Dividends of the row's table up to and including the row, shape (N,), dollars a unit.
        prices: The same four numbers of each row, shape (4, N): open, close, dividend, paid_so_far are its rows.
        base, scale, shift: Shape (N, 6), float32, see `etfgym.features.Features`.
        features: The same, shape (3, N, 6): base, scale, shift are its parts.
        low, high: Shape (6,), float32, bounds of an observation's columns.
        offset: Global row where each table begins, shape (number of tables,).
    """

    def __init__(self, tables: Sequence[PriceTable], *, window: int, features: str, length: int) -> None:
        for table in tables:
            if len(table) < window + length:
                msg = f"{table.ticker}: {len(table)} bars are fewer than window + length = {window} + {length}; "
                raise PriceError(msg + "fetch a longer history or make the episode shorter")
        self.tables = tuple(tables)
        self.window = window
        self.length = length
        self._kind = features
        self.offset = np.cumsum([0] + [len(table) for table in tables[:-1]])
        self.tickers = np.array([table.ticker for table in tables])
        self.dates = np.concatenate([table.dates for table in tables])
        paid = [implied_dividends(table.close, table.adj_close) for table in tables]
        columns = (
            [table.open for table in tables],
            [table.close for table in tables],
            paid,
            [np.cumsum(dividends) for dividends in paid],
        )
        self.prices = np.stack([np.concatenate(column) for column in columns])
        self.open, self.close, self.dividend, self.paid_so_far = self.prices
        made = [make_features(features, table, window) for table in tables]
        self.features = np.stack(
            [np.concatenate([getattr(part, name) for part in made]) for name in ("base", "scale", "shift")]
        )
        self.base, self.scale, self.shift = self.features
        self.low, self.high = made[0].low, made[0].high

    def __deepcopy__(self, memo: dict[int, Any]) -> Market:
        """Return itself: nothing in it ever changes, so copies of an environment share it."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(Market, window=self.window, features=self._kind, length=self.length), (self.tables,)

    def start_rows(self, number: int, start: Start) -> tuple[int, int]:
        """Return the global rows where an episode on table `number` may start: the first, and the last + 1.

        An episode that starts at row s shows the window that ends at s, fills its first order at the open of s + 1
        and is closed at the close of s + length.

        Args:
            number: Which table.
            start: None for anywhere that fits; a date for the first bar on or after it; a pair for any bar between.

        Raises:
            ValueError: If no such row leaves room for window and length; names table and dates.
        """
        table = self.tables[number]
        least, most = self.window - 1, len(table) - 1 - self.length
        if start is None:
            first, last = least, most
        elif isinstance(start, tuple):
            first = max(least, int(np.searchsorted(table.dates, as_day(start[0]))))
            last = min(most, int(np.searchsorted(table.dates, as_day(start[1]), side="right")) - 1)
        else:
            first = last = int(np.searchsorted(table.dates, as_day(start)))
        if not least <= first <= last <= most:
            span = " to ".join(map(str, start)) if isinstance(start, tuple) else str(start)
            msg = (
                f"start={span}: on {table.ticker}, an episode of {self.length} bars can start from "
                f"{table.dates[least]} to {table.dates[most]}; choose a date in there, or another length"
            )
            raise ValueError(msg)
        offset = int(self.offset[number])
        return offset + first, offset + last + 1
