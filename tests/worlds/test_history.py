"""Steps: what bars become, and that they become the same bars again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from etfgym.ledger import implied_dividends
from etfgym.prices import CLOSE, HIGH, LOW, OPEN, VOLUME, PriceTable
from etfgym.sources import load
from etfgym.worlds.history import GAP, MOVE, PAID, STEPS, UPPER, History, day_columns, windows_of
from etfgym.worlds.history import VOLUME as STEP_VOLUME

SHARED = Path(__file__).resolve().parents[3] / "shared/data/etf44_daily_to_2020.parquet"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="the 44 ETFs of ../shared/data are not on this machine")


def bars_again(tables: list[PriceTable]) -> list[PriceTable]:
    """Return the tables that the steps of real ones lead to, brought to the real first close."""
    history = History.of(tables)
    return history.tables(history.steps, "same", 0)


def assert_same_bars(made: PriceTable, real: PriceTable) -> None:
    scale = real.close[-1] * made.close[0] / (real.close[1] * made.close[-1])
    assert scale == pytest.approx(1)  # the path ends as far above its start as the real one
    for column in (OPEN, HIGH, LOW, CLOSE):
        ratio = made.bars[:, column] / real.bars[1:, column]
        assert np.ptp(ratio) < 1e-9 * ratio[0]
    dividends = implied_dividends(real.close, real.adj_close)[1:] / real.close[:-1]
    again = implied_dividends(made.close, made.adj_close)[1:] / made.close[:-1]
    assert np.allclose(again, dividends[1:], atol=1e-9)


def test_steps_lead_to_the_bars_and_dividends_that_they_were_made_of(paying, builtin):
    for tables in (paying, builtin):
        for made, real in zip(bars_again(tables), tables, strict=True):
            assert_same_bars(made, real)


@needs_shared
def test_steps_lead_to_the_bars_of_a_real_etf_and_its_dividends():
    real = load(SHARED, ["SPY"])
    assert_same_bars(bars_again(real)[0], real[0])


def test_a_path_begins_at_the_last_real_close_with_adj_close_ending_at_the_close(paying):
    history = History.of(paying)
    steps = np.zeros((2, 3, STEPS))
    steps[:, 0, MOVE] = np.log(1.1)
    steps[:, 2, PAID] = -np.log(0.98)
    made = history.tables(steps, "by hand", 7)[0]
    last = paying[0].close[-1]
    assert made.close == pytest.approx([1.1 * last] * 3)
    assert made.open == pytest.approx([last, 1.1 * last, 1.1 * last])
    assert made.adj_close == pytest.approx([0.98 * 1.1 * last, 0.98 * 1.1 * last, 1.1 * last])
    assert made.bars[:, VOLUME] == pytest.approx(np.round(history.usual_volume[0]))
    assert repr(made).startswith("PriceTable(AAA-BY HAND-7, 3 bars, 2000-01-03 to 2000-01-05, by hand world, seed 7")


@settings(max_examples=30)
@given(
    arrays(np.float64, (2, 30, STEPS), elements=st.floats(0, 0.1)),
    arrays(np.float64, (2, 30), elements=st.floats(-0.1, 0.1)),
)
def test_any_steps_make_a_valid_table(history, steps, moves):
    steps[:, :, MOVE] = moves
    for table in history.tables(steps, "any", 0):  # PriceTable has checked it
        assert len(table) == 30


def test_volume_is_told_against_the_mean_of_the_year_up_to_the_day(builtin):
    history = History.of(builtin)
    volume = builtin[0].bars[:, VOLUME]
    assert history.steps[0, 999, STEP_VOLUME] == pytest.approx(np.log(volume[1000] / volume[749:1001].mean()))
    assert history.usual_volume[0] == pytest.approx(volume[-252:].mean())


def test_only_days_that_all_tickers_have_count(builtin):
    first = builtin[0]
    gone = np.arange(len(first)) % 7 != 3
    other = PriceTable("OTHER", first.dates[gone], first.bars[gone], "by hand")
    history = History.of([first, other])
    assert history.steps.shape == (2, gone.sum() - 1, STEPS)
    assert np.array_equal(history.steps[0], history.steps[1])
    assert history.steps[0, :, MOVE].sum() == pytest.approx(np.log(first.close[gone][-1] / first.close[0]))


def test_total_returns_are_those_of_adj_close(paying):
    for returns, table in zip(History.of(paying).total_returns, paying, strict=True):
        assert returns == pytest.approx(np.diff(np.log(table.adj_close)))


def test_the_columns_that_are_learnt_count_dividends_into_gap_and_move(paying):
    history = History.of(paying)
    columns = day_columns(history.steps)
    assert columns.shape == (len(paying[0]) - 1, 10)
    assert np.allclose(columns[:, [MOVE, 5 + MOVE]].T, history.total_returns)
    assert columns[:, 5 + GAP] == pytest.approx(history.steps[1, :, GAP] + history.steps[1, :, PAID])
    assert np.array_equal(columns[:, UPPER], history.steps[0, :, UPPER])


def test_windows_are_consecutive_days():
    days = np.arange(44.0).reshape(22, 2)
    assert np.array_equal(windows_of(days), np.stack([days[:20], days[1:21], days[2:]]))


def test_too_few_common_days_are_refused(builtin):
    with pytest.raises(
        ValueError, match=r"^a world needs 1009 days that SP500 have in common, got 500; leave out the .*$"
    ):
        History.of([PriceTable("SP500", builtin[0].dates[:500], builtin[0].bars[:500], "short")])
