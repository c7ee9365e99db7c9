"""The hindsight line against brute force, and against what any policy can do."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etfgym.backtest import backtest, hindsight_policy
from etfgym.hindsight import allowed_orders, best_orders
from etfgym.ledger import Costs, run_orders
from etfgym.policies import make_policy
from etfgym.sources.worlds import make_world
from etfgym.splits import Fold, split_by_fold

price = st.floats(5.0, 40.0).map(lambda value: round(value, 2))
costs = st.builds(
    Costs,
    commission=st.sampled_from([0.0, 0.001, 0.02]),
    fixed_fee=st.sampled_from([0.0, 1.0]),
    slippage_bps=st.sampled_from([0.0, 25.0]),
)


def final_cash(orders, market, cash, cost, *, clip, every=1):
    opens, closes, dividends = market
    daily = np.zeros(opens.size, np.int64)
    daily[::every] = orders
    return run_orders(daily, opens, closes, dividends, initial_cash=cash, costs=cost, clip=clip).equity[-1]


@st.composite
def markets(draw, most_days):
    days = draw(st.integers(1, most_days))
    opens, closes = (np.array(draw(st.lists(price, min_size=days, max_size=days))) for _ in range(2))
    dividends = np.array(draw(st.lists(st.sampled_from([0.0, 0.0, 0.5]), min_size=days, max_size=days)))
    return opens, closes, dividends


@given(markets(6), st.floats(20.0, 400.0), costs)
@settings(max_examples=60)
def test_under_reject_no_sequence_of_the_five_orders_ends_with_more(market, cash, cost):
    orders = (4, 2, 0, -2, -4)
    plan = best_orders(*market, initial_cash=cash, costs=cost, units=(4, 2), order_policy="reject")
    brute = max(final_cash(o, market, cash, cost, clip=False) for o in product(orders, repeat=market[0].size))
    assert final_cash(plan, market, cash, cost, clip=False) == pytest.approx(brute, abs=1e-9)


@given(markets(4), st.floats(20.0, 200.0), costs)
@settings(max_examples=40)
def test_under_clip_it_is_the_best_of_any_number_of_units_up_to_the_largest(market, cash, cost):
    orders = range(-3, 4)
    plan = best_orders(*market, initial_cash=cash, costs=cost, units=(3, 1), order_policy="clip")
    brute = max(final_cash(o, market, cash, cost, clip=False) for o in product(orders, repeat=market[0].size))
    assert final_cash(plan, market, cash, cost, clip=False) == pytest.approx(brute, abs=1e-9)


@given(markets(5), st.floats(20.0, 400.0), costs)
@settings(max_examples=40)
def test_under_clip_it_is_above_everything_the_clipped_five_orders_can_reach(market, cash, cost):
    orders = (4, 2, 0, -2, -4)
    plan = best_orders(*market, initial_cash=cash, costs=cost, units=(4, 2), order_policy="clip")
    brute = max(final_cash(o, market, cash, cost, clip=True) for o in product(orders, repeat=market[0].size))
    assert final_cash(plan, market, cash, cost, clip=False) >= brute - 1e-9


@given(markets(6), st.floats(20.0, 400.0), st.integers(2, 3))
@settings(max_examples=30)
def test_with_a_decision_every_few_days_it_orders_on_those_days_only(market, cash, every):
    orders, decisions = (4, 2, 0, -2, -4), -(-market[0].size // every)
    plan = best_orders(
        *market, initial_cash=cash, costs=Costs(), units=(4, 2), order_policy="reject", decision_every=every
    )
    ends = (final_cash(o, market, cash, Costs(), clip=False, every=every) for o in product(orders, repeat=decisions))
    assert plan.size == decisions
    assert final_cash(plan, market, cash, Costs(), clip=False, every=every) == pytest.approx(max(ends), abs=1e-9)


def test_a_market_that_only_falls_is_left_alone():
    fall = np.array([10.0, 9.0, 8.0])
    plan = best_orders(fall, fall, np.zeros(3), initial_cash=100.0, costs=Costs(), order_policy="reject")
    assert plan.tolist() == [0, 0, 0]


def test_a_dividend_alone_is_worth_holding_for():
    flat = np.full(2, 10.0)
    plan = best_orders(flat, flat, np.array([0.0, 1.0]), initial_cash=100.0, costs=Costs(commission=0.0))
    assert plan[0] == 10


def test_the_orders_of_clip_are_every_number_of_units_in_the_order_of_actions():
    assert allowed_orders((2, 1), "clip") == (2, 1, 0, -1, -2)
    assert allowed_orders((20, 10), "reject") == (20, 10, 0, -10, -20)
    assert len(allowed_orders((20, 10), "clip")) == 41


def test_units_too_many_to_list_are_refused_with_the_cure():
    with pytest.raises(ValueError, match=r"more than 200000; use smaller units"):
        best_orders(np.ones(9), np.ones(9), np.zeros(9), initial_cash=1e9, costs=Costs(), units=(10**8,))


@pytest.mark.parametrize("order_policy", ["clip", "reject"])
@pytest.mark.parametrize("decision_every", [1, 20])
def test_the_plan_is_carried_out_in_the_environment_and_no_policy_does_better(order_policy, decision_every):
    table = make_world("planted", 5)
    period = split_by_fold(table, Fold(2010)).test
    keywords = {"order_policy": order_policy, "decision_every": decision_every}
    best = backtest(hindsight_policy(table, period, **keywords), table, period, **keywords)
    for name in ("ramped-buy-and-hold", "random", "ma-cross"):
        assert backtest(make_policy(name, 1), table, period, **keywords).total_return < best.total_return
    assert best.total_return > 0.5 if decision_every == 1 else best.total_return > 0
