from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from etfgym.prices import COLUMNS, PriceError
from etfgym.sources import files

HEADER = "Date,Open,High,Low,Close,Adj Close,Volume\n"
ETF44 = Path(__file__).parents[2] / "../shared/data/etf44_daily_to_2020.parquet"


def frame_of(first_close: float, days: int = 5) -> pd.DataFrame:
    """Bars that rise by one dollar a day, dates as the index."""
    close = first_close + np.arange(days)
    index = pd.bdate_range("2024-01-02", periods=days, name="Date")
    return pd.DataFrame(
        {"Open": close, "High": close + 1, "Low": close - 1, "Close": close, "Adj Close": close, "Volume": 1000},
        index=index,
    )


@pytest.fixture
def folder(tmp_path):
    """A folder with SPY from 100 dollars and QQQ from 200."""
    frame_of(100.0).to_csv(tmp_path / "SPY.csv")
    frame_of(200.0).to_csv(tmp_path / "qqq.csv")
    (tmp_path / "notes.txt").write_text("not a table")
    return tmp_path


@pytest.fixture
def long_parquet(tmp_path):
    """A Parquet table of ZZZ, AAA and MMM, in this order, with other columns first and last."""
    parts = [frame_of(price).reset_index().assign(ticker=name, x=1) for name, price in (("ZZZ", 10.0), ("AAA", 20.0))]
    parts.append(frame_of(30.0).reset_index().assign(ticker="MMM", x=1))
    path = tmp_path / "long.parquet"
    pd.concat(parts).to_parquet(path)
    return path


def test_a_csv_is_one_ticker_named_after_the_file_in_capitals(folder):
    [table] = files.load(folder / "qqq.csv", min_bars=5)
    assert table.ticker == "QQQ"
    assert table.source == str(folder / "qqq.csv")
    assert table.close.tolist() == [200.0, 201.0, 202.0, 203.0, 204.0]
    assert str(table.dates[0]) == "2024-01-02"


def test_a_path_given_as_text_is_kept_as_given(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert files.load("qqq.csv", min_bars=5)[0].source == "qqq.csv"


def test_a_csv_written_from_a_table_reads_back_to_the_same_hash(tmp_path):
    frame = frame_of(100.0) * (1 + 1e-3 / 3)
    frame.to_csv(tmp_path / "SPY.csv")
    frame.to_parquet(tmp_path / "SPY.parquet")
    [csv], [parquet] = files.load(tmp_path / "SPY.csv", min_bars=5), files.load(tmp_path / "SPY.parquet", min_bars=5)
    assert csv.sha256 == parquet.sha256


def test_a_folder_gives_its_csvs_by_name_and_passes_over_other_files(folder):
    assert [table.ticker for table in files.load(folder, min_bars=5)] == ["SPY", "QQQ"]  # SPY.csv < qqq.csv
    assert files.tickers_in(folder) == ["SPY", "QQQ"]


def test_a_long_parquet_gives_its_tickers_as_they_come(long_parquet):
    assert files.tickers_in(long_parquet) == ["ZZZ", "AAA", "MMM"]
    tables = files.load(long_parquet, min_bars=5)
    assert [(table.ticker, table.close[0]) for table in tables] == [("ZZZ", 10.0), ("AAA", 20.0), ("MMM", 30.0)]
    assert {table.source for table in tables} == {str(long_parquet)}


@pytest.mark.parametrize("dates_as", ["index", "column"])
def test_a_parquet_without_tickers_is_one_ticker_named_after_the_file(tmp_path, dates_as):
    frame = frame_of(100.0) if dates_as == "index" else frame_of(100.0).reset_index()
    frame.to_parquet(tmp_path / "spy.parquet")
    [table] = files.load(tmp_path / "spy.parquet", min_bars=5)
    assert table.ticker == "SPY"
    assert str(table.dates[-1]) == "2024-01-08"


def test_tickers_select_and_order(folder, long_parquet):
    assert [table.ticker for table in files.load(folder, ["QQQ", "SPY"], min_bars=5)] == ["QQQ", "SPY"]
    assert [table.close[0] for table in files.load(long_parquet, ["MMM", "ZZZ"], min_bars=5)] == [30.0, 10.0]


def test_an_unknown_ticker_is_refused_with_the_nearest_and_those_there_are(long_parquet):
    with pytest.raises(PriceError, match=r"^MMN: not in .*long\.parquet \(did you mean MMM\?\); it has ZZZ, AAA, MMM$"):
        files.load(long_parquet, ["ZZZ", "MMN"], min_bars=5)


def test_a_fault_in_a_ticker_that_is_not_asked_for_does_no_harm(folder):
    (folder / "BAD.csv").write_text("no table at all")
    assert len(files.load(folder, ["SPY"], min_bars=5)) == 1


def test_a_fault_in_the_bars_is_named_with_its_ticker_and_day_and_repaired_only_when_asked(tmp_path, capsys):
    path = tmp_path / "SPY.csv"
    path.write_text(HEADER + "2024-01-03,10,11,9,10,10,1\n2024-01-02,10,11,9,10,10,1\n")
    with pytest.raises(PriceError, match="SPY: unsorted date on 2024-01-02; pass repair=True"):
        files.load(path, min_bars=1)
    [table] = files.load(path, repair=True, min_bars=1)
    assert str(table.dates[0]) == "2024-01-02"
    assert "SPY: repaired: dates sorted" in capsys.readouterr().err


def test_too_few_bars_are_refused_unless_fewer_are_asked_for(folder):
    with pytest.raises(PriceError, match="SPY: 5 bars"):
        files.load(folder / "SPY.csv")


def test_a_missing_path_is_refused(tmp_path):
    with pytest.raises(PriceError, match=r"none\.csv: no such file or folder; check the path"):
        files.load(tmp_path / "none.csv")


def test_a_folder_without_csvs_is_refused_with_what_belongs_there(tmp_path):
    with pytest.raises(
        PriceError, match=r"no \.csv file in this folder; put one per ticker there, named like SPY\.csv"
    ):
        files.load(tmp_path)


def test_two_files_for_one_ticker_are_refused(folder):
    (folder / "spy.csv").write_text(HEADER)
    if len(list(folder.glob("*.csv"))) == 2:
        pytest.skip("this file system does not tell spy.csv from SPY.csv")
    with pytest.raises(PriceError, match=r"SPY\.csv and spy\.csv are both for SPY; remove one"):
        files.load(folder)


def test_another_suffix_is_refused_with_those_that_are_read(tmp_path):
    path = tmp_path / "SPY.pkl"
    path.write_bytes(b"")
    with pytest.raises(PriceError, match=r"SPY\.pkl: prices are read from \.csv and \.parquet files"):
        files.load(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("SPY.csv", b""),
        ("SPY.csv", b"\xff\xfe\x00 no text"),
        ("SPY.csv", b'Date,Open\n"2024-01-02'),
        ("SPY.parquet", b""),
        ("SPY.parquet", b"PAR1 cut off in the middle"),
    ],
)
def test_a_broken_file_is_one_line_with_its_path(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(PriceError, match=rf"{name}: can't be read \(.*is it a whole {path.suffix} file\?") as caught:
        files.load(path)
    assert "\n" not in str(caught.value)


def test_a_parquet_cut_short_is_one_line_with_its_path(long_parquet):
    long_parquet.write_bytes(long_parquet.read_bytes()[:-100])
    with pytest.raises(PriceError, match=r"long\.parquet: can't be read"):
        files.load(long_parquet)


@pytest.mark.parametrize("tickers", [["SPY", None], [1, 2], []])
def test_a_ticker_column_that_leaves_rows_without_symbol_is_refused(tmp_path, tickers):
    path = tmp_path / "long.parquet"
    frame_of(100.0, len(tickers)).assign(ticker=tickers).to_parquet(path)
    with pytest.raises(PriceError, match="the column ticker must hold a symbol in every row"):
        files.load(path)


@pytest.mark.skipif(not ETF44.exists(), reason=f"{ETF44.name} is not beside this checkout")
def test_the_44_real_funds_pass_every_check():
    tables = files.load(ETF44)
    assert len(tables) == 44
    assert sum(len(table) for table in tables) == 217_575
    [spy] = files.load(ETF44, ["SPY"])
    assert spy.sha256 == next(table.sha256 for table in tables if table.ticker == "SPY")
    assert spy.bars.shape == (7032, len(COLUMNS))
