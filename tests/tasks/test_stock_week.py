"""Five closes to the next: found where it is told, not found where it is not."""

import re
from dataclasses import replace

import numpy as np
import planted
import pytest

from etfgym.sources.worlds import make_world
from etfgym.tasks import forecast, stock_week
from etfgym.tasks.outcome import Setup
from etfgym.tasks.windows import volatility


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    monkeypatch.setattr(forecast, "FITTING", planted.FAST)
    monkeypatch.setattr(forecast, "RESAMPLES", 200)


def test_closes_that_turn_back_are_found_by_every_net_and_predicted(tmp_path):
    data = planted.written(planted.closes_that_turn_back(), tmp_path)
    outcomes = stock_week.run(Setup(folder=tmp_path, data=data))
    assert [outcome.model for outcome in outcomes] == ["DNN", "CNN", "RNN"]
    for outcome in outcomes:
        assert 0.4 < outcome.value < 0.75  # 0.64 is told
    assert (tmp_path / "closes.png").exists()
    for closes, change in (("100,99,100,99,101", -1.6), ("100,101,100,101,99", 1.6)):
        said = stock_week.predict(tmp_path, closes)
        assert float(re.search(r"\((.*) %\)", said)[1]) == pytest.approx(change, abs=0.6)


def test_a_random_walk_is_not_beaten(tmp_path, monkeypatch):
    monkeypatch.setattr(forecast, "NETS", {"DNN": forecast.NETS["DNN"]})
    data = planted.written(replace(make_world("random-walk", bars=planted.BARS), ticker="TOY"), tmp_path)
    [outcome] = stock_week.run(Setup(folder=tmp_path, data=data))
    assert outcome.value < 0.01
    assert outcome.figures["skill, low"] < 0
    assert max(outcome.baselines.values()) == 0


def test_prices_ten_times_as_high_are_told_the_same_change(tmp_path, monkeypatch):
    monkeypatch.setattr(forecast, "NETS", {"DNN": forecast.NETS["DNN"]})
    data = planted.written(planted.closes_that_turn_back(), tmp_path)
    stock_week.run(Setup(folder=tmp_path, data=data, quick=True))
    low, high = (stock_week.predict(tmp_path, closes) for closes in ("10,11,10,9,10", "100,110,100,90,100"))
    assert re.search(r"\(.*\)", low)[0] == re.search(r"\(.*\)", high)[0]


@pytest.mark.parametrize(
    "given", ["1,2,3,4", "1,2,3,4,5,6", "1,2,x,4,5", "1,2,0,4,5", "1,2,nan,4,5", "1,2,inf,4,5", ""]
)
def test_what_is_not_five_closes_is_refused(given, tmp_path):
    with pytest.raises(ValueError, match=f"5 closes are wanted, oldest first, .* got {given!r}"):
        stock_week.predict(tmp_path, given)


def test_volatility_is_of_the_five_closes_alone():
    np.testing.assert_allclose(volatility(np.exp([0.0, 0.01, 0.0, 0.01, 0.0]), 5), [0.01])
