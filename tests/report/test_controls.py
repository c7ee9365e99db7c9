"""The standing controls: read as the runner writes them, shown beside the result, and loud when one fails."""

import math

import pytest

from etfgym.report.controls import failed, read_controls
from etfgym.report.layout import controls_table
from etfgym.report.results import load_results

HOLD = "buy-and-hold"


def outcome(*, passed=True, difference=0.05):
    interval = [difference - 0.02, difference + 0.02]
    found = {"mean": 0.1 + difference, "hold": 0.1, "difference": difference, "interval": interval, "passed": passed}
    return found | {"seeds": 2, "cells": 6, "first": "2019-01-02", "last": "2019-12-31"}


def both(planted, shuffled):
    worlds = {"planted": planted, "shuffled": shuffled}
    return {"controls": [{"world": world, "results": {"dqn": found}} for world, found in worlds.items()]}


def shown(manifest):
    table = controls_table(read_controls(manifest))
    return [dict(zip(table.columns, [entry.text for entry in row], strict=True)) for row in table.rows]


def test_both_controls_are_shown_with_interval_seeds_dates_and_buy_and_hold():
    planted, shuffled = shown(both(outcome(), outcome(difference=-0.01)))
    assert (planted["Market"], planted["Expected"], planted["Agent"]) == ("planted", "a win", "dqn")
    assert (planted["Passed"], planted["Seeds"], planted["Cells"]) == ("yes", "2", "6")
    assert (planted["Mean return"], planted["Buy-and-hold"]) == ("+15.0 %", "+10.0 %")
    assert (planted["Difference, points"], planted["95 % interval"]) == ("+5.0", "+3.0 to +7.0")
    assert planted["Test days"] == "2019-01-02 to 2019-12-31"
    assert shuffled["Expected"] == "no win"


def test_a_control_that_was_not_run_says_so():
    assert [row["Passed"] for row in shown({})] == ["not run", "not run"]
    only = {"controls": both(outcome(), outcome())["controls"][:1]}
    assert [(row["Market"], row["Passed"]) for row in shown(only)] == [("planted", "yes"), ("shuffled", "not run")]
    assert [row["Passed"] for row in shown({"controls": [{"world": "planted", "results": {}}]})] == ["not run"] * 2


def test_a_failed_control_is_loud_and_says_what_it_means():
    controls = read_controls(both(outcome(passed=False), outcome(passed=False)))
    assert [row["Passed"] for row in shown(both(outcome(passed=False), outcome()))] == ["NO", "yes"]
    assert "did not find what is there to find" in controls[0].warning
    assert "no win of it counts" in controls[1].warning
    assert failed(controls, "shuffled", "dqn")
    assert not failed(controls, "shuffled", "ppo")


def test_an_interval_that_there_is_none_of_may_be_null_or_nan():
    for missing in (None, math.nan):
        [row, _] = shown(both(outcome() | {"interval": [missing, missing]}, outcome()))
        assert row["95 % interval"] == "not available"


@pytest.mark.parametrize(
    "controls",
    [
        {"planted": {}},
        "none",
        [{"world": "mars", "results": {"dqn": outcome()}}],
        [{"world": "planted"}],
        [{"world": "planted", "results": {"dqn": outcome() | {"interval": [0.1]}}}],
        [{"world": "planted", "results": {"dqn": {"mean": 0.1}}}],
    ],
)
def test_controls_of_another_form_are_refused_in_one_line(make_folder, tmp_path, controls):
    folder = make_folder(tmp_path, {(HOLD, "SPY", 2019): [0.1]}, more={"controls": controls})
    with pytest.raises(ValueError, match="'controls' are not as the runner writes them") as caught:
        load_results(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("trials", [0, 2.5, "many", True])
def test_trials_that_are_no_number_of_trainings_are_refused(make_folder, tmp_path, trials):
    folder = make_folder(tmp_path, {(HOLD, "SPY", 2019): [0.1]}, more={"trials": trials})
    with pytest.raises(ValueError, match="'trials' must be a whole number above 0"):
        load_results(folder)
