"""Where prices come from: one function, `load`, whatever the source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from etfgym.prices import MIN_BARS, PriceError, PriceTable
from etfgym.sources import builtin, files, worlds, yahoo
from etfgym.sources.selection import select

Prices = str | Path | PriceTable | Sequence[PriceTable]
"""A source name, a path, a table, or several tables."""


def load(
    prices: Prices,
    tickers: str | Sequence[str] | None = None,
    *,
    repair: bool = False,
    min_bars: int = MIN_BARS,
) -> list[PriceTable]:
    """Return checked tables of daily bars.

    Args:
        prices: "builtin", "yahoo" (its cache, or a download), "world:NAME" or "world:NAME:SEED", the path of a CSV,
            of a folder of them or of a Parquet table, or tables that are there already.
        tickers: The ones wanted, in this order; one may be given as a string. None takes all there are.
        repair: Mend what `PriceTable.from_frame` can mend in files and downloads; each change is printed.
        min_bars: Fewest bars a table may have.

    Raises:
        PriceError: Naming ticker, date and cure.

    Example:
        >>> load("builtin", "SP500")
        [PriceTable(SP500, 5031 bars, 1999-01-04 to 2018-12-31, builtin (arch))]
    """
    wanted = [tickers] if isinstance(tickers, str) else None if tickers is None else list(tickers)
    if isinstance(prices, PriceTable):
        prices = [prices]
    if not isinstance(prices, str | Path):
        return _chosen(prices, wanted)
    if prices == "builtin":
        return builtin.load(wanted, min_bars=min_bars)
    if str(prices).startswith("world:"):
        return worlds.load(str(prices).removeprefix("world:"), wanted, min_bars=min_bars)
    if prices == "yahoo":
        if wanted is None:
            msg = "yahoo: say which tickers, for example tickers=['SPY']"
            raise PriceError(msg)
        return yahoo.load(wanted, repair=repair, min_bars=min_bars)
    return files.load(prices, wanted, repair=repair, min_bars=min_bars)


def _chosen(tables: Sequence[PriceTable], wanted: list[str] | None) -> list[PriceTable]:
    """Return the tables whose tickers are wanted."""
    if not isinstance(tables, Sequence) or not all(isinstance(table, PriceTable) for table in tables):
        msg = f"prices must be a source's name, a path, a PriceTable or several, got a {type(tables).__name__}; "
        raise PriceError(msg + "make a table of a DataFrame with PriceTable.from_frame")
    by_name = {table.ticker: table for table in tables}
    if len(by_name) < len(tables) or not by_name:
        msg = f"prices must be tables with different tickers, got {[table.ticker for table in tables]}"
        raise PriceError(msg)
    return [by_name[ticker] for ticker in select(by_name, wanted, "the tables given")]
