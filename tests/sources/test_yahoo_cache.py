"""The cache of downloads: what needs no network, what is fetched anew, what a kill leaves behind."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from fake_yahoo import NOW, bars, fetched

from etfgym.prices import COLUMNS, PriceError
from etfgym.sources import files, yahoo

# Both packages still use what pandas 3.1 deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Series.values returning:DeprecationWarning"),  # exchange_calendars 4.13
    pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning"),  # yfinance 1.7
]


def test_a_cached_symbol_needs_neither_network_nor_yfinance(fake, tmp_path, request):
    fake(bars(30))
    table = fetched(tmp_path)
    request.getfixturevalue("no_network")
    assert yahoo.load(["SPY"], cache=tmp_path, min_bars=30)[0].sha256 == table.sha256


def test_metadata_tell_source_version_time_and_hash(fake, tmp_path):
    fake(bars(30))
    table = fetched(tmp_path)
    assert pq.read_schema(tmp_path / "SPY.parquet").metadata == {
        b"source": b"Yahoo Finance",
        b"yfinance": b"1.7.0",
        b"downloaded": b"2024-03-16T00:00:00+00:00",
        b"sha256": table.sha256.encode(),
    }
    assert table.source == "yahoo 2024-03-16T00:00:00+00:00"


def test_a_cache_file_is_also_a_price_file(fake, tmp_path):
    fake(bars(30))
    table = fetched(tmp_path)
    assert files.load(tmp_path / "SPY.parquet", min_bars=30)[0].sha256 == table.sha256


def test_an_update_downloads_the_overlap_and_appends(fake, tmp_path):
    module = fake(bars(30, last="2024-03-12"), bars(33))
    fetched(tmp_path)
    table = fetched(tmp_path)
    assert [settings.get("start") for _, settings in module.calls] == [None, "2024-02-28"]  # the last ten bars
    assert len(table) == 33
    assert table.dates.tolist() == bars(33).index.date.tolist()
    assert table.sha256 == yahoo._table(bars(33), "SPY", pd.Timestamp(NOW), repair=False).sha256


@pytest.mark.parametrize("column", COLUMNS)
def test_an_overlap_that_differs_in_any_column_fetches_the_whole_history_anew(fake, tmp_path, column):
    changed = bars(30)
    changed[column] = changed[column] * (1 - 2e-6)
    if column == "Close":
        changed["Adj Close"] = changed["Close"]
    module = fake(bars(30), changed, changed)
    fetched(tmp_path)
    table = fetched(tmp_path)
    assert [settings.get("period") for _, settings in module.calls] == ["max", None, "max"]
    assert table.to_frame()[column].iloc[0] == changed[column].iloc[0]


def test_a_dividend_rewrites_the_adjusted_closes_of_the_whole_cache(fake, tmp_path):
    after = bars(31, last="2024-03-18")
    after.iloc[:-1, after.columns.get_loc("Adj Close")] *= 0.99  # 1 % went ex on the last day
    fake(bars(30), after, after)
    fetched(tmp_path)
    table = yahoo.fetch("SPY", cache=tmp_path, now=datetime(2024, 3, 19, tzinfo=UTC))
    np.testing.assert_array_equal(table.adj_close, after["Adj Close"])


def test_an_overlap_without_a_cached_day_fetches_the_whole_history_anew(fake, tmp_path):
    whole = bars(30).drop(pd.Timestamp("2024-03-13"))
    module = fake(bars(30), whole, whole)
    fetched(tmp_path)
    assert len(fetched(tmp_path)) == 29
    assert len(module.calls) == 3


def test_a_history_that_starts_later_than_the_cached_one_leaves_the_cache_as_it_was(fake, tmp_path):
    short = bars(12, dividend_factor=0.9)
    fake(bars(30), short, short)
    fetched(tmp_path)
    before = (tmp_path / "SPY.parquet").read_bytes()
    with pytest.raises(
        PriceError, match=r"history now starts on 2024-02-29, the cached one on 2024-02-05; the cache is"
    ):
        fetched(tmp_path)
    assert (tmp_path / "SPY.parquet").read_bytes() == before


def test_a_failed_update_leaves_the_cache_as_it_was(fake, tmp_path):
    fake(bars(30), "DNSError('no host')")
    fetched(tmp_path)
    before = (tmp_path / "SPY.parquet").read_bytes()
    with pytest.raises(PriceError, match="DNSError"):
        fetched(tmp_path)
    assert (tmp_path / "SPY.parquet").read_bytes() == before


def test_a_cache_file_with_another_content_is_refused_with_the_cure(fake, tmp_path):
    fake(bars(30))
    fetched(tmp_path)
    path = tmp_path / "SPY.parquet"
    content = pq.read_table(path)
    volume = content.column_names.index("Volume")
    changed = content.set_column(volume, "Volume", [np.full(30, 7.0)])
    pq.write_table(changed.replace_schema_metadata(content.schema.metadata), path)
    with pytest.raises(PriceError, match=r"SHA-256\); delete it, then: etfgym prices fetch SPY"):
        yahoo.load(["SPY"], cache=tmp_path, min_bars=30)
    with pytest.raises(PriceError, match="damaged or changed"):
        fetched(tmp_path)


def test_a_cache_file_under_another_symbols_name_is_refused(fake, tmp_path):
    fake(bars(30))
    fetched(tmp_path)
    (tmp_path / "SPY.parquet").rename(tmp_path / "QQQ.parquet")
    with pytest.raises(PriceError, match=r"QQQ\.parquet: damaged or changed"):
        yahoo.load(["QQQ"], cache=tmp_path, min_bars=30)


def test_a_cache_file_cut_short_is_refused_with_the_cure(tmp_path):
    (tmp_path / "SPY.parquet").write_bytes(b"PAR1")
    with pytest.raises(PriceError, match=r"SPY\.parquet: damaged or changed .*delete it"):
        yahoo.load(["SPY"], cache=tmp_path)


def test_a_short_history_is_cached_and_refused_by_load_alone(fake, tmp_path):
    fake(bars(30))
    assert len(fetched(tmp_path)) == 30
    with pytest.raises(PriceError, match="SPY: 30 bars"):
        yahoo.load(["SPY"], cache=tmp_path)


def test_a_failure_between_writing_and_renaming_leaves_the_old_file_whole(fake, tmp_path, monkeypatch):
    fake(bars(30, last="2024-03-12"), bars(33))
    fetched(tmp_path)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        fetched(tmp_path)
    assert len(yahoo.load(["SPY"], cache=tmp_path, min_bars=30)[0]) == 30
    assert [path.name for path in tmp_path.iterdir()] == ["SPY.parquet"]


def test_a_kill_between_writing_and_renaming_leaves_the_old_file_whole(fake, tmp_path):
    fake(bars(30))
    fetched(tmp_path)
    script = """
import os, sys, types
from pathlib import Path
import pandas as pd
from etfgym.sources import yahoo
sys.modules["yfinance"] = types.SimpleNamespace(__version__="1.7.0")
Path.replace = lambda self, target: os._exit(9)
file = Path(sys.argv[1], "SPY.parquet")
table = yahoo._read(file)
yahoo._write(file, table.until("2024-03-01"), pd.Timestamp("2024-03-16", tz="UTC"))
"""
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False).returncode == 9  # noqa: S603
    assert len(list(tmp_path.iterdir())) == 2  # what the killed process was writing lies there still
    assert yahoo.cached(tmp_path) == ["SPY"]
    assert len(yahoo.load(["SPY"], cache=tmp_path, min_bars=30)[0]) == 30


def test_the_cache_lies_where_the_variable_says_else_in_the_checkout_else_with_the_user(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.delenv("ETFGYM_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if os.name == "posix":
        assert yahoo.cache_folder() == Path("/home/ann/.cache/etfgym/yahoo")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert yahoo.cache_folder() == Path("/caches/etfgym/yahoo")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/universes.toml").touch()
    assert yahoo.cache_folder() == Path("data/cache/yahoo")
    monkeypatch.setenv("ETFGYM_CACHE", "/elsewhere")
    assert yahoo.cache_folder() == Path("/elsewhere/yahoo")
