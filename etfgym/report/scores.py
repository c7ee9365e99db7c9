"""Returns of a result folder as the matrices that `etfgym.stats` takes: cells by seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from etfgym.report.results import HINDSIGHT, HOLD, Results
from etfgym.stats import FEWEST_CLUSTERS

BOOTSTRAP_SEED = 20_210_830


def new_rng() -> np.random.Generator:
    """Return a new generator for each interval, so that none depends on what was computed before it."""
    return np.random.default_rng(BOOTSTRAP_SEED)


def agent_scores(
    results: Results, agent: str, *, year: int | None = None, ticker: str | None = None
) -> tuple[pd.DataFrame, pd.Series[float], pd.Series[float]]:
    """Return the agent's returns, cells by seeds, then those of buy-and-hold and of hindsight, by cell.

    Cells are those of one year or of all, of one ticker or of all (None); hindsight's is NaN where it was not run.
    """
    scores = results.scores[agent]
    tickers, years = (scores.index.get_level_values(name) for name in ("ticker", "year"))
    wanted = np.ones(len(scores), np.bool_)
    if year is not None:
        wanted &= years == year
    if ticker is not None:
        wanted &= tickers == ticker
    scores = scores[wanted].dropna(axis=1, how="all")
    hold, hindsight = (
        results.cells[name]["total_return"].reindex(scores.index)
        if name in results.cells
        else pd.Series(np.nan, scores.index)
        for name in (HOLD, HINDSIGHT)
    )
    return scores, hold, hindsight


def shared_luck(results: Results, agent: str, cells: pd.Index) -> pd.Index | None:
    """Return the label of each cell under which one run traded several, or None if each has runs of its own."""
    return cells.get_level_values("year") if results.shares_runs(agent) else None


def year_clusters(cells: pd.Index) -> pd.Index | None:
    """Return each cell's test year, which is then drawn whole, or None where there are too few of them for that."""
    years = cells.get_level_values("year")
    return years if years.nunique() >= FEWEST_CLUSTERS else None
