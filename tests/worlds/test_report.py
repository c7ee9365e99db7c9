"""The report on worlds: verdicts by hand, the table, the JSON and the figure."""

from __future__ import annotations

import json

import numpy as np
import pytest

from etfgym.worlds import WORLDS, report
from etfgym.worlds.facts import Facts
from etfgym.worlds.figure import LABELS
from etfgym.worlds.report import NAMES, Judged, Report, as_text, make_report, write_report

BAR = np.array([0.05, 0.06, 0.07])
PNG = b"\x89PNG\r\n\x1a\n"


def judged(world, scores, facts=None):
    return Judged(world, np.zeros((20, 7)) if facts is None else facts, np.array(scores), BAR)


@pytest.fixture
def toy(history):
    paths = np.linspace(-1, 1, 20)[:, None] * np.ones(7)
    worlds = [
        judged("bootstrap", BAR, paths),
        judged("garch", [0.06, 0.05, 0.08], paths),
        judged("vae", BAR + 0.3, paths),
    ]
    real = np.array([0.0, 0.5, 2.0, -1.5, 0.1, 0.2, np.nan])
    return Report(history, real, worlds, {"pca": np.array([0.5, 0.7]), "autoencoder": np.array([0.5, 0.5])})


@pytest.mark.parametrize(
    ("scores", "verdict"),
    [([0.35, 0.36, 0.37], "fails"), ([0.04, 0.06, 0.08], "meets it"), ([0.01, 0.02, 0.03], "beats it")],
)
def test_a_world_fails_the_bar_if_its_score_is_surely_above(scores, verdict):
    assert judged("any", scores).verdict == verdict


def test_the_bootstrap_is_the_bar():
    assert judged("bootstrap", BAR).verdict == "the bar"


def test_a_fact_is_missed_where_all_paths_lie_on_one_side(toy):
    assert toy.worlds[1].misses(toy.real) == [False, False, True, True, False, False, False]


def test_the_table_has_each_fact_beside_the_real_one_and_names_who_fails(toy):
    lines = as_text(toy).splitlines()
    assert lines[0].split()[:5] == ["world", "score", "95", "%", "bar"]
    assert "correlation" not in lines[0]  # there is none in the real column
    assert lines[1].split() == ["real", "0.00", "0.50", "2.00", "-1.50", "0.10", "0.20"]
    assert lines[4].split()[:2] == ["vae", "0.36"]
    assert "fails" in lines[4]
    assert [cell.endswith("*") for cell in lines[4].split()[-6:]] == [False, False, True, True, False, False]
    assert "The bar is the block bootstrap's 0.06: vae fails it." in lines
    assert lines[-1].endswith(
        "loses 60 % of the variance of unseen windows by principal components, 50 % by the autoencoder."
    )
    assert "SP500, NASDAQ, 1999-01-04 to 2018-12-31" in lines[-4]


def test_json_and_figure_are_written_whole(toy, tmp_path):
    write_report(toy, tmp_path / "new")
    content = json.loads((tmp_path / "new/worlds.json").read_text())
    assert content["worlds"]["vae"]["verdict"] == "fails"
    assert content["worlds"]["vae"]["scores"] == pytest.approx([0.35, 0.36, 0.37])
    assert content["real"]["correlation"] is None
    assert len(content["worlds"]["garch"]["facts"]) == 20
    assert (tmp_path / "new/worlds.png").read_bytes().startswith(PNG)
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"worlds.json", "worlds.png"}


def test_every_fact_has_a_label_in_their_order():
    assert tuple(LABELS) == NAMES == Facts.__slots__


def test_every_world_is_judged_with_the_seeds_asked_for_and_the_gan_only_on_demand(history, monkeypatch):
    asked = []

    def score(_, __, seed):
        asked.append(seed)
        return 0.1 + seed / 100

    monkeypatch.setattr(report, "discriminative_score", score)
    monkeypatch.setattr(report, "_facts_of", lambda *_: np.zeros((20, 7)))
    monkeypatch.setattr(report, "_losses", lambda *_: {"pca": np.ones(2), "autoencoder": np.ones(2)})
    made = make_report(history, 2)
    assert [judged.world for judged in made.worlds] == [name for name in WORLDS if name != "gan"]
    assert asked == [0, 1] * 5
    assert made.worlds[2].scores.tolist() == [0.1, 0.11]
    assert [judged.world for judged in make_report(history, 2, gan=True).worlds] == list(WORLDS)


def test_the_facts_of_the_bootstrap_lie_around_the_real_ones(history):
    facts = report._facts_of("bootstrap", history)
    real = report._as_row(report.stylised_facts(history.total_returns))
    assert facts.shape == (20, 7)
    for name in ("volatility", "kurtosis", "tail_index", "correlation"):
        place = NAMES.index(name)
        assert facts[:, place].min() < real[place] < facts[:, place].max()
