"""The course's experiment again: 20 ETFs, 20,000 dollars, one year, a DQN against buy-and-hold, in several readings.

python -m backtests.course_table --prices prices.parquet                        # every reading
python -m backtests.course_table --prices prices.parquet --reading with-costs   # one of them

The course's table says that a convolutional DQN made +9.54 % on average where buy-and-hold made +5.38 %, and won on 17
of 20 ETFs. It does not say which year it was, whether the agent had been trained on that very year, or what a trade
cost. So the readings go from the kindest to the honest one. A stopped run goes on with the same command.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from agents.registry import FIXED, Agent, find
from backtests.backends import BACKENDS, Backend
from backtests.controls import controls
from backtests.folder import write_folder
from backtests.jobs import Finished, list_jobs, run_jobs
from etfgym import sources
from etfgym.checks import one_of, positive
from etfgym.ledger import Costs
from etfgym.prices import PriceTable
from etfgym.report.results import HOLD
from etfgym.report.tables import percent, points
from etfgym.sources.universes import universe
from etfgym.splits import Fold, split_by_fold
from etfgym.stats import Interval, paired_difference_interval

Floats = npt.NDArray[np.float64]
RESULTS = Path(__file__).parent / "results"
YEARS = range(2011, 2021)
FREE = Costs(commission=0.0)


@dataclass(frozen=True, slots=True)
class Summary:
    """One side's returns of 20 ETFs, percent: what the course's table comes to."""

    mean: float
    median: float
    deviation: float
    """ddof = 1."""
    positive: int


COURSE, COURSE_HOLD, COURSE_WINS, COURSE_ETFS = (
    Summary(9.5425, 10.925, 5.6225, 19),
    Summary(5.375, 6.985, 9.1246, 16),
    17,
    20,
)
"""The course's DQN and buy-and-hold. The 20 pairs themselves are not published; these are their summary."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read the experiment."""

    about: str
    agents: tuple[str, ...]
    folds: tuple[Fold, ...]
    seeds: int
    pooled: bool
    costs: Costs


LEARNERS = ("sb3-dqn", "sb3-ppo", "sb3-a2c", "sb3-qrdqn", "sb3-recurrent-ppo", "forecast")
READINGS = {
    "course": Reading(
        "IN SAMPLE, no costs: a DQN for each ETF, trained and traded on 2014, the year in which buy-and-hold's mean "
        "return was nearest to the course's",
        ("dqn", HOLD),
        (Fold(2014, in_sample=True),),
        seeds=5,
        pooled=False,
        costs=FREE,
    ),
    "out-of-sample": Reading(
        "out of sample, no costs: one DQN on all ETFs, trained on the years before each year",
        ("dqn-counterfactual", HOLD),
        tuple(map(Fold, YEARS)),
        seeds=10,
        pooled=True,
        costs=FREE,
    ),
    "with-costs": Reading(
        "out of sample, 0.1 % a trade, beside a buy-and-hold with the agent's daily limit: one DQN on all ETFs",
        ("dqn-counterfactual", HOLD, "ramped-buy-and-hold", "ma-cross", "hindsight"),
        tuple(map(Fold, YEARS)),
        seeds=10,
        pooled=True,
        costs=Costs(),
    ),
    "libraries": Reading(
        "out of sample, 0.1 % a trade: other libraries' agents on all ETFs, at the same number of transitions",
        ("dqn-counterfactual", *LEARNERS, HOLD, "ramped-buy-and-hold"),
        tuple(map(Fold, (2015, 2019))),
        seeds=3,
        pooled=True,
        costs=Costs(),
    ),
    "per-etf": Reading(
        "out of sample, 0.1 % a trade: a DQN for each ETF",
        ("dqn-counterfactual", HOLD, "ramped-buy-and-hold"),
        tuple(map(Fold, (2012, 2016, 2020))),
        seeds=5,
        pooled=False,
        costs=Costs(),
    ),
}


# ------------------------------------------------------------------------------------------------ run


def run(
    name: str, tables: Sequence[PriceTable], out: Path, work: Path, backend: Backend, prices: str
) -> Finished | None:
    """Run one reading and write its result folder, `out/name`; return None, and write nothing, if a job failed.

    Args:
        name: Of the reading.
        tables: Its prices.
        out: Where the folders lie.
        work: Folder of finished jobs, which the readings share.
        backend: Where jobs run.
        prices: As the command line names them.
    """
    reading = READINGS[name]
    agents = {agent: find(agent) for agent in reading.agents}
    learners = {agent: made for agent, made in agents.items() if made}
    shape: dict[str, Any] = {"steps": None, "pooled": reading.pooled, "costs": reading.costs}
    jobs = list_jobs(agents, tables, reading.folds, seeds=reading.seeds, **shape)
    finished = run_jobs(jobs, tables, work, backend, desc=name)
    for job, why in finished.errors.items():
        print(f"failed: {job}: {why}; traceback: {work / job.key}.error.txt", file=sys.stderr)
    if finished.errors:
        return None
    more: dict[str, Any] = {"about": reading.about, "looks": looks(out / name / "manifest.json", learners)}
    if not any(fold.in_sample for fold in reading.folds):
        more["controls"] = controls(learners, tables, reading.folds[-1], work, backend, **shape)
    tuned = sum(agent.tuned for agent in learners.values())
    command = f"python -m backtests.course_table --prices {prices} --reading {name}"
    settings = {"prices": prices, "train": "pooled" if reading.pooled else "per-etf", "seeds": reading.seeds}
    told: dict[str, Any] = {"command": command, "settings": settings, "more": more, "tuned": tuned}
    write_folder(out / name, finished, jobs, tables, work=work, **told)
    return finished


def looks(manifest: Path, learners: Mapping[str, Agent]) -> list[dict[str, str]]:
    """Return every design that has traded these test years, those that an earlier manifest tells of included.

    A design is a learner's settings. Each look at a test year makes its result a little less out of sample.
    """
    seen: list[dict[str, str]] = json.loads(manifest.read_text())["looks"] if manifest.exists() else []
    for name, agent in learners.items():
        design = hashlib.sha256(agent.spec().encode()).hexdigest()[:16]
        if design not in {look["design"] for look in seen}:
            seen.append({"agent": name, "design": design})
    return seen


# ------------------------------------------------------------------------------------------------ the table


@dataclass(frozen=True, slots=True)
class Row:
    """One agent in one reading: the mean return of each ETF over years and seeds, fractions, shape (ETFs,)."""

    agent: str
    own: Floats
    hold: Floats
    interval: Interval
    seeds: int
    first: str
    last: str
    years: tuple[int, ...]

    @property
    def days(self) -> str:
        """What was traded: from a day to a day, or years that don't follow each other."""
        several = len(self.years) < self.years[-1] - self.years[0] + 1
        return ", ".join(map(str, self.years)) if several else f"{self.first} to {self.last}"

    @property
    def wins(self) -> int:
        """ETFs on which the agent's mean return is above that of buy-and-hold."""
        return int((self.own > self.hold).sum())


def row(runs: pd.DataFrame, agent: str, *, pooled: bool) -> Row:
    """Return an agent's row; the interval of the mean difference is over seeds, and over years if there are six."""
    own, held = runs[runs["agent"] == agent], runs[runs["agent"] == HOLD]
    scores = own.pivot(index=["ticker", "test_start"], columns="seed", values="total_return")
    hold = held.set_index(["ticker", "test_start"])["total_return"][scores.index]
    years = scores.index.get_level_values("test_start")
    interval = paired_difference_interval(
        scores.to_numpy(np.float64),
        hold.to_numpy(np.float64),
        np.random.default_rng(0),
        years if pooled and agent not in FIXED else None,
        clusters=years if years.nunique() >= 6 else None,
        deterministic=agent in FIXED,
    )
    by_etf = scores.mean(axis=1).groupby("ticker").mean()
    return Row(
        agent,
        by_etf.to_numpy(np.float64),
        hold.groupby("ticker").mean()[by_etf.index].to_numpy(np.float64),
        interval,
        scores.shape[1],
        str(own["test_start"].min().date()),
        str(own["test_end"].max().date()),
        tuple(sorted(set(own["test_start"].dt.year))),
    )


def table(readings: Mapping[str, pd.DataFrame]) -> str:
    """Return the course's summary and ours below each other, as Markdown.

    Args:
        readings: The rows of `results.parquet` by reading.
    """
    head = ["reading", "agent", "dates", "seeds", "mean", "median", "s.d.", "> 0", HOLD, "median", "s.d.", "> 0"]
    head += ["difference, points", "95 % interval", "ETFs won"]
    lines = [head, ["---"] * len(head)]
    mean, hold = COURSE.mean / 100, COURSE_HOLD.mean / 100
    sides = [_cells(mean, COURSE), _cells(hold, COURSE_HOLD)]
    won = f"{COURSE_WINS} of {COURSE_ETFS}"
    lines.append(
        ["the course's own", "DQN", "unknown", "unknown", *sides[0], *sides[1], points(mean - hold), "none", won]
    )
    for name, runs in readings.items():
        present = set(runs["agent"]) - {HOLD, "hindsight"}
        for agent in (agent for agent in READINGS[name].agents if agent in present):
            found = row(runs, agent, pooled=READINGS[name].pooled)
            interval = f"{points(found.interval.low)} to {points(found.interval.high)}"
            lines.append(
                [
                    name,
                    agent,
                    found.days,
                    str(found.seeds),
                    *_cells(found.own.mean(), _summary(found.own)),
                    *_cells(found.hold.mean(), _summary(found.hold)),
                    points((found.own - found.hold).mean()),
                    interval if found.interval.available else "none",
                    f"{found.wins} of {len(found.own)}",
                ]
            )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _summary(returns: Floats) -> Summary:
    whole = 100 * returns
    return Summary(float(whole.mean()), float(np.median(whole)), float(whole.std(ddof=1)), int((whole > 0).sum()))


def _cells(mean: float, side: Summary) -> list[str]:
    return [percent(mean), percent(side.median / 100), f"{side.deviation:.1f}", str(side.positive)]


# ------------------------------------------------------------------------------------------------ command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the readings asked for, print the table; return the exit status."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    try:
        names = [one_of("--reading", name, READINGS) for name in (asked.reading or READINGS)]
        backend = Backend(asked.backend, asked.jobs, asked.address)
        tables = sources.load(asked.prices, universe("seed20"))
        for fold in {fold for name in names for fold in READINGS[name].folds}:
            for prices in tables:
                split_by_fold(prices, fold)
    except (ValueError, OSError, ImportError) as error:
        parser.error(str(error))
    try:
        done = {name: run(name, tables, asked.out, asked.work, backend, asked.prices) for name in names}
    except ConnectionError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    print(table({name: finished.results for name, finished in done.items() if finished}))
    for name in names:
        print(f"\n{name}: {READINGS[name].about}.")
    return int(None in done.values())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m backtests.course_table",
        description="The course's experiment in several readings, from the kindest to the honest one.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--prices", default="yahoo", help="yahoo or a path (CSV, folder of them, Parquet) with the ETFs of seed20")
    add(
        "--reading",
        action="append",
        metavar="NAME",
        help=f"one of {', '.join(READINGS)}; may be given again; all if not",
    )
    add("--out", type=Path, default=RESULTS, help="where each reading's result folder is written")
    add("--work", type=Path, default=Path("runs/course_table"), help="finished jobs; a stopped run goes on from them")
    add("--backend", default="process", help=f"where the jobs run: {', '.join(BACKENDS)}")
    add("--jobs", type=positive, help="jobs at a time (default: as many as there are cores, here or in the cluster)")
    add("--address", help="of a Ray or Dask cluster")
    return parser


if __name__ == "__main__":
    sys.exit(main())
