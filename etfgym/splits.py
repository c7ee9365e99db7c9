"""Train, validation and test periods of a table: fit on the past, choose on the next year, report the one after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etfgym.prices import PriceError, PriceTable


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of trading days.

    `eve` is the bar before the first day, on which the first decision is made: an environment with `start=eve`
    and `length=days` fills its first order at the open of `first` and is closed at the close of `last`.
    """

    eve: np.datetime64
    first: np.datetime64
    last: np.datetime64
    days: int


@dataclass(frozen=True, slots=True)
class Split:
    """The three periods of one test year, one after the other without a day in common.

    A decision looks back over a window, so the first windows of a later period end on days of the one before it. The
    orders, rewards and equity of a period are its own.
    """

    train: Period
    valid: Period
    test: Period


def split_by_year(table: PriceTable, test_year: int, window: int = 20) -> Split:
    """Return the split whose test period is the calendar year `test_year`.

    The year before it is for validation, all years before that are for training.

    Raises:
        PriceError: If the table lacks one of the three, or has less than a window and a year to train on.

    Example:
        >>> from etfgym.sources import load
        >>> split = split_by_year(load("builtin", "SP500")[0], 2018)
        >>> str(split.train.last), str(split.test.eve), str(split.test.first), split.test.days
        ('2016-12-30', '2017-12-29', '2018-01-02', 251)
    """
    years = table.dates.astype("datetime64[Y]").astype(int) + 1970
    before, valid, test = (np.flatnonzero(years == year) for year in (test_year - 2, test_year - 1, test_year))
    if not (before.size and valid.size and test.size) or before[-1] + 1 < window + 252:
        msg = (
            f"{table.ticker}: can't test on {test_year} with bars from {table.dates[0]} to {table.dates[-1]}; it takes "
            f"that year, the one before for validation, and a window and a year before these for training"
        )
        raise PriceError(msg)
    return Split(
        train=_period(table, window - 1, int(before[-1])),
        valid=_period(table, int(valid[0]) - 1, int(valid[-1])),
        test=_period(table, int(test[0]) - 1, int(test[-1])),
    )


def _period(table: PriceTable, eve: int, last: int) -> Period:
    return Period(table.dates[eve], table.dates[eve + 1], table.dates[last], last - eve)
