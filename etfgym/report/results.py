"""A result folder, read and checked: what the runner wrote, and nothing that could run.

It holds `results.parquet` (a row for each run), `equity.parquet` (a row for each run and day, the eve first) and
`manifest.json`. A run is one agent on one ticker in one test year with one seed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from etfgym.report.controls import Control, read_controls

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
CASH = "cash"
"""A column of `equity.parquet` that older folders lack."""
MANIFEST_KEYS = ("command", "created", "versions", "settings", "data_sha256", "tickers", "train", "notes")

Rows: TypeAlias = npt.NDArray[np.int64]

CURE = "write the folder again with: python -m backtests.run"


@dataclass(frozen=True, eq=False)
class Results:
    """A result folder, checked; `runs` and `equity` are sorted and carry the test year as `year`."""

    folder: Path
    runs: pd.DataFrame
    equity: pd.DataFrame
    manifest: dict[str, Any]

    @cached_property
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
    def in_sample(self) -> bool:
        """Whether learners were trained on days that they then traded, as the manifest's dates say."""
        return any(str(fold["train_end"]) >= str(fold["test_start"]) for fold in self.folds)

    @property
    def folds(self) -> list[dict[str, Any]]:
        """Dates of training and test, of those test years for which the manifest has both."""
        return [fold for fold in self.manifest["train"] if {"train_end", "test_start"} <= set(fold)]

    @property
    def days_text(self) -> str:
        """What days were traded, as "out of sample 2019-01-02 to 2019-12-31"."""
        first, last = self.period
        return f"{'IN SAMPLE' if self.in_sample else 'out of sample'} {first} to {last}"

    @property
    def kind(self) -> str:
        """What the tickers are: "ETF", or "index" for the builtin prices."""
        return "index" if self.manifest["settings"].get("prices") == "builtin" else "ETF"

    @cached_property
    def scores(self) -> dict[str, pd.DataFrame]:
        """Each agent's returns, cells (ticker and year) by seeds; NaN where a cell lacks a seed."""
        by_agent = self.runs.groupby("agent")
        return {
            str(agent): own.pivot(index=["ticker", "year"], columns="seed", values="total_return")
            for agent, own in by_agent
        }

    @cached_property
    def cells(self) -> dict[str, pd.DataFrame]:
        """Each agent's measures, means over seeds, and first and last day, by cell as in `scores`."""
        by_cell = self.runs.groupby(["agent", "ticker", "year"])
        days = {"test_start": "min", "test_end": "max"}
        table = by_cell.agg({**dict.fromkeys(MEASURES, "mean"), **days})
        return {str(agent): own.droplevel("agent") for agent, own in table.groupby("agent")}

    @cached_property
    def days_of_runs(self) -> list[tuple[Rows, Rows]]:
        """Runs of equal length: their rows in `runs`, shape (n,), and those of their days in `equity`, (n, days)."""
        lengths = self.equity.groupby(ONE_RUN, sort=False).size().to_numpy()  # both are sorted by run
        ends = np.cumsum(lengths)
        return [
            (same, ends[same, None] - length + np.arange(length))
            for length in np.unique(lengths)
            for same in [np.flatnonzero(lengths == length)]
        ]

    def shares_runs(self, agent: str) -> bool:
        """Whether one run, with one seed's luck, traded all tickers of a year: a pooled learner, or the same draws."""
        pooled = self.manifest["settings"].get("train") == "pooled"
        return agent == "random" or (pooled and agent not in BASELINES)

    @property
    def trials(self) -> int | None:
        """How many trainings were run to get here, tuning included; None where the runner did not record it."""
        trials = self.manifest.get("trials")
        return None if trials is None else int(trials)

    @cached_property
    def controls(self) -> list[Control]:
        """What the agents did on the control worlds; empty where the controls were not run."""
        return read_controls(self.manifest)

    @property
    def costs_text(self) -> str:
        """What trades cost, as the manifest's settings say."""
        settings = self.manifest["settings"]
        costs = settings.get("environment", settings).get("costs", {})
        if not {"commission", "fixed_fee", "slippage_bps"} <= set(costs):
            return "costs not recorded"
        return (
            f"commission {100 * costs['commission']:g} %, fixed fee ${costs['fixed_fee']:g}, "
            f"slippage {costs['slippage_bps']:g} basis points"
        )


def load_results(folder: str | Path) -> Results:
    """Read and check a result folder.

    Raises:
        ValueError: If a file, a column, a key, a run's curve or buy-and-hold is missing, or a value is no number; one
            line that says the cure.
    """
    folder = Path(folder)
    for name in ("results.parquet", "equity.parquet", "manifest.json"):
        if not (folder / name).is_file():
            msg = f"{folder / name}: no such file; {CURE}"
            raise ValueError(msg)
    runs = _read_table(folder / "results.parquet", RESULT_COLUMNS)
    equity = _read_table(folder / "equity.parquet", EQUITY_COLUMNS)
    for frame in (runs, equity):
        frame["year"] = frame["test_start"].dt.year
    runs = runs.sort_values(ONE_RUN, ignore_index=True)
    equity = equity.sort_values([*ONE_RUN, "date"], ignore_index=True)
    _check_runs(folder, runs, equity)
    return Results(folder, runs, equity, _read_manifest(folder / "manifest.json"))


def _read_table(path: Path, columns: list[str]) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except (OSError, pa.ArrowInvalid) as error:
        msg = f"{path}: can't be read as Parquet ({str(error).splitlines()[0]}); {CURE}"
        raise ValueError(msg) from None
    if missing := [column for column in columns if column not in frame]:
        msg = f"{path}: lacks {', '.join(map(repr, missing))}; {CURE}"
        raise ValueError(msg)
    columns = [*columns, *({CASH} & set(frame) if columns == EQUITY_COLUMNS else ())]
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
    trials = manifest.get("trials", 1)
    if not isinstance(trials, int) or isinstance(trials, bool) or trials < 1:
        msg = f"{path}: 'trials' must be a whole number above 0, the trainings that were run, got {trials!r}; {CURE}"
        raise ValueError(msg)
    read_controls(manifest)
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
