"""The scalar functions of the kernel: anyone who calls them gets what the environment gave, float for float."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etfgym.envs import kernel
from etfgym.envs.etf_vector import EtfTradingVectorEnv
from etfgym.envs.settings import REWARDS
from etfgym.ledger import ALL, Costs, run_orders
from etfgym.prices import ADJ_CLOSE, PriceTable
from etfgym.sources.worlds import make_world

LENGTH, START = 20, 10


def table(seed: int, ticker: str = "TOY") -> PriceTable:
    """Return a small world that pays 1 % on every tenth day."""
    world = make_world("random-walk", seed, bars=80, min_bars=1)
    bars = world.bars.copy()
    bars[:, ADJ_CLOSE] *= 0.99 ** ((79 - np.arange(80)) // 10)
    return PriceTable(ticker, world.dates, bars, source="by hand", min_bars=1)


@numba.njit(error_model="numpy")
def outcomes(cash, units, row, first, last, orders, prices, paid_so_far, terms, kind, initial_cash):
    """Return cash, units, row, equity, reward of every order from every state, (n, actions, 5), as a learner does."""
    opens, closes, dividends = prices
    rates, clip, every = terms
    out = np.empty((row.size, orders.size, 5))
    for i in range(row.size):
        for a in range(orders.size):
            new = kernel.take_step(
                cash[i], units[i], row[i], last[i], orders[a], opens, closes, dividends, rates, clip, every
            )
            gain = 0.0
            if kind == kernel.EXCESS:
                hold = opens, closes, paid_so_far, rates, initial_cash
                gain = kernel.hold_equity(new[2], first[i], last[i], *hold)
                gain -= kernel.hold_equity(row[i], first[i], last[i], *hold)
            before = cash[i] + units[i] * closes[row[i]]
            reward = kernel.step_reward(kind, before, new[6], gain, initial_cash)
            out[i, a] = np.array((new[0], new[1], new[2], new[6], reward))
    return out


@pytest.mark.parametrize("reward", REWARDS)
@settings(max_examples=6)
@given(
    seed=st.integers(0, 2**32),
    decision_every=st.sampled_from([1, 3]),
    order_policy=st.sampled_from(["clip", "reject"]),
    costs=st.sampled_from([Costs(), Costs(fixed_fee=9, slippage_bps=50)]),
)
def test_from_what_is_stored_of_an_account_every_actions_outcome_follows_to_the_bit(
    reward, seed, decision_every, order_policy, costs
):
    keywords: dict[str, Any] = {"reward": reward, "decision_every": decision_every, "order_policy": order_policy}
    prices = (table(seed), table(seed + 1, "OTHER"))
    envs = EtfTradingVectorEnv(6, prices=prices, length=LENGTH, costs=costs, **keywords)
    accounts, market = envs.accounts, envs.accounts.market
    rng = np.random.default_rng(seed)
    envs.reset(seed=1)
    over = np.zeros(6, np.bool_)
    for _ in range(2 * LENGTH):
        stored = {key: accounts.state[key].copy() for key in ("cash", "units", "row", "first", "last")}
        actions = rng.integers(0, 5, 6)
        _, rewards, terminated, _, _ = envs.step(actions)
        if not over.any():
            columns = market.open, market.close, market.dividend
            terms = accounts.rates, accounts.clip, decision_every
            every = outcomes(
                *stored.values(), accounts.orders, columns, market.paid_so_far, terms, accounts.reward, 20_000.0
            )
            mine = every[np.arange(6), actions]
            for number, key in enumerate(("cash", "units", "row", "equity")):
                assert mine[:, number].tolist() == accounts.state[key].tolist(), key
            assert mine[:, 4].tolist() == rewards.tolist()
        over = terminated


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32),
    length=st.integers(1, LENGTH),
    costs=st.sampled_from([Costs(), Costs(commission=0), Costs(fixed_fee=9, slippage_bps=50)]),
    cash=st.sampled_from([20_000.0, 5.0]),
)
def test_buy_and_hold_in_closed_form_is_what_the_ledger_says_day_by_day(seed, length, costs, cash):
    market = EtfTradingVectorEnv(1, prices=(table(0, "BEFORE"), table(seed)), length=length).accounts.market
    first, last = 80 + START, 80 + START + length  # on the second table
    traded = slice(first + 1, last + 1)
    days = market.open[traded].copy(), market.close[traded].copy(), market.dividend[traded].copy()
    orders = np.append(ALL, np.zeros(length - 1, np.int64))
    wanted = run_orders(orders, *days, initial_cash=cash, costs=costs).equity
    given_market = market.open, market.close, market.paid_so_far, costs.rates, cash
    held = [kernel.hold_equity(row, first, last, *given_market) for row in range(first, last + 1)]
    assert held == pytest.approx(wanted.tolist(), rel=1e-12)
    assert held[0] == cash


def test_the_shares_of_an_empty_account_are_zero():
    out = np.ones(3, np.float32)
    kernel.write_share(0.0, 0, 3, 1, 5, np.full(6, 10.0), out)
    assert out.tolist() == [0.0, 0.0, 0.5]
