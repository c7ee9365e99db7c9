"""The command `etfgym`; its exit status is 0 for good, 1 for faults found and 2 for wrong usage.

    etfgym prices fetch SPY,QQQ | seed20        download into the cache, or bring it up to date
    etfgym prices check PRICES                  one line per ticker: its bars, or its fault and the cure
    etfgym prices show PRICES --tickers SPY     what there is, with the first and the last bar
    etfgym tasks list                           supervised tasks: data, models, baselines
    etfgym tasks run NAME                       train one and test it
    etfgym tasks predict NAME INPUT             ask what was trained
    etfgym worlds make | report | judge         artificial markets made from real bars

PRICES is builtin, yahoo (the cache), world:NAME, or the path of a CSV, of a folder of CSVs or of a Parquet table.
What a command needs is imported when it runs, so that `etfgym --help` answers at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import etfgym
from etfgym.tasks import commands as tasks
from etfgym.worlds import commands as worlds

if TYPE_CHECKING:
    from etfgym.prices import PriceTable

GOOD, FAULTS, WRONG_USAGE = 0, 1, 2


class UsageError(ValueError):
    """What was asked for does not exist or goes not together; the message is one line that says the cure."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Args:
        arguments: The words after `etfgym`; None takes those of the command line.

    Raises:
        SystemExit: With status 2 where argparse can't read the words, with 0 after `--help` and `--version`.
    """
    options = _parser().parse_args(arguments)
    from etfgym.prices import PriceError

    try:
        return int(options.command(options))
    except (PriceError, OSError, ModuleNotFoundError) as error:
        print(f"etfgym: {_in_words_of_the_shell(error)}", file=sys.stderr)
        return FAULTS
    except ValueError as error:  # what checks a setting raises it, in one line
        print(f"etfgym: {error}", file=sys.stderr)
        return WRONG_USAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="etfgym", description="A gym for trading one ETF.")
    parser.add_argument("--version", action="version", version=f"etfgym {etfgym.__version__}")
    subjects = parser.add_subparsers(required=True, metavar="SUBJECT")
    verbs = subjects.add_parser("prices", help="daily bars").add_subparsers(required=True, metavar="VERB")

    fetch = verbs.add_parser("fetch", help="download from Yahoo into the cache, or bring the cache up to date")
    fetch.add_argument("symbols", help="SPY,QQQ or a universe of data/universes.toml, such as seed20")
    fetch.add_argument("--repair", action="store_true", help="mend what can be mended, and say what was")
    fetch.set_defaults(command=_fetch)

    check = verbs.add_parser("check", help="look for faults in prices, ticker by ticker")
    _add_prices(check)
    check.add_argument("--repair", action="store_true", help="say what repairs would be made, and check the outcome")
    check.set_defaults(command=_check)

    show = verbs.add_parser("show", help="show the first and the last bar of each ticker")
    _add_prices(show)
    show.set_defaults(command=_show, repair=False)

    tasks.add_commands(subjects)
    worlds.add_commands(subjects)
    return parser


def _add_prices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "prices", help="builtin, yahoo, world:NAME, or the path of a CSV, a folder of CSVs or a Parquet"
    )
    parser.add_argument("--tickers", help="SPY,QQQ or a universe; all there are if left out")


# ------------------------------------------------------------------------------------------------ commands


def _fetch(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from etfgym.prices import PriceError
    from etfgym.sources import yahoo
    from etfgym.sources.universes import universe

    with _mistakes_of_usage():
        symbols = universe(options.symbols)
    failed = []
    for symbol in tqdm(symbols, unit="symbol", disable=None):  # None: no bar where nobody watches
        try:
            yahoo.fetch(symbol, repair=options.repair)
        except PriceError as error:
            failed.append(symbol)
            tqdm.write(f"etfgym: {_in_words_of_the_shell(error)}", file=sys.stderr)
    print(f"{len(symbols) - len(failed)} of {len(symbols)} symbols are up to date in {yahoo.cache_folder()}")
    return _verdict(failed, len(symbols), "could not be fetched")


def _check(options: argparse.Namespace) -> int:
    from etfgym.prices import MIN_BARS, PriceError

    tickers = _tickers(options.prices, options.tickers)
    failed = []
    for ticker in tickers:
        try:
            table = _load(options, ticker, MIN_BARS)
        except PriceError as error:
            failed.append(ticker)
            print(f"{ticker:<8} FAULT  {_in_words_of_the_shell(error)}")
        else:
            days = f"{table.dates[0]} to {table.dates[-1]}"
            print(f"{ticker:<8} OK     {len(table):>6} bars  {days}  sha256 {table.sha256[:12]}")
    return _verdict(failed, len(tickers), "have faults")


def _show(options: argparse.Namespace) -> int:
    for ticker in _tickers(options.prices, options.tickers):
        table = _load(options, ticker, min_bars=1)
        print(table)
        print(table.to_frame().iloc[[0, -1]].to_string(index_names=False), end="\n\n")
    return GOOD


# ------------------------------------------------------------------------------------------------ helpers


def _tickers(prices: str, wanted: str | None) -> list[str]:
    """Return the tickers to look at, one after the other: those asked for, or all that `prices` has."""
    from etfgym import sources
    from etfgym.sources import files, yahoo
    from etfgym.sources.selection import select
    from etfgym.sources.universes import universe

    with _mistakes_of_usage():
        names = None if wanted is None else universe(wanted)
    if prices == "yahoo":
        available = list(names or yahoo.cached())
        if not available:
            msg = f"no symbol is cached in {yahoo.cache_folder()}; first run: etfgym prices fetch SPY"
            raise UsageError(msg)
    elif _is_path(prices):
        if not Path(prices).exists():
            msg = f"{prices}: no such file or folder, and not builtin, yahoo or world:NAME; check the path"
            raise UsageError(msg)
        available = files.tickers_in(prices)
    else:
        with _mistakes_of_usage():
            available = [table.ticker for table in sources.load(prices)]
    with _mistakes_of_usage():
        return select(available, names, prices)


def _load(options: argparse.Namespace, ticker: str, min_bars: int) -> PriceTable:
    from etfgym import sources

    return sources.load(options.prices, [ticker], repair=options.repair, min_bars=min_bars)[0]


def _is_path(prices: str) -> bool:
    return prices not in {"builtin", "yahoo"} and not prices.startswith("world:")


@contextmanager
def _mistakes_of_usage() -> Iterator[None]:
    """Say that what is refused meanwhile was wrongly asked for, and is no fault of the data."""
    try:
        yield
    except ValueError as error:
        raise UsageError(str(error)) from None


def _in_words_of_the_shell(error: Exception) -> str:
    """Return the message with the option in place of the library's argument."""
    return str(error).replace("repair=True", "--repair")


def _verdict(failed: Sequence[str], count: int, what: str) -> int:
    if not failed:
        return GOOD
    print(f"etfgym: {len(failed)} of {count} tickers {what}: {', '.join(failed)}", file=sys.stderr)
    return FAULTS


if __name__ == "__main__":
    sys.exit(main())
