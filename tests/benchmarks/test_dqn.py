"""The command's short form, and whether its peers are what they are called."""

import json

import gymnasium as gym
import numpy as np
import pytest
import torch
from mdp import STATES, Chain, exact_q
from torch import nn

from benchmarks import dqn
from benchmarks.cleanrl_way import CleanRLWay

GAMMA = 0.9


@pytest.fixture
def settings():
    return {
        "learning_rate": 1e-2,
        "buffer_size": 4_000,
        "learning_starts": 200,
        "batch_size": 64,
        "train_every": 2,
        "target_every": 25,
        "gamma": GAMMA,
        "epsilon": 1.0,
        "seed": 0,
    }


def test_cleanrls_way_learns_the_exact_values_of_a_known_chain(settings):
    learner = CleanRLWay(Chain, lambda: nn.Linear(STATES, 2), **settings)
    learner.learn(2_000)
    with torch.no_grad():
        learned = learner.network(torch.eye(STATES)).numpy()
    np.testing.assert_allclose(learned, exact_q(GAMMA), atol=0.01)


def test_cleanrls_way_updates_and_copies_as_often_as_it_is_told(settings):
    learner = CleanRLWay(Chain, lambda: nn.Linear(STATES, 2), **settings)
    learner.learn(200)
    assert len(learner.optimizer.state) == 0
    learner.learn(100)
    assert [int(state["step"]) for state in learner.optimizer.state.values()] == [50, 50]
    torch.testing.assert_close(learner.target.state_dict(), learner.network.state_dict(), rtol=0, atol=0)
    learner.learn(2)
    assert not torch.equal(learner.target.weight, learner.network.weight)


@pytest.mark.parametrize("task", dqn.TASKS, ids=lambda task: task.name)
def test_all_learners_have_the_same_network(task):
    def sizes(parameters):
        return sorted(weights.numel() for weights in parameters)

    seen = {}

    def note(_, parameters, __):
        seen.setdefault("sizes", []).append(sizes(parameters))
        return 1.0, 1.0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dqn, "timed", note)
        dqn.ours(task, 1, 1.0)
        dqn.stable_baselines3(task, 1, 1.0)
        dqn.cleanrl(task, 1.0)
    assert seen["sizes"] == [sizes(dqn.network(task).parameters())] * 3


def test_a_learner_is_asked_for_whole_rounds_of_environments_and_timed_on_the_last():
    asked = []
    work, seconds = dqn.timed(asked.append, [torch.ones(1)], 0.0)
    assert asked[0] == 2 * dqn.LEARNING_STARTS
    assert work == asked[-1] == dqn.MANY
    assert seconds >= 0.0


def test_weights_that_are_not_finite_are_refused():
    with pytest.raises(FloatingPointError, match="weights are not finite"):
        dqn.timed(lambda _: None, [torch.tensor([1.0, float("nan")])], 0.0)


def test_the_short_form_gives_a_row_for_each_peer_with_rates_ratios_and_the_wanted_ratio(tmp_path, capsys):
    threads = torch.get_num_threads()
    path = tmp_path / "dqn.json"
    try:
        assert dqn.main(["--quick", "--json", str(path)]) == 0
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)
    cases = json.loads(path.read_text())["cases"]
    assert [(case["name"], case["peer"], case["target"]) for case in cases] == [
        ("window 20 x 6, 1 env", "stable-baselines3, 1 env", 3.0),
        ("window 20 x 6, 1 env", "CleanRL's way, 1 env", 2.6),
        ("window 20 x 6, 32 envs", "stable-baselines3, 32 envs", 2.3),
        ("CartPole-v1, 1 env", "stable-baselines3, 1 env", 5.0),
        ("CartPole-v1, 1 env", "CleanRL's way, 1 env", 3.5),
        ("CartPole-v1, 32 envs", "stable-baselines3, 32 envs", 3.3),
    ]
    for case in cases:
        assert case["ratio"]["median"] == pytest.approx(case["ours"]["median"] / case["theirs"]["median"])
        assert case["ours"]["median"] > 0
    assert "weights finite after every run" in capsys.readouterr().out


def test_the_market_task_is_the_window_without_an_account():
    env = gym.make(dqn.TASKS[0].env_id)
    assert env.observation_space.shape == (20, 6)
