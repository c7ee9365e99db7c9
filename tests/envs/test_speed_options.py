"""What is there for speed changes no result: threads, rows instead of windows, copies that share the market."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv

import etfgym  # noqa: F401 (registers the environments)
from etfgym.envs import kernel
from etfgym.envs.etf import EtfTradingEnv
from etfgym.envs.etf_vector import EtfTradingVectorEnv
from etfgym.ledger import ALL, fill_order
from etfgym.prices import CLOSE, VOLUME, PriceTable
from etfgym.sources.worlds import make_world

LENGTH = 12
PRICES = tuple(make_world("random-walk", seed, bars=300, min_bars=1) for seed in (0,))
KEYWORDS: dict[str, Any] = {"prices": PRICES, "length": LENGTH}
INDEX = KEYWORDS | {"observe": "index"}


def frozen(value: Any) -> Any:
    """Return anything that the environment gives in a form that == compares to the bit."""
    if isinstance(value, dict):
        return {key: frozen(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [frozen(part) for part in value]
    return (value.dtype.str, value.tobytes()) if isinstance(value, np.ndarray) else value


def play(envs: EtfTradingVectorEnv, steps: int = 2 * LENGTH) -> list[Any]:
    rng = np.random.default_rng(0)
    first = frozen(envs.reset(seed=1))
    return [first, *(frozen(envs.step(rng.integers(0, 5, envs.num_envs))) for _ in range(steps))]


@pytest.mark.parametrize("variant", [{}, {"observe_account": True, "reward": "excess"}, {"observe": "index"}])
@pytest.mark.parametrize("threads", [2, 3, 64])
def test_the_number_of_threads_changes_nothing(variant, threads):
    one = play(EtfTradingVectorEnv(7, **KEYWORDS, **variant))
    assert play(EtfTradingVectorEnv(7, num_threads=threads, **KEYWORDS, **variant)) == one


@pytest.mark.parametrize("variant", [{}, {"reward": "excess", "observe_account": True}, {"decision_every": 5}])
@pytest.mark.parametrize("count", [kernel.BLOCK - 1, kernel.BLOCK, 2 * kernel.BLOCK + 3])
def test_accounts_that_are_traded_together_come_to_what_each_does_alone(variant, count):
    keywords = KEYWORDS | variant | {"start": PRICES[0].dates[100]}
    envs, rng = EtfTradingVectorEnv(count, **keywords), np.random.default_rng(count)
    singles = [EtfTradingEnv(**keywords) for _ in range(count)]
    envs.reset(seed=1)
    for env in singles:
        env.reset(seed=1)
    for _ in range(-(-LENGTH // variant.get("decision_every", 1))):
        actions = rng.integers(0, 5, count)
        seen, rewards, terminated, _, infos = envs.step(actions)
        alone = [env.step(action) for env, action in zip(singles, actions.tolist(), strict=True)]
        windows = seen["window"] if isinstance(seen, dict) else seen
        assert windows.tobytes() == b"".join(
            (one[0]["window"] if isinstance(one[0], dict) else one[0]).tobytes() for one in alone
        )
        assert rewards.tolist() == [one[1] for one in alone]
        assert terminated.tolist() == [one[2] for one in alone]
        for key in ("cash", "units", "equity"):
            assert infos[key].tolist() == [one[4][key] for one in alone]


def test_units_too_many_for_two_tries_are_traded_one_account_after_the_other():
    world = PRICES[0]
    bars = world.bars.copy()
    bars[:, [column for column in range(6) if column != VOLUME]] *= 2e-6 / bars[:, CLOSE].min()
    cheap = PriceTable("CHEAP", world.dates, bars, source="by hand", min_bars=1)
    keywords = KEYWORDS | {"prices": cheap, "initial_cash": 1e12, "units": (ALL,), "start": world.dates[100]}
    single, vector = EtfTradingEnv(**keywords), EtfTradingVectorEnv(3, **keywords)
    single.reset(seed=1)
    vector.reset(seed=1)
    needed = 0
    for number in range(LENGTH):
        action = (0, 2)[number % 2]
        before = vector.accounts.state[0].copy()
        _, reward, _, _, info = single.step(action)
        _, rewards, _, _, infos = vector.step(np.full(3, action))
        open_price = vector.accounts.market.open[before["row"] + 1]
        order = int(vector.accounts.orders[action])
        given = before["cash"], before["units"], order, open_price, vector.accounts.rates, True
        needed += bool(np.isnan(fill_order(*given, kernel.TRIES)[0]))
        assert rewards.tolist() == [reward] * 3
        assert {key: infos[key].tolist() for key in ("cash", "units", "equity")} == {
            key: [info[key]] * 3 for key in ("cash", "units", "equity")
        }
    assert needed


def test_a_wrong_action_in_one_threads_share_changes_nothing_anywhere():
    envs = EtfTradingVectorEnv(6, num_threads=2, **KEYWORDS)
    envs.reset(seed=1)
    before = envs.accounts.state.copy()
    for wrong in ([0, 0, 0, 0, 0, 5], [-1, 0, 0, 0, 0, 0]):
        with pytest.raises(ValueError, match="actions must be 6 whole numbers from 0 to 4, got "):
            envs.step(np.array(wrong))
    assert envs.accounts.state.tolist() == before.tolist()
    assert envs.step(np.zeros(6, int))[4]["filled"].tolist() == [20] * 6


def test_the_number_of_threads_must_be_one():
    with pytest.raises(ValueError, match="num_threads must be a whole number of at least 1, got 0"):
        EtfTradingVectorEnv(6, num_threads=0, **KEYWORDS)


@pytest.mark.parametrize("window", [1, 5, 20, 23])
@pytest.mark.parametrize("features", ["relative", "raw"])
def test_from_an_index_follows_the_window_to_the_bit(window, features):
    keywords = {"window": window, "features": features}
    seen = EtfTradingVectorEnv(6, **KEYWORDS, **keywords, observe_account=True)
    index = EtfTradingVectorEnv(6, **INDEX, **keywords)
    market = index.accounts.market
    one, other = seen.reset(seed=3)[0], index.reset(seed=3)[0]
    for number in range(LENGTH):
        assert set(other) == {"row", "account"}
        assert index.observation_space.contains(other)
        rows = other["row"][:, 0]
        window_rows = rows[:, None] - window + 1 + np.arange(window)  # (n, W)
        gathered = market.base[window_rows] * market.scale[rows, None] + market.shift[rows, None]
        assert frozen(one) == frozen({"window": gathered, "account": other["account"]})
        actions = np.full(6, number % 2)
        one, other = seen.step(actions)[0], index.step(actions)[0]


def test_a_single_environments_index_is_the_vectors():
    single, vector = EtfTradingEnv(**INDEX), EtfTradingVectorEnv(1, **INDEX)
    alone, many = single.reset(seed=3)[0], vector.reset(seed=3)[0]
    for _ in range(LENGTH):
        assert frozen(alone) == frozen({key: value[0] for key, value in many.items()})
        assert single.observation_space.contains(alone)
        alone, many = single.step(0)[0], vector.step(np.array([0]))[0]


@pytest.mark.parametrize("units", [(20,), (40, 30, 20, 10), (50, 40, 30, 20, 10, 5, 2, 1)])
def test_a_single_environments_mask_is_the_vectors_for_any_number_of_actions(units):
    keywords = KEYWORDS | {"units": units}
    single, vector = EtfTradingEnv(**keywords), EtfTradingVectorEnv(1, **keywords)
    assert frozen(single.reset(seed=3)[0]) == frozen(vector.reset(seed=3)[0][0])
    held = []
    for action in (2 * len(units), 0, 0, len(units), 2 * len(units), 0):
        seen, reward, _, _, info = single.step(action)
        many, rewards, _, _, infos = vector.step(np.array([action]))
        assert frozen(seen) == frozen(many[0])
        assert reward == rewards[0]
        held.append((info["action_mask"], infos["action_mask"][0]))
    assert all(frozen(alone) == frozen(one) for alone, one in held)
    assert len({alone.tobytes() for alone, _ in held}) > 1


def test_both_checkers_have_nothing_to_say_about_an_index():
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    made = gym.make("etfgym/EtfTrading-v0", **INDEX).unwrapped
    check_env(made, skip_render_check=True)
    checker.check_env(made, skip_render_check=True)


def test_an_observation_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="observe must be one of 'window', 'index', got 'rows'"):
        EtfTradingEnv(**KEYWORDS, observe="rows")


@pytest.mark.parametrize("again", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])  # noqa: S301 (its own)
def test_a_copy_goes_on_as_the_environment_does_and_neither_touches_the_other(again):
    single, vector = EtfTradingEnv(**KEYWORDS), EtfTradingVectorEnv(3, num_threads=2, **KEYWORDS)
    single.reset(seed=1)
    vector.reset(seed=1)
    single.step(0)
    vector.step(np.zeros(3, int))
    twins = again(single), again(vector)
    ahead = [frozen([single.step(1), vector.step(np.ones(3, int))]) for _ in range(LENGTH - 1)]
    assert ahead == [frozen([twins[0].step(1), twins[1].step(np.ones(3, int))]) for _ in range(LENGTH - 1)]
    assert single.accounts.state.tolist() == twins[0].accounts.state.tolist()
    assert frozen(single.reset()) == frozen(twins[0].reset())
    assert frozen(vector.step(np.ones(3, int))) == frozen(twins[1].step(np.ones(3, int)))


def test_a_copy_shares_the_market():
    env = EtfTradingEnv(**KEYWORDS)
    assert copy.deepcopy(env).accounts.market is env.accounts.market


def test_the_single_environments_state_is_that_of_its_last_step():
    env = EtfTradingEnv(**KEYWORDS)
    _, info = env.reset(seed=1)
    for action in (0, 0, 3, 1):
        _, _, _, _, info = env.step(action)
        state = env.accounts.state
        assert {key: state[key].item() for key in ("cash", "units", "equity")} == {
            key: info[key] for key in ("cash", "units", "equity")
        }
        assert env.accounts.market.dates[state["row"]] == info["date"]


def test_gymnasiums_processes_take_it():
    envs = AsyncVectorEnv([lambda: EtfTradingEnv(**KEYWORDS)] * 2)
    try:
        envs.reset(seed=1)
        assert envs.step(np.array([0, 1]))[4]["requested"].tolist() == [20, 10]
    finally:
        envs.close()
