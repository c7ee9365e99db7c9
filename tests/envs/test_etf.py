"""EtfTradingEnv: the timing rule, the money, the keywords, and what a user may do to it."""

from __future__ import annotations

import copy
import math
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import etfgym  # noqa: F401 (registers the environments)
from etfgym.envs.etf import EtfTradingEnv
from etfgym.features import FEATURES, make_features
from etfgym.ledger import ALL, Costs, implied_dividends, run_orders, trade_day
from etfgym.prices import ADJ_CLOSE, CLOSE, HIGH, LOW, OPEN, PriceTable

SHARED = Path(__file__).resolve().parents[3] / "shared/data/etf44_daily_to_2020.parquet"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="the 44 ETFs of ../shared/data are not on this machine")

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


@cache
def shared_etfs() -> dict[str, PriceTable]:
    frames = pd.read_parquet(SHARED).groupby("ticker", sort=False)
    return {ticker: PriceTable.from_frame(frame, ticker, "shared") for ticker, frame in frames}


def small_env(prices: PriceTable, env_id: str = IDS[0], **keywords: Any) -> EtfTradingEnv:
    keywords = {"window": WINDOW, "length": LENGTH, "start": prices.dates[START], **keywords}
    return gym.make(env_id, prices=prices, **keywords).unwrapped


def frozen(value: Any) -> Any:
    """Return observation or info in a form that == compares to the bit."""
    if isinstance(value, dict):
        return {key: frozen(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(map(frozen, value))
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


@pytest.mark.parametrize("features", FEATURES)
def test_the_window_is_that_of_the_features_and_ends_with_the_last_day_seen(features):
    prices = table(random_bars(2))
    made = make_features(features, prices, WINDOW)
    for row, (observation, _, _, info) in enumerate(play(small_env(prices, features=features), [0] * LENGTH), START):
        wanted = made.base[row - WINDOW + 1 : row + 1] * made.scale[row] + made.shift[row]
        np.testing.assert_allclose(observation, wanted, rtol=1e-6, atol=1e-6)
        assert observation[-1, CLOSE] == pytest.approx(info["price"] if features == "raw" else 1.0, rel=1e-6)


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
    assert [reward for _, reward, _, _ in excess] == pytest.approx([0.0] * (LENGTH + 1), abs=1e-12)


def test_an_account_that_fees_have_emptied_has_a_finite_log_return():
    prices = table(random_bars(3) / [100, 100, 100, 100, 1, 100])  # about 2 dollars a unit
    costs = Costs(fixed_fee=14)
    steps = play(small_env(prices, initial_cash=20.0, costs=costs, reward="log", units=(1,)), [0] * LENGTH)
    assert steps[1][3]["units"] == 1
    assert steps[-1][3]["equity"] == 0.0
    assert sum(reward for _, reward, _, _ in steps) == pytest.approx(math.log(0.01 / 20))  # it counts as a cent


# Total return: with dividends reinvested and no costs, equity follows Adj Close


def with_opens(prices: PriceTable, opens: np.ndarray) -> PriceTable:
    """Return the table with other opens, High and Low holding them."""
    bars = prices.bars.copy()
    bars[:, OPEN] = opens
    bars[:, HIGH] = bars[:, [OPEN, HIGH, CLOSE]].max(axis=1)
    bars[:, LOW] = bars[:, [OPEN, LOW, CLOSE]].min(axis=1)
    return PriceTable(prices.ticker, prices.dates, bars, source=prices.source, min_bars=1)


def ex_dividend_opens(prices: PriceTable) -> np.ndarray:
    """Return opens that are the last close less the day's dividend, the price at which Adj Close reinvests."""
    dividends = implied_dividends(prices.close, prices.adj_close)
    return np.append(prices.close[0], prices.close[:-1] - dividends[1:])


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32))
def test_dividends_reinvested_at_the_ex_dividend_price_give_the_total_return_of_adj_close(seed):
    prices = table(random_bars(seed))
    prices = with_opens(prices, ex_dividend_opens(prices))
    env = small_env(prices, units=(ALL,), costs=Costs(commission=0), initial_cash=1e9)
    for row, (_, _, _, info) in enumerate(play(env, [0] * LENGTH), START):
        assert info["equity"] / 1e9 == pytest.approx(prices.adj_close[row] / prices.adj_close[START], rel=1e-5)


@needs_shared
def test_over_their_whole_history_44_etfs_give_the_total_return_of_adj_close():
    for ticker, prices in shared_etfs().items():
        days = len(prices) - 1
        dividends = implied_dividends(prices.close, prices.adj_close)
        paths = (ex_dividend_opens(prices)[1:], prices.close[1:], dividends[1:])
        curve = run_orders(np.full(days, ALL), *paths, initial_cash=1e11, costs=Costs(commission=0)).equity
        np.testing.assert_allclose(curve / 1e11, prices.adj_close / prices.adj_close[0], rtol=2e-5, err_msg=ticker)


def check_reinvesting_at_the_close(prices: PriceTable, starts: range) -> None:
    """Hold for a year from each start, buying for the dividends at the close of their ex-date, and compare."""
    dividends = implied_dividends(prices.close, prices.adj_close)
    prices = with_opens(prices, np.append(prices.close[0], prices.close[:-1]))
    keywords = {"window": 1, "length": 252, "units": (ALL,), "costs": Costs(commission=0), "initial_cash": 1e9}
    env = gym.make(IDS[0], prices=prices, **keywords).unwrapped
    compared = 0
    for start in starts:
        if dividends[start + 1] > 0:  # bought at the last close, ex-date next morning: no dividend yet
            continue
        _, info = env.reset(options={"start": prices.dates[start]})
        action, over = 0, False
        while not over:
            _, _, over, _, info = env.step(action)
            action = 0 if info["dividends"] > 0 else 1
        total_return = prices.adj_close[start + 252] / prices.adj_close[start]
        assert info["equity"] / 1e9 == pytest.approx(total_return, rel=1e-3), prices.dates[start]
        compared += 1
    assert compared > 0


def test_dividends_reinvested_at_the_close_track_adj_close_on_quiet_prices():
    rng = np.random.default_rng(11)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, 600)))
    factor = 0.993 ** ((599 - np.arange(600)) // 63)  # 0.7 % a quarter
    bars = np.column_stack((close, close, close, close, np.ones(600), close * factor))
    check_reinvesting_at_the_close(table(bars), range(0, 340, 17))


@needs_shared
@pytest.mark.parametrize("ticker", ["SPY", "TLT", "HYG", "EWC", "XLU", "VNQ"])
def test_dividends_reinvested_at_the_close_track_adj_close_of_real_etfs(ticker):
    prices = shared_etfs()[ticker]
    first = int(np.searchsorted(prices.dates, np.datetime64("2000-08-25")))  # after EWC's distribution of 23 %
    check_reinvesting_at_the_close(prices, range(first, len(prices) - 253, 126))


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
    assert masked_out[4]["requested"] == -20
    assert frozen(held[4] | {"requested": -20}) == frozen(masked_out[4])
    assert frozen(held[:4]) == frozen(masked_out[:4])
