"""The standing controls: passed by what they are meant for, failed by what they are meant to catch."""

import numpy as np
import pandas as pd
import pytest

from agents.registry import learner
from backtests.backends import Backend
from backtests.controls import HOLD, WORLDS, controls, judge
from backtests.jobs import Finished
from etfgym.ledger import Costs, implied_dividends
from etfgym.sources import load
from etfgym.sources.worlds import shuffled
from etfgym.splits import Fold

DAY = pd.Timestamp("2010-01-04")


def finished(differences, seeds=2):
    rows = [
        {"agent": agent, "ticker": f"W{world}", "test_start": DAY, "test_end": DAY, "seed": seed, "total_return": value}
        for world, difference in enumerate(differences)
        for agent, value, runs in (("dqn", 0.05 + difference, seeds), (HOLD, 0.05, 1))
        for seed in range(runs)
    ]
    return Finished(pd.DataFrame(rows), pd.DataFrame(), {})


@pytest.mark.parametrize(
    ("differences", "planted", "shuffled_passed"),
    [
        ([0.1, 0.2, 0.1, 0.3, 0.2, 0.1], True, False),  # beats clearly: right on a signal, wrong without one
        ([0.1, -0.1, 0.1, -0.1, 0.1, -0.1], False, True),
        ([-0.1, -0.2, -0.1, -0.3, -0.2, -0.1], False, True),
    ],
)
def test_a_win_passes_on_the_planted_signal_and_fails_on_shuffled_days(differences, planted, shuffled_passed):
    found = finished(differences)
    first, second = (judge(found, "dqn", world, pooled=False) for world in ("planted", "shuffled"))
    assert first["passed"] is planted
    assert second["passed"] is shuffled_passed
    assert first["difference"] == pytest.approx(np.mean(differences))
    assert (first["seeds"], first["cells"], first["first"]) == (2, WORLDS, "2010-01-04")


def test_a_control_with_a_failed_job_is_no_result():
    assert judge(finished([0.1] * (WORLDS - 1)), "dqn", "planted", pooled=False) is None


def test_a_dqn_passes_both_controls(tmp_path):
    found = controls(
        {"dqn": learner("dqn")}, load("builtin"), Fold(2018), tmp_path, Backend("sequential"),
        steps=3_000, pooled=True, costs=Costs(),
    )  # fmt: skip
    planted, mixed = (control["results"]["dqn"] for control in found)
    assert [control["world"] for control in found] == ["planted", "shuffled"]
    assert planted["passed"]
    assert mixed["passed"]
    assert planted["interval"][0] > 0.1
    assert mixed["cells"] == WORLDS


def test_shuffled_days_are_the_same_days_in_another_order():
    table = load("builtin", "SP500")[0]
    mixed = shuffled(table, 3)
    returns = [np.sort(np.diff(np.log(prices.close))) for prices in (table, mixed)]
    assert returns[0] == pytest.approx(returns[1], abs=1e-12)
    assert not np.array_equal(np.diff(table.close), np.diff(mixed.close))
    assert mixed.close[-1] == pytest.approx(table.close[-1])
    assert np.sort(mixed.bars[:, 4]) == pytest.approx(np.sort(table.bars[:, 4]))
    assert not np.array_equal(mixed.bars, shuffled(table, 4).bars)


def test_a_shuffled_day_keeps_its_dividend():
    table = load("builtin", "SP500")[0]
    bars = table.bars.copy()
    bars[:2_000, 5] *= 0.9  # a distribution on day 2,000
    paying = type(table)(table.ticker, table.dates, bars, table.source)
    mixed = shuffled(paying, 0)
    paid = [implied_dividends(prices.close, prices.adj_close) for prices in (paying, mixed)]
    day, moved = (int(dividends.argmax()) for dividends in paid)
    assert [int((dividends > 0).sum()) for dividends in paid] == [1, 1]
    assert (day, moved != day) == (2_000, True)
    assert paid[1][moved] / mixed.close[moved - 1] == pytest.approx(paid[0][day] / paying.close[day - 1])
