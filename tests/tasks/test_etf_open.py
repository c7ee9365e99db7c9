"""The next open: found where it is told, not found where it is not, and judged by skill."""

import json
import re
from dataclasses import replace

import numpy as np
import planted
import pytest

from etfgym.cli import main
from etfgym.prices import PriceTable
from etfgym.sources.worlds import make_world
from etfgym.tasks import etf_open, forecast
from etfgym.tasks.outcome import Setup
from etfgym.tasks.windows import Dataset, overnight, split_by_years


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    monkeypatch.setattr(forecast, "FITTING", planted.FAST)
    monkeypatch.setattr(forecast, "NETS", {"DNN": forecast.NETS["DNN"]})
    monkeypatch.setattr(forecast, "RESAMPLES", 200)


def test_an_open_that_the_window_tells_is_found_and_predicted(tmp_path):
    table = planted.opens_told_by_volume()
    opens, night = etf_open.run(Setup(folder=tmp_path, data=planted.written(table, tmp_path)))
    assert night.metric == "skill close to open"
    assert night.value > 0.7  # 0.917 of the variance is told
    assert 0.6 < night.figures["skill, low"] < night.value < night.figures["skill, high"]
    assert opens.value == pytest.approx(night.value)
    assert opens.tested_on == "783 examples of TOY, 2005-01-03 to 2008-01-02, seed 0"
    said = etf_open.predict(tmp_path, planted.written(table.until("2007-06-01"), tmp_path))
    change = float(re.search(r"\((.*) %\)", said)[1])
    told = 1.0 if table.bars[table.dates == np.datetime64("2007-06-01"), 4][0] > 1e6 else -1.0
    assert change == pytest.approx(told, abs=0.5)


def test_a_random_walk_has_no_skill_in_it_though_r2_is_high(tmp_path):
    data = planted.written(replace(make_world("random-walk", bars=planted.BARS), ticker="TOY"), tmp_path)
    opens, night = etf_open.run(Setup(folder=tmp_path, data=data))
    assert night.value < 0.01
    assert opens.value == pytest.approx(night.value)
    assert opens.figures["R2"] > 0.9  # the last close over the last open is nearly all of it
    assert night.figures["R2"] < 0.01


def test_the_baselines_are_what_one_can_calculate_by_hand(tmp_path):
    table = make_world("trend", bars=planted.BARS)
    opens, night = etf_open.run(
        Setup(folder=tmp_path, data=planted.written(replace(table, ticker="TOY"), tmp_path), quick=True)
    )
    inside = np.flatnonzero(table.dates >= np.datetime64("2005-01-01"))
    moved = np.log(table.open[inside] / table.open[inside - 1])
    known = np.log(table.close[inside - 1] / table.open[inside - 1])
    errors = {"last close over last open": ((moved - known) ** 2).mean(), "zero": (moved**2).mean()}
    best = opens.best_baseline[0]
    assert opens.baselines[best] == 0
    ratio = (1 - opens.baselines["zero"]) / (1 - opens.baselines["last close over last open"])
    assert ratio == pytest.approx(errors["zero"] / errors["last close over last open"], rel=1e-4)
    assert set(night.baselines) == {"zero", "the mean night"}


def test_one_ticker_alone_and_all_pooled_are_tested_on_the_same_days(tmp_path):
    for seed in (1, 2):
        world = make_world("random-walk", seed, bars=planted.BARS)
        planted.written(PriceTable(f"T{seed}", world.dates, world.bars, "world"), tmp_path)
    folder = tmp_path / "out"
    assert main(["tasks", "run", "etf-open", "--data", str(tmp_path), "--out", str(folder), "--quick"]) == 0
    outcomes = json.loads((folder / "outcome.json").read_text())["outcomes"]
    assert [outcome["model"] for outcome in outcomes[::2]] == [
        "DNN pooled, on all 2",
        "DNN pooled, on T1",
        "DNN T1, on T1",
    ]
    assert outcomes[2]["tested_on"] == outcomes[4]["tested_on"]
    assert {file.name for file in folder.glob("*.png")} == {"pooled.png", "T1.png"}
    assert etf_open.predict(folder, str(tmp_path)).count("next open") == 2


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path):
    table = planted.opens_told_by_volume()
    data = planted.written(table, tmp_path)
    saved = []
    for number, seed in enumerate((0, 0, 1)):
        folder = tmp_path / str(number)
        folder.mkdir()
        etf_open.run(Setup(folder=folder, data=data, seed=seed, quick=True))
        saved.append((folder / "pooled-dnn" / "weights.safetensors").read_bytes())
    assert saved[0] == saved[1] != saved[2]


def test_days_of_the_test_never_change_what_is_learnt(tmp_path):
    table = planted.opens_told_by_volume()
    bars = table.bars.copy()
    bars[table.dates >= np.datetime64("2005-01-01")] *= 1.5
    saved = []
    for name, content in (("a", table), ("b", PriceTable("TOY", table.dates, bars, "changed"))):
        folder = tmp_path / name
        folder.mkdir()
        etf_open.run(Setup(folder=folder, data=planted.written(content, folder), quick=True))
        saved.append((folder / "pooled-dnn" / "weights.safetensors").read_bytes())
    assert saved[0] == saved[1]


def test_the_interval_counts_days_not_examples():
    # The same examples twenty times over, as twenty tickers that move as one, say no more than once.
    rng = np.random.default_rng(0)
    days = np.arange(500).astype("datetime64[D]")
    error, baseline = rng.exponential(size=(2, 500))
    once = forecast.skill_interval(error, baseline, days, np.random.default_rng(1))
    twenty = forecast.skill_interval(*(np.tile(each, 20) for each in (error, baseline, days)), np.random.default_rng(1))
    assert twenty == pytest.approx(once)


def test_predict_says_what_to_run_where_nothing_is_trained(tmp_path):
    with pytest.raises(ValueError, match="holds no forecast"):
        etf_open.predict(tmp_path, "world:trend")


def test_the_network_starts_as_the_naive_forecast():
    part, _, _ = split_by_years(Dataset.of([planted.opens_told_by_volume()], 20, overnight), 2, 3)
    pair = part.windows, part.follows
    none = forecast.Fitting(epochs=1, optimizer="sgd", learning_rate=1e-12)
    fitted, _ = forecast.fit_forecast({"net": "dnn"}, pair, pair, none, seed=0, label="none")
    np.testing.assert_allclose(fitted(part.windows), 0.0, atol=1e-10)
