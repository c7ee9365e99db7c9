"""EtfTradingVectorEnv: the same numbers as the single environment, and the same manners as Gymnasium's vector."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st

import etfgym  # noqa: F401 (registers the environments)
from etfgym.envs.etf import EtfTradingEnv
from etfgym.envs.etf_vector import EtfTradingVectorEnv
from etfgym.ledger import Costs
from etfgym.prices import ADJ_CLOSE, PriceTable
from etfgym.sources.worlds import make_world

ENV_ID = "etfgym/EtfTrading-v0"
MODES = ("NextStep", "SameStep", "Disabled")
MANY = 7
START = np.datetime64("2000-02-01")


def table(seed: int, ticker: str) -> PriceTable:
    """Return a small world that pays 1 % on every tenth day."""
    world = make_world("random-walk", seed, bars=80, min_bars=1)
    bars = world.bars.copy()
    bars[:, ADJ_CLOSE] *= 0.99 ** ((79 - np.arange(80)) // 10)
    return PriceTable(ticker, world.dates, bars, source="by hand", min_bars=1)


KEYWORDS: dict[str, Any] = {"prices": (table(0, "ONE"), table(1, "TWO")), "window": 5, "length": 12}
FIXED: dict[str, Any] = KEYWORDS | {"tickers": "TWO", "start": START}
VARIANTS: list[dict[str, Any]] = [
    {},
    {"observe_account": True, "reward": "excess", "decision_every": 5},
    {"features": "raw", "reward": "log", "order_policy": "reject", "costs": Costs(fixed_fee=3, slippage_bps=5)},
]


def frozen(value: Any) -> Any:
    """Return anything that an environment gives in a form that == compares to the bit."""
    if isinstance(value, dict):
        return {key: frozen(part) for key, part in value.items()}
    return (value.dtype.str, value.tobytes()) if isinstance(value, np.ndarray) else value


def account(values: Any, i: int) -> Any:
    """Return one account's part of batched observations or infos as the single environment gives it."""
    if isinstance(values, dict):
        return {key: account(part, i) for key, part in values.items() if not key.startswith("_")}
    value = values[i]
    if isinstance(value, np.datetime64 | np.ndarray) or value is None:
        return value
    return value.item() if isinstance(value, np.generic) else value


def assert_same(vector: Any, single: Any, i: int) -> None:
    """Assert that account i of the vector's (observations, infos) is the single's (observation, info) to the bit."""
    for batched, alone in zip(vector, single, strict=True):
        assert frozen(account(batched, i)) == frozen(alone)


# The same numbers


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_vector_of_one_plays_the_single_environments_episodes_to_the_bit(variant, mode):
    single = EtfTradingEnv(**KEYWORDS, **variant)
    vector = EtfTradingVectorEnv(1, autoreset_mode=mode, **KEYWORDS, **variant)
    rng = np.random.default_rng(0)
    alone = single.reset(seed=5)
    assert_same(vector.reset(seed=5), alone, 0)
    episodes = 0
    while episodes < 5:
        action = int(rng.integers(5))
        observation, reward, over, _, info = single.step(action)
        observations, rewards, terminated, truncated, infos = vector.step(np.array([action]))
        assert (rewards.tolist(), terminated.tolist(), truncated.tolist()) == ([reward], [over], [False])
        if over and mode == "SameStep":
            assert_same((infos.pop("final_obs"), infos.pop("final_info")), (observation, info), 0)
            observation, info = single.reset()
        assert_same((observations, infos), (observation, info), 0)
        if over and mode == "NextStep":
            observations, rewards, terminated, _, infos = vector.step(np.array([0]))
            assert (rewards.tolist(), terminated.tolist()) == ([0.0], [False])
            assert_same((observations, infos), single.reset(), 0)
        if over and mode == "Disabled":
            assert_same(vector.reset(), single.reset(), 0)
        episodes += over


@pytest.mark.parametrize("variant", VARIANTS)
@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 2**32))
def test_many_accounts_with_a_ticker_and_a_start_each_equal_as_many_single_environments(variant, seed):
    rng = np.random.default_rng(seed)
    vector = EtfTradingVectorEnv(MANY, autoreset_mode="Disabled", **KEYWORDS, **variant)
    singles = [EtfTradingEnv(**KEYWORDS, **variant) for _ in range(MANY)]
    vector.reset(seed=1)
    for i, single in enumerate(singles):
        ticker = str(rng.choice(["ONE", "TWO"]))
        options = {"ticker": ticker, "start": KEYWORDS["prices"][0].dates[rng.integers(4, 67)]}
        alone = single.reset(options=options)
        only = np.arange(MANY) == i
        batch = vector.reset(options={**options, "reset_mask": only})
        assert_same(batch, alone, i)
        assert all(batch[1][key].tolist() == only.tolist() for key in batch[1] if key.startswith("_"))
    over = [False]
    while not any(over):
        actions = rng.integers(0, 5, MANY)
        observations, rewards, terminated, _, infos = vector.step(actions)
        for i, single in enumerate(singles):
            observation, reward, end, _, info = single.step(actions[i])
            assert (rewards[i], terminated[i]) == (reward, end)
            assert_same((observations, infos), (observation, info), i)
        over = terminated.tolist()
    assert all(over)


def test_accounts_do_not_touch_each_other():
    def play(last_accounts_actions: list[int]) -> list[Any]:
        vector = EtfTradingVectorEnv(3, **KEYWORDS)
        vector.reset(seed=1)
        seen = []
        for action in last_accounts_actions:
            observations, rewards, terminated, _, infos = vector.step(np.array([0, 3, action]))
            kept = {key: frozen(values[:2]) for key, values in infos.items()}
            seen.append((frozen(observations[:2]), frozen(rewards[:2]), frozen(terminated[:2]), kept))
        return seen

    assert play([2] * 30) == play([0, 1, 4] * 10)


def test_the_same_seed_gives_the_same_accounts_and_every_account_its_own_start():
    def dates(seed: int) -> list[np.datetime64]:
        return EtfTradingVectorEnv(MANY, **KEYWORDS).reset(seed=seed)[1]["date"].tolist()

    assert dates(3) == dates(3)
    assert dates(3) != dates(4)
    assert len(set(dates(3))) > 3


# The same manners


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("variant", VARIANTS)
@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 2**32))
def test_each_autoreset_mode_does_what_gymnasiums_own_vector_does(mode, variant, seed):
    rng = np.random.default_rng(seed)
    ours = EtfTradingVectorEnv(MANY, autoreset_mode=mode, **FIXED, **variant)
    theirs = SyncVectorEnv([lambda: EtfTradingEnv(**FIXED, **variant)] * MANY, autoreset_mode=mode)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.single_observation_space == theirs.single_observation_space
    assert_batches_equal(ours.reset(seed=1), theirs.reset(seed=1))
    over = np.zeros(MANY, np.bool_)
    for _ in range(30):
        again = rng.random(MANY) < 0.1  # resets in mid-episode, so that the accounts do not all end on one step
        if mode == "Disabled":
            again |= over
        if again.any():
            resets = (vector.reset(options={"reset_mask": again.copy()}) for vector in (ours, theirs))
            assert_batches_equal(*resets)
        actions = rng.integers(0, 5, MANY)
        mine, wanted = ours.step(actions), theirs.step(actions)
        for column in (1, 2, 3):  # rewards, terminated, truncated
            assert frozen(mine[column]) == frozen(wanted[column])
        assert_batches_equal((mine[0], mine[4]), (wanted[0], wanted[4]))
        assert ours.observation_space.contains(mine[0])
        over = mine[2]


def assert_batches_equal(ours: Any, theirs: Any) -> None:
    """Assert that (observations, infos) are the same, infos where their masks are True.

    Three differences are none of substance: where a mask is False, ours shows the account's present values and
    Gymnasium's zeros; ticker is text and date datetime64 where Gymnasium's arrays hold objects.
    """
    assert frozen(ours[0]) == frozen(theirs[0])
    assert_infos_equal(ours[1], theirs[1])


def assert_infos_equal(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert set(ours) == set(theirs)
    for key, values in ours.items():
        if key.startswith("_"):
            assert values.dtype == np.bool_
            assert values.tolist() == theirs[key].tolist(), key
        elif isinstance(values, dict):
            assert_infos_equal(values, theirs[key])
        else:
            if key not in {"ticker", "date"}:
                assert values.dtype == theirs[key].dtype, key
            for i in np.flatnonzero(ours[f"_{key}"]):
                assert frozen(account(values, i)) == frozen(account(theirs[key], i)), key
            if key == "final_obs":
                assert [value is None for value in values] == [value is None for value in theirs[key]]


@pytest.mark.parametrize("mode", MODES)
def test_a_step_before_the_first_reset_needs_a_reset(mode):
    vector = EtfTradingVectorEnv(2, autoreset_mode=mode, **FIXED)
    with pytest.raises(gym.error.ResetNeeded, match=r"2 of 2 accounts are over; call reset\(\) for them first"):
        vector.step(np.array([2, 2]))


def test_with_autoreset_disabled_a_closed_account_cannot_be_stepped():
    vector = EtfTradingVectorEnv(2, autoreset_mode="Disabled", **FIXED)
    vector.reset()
    vector.step(np.array([2, 2]))
    vector.reset(options={"reset_mask": np.array([True, False])})
    for _ in range(11):
        *_, infos = vector.step(np.array([0, 0]))
    units = infos["units"][0]
    with pytest.raises(gym.error.ResetNeeded, match=r"1 of 2 accounts are over; call reset\(\) for them first"):
        vector.step(np.array([0, 0]))
    _, infos = vector.reset(options={"reset_mask": np.array([False, True])})
    assert infos["units"].tolist() == [units, 0]  # the refused step has changed nothing
    vector.step(np.array([0, 0]))


def test_the_first_reset_must_open_every_account():
    vector = EtfTradingVectorEnv(2, **FIXED)
    with pytest.raises(ValueError, match="the first reset must open every account; call reset"):
        vector.reset(options={"reset_mask": np.array([True, False])})


def test_reset_options_are_left_as_they_were_given():
    vector = EtfTradingVectorEnv(2, **FIXED)
    vector.reset()
    options = {"reset_mask": np.array([True, False]), "ticker": "TWO"}
    vector.reset(options=options)
    assert set(options) == {"reset_mask", "ticker"}


@pytest.mark.parametrize(
    "mask", [np.array([True]), np.array([1, 0]), np.array([False, False]), "all", np.ones((2, 1), np.bool_), None]
)
def test_a_wrong_reset_mask_is_refused(mask):
    vector = EtfTradingVectorEnv(2, **FIXED)
    vector.reset()
    with pytest.raises(ValueError, match="reset_mask must be 2 booleans, at least one of them True, got "):
        vector.reset(options={"reset_mask": mask})


@pytest.mark.parametrize(
    "actions",
    [
        np.array([0]),
        np.array([0, 1, 2]),
        np.array([[0, 1]]),
        np.array([0.0, 1.0]),
        np.array([0, 5]),
        np.array([-1, 0]),
        np.array([True, False]),
        ["buy", "sell"],
        0,
        None,
    ],
)
def test_wrong_actions_are_refused_in_one_line(actions):
    vector = EtfTradingVectorEnv(2, **FIXED)
    vector.reset()
    with pytest.raises(ValueError, match=r"actions must be 2 whole numbers from 0 to 4, got ") as refused:
        vector.step(actions)
    assert "\n" not in str(refused.value)
    assert vector.step([0, 1])[4]["requested"].tolist() == [20, 10]  # a list will do


def test_make_vec_chooses_this_environment():
    vector = gym.make_vec(ENV_ID, num_envs=3, **FIXED)
    assert type(vector.unwrapped) is EtfTradingVectorEnv
    assert vector.spec.id == ENV_ID
    assert (vector.num_envs, vector.metadata["autoreset_mode"]) == (3, AutoresetMode.NEXT_STEP)
    vector.close()


@pytest.mark.parametrize("mode", AutoresetMode)
def test_metadata_names_the_autoreset_mode_of_this_environment_only(mode):
    vector = gym.make_vec(ENV_ID, num_envs=2, autoreset_mode=mode, **FIXED)
    again = gym.make_vec(ENV_ID, num_envs=2, autoreset_mode=mode.value, **FIXED)
    other = EtfTradingVectorEnv(2, **FIXED)
    assert vector.metadata["autoreset_mode"] is again.metadata["autoreset_mode"] is mode
    assert other.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"num_envs": 0}, "num_envs must be a whole number of at least 1, got 0"),
        (
            {"autoreset_mode": "Nextstep"},
            r"autoreset_mode must be one of .*, got 'Nextstep' \(did you mean 'NextStep'\?\)",
        ),
        ({"windw": 3}, r"keyword must be one of .*, got 'windw' \(did you mean 'window'\?\)"),
    ],
)
def test_a_wrong_keyword_is_refused_in_one_line(keywords, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        EtfTradingVectorEnv(**(FIXED | keywords))


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_gymnasiums_episode_statistics_see_the_years_return(mode):
    vector = gym.wrappers.vector.RecordEpisodeStatistics(EtfTradingVectorEnv(MANY, autoreset_mode=mode, **KEYWORDS))
    vector.reset(seed=2)
    for _ in range(12):
        _, _, terminated, _, infos = vector.step(np.arange(MANY) % 5)
    assert terminated.all()
    equity = (infos["final_info"] if mode == "SameStep" else infos)["equity"]
    assert infos["episode"]["r"] == pytest.approx(equity / 20_000 - 1, abs=1e-6)
    assert infos["episode"]["l"].tolist() == [12] * MANY
