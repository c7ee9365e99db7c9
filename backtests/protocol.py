"""One experiment: fit on the past, choose on the validation year, trade the test year once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agents.market import environment, observation, train
from agents.registry import Agent
from etfgym.backtest import BacktestResult, backtest, backtest_together, hindsight_policy
from etfgym.ledger import Costs
from etfgym.policies import Policy, make_policy
from etfgym.prices import PriceTable
from etfgym.splits import Fold, split_by_fold


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
