"""What the experiment may learn and what it must not claim, out of sample."""

from types import SimpleNamespace

import numpy as np
import pytest

from agents import market
from agents.market import train
from agents.registry import FIXED, find, learner
from backtests.protocol import trade_test_year
from etfgym.ledger import Costs
from etfgym.prices import PRICE_COLUMNS, PriceTable
from etfgym.sources import load
from etfgym.sources.worlds import make_world
from etfgym.splits import Fold
from etfgym.stats import paired_difference_interval

YEAR = 2010


def returns(agent, tables, seed=0, steps=0):
    results = trade_test_year(agent, find(agent), tables, Fold(YEAR), seed, steps, costs=Costs())
    return [result.total_return for result in results]


def test_the_planted_signal_is_found_and_beats_buy_and_hold_out_of_sample_with_every_one_of_5_seeds():
    for seed in range(5):
        world = [make_world("planted", seed)]
        learned, held = returns("dqn", world, seed, steps=5_000), returns("buy-and-hold", world)
        assert learned[0] > held[0] + 0.2, f"seed {seed}"


def test_on_random_walks_without_drift_nothing_is_claimed():
    worlds = [make_world("random-walk", seed) for seed in range(5)]
    learned = np.array([[returns("dqn", [world], seed, steps=2_000)[0] for seed in range(2)] for world in worlds])
    held = np.array(returns("buy-and-hold", worlds))
    interval = paired_difference_interval(learned, held, np.random.default_rng(0))
    assert interval.low < 0


def test_nothing_after_the_last_training_day_reaches_the_training_but_through_the_validation_year():
    table = load("builtin", "NASDAQ")[0]
    bars = table.bars.copy()
    later = table.dates >= np.datetime64("2017-01-01")  # the test year and after; 2016 is for validation
    path = np.exp(np.random.default_rng(1).normal(-0.005, 0.03, later.sum()).cumsum())
    bars[np.ix_(later, PRICE_COLUMNS)] *= path[:, None]
    changed = PriceTable(table.ticker, table.dates, bars, table.source)
    agents = [train(learner("dqn"), [prices], Fold(2017), 0, 1_200, costs=Costs()) for prices in (table, changed)]
    for before, after in zip(*(agent.online.state_dict().values() for agent in agents), strict=True):
        assert np.array_equal(before, after)


def test_the_weights_kept_are_those_of_the_best_validation_year(monkeypatch):
    scores = [0.1, 0.2, 0.9, 0.3, -0.5, 0.9, 0.8, 0.0, 0.1, 0.2]  # the first of the best is kept
    seen = []

    def scored(policy, *_, **__):
        seen.append([weights.clone() for weights in policy.online.state_dict().values()])
        return [SimpleNamespace(total_return=scores[len(seen) - 1])]

    monkeypatch.setattr(market, "backtest_together", scored)
    agent = train(learner("dqn"), [make_world("planted", 1)], Fold(YEAR), 0, 1_500, costs=Costs())
    assert len(seen) == market.CHECKS
    for kept, weights in zip(agent.online.state_dict().values(), seen[2], strict=True):
        assert np.array_equal(kept, weights)
    assert not all(np.array_equal(*pair) for pair in zip(seen[2], seen[-1], strict=True))


@pytest.mark.parametrize("agent", ["dqn", *FIXED])
def test_every_agent_trades_every_table_in_its_test_year(agent):
    tables = load("builtin")
    results = trade_test_year(agent, find(agent), tables, Fold(2017), 1, 1_100, costs=Costs())
    assert [result.ticker for result in results] == ["SP500", "NASDAQ"]
    for result in results:
        assert str(result.dates[1]) == "2017-01-03"
        assert str(result.dates[-1]) == "2017-12-29"
        assert result.curves.units[-1] == 0
        assert np.allclose(result.curves.equity[-1], result.curves.cash[-1])
