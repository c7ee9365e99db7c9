"""The main job: train on the past, trade the test years, compare, report.

python -m backtests.run                                    # two stock indices that need no network
python -m backtests.run --prices prices.parquet --universe SPY,QQQ --test-years 2016-2019 --out runs/mine
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from agents.dqn import devices
from backtests.jobs import SETTINGS, list_jobs, run_jobs
from backtests.protocol import AGENTS
from etfgym import sources
from etfgym.atomic import write_atomically
from etfgym.checks import one_of, positive
from etfgym.report.html import write_report
from etfgym.report.results import load_results
from etfgym.report.tables import summary_text
from etfgym.sources.universes import universe
from etfgym.splits import split_by_year

NOTES = {
    "builtin": "Builtin prices are stock indices, not funds: they pay no dividends, and until 2006 the published open "
    "of the S&P 500 is nearly always the last close. Good for trying things out, no evidence about an ETF.",
    "world": "An artificial market: nothing here says anything about a real one.",
}
PACKAGES = ("gymnasium", "numba", "numpy", "pandas", "pyarrow", "torch")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the experiment that the command line asks for; return the exit status."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    try:
        agents = _agents(asked.agents)
        years = parse_years(asked.test_years)
        tickers = universe(asked.universe) if asked.universe else None
        if asked.prices == "yahoo" and tickers is None:
            tickers = universe("seed20")
        device = one_of("--device", asked.device, devices())
        tables = sources.load(asked.prices, tickers)
        splits = {year: [split_by_year(table, year) for table in tables] for year in years}
        jobs = list_jobs(
            agents, tables, years, seeds=asked.seeds, steps=asked.steps, pooled=asked.train == "pooled", device=device
        )
        asked.out.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError, ImportError) as error:
        parser.error(str(error))
    named = ", ".join(table.ticker for table in tables)
    print(f"{len(jobs)} jobs: {', '.join(agents)} on {named}, test years {', '.join(map(str, years))}")
    try:
        results, equity = run_jobs(jobs, tables, asked.out / "jobs", os.cpu_count() or 1)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    _write_table(asked.out / "results.parquet", results)
    _write_table(asked.out / "equity.parquet", equity)
    command = "python -m backtests.run " + shlex.join(sys.argv[1:] if arguments is None else arguments)
    settings = {name: str(value) for name, value in vars(asked).items()} | SETTINGS
    manifest = {
        "command": command.strip(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "settings": settings,
        "data_sha256": hashlib.sha256("".join(table.sha256 for table in tables).encode()).hexdigest(),
        "tickers": {table.ticker: {"source": table.source, "sha256": table.sha256} for table in tables},
        "train": [_periods(year, splits[year]) for year in years],
        "notes": [note for source, note in NOTES.items() if any(table.source.startswith(source) for table in tables)],
    }
    write_atomically(asked.out / "manifest.json", lambda path: path.write_text(json.dumps(manifest, indent=1)))
    report = write_report(asked.out)
    print(f"\n{summary_text(load_results(asked.out))}\n\nreport: {report}")
    return 0


def parse_years(text: str) -> list[int]:
    """Return the years of "2018", "2016-2020" or "2012,2016-2018".

    Raises:
        ValueError: If it is neither.

    Example:
        >>> parse_years("2012,2016-2018")
        [2012, 2016, 2017, 2018]
    """
    years: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\d{4})(?:-(\d{4}))?", part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            msg = f"--test-years must look like 2018, 2016-2020 or 2012,2018, got {text!r}"
            raise ValueError(msg)
        years.update(range(first, last + 1))
    return sorted(years)


def _agents(text: str) -> list[str]:
    """Return the agents named, with buy-and-hold among them: nothing is reported without it."""
    agents = [one_of("agent", name.strip(), AGENTS) for name in text.split(",")]
    return list(dict.fromkeys([*agents, "buy-and-hold"]))


def _periods(year: int, splits: Sequence[Any]) -> dict[str, Any]:
    """Return the dates of a test year's periods, from the earliest first day to the latest last day."""
    dates: dict[str, Any] = {"test_year": year}
    for name in ("train", "valid", "test"):
        periods = [getattr(split, name) for split in splits]
        dates[f"{name}_start"] = str(min(period.first for period in periods))
        dates[f"{name}_end"] = str(max(period.last for period in periods))
    return dates


def _write_table(path: Path, frame: pd.DataFrame) -> None:
    write_atomically(path, lambda part: frame.to_parquet(part, index=False))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m backtests.run",
        description="Train on the past, trade the test years, compare with buy-and-hold, report.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--prices", default="builtin", help="builtin, yahoo, world:NAME or a path (CSV, folder of them, Parquet)")
    add(
        "--universe",
        metavar="NAME|T1,T2,...",
        help="tickers, or a name in data/universes.toml (default: all there are)",
    )
    add("--test-years", default="2017-2018", help="2018, 2016-2020 or 2012,2018; each is traded once, out of sample")
    add("--agents", default=",".join(AGENTS), help="buy-and-hold is always added")
    add("--seeds", type=positive, default=10, help="trainings of each learner, draws of the random agent")
    add("--device", default="cpu", help="where the learners learn: cpu or cuda")
    add("--steps", type=positive, default=8_000, help="training transitions of each learner")
    add("--train", choices=("per-etf", "pooled"), default="per-etf", help="a learner for each ETF, or one for all")
    add("--out", type=Path, default=Path("runs/backtest"), help="result folder; a stopped run goes on there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
