"""Measures of risk and of trading for each run, from its daily account; conventions stand in `etfgym.metrics`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from etfgym import metrics
from etfgym.report.results import Results

OF_EQUITY: dict[str, Callable[[metrics.Floats], npt.NDArray[Any]]] = {
    "volatility": metrics.volatility,
    "sharpe": metrics.sharpe,
    "sortino": metrics.sortino,
    "calmar": metrics.calmar,
    "max_drawdown": metrics.max_drawdown,
    "longest_drawdown": metrics.longest_drawdown,
    "value_at_risk": metrics.value_at_risk,
    "conditional_value_at_risk": metrics.conditional_value_at_risk,
}


def risk_measures(results: Results) -> pd.DataFrame:
    """Return each agent's measures, the mean over cells of the mean over seeds, NaN left out; one row an agent.

    Columns are those of `OF_EQUITY` and `exposure` (NaN where the runner did not record cash), `hit_rate` and
    `cost_share`.
    """
    days = {name: results.equity[name].to_numpy() for name in results.equity if name in {"units", "filled", "cash"}}
    equity = results.equity["equity"].to_numpy(np.float64)
    table = results.runs[["agent", "ticker", "year"]].copy()
    table[[*OF_EQUITY, "exposure", "hit_rate", "cost_share"]] = np.nan
    for runs, rows in results.days_of_runs:
        curves = equity[rows]  # (runs, days)
        found = {name: measure(curves) for name, measure in OF_EQUITY.items()}
        found["hit_rate"] = metrics.hit_rate(curves, days["units"][rows], days["filled"][rows])
        found["cost_share"] = results.runs["costs"].to_numpy(np.float64)[runs] / curves[:, 0]
        if "cash" in days:
            found["exposure"] = metrics.exposure(days["cash"][rows], curves)
        table.loc[table.index[runs], list(found)] = np.column_stack(list(found.values()))
    by_cell = table.groupby(["agent", "ticker", "year"]).mean()
    return by_cell.groupby("agent").mean().loc[results.agents]
