"""Real daily bars that need no network: two stock indices that ship with the `arch` package, 1999 to 2018.

They are indices, not funds: they pay no dividends (Adj Close equals Close), and the published open of the S&P 500 is
the last close on nearly every day until 2006 and on half of them from 2011 to 2013, so an overnight gap there is not
to be read as one. One unit is a stated fraction of the index, so that a unit costs about what a share of an ETF on it
costs.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from etfgym.prices import MIN_BARS, PriceTable
from etfgym.sources.selection import select

UNIT_FRACTION = {"SP500": 1 / 10, "NASDAQ": 1 / 40}
"""One unit as a fraction of the index: SPY was launched at a tenth of the S&P 500, QQQ at a fortieth of its index."""


def load(tickers: Sequence[str] | None = None, *, min_bars: int = MIN_BARS) -> list[PriceTable]:
    """Return the tables of "SP500" and "NASDAQ" (Composite), or of those named in `tickers`.

    Raises:
        PriceError: If a ticker is not one of the two.
    """
    tables = []
    for ticker in select(UNIT_FRACTION, tickers, "builtin"):
        name = ticker.lower()
        frame = pd.read_csv(_folder() / name / f"{name}.csv.gz")
        prices = ["Open", "High", "Low", "Close", "Adj Close"]
        frame[prices] *= UNIT_FRACTION[ticker]
        tables.append(PriceTable.from_frame(frame, ticker, "builtin (arch)", min_bars=min_bars))
    return tables


def _folder() -> Path:
    """Return the folder of arch's data. Importing arch would import its models, statsmodels and matplotlib."""
    package = importlib.util.find_spec("arch")
    if package is None or package.origin is None:
        msg = "the builtin prices come with the package arch, which is not installed; pip install arch"
        raise ModuleNotFoundError(msg)
    return Path(package.origin).parent / "data"
