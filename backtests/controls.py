"""Two standing controls: what the learners must find on a market with a planted signal, and must not on a shuffled one.

A protocol that let the future leak would beat buy-and-hold on shuffled days, where nothing tells of the next one; one
that can't learn would miss the signal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from agents.registry import Agent
from backtests.backends import Backend
from backtests.jobs import Finished, Job, list_jobs, run_jobs
from etfgym.ledger import Costs
from etfgym.prices import PriceTable
from etfgym.report.results import HOLD
from etfgym.sources.worlds import make_world, shuffled
from etfgym.splits import Fold
from etfgym.stats import paired_difference_interval

WORLDS = 6
"""Tables of each control: the fewest that an interval over them may claim something with."""
PLANTED_YEAR = 2010
SEEDS = 2


def controls(
    learners: Mapping[str, Agent],
    tables: Sequence[PriceTable],
    fold: Fold,
    folder: Path,
    backend: Backend,
    *,
    steps: int | None,
    pooled: bool,
    costs: Costs,
) -> list[dict[str, Any]]:
    """Return what the learners made of both controls, for the manifest; see `docs/results.md`.

    Args:
        learners: By name.
        tables: Whose days are shuffled.
        fold: Of the shuffled days; the planted world has one of its own.
        folder: Of finished jobs.
        backend: Where they run.
        steps: Transitions of a training; None: each learner's own.
        pooled: One training on all tables, instead of one a table.
        costs: What trades cost.
    """
    found = []
    for world, made, jobs in control_jobs(learners, tables, fold, steps=steps, pooled=pooled, costs=costs):
        finished = run_jobs(jobs, made, folder, backend, desc=f"{world} control")
        results = {name: judge(finished, name, world, pooled=pooled) for name in learners}
        found.append({"world": world, "results": {name: result for name, result in results.items() if result}})
    return found


def control_jobs(
    learners: Mapping[str, Agent],
    tables: Sequence[PriceTable],
    fold: Fold,
    *,
    steps: int | None,
    pooled: bool,
    costs: Costs,
) -> list[tuple[str, list[PriceTable], list[Job]]]:
    """Return the name, the tables and the jobs of each control; see `controls` for the arguments."""
    planted = [make_world("planted", seed) for seed in range(WORLDS)]
    mixed = [shuffled(tables[number % len(tables)], number) for number in range(WORLDS)]
    agents: dict[str, Agent | None] = {**learners, HOLD: None}
    return [
        (world, made, list_jobs(agents, made, [year], seeds=SEEDS, steps=steps, pooled=pooled, costs=costs))
        for world, made, year in (("planted", planted, Fold(PLANTED_YEAR)), ("shuffled", mixed, fold))
    ]


def judge(finished: Finished, agent: str, world: str, *, pooled: bool) -> dict[str, Any] | None:
    """Return an agent's mean return beside buy-and-hold's, the interval of the difference, and whether it passed.

    None if a job failed. It passes on the planted world if the interval lies above zero, and on the shuffled one if it
    doesn't.
    """
    runs = finished.results
    own, held = runs[runs["agent"] == agent], runs[runs["agent"] == HOLD]
    if own["ticker"].nunique() < WORLDS or held["ticker"].nunique() < WORLDS:
        return None
    scores = own.pivot(index="ticker", columns="seed", values="total_return")
    hold = held.set_index("ticker")["total_return"][scores.index]
    groups = np.zeros(len(scores)) if pooled else None
    interval = paired_difference_interval(
        scores.to_numpy(np.float64), hold.to_numpy(np.float64), np.random.default_rng(0), groups
    )
    beats = interval.low > 0
    return {
        "mean": float(scores.to_numpy().mean()),
        "hold": float(hold.mean()),
        "difference": float((scores.mean(axis=1) - hold).mean()),
        "interval": list(interval),
        "seeds": scores.shape[1],
        "cells": len(scores),
        "first": str(pd.Timestamp(own["test_start"].min()).date()),
        "last": str(pd.Timestamp(own["test_end"].max()).date()),
        "passed": bool(beats if world == "planted" else not beats),
    }
