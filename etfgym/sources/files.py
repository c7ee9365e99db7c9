"""Prices from files: a CSV in Yahoo's layout, a folder of such CSVs, or a Parquet table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from etfgym.prices import MIN_BARS, PriceError, PriceTable
from etfgym.sources.selection import select


def load(
    path: str | Path, tickers: Sequence[str] | None = None, *, repair: bool = False, min_bars: int = MIN_BARS
) -> list[PriceTable]:
    r"""Return the tables that a file or a folder holds.

    Args:
        path: A CSV with the columns Date, Open, High, Low, Close, Adj Close, Volume, its ticker being the file's name
            in capitals (`spy.csv` holds SPY); a folder of such CSVs; a Parquet table of many tickers with a column
            `ticker`; or a Parquet table without it, its ticker being the file's name.
        tickers: The ones wanted, in this order. None takes all: a folder's by name, a long table's as they come.
        repair: Mend what `PriceTable.from_frame` can mend, each change printed to standard error.
        min_bars: Fewest bars a table may have.

    Raises:
        PriceError: If there is no such path or ticker, if a file can't be read, or if its bars are at fault.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     text = "Date,Open,High,Low,Close,Adj Close,Volume\n2024-01-02,10,11,9,10.5,10.4,1000\n"
        ...     size = Path(folder, "toy.csv").write_text(text)
        ...     [table] = load(folder, min_bars=1)
        >>> table.ticker, table.close
        ('TOY', array([10.5]))
    """
    path = Path(path)
    names = select(tickers_in(path), tickers, str(path))
    return [
        PriceTable.from_frame(frame, ticker, str(file), repair=repair, min_bars=min_bars)
        for ticker, file, frame in _frames(path, names)
    ]


def tickers_in(path: str | Path) -> list[str]:
    """Return the tickers that a file or a folder holds, without reading any price.

    Raises:
        PriceError: If there is no such path, or it holds no ticker.
    """
    path = Path(path)
    return _tickers_in_column(path) if _has_ticker_column(path) else list(_file_of_each(path))


def _frames(path: Path, names: Sequence[str]) -> Iterator[tuple[str, Path, pd.DataFrame]]:
    """Yield each ticker with the file that holds it and its rows as they stand there."""
    if _has_ticker_column(path):
        with _readable(path):
            rows = _read_parquet(path, filters=[("ticker", "in", list(names))])
        frames = dict(iter(rows.groupby("ticker", sort=False)))
        for name in names:
            yield name, path, frames[name]
        return
    files = _file_of_each(path)
    for name in names:
        yield name, files[name], _read_one(files[name])


def _file_of_each(path: Path) -> dict[str, Path]:
    """Return the file of each ticker, where a file holds one ticker and is named after it."""
    if not path.is_dir():
        return {path.stem.upper(): path}
    files = sorted(file for file in path.iterdir() if file.suffix.lower() == ".csv")
    if not files:
        msg = f"{path}: no .csv file in this folder; put one per ticker there, named like SPY.csv"
        raise PriceError(msg)
    by_ticker: dict[str, Path] = {}
    for file in files:
        other = by_ticker.setdefault(file.stem.upper(), file)
        if other != file:
            msg = f"{path}: {other.name} and {file.name} are both for {file.stem.upper()}; remove one of them"
            raise PriceError(msg)
    return by_ticker


def _has_ticker_column(path: Path) -> bool:
    """Return whether `path` is a Parquet table of many tickers; refuse what is neither a table nor a folder."""
    if not path.exists():
        msg = f"{path}: no such file or folder; check the path"
        raise PriceError(msg)
    if path.is_dir() or path.suffix.lower() == ".csv":
        return False
    if path.suffix.lower() != ".parquet":
        msg = f"{path}: prices are read from .csv and .parquet files or a folder of .csv files; convert it"
        raise PriceError(msg)
    with _readable(path):
        return "ticker" in pq.read_schema(path).names


def _tickers_in_column(path: Path) -> list[str]:
    with _readable(path):
        column = pq.read_table(path, columns=["ticker"], partitioning=None)["ticker"]
    names: list[str] = pc.unique(column).to_pylist()
    if not names or not all(isinstance(name, str) and name for name in names):
        msg = f"{path}: the column ticker must hold a symbol in every row; fill it in"
        raise PriceError(msg)
    return names


def _read_one(file: Path) -> pd.DataFrame:
    with _readable(file):
        if file.suffix.lower() == ".parquet":
            return _read_parquet(file)
        return pd.read_csv(file)


def _read_parquet(file: Path, filters: list[tuple[str, str, list[str]]] | None = None) -> pd.DataFrame:
    """Read all columns as plain columns, whatever index pandas noted when the file was written."""
    frame: pd.DataFrame = pq.read_table(file, filters=filters, partitioning=None).to_pandas(ignore_metadata=True)
    return frame


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Turn what goes wrong while reading `file` into one line."""
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        msg = f"{file}: can't be read ({reason}); is it a whole {file.suffix.lower()} file?"
        raise PriceError(msg) from None
