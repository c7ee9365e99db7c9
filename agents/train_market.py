"""Training one agent on the market, for a test year that it doesn't see."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from agents.market import environment, observation, training
from agents.registry import Agent, learner
from agents.train_folder import CHECKPOINT, claim, write_json
from etfgym import sources
from etfgym.backtest import backtest, backtest_together
from etfgym.checks import one_of, whole_number
from etfgym.ledger import Costs
from etfgym.policies import BuyAndHold, Policy
from etfgym.prices import PriceTable
from etfgym.sources.universes import universe
from etfgym.splits import Fold, split_by_fold

GAMES_ONLY = ("eval_freq", "save_freq", "tensorboard_log", "video")
"""Flags that are for games."""


def run(given: argparse.Namespace, changes: Mapping[str, Any]) -> None:
    """Train, and write the agent and how it did in the validation year into the log folder.

    Args:
        given: The command line.
        changes: Settings of the learner that it changes.

    Raises:
        ValueError: If the command line, the settings or the prices are wrong, or the folder holds another training.
    """
    for flag in GAMES_ONLY:
        if getattr(given, flag) is not None:
            msg = f"--{flag.replace('_', '-')} is for games: give --env, or leave it out"
            raise ValueError(msg)
    one_of("--device", given.device, ["cpu", *["cuda"] * torch.cuda.is_available()])
    made = learner(given.agent)
    made = replace(made, settings={**made.settings, **changes})
    steps = made.n_timesteps if given.n_timesteps is None else whole_number("--n-timesteps", given.n_timesteps, 1)
    tables = load(given.prices, given.universe)
    fold = Fold(given.test_year or last_year(tables), given.train_years)
    folder = given.log_folder or Path("runs") / "train" / f"{given.agent}-{fold.test_year}-{given.seed}"
    data = {table.ticker: table.sha256 for table in tables}
    claim(folder, {"agent": made.spec(), "steps": steps, "seed": given.seed, "fold": str(fold), "data": data})
    policy = _trained(made, tables, fold, given.seed, steps, given.device, folder / CHECKPOINT)
    made.module.save(policy, folder)
    print(f"{_judged(made, policy, tables, fold, given.seed, folder)}\nthe agent: {folder}")


def load(prices: str, names: str | None) -> list[PriceTable]:
    """Return the tables that a command line asks for; of yahoo, seed20 where it names none.

    Raises:
        ValueError: If there are none such.
    """
    return sources.load(prices, universe(names or "seed20") if names or prices == "yahoo" else None)


def last_year(tables: Sequence[PriceTable]) -> int:
    """Return the last year that every table has bars of."""
    return min(int(str(table.dates[-1])[:4]) for table in tables)


def _trained(
    made: Agent, tables: Sequence[PriceTable], fold: Fold, seed: int, steps: int, device: str, checkpoint: Path
) -> Policy:
    """Return the policy, with a bar that moves at each look at the validation year."""
    task = training(made, tables, fold, seed, steps, costs=Costs(), device=device, checkpoint=checkpoint)
    with tqdm(total=steps, unit=" transitions", unit_scale=True, desc=f"train for {fold.test_year}") as bar:

        def look(policy: Policy) -> float | None:
            bar.update(min(task.check_every, steps - bar.n))
            return task.validate(policy)

        policy: Policy = made.module.learn(made.settings, replace(task, validate=look))
        bar.update(steps - bar.n)
    return policy


def _judged(made: Agent, policy: Policy, tables: Sequence[PriceTable], fold: Fold, seed: int, folder: Path) -> str:
    """Write `validation.json`; return what it says in a sentence."""
    periods = [split_by_fold(table, fold).valid for table in tables]
    keywords = environment(Costs())
    own = backtest_together(policy, tables, periods, **keywords, **observation(made))
    held = [backtest(BuyAndHold(), table, period, **keywords) for table, period in zip(tables, periods, strict=True)]
    means = [sum(result.total_return for result in results) / len(results) for results in (own, held)]
    first, last = min(period.first for period in periods), max(period.last for period in periods)
    told = {"first": str(first), "last": str(last), "seed": seed, "mean_return": means[0], "buy_and_hold": means[1]}
    write_json(folder / "validation.json", told)
    return (
        f"validation {first} to {last}, on which choices are made: mean return {100 * means[0]:+.1f} %, buy-and-hold "
        f"{100 * means[1]:+.1f} %, {len(tables)} tickers, one training (seed {seed}). That is no result: "
        f"python -m backtests.run trades {fold.test_year}, with more seeds."
    )
