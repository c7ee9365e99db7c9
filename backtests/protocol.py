"""One experiment: fit on the past, choose on the validation year, trade the test year once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch

import etfgym  # noqa: F401 (registers the environments)
from agents.dqn import DQN
from agents.on_device import DeviceDQN
from agents.settings import DQNConfig
from etfgym.backtest import BacktestResult, backtest, hindsight_policy
from etfgym.ledger import Costs
from etfgym.policies import POLICIES, Policy, make_policy
from etfgym.prices import PriceTable
from etfgym.splits import split_by_year

AGENTS = ("dqn", *POLICIES, "hindsight")
"""Every agent that can be compared, by name."""

SEEDED = ("dqn", "random")
"""Those in which chance plays a part; the others have the one seed 0."""

COSTS = Costs()
INITIAL_CASH = 20_000.0
ENVIRONMENT: dict[str, Any] = {"initial_cash": INITIAL_CASH, "costs": COSTS}
"""What every agent trades in."""

DQN_OBSERVATION: dict[str, Any] = {"observe_account": True}
DQN_CONFIG = DQNConfig(gamma=0.95, reward_scale=100.0)
"""Rewards in percent of the initial cash; a horizon of about twenty days."""
TRAINING_ENVS = 16
CHECKS = 10
"""How often in a training the validation year is traded, to keep the best weights."""


def trade_test_year(
    agent: str, tables: Sequence[PriceTable], test_year: int, seed: int, steps: int, device: str = "cpu"
) -> list[BacktestResult]:
    """Return what `agent` did in the test year, one result a table.

    Args:
        agent: One of `AGENTS`.
        tables: What it trades; "dqn" learns on all of them together.
        test_year: Its year before is for validation, the years before that are for training.
        seed: Of training and of chance in the policy.
        steps: Transitions to train on.
        device: Where to train, "cpu" or "cuda".
    """
    periods = [split_by_year(table, test_year).test for table in tables]
    keywords = ENVIRONMENT
    if agent == "dqn":
        policies: list[Policy] = [train_dqn(tables, test_year, seed, steps, device)] * len(tables)
        keywords = ENVIRONMENT | DQN_OBSERVATION
    elif agent == "hindsight":
        policies = [
            hindsight_policy(table, period, **ENVIRONMENT) for table, period in zip(tables, periods, strict=True)
        ]
    else:
        policies = [make_policy(agent, seed) for _ in tables]
    return [
        backtest(policy, table, period, **keywords)
        for policy, table, period in zip(policies, tables, periods, strict=True)
    ]


def train_dqn(
    tables: Sequence[PriceTable],
    test_year: int,
    seed: int,
    steps: int,
    device: str = "cpu",
    *,
    config: DQNConfig = DQN_CONFIG,
    prepare: Callable[[DQN], object] | None = None,
) -> DQN:
    """Return a DQN trained on the years before the validation year, with the weights that did best in that year.

    The training environment is made from tables that end with the last training day. `prepare` is called with the
    agent before it learns.
    """
    torch.set_num_threads(1)  # the same sums in the same order whatever the machine; jobs run beside each other
    splits = [split_by_year(table, test_year) for table in tables]
    past = [table.until(split.train.last) for table, split in zip(tables, splits, strict=True)]
    envs = gym.make_vec("etfgym/EtfTrading-v0", num_envs=TRAINING_ENVS, prices=past, **ENVIRONMENT, **DQN_OBSERVATION)
    learner = DQN if device == "cpu" else DeviceDQN
    agent = learner(envs.single_observation_space, 5, config, seed, device)
    if prepare is not None:
        prepare(agent)

    def validate(_: int) -> float:
        results = [
            backtest(agent, table, split.valid, **ENVIRONMENT, **DQN_OBSERVATION)
            for table, split in zip(tables, splits, strict=True)
        ]
        return float(np.mean([result.total_return for result in results]))

    agent.learn(envs, steps, seed=seed, validate=validate, check_every=max(1, steps // CHECKS))
    return agent
