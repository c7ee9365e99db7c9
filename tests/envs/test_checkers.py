"""Gymnasium's and stable-baselines3's own checkers, on every combination of the main keywords."""

from __future__ import annotations

import warnings
from functools import cache
from itertools import product

import gymnasium as gym
import matplotlib as mpl
import pytest
from gymnasium.utils.env_checker import check_env

import etfgym  # noqa: F401 (registers the environments)
from etfgym.envs.settings import REWARDS
from etfgym.features import FEATURES
from etfgym.ledger import ORDER_POLICIES
from etfgym.prices import PriceTable
from etfgym.sources import load

IDS = sorted(name for name in gym.registry if name.startswith("etfgym/EtfTrading"))
COMBINATIONS = [
    dict(
        zip(("features", "observe_account", "reward", "order_policy", "decision_every", "tickers"), values, strict=True)
    )
    for values in product(FEATURES, (False, True), REWARDS, ORDER_POLICIES, (1, 20), ("SP500", None))
]


@cache
def prices() -> tuple[PriceTable, ...]:
    """Return the last two years and a half of both builtin tables."""
    return tuple(
        PriceTable(table.ticker, table.dates[-600:], table.bars[-600:], table.source) for table in load("builtin")
    )


def name(combination: dict) -> str:
    return "-".join(str(value) for value in combination.values())


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("combination", COMBINATIONS, ids=name)
def test_gymnasiums_checker_has_nothing_to_say(env_id, combination):
    made = gym.make(env_id, prices=prices(), **combination)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(made.unwrapped, skip_render_check=True)


@pytest.mark.parametrize("env_id", IDS)
def test_gymnasiums_checker_has_nothing_to_say_about_pictures(env_id):
    mpl.use("Agg", force=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(env_id, prices=prices()).unwrapped)


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("combination", COMBINATIONS, ids=name)
def test_stable_baselines3s_checker_only_mentions_the_two_dimensional_window(env_id, combination):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    made = gym.make(env_id, prices=prices(), **combination)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        checker.check_env(made.unwrapped, skip_render_check=True)
    assert len(said) == 1
    part = "window" if combination["observe_account"] else ""
    assert str(said[0].message).startswith(f"Your observation {part} has an unconventional shape")


@pytest.mark.parametrize("env_id", IDS)
def test_a_made_environment_runs_through_gymnasiums_passive_checker(env_id):
    env = gym.make(env_id, prices=prices())
    assert "PassiveEnvChecker" in str(env)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env.reset(seed=1)
        for action in (0, 1, 2, 3, 4):
            env.step(action)
