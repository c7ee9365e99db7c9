"""The stable-baselines3 adapter against DummyVecEnv, and stable-baselines3's own algorithms on it."""

import gymnasium
import numpy as np
import pytest
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

import etfgym  # noqa: F401
from etfgym.backtest import backtest
from etfgym.envs.etf import EtfTradingEnv
from etfgym.envs.etf_vector import EtfTradingVectorEnv
from etfgym.sb3 import EtfVecEnv
from etfgym.sources import load
from etfgym.splits import Fold, split_by_fold

FIXED = {"tickers": "SP500", "start": "2010-01-04", "length": 4, "observe_account": True}


def made(count=3, **settings):
    return EtfVecEnv(EtfTradingVectorEnv(count, autoreset_mode="SameStep", **settings))


def test_step_for_step_it_is_what_a_dummy_vec_env_of_single_environments_is():
    ours, theirs = made(2, **FIXED), DummyVecEnv([lambda: EtfTradingEnv(**FIXED)] * 2)
    for key, value in ours.reset().items():
        assert np.array_equal(value, theirs.reset()[key])
    rng = np.random.default_rng(0)
    for _ in range(9):  # two episodes and a step
        actions = rng.integers(5, size=2)
        mine, other = ours.step(actions), theirs.step(actions)
        for key in mine[0]:
            assert np.array_equal(mine[0][key], other[0][key])
        assert np.array_equal(mine[1], other[1])
        assert mine[1].dtype == other[1].dtype
        assert np.array_equal(mine[2], other[2])
        for own, their in zip(mine[3], other[3], strict=True):
            assert own.keys() == their.keys()
            for key in their.keys() - {"terminal_observation"}:
                assert np.array_equal(own[key], their[key]), key
            if "terminal_observation" in their:
                for key, value in their["terminal_observation"].items():
                    assert np.array_equal(own["terminal_observation"][key], value)
        for own, their in zip(ours.reset_infos, theirs.reset_infos, strict=True):
            assert own["date"] == their["date"]


def test_the_same_seed_gives_the_same_episodes():
    def starts(seed):
        env = made(8)
        env.seed(seed)
        env.reset()
        return [str(info["date"]) for info in env.reset_infos]

    assert starts(1) == starts(1) != starts(2)


def test_options_reach_the_next_reset_only():
    env = made(3)
    env.set_options({"ticker": "NASDAQ"})
    env.seed(0)
    env.reset()
    assert {info["ticker"] for info in env.reset_infos} == {"NASDAQ"}
    for _ in range(5):
        env.reset()
        if "SP500" in {info["ticker"] for info in env.reset_infos}:
            return
    pytest.fail("the option stayed in force")


def test_attributes_and_methods_are_those_of_the_vector_environment():
    env = made(3, length=10)
    assert [settings.length for settings in env.get_attr("settings")] == [10, 10, 10]
    assert env.env_method("reset", seed=1, indices=[0])[0][0].shape == (3, 20, 6)
    env.set_attr("note", 1)
    assert env.get_attr("note", indices=1) == [1]
    assert env.env_is_wrapped(VecMonitor) == [False] * 3
    with pytest.raises(ValueError, match="the accounts share note; set it for all of them"):
        env.set_attr("note", 2, indices=[0])


def test_another_autoreset_mode_is_refused_with_the_cure():
    with pytest.raises(ValueError, match="make the environment with autoreset_mode='SameStep'"):
        EtfVecEnv(gymnasium.make_vec("etfgym/EtfTrading-v0", num_envs=2))


@pytest.mark.parametrize("algorithm", [DQN, PPO])
@pytest.mark.parametrize("observe_account", [False, True])
def test_stable_baselines3_learns_on_it_and_its_model_is_a_policy(algorithm, observe_account):
    env = VecMonitor(made(2, length=20, observe_account=observe_account))
    small = {"n_steps": 16, "batch_size": 16} if algorithm is PPO else {"learning_starts": 10}
    policy = "MultiInputPolicy" if observe_account else "MlpPolicy"
    model = algorithm(policy, env, seed=0, device="cpu", **small).learn(64)
    mean, _ = evaluate_policy(model, env, n_eval_episodes=2, warn=False)
    assert np.isfinite(mean)
    table = load("builtin", "SP500")[0]
    period = split_by_fold(table, Fold(2018)).test
    result = backtest(model, table, period, observe_account=observe_account)
    assert np.isfinite(result.total_return)
