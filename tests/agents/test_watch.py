"""Watching an agent changes nothing, and what is told is what it knew."""

import numpy as np
import pytest
import torch

from agents.dqn import DQN
from agents.network import Shape
from agents.settings import DQNConfig
from agents.watch import watch
from etfgym.backtest import backtest
from etfgym.envs.etf_vector import EtfTradingVectorEnv
from etfgym.sources import load
from etfgym.splits import Fold, split_by_fold

TABLE = load("builtin", "SP500")[0]
PERIOD = split_by_fold(TABLE, Fold(2018)).test


@pytest.fixture(scope="module")
def agent():
    made = DQN(Shape(window=(20, 6), rest=3), 5, DQNConfig(torso={"net": "dnn", "hidden": [8]}, features=8, head=()))
    with torch.no_grad():
        made.online.flat.normal_(generator=torch.Generator().manual_seed(1))
    seen, _ = EtfTradingVectorEnv(64, prices=TABLE, observe_account=True).reset(seed=0)
    made.online.fit_scaler(made._rows(seen))  # without it, every window looks the same
    return made


def test_a_watched_agent_trades_as_in_a_backtest(agent):
    days, account = (
        watch(agent, TABLE, PERIOD, observe_account=True),
        backtest(agent, TABLE, PERIOD, observe_account=True),
    )
    assert days["equity"].to_numpy() == pytest.approx(account.curves.equity[1:])
    assert days["filled"].tolist() == account.curves.filled[1:].tolist()
    assert days.index[0] == PERIOD.eve
    assert days["action"].nunique() > 1


def test_it_does_what_it_expects_most_of_where_it_can(agent):
    days = watch(agent, TABLE, PERIOD, observe_account=True)
    names = ["buy 20", "buy 10", "hold", "sell 10", "sell 20"]
    in_between = days[days["invested"].between(0.4, 0.6)]  # it can do anything
    assert len(in_between)
    assert in_between["action"].tolist() == in_between[names].astype(float).idxmax(axis=1).tolist()
    assert np.isfinite(days[names].to_numpy()).all()
