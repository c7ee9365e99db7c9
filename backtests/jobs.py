"""Jobs: the pieces of an experiment, each a frozen spec whose hash names its file, so that a killed run goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from joblib import Parallel, delayed
from tqdm import tqdm

import etfgym
from backtests.protocol import CHECKS, DQN_CONFIG, DQN_OBSERVATION, ENVIRONMENT, SEEDED, TRAINING_ENVS, trade_test_year
from etfgym.atomic import write_atomically
from etfgym.backtest import BacktestResult
from etfgym.prices import PriceTable

ROOT = Path(__file__).parents[1]


def code_digest() -> str:
    """Return the SHA-256 of the code that a result depends on: all of it but reports and command lines."""
    files = [*ROOT.glob("etfgym/**/*.py"), *ROOT.glob("agents/*.py"), ROOT / "backtests" / "protocol.py"]
    used = [file for file in sorted(files) if "report" not in file.parts and file.name not in {"cli.py", "stats.py"}]
    return hashlib.sha256(b"".join(file.read_bytes() for file in used)).hexdigest()


SETTINGS = {
    "version": etfgym.__version__,
    "code": code_digest(),
    "environment": {**ENVIRONMENT, "costs": asdict(ENVIRONMENT["costs"])},
    "dqn": {**asdict(DQN_CONFIG), **DQN_OBSERVATION, "training_envs": TRAINING_ENVS, "checks": CHECKS},
}
"""What every job depends on beside its own fields."""


@dataclass(frozen=True, slots=True)
class Job:
    """One agent, trained (if it learns) with one seed, in one test year, on one ETF or on a pool of them."""

    agent: str
    tickers: tuple[str, ...]
    test_year: int
    seed: int
    steps: int
    """Training transitions; 0 for agents that don't learn."""
    data: tuple[str, ...]
    """SHA-256 of each ticker's table."""
    device: str = "cpu"
    """Where it learns; the chance in a training on a GPU is not that of one on a CPU."""

    @property
    def key(self) -> str:
        """The hash of all that the result depends on; 16 hexadecimal digits."""
        spec = json.dumps([asdict(self), SETTINGS], sort_keys=True)
        return hashlib.sha256(spec.encode()).hexdigest()[:16]


def list_jobs(
    agents: Iterable[str],
    tables: Sequence[PriceTable],
    years: Iterable[int],
    *,
    seeds: int,
    steps: int,
    pooled: bool,
    device: str = "cpu",
) -> list[Job]:
    """Return the jobs of an experiment; only learners are pooled, and only agents with chance in them have seeds."""
    years = list(years)
    jobs: list[Job] = []
    for agent in agents:
        learns = agent == "dqn"
        groups = [tuple(tables)] if learns and pooled else [(table,) for table in tables]
        for group in groups:
            tickers, data = zip(*((table.ticker, table.sha256) for table in group), strict=True)
            draws = range(seeds if agent in SEEDED else 1)
            training = (steps, data, device) if learns else (0, data)
            jobs += [Job(agent, tickers, year, seed, *training) for year in years for seed in draws]
    return jobs


def run_jobs(
    jobs: Sequence[Job], tables: Sequence[PriceTable], folder: Path, processes: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run the jobs that `folder` has no result of, and return all results and all daily accounts.

    Args:
        jobs: What to run.
        tables: At least those that the jobs name.
        folder: Where each finished job's file lies, `KEY.parquet`.
        processes: Jobs at a time.

    Returns:
        One row per agent, ticker, test year and seed; and one per such row and day.
    """
    folder.mkdir(parents=True, exist_ok=True)
    by_name = {table.ticker: table for table in tables}
    files = {job: folder / f"{job.key}.parquet" for job in jobs}
    left = [job for job in jobs if not files[job].exists()]
    left.sort(key=lambda job: -job.steps)  # long ones first, so that no core waits at the end
    runs = Parallel(n_jobs=processes, return_as="generator_unordered")(
        delayed(run_job)(job, [by_name[ticker] for ticker in job.tickers], files[job]) for job in left
    )
    weights = {file: max(job.steps, 100) for job, file in files.items()}
    with tqdm(total=sum(weights.values()), unit=" transitions", unit_scale=True, desc="backtest") as bar:
        bar.update(sum(weights.values()) - sum(weights[files[job]] for job in left))
        for file in runs:
            bar.update(weights[file])
    parts = [_read(files[job]) for job in jobs]
    order = ["agent", "ticker", "test_start", "seed"]
    results = pd.concat([part[0] for part in parts]).sort_values(order, ignore_index=True)
    equity = pd.concat([part[1] for part in parts]).sort_values([*order, "date"], ignore_index=True)
    return results, equity


def run_job(job: Job, tables: Sequence[PriceTable], file: Path) -> Path:
    """Run one job, write its file and return that.

    The file was named by the code as it was when the run began: a process that starts later may see other code.
    """
    outcomes = trade_test_year(job.agent, tables, job.test_year, job.seed, job.steps, job.device)
    rows = [result_row(job, outcome) for outcome in outcomes]
    days = pa.Table.from_pandas(pd.concat([daily_rows(job, outcome) for outcome in outcomes]), preserve_index=False)
    days = days.replace_schema_metadata({"results": json.dumps(rows), "job": json.dumps(asdict(job))})
    write_atomically(file, lambda path: pq.write_table(days, path))
    return file


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
            "units": outcome.curves.units,
            "filled": outcome.curves.filled,
        }
    )


def _read(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a finished job's result rows and daily rows."""
    table = pq.read_table(path)
    results = pd.DataFrame(json.loads(table.schema.metadata[b"results"]))
    for column in ("test_start", "test_end"):
        results[column] = results[column].astype("datetime64[s]")
    results["sharpe"] = results["sharpe"].astype(float)
    return results, table.to_pandas()
