"""Metrics by hand, by empyrical and by independent formulas."""

import empyrical
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from etfgym import metrics
from etfgym.metrics import (
    cost_share,
    drawdown,
    exposure,
    hit_rate,
    longest_drawdown,
    max_drawdown,
    sharpe,
    total_return,
    turnover,
)

OF_EQUITY = [
    total_return, metrics.cagr, metrics.volatility, sharpe, metrics.sortino, metrics.calmar, max_drawdown, drawdown,
    longest_drawdown, metrics.value_at_risk, metrics.conditional_value_at_risk,
]  # fmt: skip
OF_TRADES = [turnover, cost_share, exposure]


ONE = array_shapes(min_dims=1, max_dims=1, min_side=1, max_side=60)
MANY = array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=6)


@pytest.fixture(scope="module")
def _empyrical_knows_ninf():
    """Give empyrical 0.5.9 the name of minus infinity that numpy 2 no longer has; its downside risk uses it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "NINF", -np.inf, raising=False)
        yield


@st.composite
def curves(draw, shape=ONE):
    """Return curves from 20,000 dollars, with returns that are never so near zero that only rounding is left."""
    changes = st.integers(-150, 150).map(lambda step: step / 1000)
    returns = draw(arrays(np.float64, shape, elements=changes))
    growth = np.cumprod(np.concatenate([np.ones((*returns.shape[:-1], 1)), 1 + returns], axis=-1), axis=-1)
    return 20_000 * growth


def returns_of(equity):
    return equity[1:] / equity[:-1] - 1


@given(curves())
def test_measures_agree_with_empyrical(equity):
    returns = returns_of(equity)
    oracles = {
        total_return: empyrical.cum_returns_final(returns),
        metrics.cagr: empyrical.cagr(returns),
        metrics.volatility: empyrical.annual_volatility(returns),
        metrics.value_at_risk: empyrical.value_at_risk(returns),
        metrics.conditional_value_at_risk: empyrical.conditional_value_at_risk(returns),
        max_drawdown: -empyrical.max_drawdown(returns),
    }
    for metric, value in oracles.items():
        assert metric(equity) == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True), metric.__name__


@pytest.mark.usefixtures("_empyrical_knows_ninf")
@given(curves())
def test_ratios_agree_with_empyrical_where_there_is_something_to_divide_by(equity):
    returns = returns_of(equity)
    assume(np.ptp(returns) > 1e-9)
    assume(returns.min() < -1e-9)
    assert sharpe(equity) == pytest.approx(empyrical.sharpe_ratio(returns), rel=1e-9, abs=1e-9)
    assert metrics.sortino(equity) == pytest.approx(empyrical.sortino_ratio(returns), rel=1e-9, abs=1e-9)
    assert metrics.calmar(equity) == pytest.approx(empyrical.calmar_ratio(returns), rel=1e-9, abs=1e-9)


@given(curves())
def test_the_longest_drawdown_is_the_longest_run_of_days_below_a_peak(equity):
    series = pd.Series(equity)
    under = series < series.cummax()
    assert longest_drawdown(equity) == under.groupby((~under).cumsum()).sum().max()


@given(curves(MANY))
def test_many_curves_at_once_are_each_as_alone(equity):
    cash = equity / 3
    units = (equity > 20_000).astype(np.int64)
    for row in np.ndindex(equity.shape[:-1]):
        for metric in OF_EQUITY:
            assert np.allclose(metric(equity)[row], metric(equity[row]), equal_nan=True, rtol=1e-9)
        for metric in OF_TRADES:
            together, alone = metric(cash, equity)[row], metric(cash[row], equity[row])
            assert np.allclose(together, alone, equal_nan=True)
        together, alone = hit_rate(equity, units, -units)[row], hit_rate(equity[row], units[row], -units[row])
        assert np.allclose(together, alone, equal_nan=True)


@pytest.mark.parametrize("curve", [np.full(9, 20_000.0), 20_000 * 1.001 ** np.arange(252)])  # constant but for rounding
def test_a_curve_that_never_falls_and_never_varies_has_no_ratios(curve):
    assert np.isnan(sharpe(curve))
    assert np.isnan(metrics.sortino(curve))
    assert np.isnan(metrics.calmar(curve))
    assert metrics.volatility(curve) == pytest.approx(0.0, abs=1e-9)
    assert longest_drawdown(curve) == 0


def test_a_single_return_has_no_spread():
    for metric in (metrics.volatility, sharpe, metrics.sortino):
        assert np.isnan(metric(np.array([100.0, 90.0])))


def test_the_drawdown_starts_at_the_initial_capital():
    assert max_drawdown(np.array([100.0, 90.0])) == pytest.approx(0.1)
    assert longest_drawdown(np.array([100.0, 90.0, 95.0])) == 2


def test_the_downside_counts_the_good_days_as_zeros():
    # returns 0.1 and -0.1: the mean square of min(r, 0) over both is 0.005, over the bad one alone it would be 0.01
    equity = np.array([100.0, 110.0, 99.0, 118.8])
    downside = np.sqrt((0.1**2) / 3)
    assert metrics.sortino(equity) == pytest.approx(np.sqrt(252) * (0.2 / 3) / downside)


def test_turnover_and_costs_are_shares_of_the_initial_capital():
    equity = np.array([200.0, 100.0, 300.0])
    assert turnover(np.array([0.0, 100.0, 50.0]), equity) == 0.75
    assert cost_share(np.array([0.0, 1.0, 2.0]), equity) == 0.015


def test_exposure_leaves_out_the_close_before_any_trade_and_the_one_after_the_last():
    equity = np.full(5, 100.0)
    assert exposure(np.array([100.0, 0.0, 0.0, 100.0, 100.0]), equity) == pytest.approx(2 / 3)
    assert np.isnan(exposure(equity[:2], equity[:2]))


def test_hits_are_counted_on_days_with_a_position_only():
    # flat; bought at the open of day 2; held; sold at the open of day 4; bought and sold out on the last day
    equity = np.array([100.0, 100.0, 101.0, 100.0, 102.0, 103.0])
    units = np.array([0, 0, 5, 5, 0, 0])
    filled = np.array([0, 0, 5, 0, -5, 5])
    assert hit_rate(equity, units, filled) == 0.75
    assert np.isnan(hit_rate(equity, 0 * units, 0 * filled))


@pytest.mark.parametrize("bad", [[100.0, np.nan], [100.0, np.inf], [100.0, 0.0], [100.0, -1.0], [100.0], []])
@pytest.mark.parametrize("metric", OF_EQUITY)
def test_what_is_no_curve_is_refused(metric, bad):
    with pytest.raises(ValueError, match="equity must have two days or more"):
        metric(np.array(bad))


@pytest.mark.parametrize("metric", OF_TRADES)
def test_daily_dollars_must_be_there_for_each_day(metric):
    equity = np.array([100.0, 101.0, 102.0])
    for bad in ([1.0, 2.0], [1.0, np.nan, 2.0], [1.0, -1.0, 2.0]):
        with pytest.raises(ValueError, match=r"must be a number >= 0 for each day of equity, shape \(3,\)"):
            metric(np.array(bad), equity)
    with pytest.raises(ValueError, match="equity must have two days or more"):
        metric(equity, np.array([100.0, np.nan, 100.0]))


def test_units_and_orders_must_be_there_for_each_day():
    equity, units = np.array([100.0, 101.0]), np.array([0, 1])
    with pytest.raises(ValueError, match="units must be a number >= 0"):
        hit_rate(equity, -units, units)
    with pytest.raises(ValueError, match="filled must be a number for each day"):
        hit_rate(equity, units, units[:1])
