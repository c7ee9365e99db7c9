"""The main job: train on the past, trade the test years, compare, report.

python -m backtests.run                                    # two stock indices that need no network
python -m backtests.run --prices prices.parquet --universe SPY,QQQ --test-years 2016-2019 --out runs/mine
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.dqn import devices
from agents.registry import FIXED, Agent, find
from agents.train_market import load
from backtests.backends import BACKENDS, Backend
from backtests.controls import controls
from backtests.folder import write_folder
from backtests.jobs import Job, list_jobs, run_jobs
from etfgym.checks import one_of, parse_years, positive
from etfgym.ledger import Costs
from etfgym.prices import PriceTable
from etfgym.report.html import write_report
from etfgym.report.results import load_results
from etfgym.report.tables import summary_text
from etfgym.splits import Fold, split_by_fold


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the experiment that the command line asks for; return the exit status."""
    parser = options("python -m backtests.run", "Train on the past, trade the test years, compare with buy-and-hold.")
    asked = parser.parse_args(arguments)
    try:
        spec = read(asked)
        asked.out.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError, ImportError) as error:
        parser.error(str(error))
    agents, tables, folds, jobs, backend = spec.agents, spec.tables, spec.folds, spec.jobs, spec.backend
    named = ", ".join(table.ticker for table in tables)
    print(f"{len(jobs)} jobs: {', '.join(agents)} on {named}, test years {', '.join(str(f.test_year) for f in folds)}")
    try:
        finished = run_jobs(jobs, tables, asked.out / "jobs", backend)
        learners = {name: agent for name, agent in agents.items() if agent}
        found = controls(
            learners, tables, folds[-1], asked.out / "jobs", backend,
            steps=asked.steps, pooled=spec.pooled, costs=Costs(),
        )  # fmt: skip
    except ConnectionError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    for job, why in finished.errors.items():
        print(f"failed: {job}: {why}; traceback: {asked.out / 'jobs' / job.key}.error.txt", file=sys.stderr)
    if finished.results.empty:
        return 1
    command = "python -m backtests.run " + shlex.join(sys.argv[1:] if arguments is None else arguments)
    settings = {name: str(value) for name, value in vars(asked).items()}
    write_folder(
        asked.out,
        finished,
        jobs,
        tables,
        command=command.strip(),
        settings=settings,
        more={"controls": found},
        work=asked.out / "jobs",
        tuned=sum(agent.tuned for agent in learners.values()),
    )
    try:
        report = write_report(asked.out)
    except ValueError as error:
        print(f"no report: {error}", file=sys.stderr)
        return 1
    print(f"\n{summary_text(load_results(asked.out))}\n\nreport: {report}")
    return int(bool(finished.errors))


@dataclass(frozen=True, slots=True)
class Spec:
    """The experiment that the options ask for."""

    agents: dict[str, Agent | None]
    """By name; None for a fixed policy."""
    tables: list[PriceTable]
    folds: list[Fold]
    pooled: bool
    jobs: list[Job]
    backend: Backend


def read(asked: argparse.Namespace) -> Spec:
    """Return the experiment that the options ask for.

    Raises:
        ValueError: If an option is wrong, or a table doesn't reach from the training to a test year.
        OSError: If the prices can't be read.
        ImportError: If an extra is needed that isn't installed.
    """
    agents = {name: find(name) for name in _agents(asked.agents)}
    folds = [Fold(year, asked.train_years) for year in parse_years(asked.test_years)]
    device = one_of("--device", asked.device, devices())
    backend = Backend(asked.backend, asked.jobs, asked.address)
    tables = load(asked.prices, asked.universe)
    for fold in folds:
        for table in tables:
            split_by_fold(table, fold)
    pooled = asked.train == "pooled"
    jobs = list_jobs(agents, tables, folds, seeds=asked.seeds, steps=asked.steps, pooled=pooled, device=device)
    return Spec(agents, tables, folds, pooled, jobs, backend)


def _agents(text: str) -> list[str]:
    """Return the agents named, with buy-and-hold among them: nothing is reported without it."""
    return list(dict.fromkeys([*(name.strip() for name in text.split(",")), "buy-and-hold"]))


def options(prog: str, description: str) -> argparse.ArgumentParser:
    """Return the parser of an experiment's options."""
    parser = argparse.ArgumentParser(
        prog=prog, description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--prices", default="builtin", help="builtin, yahoo, world:NAME or a path (CSV, folder of them, Parquet)")
    add(
        "--universe",
        metavar="NAME|T1,T2,...",
        help="tickers, or a name in data/universes.toml (default: all there are)",
    )
    add("--test-years", default="2017-2018", help="2018, 2016-2020 or 2012,2018; each is traded once, out of sample")
    add("--train-years", type=positive, help="years to train on, a rolling window (default: all there are, expanding)")
    add("--agents", default=",".join(("dqn", "dqn-counterfactual", *FIXED)), help="buy-and-hold is always added")
    add("--seeds", type=positive, default=10, help="trainings of each learner, draws of the random agent")
    add("--device", default="cpu", help="where the learners learn: cpu or cuda")
    add("--steps", type=positive, help="training transitions of each learner (default: those of its settings)")
    add("--train", choices=("per-etf", "pooled"), default="per-etf", help="a learner for each ETF, or one for all")
    add("--backend", default="process", help=f"where the jobs run: {', '.join(BACKENDS)}")
    add("--jobs", type=positive, help="jobs at a time (default: as many as there are cores, here or in the cluster)")
    add("--address", help="of a Ray or Dask cluster (default: one is started on this machine)")
    add("--out", type=Path, default=Path("runs/backtest"), help="result folder; a stopped run goes on there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
