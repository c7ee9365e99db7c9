"""`python -m agents.train NAME` on the market: what it writes, what it refuses, and that no test year is touched."""

import json
import re

import numpy as np
import pytest
import torch

from agents import market, train
from agents.dqn import DQN
from agents.market import training
from agents.registry import Agent, find, learner, learners
from agents.sb3 import load as load_sb3
from etfgym.ledger import Costs
from etfgym.sources import load
from etfgym.splits import Fold

SHORT = ["dqn", "-n", "1200", "--prices", "world:planted:1"]


def run(folder, *arguments):
    return train.main([*arguments, "-f", str(folder)])


def test_it_saves_the_agent_and_tells_the_validation_year_beside_buy_and_hold(tmp_path, capsys):
    assert run(tmp_path, *SHORT, "--test-year", "2010") == 0
    told = json.loads((tmp_path / "validation.json").read_text())
    assert (told["first"], told["last"]) == ("2009-01-01", "2009-12-03")
    assert set(told) == {"first", "last", "seed", "mean_return", "buy_and_hold"}
    assert DQN.load(tmp_path).config.gamma == 0.95
    said = capsys.readouterr().out
    assert "2009-01-01 to 2009-12-03, on which choices are made" in said
    assert "buy-and-hold" in said
    assert "one training (seed 0). That is no result" in said


def test_the_same_command_again_ends_with_the_same_weights(tmp_path):
    run(tmp_path, *SHORT)
    first = DQN.load(tmp_path).online.flat
    run(tmp_path, *SHORT)
    assert torch.equal(DQN.load(tmp_path).online.flat, first)


def test_a_learner_from_outside_is_saved_without_pickle(tmp_path):
    assert run(tmp_path, "sb3-a2c-dnn", "-n", "700", "--prices", "world:planted:1", "-params", "n_steps:8") == 0
    assert load_sb3(tmp_path).settings["n_steps"] == 8
    assert {file.suffix for file in tmp_path.iterdir()} <= {".json", ".safetensors"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dqm"], "agent must be one of .* got 'dqm' .did you mean 'dqn'?"),
        (["random"], "random has nothing to learn; the learners are dqn, "),
        (["dqn", "-params", "gama:1"], "setting of dqn must be one of .* got 'gama' .did you mean 'gamma'?"),
        (["dqn", "--video", "x.gif"], "--video is for games: give --env, or leave it out"),
        (["dqn", "--test-year", "1980"], "can't test on 1980"),
        (["sb3-ppo", "--env", "paddle"], "agent on a game must be one of 'dqn', got 'sb3-ppo'"),
        (["dqn", "--env", "padle"], "--env must be one of .* got 'padle' .did you mean 'paddle'?"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, capsys, arguments, message):
    assert run(tmp_path, *arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("agents.train: ")
    assert re.search(message, line)


def test_a_folder_with_another_training_is_refused(tmp_path, capsys):
    run(tmp_path, *SHORT)
    assert run(tmp_path, *SHORT, "--seed", "1") == 2
    assert "holds a training with seed 0, not 1" in capsys.readouterr().err


@pytest.mark.parametrize("name", [*learners(), "dqn-dnn", "dqn-rnn", "sb3-ppo-rnn", "forecast-cnn"])
def test_every_learner_of_the_settings_can_be_made(name):
    agent = learner(name)
    assert Agent.of(agent.spec()).spec() == agent.spec()
    assert find(name) == agent


def test_a_learner_sees_prices_to_its_last_training_day_and_nothing_later():
    tables = load("builtin")
    task = training(learner("dqn"), tables, Fold(2015, train_years=4), 0, 1_000, costs=Costs())
    assert {str(table.dates[-1]) for table in task.tables} == {"2013-12-02"}
    first, last = task.environment["start"]
    assert (str(first), str(last)) == ("2009-12-31", "2013-12-02")


def test_settings_with_an_unknown_key_or_circle_are_refused_with_the_nearest(tmp_path):
    file = tmp_path / "market.toml"
    file.write_text('[dqn]\nlearner = "dqn"\nnum_env = 3\n')
    with pytest.raises(ValueError, match=r"market.toml: \[dqn\]: key must be one of .*did you mean 'num_envs'"):
        learner("dqn", file)
    file.write_text('[one]\nlike = "two"\n[two]\nlike = "one"\n')
    with pytest.raises(ValueError, match=r"like of \[one\] must be one of"):
        learner("one", file)
    file.write_text("[dqn\n")
    with pytest.raises(ValueError, match=r"market.toml: can't be read as TOML"):
        learner("dqn", file)


def test_a_variant_has_what_its_parent_has_but_for_what_it_says():
    parent, variant = learner("dqn"), learner("dqn-dueling")
    assert variant.settings == {**parent.settings, "dueling": True}
    assert (variant.num_envs, variant.environment) == (parent.num_envs, parent.environment)


def test_with_a_checkpoint_or_without_it_is_the_same_training(tmp_path, monkeypatch):
    monkeypatch.setattr(market, "CHECKPOINT_EVERY", 600)
    given = learner("dqn"), load("world:planted:1"), Fold(2010), 0, 1_500
    without, with_one = (market.train(*given, costs=Costs(), checkpoint=file) for file in (None, tmp_path / "one"))
    assert torch.equal(without.online.flat, with_one.online.flat)


def test_an_agent_that_keeps_its_last_weights_is_not_validated():
    tables = load("builtin")
    task = training(learner("dqn-counterfactual"), tables, Fold(2015), 0, 1_000, costs=Costs())
    assert task.validate(None) is None
    assert np.isfinite(training(learner("dqn"), tables, Fold(2015), 0, 1_000, costs=Costs()).validate(Holds()))


class Holds:
    """Never trades."""

    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        return np.full(len(observation["window"]), 2), None
