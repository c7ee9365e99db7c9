"""EtfTradingEnv: the timing rule, the money, the keywords, and what a user may do to it."""

from __future__ import annotations

import copy
import math
import re
from itertools import pairwise
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import etfgym  # noqa: F401 (registers the environments)
from etfgym.envs.etf import EtfTradingEnv
from etfgym.features import FEATURES
from etfgym.ledger import ALL, Costs, implied_dividends, trade_day
from etfgym.prices import ADJ_CLOSE, CLOSE, HIGH, LOW, OPEN, PriceTable

IDS = sorted(name for name in gym.registry if name.startswith("etfgym/EtfTrading"))
REWARDS = ("pnl", "log", "excess")
ROWS, WINDOW, LENGTH = 60, 5, 20
START = 10
"""Row of the last bar of the first window, in the small tables below."""
BUY_20, BUY_10, HOLD, SELL_10, SELL_20 = range(5)

actions_of_an_episode = st.lists(st.integers(0, 4), min_size=LENGTH, max_size=LENGTH)


def random_bars(seed: int, rows: int = ROWS, dividends: bool = True) -> np.ndarray:
    """Return valid bars (rows, 6) between 20 and 5000 dollars with a dividend of up to 5 % every eighth day or so."""
    rng = np.random.default_rng(seed)
    close = np.clip(200.0 * np.exp(np.cumsum(rng.normal(0.0, 0.1, rows))), 20.0, 5000.0)
    opening = close * rng.uniform(0.8, 1.2, rows)
    keep = 1.0 - rng.uniform(0.0, 0.05, rows) * (rng.random(rows) < 0.12) * dividends
    factor = np.append(np.cumprod(keep[:0:-1])[::-1], 1.0)
    high, low = np.maximum(opening, close) * 1.01, np.minimum(opening, close) * 0.99
    return np.column_stack((opening, high, low, close, rng.integers(0, 10**6, rows), close * factor))


def table(bars: np.ndarray, ticker: str = "TOY") -> PriceTable:
    days = np.busday_offset("2020-01-06", np.arange(len(bars)))
    return PriceTable(ticker, days, bars, source="by hand", min_bars=1)


def small_env(prices: PriceTable, env_id: str = IDS[0], **keywords: Any) -> EtfTradingEnv:
    keywords = {"window": WINDOW, "length": LENGTH, "start": prices.dates[START], **keywords}
    return gym.make(env_id, prices=prices, **keywords).unwrapped


def frozen(value: Any) -> Any:
    """Return observation or info in a form that == compares to the bit."""
    if isinstance(value, dict):
        return {key: frozen(part) for key, part in value.items()}
    return (value.dtype, value.tobytes()) if isinstance(value, np.ndarray) else value


def play(env: EtfTradingEnv, actions: list[int], **reset: Any) -> list[tuple[Any, float, bool, dict[str, Any]]]:
    """Return observation, reward, terminated and info of the reset and of each step until the account is closed."""
    observation, info = env.reset(**reset)
    steps = [(observation, 0.0, False, info)]
    for action in actions:
        if steps[-1][2]:
            break
        observation, reward, terminated, truncated, info = env.step(action)
        assert truncated is False
        steps.append((observation, reward, terminated, info))
    return steps


# The timing rule


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("observe_account", [False, True])
@pytest.mark.parametrize("reward", REWARDS)
@settings(deadline=None, max_examples=12)
@given(
    seed=st.integers(0, 2**32),
    ahead=st.integers(0, LENGTH),
    actions=actions_of_an_episode,
    decision_every=st.sampled_from([1, 3]),
    order_policy=st.sampled_from(["clip", "reject"]),
)
def test_rows_after_t_never_change_what_is_known_at_t(
    env_id, features, observe_account, reward, seed, ahead, actions, decision_every, order_policy
):
    known = random_bars(seed)
    other = known.copy()
    t = START + ahead
    other[t + 1 :] = random_bars(seed + 1)[t + 1 :]
    other[t + 1 :, ADJ_CLOSE] = other[t + 1 :, CLOSE] * known[t, ADJ_CLOSE] / known[t, CLOSE]
    keywords = {
        "features": features,
        "observe_account": observe_account,
        "reward": reward,
        "decision_every": decision_every,
        "order_policy": order_policy,
    }
    one, two = (play(small_env(table(bars), env_id, **keywords), actions) for bars in (known, other))
    known_steps = 1 + min(math.floor(ahead / decision_every), math.ceil(LENGTH / decision_every))
    if ahead == LENGTH:
        known_steps = 1 + math.ceil(LENGTH / decision_every)
    assert frozen_steps(one[:known_steps]) == frozen_steps(two[:known_steps])
    if ahead < LENGTH:
        assert one[known_steps][3]["price"] != two[known_steps][3]["price"]  # the change was not too late to matter


def frozen_steps(steps: list[tuple[Any, float, bool, dict[str, Any]]]) -> list[Any]:
    return [(frozen(observation), reward, over, frozen(info)) for observation, reward, over, info in steps]


def test_an_order_fills_at_the_next_open_and_is_valued_at_that_days_close():
    bars = np.tile([1000.0, 5000.0, 1.0, 1000.0, 1.0, 1000.0], (ROWS, 1))
    bars[START, OPEN], bars[START, [CLOSE, ADJ_CLOSE]] = 11.0, 13.0
    bars[START + 1, OPEN], bars[START + 1, [CLOSE, ADJ_CLOSE]] = 17.0, 19.0
    bars[START + 2, OPEN], bars[START + 2, [CLOSE, ADJ_CLOSE]] = 23.0, 29.0
    env = small_env(table(bars))
    env.reset()
    _, reward, _, _, info = env.step(BUY_20)
    assert info["cash"] == pytest.approx(20_000 - 20 * 17 * 1.001, abs=1e-9)
    assert info["equity"] == pytest.approx(info["cash"] + 20 * 19, abs=1e-9)
    assert reward == pytest.approx((20 * 2 - 0.34) / 20_000)
    _, reward, _, _, info = env.step(SELL_10)
    assert info["cash"] == pytest.approx(20_000 - 20 * 17 * 1.001 + 10 * 23 * 0.999, abs=1e-9)
    assert reward == pytest.approx((10 * (23 - 19) + 10 * (29 - 19) - 0.23) / 20_000)


# The money


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    actions=actions_of_an_episode,
    decision_every=st.integers(1, LENGTH + 3),
    order_policy=st.sampled_from(["clip", "reject"]),
    reward=st.sampled_from(REWARDS),
    costs=st.sampled_from([Costs(), Costs(commission=0), Costs(fixed_fee=9, slippage_bps=50)]),
    cash=st.sampled_from([20_000.0, 700.0]),
)
def test_every_step_is_what_the_plain_ledger_says(seed, actions, decision_every, order_policy, reward, costs, cash):
    prices = table(random_bars(seed))
    keywords = {"order_policy": order_policy, "costs": costs, "initial_cash": cash}
    env = small_env(prices, decision_every=decision_every, reward=reward, **keywords)
    steps = play(env, actions)
    assert len(steps) - 1 == math.ceil(LENGTH / decision_every)
    assert [over for _, _, over, _ in steps] == [False] * (len(steps) - 1) + [True]

    dividends = implied_dividends(prices.close, prices.adj_close)
    account = hold = (cash, 0, 0, 0.0, 0.0, cash)
    for number, (before, after) in enumerate(pairwise(steps)):
        filled, fees, paid, hold_before = 0, 0.0, 0.0, hold[5]
        first = START + number * decision_every
        for row in range(first + 1, min(first + decision_every, START + LENGTH) + 1):
            order = env.settings.orders[actions[number]] if row == first + 1 else 0
            day = (prices.open[row].item(), prices.close[row].item(), dividends[row].item(), row == START + LENGTH)
            account = trade_day(*account[:2], order, *day, costs.rates, order_policy == "clip")
            hold = trade_day(*hold[:2], ALL if row == START + 1 else 0, *day, costs.rates, True)
            filled, fees, paid = filled + account[2], fees + account[3], paid + account[4]
        info = after[3]
        assert info["date"] == prices.dates[row]
        assert (info["cash"], info["units"], info["equity"]) == (account[0], account[1], account[5])
        assert (info["filled"], info["fees"], info["dividends"]) == (filled, fees, paid)
        assert info["requested"] == env.settings.orders[actions[number]]
        gain = account[5] - before[3]["equity"]
        if reward == "pnl":
            assert after[1] == gain / cash
        elif reward == "excess":
            assert after[1] == pytest.approx((gain - (hold[5] - hold_before)) / cash, abs=1e-12)
        else:
            assert after[1] == pytest.approx(math.log(account[5] / before[3]["equity"]), abs=1e-12)

    total = sum(reward for _, reward, _, _ in steps)
    wanted = {
        "pnl": account[5] / cash - 1,
        "log": math.log(account[5] / cash),
        "excess": (account[5] - hold[5]) / cash,
    }
    assert total == pytest.approx(wanted[reward], abs=1e-12)


@pytest.mark.parametrize("costs", [Costs(), Costs(commission=0), Costs(fixed_fee=5, slippage_bps=10)])
@pytest.mark.parametrize("seed", range(5))
def test_buy_and_hold_is_its_closed_form(seed, costs):
    prices = table(random_bars(seed))
    steps = play(small_env(prices, units=(ALL,), costs=costs), [0] + [1] * (LENGTH - 1))
    paid = prices.open[START + 1] * (1 + costs.slippage_bps / 1e4)
    units = math.floor((20_000 - costs.fixed_fee) / (paid * (1 + costs.commission)))
    cash = 20_000 - units * paid * (1 + costs.commission) - costs.fixed_fee
    adj_close, close = prices.adj_close, prices.close
    for k in range(1, LENGTH):
        t = START + 1 + k
        dividend = close[t - 1] * (1 - (adj_close[t - 1] / close[t - 1]) / (adj_close[t] / close[t]))
        cash += units * max(dividend, 0.0)
    cash += units * close[START + LENGTH] * (1 - costs.slippage_bps / 1e4) * (1 - costs.commission) - costs.fixed_fee
    assert units > 0
    assert steps[-1][3]["equity"] == pytest.approx(cash, abs=1e-6)
    excess = play(small_env(prices, units=(ALL,), costs=costs, reward="excess"), [0] + [1] * (LENGTH - 1))
    assert [reward for _, reward, _, _ in excess] == [0.0] * (LENGTH + 1)


def test_an_account_that_fees_have_emptied_has_a_finite_log_return():
    env = small_env(table(random_bars(3)), initial_cash=40.0, costs=Costs(fixed_fee=15), reward="log", units=(1,))
    prices = env.unwrapped._accounts.market
    assert prices.open[START + 1] > 25  # the fee and one unit are more than there is
    rich = small_env(table(random_bars(3) * [0.01, 0.01, 0.01, 0.01, 1, 0.01]), initial_cash=21.0, reward="log")
    assert np.isfinite([reward for _, reward, _, _ in play(rich, [0] * LENGTH)]).all()
    poor = small_env(
        table(random_bars(3) * [0.01, 0.01, 0.01, 0.01, 1, 0.01]),
        initial_cash=20.0,
        costs=Costs(fixed_fee=14),
        reward="log",
        units=(1,),
    )
    steps = play(poor, [0] * LENGTH)
    assert steps[-1][3]["equity"] == 0.0
    assert np.isfinite([reward for _, reward, _, _ in steps]).all()


# The mask


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    actions=actions_of_an_episode,
    order_policy=st.sampled_from(["clip", "reject"]),
    costs=st.sampled_from([Costs(), Costs(commission=0), Costs(fixed_fee=300)]),
)
def test_the_mask_is_true_where_the_next_open_is_the_last_close(seed, actions, order_policy, costs):
    bars = random_bars(seed, dividends=False)
    bars[1:, OPEN] = bars[:-1, CLOSE]
    bars[:, HIGH] = bars[:, [OPEN, CLOSE]].max(axis=1)
    bars[:, LOW] = bars[:, [OPEN, CLOSE]].min(axis=1)
    env = small_env(table(bars), order_policy=order_policy, costs=costs, initial_cash=4000.0)
    _, info = env.reset()
    for action in actions:
        does_something = [1 if tried == HOLD else int(filled_by(env, tried) != 0) for tried in range(5)]
        assert info["action_mask"].tolist() == does_something
        _, _, over, _, info = env.step(action)
    assert over
    assert info["action_mask"].tolist() == [0, 0, 1, 0, 0]


def filled_by(env: EtfTradingEnv, action: int) -> int:
    return copy.deepcopy(env).step(action)[4]["filled"]


def test_an_action_that_is_masked_out_is_the_same_as_hold():
    env = small_env(table(random_bars(0)))
    env.reset()
    held, masked_out = copy.deepcopy(env).step(HOLD), copy.deepcopy(env).step(SELL_20)
    assert held[4] | {"requested": -20} == pytest.approx(masked_out[4])


# Starts, seeds, resets


def test_the_same_seed_gives_the_same_episodes_and_another_seed_another_one():
    tables = [table(random_bars(1, rows=300), "ONE"), table(random_bars(2, rows=300), "TWO")]

    def episodes(seed: int) -> list[Any]:
        env = gym.make(IDS[0], prices=tables, window=WINDOW, length=LENGTH).unwrapped
        actions = np.random.default_rng(0).integers(0, 5, LENGTH).tolist()
        first = play(env, actions, seed=seed)
        return [frozen_steps(first), *(frozen_steps(play(env, actions)) for _ in range(4))]

    assert episodes(7) == episodes(7)
    assert episodes(7) != episodes(8)
    assert len({str(episode) for episode in episodes(7)}) == 5


@pytest.mark.parametrize("as_option", [False, True])
def test_a_pair_of_dates_draws_every_day_between_equally_often(as_option):
    prices = table(random_bars(0))
    pair = (prices.dates[10] - 2, prices.dates[21])  # two days before row 10 is a weekend's day, or row 8
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
    prices = table(random_bars(0, rows=WINDOW + LENGTH + 2))
    env = gym.make(IDS[0], prices=prices, window=WINDOW, length=LENGTH).unwrapped
    env.reset(seed=0)
    starts = {env.reset()[1]["date"] for _ in range(100)}
    assert starts == set(prices.dates[WINDOW - 1 : WINDOW + 2])
    last = play(env, [HOLD] * LENGTH, options={"start": prices.dates[WINDOW + 1]})
    assert last[-1][3]["date"] == prices.dates[-1]


def test_every_ticker_is_drawn_equally_often_and_an_option_fixes_it():
    tables = [table(random_bars(number), f"T{number}") for number in range(3)]
    env = gym.make(IDS[0], prices=tables, window=WINDOW, length=LENGTH).unwrapped
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
    prices = table(random_bars(0))
    saturday = np.datetime64("2020-01-25")
    assert small_env(prices, start="2020-01-25").reset()[1]["date"] == saturday + 2
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
            {"start": "2020-03-02"},
            (
                "start=2020-03-02: on TOY, an episode of 20 bars can start from 2020-01-10 to 2020-02-28; "
                "choose a date in there, or another length"
            ),
        ),
    ],
)
def test_a_reset_option_that_cannot_be_met_is_refused(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        small_env(table(random_bars(0))).reset(options=options)


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
        EtfTradingEnv(prices=table(random_bars(0)), **keywords)


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
    prices = table(random_bars(4))
    for row, (_, reward, _, info) in enumerate(play(small_env(prices), [BUY_20, BUY_10, SELL_20] * 7), START):
        assert {key: type(value) for key, value in info.items()} == types
        assert info["action_mask"].dtype == np.int8
        assert info["cash"] + info["units"] * info["price"] == info["equity"]
        assert (info["date"], info["price"]) == (prices.dates[row], prices.close[row])
        assert type(reward) is float


def test_the_account_part_of_the_observation_is_by_hand():
    prices = table(random_bars(6))
    steps = play(small_env(prices, observe_account=True), [BUY_20] + [HOLD] * (LENGTH - 1))
    assert steps[0][0]["account"].tolist() == [0.0, 1.0, 1.0]
    for k, (observation, _, over, info) in enumerate(steps):
        share = info["units"] * info["price"] / info["equity"]
        assert observation["account"] == pytest.approx([share, 1 - share, (LENGTH - k) / LENGTH], abs=1e-6)
        assert (share > 0) == (0 < k and not over)
    assert steps[-1][0]["account"].tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("observe_account", [False, True])
def test_writing_into_what_was_returned_harms_nothing(observe_account):
    prices = table(random_bars(5))
    digest = prices.sha256
    env = small_env(prices, observe_account=observe_account)
    wanted = frozen_steps(play(env, [BUY_20] * LENGTH))
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
    env = small_env(table(random_bars(0)))
    env.reset()
    with pytest.raises(ValueError, match="action must be a whole number from 0 to 4, got "):
        env.step(action)
    assert env.step(HOLD)[4]["date"] == env._accounts.market.dates[START + 1]


@pytest.mark.parametrize("action", [0, np.int64(0), np.array(0), np.uint8(0), False])
def test_a_zero_of_any_type_buys(action):
    env = small_env(table(random_bars(0)))
    env.reset()
    assert env.step(action)[4]["requested"] == 20


def test_a_step_before_the_reset_or_after_the_end_needs_a_reset():
    env = small_env(table(random_bars(0)))
    with pytest.raises(gym.error.ResetNeeded, match="call reset"):
        env.step(HOLD)
    assert play(env, [HOLD] * LENGTH)[-1][2]
    with pytest.raises(gym.error.ResetNeeded, match="the episode is over"):
        env.step(HOLD)
    env.reset()
    env.step(HOLD)
