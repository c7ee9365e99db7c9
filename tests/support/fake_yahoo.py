"""A stand-in for yfinance, and frames in the shapes that it has been seen to return."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from etfgym.sources import yahoo

NOW = datetime(2024, 3, 16, tzinfo=UTC)  # a Saturday: all of that week's sessions are over
EXPLICIT = {
    "auto_adjust": False,
    "actions": True,
    "multi_level_index": False,
    "progress": False,
    "threads": False,
}


class RateLimitError(Exception):
    pass


class FakeYahoo(SimpleNamespace):
    """Stands for the module yfinance: answers each download with the next of `answers`, and notes the calls."""

    def __init__(self, *answers):
        super().__init__(__version__="1.7.0", exceptions=SimpleNamespace(YFRateLimitError=RateLimitError))
        self.answers = list(answers)
        self.calls = []

    def download(self, ticker, **settings):
        self.calls.append((ticker, settings))
        answer = self.answers.pop(0)
        if isinstance(answer, str):  # as yfinance does: log why, return nothing
            logging.getLogger("yfinance").error("\n1 Failed download:")
            logging.getLogger("yfinance").error("['%s']: %s", ticker, answer)
            return bars(0)
        if isinstance(answer, Exception):
            raise answer
        start = settings.get("start")
        return answer if start is None else answer.loc[start:]


class NoNetwork:
    """An import hook under which yfinance and exchange_calendars are not installed."""

    def find_spec(self, name, *_):
        if name in {"yfinance", "exchange_calendars"}:
            raise ModuleNotFoundError(name)


def bars(days: int, last: str = "2024-03-15", *, dividend_factor: float = 1.0) -> pd.DataFrame:
    """Weekdays up to `last`, as yfinance returns them, with Adj Close the Close times `dividend_factor`."""
    index = pd.bdate_range(end=last, periods=days, name="Date")
    close = 100.0 + np.arange(days) % 7
    return pd.DataFrame(
        {
            "Adj Close": close * dividend_factor,
            "Capital Gains": 0.0,
            "Close": close,
            "Dividends": 0.0,
            "High": close + 1,
            "Low": close - 1,
            "Open": close + 0.5,
            "Stock Splits": 0.0,
            "Volume": 1000 + np.arange(days),
        },
        index=index,
    )


def fetched(cache: Path, **settings):
    return yahoo.fetch("SPY", cache=cache, now=NOW, **settings)
