"""Training an agent on the market: fit on the training years of a fold, choose on its validation year."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.registry import Agent
from agents.training import Training
from etfgym.backtest import backtest_together
from etfgym.ledger import Costs
from etfgym.policies import Policy
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

    def validate(policy: Policy) -> float | None:
        if learner.keep == "last":
            return None
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
