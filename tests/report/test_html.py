"""The page: complete, self-contained, escaped, and honest about what it does not know."""

import re
import subprocess
import sys
from html.parser import HTMLParser

import pandas as pd
import pytest

from etfgym.report.html import write_report

HOLD = "buy-and-hold"
AGENTS = ("dqn", HOLD, "ramped-buy-and-hold", "ma-cross", "random", "hindsight")
OTHERS = ("ramped-buy-and-hold", "ma-cross", "random")
VOID = {"meta", "img", "link", "br", "hr", "input"}


class Page(HTMLParser):
    """What the tests ask of a page: its tables by class, its links, its text, and whether its tags are balanced."""

    def __init__(self, path):
        super().__init__()
        self.links, self.tags, self.open, self.tables, self.text = [], [], [], [], ""
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.tags.append((tag, named))
        self.links += [named[name] for name in ("src", "href", "action", "srcset") if name in named]
        if tag == "table":
            self.tables.append((named.get("class", ""), []))
        if tag == "tr":
            self.tables[-1][1].append([])
        if tag in {"td", "th"}:
            self.tables[-1][1][-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"style", "script"} & set(self.open):
            return
        self.text += data
        if {"td", "th"} & set(self.open):
            self.tables[-1][1][-1][-1] += data.strip()

    def rows(self, name):
        """Return the rows of all tables of a class, as dicts by the column's head where heads differ."""
        return [dict(zip(rows[0], row, strict=True)) for kind, rows in self.tables if name in kind for row in rows[1:]]


def returns_of(tickers, seeds=3, years=(2019,)):
    return {
        (agent, ticker, year): [0.1 + 0.01 * place + 0.02 * seed for seed in range(seeds)]
        if agent in {"dqn", "random"}
        else [0.1]
        for agent in AGENTS
        for place, ticker in enumerate(tickers)
        for year in years
    }


@pytest.fixture(scope="module")
def page(make_folder, tmp_path_factory):
    folder = make_folder(tmp_path_factory.mktemp("page"), returns_of(["SPY", "QQQ"]), notes=["A note of the runner."])
    return Page(write_report(folder))


@pytest.fixture
def no_figures(monkeypatch):
    """Leave out what takes longest, where a test looks at words and tables alone."""
    monkeypatch.setattr("etfgym.report.figures.write_figures", lambda *_: [])


def test_nothing_is_loaded_from_anywhere(page):
    assert page.links
    assert all(link.startswith("data:image/svg+xml;base64,") for link in page.links)
    [policy] = [named["content"] for tag, named in page.tags if named.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert not any(tag in {"link", "iframe", "object", "base"} for tag, _ in page.tags)


def test_every_agents_row_has_seeds_interval_and_buy_and_hold(page):
    rows = {row["Agent"]: row for row in page.rows("summary")}
    assert list(rows) == list(AGENTS)
    for agent, row in rows.items():
        assert re.fullmatch(r"[+-]\d+\.\d %", row["Mean return"]), agent
        assert re.fullmatch(r"[+-]\d+\.\d %", row["Buy-and-hold"]), agent
        assert row["Seeds"] == ("3" if agent in {"dqn", "random"} else "1"), agent
    raw = {rows[0]: rows for kind, rows_ in page.tables if "summary" in kind for rows in rows_[1:]}
    assert re.fullmatch(r"[+-]\d+\.\d to [+-]\d+\.\d %", raw["dqn"][3])
    assert raw["ma-cross"][3] == "no randomness"
    assert re.fullmatch(r"[+-]\d+\.\d to [+-]\d+\.\d", raw["dqn"][6])
    assert "out of sample 2019-01-11 to 2019-12-" in page.text


def test_the_ticker_tables_say_who_won_and_end_with_mean_and_median(page):
    rows = page.rows("cells")
    dqn = [row for row in rows if "dqn" in row]
    assert [row["ETF"] for row in dqn] == ["QQQ", "SPY", "Mean", "Median"]
    assert dqn[0]["Winner"] == "dqn"
    assert dqn[0]["Test days"].startswith("2019-01-11 to 2019-12-")
    assert dqn[2]["Winner"] == "won 2 of 2"
    assert dqn[2][HOLD] == "+10.0 %"
    assert " to " in dqn[2]["95 % interval"]
    assert {agent for agent in OTHERS for row in rows if agent in row} == set(OTHERS)
    assert [row["Winner"] for row in rows if "ma-cross" in row] == ["tie", "tie", "won 0 of 2", ""]


def test_conclusion_cautions_tables_figures_meaning_and_making_come_in_this_order(page):
    wanted = [
        "dqn against buy-and-hold, 2019-01-11",
        "No evidence that dqn beats buy-and-hold",
        "A note of the runner.",
        "There is one test year, 2019.",
        "can't carry a claim",
        "dqn was run with 3 seeds: intervals from fewer than 10 are rough.",
        "All agents against buy-and-hold",
        "How sure that is",
        "dqn alone against buy-and-hold: SPA p",
        "Probability of backtest overfitting: not applicable, as there is one learner only",
        "Trials not recorded, so no deflated Sharpe ratio.",
        "Controls: where it is known what must come out",
        "not run",
        "Risk and trading of one account",
        "ETF by ETF",
        "Figures",
        "Look for dots",
        "What the numbers mean",
        "ddof=1",
        "How it was made",
        "python -m backtests.run --agents dqn",
        "ab" * 32,
        "2010-01-02",
        "environment.costs.commission",
    ]
    text = " ".join(page.text.replace("\N{NO-BREAK SPACE}", " ").split())
    places = [text.find(words) for words in wanted]
    assert -1 not in places, wanted[places.index(-1)]
    assert places == sorted(places)


def test_the_evidence_has_a_row_for_each_agent_with_intervals_or_why_there_is_none(page):
    [table] = [rows for kind, rows in page.tables if "evidence" in kind]
    rows = {row[0]: row for row in table[1:]}
    assert list(rows) == list(AGENTS[:-1])  # hindsight needs none
    assert re.fullmatch(r"[+-]\d+\.\d to [+-]\d+\.\d %", rows["dqn"][3])
    assert rows["ma-cross"][3] == rows[HOLD][3] == "no randomness"
    assert rows[HOLD][8:] == ["-", "-", "-"]
    assert rows["dqn"][10] == "-"  # trials were not recorded
    assert {row["Agent"] for row in page.rows("risk")} == set(AGENTS)


@pytest.mark.usefixtures("no_figures")
def test_trials_controls_failed_jobs_and_a_second_learner_show(make_folder, tmp_path):
    control = {"mean": 0.2, "hold": 0.1, "difference": 0.1, "interval": [0.05, 0.15], "seeds": 2, "cells": 6}
    control |= {"first": "2019-01-02", "last": "2019-12-31", "passed": False}
    more = {
        "trials": 1234,
        "errors": {"dqn on SPY, seed 9": "MemoryError"},
        "controls": [{"world": "shuffled", "results": {"dqn": control}}],
    }
    returns = returns_of(["SPY", "QQQ"]) | {("ppo", ticker, 2019): [0.2, 0.3, 0.4] for ticker in ("SPY", "QQQ")}
    page = Page(write_report(make_folder(tmp_path, returns, days=60, more=more)))
    assert "Trials: 1,234 trainings were run, tuning included." in page.text
    assert "1 job failed and are missing here" not in page.text
    assert "1 job failed and is missing here, such as dqn on SPY, seed 9." in page.text
    assert "dqn failed the control on shuffled returns" in page.text
    assert [row["Passed"] for row in page.rows("controls")] == ["NO", "not run"]
    [duel] = [rows[1] for kind, rows in page.tables if "duels" in kind]
    assert duel[:4] == ["dqn", "ppo", "2", "3"]
    assert "The 2 learners together against buy-and-hold" in page.text
    deflated = {row["Agent"]: row["Deflated Sharpe"] for row in page.rows("evidence")}
    assert re.fullmatch(r"[01]\.\d\d", deflated["dqn"])
    assert deflated[HOLD] == "-"


@pytest.mark.usefixtures("no_figures")
def test_a_report_of_days_that_were_trained_on_says_so(make_folder, tmp_path):
    train = [{"test_year": 2019, "train_start": "2010-01-02", "train_end": "2019-12-31", "test_start": "2019-01-02"}]
    returns = {("dqn", "SPY", 2019): [0.2, 0.3], (HOLD, "SPY", 2019): [0.1]}
    page = Page(write_report(make_folder(tmp_path, returns, more={"train": train})))
    assert "IN SAMPLE 2019-01-11" in page.text
    assert "Nothing can be said of dqn" in page.text
    assert "No agent saw a price" not in page.text
    assert "out of sample" not in page.text


def test_columns_are_sorted_by_buttons_that_say_how_they_are_sorted(page):
    heads = [named for tag, named in page.tags if tag == "th" and "aria-sort" in named]
    assert heads
    assert {head["aria-sort"] for head in heads} == {"none"}
    assert sum(tag == "button" for tag, _ in page.tags) == len(heads)


def test_figures_have_a_text_for_those_who_can_not_see_them(page):
    images = [named for tag, named in page.tags if tag == "img"]
    assert len(images) == 7
    assert all(len(image["alt"]) > 50 for image in images)


def test_what_the_folder_says_is_escaped(make_folder, tmp_path):
    hostile = "<script>alert(1)</script>"
    returns = {(HOLD, hostile, 2019): [0.1], ('"><img src=x>', hostile, 2019): [0.2, 0.3]}
    path = write_report(make_folder(tmp_path, returns, notes=["<b>bold</b> {{ 7 * 7 }}"]))
    text = path.read_text(encoding="utf-8")
    assert hostile not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "&lt;b&gt;bold&lt;/b&gt; {{ 7 * 7 }}" in text
    read = Page(path)
    assert sum(tag == "script" for tag, _ in read.tags) == 1
    assert all(link.startswith("data:") for link in read.links)


@pytest.mark.usefixtures("no_figures")
def test_one_seed_says_so_wherever_an_interval_would_stand(make_folder, tmp_path):
    page = Page(write_report(make_folder(tmp_path, {("dqn", "SPY", 2019): [0.2], (HOLD, "SPY", 2019): [0.1]})))
    [row] = [rows for kind, table in page.tables if "summary" in kind for rows in table if rows[0] == "dqn"]
    assert row[3] == "not available with one seed"
    assert row[6] == "not available with one ETF"
    assert "how much of its return was luck can't be said" in page.text
    assert [row["95 % interval"] for row in page.rows("cells")][:2] == ["not available with one seed"] * 2


@pytest.mark.usefixtures("no_figures")
def test_a_sharpe_ratio_of_nan_shows_as_a_dash(make_folder, tmp_path):
    folder = make_folder(tmp_path, returns_of(["SPY"]))
    frame = pd.read_parquet(folder / "results.parquet")
    frame.loc[frame["agent"] == "dqn", "sharpe"] = float("nan")
    frame.to_parquet(folder / "results.parquet")
    page = Page(write_report(folder))
    sharpe = {row["Agent"]: row["Sharpe"] for row in page.rows("summary")}
    assert (sharpe["dqn"], sharpe["random"]) == ("-", "0.50")
    assert "nan" not in page.text.lower().split()


@pytest.mark.usefixtures("no_figures")
def test_several_years_have_a_table_year_by_year(make_folder, tmp_path):
    page = Page(write_report(make_folder(tmp_path, returns_of(["SPY"], years=(2018, 2019)))))
    years = [row for row in page.rows("cells") if "Wins" in row and "dqn" in row]
    assert [(row["Year"], row["Wins"]) for row in years] == [("2018", "1 of 1"), ("2019", "1 of 1")]
    assert "There is one test year" not in page.text


@pytest.mark.usefixtures("no_figures")
def test_buy_and_hold_alone_makes_a_page_without_a_claim(make_folder, tmp_path):
    page = Page(write_report(make_folder(tmp_path, {(HOLD, "SPY", 2019): [0.1]})))
    assert "Only buy-and-hold was run" in page.text
    assert "beat" not in page.text


@pytest.mark.usefixtures("no_figures")
def test_a_page_that_can_not_be_finished_leaves_the_old_one(make_folder, tmp_path, monkeypatch):
    folder = make_folder(tmp_path, {(HOLD, "SPY", 2019): [0.1]})
    before = write_report(folder).read_bytes()

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", fail)
    with pytest.raises(OSError, match="No space left"):
        write_report(folder)
    assert (folder / "report.html").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []


def test_the_same_folder_gives_the_same_page(make_folder, tmp_path):
    folder = make_folder(tmp_path, {("dqn", "SPY", 2019): [0.2, 0.3], (HOLD, "SPY", 2019): [0.1]})
    assert write_report(folder).read_bytes() == write_report(folder).read_bytes()


def test_a_missing_package_is_named_with_the_cure():
    code = (
        "import sys; sys.modules['jinja2'] = None\n"
        "from etfgym.report.html import write_report\n"
        "try:\n    write_report('.')\n"
        "except ModuleNotFoundError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == 'jinja2 is not installed; pip install "etfgym[report]"'
