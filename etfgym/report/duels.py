"""Two agents against each other, of one result folder or of two, on the cells that both traded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from etfgym import stats
from etfgym.report.results import NO_RANDOMNESS, Results
from etfgym.report.scores import agent_scores, new_rng, shared_luck, year_clusters
from etfgym.stats import Interval

SAME = 1e-9
"""Two returns of buy-and-hold that differ by more are of different prices, days or costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """One agent against another; returns and their difference are fractions, means over cells of means over seeds."""

    agent: str
    other: str
    cells: int
    seeds: int
    """Those that both have in every cell; of agents without randomness any number."""
    first: date
    last: date
    mean: float
    other_mean: float
    hold_mean: float
    interval: Interval
    """Of the difference of the means, for other cells and seeds of the kind."""
    left_out: int
    """Cells that both traded, but not beside the same buy-and-hold."""
    improvement: float
    """Probability that a run of `agent` ends above one of `other` in the same cell, ties half."""
    improvement_interval: Interval


def duel(results: Results, agent: str, others: Results, other: str) -> Duel | None:
    """Compare two agents where buy-and-hold earned the same beside both; None if that is nowhere.

    Runs are paired by seed. Where two agents' luck is independent, any pairing gives the difference its true spread;
    where a seed is the same luck to both, this one does.

    Args:
        results: With `agent`.
        agent: Its name.
        others: With `other`; may be the same.
        other: Its name.
    """
    own, hold, _ = agent_scores(results, agent)
    its, its_hold, _ = agent_scores(others, other)
    both = cells = own.index.intersection(its.index)
    cells = cells[np.abs(hold[cells].to_numpy() - its_hold[cells].to_numpy()) <= SAME]
    if cells.empty:
        return None
    own, its = own.loc[cells], its.loc[cells]
    if fixed := NO_RANDOMNESS & {agent, other}:
        own, its = _spread(own, its, agent in fixed), _spread(its, own, other in fixed)
    gaps = (own - its).dropna(axis=1)
    if gaps.empty:
        return None
    groups = shared_luck(results, agent, cells)
    groups = shared_luck(others, other, cells) if groups is None else groups
    matrices = own[gaps.columns].to_numpy(np.float64), its[gaps.columns].to_numpy(np.float64)
    traded = results.cells[agent].loc[cells]
    return Duel(
        agent=agent,
        other=other,
        cells=len(cells),
        seeds=gaps.shape[1],
        first=traded["test_start"].min().date(),
        last=traded["test_end"].max().date(),
        mean=float(matrices[0].mean()),
        other_mean=float(matrices[1].mean()),
        hold_mean=float(hold[cells].mean()),
        interval=stats.paired_difference_interval(
            gaps.to_numpy(np.float64),
            np.zeros(len(cells)),
            new_rng(),
            groups,
            clusters=year_clusters(cells),
            deterministic={agent, other} <= NO_RANDOMNESS,
        ),
        left_out=len(both) - len(cells),
        improvement=stats.probability_of_improvement(*matrices),
        improvement_interval=stats.probability_of_improvement_interval(*matrices, new_rng(), groups),
    )


def _spread(scores: pd.DataFrame, others: pd.DataFrame, fixed: bool) -> pd.DataFrame:
    """Return what an agent without randomness would have earned with each seed of the other."""
    if not fixed:
        return scores
    once = scores.mean(axis=1).to_numpy()
    return pd.DataFrame(dict.fromkeys(others.columns, once), index=scores.index)
