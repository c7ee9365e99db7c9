"""A backtest is the environment's own account, day by day; its figures are those of the curve."""

import numpy as np
import pytest

from etfgym.backtest import backtest, backtest_together
from etfgym.envs.etf import EtfTradingEnv
from etfgym.ledger import ALL, Costs
from etfgym.policies import BuyAndHold, Random, Replay, make_policy
from etfgym.prices import CLOSE, PriceTable
from etfgym.sources import load
from etfgym.sources.worlds import make_world
from etfgym.splits import Fold, split_by_fold

COSTS = Costs(commission=0.002, fixed_fee=1.0, slippage_bps=10)


@pytest.fixture(scope="module")
def table():
    return load("builtin", "SP500")[0]


@pytest.mark.parametrize("decision_every", [1, 20])
@pytest.mark.parametrize("order_policy", ["clip", "reject"])
def test_the_daily_account_equals_the_environments_to_the_bit(table, decision_every, order_policy):
    period = split_by_fold(table, Fold(2016)).test
    keywords = {"decision_every": decision_every, "order_policy": order_policy, "costs": COSTS}
    result = backtest(Random(3), table, period, **keywords)
    env = EtfTradingEnv(prices=table, start=period.eve, length=period.days, **keywords)
    observation, info = env.reset()
    policy, days, over = Random(3), {str(period.eve): info}, False
    while not over:
        observation, _, over, _, info = env.step(int(policy.predict(observation)[0]))
        days[str(info["date"])] = info
    for day, seen in days.items():
        row = int(np.flatnonzero(result.dates == np.datetime64(day))[0])
        assert result.curves.equity[row] == seen["equity"]
        assert result.curves.cash[row] == seen["cash"]
        assert result.curves.units[row] == seen["units"]
    assert result.dates[0] == period.eve
    assert result.dates[-1] == period.last == np.datetime64(day)


def test_buy_and_hold_of_2018_is_what_pencil_and_paper_say(table):
    period = split_by_fold(table, Fold(2018)).test
    result = backtest(BuyAndHold(), table, period, costs=Costs(commission=0.001))
    first = int(np.flatnonzero(table.dates == np.datetime64("2018-01-02"))[0])
    last = int(np.flatnonzero(table.dates == np.datetime64("2018-12-31"))[0])
    bought, sold = table.open[first], table.close[last]
    units = 20_000 // (bought * 1.001)
    cash = 20_000 - units * bought * 1.001 + units * sold * 0.999
    assert result.total_return == pytest.approx(cash / 20_000 - 1, abs=1e-12)
    assert result.trades == 2
    assert result.turnover == pytest.approx(units * (bought + sold) / 20_000)
    assert result.cost == pytest.approx(0.001 * units * (bought + sold))


def test_the_cost_is_what_a_free_market_would_have_left_for_the_same_fills(table):
    period = split_by_fold(table, Fold(2016)).test
    actions = [0, 2, 2, 4] + [2] * (period.days - 5) + [1]  # buy 20, sell 20, and buy 10 on the last day
    kwargs = {"units": (20, 10)}
    dear = backtest(Replay(actions, kwargs), table, period, costs=COSTS)
    free = backtest(Replay(actions, kwargs), table, period, costs=Costs(commission=0.0))
    assert np.array_equal(dear.curves.filled, free.curves.filled)
    assert dear.cost == pytest.approx(free.curves.equity[-1] - dear.curves.equity[-1], abs=0.02)  # a fee of a fee
    assert dear.trades == 4
    assert free.cost == 0


def test_what_a_policy_asks_of_its_environment_comes_before_what_the_caller_asks(table):
    period = split_by_fold(table, Fold(2016)).test
    result = backtest(BuyAndHold(), table, period, units=(1,))
    assert result.curves.filled[1] > 20


def test_no_row_after_the_period_changes_a_backtest():
    table = make_world("random-walk", 4)
    period = split_by_fold(table, Fold(2010)).test
    later = table.dates > period.last
    bars = table.bars.copy()
    bars[later] *= 3.0
    changed = PriceTable(table.ticker, table.dates, bars, table.source)
    for name in ("buy-and-hold", "ma-cross", "random"):
        before, after = (backtest(make_policy(name, 1), prices, period) for prices in (table, changed))
        assert np.array_equal(before.curves.equity, after.curves.equity)


def test_an_account_that_never_trades_has_no_sharpe_ratio(table):
    result = backtest(Replay([1] * 251, {"units": (ALL,)}), table, split_by_fold(table, Fold(2018)).test)
    assert np.isnan(result.sharpe)
    assert (result.total_return, result.max_drawdown, result.turnover, result.cost, result.trades) == (0, 0, 0, 0, 0)


class Wavers:
    """Acts by the last day's return, so that every account goes its own way."""

    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        window = np.asarray(observation["window"])
        rise = window[..., -1, CLOSE] - window[..., -2, CLOSE]
        return np.where(rise > 0, 0, 4), None


@pytest.mark.parametrize("decision_every", [1, 7])
def test_tables_side_by_side_give_what_each_gives_alone_even_with_other_days(decision_every):
    tables = [*load("builtin"), make_world("planted", 1), make_world("sine", 2)]  # weekdays, not trading days
    periods = [split_by_fold(table, Fold(2012)).test for table in tables]
    assert len({period.days for period in periods}) == 2
    keywords = {"observe_account": True, "decision_every": decision_every}
    together = backtest_together(Wavers(), tables, periods, **keywords)
    for table, period, result in zip(tables, periods, together, strict=True):
        alone = backtest(Wavers(), table, period, **keywords)
        assert np.array_equal(alone.curves.equity, result.curves.equity)
        assert result.ticker == table.ticker
        assert result.trades > 10


def test_a_policy_that_asks_for_action_masks_gets_those_of_the_day(table):
    seen = []

    class BuysTwenty:
        def predict(self, observation, state=None, episode_start=None, deterministic=True, action_masks=None):
            seen.append(action_masks.tolist())
            return np.int64(0), state

    backtest(BuysTwenty(), table, split_by_fold(table, Fold(2018)).test)
    assert seen[0] == [1, 1, 1, 0, 0]  # nothing to sell on the first day
    assert seen[-1] == [0, 0, 1, 1, 1]  # no cash on the last
