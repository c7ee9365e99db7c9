"""Metrics by hand and by independent formulas."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etfgym.metrics import drawdown, max_drawdown, sharpe, total_return

curves = st.lists(st.floats(1.0, 1e6), min_size=3, max_size=40).map(np.array)


@given(curves)
def test_metrics_agree_with_pandas(equity):
    series = pd.Series(equity)
    returns = series.pct_change().dropna()
    assert total_return(equity) == pytest.approx(series.iloc[-1] / series.iloc[0] - 1)
    assert max_drawdown(equity) == pytest.approx(-(series / series.cummax() - 1).min())
    if returns.std() > 1e-9:
        assert sharpe(equity) == pytest.approx(np.sqrt(252) * returns.mean() / returns.std())


@given(st.lists(curves.filter(lambda curve: len(curve) >= 10).map(lambda c: c[:10]), min_size=1, max_size=5))
def test_many_curves_at_once_are_each_as_alone(rows):
    stacked = np.stack(rows)
    for metric in (total_return, sharpe, max_drawdown, drawdown):
        together = metric(stacked)
        for row, curve in zip(together, rows, strict=True):
            assert np.allclose(row, metric(curve), equal_nan=True, rtol=1e-9)


def test_a_curve_that_never_moves_has_no_sharpe_ratio():
    assert np.isnan(sharpe(np.full(9, 20_000.0)))
    assert np.isnan(sharpe(20_000 * 1.001 ** np.arange(252)))  # constant growth but for rounding


def test_the_drawdown_starts_at_the_initial_capital():
    assert max_drawdown(np.array([100.0, 90.0])) == pytest.approx(0.1)


@pytest.mark.parametrize("bad", [[100.0, np.nan], [100.0, 0.0], [100.0, -1.0], [100.0], []])
@pytest.mark.parametrize("metric", [total_return, sharpe, max_drawdown, drawdown])
def test_what_is_no_curve_is_refused(metric, bad):
    with pytest.raises(ValueError, match="equity must have two days or more"):
        metric(np.array(bad))
