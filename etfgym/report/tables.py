"""From a result folder to tables and to one plain sentence. Nothing here shows a return without its doubt.

A cell is one ticker in one test year. An agent's return in a cell is the mean over its seeds; its mean return is the
mean over cells. Every comparison with buy-and-hold is made on the cells that the agent traded.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from etfgym.report.controls import failed
from etfgym.report.evidence import Evidence, Together, weigh
from etfgym.report.results import BASELINES, HINDSIGHT, HOLD, MEASURES, NO_RANDOMNESS, Results
from etfgym.report.scores import agent_scores, new_rng, shared_luck, year_clusters
from etfgym.stats import CONFIDENCE, NO_INTERVAL, Interval, mean_interval, paired_difference_interval

Floats = npt.NDArray[np.float64]

FEWEST_CELLS = 6
"""With fewer, even a win in every cell would be no 95 % evidence: 0.5 ** 5 is more than 2.5 %."""
FEWEST_SEEDS = 10
EVEN = 1e-12
"""Difference of two returns that is rounding."""
SIGNIFICANT = 1 - CONFIDENCE
PROVISO = (
    "One test period says nothing of another, and ETFs of one year move together, so the true doubt is larger than "
    "any interval here."
)
PROVISO_OF_YEARS = "Years to come may be unlike these. ETFs of one year move together, so whole years were drawn."


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
    def seeds_text(self) -> str:
        """How many seeds it has."""
        return f"{self.seeds} seed{'s' * (self.seeds != 1)}"

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
    in_sample: bool
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
    whole_years: bool
    """Whether `difference_interval` comes from drawing whole test years, or takes cells as independent."""
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
    scores, hold, known = agent_scores(results, agent)
    days = results.cells[agent]
    return [
        Cell(
            agent=agent,
            ticker=cell[0],
            year=cell[1],
            first=first.date(),
            last=last.date(),
            seeds=int((~np.isnan(returns)).sum()),
            mean=float(np.nanmean(returns)),
            interval=_interval(returns[None], agent),
            hold=held,
            hindsight=ceiling,
        )
        for cell, first, last, returns, held, ceiling in zip(
            scores.index,
            days["test_start"],
            days["test_end"],
            scores.to_numpy(np.float64),
            hold,
            known,
            strict=True,
        )
    ]


def compare(results: Results, agent: str, *, year: int | None = None, ticker: str | None = None) -> Comparison:
    """Return the agent's comparison with buy-and-hold, in one test year or in all, on one ticker or on all (None)."""
    scores, hold, known = agent_scores(results, agent, year=year, ticker=ticker)
    own = results.cells[agent].loc[scores.index]
    means, seeds = scores.mean(axis=1), scores.notna().sum(axis=1)
    matrix = scores.to_numpy(np.float64)
    groups, clusters = shared_luck(results, agent, scores.index), year_clusters(scores.index)
    share, share_interval = math.nan, NO_INTERVAL
    if (reachable := (known > 0).to_numpy()).any():
        ceiling = float(known[reachable].mean())
        share = float(means[reachable].mean()) / ceiling
        low, high = _interval(matrix[reachable], agent, None if groups is None else groups[reachable])
        share_interval = Interval(low / ceiling, high / ceiling)
    measures = own[MEASURES].mean()
    paired = NO_INTERVAL
    if agent != HOLD:
        baseline = np.asarray(hold, np.float64)
        paired = paired_difference_interval(
            matrix, baseline, new_rng(), groups, clusters=clusters, deterministic=agent in NO_RANDOMNESS
        )
    return Comparison(
        agent=agent,
        kind=results.kind,
        in_sample=results.in_sample and agent not in BASELINES,
        cells=len(means),
        years=scores.index.get_level_values("year").nunique(),
        seeds=(int(seeds.min()), int(seeds.max())),
        first=own["test_start"].min().date(),
        last=own["test_end"].max().date(),
        mean=float(means.mean()),
        interval=_interval(matrix, agent, groups),
        median=float(means.median()),
        hold_mean=float(hold.mean()),
        hold_median=float(hold.median()),
        difference=float((means - hold).mean()),
        difference_interval=paired,
        whole_years=clusters is not None,
        wins=int((means - hold > EVEN).sum()),
        share=share,
        share_interval=share_interval,
        measures={str(name): float(value) for name, value in measures.items()},
    )


def _interval(scores: Floats, agent: str, groups: pd.Index | None = None) -> Interval:
    return NO_INTERVAL if agent in NO_RANDOMNESS else mean_interval(scores, new_rng(), groups)


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


def p_value(p: float) -> str:
    """Return a p-value as "= 0.41" or "< 0.001", or that there is none."""
    if math.isnan(p):
        return "not available"
    return "< 0.001" if p < 0.001 else f"= {p:.{2 if p >= 0.1 else 3}f}"


def conclude(found: Comparison, evidence: Evidence, together: Together, *, fooled: bool = False) -> str:
    """Return what the comparison allows to say, and what it does not, in plain words.

    That an agent beats buy-and-hold is said only where the interval of the difference lies above zero, there are
    `FEWEST_CELLS` cells or more, and the SPA test rejects luck, for the agent alone and for all learners together.
    That it does worse is said where the interval lies below zero. Of days it was trained on nothing is said.

    Args:
        found: The comparison.
        evidence: For the same agent.
        together: For all learners.
        fooled: Whether it beat buy-and-hold on shuffled returns, where nobody can.
    """
    interval, several = found.difference_interval, found.agent in together.learners and len(together.learners) > 1
    tests = [evidence.spa, together.spa] if several else [evidence.spa]
    claim, remark = f"No evidence that {found.agent} beats {HOLD}", ""
    if found.in_sample:
        claim = f"Nothing can be said of {found.agent}, as it was trained on the days that it traded"
    elif not interval.available:
        claim += f", as {f'one {found.kind} in one year' if found.cells < 2 else 'one seed'} can't show it"
    elif found.cells < FEWEST_CELLS:
        remark = f" {found.things(found.cells)} are too few for any: a 95 % claim takes {FEWEST_CELLS} or more."
    elif interval.high < 0:
        claim = f"{found.agent} did worse than {HOLD}"
    elif interval.low > 0 and fooled:
        claim += ", as it beats it on shuffled returns too, where nothing can be learned"
    elif interval.low > 0 and all(p < SIGNIFICANT for p in tests):
        claim = f"{found.agent} beat {HOLD} here"
    elif interval.low > 0:
        remark = " The interval lies above zero, but the SPA test of the daily returns does not rule out luck."
    spa = f"SPA p {p_value(evidence.spa)}"
    if several:
        spa += f", p {p_value(together.spa)} for the {len(together.learners)} learners together"
    chance = "a single run, without randomness" if found.agent in NO_RANDOMNESS else found.seeds_text
    own = f" (95 % interval over seeds {found.interval_text})" if found.interval.available else ""
    return (
        f"{claim}: it won {found.wins} of {found.things(found.cells)}, mean return {percent(found.mean)}{own} against "
        f"{percent(found.hold_mean)}, mean difference {points(found.difference)} points (95 % interval "
        f"{found.difference_interval_text}), {spa}, {chance}, {found.first} to {found.last}.{remark} "
        f"{PROVISO_OF_YEARS if found.whole_years else PROVISO}"
    )


def conclusions(
    results: Results, comparisons: Mapping[str, Comparison], evidence: Mapping[str, Evidence], together: Together
) -> list[str]:
    """Return the sentence of each headliner, or that there is nobody to compare."""
    nobody = f"Only {HOLD} was run (and {HINDSIGHT}, which is no strategy): there is nothing to compare with it."
    return [
        conclude(comparisons[agent], evidence[agent], together, fooled=failed(results.controls, "shuffled", agent))
        for agent in results.headliners
    ] or [nobody]


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
    days = results.days_text
    head = f"{days[0].upper()}{days[1:]}, {comparisons[HOLD].things(comparisons[HOLD].cells)}; {results.costs_text}"
    said = ["\n".join(textwrap.wrap(text, 100)) for text in conclusions(results, comparisons, *weigh(results))]
    return "\n".join([*textwrap.wrap(head, 100), "", lines[0], "-" * len(lines[0]), *lines[1:], "", *said])
