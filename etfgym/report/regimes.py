"""In what kind of market an agent earned and lost: rising or falling, calm or volatile, as known the evening before."""

from __future__ import annotations

import numpy as np
import pandas as pd

from etfgym.prices import PriceTable
from etfgym.report.results import HOLD, Results
from etfgym.report.scores import agent_scores, new_rng
from etfgym.splits import WINDOW
from etfgym.stats import mean_interval

PAST = 252
"""Days whose volatility tells what is much."""
REGIME = ["trend", "volatility"]


def regimes(table: PriceTable, window: int = WINDOW, past: int = PAST) -> pd.DataFrame:
    """Return the regime at each close, by what was known then: a row a day, from the first day that has enough past.

    `trend` is "rising" if the Adj Close stands above its first value in the window, else "falling". `volatility` is
    "volatile" if the standard deviation of the window's daily returns is above the median of the `past` such ones
    before, else "calm".

    Args:
        table: Prices.
        window: Days that are looked at, as an agent does.
        past: Days of comparison.

    Example:
        >>> from etfgym.sources import load
        >>> regimes(load("builtin", "SP500")[0]).loc["2018-12-24"].tolist()
        ['falling', 'volatile']
    """
    close = pd.Series(table.adj_close, pd.DatetimeIndex(table.dates, name="date"))
    spread = close.pct_change().rolling(window - 1).std()
    usual = spread.shift(1).rolling(past).median()
    told = pd.DataFrame(
        {
            "trend": np.where(close > close.shift(window - 1), "rising", "falling"),
            "volatility": np.where(spread > usual, "volatile", "calm"),
        },
        close.index,
    )
    return told[usual.notna()]


def regime_table(results: Results, agent: str, table: PriceTable) -> pd.DataFrame:
    """Return what an agent earned beside buy-and-hold in each regime of the evening before, over all test years.

    A row a regime: `days`; `own` and `hold`, the profits of those days in percent of the initial cash, per test year,
    so that the rows add up to the mean return; `low` and `high`, the 95 % interval of `own` over seeds, NaN where there
    is none; `invested`, the mean share of the agent's account that was in units on those evenings.

    Args:
        results: Of `load_results`.
        agent: Its name.
        table: Prices of the ticker.

    Raises:
        ValueError: If the agent did not trade that ticker.
    """
    scores, _, _ = agent_scores(results, agent, ticker=table.ticker)
    if scores.empty:
        msg = f"{agent} did not trade {table.ticker}; it traded {', '.join(sorted(set(results.runs['ticker'])))}"
        raise ValueError(msg)
    known = regimes(table)
    own, hold = (_days(results, name, table).join(known, on="eve") for name in (agent, HOLD))
    years = len(scores)
    held = (hold.groupby(REGIME)["profit"].sum() / years).to_dict()
    rows = []
    for regime, days in own.groupby(REGIME):
        by_seed = days.groupby("seed")["profit"].sum().to_numpy(np.float64) / years
        low, high = mean_interval(by_seed[None], new_rng())
        rows.append(
            dict(zip(REGIME, regime, strict=True))
            | {"days": days["date"].nunique(), "own": by_seed.mean(), "low": low, "high": high}
            | {"hold": held[regime], "invested": float(days["invested"].mean())}
        )
    return pd.DataFrame(rows).set_index(REGIME)


def _days(results: Results, agent: str, table: PriceTable) -> pd.DataFrame:
    """Return each run's days with the evening before, the share in units then, and profit in percent of the cash."""
    equity = results.equity
    own = equity[(equity["agent"] == agent) & (equity["ticker"] == table.ticker)]
    close = own["date"].map(pd.Series(table.close, table.dates))
    own = own.assign(invested=own["units"] * close / own["equity"])
    runs = own.groupby(["year", "seed"])
    own["profit"] = 100 * runs["equity"].diff() / runs["equity"].transform("first")
    own["invested"], own["eve"] = runs["invested"].shift(1), runs["date"].shift(1)
    return own[own["eve"].notna()]
