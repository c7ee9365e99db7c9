"""A synthetic result folder: the runner's files, from made-up accounts."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

MakeFolder = Callable[..., Path]


def _one_run(rng: np.random.Generator, days: pd.DatetimeIndex, total_return: float) -> pd.DataFrame:
    """Return an account that wanders from 20,000 dollars to the return asked for, and trades now and then."""
    steps = np.cumsum(rng.normal(0, 0.01, days.size))
    bridge = steps - steps[0] - np.linspace(0, 1, days.size) * (steps[-1] - steps[0])
    equity = 20_000 * np.exp(np.linspace(0, np.log1p(total_return), days.size) + bridge)
    orders = rng.choice([20, 0, 0, 0, -20], days.size - 2)
    held = itertools.accumulate(orders.tolist(), lambda units, order: max(0, units + order), initial=0)
    units = np.array([*held, 0])
    return pd.DataFrame({"date": days, "equity": equity, "units": units, "filled": np.diff(units, prepend=0)})


@pytest.fixture(scope="module", autouse=True)
def few_resamples():
    """Draw fewer resamples than a report does: what is told here does not hang on the last digit of an interval."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("etfgym.stats.intervals.RESAMPLES", 400)
        yield


@pytest.fixture(scope="session")
def make_folder() -> MakeFolder:
    """Return the function that writes a result folder."""
    return write_folder


def write_folder(
    folder: Path,
    returns: Mapping[tuple[str, str, int], Sequence[float]],
    *,
    days: int = 30,
    notes: Sequence[str] = (),
    prices: str = "yahoo",
    train: str = "per-etf",
    more: Mapping[str, object] | None = None,
) -> Path:
    """Write a result folder whose returns are given by (agent, ticker, year), one for each seed.

    `more` are further entries of the manifest.
    """
    rng = np.random.default_rng(0)
    rows, curves = [], []
    for (agent, ticker, year), by_seed in returns.items():
        dates = pd.bdate_range(f"{year}-01-01", f"{year}-12-31")[:: max(1, 260 // days)]
        for seed, total_return in enumerate(by_seed):
            curve = _one_run(rng, dates, total_return)
            run = {"agent": agent, "ticker": ticker, "test_start": dates[1], "seed": seed}
            trades = int(np.count_nonzero(curve["filled"]))
            measures = {"sharpe": 0.5, "max_drawdown": 0.1, "turnover": 2.0, "costs": 40.0 + seed, "trades": trades}
            rows.append(run | {"test_end": dates[-1], "total_return": total_return} | measures)
            curves.append(curve.assign(**run))
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_parquet(folder / "results.parquet")
    pd.concat(curves, ignore_index=True).to_parquet(folder / "equity.parquet")
    (folder / "manifest.json").write_text(
        json.dumps(_manifest(returns, notes, prices, train) | (more or {})), encoding="utf-8"
    )
    return folder


def _manifest(
    returns: Mapping[tuple[str, str, int], object], notes: Sequence[str], prices: str, train: str
) -> dict[str, object]:
    return {
        "command": "python -m backtests.run --agents dqn",
        "created": "2026-01-02T03:04:05+00:00",
        "versions": {"etfgym": "0.1.0", "numpy": "2.4.0"},
        "settings": {
            "prices": prices,
            "train": train,
            "environment": {
                "initial_cash": 20_000.0,
                "costs": {"commission": 0.001, "fixed_fee": 0.0, "slippage_bps": 0.0},
            },
        },
        "data_sha256": "ab" * 32,
        "tickers": {ticker: {"source": "made up", "sha256": "cd" * 32} for _, ticker, _ in returns},
        "train": [
            {
                "test_year": year,
                "train_start": f"{year - 9}-01-02",
                "train_end": f"{year - 2}-12-31",
                "valid_start": f"{year - 1}-01-02",
                "valid_end": f"{year - 1}-12-31",
            }
            for year in sorted({year for _, _, year in returns})
        ],
        "notes": list(notes),
    }
