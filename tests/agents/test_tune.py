"""`python -m agents.tune`: scores come from validation years, and a stopped search ends as an undisturbed one."""

import tomllib
from dataclasses import replace

import numpy as np
import optuna
import pytest

from agents import tune
from agents.registry import learner, learners
from agents.tune import Search, main, space, suggest
from etfgym.sources import load
from etfgym.splits import Fold, split_by_fold

SHORT = ["dqn", "--prices", "world:planted:1", "--test-years", "2009-2010", "-n", "1100", "--seeds", "1"]


@pytest.fixture
def quick(monkeypatch):
    """Score settings by a formula, and tell which were scored."""
    scored = []

    def score(search, settings, processes):
        del search, processes
        scored.append(settings)
        return -((settings["gamma"] - 0.9) ** 2) - abs(np.log(settings["learning_rate"] / 1e-3))

    monkeypatch.setattr(Search, "score", score)
    return scored


def run(folder, trials, *more):
    return main([*SHORT, "--n-trials", str(trials), "-f", str(folder), *more])


def test_a_search_that_was_stopped_or_killed_tries_what_an_undisturbed_one_tries(tmp_path, quick, monkeypatch):
    run(tmp_path / "whole", 14)
    whole = list(quick)
    quick.clear()
    run(tmp_path / "stopped", 4)
    score = Search.score

    def killed(search, settings, processes):
        if len(quick) == 12:
            raise SystemExit
        return score(search, settings, processes)

    with monkeypatch.context() as patch:
        patch.setattr(Search, "score", killed)
        with pytest.raises(SystemExit):
            run(tmp_path / "stopped", 14)
    run(tmp_path / "stopped", 14)
    assert quick == whole
    assert (tmp_path / "stopped/best.toml").read_text() == (tmp_path / "whole/best.toml").read_text()


def test_the_best_settings_are_a_table_that_counts_its_trainings(tmp_path, quick, capsys):
    assert run(tmp_path, 5) == 0
    ((name, table),) = tomllib.loads((tmp_path / "best.toml").read_text()).items()
    assert (name, table["like"], table["tuned"]) == ("dqn-tuned", "dqn", 5 * 2)
    assert table["settings"] == max(list(quick), key=lambda settings: Search.score(None, settings, 1))
    assert "validation years 2008-01-01 to 2009-12-03" in capsys.readouterr().out


def test_no_bar_of_a_test_year_is_ever_needed():
    (table,) = load("world:planted:1")
    agent = replace(learner("dqn"), settings={**learner("dqn").settings, "learning_starts": 500})
    scores = []
    for last in (table.dates[-1], "2010-01-04"):
        search = Search(agent, [table.until(last)], [Fold(2010)], seeds=1, steps=1_000)
        scores.append(search.score({"gamma": 0.9}, 1))
    assert scores[0] == scores[1]
    assert split_by_fold(table, Fold(2010)).test.days > 250


@pytest.mark.usefixtures("quick")
def test_what_was_searched_for_otherwise_is_refused(tmp_path, capsys):
    run(tmp_path, 1)
    with pytest.raises(SystemExit):
        run(tmp_path, 1, "--seed", "7")
    assert "holds a training with seed 0, not 7" in capsys.readouterr().err


@pytest.mark.parametrize("name", learners())
def test_there_is_something_to_try_for_every_learner_and_every_draw_is_allowed(name):
    agent, study = learner(name), optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(5):
        replace(agent, settings={**agent.settings, **suggest(study.ask(), space(agent))})  # checks what it is given


def test_a_setting_that_is_neither_a_range_nor_choices_is_refused(tmp_path):
    file = tmp_path / "tune.toml"
    file.write_text("[dqn]\ngamma = { low = 0.5 }\n")
    with pytest.raises(ValueError, match=r"tune.toml: \[dqn\] gamma must have low and high, with log or without"):
        space(learner("dqn"), file)
    assert tune.SPACE.exists()
