"""What an experiment will take, before it is run: jobs, core-hours, and hours on so many machines.

python -m backtests.plan --agents dqn,sb3-ppo --test-years 2011-2020 --seeds 10 --nodes 1,4,16 --cores 8
"""

from __future__ import annotations

import heapq
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from joblib import cpu_count
from tqdm import tqdm

from agents.market import train
from agents.registry import Agent
from backtests.controls import control_jobs
from backtests.jobs import Job
from backtests.run import Spec, options, read
from etfgym.checks import positive
from etfgym.ledger import Costs
from etfgym.prices import PriceTable

LONG = 12_000
"""Transitions of the longer of two trainings that are timed; the shorter has half of them. Both are longer than the
random steps before learning starts: the line through their times tells what a transition costs and what a training
costs besides."""
REPEATS = 2
NOTE = f"""Measured on this machine by the processor's clock: {REPEATS} times two short trainings of each learner, of up
to {LONG:,} transitions, carried over to the full length on a line. The ranges are those of the {REPEATS}. Other
cores differ; starting up, and agents that don't learn (seconds), aren't counted. No test year was looked at."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Core-seconds of one training: an estimate and half the range of the estimates it is the mean of."""

    seconds: float
    spread: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what the experiment that the command line asks for will take; return the exit status."""
    parser = options(
        "python -m backtests.plan", "Say how many jobs an experiment has and how long machines need for it."
    )
    parser.add_argument("--nodes", type=_counts, default="1,4,16", help="numbers of machines")
    parser.add_argument("--cores", type=positive, default=cpu_count(), help="cores of each of them")
    asked = parser.parse_args(arguments)
    try:
        spec = read(asked)
    except (ValueError, OSError, ImportError) as error:
        parser.error(str(error))
    learners = {name: agent for name, agent in spec.agents.items() if agent}
    control = control_jobs(learners, spec.tables, spec.folds[-1], steps=asked.steps, pooled=spec.pooled, costs=Costs())
    stages = [spec.jobs, *(jobs for _, _, jobs in control)]
    costs = measure(learners, spec)
    print(report(stages, costs, asked.out / "jobs", asked.nodes, asked.cores))
    return 0


def measure(learners: Mapping[str, Agent], spec: Spec) -> dict[str, Cost]:
    """Return what one training of each learner costs, from short trainings; the test years aren't looked at.

    The processor's clock is read, so it doesn't matter what else the machine does. The first training isn't counted:
    code is compiled in it.
    """
    by_name = {table.ticker: table for table in spec.tables}
    firsts = {name: next(job for job in spec.jobs if job.agent == name) for name in learners}
    lengths = {name: min(LONG, job.steps) for name, job in firsts.items()}
    total = sum(length // 2 + REPEATS * (length // 2 + length) for length in lengths.values())
    costs = {}
    with tqdm(total=total, unit=" transitions", unit_scale=True, desc="measuring") as bar:
        for name, job in firsts.items():
            tables = [by_name[ticker] for ticker in job.tickers]

            def timed(steps: int, job: Job = job, tables: Sequence[PriceTable] = tables) -> float:
                began = time.process_time()
                train(learners[job.agent], tables, job.fold, job.seed, steps, costs=job.costs, device=job.device)
                bar.update(steps)
                return time.process_time() - began

            long, short = lengths[name], max(1, lengths[name] // 2)
            timed(short)
            pairs = [(timed(short), timed(long)) for _ in range(REPEATS)]
            costs[name] = extended(pairs, short, long, job.steps)
    return costs


def extended(pairs: Sequence[tuple[float, float]], short: int, long: int, steps: int) -> Cost:
    """Return the cost of a training of `steps` on the line through each pair of times.

    Example:
        >>> extended([(2.0, 3.0), (2.0, 3.2)], 1_000, 2_000, 11_000)
        Cost(seconds=13.0, spread=1.0)
    """
    times = [slow + max(0.0, slow - fast) * (steps - long) / max(1, long - short) for fast, slow in pairs]
    return Cost(round(statistics.fmean(times), 6), round((max(times) - min(times)) / 2, 6))


def report(
    stages: Sequence[Sequence[Job]], costs: Mapping[str, Cost], folder: Path, nodes: Sequence[int], cores: int
) -> str:
    """Return the plan as text.

    Args:
        stages: Jobs that are run beside each other; one stage follows another.
        costs: By learner; other agents are taken to cost nothing.
        folder: Where finished jobs lie.
        nodes: Numbers of machines.
        cores: Of each.
    """
    left = [[job for job in jobs if not (folder / f"{job.key}.parquet").exists()] for jobs in stages]
    every, waiting = list(chain(*stages)), list(chain(*left))
    done = len(every) - len(waiting)
    head = f"{len(every)} jobs, the standing controls' among them: {done} done, {len(waiting)} left"
    agents: list[tuple[str, ...]] = [
        ("agent", "jobs", "done", "left", "transitions", "core-seconds a job", "core-hours left")
    ]
    for name in dict.fromkeys(job.agent for job in every):
        own, open_ = ([job for job in jobs if job.agent == name] for jobs in (every, waiting))
        cost = costs.get(name)
        each = f"{cost.seconds:,.1f} ± {cost.spread:,.1f}" if cost else "not counted"
        hours = _hours(cost.seconds * len(open_)) if cost else ""
        counts = (f"{count:,}" for count in (len(own), len(own) - len(open_), len(open_), own[0].steps))
        agents.append((name, *counts, each, hours))
    low, mid, high = (_hours(sum(_seconds(waiting, costs, sign))) for sign in (-1, 0, 1))
    machines: list[tuple[str, ...]] = [("machines", "cores of each", "hours", "from", "to")]
    for number in nodes:
        ends = (sum(makespan(_seconds(jobs, costs, sign), number * cores) for jobs in left) for sign in (0, -1, 1))
        machines.append((f"{number:,}", f"{cores:,}", *map(_hours, ends)))
    return "\n\n".join((head, _lines(agents), f"left: {mid} core-hours ({low} to {high})", _lines(machines), NOTE))


def makespan(seconds: Sequence[float], cores: int) -> float:
    """Return when the last of some jobs ends if the longest are begun first, each on the core that is free first.

    Example:
        >>> makespan([3.0, 3.0, 2.0, 2.0, 2.0], 2)
        7.0
    """
    free = [0.0] * cores
    for length in sorted(seconds, reverse=True):
        heapq.heapreplace(free, free[0] + length)
    return max(free)


def _seconds(jobs: Sequence[Job], costs: Mapping[str, Cost], sign: int) -> list[float]:
    """Return what each job costs: the least for a sign of -1, the estimate for 0, the most for 1."""
    priced = [costs[job.agent] for job in jobs if job.agent in costs]
    return [max(0.0, cost.seconds + sign * cost.spread) for cost in priced]


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:,.1f}" if hours >= 1 else f"{hours:.2g}"


def _lines(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of words as lines with columns, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(word.ljust(width) if not place else word.rjust(width) for place, (word, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in rows)
    )


def _counts(text: str) -> list[int]:
    return [positive(part) for part in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
