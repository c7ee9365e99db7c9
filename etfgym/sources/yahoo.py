"""Daily bars from Yahoo Finance through yfinance, kept in one Parquet file per symbol.

A cached symbol needs neither network nor yfinance. `fetch` brings one up to date: it downloads the last cached bars
and all later ones, and appends if the overlap agrees. A dividend or a split changes Adj Close or Close on every earlier
day, the overlap then differs, and the whole history is downloaded anew.

What Yahoo sends is checked by PriceTable before it is cached. Three things are settled on the way, since they are how
yfinance works and not faults: a timezone is dropped and the exchange's calendar day kept, a bar of a session that is
not over is left out, and a High or Low that misses Open or Close by less than `ROUNDING`, which comes from Yahoo's
32-bit floats, is moved onto it.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from logging.handlers import BufferingHandler
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from etfgym.atomic import write_atomically
from etfgym.prices import MIN_BARS, PriceError, PriceTable

OVERLAP = 10
"""Bars of the cache that an update downloads again, to see whether history was rewritten."""
ROUNDING = 1e-6
"""Relative difference of two prices that is taken for none; the smallest dividend that counts is 5e-6."""

_SYMBOL = re.compile(r"[A-Z0-9^][A-Z0-9.^=-]*")
_BODY = ["Open", "Close"]
_PRICES = ["Open", "High", "Low", "Close", "Adj Close"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How to wait when Yahoo says "too many requests"; wait k is first_delay * 2**k times 1 to 2, drawn at random."""

    tries: int = 6
    """Downloads tried before giving up."""
    first_delay: float = 4.0
    """Seconds, at least, before the second try."""
    sleep: Callable[[float], None] = time.sleep
    """Called with the seconds to wait."""
    rng: np.random.Generator = field(default_factory=np.random.default_rng)
    """Draws the jitter."""

    def wait(self, failures: int) -> float:
        """Return the seconds to wait after so many failures in a row; each is longer than the one before."""
        return float(self.first_delay * 2 ** (failures - 1) * (1 + self.rng.random()))


def load(
    tickers: Sequence[str], *, cache: Path | None = None, repair: bool = False, min_bars: int = MIN_BARS
) -> list[PriceTable]:
    """Return the whole histories of some symbols, from the cache if they are there, else downloaded into it.

    Args:
        tickers: Yahoo's symbols, such as "SPY" or "^GSPC".
        cache: Folder of the cache; None takes `cache_folder()`.
        repair: Mend a downloaded table as `PriceTable.from_frame` does; what is cached already has been checked.
        min_bars: Fewest bars a table may have.

    Raises:
        PriceError: If Yahoo does not know a symbol or can't be reached, or if a table or a cache file is at fault.
        ModuleNotFoundError: If a download is needed and yfinance is not installed.

    Example:
        >>> load(["SPY"])  # doctest: +SKIP
        [PriceTable(SPY, 8268 bars, 1993-01-29 to 2025-12-02, yahoo 2025-12-02T21:30:00+00:00)]
    """
    tables = []
    for ticker in tickers:
        file = _cache_file(cache, ticker)
        table = _read(file) if file.exists() else fetch(ticker, cache=cache, repair=repair)
        tables.append(PriceTable(table.ticker, table.dates, table.bars, table.source, min_bars))
    return tables


def fetch(
    ticker: str,
    *,
    cache: Path | None = None,
    repair: bool = False,
    now: datetime | None = None,
    backoff: Backoff | None = None,
) -> PriceTable:
    """Download one symbol, or bring its cached history up to date, and return its table, however short.

    Args:
        ticker: Yahoo's symbol, such as "SPY" or "^GSPC".
        cache: Folder of the cache; None takes `cache_folder()`.
        repair: Mend the download as `PriceTable.from_frame` does, each change printed to standard error.
        now: The time, with a timezone; None takes the clock's. A bar of a session not over by then is left out.
        backoff: How to wait out Yahoo's rate limit.

    Raises:
        PriceError: As for `load`; also if the new history starts later than the cached one. The cache stays as it was.
        ModuleNotFoundError: If yfinance or exchange_calendars is not installed.
    """
    file = _cache_file(cache, ticker)
    time_of_download = pd.Timestamp.now("UTC") if now is None else pd.Timestamp(now).tz_convert("UTC")

    def download(start: str | None) -> PriceTable:
        frame = _download(file.stem, start, backoff or Backoff())
        return _table(frame, file.stem, time_of_download, repair=repair)

    cached = _read(file) if file.exists() else None
    table = None if cached is None else _extended(cached, download(str(cached.dates[-OVERLAP:][0])))
    if table is None:
        table = download(None)
        if cached is not None and table.dates[0] > cached.dates[0]:
            msg = f"{ticker}: Yahoo's history now starts on {table.dates[0]}, the cached one on {cached.dates[0]}; "
            raise PriceError(msg + f"the cache is kept; delete {file} and fetch again if the new one is right")
    _write(file, table, time_of_download)
    return _read(file)


def cached(cache: Path | None = None) -> list[str]:
    """Return the symbols in the cache, sorted."""
    return sorted(file.stem for file in (cache or cache_folder()).glob("*.parquet"))


def cache_folder() -> Path:
    """Return `$ETFGYM_CACHE/yahoo` if that is set, `data/cache/yahoo` in a checkout, else the user's cache folder."""
    if "ETFGYM_CACHE" in os.environ:
        return Path(os.environ["ETFGYM_CACHE"], "yahoo")
    if Path("data/universes.toml").is_file():
        return Path("data/cache/yahoo")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "etfgym", "yahoo")


def _cache_file(cache: Path | None, ticker: str) -> Path:
    """Return the symbol's cache file, its stem the symbol in capitals; refuse what could name another place."""
    if not _SYMBOL.fullmatch(ticker.upper()):
        msg = f"{ticker!r} is no symbol: letters, digits and .^=- only, as in SPY, BRK-B or ^GSPC"
        raise PriceError(msg)
    return (cache or cache_folder()) / f"{ticker.upper()}.parquet"


def _extended(cached: PriceTable, recent: PriceTable) -> PriceTable | None:
    """Return the cached bars with the recent ones after them, or None if they disagree where they overlap."""
    shared = cached.dates >= recent.dates[0]  # (T,)
    count = int(shared.sum())
    agree = np.array_equal(cached.dates[shared], recent.dates[:count]) and np.allclose(
        cached.bars[shared], recent.bars[:count], rtol=ROUNDING, atol=0.0
    )
    if count == 0 or not agree:
        return None
    dates = np.concatenate((cached.dates, recent.dates[count:]))
    bars = np.concatenate((cached.bars, recent.bars[count:]))
    return PriceTable(cached.ticker, dates, bars, recent.source, min_bars=1)


# ------------------------------------------------------------------------------------------------ download


def _download(ticker: str, start: str | None, backoff: Backoff) -> pd.DataFrame:
    """Return what yfinance has for the symbol from the day `start` on, or in all; wait while Yahoo's limit lasts."""
    rate_limit = _extra("yfinance").exceptions.YFRateLimitError
    for failures in range(backoff.tries):
        if failures:
            wait = backoff.wait(failures)
            print(f"{ticker}: too many requests for Yahoo; waiting {wait:.0f} s", file=sys.stderr)
            backoff.sleep(wait)
        try:
            return _download_once(ticker, start)
        except rate_limit:
            continue
    msg = f"{ticker}: Yahoo answered {backoff.tries} times that there were too many requests; try again in an hour"
    raise PriceError(msg)


def _download_once(ticker: str, start: str | None) -> pd.DataFrame:
    yf = _extra("yfinance")
    span = {"period": "max"} if start is None else {"start": start}
    with _yfinance_errors() as records:
        try:
            frame = yf.download(
                ticker, **span, auto_adjust=False, actions=True, multi_level_index=False, progress=False, threads=False
            )
        except OSError as error:
            msg = f"{ticker}: Yahoo can't be reached ({error}); check the network"
            raise PriceError(msg) from None
    errors = [" ".join(record.getMessage().split()).removeprefix(f"['{ticker}']: ") for record in records]
    # yfinance 1.7's download() raises nothing: it catches each symbol's exception, the rate limit as well, logs its
    # repr and returns an empty frame (yfinance.shared._ERRORS is no longer filled). The log is all that tells why.
    # Ticker.history() would raise, but only the rate limit or under a deprecated switch.
    if any("YFRateLimitError" in line for line in errors):
        raise yf.exceptions.YFRateLimitError
    if frame is None or frame.empty:
        reason = f" ({errors[-1]})" if errors else ""
        msg = f"{ticker}: Yahoo sent no bars{reason}; check the symbol, which may be delisted, and the network"
        raise PriceError(msg)
    return pd.DataFrame(frame)


@contextmanager
def _yfinance_errors() -> Iterator[list[logging.LogRecord]]:
    """Collect the errors that yfinance logs meanwhile, also for somebody who has muted its logger; print none."""
    handler = BufferingHandler(capacity=1000)
    logger = logging.getLogger("yfinance")
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    try:
        yield handler.buffer
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


def _extra(name: str) -> ModuleType:
    """Import what only a download needs."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        msg = f'{name} is not installed; pip install "etfgym[yahoo]"'
        raise ModuleNotFoundError(msg) from None


# ------------------------------------------------------------------------------------------------ frame to table


def _table(frame: pd.DataFrame, ticker: str, now: pd.Timestamp, *, repair: bool) -> PriceTable:
    """Return the checked table of what yfinance sent, in whatever shape."""
    frame = _columns_of(frame, ticker)
    days = pd.DatetimeIndex(frame.index)
    frame = frame.set_axis(days.tz_localize(None).normalize(), axis=0)  # the wall clock's day is the exchange's
    frame = _without_unfinished_session(frame, ticker, now)
    if set(_PRICES) <= set(frame.columns):  # else from_frame says what is missing
        frame = _rounded_onto_body(frame)
    return PriceTable.from_frame(frame, ticker, f"yahoo {now.isoformat()}", repair=repair, min_bars=1)


def _columns_of(frame: pd.DataFrame, ticker: str) -> pd.DataFrame:
    """Return one ticker's columns by plain names, from a frame grouped by column or by ticker, or not at all."""
    if not isinstance(frame.columns, pd.MultiIndex):
        return frame
    for level in range(frame.columns.nlevels):
        if ticker in frame.columns.get_level_values(level):
            return pd.DataFrame(frame.xs(ticker, axis="columns", level=level))
    msg = f"{ticker}: not among the columns that Yahoo sent ({list(frame.columns)[:3]} ...); fetch it again"
    raise PriceError(msg)


def _without_unfinished_session(frame: pd.DataFrame, ticker: str, now: pd.Timestamp) -> pd.DataFrame:
    """Drop the last bar if its session is not over, or if none of its prices is there yet."""
    day = frame.index[-1]
    if not _is_over(day, now):
        why = "its session is not over"
    elif frame.iloc[-1].reindex(_PRICES).isna().all():
        why = "it has no prices yet"
    else:
        return frame
    print(f"{ticker}: bar of {day.date()} left out: {why}", file=sys.stderr)
    return frame.iloc[:-1]


def _is_over(day: pd.Timestamp, now: pd.Timestamp) -> bool:
    """Whether New York's session of the day is over; a day without one (an index or currency abroad) ends at midnight.

    The closing second is enough: should Yahoo correct the bar later, the next fetch sees that the overlap differs.
    """
    week = pd.Timedelta(days=7)
    calendar = _extra("exchange_calendars").get_calendar("XNYS", start=day - week, end=day + week)
    if calendar.is_session(day):
        return bool(now >= calendar.session_close(day))
    return bool(now >= (day + pd.Timedelta(days=1)).tz_localize("America/New_York"))


def _rounded_onto_body(frame: pd.DataFrame) -> pd.DataFrame:
    """Move a High or Low onto the Open or Close that it misses by float rounding, and leave what misses by more."""
    top, bottom = frame[_BODY].max(axis=1), frame[_BODY].min(axis=1)
    high_misses = (frame["High"] < top) & (frame["High"] >= top * (1 - ROUNDING))  # both false for NaN
    low_misses = (frame["Low"] > bottom) & (frame["Low"] <= bottom * (1 + ROUNDING))
    return frame.assign(High=frame["High"].mask(high_misses, top), Low=frame["Low"].mask(low_misses, bottom))


# ------------------------------------------------------------------------------------------------ cache


def _write(file: Path, table: PriceTable, now: pd.Timestamp) -> None:
    """Write the table, with a note of where it comes from, whole or not at all."""
    notes = {
        "source": "Yahoo Finance",
        "yfinance": _extra("yfinance").__version__,
        "downloaded": now.isoformat(),
        "sha256": table.sha256,
    }
    content = pa.Table.from_pandas(table.to_frame().reset_index(), preserve_index=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, lambda part: pq.write_table(content.replace_schema_metadata(notes), part))


def _read(file: Path) -> PriceTable:
    """Return the table of a cache file, however short; refuse one that is not as it was written."""
    try:
        content = pq.read_table(file, partitioning=None)
        notes = {key.decode(): value.decode() for key, value in (content.schema.metadata or {}).items()}
        frame = content.to_pandas(ignore_metadata=True)
        table = PriceTable.from_frame(frame, file.stem, f"yahoo {notes.get('downloaded')}", min_bars=1)
        fault = "" if table.sha256 == notes.get("sha256") else "the content does not match its SHA-256"
    except (OSError, pa.ArrowException, PriceError) as error:
        fault = " ".join(str(error).split())[:200]
    if fault:
        msg = f"{file}: damaged or changed ({fault}); delete it, then: etfgym prices fetch {file.stem}"
        raise PriceError(msg)
    return table
