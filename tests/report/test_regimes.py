"""Regimes are told by the past alone, and what was earned in them adds up."""

import numpy as np
import pandas as pd
import pytest

from etfgym.prices import PriceTable
from etfgym.report.regimes import regime_table, regimes
from etfgym.report.results import load_results
from etfgym.report.tables import compare


def table(close, first="2017-01-02", ticker="SPY"):
    dates = pd.bdate_range(first, periods=len(close)).to_numpy().astype("datetime64[D]")
    bars = np.column_stack([np.asarray(close, float)] * 6)
    return PriceTable(ticker, dates, bars, "test", min_bars=1)


def test_a_rise_is_rising_and_a_fall_is_falling():
    close = np.r_[np.linspace(100, 200, 40), np.linspace(199, 100, 40)]
    trend = regimes(table(close), window=5, past=10)["trend"]
    assert set(trend.iloc[:20]) == {"rising"}
    assert set(trend.iloc[-30:]) == {"falling"}


def test_days_are_volatile_where_the_window_moves_more_than_it_used_to():
    steps = np.r_[np.tile([0.001, -0.001], 20), np.tile([0.05, -0.05], 4)]
    told = regimes(table(100 * np.cumprod(1 + steps)), window=5, past=20)["volatility"]
    assert set(told.iloc[-4:]) == {"volatile"}
    calm = np.r_[np.tile([0.05, -0.05], 20), np.tile([0.001, -0.001], 4)]
    assert set(regimes(table(100 * np.cumprod(1 + calm)), window=5, past=20)["volatility"].iloc[-4:]) == {"calm"}


def test_what_comes_later_changes_no_regime():
    close = 100 * np.exp(np.random.default_rng(0).normal(0, 0.01, 400).cumsum())
    changed = close.copy()
    changed[350:] *= 0.5
    one, other = (regimes(table(prices)).loc[:"2018-05-01"] for prices in (close, changed))
    assert len(one) > 20
    pd.testing.assert_frame_equal(one, other)


@pytest.fixture(scope="module")
def results(make_folder, tmp_path_factory):
    returns = {("dqn", "SPY", year): [0.1, 0.2, 0.0] for year in (2018, 2019)}
    returns |= {("buy-and-hold", "SPY", year): [0.05 + year % 2 / 10] for year in (2018, 2019)}
    return load_results(make_folder(tmp_path_factory.mktemp("regimes"), returns, days=60))


def prices(ticker="SPY"):
    return table(100 * np.exp(np.random.default_rng(0).normal(0, 0.01, 1100).cumsum()), "2016-01-01", ticker)


def test_what_was_earned_in_the_regimes_adds_up_to_the_mean_return(results):
    found = regime_table(results, "dqn", prices())
    assert len(found) == 4
    assert found["own"].sum() == pytest.approx(100 * compare(results, "dqn").mean)
    assert found["hold"].sum() == pytest.approx(100 * compare(results, "dqn").hold_mean)
    assert (found["low"] < found["own"]).all()
    assert (found["own"] < found["high"]).all()
    days = results.equity[results.equity["agent"] == "buy-and-hold"]
    assert found["days"].sum() == len(days) - 2  # the eves trade nothing


def test_the_regime_of_a_day_is_that_of_the_evening_before(results):
    own, known = regime_table(results, "dqn", prices()), regimes(prices())
    days = results.equity[(results.equity["agent"] == "dqn") & (results.equity["seed"] == 0)]
    eves = [date for _, year in days.groupby("year") for date in year["date"].iloc[:-1]]
    assert known.loc[eves].value_counts().to_dict() == own["days"].to_dict()


def test_the_share_invested_is_that_of_the_evenings(results):
    days = results.equity[results.equity["agent"] == "dqn"]
    evenings = days[days["date"] < days.groupby("year")["date"].transform("max")]
    close = pd.Series(prices().close, prices().dates)[evenings["date"]].to_numpy()
    found, weights = regime_table(results, "dqn", prices()), regime_table(results, "dqn", prices())["days"]
    assert np.average(found["invested"], weights=weights) == pytest.approx(
        (evenings["units"].to_numpy() * close / evenings["equity"].to_numpy()).mean()
    )


def test_a_ticker_that_was_not_traded_is_refused(results):
    with pytest.raises(ValueError, match="dqn did not trade QQQ; it traded SPY"):
        regime_table(results, "dqn", prices("QQQ"))
