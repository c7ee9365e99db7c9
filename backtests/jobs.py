"""Jobs: the pieces of an experiment, each a frozen spec whose hash names its file, so that a killed run goes on."""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

import etfgym
from agents.market import CHECKS, INITIAL_CASH
from agents.registry import SEEDED, Agent
from backtests.backends import Backend
from backtests.protocol import trade_test_year
from etfgym.atomic import write_atomically
from etfgym.backtest import BacktestResult
from etfgym.ledger import Costs
from etfgym.prices import PriceTable
from etfgym.splits import Fold

ROOT = Path(__file__).parents[1]
WITHOUT_RESULT = {"report", "stats", "worlds"}
"""Folders of code that no job's result depends on."""


def code_digest() -> str:
    """Return the SHA-256 of the code that a result depends on: all but reports, learnt worlds and command lines."""
    files = [*ROOT.glob("etfgym/**/*.py"), *ROOT.glob("agents/*.py"), ROOT / "backtests" / "protocol.py"]
    commands = {"cli.py", "train.py", "train_game.py", "tune.py", "video.py"}
    used = [file for file in sorted(files) if not WITHOUT_RESULT & set(file.parts) and file.name not in commands]
    return hashlib.sha256(b"".join(file.read_bytes() for file in used)).hexdigest()


SETTINGS = {"version": etfgym.__version__, "code": code_digest(), "checks": CHECKS, "initial_cash": INITIAL_CASH}
"""What every job depends on beside its own fields."""


@dataclass(frozen=True)
class Job:
    """One agent, trained (if it learns) with one seed, in one fold, on one ETF or on a pool of them."""

    agent: str
    learner: str | None
    """What learns, as `agents.registry.Agent.spec` tells it; None for an agent that doesn't."""
    tickers: tuple[str, ...]
    fold: Fold
    seed: int
    steps: int
    """Training transitions; 0 for agents that don't learn."""
    costs: Costs
    data: tuple[str, ...]
    """SHA-256 of each ticker's table."""
    device: str = "cpu"
    """Where it learns; the chance in a training on a GPU is not that of one on a CPU."""

    @cached_property
    def key(self) -> str:
        """The hash of all that the result depends on; 16 hexadecimal digits."""
        spec = json.dumps([asdict(self), SETTINGS], sort_keys=True)
        return hashlib.sha256(spec.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        on = self.tickers[0] if len(self.tickers) == 1 else f"a pool of {len(self.tickers)}"
        return f"{self.agent} on {on}, test year {self.fold.test_year}, seed {self.seed}"


@dataclass(frozen=True)
class Finished:
    """What `run_jobs` found: sorted tables, and the jobs that failed with the last line of their errors."""

    results: pd.DataFrame
    """One row per agent, ticker, test year and seed."""
    equity: pd.DataFrame
    """One per such row and day."""
    errors: dict[Job, str]


def list_jobs(
    agents: Mapping[str, Agent | None],
    tables: Sequence[PriceTable],
    folds: Iterable[Fold],
    *,
    seeds: int,
    steps: int | None = None,
    pooled: bool = False,
    costs: Costs | None = None,
    device: str = "cpu",
) -> list[Job]:
    """Return the jobs of an experiment; only learners are pooled, and only agents with chance in them have seeds.

    Args:
        agents: By name; None for a fixed policy.
        tables: What is traded.
        folds: Years.
        seeds: Trainings of each learner, draws of each agent with chance in it.
        steps: Transitions of a training; None: each learner's own.
        pooled: One training on all tables, instead of one a table.
        costs: What trades cost.
        device: Where learners learn.
    """
    folds, costs = list(folds), costs or Costs()
    jobs: list[Job] = []
    for name, agent in agents.items():
        groups = [tuple(tables)] if agent and pooled else [(table,) for table in tables]
        spec, length = (agent.spec(), steps or agent.n_timesteps) if agent else (None, 0)
        where = device if agent else "cpu"
        draws = range(seeds if agent or name in SEEDED else 1)
        for group in groups:
            tickers, data = zip(*((table.ticker, table.sha256) for table in group), strict=True)
            jobs += [
                Job(name, spec, tickers, fold, seed, length, costs, data, where) for fold in folds for seed in draws
            ]
    return jobs


def run_jobs(
    jobs: Sequence[Job], tables: Sequence[PriceTable], folder: Path, backend: Backend, desc: str = "backtest"
) -> Finished:
    """Run the jobs that `folder` has no result of, and return all results.

    A job that fails leaves its traceback in `KEY.error.txt`, and the others go on; the next call tries it again. A job
    whose worker is lost is given to another.

    Args:
        jobs: What to run.
        tables: At least those that the jobs name.
        folder: Where each finished job's file lies, `KEY.parquet`; on a cluster, all machines see it.
        backend: Where they run.
        desc: Name of the progress bar.
    """
    folder = folder.resolve()  # a worker may have been started elsewhere
    folder.mkdir(parents=True, exist_ok=True)
    by_name = {table.ticker: table for table in tables}
    total = sum(map(_weight, jobs))
    with tqdm(total=total, unit=" transitions", unit_scale=True, desc=desc) as bar:
        left = [job for job in jobs if not _file(folder, job).exists()]
        bar.update(total - sum(map(_weight, left)))
        left.sort(key=lambda job: -job.steps)  # long ones first, so that no core waits at the end
        calls = [(job, [by_name[ticker] for ticker in job.tickers], folder, job.key) for job in left]
        for job in backend.run(run_job, calls):
            bar.update(_weight(job))
    errors = {job: _last_line(folder / f"{job.key}.error.txt") for job in jobs if not _file(folder, job).exists()}
    parts = [_read(_file(folder, job)) for job in jobs if job not in errors]
    return Finished(*_joined(parts), errors)


def run_job(job: Job, tables: Sequence[PriceTable], folder: Path, key: str) -> Job:
    """Run one job, write its file, or its error's, and return the job.

    Args:
        job: What to run.
        tables: Prices of its tickers.
        folder: For `KEY.parquet`, and `KEY.agent` for what was learned; while it runs, `KEY.checkpoint` lies there,
            from which it goes on when it was killed.
        key: The job's, as it was when the run began: a process that starts later may see other code.
    """
    file, agent, checkpoint, error = (
        folder / f"{key}.{end}" for end in ("parquet", "agent", "checkpoint", "error.txt")
    )
    if file.exists():  # its worker was lost after it was done
        return job
    error.unlink(missing_ok=True)  # of an earlier try
    learner = Agent.of(job.learner) if job.learner else None
    try:
        outcomes = trade_test_year(
            job.agent, learner, tables, job.fold, job.seed, job.steps,
            costs=job.costs, device=job.device, checkpoint=checkpoint, keep=agent,
        )  # fmt: skip
    except Exception:
        text = f"{job}\n{json.dumps(asdict(job))}\n{traceback.format_exc()}"
        write_atomically(error, lambda path: path.write_text(text))
        return job
    rows = [result_row(job, outcome) for outcome in outcomes]
    days = pa.Table.from_pandas(pd.concat([daily_rows(job, outcome) for outcome in outcomes]), preserve_index=False)
    days = days.replace_schema_metadata({"results": json.dumps(rows), "job": json.dumps(asdict(job))})
    write_atomically(file, lambda path: pq.write_table(days, path))
    checkpoint.unlink(missing_ok=True)
    return job


def result_row(job: Job, outcome: BacktestResult) -> dict[str, Any]:
    """Return one row of `results.parquet`: fractions, except costs (dollars) and trades (a count)."""
    return {
        "agent": job.agent,
        "ticker": outcome.ticker,
        "test_start": str(outcome.dates[1]),
        "test_end": str(outcome.dates[-1]),
        "seed": job.seed,
        "total_return": outcome.total_return,
        "sharpe": None if np.isnan(outcome.sharpe) else outcome.sharpe,
        "max_drawdown": outcome.max_drawdown,
        "turnover": outcome.turnover,
        "costs": outcome.cost,
        "trades": outcome.trades,
    }


def daily_rows(job: Job, outcome: BacktestResult) -> pd.DataFrame:
    """Return the rows of `equity.parquet`: the eve, then each day traded."""
    days = len(outcome.dates)
    return pd.DataFrame(
        {
            "agent": np.full(days, job.agent),
            "ticker": np.full(days, outcome.ticker),
            "test_start": np.full(days, outcome.dates[1].astype("datetime64[s]")),
            "seed": np.full(days, job.seed),
            "date": outcome.dates.astype("datetime64[s]"),
            "equity": outcome.curves.equity,
            "cash": outcome.curves.cash,
            "units": outcome.curves.units,
            "filled": outcome.curves.filled,
        }
    )


def _weight(job: Job) -> int:
    """Return how much of the bar a job is."""
    return max(job.steps, 100)


def _file(folder: Path, job: Job) -> Path:
    return folder / f"{job.key}.parquet"


def _last_line(file: Path) -> str:
    return file.read_text().strip().splitlines()[-1] if file.exists() else "its worker was lost again and again"


def _read(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a finished job's result rows and daily rows."""
    table = pq.read_table(path)
    results = pd.DataFrame(json.loads(table.schema.metadata[b"results"]))
    for column in ("test_start", "test_end"):
        results[column] = results[column].astype("datetime64[s]")
    results["sharpe"] = results["sharpe"].astype(float)
    return results, table.to_pandas()


def _joined(parts: Sequence[tuple[pd.DataFrame, pd.DataFrame]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return all result rows and all daily rows, sorted."""
    if not parts:
        return pd.DataFrame(), pd.DataFrame()
    order = ["agent", "ticker", "test_start", "seed"]
    results = pd.concat([part[0] for part in parts]).sort_values(order, ignore_index=True)
    equity = pd.concat([part[1] for part in parts]).sort_values([*order, "date"], ignore_index=True)
    return results, equity
