"""`etfgym worlds`: what is written and printed, and one line for what can't be done."""

from __future__ import annotations

import argparse
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from etfgym import worlds
from etfgym.sources import load
from etfgym.worlds import report
from etfgym.worlds.commands import add_commands


def run(*words):
    parser = argparse.ArgumentParser(prog="etfgym")
    add_commands(parser.add_subparsers(required=True))
    options = parser.parse_args(["worlds", *map(str, words)])
    return options.command(options)


def test_make_writes_a_table_that_prices_are_loaded_from(tmp_path, builtin, capsys):
    out = tmp_path / "years.parquet"
    assert run("make", "bootstrap", "--seed", 3, "--bars", 300, "--out", out) == 0
    made = worlds.generate("bootstrap", builtin, seed=3, bars=300)
    assert [table.sha256 for table in load(out)] == [table.sha256 for table in made]
    assert "none of it happened" in capsys.readouterr().out
    assert run("make", "bootstrap", "--tickers", "NASDAQ", "--bars", 300, "--out", out) == 0
    assert [table.ticker for table in load(out)] == ["NASDAQ-BOOTSTRAP-0"]


def test_judge_prints_the_policy_beside_buy_and_hold(capsys):
    assert run("judge", "--policy", "ma-cross", "--tickers", "SP500", "--years", 2) == 0
    printed = capsys.readouterr().out
    assert "2 artificial years of 252 days (seeds 0 to 1), none of which happened" in printed
    assert "ma-cross" in printed
    assert "buy-and-hold" in printed


def test_report_writes_and_prints(paying, tmp_path, capsys, monkeypatch):
    prices = pd.concat([table.to_frame().reset_index().assign(ticker=table.ticker) for table in paying])
    prices.to_parquet(tmp_path / "prices.parquet")
    monkeypatch.setattr(report, "WORLDS", {name: worlds.WORLDS[name] for name in ("bootstrap", "garch")})
    monkeypatch.setattr("etfgym.worlds.discriminate.EPOCHS", 1)
    losses = {"pca": np.array([0.5]), "autoencoder": np.array([0.4])}
    monkeypatch.setattr(report, "_losses", lambda *_: losses)
    out = tmp_path / "r"
    assert run("report", "--prices", tmp_path / "prices.parquet", "--tickers", "AAA", "--seeds", 2, "--out", out) == 0
    printed = capsys.readouterr().out
    assert "The bar is the block bootstrap's" in printed
    assert "Bars of AAA, 2010-01-04 to 2014-03-21." in printed
    assert {path.name for path in out.iterdir()} == {"worlds.json", "worlds.png"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["make", "vea", "--out", "x.parquet"], r"world must be one of .* \(did you mean 'vae'\?\)"),
        (
            ["make", "vae", "--out", "x.csv"],
            "--out must be a file in a folder that exists, named like years.parquet, got x.csv",
        ),
        (["make", "vae", "--out", "nowhere/x.parquet"], "--out must be a file in a folder that exists, .*"),
        (["make", "vae", "--tickers", "SPY", "--out", "x.parquet"], "SPY: not in builtin; it has SP500, NASDAQ"),
        (["report", "--seeds", 1, "--out", "r"], "--seeds must be a whole number of at least 2, got 1"),
        (["judge", "--policy", "hold"], "--policy must be one of .*, got 'hold'.*"),
        (["judge", "--policy", "random", "--years", 1], "--years must be a whole number of at least 2, got 1"),
        (["judge", "--policy", "random", "--world", "real"], "world must be one of .*, got 'real'.*"),
    ],
)
def test_what_can_not_be_done_is_said_in_one_line(words, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        run(*words)


def test_the_commands_are_read_without_any_heavy_package():
    code = (
        "import sys, etfgym.worlds.commands\n"
        "print(sorted({'torch', 'arch', 'matplotlib', 'numba', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "[]"
