"""Periods of a fold: what teaches, chooses and judges, with a gap of a window between."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etfgym.prices import PriceError
from etfgym.sources import load
from etfgym.splits import Fold, split_by_fold

TABLE = load("builtin", "SP500")[0]


def rows(period):
    """Return the rows of the days traded: the first, and the last + 1."""
    first = int(np.searchsorted(TABLE.dates, period.first))
    assert TABLE.dates[first - 1] == period.eve
    assert TABLE.dates[first + period.days - 1] == period.last
    return first, first + period.days


@given(
    year=st.integers(2004, 2018),
    window=st.integers(1, 60),
    train_years=st.none() | st.integers(2, 8),
)
def test_no_window_of_a_period_holds_a_day_that_an_earlier_period_traded(year, window, train_years):
    found = split_by_fold(TABLE, Fold(year, train_years), window)
    train, valid, test = map(rows, (found.train, found.valid, found.test))
    assert valid[0] - window >= train[1]  # the window of the first decision ends on the eve, row valid[0] - 1
    assert test[0] - window >= valid[1]
    assert train[0] >= window
    assert {str(TABLE.dates[row])[:4] for row in range(*test)} == {str(year)}
    assert {str(TABLE.dates[row])[:4] for row in range(*valid)} == {str(year - 1)}
    years = {str(TABLE.dates[row])[:4] for row in range(*train)}
    assert max(years) == str(year - 2)
    if train_years is not None:
        assert len(years) <= train_years


def test_a_rolling_window_has_the_years_asked_for_and_an_expanding_one_all():
    assert str(split_by_fold(TABLE, Fold(2018, 3)).train.first) == "2014-01-02"
    assert str(split_by_fold(TABLE, Fold(2018)).train.first)[:4] == "1999"


def test_a_fold_in_sample_has_one_period_three_times():
    found = split_by_fold(TABLE, Fold(2018, in_sample=True))
    assert found.train == found.valid == found.test == split_by_fold(TABLE, Fold(2018)).test


@pytest.mark.parametrize("year", [1999, 2000, 2019])
def test_a_test_year_without_its_past_or_its_bars_is_refused(year):
    with pytest.raises(PriceError, match=rf"SP500: can't test on {year} with bars from 1999-01-04 to 2018-12-31; it"):
        split_by_fold(TABLE, Fold(year))
