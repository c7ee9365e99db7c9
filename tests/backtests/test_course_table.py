"""The course's table again: what it says of itself, and that a stopped or failed reading writes nothing."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from agents.registry import learner
from backtests import course_table
from backtests.backends import Backend
from backtests.course_table import COURSE, COURSE_HOLD, READINGS, RESULTS, looks, main, row, run, table
from etfgym.report.results import load_results
from etfgym.sources import load
from etfgym.splits import Fold

ONE = Backend("sequential")


def runs_of(own, hold, years=(2015,)):
    """Return result rows: `own` (ETFs, seeds) of an agent and `hold` (ETFs,), the same in each year."""
    rows = []
    for year in years:
        day = {"test_start": pd.Timestamp(year, 1, 2), "test_end": pd.Timestamp(year, 12, 31)}
        for number, (scores, held) in enumerate(zip(own, hold, strict=True)):
            sides = [("dqn-counterfactual", seed, score) for seed, score in enumerate(scores)]
            for agent, seed, score in [*sides, ("buy-and-hold", 0, held)]:
                cell = {"agent": agent, "ticker": f"E{number}", "seed": seed, "total_return": score}
                rows.append(cell | day)
    return pd.DataFrame(rows)


def test_the_row_of_an_agent_is_its_mean_over_seeds_and_years_beside_buy_and_hold():
    found = row(runs_of([[0.1, 0.2], [0.0, 0.1]], [0.1, 0.2]), "dqn-counterfactual", pooled=True)
    assert found.own == pytest.approx([0.15, 0.05])
    assert found.hold == pytest.approx([0.1, 0.2])
    assert found.wins == 1
    assert (found.seeds, found.first, found.last) == (2, "2015-01-02", "2015-12-31")
    assert found.interval.low < -0.05 < found.interval.high


def test_from_six_years_on_whole_years_are_drawn():
    years = range(2011, 2017)
    found = row(runs_of([[0.1, 0.1], [0.2, 0.2]], [0.0, 0.0], years), "dqn-counterfactual", pooled=True)
    assert tuple(found.interval) == pytest.approx((0.15, 0.15))  # every year is the same, so nothing is in doubt


def test_the_table_has_the_courses_figures_and_ours_with_dates_seeds_and_interval():
    lines = table({"with-costs": runs_of([[0.1, 0.2], [0.0, 0.1]], [0.1, 0.2])}).splitlines()
    assert "+9.5 % | +10.9 % | 5.6 | 19 | +5.4 % | +7.0 % | 9.1 | 16 | +4.2 | none | 17 of 20" in lines[2]
    ours = next(line for line in lines if "dqn-counterfactual" in line)
    assert "2015-01-02 to 2015-12-31 | 2 | +10.0 %" in ours
    assert ours.endswith("1 of 2 |")


def test_years_that_do_not_follow_each_other_are_named():
    scores, hold = [[0.1, 0.2]], [0.1]
    days = [
        row(runs_of(scores, hold, years), "dqn-counterfactual", pooled=True).days for years in ([2015, 2019], [2015])
    ]
    assert days == ["2015, 2019", "2015-01-02 to 2015-12-31"]


def test_the_course_won_by_what_its_means_say():
    assert COURSE.mean - COURSE_HOLD.mean == pytest.approx(4.1675)


def test_a_design_is_counted_as_a_look_once(tmp_path):
    manifest = tmp_path / "manifest.json"
    first = looks(manifest, {"dqn": learner("dqn")})
    manifest.write_text(json.dumps({"looks": first}))
    assert looks(manifest, {"dqn": learner("dqn")}) == first
    other = replace(learner("dqn"), n_timesteps=9_000)
    assert [look["agent"] for look in looks(manifest, {"dqn": other})] == ["dqn", "dqn"]


@pytest.fixture
def small(monkeypatch):
    """Make a reading of a few short trainings on the builtin prices."""
    agent = replace(learner("dqn-counterfactual"), n_timesteps=4_500)
    monkeypatch.setattr(course_table, "find", lambda name: agent if name == "dqn-counterfactual" else None)
    reading = replace(
        READINGS["with-costs"], folds=(Fold(2017),), seeds=2, agents=("dqn-counterfactual", "buy-and-hold")
    )
    monkeypatch.setitem(READINGS, "with-costs", reading)
    return load("builtin")


def test_a_reading_writes_a_result_folder_with_its_looks_trials_and_controls(small, tmp_path):
    finished = run("with-costs", small, tmp_path / "out", tmp_path / "work", ONE, "builtin")
    found = load_results(tmp_path / "out" / "with-costs")
    assert np.array_equal(found.runs["total_return"].sort_values(), finished.results["total_return"].sort_values())
    manifest = found.manifest
    assert len(manifest["looks"]) == 1
    assert manifest["trials"] == 2 + 150  # with those by which the settings were chosen
    assert [control["world"] for control in manifest["controls"]] == ["planted", "shuffled"]
    assert manifest["command"].endswith("--prices builtin --reading with-costs")


def test_a_reading_with_a_failed_job_writes_nothing(small, tmp_path, monkeypatch, capsys):
    def fail(*_, **__):
        raise RuntimeError

    monkeypatch.setattr("backtests.jobs.trade_test_year", fail)
    assert run("with-costs", small, tmp_path / "out", tmp_path / "work", ONE, "builtin") is None
    assert not (tmp_path / "out").exists()
    assert "failed: dqn-counterfactual on a pool of 2, test year 2017, seed 0: RuntimeError" in capsys.readouterr().err


def test_an_unknown_reading_is_refused_with_the_nearest(capsys):
    with pytest.raises(SystemExit):
        main(["--reading", "with-cost"])
    assert "did you mean 'with-costs'?" in capsys.readouterr().err


@pytest.mark.parametrize("name", READINGS)
def test_the_committed_results_of_a_reading_are_whole(name):
    found = load_results(RESULTS / name)
    reading = READINGS[name]
    wanted = {(agent, fold.test_year) for agent in reading.agents for fold in reading.folds}
    assert set(zip(found.runs["agent"], found.runs["year"], strict=True)) == wanted
    assert found.runs["ticker"].nunique() == 20
    own = found.runs[found.runs["agent"] == reading.agents[0]]
    assert own["seed"].nunique() == reading.seeds
    assert len(own) == 20 * len(reading.folds) * reading.seeds
    assert found.manifest["settings"]["environment"]["costs"]["commission"] == reading.costs.commission
