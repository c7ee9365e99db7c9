"""The main job from the command line: what it writes, and what it says to wrong usage."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from backtests.run import main
from etfgym.checks import parse_years

SMALL = ["--prices", "world:sine", "--test-years", "2009-2010", "--agents", "dqn,random,hindsight", "--seeds", "2"]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "results"
    assert main([*SMALL, "--steps", "1100", "--out", str(folder)]) == 0
    return folder


def test_it_writes_a_row_for_each_agent_ticker_year_and_seed(out):
    results = pd.read_parquet(out / "results.parquet")
    assert list(results.columns) == [
        "agent", "ticker", "test_start", "test_end", "seed", "total_return", "sharpe", "max_drawdown", "turnover",
        "costs", "trades",
    ]  # fmt: skip
    counts = results.groupby("agent").size().to_dict()
    assert counts == {"dqn": 4, "random": 4, "hindsight": 2, "buy-and-hold": 2}  # buy-and-hold comes unasked
    assert set(results["test_start"].dt.year) == {2009, 2010}
    best = results[results.agent == "hindsight"].set_index("test_start")["total_return"]
    for agent, rows in results.groupby("agent"):
        if agent != "buy-and-hold":  # which has no daily limit of units
            assert (rows["total_return"] <= rows["test_start"].map(best) + 1e-12).all()


def test_the_daily_accounts_end_with_the_returns(out):
    results, equity = pd.read_parquet(out / "results.parquet"), pd.read_parquet(out / "equity.parquet")
    runs = ["agent", "ticker", "test_start", "seed"]
    ends = equity.sort_values("date").groupby(runs)["equity"].agg(["first", "last"]).reset_index()
    both = results.merge(ends, on=runs)
    assert len(both) == len(results)
    assert (both["first"] == 20_000).all()
    assert both["total_return"].to_numpy() == pytest.approx((both["last"] / 20_000 - 1).to_numpy(), abs=3e-7)  # a cent


def test_the_manifest_tells_how_to_make_it_again(out):
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["command"].startswith("python -m backtests.run --prices world:sine --test-years 2009-2010")
    assert manifest["settings"]["environment"]["costs"]["commission"] == 0.001
    assert manifest["tickers"]["SINE-0"]["source"] == "world:sine:0"
    assert [year["test_year"] for year in manifest["train"]] == [2009, 2010]
    assert [year["valid_end"][:4] for year in manifest["train"]] == ["2008", "2009"]
    assert any("artificial" in note for note in manifest["notes"])
    assert len(manifest["data_sha256"]) == 64


def test_it_writes_figures_and_one_page(out):
    assert (out / "report.html").stat().st_size > 10_000
    assert len(list((out / "figures").glob("*.png"))) >= 4


def test_a_second_run_gives_the_same_tables_without_training_again(out, monkeypatch):
    from backtests import jobs

    before = pd.read_parquet(out / "results.parquet")
    monkeypatch.setattr(jobs, "run_job", None)  # must not be called
    assert main([*SMALL, "--steps", "1100", "--out", str(out)]) == 0
    assert pd.read_parquet(out / "results.parquet").equals(before)


def test_the_summary_ends_with_the_report_and_has_dates_seeds_and_interval(out, capsys):
    main([*SMALL, "--steps", "1100", "--out", str(out)])
    said = capsys.readouterr().out
    assert said.splitlines()[0].startswith(
        "12 jobs: dqn, random, hindsight, buy-and-hold on SINE-0, test years 2009, 2010"
    )
    assert said.rstrip().endswith("report.html")
    for part in ("2009-01-01", "2010-12-31", "95 % interval", "buy-and-hold", "hindsight"):
        assert part in said


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--test-years", "2018-2016"], "years must look like 2018, 2016-2020 or 2012,2018, got '2018-2016'"),
        (["--test-years", "soon"], "years must look like"),
        (["--agents", "dqm"], "agent must be one of 'dqn', 'dqn-counterfactual'"),
        (["--test-years", "2030"], "SP500: can't test on 2030 with bars from 1999-01-04 to 2018-12-31"),
        (["--universe", "SPX"], "SPX: not in builtin"),
        (["--prices", "nowhere.parquet"], "nowhere.parquet: no such file"),
        (["--seeds", "0"], "argument --seeds"),
        (["--train", "both"], "invalid choice: 'both'"),
        (["--prices", "world:moon"], "world must be one of 'trend'"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(wrong, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*wrong, "--out", str(tmp_path / "never")])
    assert stop.value.code == 2
    last = capsys.readouterr().err.rstrip().splitlines()[-1]
    assert message in last
    assert not (tmp_path / "never").exists()


def test_years_are_read_in_every_form():
    assert parse_years("2018") == [2018]
    assert parse_years("2018,2012-2014,2013") == [2012, 2013, 2014, 2018]


def test_a_run_killed_in_the_middle_goes_on_to_the_same_tables(out, tmp_path):
    command = [sys.executable, "-m", "backtests.run", *SMALL, "--steps", "1100", "--out", str(tmp_path)]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        for _ in range(600):  # until the first job is there
            if list((tmp_path / "jobs").glob("*.parquet")) or process.poll() is not None:
                break
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.1)
    finally:
        process.kill()
        process.wait()
    assert main([*SMALL, "--steps", "1100", "--out", str(tmp_path)]) == 0
    for name in ("results", "equity"):
        assert pd.read_parquet(tmp_path / f"{name}.parquet").equals(pd.read_parquet(out / f"{name}.parquet"))
