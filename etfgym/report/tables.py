"""From a result folder to tables and to one plain sentence. Nothing here shows a return without its doubt.

A cell is one ticker in one test year. An agent's return in a cell is the mean over its seeds; its mean return is the
mean over cells. Every comparison with buy-and-hold is made on the cells that the agent traded.
"""

from __future__ import annotations

import json
import math
import textwrap
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from etfgym.stats import NO_INTERVAL, Interval, mean_interval, paired_difference_interval

HOLD, HINDSIGHT = "buy-and-hold", "hindsight"
BASELINES = (HOLD, "ramped-buy-and-hold", "ma-cross", "random", HINDSIGHT)
"""In the order of the tables; any other agent is a learner and comes before them."""
NO_RANDOMNESS = frozenset(BASELINES) - {"random"}
"""Agents of whom a single run is all there is to know."""

RUN = ["agent", "ticker", "test_start", "seed"]
ONE_RUN = ["agent", "ticker", "year", "seed"]
MEASURES = ["total_return", "sharpe", "max_drawdown", "turnover", "costs", "trades"]
RESULT_COLUMNS = [*RUN, "test_end", *MEASURES]
EQUITY_COLUMNS = [*RUN, "date", "equity", "units", "filled"]
MANIFEST_KEYS = ("command", "created", "versions", "settings", "data_sha256", "tickers", "train", "notes")

FEWEST_CELLS = 6
"""With fewer, even a win in every cell would be no 95 % evidence: 0.5 ** 5 is more than 2.5 %."""
FEWEST_SEEDS = 10
EVEN = 1e-12
"""Difference of two returns that is rounding."""
BOOTSTRAP_SEED = 20_210_830
CURE = "write the folder again with: python -m backtests.run"
PROVISO = (
    "One test period says nothing of another, and ETFs of one year move together, so the true doubt is larger than "
    "any interval here."
)


@dataclass(frozen=True, eq=False)
class Results:
    """A result folder, checked; `runs` and `equity` are sorted and carry the test year as `year`."""

    folder: Path
    runs: pd.DataFrame
    equity: pd.DataFrame
    manifest: dict[str, Any]

    @property
    def agents(self) -> list[str]:
        """Learners by name, then the baselines, as many as there are."""
        present = set(self.runs["agent"])
        return [*sorted(present - set(BASELINES)), *(agent for agent in BASELINES if agent in present)]

    @property
    def contenders(self) -> list[str]:
        """Agents that could be wanted in place of buy-and-hold: all but that and hindsight, learners first."""
        return [agent for agent in self.agents if agent not in {HOLD, HINDSIGHT}]

    @property
    def headliners(self) -> list[str]:
        """Agents whom the conclusion is about: the learners, or the other contenders where none was run."""
        return [agent for agent in self.contenders if agent not in BASELINES] or self.contenders

    @property
    def years(self) -> list[int]:
        """Test years, rising."""
        return sorted(set(self.runs["year"]))

    @property
    def period(self) -> tuple[date, date]:
        """First and last day traded by anybody."""
        return self.runs["test_start"].min().date(), self.runs["test_end"].max().date()

    @property
    def kind(self) -> str:
        """What the tickers are: "ETF", or "index" for the builtin prices."""
        return "index" if self.manifest["settings"].get("prices") == "builtin" else "ETF"

    @property
    def costs_text(self) -> str:
        """What trades cost, as the manifest's settings say."""
        costs = self.manifest["settings"].get("costs", "not recorded")
        if isinstance(costs, dict):
            costs = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in costs.items())
        return f"costs: {costs}"


def load_results(folder: str | Path) -> Results:
    """Read and check a result folder.

    Raises:
        ValueError: If a file, a column, a key, a run's curve or buy-and-hold is missing, or a value is no number; one
            line that says the cure.
    """
    folder = Path(folder)
    runs = _read_table(folder / "results.parquet", RESULT_COLUMNS)
    equity = _read_table(folder / "equity.parquet", EQUITY_COLUMNS)
    for frame in (runs, equity):
        frame["year"] = frame["test_start"].dt.year
    runs = runs.sort_values(ONE_RUN, ignore_index=True)
    equity = equity.sort_values([*ONE_RUN, "date"], ignore_index=True)
    _check_runs(folder, runs, equity)
    return Results(folder, runs, equity, _read_manifest(folder / "manifest.json"))


def _read_table(path: Path, columns: list[str]) -> pd.DataFrame:
    if not path.is_file():
        msg = f"{path}: no such file; {CURE}"
        raise ValueError(msg)
    try:
        frame = pd.read_parquet(path)
    except (OSError, pa.ArrowInvalid) as error:
        msg = f"{path}: can't be read as Parquet ({str(error).splitlines()[0]}); {CURE}"
        raise ValueError(msg) from None
    if missing := [column for column in columns if column not in frame]:
        msg = f"{path}: lacks {', '.join(map(repr, missing))}; {CURE}"
        raise ValueError(msg)
    frame = frame[columns].astype({"agent": str, "ticker": str})
    for column in columns:
        if not _has_right_values(frame[column]):
            msg = f"{path}: {column!r} must have {_wanted(column)} in every row; {CURE}"
            raise ValueError(msg)
    return frame


def _wanted(column: str) -> str:
    if column in {"test_start", "test_end", "date"}:
        return "a date"
    return "a text" if column in {"agent", "ticker"} else "a finite number" + " or NaN" * (column == "sharpe")


def _has_right_values(values: pd.Series[Any]) -> bool:
    wanted = _wanted(str(values.name))
    if wanted == "a text":
        return True
    if wanted == "a date":
        return pd.api.types.is_datetime64_any_dtype(values) and bool(values.notna().all())
    numeric = pd.api.types.is_numeric_dtype(values)
    return numeric and bool((np.isfinite(values) | (values.isna() & (wanted != "a finite number"))).all())


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path}: can't be read as JSON ({error}); {CURE}"
        raise ValueError(msg) from None
    missing = [key for key in MANIFEST_KEYS if not isinstance(manifest, dict) or key not in manifest]
    if missing:
        msg = f"{path}: lacks {', '.join(map(repr, missing))}; {CURE}"
        raise ValueError(msg)
    return dict(manifest)


def _check_runs(folder: Path, runs: pd.DataFrame, equity: pd.DataFrame) -> None:
    twice = runs[runs.duplicated(ONE_RUN)]
    without_curve = set(runs[RUN].itertuples(index=False, name=None)) ^ set(
        equity[RUN].drop_duplicates().itertuples(index=False, name=None)
    )
    cells = set(zip(runs["ticker"], runs["year"], strict=True))
    held = runs[runs["agent"] == HOLD]
    not_held = cells - set(zip(held["ticker"], held["year"], strict=True))
    if runs.empty:
        msg = f"{folder}: results.parquet has no rows; {CURE}"
    elif not twice.empty:
        msg = f"{folder}: results.parquet has a run twice: {twice[ONE_RUN].iloc[0].tolist()}; {CURE}"
    elif without_curve:
        first = min(map(str, without_curve))
        msg = f"{folder}: results.parquet and equity.parquet hold different runs, such as {first}; {CURE}"
    elif not_held:
        msg = f"{folder}: {HOLD} is missing for {min(not_held)}, nothing is shown without it beside; {CURE}"
    else:
        return
    raise ValueError(msg)


# ------------------------------------------------------------------------------------------------ figures in tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One agent on one ticker in one test year; returns are fractions, `hindsight` is NaN where it was not run."""

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
        if self.interval.available:
            return f"{span(self.interval)} %"
        return "no randomness" if self.agent in NO_RANDOMNESS else "not available with one seed"

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
            ticker=cell[0],
            year=cell[1],
            first=first[cell].date(),
            last=last[cell].date(),
            seeds=int((~np.isnan(returns)).sum()),
            mean=float(np.nanmean(returns)),
            interval=_interval(returns[None, :], agent),
            hold=float(hold[cell]),
            hindsight=float(hindsight.get(cell, math.nan)),
        )
        for cell, returns in zip(scores.index, scores.to_numpy(np.float64), strict=True)
    ]


def compare(results: Results, agent: str, year: int | None = None) -> Comparison:
    """Return the agent's comparison with buy-and-hold, in one test year or in all (None)."""
    runs = results.runs if year is None else results.runs[results.runs["year"] == year]
    own = runs[runs["agent"] == agent]
    scores, hold, hindsight = _scores(runs, agent)
    means, seeds = scores.mean(axis=1), scores.notna().sum(axis=1)
    known = hindsight.reindex(means.index)
    reachable = known[known > 0].index
    measures = own.groupby(["ticker", "year"])[MEASURES].mean().mean()
    paired = NO_INTERVAL
    if agent != HOLD:
        matrix, baseline = scores.to_numpy(np.float64), np.asarray(hold, np.float64)
        paired = paired_difference_interval(matrix, baseline, _rng(), deterministic=agent in NO_RANDOMNESS)
    return Comparison(
        agent=agent,
        kind=results.kind,
        cells=len(means),
        years=own["year"].nunique(),
        seeds=(int(seeds.min()), int(seeds.max())),
        first=own["test_start"].min().date(),
        last=own["test_end"].max().date(),
        mean=float(means.mean()),
        interval=_interval(scores.to_numpy(np.float64), agent),
        median=float(means.median()),
        hold_mean=float(hold.mean()),
        hold_median=float(hold.median()),
        difference=float((means - hold).mean()),
        difference_interval=paired,
        wins=int((means - hold > EVEN).sum()),
        share=float(means[reachable].sum() / known[reachable].sum()) if len(reachable) else math.nan,
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


def _interval(scores: npt.NDArray[np.float64], agent: str) -> Interval:
    return NO_INTERVAL if agent in NO_RANDOMNESS else mean_interval(scores, _rng())


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
