"""The builtin tables are what their docstring says."""

from __future__ import annotations

import numpy as np
import pytest

from etfgym.ledger import implied_dividends
from etfgym.prices import PriceError
from etfgym.sources import load


def test_there_are_two_indices_of_twenty_years():
    tables = load("builtin")
    assert [table.ticker for table in tables] == ["SP500", "NASDAQ"]
    for table in tables:
        assert len(table) == 5031
        assert (str(table.dates[0]), str(table.dates[-1])) == ("1999-01-04", "2018-12-31")
        assert table.source == "builtin (arch)"


@pytest.mark.parametrize(("ticker", "index_close"), [("SP500", 2506.85 / 10), ("NASDAQ", 6635.28 / 40)])
def test_a_unit_is_a_tenth_of_the_sp500_and_a_fortieth_of_the_nasdaq(ticker, index_close):
    (table,) = load("builtin", ticker)
    assert table.close[-1] == pytest.approx(index_close, abs=1e-3)  # the indices' published closes of 2018


def test_they_pay_no_dividends():
    for table in load("builtin"):
        assert np.array_equal(table.close, table.adj_close)
        assert not implied_dividends(table.close, table.adj_close).any()


def share_of_opens_at_the_last_close(ticker: str, first: int, last: int) -> float:
    """Return the share of days of the years from `first` to `last` that open within a basis point of the last close."""
    (table,) = load("builtin", ticker)
    same = np.abs(table.open[1:] / table.close[:-1] - 1) < 1e-4
    years = table.dates[1:].astype("datetime64[Y]").astype(int) + 1970
    return float(same[(first <= years) & (years <= last)].mean())


def test_the_sp500_opens_at_its_last_close_until_2006_and_often_from_2011_to_2013():
    assert share_of_opens_at_the_last_close("SP500", 1999, 2005) > 0.98
    assert 0.3 < share_of_opens_at_the_last_close("SP500", 2011, 2013) < 0.6
    assert share_of_opens_at_the_last_close("SP500", 2014, 2018) < 0.10
    assert share_of_opens_at_the_last_close("NASDAQ", 1999, 2018) < 0.03


def test_loading_twice_gives_the_same_tables():
    first, second = load("builtin"), load("builtin")
    assert [table.sha256 for table in first] == [table.sha256 for table in second]


def test_the_tickers_asked_for_come_in_the_order_asked_for():
    assert [table.ticker for table in load("builtin", ["NASDAQ", "SP500"])] == ["NASDAQ", "SP500"]


def test_an_unknown_ticker_is_refused_with_the_nearest_one():
    with pytest.raises(PriceError, match=r"SP50: not in builtin \(did you mean SP500\?\); it has SP500, NASDAQ"):
        load("builtin", "SP50")
    with pytest.raises(PriceError, match="no ticker asked for; builtin has SP500, NASDAQ"):
        load("builtin", [])
