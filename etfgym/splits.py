"""Train, validation and test periods of a table: fit on the past, choose on the next year, report the one after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etfgym.checks import whole_number
from etfgym.prices import PriceError, PriceTable

WINDOW = 20
"""Bars that a decision looks back over."""


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
class Fold:
    """One fold of a walk-forward: which years teach, and which judges.

    The year before `test_year` is for validation.
    """

    test_year: int
    train_years: int | None = None
    """Years before the validation year to train on, a rolling window; None takes all there are, an expanding one."""
    in_sample: bool = False
    """Train, choose and trade on the test year itself. Its results say nothing about any other year."""

    def __post_init__(self) -> None:
        whole_number("test_year", self.test_year, 1)
        if self.train_years is not None:
            whole_number("train_years", self.train_years, 1)


@dataclass(frozen=True, slots=True)
class Split:
    """The three periods of one fold. A gap of a window lies between one and the next.

    A decision looks back over a window, so without the gap the first windows of a period would end on days on which
    an earlier one was traded. The gap is purge and embargo in one (López de Prado 2018, ch. 7): nothing is trained
    after a test.
    """

    train: Period
    valid: Period
    test: Period


def split_by_fold(table: PriceTable, fold: Fold, window: int = WINDOW) -> Split:
    """Return the periods of `fold`: the test year whole, the two before it without their last `window` bars.

    Raises:
        PriceError: If the table lacks one of the three, or has less than a window and a year to train on.

    Example:
        >>> from etfgym.sources import load
        >>> periods = split_by_fold(load("builtin", "SP500")[0], Fold(2018))
        >>> str(periods.train.last), str(periods.valid.first), str(periods.valid.last)
        ('2016-12-01', '2017-01-03', '2017-11-30')
        >>> str(periods.test.eve), str(periods.test.first), periods.test.days
        ('2017-12-29', '2018-01-02', 251)
    """
    year, span = fold.test_year, fold.train_years
    years = table.dates.astype("datetime64[Y]").astype(int) + 1970
    begin = 0 if span is None else int(np.searchsorted(years, year - 1 - span))
    end, valid, test = (int(np.searchsorted(years, of)) for of in (year - 1, year, year + 1))
    first = max(window - 1, begin - 1)
    last = end - 1 - window
    if fold.in_sample and valid > window:
        same = _period(table, valid - 1, test - 1)
        return Split(same, same, same)
    missing = [wanted for wanted in (year - 2, year - 1, year) if wanted not in years]
    if missing or last - first < 252 or valid - end <= window:
        msg = (
            f"{table.ticker}: can't test on {year} with bars from {table.dates[0]} to {table.dates[-1]}; it takes "
            f"that year, the one before for validation, and a year and two windows before these for training"
        )
        raise PriceError(msg)
    return Split(
        train=_period(table, first, last),
        valid=_period(table, end - 1, valid - 1 - window),
        test=_period(table, valid - 1, test - 1),
    )


def _period(table: PriceTable, eve: int, last: int) -> Period:
    return Period(table.dates[eve], table.dates[eve + 1], table.dates[last], last - eve)
