"""EtfTradingEnv as a user meets it: starts and seeds, keywords, infos, misuse, pictures."""

from __future__ import annotations

import math
import re
from typing import Any

import gymnasium as gym
import matplotlib as mpl
import numpy as np
import pytest

import etfgym  # noqa: F401 (registers the environments)
from etfgym.envs.etf import EtfTradingEnv
from etfgym.ledger import ALL
from etfgym.prices import PriceTable
from etfgym.sources.worlds import make_world

ENV_ID = "etfgym/EtfTrading-v0"
WINDOW, LENGTH = 5, 20
START = 10
"""Row of the last bar of the first window, in the small tables below."""
BUY_20, BUY_10, HOLD, SELL_10, SELL_20 = range(5)

Steps = list[tuple[Any, float, bool, dict[str, Any]]]


def table(seed: int = 0, rows: int = 60, ticker: str = "TOY") -> PriceTable:
    """Return the bars of a small world; row 0 is 2000-01-03, a Monday."""
    world = make_world("random-walk", seed, bars=rows, min_bars=1)
    return PriceTable(ticker, world.dates, world.bars, source="by hand", min_bars=1)


def small_env(prices: PriceTable, **keywords: Any) -> EtfTradingEnv:
    keywords = {"window": WINDOW, "length": LENGTH, "start": prices.dates[START], **keywords}
    return gym.make(ENV_ID, prices=prices, **keywords).unwrapped


def frozen(value: Any) -> Any:
    """Return anything that the environment gives in a form that == compares to the bit."""
    if isinstance(value, dict):
        return {key: frozen(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [frozen(part) for part in value]
    return (value.dtype, value.tobytes()) if isinstance(value, np.ndarray) else value


def play(env: EtfTradingEnv, actions: list[int], **reset: Any) -> Steps:
    """Return observation, reward, terminated and info of the reset and of each step."""
    observation, info = env.reset(**reset)
    steps: Steps = [(observation, 0.0, False, info)]
    for action in actions:
        observation, reward, terminated, _, info = env.step(action)
        steps.append((observation, reward, terminated, info))
    return steps


# Starts, seeds, resets


def test_the_same_seed_gives_the_same_episodes_and_another_seed_another_one():
    tables = [table(1, 300, "ONE"), table(2, 300, "TWO")]

    def episodes(seed: int) -> list[Any]:
        env = gym.make(ENV_ID, prices=tables, window=WINDOW, length=LENGTH).unwrapped
        actions = np.random.default_rng(0).integers(0, 5, LENGTH).tolist()
        first = play(env, actions, seed=seed)
        return [frozen(first), *(frozen(play(env, actions)) for _ in range(4))]

    assert episodes(7) == episodes(7)
    assert episodes(7) != episodes(8)
    assert len({str(episode) for episode in episodes(7)}) == 5


@pytest.mark.parametrize("as_option", [False, True])
def test_a_pair_of_dates_draws_every_day_between_equally_often(as_option):
    prices = table()
    pair = (prices.dates[10] - 2, prices.dates[21])  # a Saturday to row 21
    first = int(np.searchsorted(prices.dates, pair[0]))
    env = small_env(prices, start=None if as_option else pair)
    options = {"start": list(pair)} if as_option else None
    env.reset(seed=3)
    starts = [env.reset(options=options)[1]["date"] for _ in range(1500)]
    days, counts = np.unique(starts, return_counts=True)
    assert days.tolist() == prices.dates[first:22].tolist()
    expected = 1500 / len(days)
    assert np.all(np.abs(counts - expected) < 4.5 * math.sqrt(expected))


def test_without_a_start_the_first_and_the_last_day_that_fit_are_drawn():
    prices = table(rows=WINDOW + LENGTH + 2)
    env = gym.make(ENV_ID, prices=prices, window=WINDOW, length=LENGTH).unwrapped
    env.reset(seed=0)
    starts = {env.reset()[1]["date"] for _ in range(100)}
    assert starts == set(prices.dates[WINDOW - 1 : WINDOW + 2])
    last = play(env, [HOLD] * LENGTH, options={"start": prices.dates[WINDOW + 1]})
    assert last[-1][3]["date"] == prices.dates[-1]


def test_every_ticker_is_drawn_equally_often_and_an_option_fixes_it():
    tables = [table(number, ticker=f"T{number}") for number in range(3)]
    env = gym.make(ENV_ID, prices=tables, window=WINDOW, length=LENGTH).unwrapped
    env.reset(seed=1)
    drawn = [env.reset()[1]["ticker"] for _ in range(900)]
    counts = {ticker: drawn.count(ticker) for ticker in ("T0", "T1", "T2")}
    assert sum(counts.values()) == 900
    assert all(abs(count - 300) < 4.5 * math.sqrt(200) for count in counts.values())
    for number in range(3):
        _, info = env.reset(options={"ticker": f"T{number}", "start": tables[number].dates[30]})
        assert (info["ticker"], info["date"]) == (f"T{number}", tables[number].dates[30])
        assert info["price"] == tables[number].close[30]


def test_a_date_without_a_bar_starts_on_the_first_bar_after_it():
    prices = table()
    saturday = np.datetime64("2000-01-22")
    assert small_env(prices, start="2000-01-22").reset()[1]["date"] == saturday + 2
    assert small_env(prices).reset(options={"start": saturday})[1]["date"] == saturday + 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tickr": "TOY"}, "reset option must be one of 'ticker', 'start', got 'tickr' (did you mean 'ticker'?)"),
        ({"ticker": "TOI"}, "ticker must be one of 'TOY', got 'TOI' (did you mean 'TOY'?)"),
        ({"start": "next year"}, "a date must look like '2019-01-02', got 'next year'"),
        (
            {"start": ("2020-02-03", "2020-01-03")},
            "start must be a date or a pair of dates, the earlier first, got ('2020-02-03', '2020-01-03')",
        ),
        (
            {"start": "2000-03-02"},
            (
                "start=2000-03-02: on TOY, an episode of 20 bars can start from 2000-01-07 to 2000-02-25; "
                "choose a date in there, or another length"
            ),
        ),
    ],
)
def test_a_reset_option_that_cannot_be_met_is_refused(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        small_env(table()).reset(options=options)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"unit": (20,)}, "keyword must be one of .*, got 'unit' (did you mean 'units'?)"),
        ({"window": 0}, "window must be a whole number of at least 1, got 0"),
        ({"window": 20.0}, "window must be a whole number of at least 1, got 20.0"),
        ({"length": True}, "length must be a whole number of at least 1, got True"),
        ({"decision_every": "1"}, "decision_every must be a whole number of at least 1, got '1'"),
        ({"units": 20}, "units must be a sequence of whole numbers such as (20, 10), got 20"),
        ({"units": 20.0}, "units must be a sequence of whole numbers such as (20, 10), got 20.0"),
        ({"units": ()}, "units must be a sequence of whole numbers such as (20, 10), got ()"),
        ({"units": (20, -10)}, "each of units must be a whole number of at least 1, got -10"),
        (
            {"costs": 0.001},
            "costs must be an etfgym.ledger.Costs, got 0.001; write Costs(commission=0.001)",
        ),
        ({"initial_cash": 0}, "initial_cash is in dollars, above 0 and at most 1e12, got 0"),
        ({"initial_cash": math.nan}, "initial_cash is in dollars, above 0 and at most 1e12, got nan"),
        ({"order_policy": "clp"}, "order_policy must be one of 'clip', 'reject', got 'clp' (did you mean 'clip'?)"),
        ({"features": "Relative"}, ".*got 'Relative' (did you mean 'relative'?)"),
        ({"reward": "excesss"}, ".*got 'excesss' (did you mean 'excess'?)"),
        ({"render_mode": "rgb"}, "render_mode must be one of 'human', 'rgb_array', got 'rgb'.*"),
        ({"start": "2020-13-01"}, "a date must look like '2019-01-02', got '2020-13-01'"),
        ({"start": ("2020-02-01",)}, "start must be a date or a pair of dates, the earlier first, got ('2020-02-01',)"),
        ({"start": "2030-01-01"}, "start=2030-01-01: on TOY, an episode of 20 bars can start from .*"),
        ({"tickers": "TOI"}, "TOI: not in the tables given (did you mean TOY?); it has TOY"),
        ({"tickers": []}, "no ticker asked for; the tables given has TOY"),
        ({"length": 56}, "TOY: 60 bars are fewer than window + length = 5 + 56; .*"),
    ],
)
def test_a_wrong_keyword_is_refused_in_one_line(keywords, message):
    keywords = {"window": WINDOW, "length": LENGTH, **keywords}
    pattern = re.escape(message).replace(r"\.\*", ".*")
    with pytest.raises(ValueError, match=f"^{pattern}$"):
        EtfTradingEnv(prices=table(), **keywords)


# What a user may do to it


def test_info_has_its_keys_types_and_identities():
    types = {
        "ticker": str,
        "date": np.datetime64,
        "price": float,
        "requested": int,
        "filled": int,
        "cash": float,
        "units": int,
        "equity": float,
        "fees": float,
        "dividends": float,
        "action_mask": np.ndarray,
    }
    prices = table(4)
    for row, (_, reward, _, info) in enumerate(play(small_env(prices), [BUY_20, BUY_10, SELL_20, SELL_10] * 5), START):
        assert {key: type(value) for key, value in info.items()} == types
        assert info["action_mask"].dtype == np.int8
        assert info["cash"] + info["units"] * info["price"] == info["equity"]
        assert (info["date"], info["price"]) == (prices.dates[row], prices.close[row])
        assert type(reward) is float


def test_the_account_part_of_the_observation_is_by_hand():
    prices = table(6)
    steps = play(small_env(prices, observe_account=True), [BUY_20] + [HOLD] * (LENGTH - 1))
    assert steps[0][0]["account"].tolist() == [0.0, 1.0, 1.0]
    for k, (observation, _, over, info) in enumerate(steps):
        share = info["units"] * info["price"] / info["equity"]
        assert observation["account"] == pytest.approx([share, 1 - share, (LENGTH - k) / LENGTH], abs=1e-6)
        assert (share > 0) == (k > 0 and not over)
    assert steps[-1][0]["account"].tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("observe_account", [False, True])
def test_writing_into_what_was_returned_harms_nothing(observe_account):
    prices = table(5)
    digest = prices.sha256
    env = small_env(prices, observe_account=observe_account)
    wanted = frozen(play(env, [BUY_20] * LENGTH))
    observation, info = env.reset()
    seen = [(frozen(observation), frozen(info))]
    for _ in range(LENGTH):
        for array in [*observation.values()] if observe_account else [observation]:
            array[:] = -1.0
        info["action_mask"][:] = 9
        info["cash"] = 0.0
        observation, _, _, _, info = env.step(BUY_20)
        seen.append((frozen(observation), frozen(info)))
    assert seen == [(observation, info) for observation, _, _, info in wanted]
    assert PriceTable("TOY", prices.dates, prices.bars, source="by hand", min_bars=1).sha256 == digest


@pytest.mark.parametrize("action", [5, -1, 1.0, "buy", None, np.array([0])])
def test_an_action_that_is_none_is_refused_and_changes_nothing(action):
    env = small_env(table())
    env.reset()
    with pytest.raises(ValueError, match="action must be a whole number from 0 to 4, got "):
        env.step(action)
    assert env.step(HOLD)[4]["date"] == env.accounts.market.dates[START + 1]


@pytest.mark.parametrize("action", [0, np.int64(0), np.array(0), np.uint8(0), False])
def test_a_zero_of_any_type_buys(action):
    env = small_env(table())
    env.reset()
    assert env.step(action)[4]["requested"] == 20


def test_a_step_before_the_reset_or_after_the_end_needs_a_reset():
    env = small_env(table())
    with pytest.raises(gym.error.ResetNeeded, match="call reset"):
        env.step(HOLD)
    assert play(env, [HOLD] * LENGTH)[-1][2]
    with pytest.raises(gym.error.ResetNeeded, match="the episode is over"):
        env.step(HOLD)
    env.reset()
    env.step(HOLD)


# Pictures


def test_a_picture_is_an_rgb_array():
    env = small_env(table(), render_mode="rgb_array")
    with pytest.raises(gym.error.ResetNeeded, match="nothing to draw yet; call reset"):
        env.render()
    play(env, [BUY_20, BUY_10, SELL_20])
    picture = env.render()
    assert (picture.shape, picture.dtype) == ((600, 800, 3), np.uint8)
    assert 0 < np.mean(picture < 128) < 0.5  # something is drawn, on white
    env.reset()
    assert not np.array_equal(env.render(), picture)
    env.close()


def test_the_closed_accounts_picture_is_there_as_well():
    env = small_env(table(), render_mode="rgb_array", decision_every=7, units=(ALL,))
    assert play(env, [0, 1, 2])[-1][2]
    assert env.render().shape == (600, 800, 3)


def test_a_window_opens_with_the_first_day_and_goes_with_close():
    mpl.use("Agg", force=True)
    from matplotlib import pyplot as plt

    before = plt.get_fignums()
    env = small_env(table(), render_mode="human")
    play(env, [BUY_20])
    assert len(plt.get_fignums()) == len(before) + 1
    env.close()
    env.close()
    assert plt.get_fignums() == before


def test_looking_does_not_change_the_episode():
    actions = [BUY_20, BUY_10, HOLD, SELL_20] * 5
    unseen = play(small_env(table()), actions, seed=1)
    env = small_env(table(), render_mode="rgb_array")
    observation, info = env.reset(seed=1)
    seen = [(observation, 0.0, False, info)]
    for number, action in enumerate(actions):
        if number % 8 == 0:
            env.render()
        observation, reward, terminated, _, info = env.step(action)
        seen.append((observation, reward, terminated, info))
    assert frozen(seen) == frozen(unseen)


def test_a_picture_without_a_render_mode_is_none_and_says_why():
    env = small_env(table())
    env.reset()
    with pytest.warns(UserWarning, match="needs a render_mode: make the environment with render_mode='rgb_array'"):
        assert env.render() is None
