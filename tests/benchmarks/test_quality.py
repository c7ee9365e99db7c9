"""The command's short form, and the arithmetic of its rows."""

import json
import math
import tomllib
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

import agents
from agents.one_env import OneEnv
from agents.settings import DQNConfig
from benchmarks import quality
from benchmarks.curves import Curves, draw
from benchmarks.learners import Control, Curve, EtfYear, check_finite
from benchmarks.quality import COUNTERFACTUAL, PLAIN, SB3_DQN, SB3_PPO
from etfgym.backtest import hindsight_policy
from etfgym.policies import BuyAndHold
from etfgym.sources import load
from etfgym.splits import Fold, split_by_fold


def curves(*scores, seconds=(1.0, 2.0, 3.0)):
    """Return curves of one problem with these scores, one list of three checks a seed."""
    return Curves([10, 20, 30], np.array([[list(seconds)] * len(scores)]), np.array([scores]))


@pytest.fixture
def year():
    table = load("builtin", "SP500")[0]
    return EtfYear(table, split_by_fold(table, Fold(2018)).test)


def test_the_time_to_the_peers_best_level_is_the_first_check_that_reaches_it():
    found = {
        PLAIN: curves([0.1, 0.6, 0.9], seconds=(0.1, 0.2, 0.3)),
        COUNTERFACTUAL: curves([0.5, 0.95, 0.95], seconds=(0.1, 0.2, 0.3)),
        SB3_DQN: curves([0.2, 0.5, 0.4], seconds=(2.0, 4.0, 6.0)),
        SB3_PPO: curves([0.1, 0.1, 0.2]),
    }
    rows = {row.name: row for row in quality.hindsight_rows(found, quality.TASKS["hindsight"])}
    plain, counterfactual, ppo = (
        rows[f"training to the peer's best level, {method}"] for method in (PLAIN, COUNTERFACTUAL, SB3_PPO)
    )
    assert (plain.ours, plain.theirs, plain.met) == ([0.2], [4.0], True)
    assert (counterfactual.ours, counterfactual.ratios, counterfactual.met) == ([0.1], [40.0], True)
    assert (ppo.ours, ppo.ratios, ppo.met) == ([math.inf], [0.0], None)
    assert rows[f"share at the end, {PLAIN}"].met is True
    assert rows[f"share at the end, {SB3_DQN}"].target is None


def test_levels_are_means_over_the_problems_of_one_seed():
    both = Curves([10, 20], np.ones((2, 1, 2)), np.array([[[0.0, 1.0]], [[0.75, 0.25]]]))
    assert both.ends() == [0.625]
    assert both.best().tolist() == [0.625]
    assert both.first_at(0.625) == ([20.0], [1.0])


def test_cartpole_is_learned_when_it_is_reached_in_time_and_held_at_the_last_three_checks():
    found = {
        PLAIN: Curves([10_000, 15_000, 20_000, 50_000], np.ones((1, 1, 4)), np.array([[[480.0, 500.0, 476.0, 500.0]]])),
        SB3_DQN: Curves([10_000, 15_000, 20_000, 50_000], np.ones((1, 1, 4)), np.array([[[9.0, 9.0, 500.0, 250.0]]])),
    }
    first, held, theirs, dropped, end = quality.control_rows(found, quality.TASKS["cartpole"])
    assert (first.ours, first.met) == ([10_000.0], True)
    assert (held.ours, held.met) == ([476.0], True)
    assert (theirs.ours, theirs.met) == ([20_000.0], None)
    assert dropped.ours == [9.0]
    assert end.ratios == [2.0]


def test_lunarlander_has_no_ratio_where_the_peer_ends_below_zero():
    task, good, bad = quality.TASKS["lunarlander"], curves([-300.0, 100.0, 210.0]), curves([-300.0, -200.0, -100.0])
    assert quality.control_rows({PLAIN: good, SB3_DQN: curves([0.0, 0.0, 140.0])}, task)[-1].ratios == [1.5]
    assert all(row.peer is None for row in quality.control_rows({PLAIN: good, SB3_DQN: bad}, task))


def test_hindsight_and_buy_and_hold_have_the_shares_they_must_have(year):
    assert year.name == "SP500 2018"
    assert year.score(hindsight_policy(year.table, year.period)) == 1.0
    assert year.holding() == year.score(BuyAndHold()) < 0  # the index fell in 2018


def test_the_peer_trains_on_the_days_and_the_rewards_that_ours_trains_on(year):
    ours, theirs = year.make_vec(2), year.make_sb3(2)
    observations, _ = ours.reset(seed=0)
    np.testing.assert_array_equal(theirs.reset()["window"], observations["window"])
    buy = np.zeros(2, np.int64)
    observations, rewards, *_ = ours.step(buy)
    seen, rewards_seen, *_ = theirs.step(buy)
    np.testing.assert_array_equal(seen["account"], observations["account"])
    np.testing.assert_allclose(rewards_seen, 100 * rewards, rtol=1e-6)


def test_a_control_score_is_the_mean_of_whole_episodes_and_the_same_each_time():
    class Left:
        def predict(self, observation, deterministic):
            return np.zeros(len(observation), np.int64), None

    def steps(seed):
        env = gym.make("CartPole-v1")
        env.reset(seed=seed)
        return next(step for step in range(1, 500) if env.step(0)[2])

    problem = Control("CartPole-v1", episodes=5)
    assert problem.score(Left()) == np.mean([steps(10_000 + i) for i in range(5)])
    assert problem.score(Left()) == problem.score(Left())
    assert Control("CartPole-v1", episodes=1).score(Left()) == steps(10_000)


def test_a_single_control_environment_goes_the_learners_fast_way():
    assert isinstance(Control("CartPole-v1", episodes=5).make_vec(1), OneEnv)


@pytest.mark.parametrize("task", ["cartpole", "lunarlander"])
def test_the_training_command_has_the_settings_that_are_measured(task):
    written = tomllib.loads((Path(agents.__file__).parent / "configs" / "dqn.toml").read_text())[task]
    assert DQNConfig(**written["dqn"]) == quality.TASKS[task].methods[PLAIN].config
    assert (written["n_timesteps"], written["num_envs"]) == (quality.TASKS[task].transitions, 1)


def test_the_clock_stands_while_a_policy_is_scored():
    class Slow:
        def score(self, policy):
            clock[0] += 100.0
            return 1.0

    clock = [0.0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.learners.time.process_time", lambda: clock[0])
        curve = Curve(Slow(), _started=0.0)
        for done in (1, 2):
            clock[0] += 5.0
            curve.add(done, None)
    assert curve.points == [(1, 5.0, 1.0), (2, 10.0, 1.0)]


def test_weights_that_are_not_finite_are_refused():
    layer = torch.nn.Linear(1, 1)
    check_finite(layer)
    torch.nn.init.constant_(layer.bias, float("inf"))
    with pytest.raises(FloatingPointError, match="weights are not finite"):
        check_finite(layer)


@pytest.mark.parametrize("task", ["hindsight", "cartpole"])
def test_the_short_form_gives_well_formed_rows_and_says_what_they_are_worth(task, tmp_path, capsys):
    file, chart = tmp_path / "quality.json", tmp_path / "curves.png"
    threads = torch.get_num_threads()
    assert quality.main(["--task", task, "--quick", "--json", str(file), "--chart", str(chart)]) == 0
    torch.set_num_threads(threads)
    written = json.loads(file.read_text())
    methods = list(quality.TASKS[task].methods)
    assert list(written["curves"]) == methods
    for found in written["curves"].values():
        assert found["transitions"] == [2_400, 4_800]
        assert np.shape(found["scores"]) == np.shape(found["seconds"]) == (1, 1, 2)
        assert np.isfinite(found["scores"]).all()
    for case in written["cases"]:
        assert {"name", "ours", "peer", "ratio", "rounds", "target", "met"} <= set(case)
        assert case["rounds"] == 1
    assert chart.read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "none from one seed" in printed
    assert ("IN SAMPLE" in printed and "buy-and-hold" in printed) == (task == "hindsight")


def test_an_interrupted_run_writes_nothing(tmp_path, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    file = tmp_path / "quality.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quality, "run", interrupted)
        assert quality.main(["--json", str(file)]) == 130
    assert list(tmp_path.iterdir()) == []
    assert "nothing was written" in capsys.readouterr().err


def test_a_wrong_year_is_refused_in_one_line_before_anything_is_trained(capsys):
    with pytest.raises(SystemExit) as error:
        quality.main(["--years", "1950"])
    assert error.value.code == 2
    assert "can't test on 1950" in capsys.readouterr().err


def test_a_chart_names_methods_levels_and_what_they_are_worth(tmp_path):
    path = tmp_path / "new" / "chart.svg.png"
    draw(path, {PLAIN: curves([0.1, 0.2, 0.3])}, score="share", title="in sample", levels={"all of it": 1.0})
    assert path.read_bytes().startswith(b"\x89PNG")
