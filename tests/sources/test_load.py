"""`load` takes every form of prices, and says in one line what it can't take."""

import numpy as np
import pandas as pd
import pytest

from etfgym.envs.settings import Settings
from etfgym.ledger import Costs
from etfgym.prices import PriceError
from etfgym.sources import load
from etfgym.sources.worlds import make_world

ONE, TWO = make_world("sine", 0), make_world("sine", 1)


def test_tables_that_are_there_already_are_chosen_by_ticker_and_order():
    assert load(ONE) == [ONE]
    assert load([ONE, TWO], ["SINE-1", "SINE-0"]) == [TWO, ONE]
    assert load([ONE, TWO], "SINE-1") == [TWO]


@pytest.mark.parametrize("wrong", [None, 7, {"SPY": ONE}, pd.DataFrame(), ["builtin"]])
def test_what_is_no_price_source_is_refused_with_the_cure(wrong):
    with pytest.raises(PriceError, match=r"prices must be a source's name, a path, .*PriceTable.from_frame"):
        load(wrong)


@pytest.mark.parametrize("wrong", [[ONE, ONE], []])
def test_tables_must_have_different_tickers(wrong):
    with pytest.raises(PriceError, match="prices must be tables with different tickers"):
        load(wrong)


def test_a_ticker_counts_once():
    with pytest.raises(PriceError, match="tickers asked for more than once: SP500, SP500"):
        load("builtin", ["SP500", "SP500"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"initial_cash": "20000"}, "initial_cash must be a number, got '20000'"),
        ({"units": (10**30,)}, "each of units must be at most"),
        ({"observe_account": "yes"}, "observe_account must be True or False, got 'yes'"),
        ({"commission": 0.002}, r"commission is part of costs: write costs=etfgym.ledger.Costs\(commission=0.002\)"),
    ],
)
def test_settings_of_the_wrong_kind_are_one_line(wrong, message):
    with pytest.raises(ValueError, match=message):
        Settings.from_keywords(wrong)


def test_costs_and_cash_may_be_any_kind_of_number_but_no_text():
    assert Costs(commission=np.float32(0.5) / 100).rates[0] == pytest.approx(0.005)
    assert Settings(initial_cash=np.int64(5)).initial_cash == 5
    with pytest.raises(ValueError, match=r"commission must be a number, got '0\.1'"):
        Costs(commission="0.1")
