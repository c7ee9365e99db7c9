"""One experiment: fit on the past, choose on the validation year, trade the test year once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.registry import Agent
from agents.training import Training
from etfgym.backtest import BacktestResult, backtest, backtest_together, hindsight_policy
from etfgym.ledger import Costs
from etfgym.policies import Policy, make_policy
from etfgym.prices import PriceTable
from etfgym.splits import Fold, Split, split_by_fold

INITIAL_CASH = 20_000.0
CHECKS = 10
"""How often in a training the validation year is traded, to keep the best weights."""
CHECKPOINT_EVERY = 20_000
"""Transitions from one checkpoint of a training to the next; they are part of the training, as episodes start anew."""


def environment(costs: Costs) -> dict[str, Any]:
    """Return the keywords of the environment that every agent trades in."""
    return {"initial_cash": INITIAL_CASH, "costs": costs}


def trade_test_year(
    agent: str,
    learner: Agent | None,
    tables: Sequence[PriceTable],
    fold: Fold,
    seed: int,
    steps: int,
    *,
    costs: Costs,
    device: str = "cpu",
    checkpoint: Path | None = None,
    keep: Path | None = None,
) -> list[BacktestResult]:
    """Return what an agent did in the test year, one result a table.

    Args:
        agent: Its name.
        learner: What learns, on all tables together; None: the fixed policy of that name.
        tables: What it trades.
        fold: Which years teach, choose and judge.
        seed: Of training and of chance in the policy.
        steps: Transitions to train on.
        costs: What trades cost, in training too.
        device: Where to train, "cpu" or "cuda".
        checkpoint: File from which a killed training goes on.
        keep: Folder for what was learned; None: it is forgotten.
    """
    keywords = environment(costs)
    periods = [split_by_fold(table, fold).test for table in tables]
    if learner is not None:
        policy = train(learner, tables, fold, seed, steps, costs=costs, device=device, checkpoint=checkpoint)
        if keep is not None:
            learner.module.save(policy, keep)
        return backtest_together(policy, tables, periods, **keywords, **observation(learner))
    pairs = list(zip(tables, periods, strict=True))
    if agent == "hindsight":
        policies: list[Policy] = [hindsight_policy(*pair, **keywords) for pair in pairs]
    else:
        policies = [make_policy(agent, seed) for _ in tables]
    return [backtest(policy, *pair, **keywords) for policy, pair in zip(policies, pairs, strict=True)]


def train(
    learner: Agent,
    tables: Sequence[PriceTable],
    fold: Fold,
    seed: int,
    steps: int,
    *,
    costs: Costs,
    device: str = "cpu",
    checkpoint: Path | None = None,
) -> Policy:
    """Return the policy learnt on the fold's training years."""
    task = training(learner, tables, fold, seed, steps, costs=costs, device=device, checkpoint=checkpoint)
    policy: Policy = learner.module.learn(learner.settings, task)
    return policy


def training(
    learner: Agent,
    tables: Sequence[PriceTable],
    fold: Fold,
    seed: int,
    steps: int,
    *,
    costs: Costs,
    device: str = "cpu",
    checkpoint: Path | None = None,
) -> Training:
    """Return what a learner is given: tables that end with the last training day, and the validation year's return."""
    torch.set_num_threads(1)  # the same sums in the same order whatever the machine; jobs run beside each other
    splits = [split_by_fold(table, fold) for table in tables]
    seen, valid = observation(learner), [split.valid for split in splits]

    checks = itertools.count()

    def validate(policy: Policy) -> float:
        if learner.keep == "last":
            return float(next(checks))  # the later, the better
        results = backtest_together(policy, tables, valid, **environment(costs), **seen)
        return float(np.mean([result.total_return for result in results]))

    return Training(
        tables=[table.until(split.train.last) for table, split in zip(tables, splits, strict=True)],
        environment=environment(costs) | dict(learner.environment) | {"start": _starts(splits, fold)},
        num_envs=learner.num_envs,
        steps=steps,
        seed=seed,
        validate=validate,
        check_every=max(1, steps // CHECKS),
        checkpoint_every=CHECKPOINT_EVERY,
        checkpoint=checkpoint,
        device=device,
    )


def observation(learner: Agent) -> dict[str, Any]:
    """Return those keywords of a learner's environment that it needs to trade: all but the reward."""
    return {name: value for name, value in learner.environment.items() if name != "reward"}


def _starts(splits: Sequence[Split], fold: Fold) -> tuple[np.datetime64, np.datetime64] | None:
    """Return between which days a training's episodes may start: anywhere, or in the rolling window."""
    if fold.train_years is None and not fold.in_sample:
        return None
    return min(split.train.eve for split in splits), max(split.train.last for split in splits)
