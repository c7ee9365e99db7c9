"""Two independent backtesting engines, fed with an episode's fills, arrive at the same equity to the cent.

The tables are worlds, which pay no dividends: neither engine knows of them.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from etfgym.envs.etf import EtfTradingEnv
from etfgym.ledger import Costs
from etfgym.prices import COLUMNS, PriceTable
from etfgym.sources.worlds import WORLDS, make_world

CENT = 0.005
START = 30
EPISODES = [(world, seed) for world in WORLDS for seed in range(3)]


@dataclass(frozen=True)
class Episode:
    """A year of random actions: units filled and equity day by day, shapes (252,) and (253,)."""

    table: PriceTable
    filled: np.ndarray
    equity: np.ndarray
    units_sold_at_the_close: int


def random_year(world: str, seed: int, costs: Costs) -> Episode:
    table = make_world(world, seed, bars=400)
    env = EtfTradingEnv(prices=table, costs=costs, start=table.dates[START])
    _, info = env.reset()
    actions = np.random.default_rng(seed).choice(5, 252, p=[0.25, 0.2, 0.2, 0.2, 0.15])
    infos = [info, *(env.step(action)[4] for action in actions)]
    filled = np.array([info["filled"] for info in infos[1:]])
    assert np.count_nonzero(filled) > 100
    return Episode(table, filled, np.array([info["equity"] for info in infos]), int(filled.sum()))


def imported(name: str) -> ModuleType:
    """Return the module, or skip; what it has to say about itself while it loads is not this project's business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name)


@pytest.fixture(scope="session")
def vectorbt() -> ModuleType:
    return imported("vectorbt")


@pytest.fixture(scope="session")
def backtesting() -> ModuleType:
    return imported("backtesting")


@pytest.mark.parametrize("costs", [Costs(), Costs(commission=0), Costs(commission=0.002, fixed_fee=3, slippage_bps=25)])
def test_vectorbt_has_the_same_equity_to_the_cent(costs, vectorbt):
    episodes = [random_year(world, seed, costs) for world, seed in EPISODES]
    days = slice(START + 1, START + 253)
    # One bar more, for the closing sale at the last close.
    size = np.stack([np.append(one.filled, -one.units_sold_at_the_close) for one in episodes], axis=1)
    price = np.stack([np.append(one.table.open[days], one.table.close[days][-1]) for one in episodes], axis=1)
    close = np.stack([np.append(one.table.close[days], one.table.close[days][-1]) for one in episodes], axis=1)
    portfolio = vectorbt.Portfolio.from_orders(
        close=pd.DataFrame(close),
        size=pd.DataFrame(size.astype(np.float64)),
        price=pd.DataFrame(price),
        fees=costs.commission,
        fixed_fees=costs.fixed_fee,
        slippage=costs.slippage_bps / 1e4,
        init_cash=20_000.0,
        freq="1D",
    )
    theirs = portfolio.value().to_numpy()  # (253, episodes)
    for column, one in enumerate(episodes):
        np.testing.assert_allclose(theirs[:251, column], one.equity[1:-1], rtol=0, atol=CENT)
        assert theirs[-1, column] == pytest.approx(one.equity[-1], abs=CENT)
        assert portfolio.assets().iloc[-1, column] == 0


@pytest.mark.parametrize("costs", [Costs(), Costs(commission=0)])
@pytest.mark.parametrize(("world", "seed"), EPISODES[::2])
def test_backtesting_py_has_the_same_equity_to_the_cent(world, seed, costs, backtesting):
    episode = random_year(world, seed, costs)
    orders = dict(zip(range(1, 253), episode.filled.tolist(), strict=True)) | {253: -episode.units_sold_at_the_close}

    class Replay(backtesting.Strategy):
        def init(self) -> None:
            pass

        def next(self) -> None:
            order = orders.get(len(self.data) - 1, 0)  # decided on this bar, filled at the open of the next
            if order > 0:
                self.buy(size=order)
            elif order < 0:
                self.sell(size=-order)

    # One bar more in front, because the engine asks for no order on its first, and one behind, whose open is the last
    # close, for the closing sale.
    bars = episode.table.bars[START - 1 : START + 254].copy()
    bars[-1] = bars[-2, 3]
    index = pd.DatetimeIndex(episode.table.dates[START - 1 : START + 254].astype("datetime64[s]"))
    data = pd.DataFrame(bars, columns=list(COLUMNS), index=index)
    assert len(data) == 255
    run: Any = backtesting.Backtest(data, Replay, cash=20_000, commission=costs.commission, trade_on_close=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message=".*Broker canceled")  # an order not filled: only a warning to it
        stats = run.run()
    theirs = stats["_equity_curve"]["Equity"].to_numpy()
    assert len(stats["_trades"]) > 50
    np.testing.assert_allclose(theirs[1:253], episode.equity[:-1], rtol=0, atol=CENT)
    assert theirs[-1] == pytest.approx(episode.equity[-1], abs=CENT)
