"""A result folder: tables and a manifest that says where they come from."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from backtests.jobs import SETTINGS, Finished, Job
from etfgym.atomic import write_atomically
from etfgym.prices import PriceTable
from etfgym.splits import Fold, split_by_fold

NOTES = {
    "builtin": "Builtin prices are stock indices, not funds: they pay no dividends, and until 2006 the published open "
    "of the S&P 500 is nearly always the last close. Good for trying things out, no evidence about an ETF.",
    "world": "An artificial market: nothing here says anything about a real one.",
}
IN_SAMPLE = "IN SAMPLE: the agents were trained on the very year that they trade. Nothing here says what they can do."
PACKAGES = ("gymnasium", "numba", "numpy", "pandas", "pyarrow", "torch")


def write_folder(
    out: Path,
    finished: Finished,
    jobs: Sequence[Job],
    tables: Sequence[PriceTable],
    *,
    command: str,
    settings: Mapping[str, Any],
    more: Mapping[str, Any],
    work: Path,
    tuned: int,
) -> None:
    """Write `results.parquet`, `equity.parquet` and `manifest.json` into `out`, each whole or not at all.

    One agent of each learner, that of the last fold's first seed, is copied into `agents/NAME`.

    Args:
        out: The folder.
        finished: What the jobs came to.
        jobs: All that were run.
        tables: What was traded.
        command: That gives the same again.
        settings: Of the command.
        more: Further entries of the manifest, such as the controls.
        work: Folder of the finished jobs.
        tuned: Trainings by which the learners' settings were chosen.
    """
    out.mkdir(parents=True, exist_ok=True)
    folds = sorted({job.fold for job in jobs}, key=lambda fold: fold.test_year)
    learners = {job.agent: json.loads(job.learner) for job in jobs if job.learner}
    costs = sorted({tuple(asdict(job.costs).items()) for job in jobs})
    notes = [note for source, note in NOTES.items() if any(table.source.startswith(source) for table in tables)]
    notes += [IN_SAMPLE] * any(fold.in_sample for fold in folds)
    manifest = {
        "command": command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "settings": {**settings, **SETTINGS, "environment": {"costs": dict(costs[0])}, "agents": learners},
        "data_sha256": hashlib.sha256("".join(table.sha256 for table in tables).encode()).hexdigest(),
        "tickers": {table.ticker: {"source": table.source, "sha256": table.sha256} for table in tables},
        "train": [_periods(fold, tables) for fold in folds],
        "notes": notes,
        "trials": trials(jobs, tuned),
        "agents": {name: _keep(job, work, out / "agents" / name) for name, job in _examples(jobs).items()},
        "errors": {str(job): error for job, error in finished.errors.items()},
        **more,
    }
    _write_table(out / "results.parquet", finished.results)
    _write_table(out / "equity.parquet", finished.equity.round({"equity": 2, "cash": 2}))  # to the cent
    write_atomically(out / "manifest.json", lambda path: path.write_text(json.dumps(manifest, indent=1)))


def _examples(jobs: Sequence[Job]) -> dict[str, Job]:
    """Return a job of each learner by its name: of the last test year, the first ticker and the first seed."""
    latest = sorted(jobs, key=lambda job: job.fold.test_year)  # the others stay in their order
    learners = [job for job in latest if job.learner and job.fold == latest[-1].fold]
    return {job.agent: job for job in reversed(learners)}


def _keep(job: Job, work: Path, to: Path) -> dict[str, Any]:
    """Copy what a job learned; return what the manifest tells of it."""
    if (work / f"{job.key}.agent").exists():
        shutil.copytree(work / f"{job.key}.agent", to, dirs_exist_ok=True)
    return {"tickers": list(job.tickers), "test_year": job.fold.test_year, "seed": job.seed, "steps": job.steps}


def trials(jobs: Sequence[Job], tuned: int) -> int:
    """Return how many trainings the best is the best of: those among the jobs, and those of the tuning before."""
    return len({job.key for job in jobs if job.learner}) + tuned


def _periods(fold: Fold, tables: Sequence[PriceTable]) -> dict[str, Any]:
    """Return the dates of a fold's periods, from the earliest first day to the latest last day."""
    splits = [split_by_fold(table, fold) for table in tables]
    dates: dict[str, Any] = {"test_year": fold.test_year}
    for name in ("train", "valid", "test"):
        periods = [getattr(split, name) for split in splits]
        dates[f"{name}_start"] = str(min(period.first for period in periods))
        dates[f"{name}_end"] = str(max(period.last for period in periods))
    return dates


def _write_table(path: Path, frame: pd.DataFrame) -> None:
    write_atomically(path, lambda part: frame.to_parquet(part, index=False, compression="zstd", compression_level=15))
