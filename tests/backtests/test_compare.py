"""`python -m backtests.compare`: the report's tables for one folder or several, in three forms."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from backtests.compare import main
from etfgym.report.formats import FORMATS, latex_table, markdown_table, text_table
from etfgym.report.layout import Entry, Table

HOLD = "buy-and-hold"
TICKERS = ("SPY", "QQQ", "IWM")


@pytest.fixture(scope="module", autouse=True)
def few_resamples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("etfgym.stats.intervals.RESAMPLES", 200)
        yield


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")


def write(folder, returns, hold=0.1, year=2019):
    """Write a result folder: the returns of each agent by seed, the same on three tickers."""
    days = pd.bdate_range(f"{year}-01-01", periods=40)
    rows, curves = [], []
    for agent, by_seed in (returns | {HOLD: [hold]}).items():
        for place, ticker in enumerate(TICKERS):
            for seed, total in enumerate(by_seed):
                wiggle = np.sin(np.arange(40.0) * (1 + place + seed)) * np.linspace(0.0, 0.02, 40)[::-1]
                equity = 20_000 * (1 + np.linspace(0, total, 40) + wiggle - wiggle[0])
                run = {"agent": agent, "ticker": ticker, "test_start": days[1], "seed": seed}
                rows.append(run | {"test_end": days[-1], "total_return": total, "sharpe": 1.0, "max_drawdown": 0.1})
                curves.append(pd.DataFrame({**run, "date": days, "equity": equity, "units": 1, "filled": 0}))
    folder.mkdir()
    pd.DataFrame(rows).assign(turnover=2.0, costs=40.0, trades=2).to_parquet(folder / "results.parquet")
    pd.concat(curves).to_parquet(folder / "equity.parquet")
    manifest = {"command": "made up", "created": "", "versions": {}, "settings": {"prices": "yahoo"}, "trials": 12}
    manifest |= {"data_sha256": "", "tickers": {}, "train": [], "notes": [f"Note of {folder.name}."]}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return str(folder)


def run(capsys, *arguments):
    assert main(arguments) == 0
    return capsys.readouterr().out


def row(text, *starts):
    """Return the cells of the line whose first cells are these."""
    [found] = [cells for line in text.splitlines() if (cells := re.split(r"  +", line))[: len(starts)] == list(starts)]
    return found


def test_two_folders_with_an_agent_of_the_same_name_are_compared_by_the_folders_names(tmp_path, capsys):
    first, second = write(tmp_path / "one", {"dqn": [0.2, 0.4]}), write(tmp_path / "two", {"dqn": [0.1, 0.3, 0.2]})
    said = run(capsys, first, second)
    found = row(said, "one: dqn", "two: dqn")
    assert found[2:4] == ["3", "2"]  # cells, and seeds that both have
    assert found[4:8] == ["+30.0 %", "+20.0 %", "+10.0 %", "+10.0"]
    assert re.fullmatch(r"[+-]\d+\.\d to [+-]\d+\.\d", found[8])
    assert found[9] == "75 %"
    assert found[11] == "2019-01-02 to 2019-02-25"
    [summary] = [part for part in said.split("\n\n") if re.match(r"Agent .*Wins", part) and "+20.0 %" in part]
    assert row(summary, "dqn", "3")[4] == "+10.0 %"  # buy-and-hold beside it


def test_what_the_report_says_of_each_folder_is_said(tmp_path, capsys):
    said = " ".join(run(capsys, write(tmp_path / "one", {"dqn": [0.2, 0.4]})).split())
    for words in (
        "one ===",
        "Note of one.",
        "3 ETFs can't carry a claim",
        "Every agent against buy-and-hold, out of sample 2019-01-02 to 2019-02-25",
        "Trials: 12 trainings were run",
        "dqn alone against buy-and-hold: SPA p",
        "Risk and trading of one account",
        "shuffled no win - not run",
        "No evidence that dqn beats buy-and-hold: it won 3 of 3 ETFs",
    ):
        assert words in said, words
    assert "Against each other" not in said


def test_two_learners_of_one_folder_meet_without_its_name(tmp_path, capsys):
    said = run(capsys, write(tmp_path / "one", {"dqn": [0.2, 0.4], "ppo": [0.1, 0.1]}))
    assert row(said, "dqn", "ppo")[7] == "+20.0"


def test_folders_that_share_nothing_are_told_apart_and_cells_of_other_prices_are_counted(tmp_path, capsys):
    first = write(tmp_path / "one", {"dqn": [0.2, 0.4]})
    other_year = write(tmp_path / "two", {"dqn": [0.1, 0.3]}, year=2018)
    other_prices = write(tmp_path / "three", {"dqn": [0.1, 0.3]}, hold=0.12)
    wanted = "Not compared, as no cell and seed with the same buy-and-hold is shared: one: dqn and "
    assert f"{wanted}two: dqn." in " ".join(run(capsys, first, other_year).split())
    assert f"{wanted}three: dqn." in " ".join(run(capsys, first, other_prices).split())


def test_folders_of_the_same_name_are_called_by_their_paths(tmp_path, capsys):
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        write(tmp_path / place / "run", {"dqn": [0.2, 0.4]})
    said = run(capsys, str(tmp_path / "a" / "run"), str(tmp_path / "b" / "run"))
    assert f"{tmp_path / 'a' / 'run'}: dqn" in said


def test_a_bad_folder_is_one_clear_line_and_status_2(tmp_path, capsys):
    good = write(tmp_path / "one", {"dqn": [0.2, 0.4]})
    for wrong, message in (
        (str(tmp_path / "none"), "none/results.parquet: no such file; write the folder again with: python -m"),
        (good, "each result folder may be given once"),
    ):
        with pytest.raises(SystemExit) as stop:
            main([good, wrong])
        assert stop.value.code == 2
        said = capsys.readouterr()
        assert message in said.err.splitlines()[-1]
        assert said.out == ""


@pytest.mark.parametrize("form", FORMATS)
def test_every_form_has_the_same_tables_and_sentences(tmp_path, capsys, form):
    folders = [write(tmp_path / name, {"dqn": returns}) for name, returns in (("one", [0.2, 0.4]), ("two", [0.1, 0.3]))]
    said = run(capsys, *folders, "--format", form)
    heads = {"text": "---", "markdown": "| :--- |", "latex": r"\toprule"}
    assert sum(line.startswith(heads[form]) for line in said.splitlines()) == 9  # four a folder, and the duels
    plain = said.replace("\\", "")
    assert plain.count("No evidence that dqn beats buy-and-hold") == 2
    assert "Against each other" in plain
    assert "one: dqn" in plain


TRICKY = Table(
    "50 % & more", ["Agent", "R|S"], [[Entry("a_b|c"), Entry("<$1> {x}")]], [[Entry("Mean"), Entry("#1~2^\\")]]
)


def test_what_means_something_to_latex_is_escaped():
    lines = latex_table(TRICKY).splitlines()
    assert r"\caption{50 \% \& more}" in lines
    assert r"a\_b|c & $<$\$1$>$ \{x\} \\" in lines
    assert r"Mean & \#1\textasciitilde{}2\textasciicircum{}\textbackslash{} \\" in lines
    assert lines.count(r"\midrule") == 2  # what sums up stands apart


def test_what_means_something_to_markdown_is_escaped():
    lines = markdown_table(TRICKY).splitlines()
    assert lines[2] == r"| Agent | R\|S |"
    assert lines[4] == r"| a\_b\|c | \<$1\> {x} |"


def test_columns_that_a_terminal_has_no_room_for_follow_below_with_the_first_one(monkeypatch):
    table = Table("Wide", ["Agent", "First", "Second"], [[Entry("dqn"), Entry("1" * 20), Entry("2" * 20)]])
    monkeypatch.setenv("COLUMNS", "40")
    lines = text_table(table).splitlines()
    assert max(map(len, lines)) <= 40
    assert [line.split() for line in lines if line.startswith("dqn")] == [["dqn", "1" * 20], ["dqn", "2" * 20]]
    monkeypatch.setenv("COLUMNS", "60")
    assert [line.split() for line in text_table(table).splitlines()][-1] == ["dqn", "1" * 20, "2" * 20]
