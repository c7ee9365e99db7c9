"""From a result folder to tables and to one plain sentence. Nothing here shows a return without its doubt.

A cell is one ticker in one test year. An agent's return in a cell is the mean over its seeds; its mean return is the
mean over cells. Every comparison with buy-and-hold is made on the cells that the agent traded.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd

from etfgym.report.results import HINDSIGHT, HOLD, MEASURES, NO_RANDOMNESS, Results
from etfgym.stats import NO_INTERVAL, Interval, mean_interval, paired_difference_interval

FEWEST_CELLS = 6
"""With fewer, even a win in every cell would be no 95 % evidence: 0.5 ** 5 is more than 2.5 %."""
FEWEST_SEEDS = 10
EVEN = 1e-12
"""Difference of two returns that is rounding."""
BOOTSTRAP_SEED = 20_210_830
PROVISO = (
    "One test period says nothing of another, and ETFs of one year move together, so the true doubt is larger than "
    "any interval here."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One agent on one ticker in one test year; returns are fractions, `hindsight` is NaN where it was not run."""

    agent: str
    ticker: str
    year: int
    first: date
    last: date
    seeds: int
    mean: float
    interval: Interval
    hold: float
    hindsight: float

    @property
    def verdict(self) -> Literal["win", "loss", "tie"]:
        """How the agent's mean return compares with buy-and-hold's."""
        if abs(self.mean - self.hold) <= EVEN:
            return "tie"
        return "win" if self.mean > self.hold else "loss"

    @property
    def share(self) -> float:
        """The agent's profit over hindsight's; NaN where that made none."""
        return self.mean / self.hindsight if self.hindsight > 0 else math.nan

    @property
    def share_interval(self) -> Interval:
        """The interval of the share over seeds."""
        low, high = self.interval
        return Interval(low / self.hindsight, high / self.hindsight) if self.hindsight > 0 else NO_INTERVAL

    @property
    def interval_text(self) -> str:
        """The interval of the mean return over seeds, or why there is none."""
        return _interval_text(self.interval, self.agent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One agent against buy-and-hold on the cells that it traded.

    Returns, drawdown and share are fractions, costs are dollars. Every measure is the mean over cells of the mean
    over seeds, NaN left out. `share` is the agent's profits over those of hindsight, both summed over the cells where
    hindsight made one; NaN where there is none.
    """

    agent: str
    kind: str
    cells: int
    years: int
    seeds: tuple[int, int]
    first: date
    last: date
    mean: float
    interval: Interval
    median: float
    hold_mean: float
    hold_median: float
    difference: float
    difference_interval: Interval
    wins: int
    share: float
    share_interval: Interval
    measures: dict[str, float]

    def things(self, number: int) -> str:
        """Return `number` of what the cells are, as "20 ETFs", "1 index" or "60 ETF-years"."""
        if self.years > 1:
            return f"{number} {self.kind}-year{'s' * (number != 1)}"
        return f"{number} {self.kind if number == 1 else {'ETF': 'ETFs', 'index': 'indices'}[self.kind]}"

    @property
    def seeds_text(self) -> str:
        """How many seeds each cell has."""
        low, high = self.seeds
        return f"{high} seed{'s' * (high != 1)}" if low == high else f"{low} to {high} seeds"

    @property
    def interval_text(self) -> str:
        """The interval of the mean return over seeds, or why there is none."""
        return _interval_text(self.interval, self.agent)

    @property
    def difference_interval_text(self) -> str:
        """The interval of the difference in points, or why there is none."""
        if self.difference_interval.available:
            return span(self.difference_interval)
        return f"not available with {f'one {self.kind}' if self.cells < 2 else 'one seed'}"


def cell_table(results: Results, agent: str) -> list[Cell]:
    """Return the agent's cells by ticker and year."""
    scores, hold, hindsight = _scores(results.runs, agent)
    days = results.runs[results.runs["agent"] == agent].groupby(["ticker", "year"])
    first, last = days["test_start"].min(), days["test_end"].max()
    return [
        Cell(
            agent=agent,
            ticker=cell[0],
            year=cell[1],
            first=first[cell].date(),
            last=last[cell].date(),
            seeds=int((~np.isnan(returns)).sum()),
            mean=float(np.nanmean(returns)),
            interval=_interval(scores.loc[[cell]], agent),
            hold=float(hold[cell]),
            hindsight=float(hindsight.get(cell, math.nan)),
        )
        for cell, returns in zip(scores.index, scores.to_numpy(np.float64), strict=True)
    ]


def compare(results: Results, agent: str, *, year: int | None = None, ticker: str | None = None) -> Comparison:
    """Return the agent's comparison with buy-and-hold, in one test year or in all, on one ticker or on all (None)."""
    runs = results.runs
    runs = runs if year is None else runs[runs["year"] == year]
    runs = runs if ticker is None else runs[runs["ticker"] == ticker]
    own = runs[runs["agent"] == agent]
    scores, hold, hindsight = _scores(runs, agent)
    means, seeds = scores.mean(axis=1), scores.notna().sum(axis=1)
    known = hindsight.reindex(means.index)
    groups = scores.index.get_level_values("year") if results.shares_runs(agent) else None
    share, share_interval = math.nan, NO_INTERVAL
    if (reachable := (known > 0).to_numpy()).any():
        ceiling = float(known[reachable].mean())
        share = float(means[reachable].mean()) / ceiling
        low, high = _interval(scores[reachable], agent, None if groups is None else groups[reachable])
        share_interval = Interval(low / ceiling, high / ceiling)
    measures = own.groupby(["ticker", "year"])[MEASURES].mean().mean()
    paired = NO_INTERVAL
    if agent != HOLD:
        matrix, baseline = scores.to_numpy(np.float64), np.asarray(hold, np.float64)
        paired = paired_difference_interval(matrix, baseline, _rng(), groups, deterministic=agent in NO_RANDOMNESS)
    return Comparison(
        agent=agent,
        kind=results.kind,
        cells=len(means),
        years=own["year"].nunique(),
        seeds=(int(seeds.min()), int(seeds.max())),
        first=own["test_start"].min().date(),
        last=own["test_end"].max().date(),
        mean=float(means.mean()),
        interval=_interval(scores, agent, groups),
        median=float(means.median()),
        hold_mean=float(hold.mean()),
        hold_median=float(hold.median()),
        difference=float((means - hold).mean()),
        difference_interval=paired,
        wins=int((means - hold > EVEN).sum()),
        share=share,
        share_interval=share_interval,
        measures={str(name): float(value) for name, value in measures.items()},
    )


def _scores(runs: pd.DataFrame, agent: str) -> tuple[pd.DataFrame, pd.Series[float], pd.Series[float]]:
    """Return the agent's returns, cells by seeds, then those of buy-and-hold and of hindsight, by cell."""
    by_agent = {
        name: runs[runs["agent"] == name].pivot(index=["ticker", "year"], columns="seed", values="total_return")
        for name in (agent, HOLD, HINDSIGHT)
    }
    hold, hindsight = (by_agent[name].mean(axis=1) for name in (HOLD, HINDSIGHT))
    return by_agent[agent], hold[by_agent[agent].index], hindsight


def _interval(scores: pd.DataFrame, agent: str, groups: pd.Index | None = None) -> Interval:
    return NO_INTERVAL if agent in NO_RANDOMNESS else mean_interval(scores.to_numpy(np.float64), _rng(), groups)


def _rng() -> np.random.Generator:
    """Return a new generator for each interval, so that none depends on what was computed before it."""
    return np.random.default_rng(BOOTSTRAP_SEED)


# ------------------------------------------------------------------------------------------------ words


def percent(fraction: float) -> str:
    """Return a fraction as "+5.4 %", or "-" for NaN."""
    return "-" if math.isnan(fraction) else f"{points(fraction)} %"


def points(fraction: float) -> str:
    """Return a fraction in percentage points, signed, with one decimal and no "-0.0"."""
    return f"{round(100 * fraction, 1) + 0.0:+.1f}"


def span(interval: Interval) -> str:
    """Return an interval of fractions as "-3.1 to +0.6", in percentage points."""
    return f"{points(interval.low)} to {points(interval.high)}"


def _interval_text(interval: Interval, agent: str) -> str:
    if interval.available:
        return f"{span(interval)} %"
    return "no randomness" if agent in NO_RANDOMNESS else "not available with one seed"


def conclude(found: Comparison) -> str:
    """Return what the comparison allows to say, and what it does not, in plain words.

    That an agent beats buy-and-hold, or does worse, is said only where the interval of the difference excludes zero
    and there are `FEWEST_CELLS` cells or more.
    """
    interval = found.difference_interval
    remark = ""
    if not interval.available:
        why = f"one {found.kind} in one year" if found.cells < 2 else "one seed"
        claim = f"No evidence that {found.agent} beats {HOLD}, as {why} can't show it"
    elif found.cells < FEWEST_CELLS:
        claim = f"No evidence that {found.agent} beats {HOLD}"
        remark = f" {found.things(found.cells)} are too few for any: a 95 % claim takes {FEWEST_CELLS} or more."
    elif interval.low > 0:
        claim = f"{found.agent} beat {HOLD} here"
    elif interval.high < 0:
        claim = f"{found.agent} did worse than {HOLD}"
    else:
        claim = f"No evidence that {found.agent} beats {HOLD}"
    chance = "a single run, without randomness" if found.agent in NO_RANDOMNESS else found.seeds_text
    own = f" (95 % interval over seeds {found.interval_text})" if found.interval.available else ""
    return (
        f"{claim}: it won {found.wins} of {found.things(found.cells)}, mean return {percent(found.mean)}{own} against "
        f"{percent(found.hold_mean)}, mean difference {points(found.difference)} points (95 % interval "
        f"{found.difference_interval_text}), {chance}, {found.first} to {found.last}.{remark} {PROVISO}"
    )


def conclusions(comparisons: dict[str, Comparison], agents: list[str]) -> list[str]:
    """Return the sentence of each of the agents, or that there is nobody to compare."""
    nobody = f"Only {HOLD} was run (and {HINDSIGHT}, which is no strategy): there is nothing to compare with it."
    return [conclude(comparisons[agent]) for agent in agents] or [nobody]


def summary_text(results: Results) -> str:
    """Return the agents' table and the conclusions for a terminal, at most 110 columns wide."""
    comparisons = {agent: compare(results, agent) for agent in results.agents}
    rows = [("agent", "seeds", "return", "95 % interval", HOLD, "diff.", "95 % interval", "wins")]
    for agent, found in comparisons.items():
        texts = [found.interval_text, points(found.difference), found.difference_interval_text]
        own, difference, paired = (text.replace("not available with", "n/a,") for text in texts)
        against = ("-", "-", "-") if agent == HOLD else (difference, paired, f"{found.wins}/{found.cells}")
        seeds = found.seeds_text.removesuffix("s").removesuffix(" seed")
        rows.append((agent, seeds, percent(found.mean), own, percent(found.hold_mean), *against))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    form = "  ".join([f"{{:<{widths[0]}}}", *(f"{{:>{width}}}" for width in widths[1:])])
    lines = [form.format(*row) for row in rows]
    first, last = results.period
    head = f"Out of sample {first} to {last}, {comparisons[HOLD].things(comparisons[HOLD].cells)}; {results.costs_text}"
    said = ["\n".join(textwrap.wrap(text, 100)) for text in conclusions(comparisons, results.headliners)]
    return "\n".join([*textwrap.wrap(head, 100), "", lines[0], "-" * len(lines[0]), *lines[1:], "", *said])
