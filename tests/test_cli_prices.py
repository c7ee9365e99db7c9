import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from etfgym import cli
from etfgym.prices import PriceError, PriceTable
from etfgym.sources import yahoo

GOOD, FAULTS, WRONG_USAGE = 0, 1, 2
BARS = 300


def frame() -> pd.DataFrame:
    """Bars of a price that stays at ten dollars."""
    index = pd.bdate_range("2020-01-01", periods=BARS, name="Date")
    return pd.DataFrame(
        {"Open": 10.0, "High": 11.0, "Low": 9.0, "Close": 10.0, "Adj Close": 10.0, "Volume": 1000}, index=index
    )


@pytest.fixture
def folder(tmp_path):
    """A folder with AAA, which is good, BBB, whose dates are not sorted, and CCC, which is no table."""
    frame().to_csv(tmp_path / "AAA.csv")
    frame().iloc[::-1].to_csv(tmp_path / "BBB.csv")
    (tmp_path / "CCC.csv").write_text("nothing\n")
    return tmp_path


@pytest.fixture
def fetched(monkeypatch, tmp_path):
    """A cache in a folder of its own and a Yahoo that knows SPY and QQQ; returns the symbols asked for."""
    asked = []

    def fetch(ticker, *, repair):
        asked.append((ticker, repair))
        if ticker not in {"SPY", "QQQ"}:
            msg = f"{ticker}: Yahoo sent no bars; check the symbol"
            raise PriceError(msg)
        table = PriceTable.from_frame(frame(), ticker, "yahoo")
        yahoo.cache_folder().mkdir(parents=True, exist_ok=True)
        (yahoo.cache_folder() / f"{ticker}.parquet").touch()
        return table

    monkeypatch.setenv("ETFGYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(yahoo, "fetch", fetch)
    return asked


def run(capsys, *words):
    """Return exit status, standard output and standard error of `etfgym prices` with these words."""
    try:
        status = cli.main(["prices", *map(str, words)])
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    return status, out, err


# ------------------------------------------------------------------------------------------------ check


def test_check_looks_at_every_ticker_and_gives_each_one_line(capsys, folder):
    status, out, err = run(capsys, "check", folder)
    good, unsorted, broken = out.splitlines()
    sha = PriceTable.from_frame(frame(), "AAA", "").sha256[:12]
    assert status == FAULTS
    assert good == f"AAA      OK        300 bars  2020-01-01 to 2021-02-23  sha256 {sha}"
    assert unsorted.startswith("BBB      FAULT  BBB: unsorted date on 2021-02-22")
    assert unsorted.endswith("pass --repair to sort")
    assert broken.startswith("CCC      FAULT  CCC: missing column")
    assert err == "etfgym: 2 of 3 tickers have faults: BBB, CCC\n"


def test_check_of_good_prices_ends_with_status_0(capsys, folder):
    status, out, err = run(capsys, "check", folder, "--tickers", "AAA")
    assert (status, err) == (GOOD, "")
    assert len(out.splitlines()) == 1


def test_check_with_repair_says_what_is_mended(capsys, folder):
    status, out, err = run(capsys, "check", folder, "--tickers", "BBB", "--repair")
    assert status == GOOD
    assert "BBB      OK" in out
    assert err == "BBB: repaired: dates sorted\n"


@pytest.mark.parametrize(("prices", "tickers"), [("builtin", ["SP500", "NASDAQ"]), ("world:planted:3", ["PLANTED-3"])])
def test_check_knows_the_sources_that_are_no_files(capsys, prices, tickers):
    status, out, _ = run(capsys, "check", prices)
    assert status == GOOD
    assert [line.split()[:2] for line in out.splitlines()] == [[ticker, "OK"] for ticker in tickers]


def test_check_of_yahoo_looks_at_what_is_cached(capsys, fetched):
    run(capsys, "fetch", "SPY")
    status, out, _ = run(capsys, "check", "yahoo")
    assert status == FAULTS  # the stand-in left an empty file
    assert "SPY      FAULT" in out
    assert "delete it, then: etfgym prices fetch SPY" in out
    assert fetched == [("SPY", False)]


def test_a_broken_table_is_a_fault_and_not_wrong_usage(capsys, tmp_path):
    path = tmp_path / "long.parquet"
    path.write_bytes(b"PAR1")
    status, _, err = run(capsys, "check", path)
    assert status == FAULTS
    assert err.startswith(f"etfgym: {path}: can't be read")


# ------------------------------------------------------------------------------------------------ show


def test_show_gives_the_first_and_the_last_bar_of_a_table_however_short(capsys, tmp_path):
    short = frame().iloc[:5]
    short["Open"] = 9.5 + np.arange(5) / 10
    short.to_csv(tmp_path / "AAA.csv")
    status, out, _ = run(capsys, "show", tmp_path / "AAA.csv")
    assert status == GOOD
    title, _, first, last = out.splitlines()[:4]
    assert title == f"PriceTable(AAA, 5 bars, 2020-01-01 to 2020-01-07, {tmp_path / 'AAA.csv'})"
    assert first.split()[:2] == ["2020-01-01", "9.5"]
    assert last.split()[:2] == ["2020-01-07", "9.9"]


def test_show_of_a_faulty_table_is_one_line_and_status_1(capsys, folder):
    status, out, err = run(capsys, "show", folder, "--tickers", "BBB")
    assert (status, out) == (FAULTS, "")
    assert err.startswith("etfgym: BBB: unsorted date")
    assert len(err.splitlines()) == 1


# ------------------------------------------------------------------------------------------------ fetch


def test_fetch_goes_on_after_a_symbol_that_fails_and_names_it_at_the_end(capsys, fetched):
    status, out, err = run(capsys, "fetch", "SPY,NOPE,QQQ", "--repair")
    assert status == FAULTS
    assert fetched == [("SPY", True), ("NOPE", True), ("QQQ", True)]
    assert out == f"2 of 3 symbols are up to date in {yahoo.cache_folder()}\n"
    assert err.splitlines() == [
        "etfgym: NOPE: Yahoo sent no bars; check the symbol",
        "etfgym: 1 of 3 tickers could not be fetched: NOPE",
    ]


def test_fetch_takes_the_name_of_a_universe(capsys, fetched):
    run(capsys, "fetch", "seed20")
    assert len(fetched) == 20


def test_fetch_without_yfinance_is_one_line_with_the_cure(capsys, monkeypatch):
    def missing(*_, **__):
        msg = 'yfinance is not installed; pip install "etfgym[yahoo]"'
        raise ModuleNotFoundError(msg)

    monkeypatch.setattr(yahoo, "fetch", missing)
    status, _, err = run(capsys, "fetch", "SPY,QQQ")
    assert (status, err) == (FAULTS, 'etfgym: yfinance is not installed; pip install "etfgym[yahoo]"\n')


# ------------------------------------------------------------------------------------------------ wrong usage


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fetch", "sede20"], r"did you mean seed20\?"),
        (["check", "nowhere.csv"], r"nowhere\.csv: no such file or folder, and not builtin, yahoo or world:NAME"),
        (["check", "builtin", "--tickers", "SP50"], r"did you mean SP500\?"),
        (["show", "world:plantd"], r"did you mean 'planted'\?"),
        (["check", "yahoo"], "no symbol is cached in .*; first run: etfgym prices fetch SPY"),
        (["peek", "builtin"], "invalid choice: 'peek'"),
        ([], "the following arguments are required"),
    ],
)
def test_wrong_usage_ends_with_status_2_and_says_the_cure(capsys, monkeypatch, tmp_path, words, message):
    monkeypatch.setenv("ETFGYM_CACHE", str(tmp_path))
    status, out, err = run(capsys, *words)
    assert (status, out) == (WRONG_USAGE, "")
    assert re.search(message, err)
    assert "Traceback" not in err


def test_the_module_runs_and_imports_nothing_heavy_for_help():
    script = """
import sys
from etfgym import cli
try:
    cli.main(["prices", "--help"])
finally:
    print(sorted({"torch", "matplotlib", "pandas", "yfinance", "tqdm"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == GOOD
    assert done.stdout.splitlines()[-1] == "[]"


def test_python_m_passes_the_exit_status_on(tmp_path):
    command = [sys.executable, "-m", "etfgym.cli", "prices", "check", str(tmp_path / "none.csv")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])  # noqa: S603
    assert done.returncode == WRONG_USAGE
    assert "none.csv: no such file" in done.stderr
