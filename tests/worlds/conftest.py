"""Real bars that every checkout has, and made-up ones that pay dividends."""

from __future__ import annotations

import numpy as np
import pytest

from etfgym.prices import PriceTable
from etfgym.sources import load
from etfgym.worlds.history import History

DAYS = 1100


def paying_table(ticker: str, seed: int) -> PriceTable:
    """Bars of a random walk that pays 1 % of the last close on every 63rd day."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, DAYS)))
    opening = np.append(100.0, close[:-1]) * np.exp(rng.normal(0, 0.003, DAYS))
    high, low = np.maximum(opening, close) * 1.002, np.minimum(opening, close) * 0.999
    paid = np.where(np.arange(DAYS) % 63 == 62, 0.01, 0.0)
    factor = np.cumprod(1 / (1 - paid))
    volume = rng.integers(1000, 5000, DAYS)
    dates = np.busday_offset(np.datetime64("2010-01-04"), np.arange(DAYS), roll="forward")
    bars = np.column_stack((opening, high, low, close, volume, close * factor / factor[-1]))
    return PriceTable(ticker, dates, bars, "made up")


@pytest.fixture(scope="session")
def builtin() -> list[PriceTable]:
    return load("builtin")


@pytest.fixture(scope="session")
def history(builtin) -> History:
    return History.of(builtin)


@pytest.fixture(scope="session")
def paying() -> list[PriceTable]:
    return [paying_table("AAA", 1), paying_table("BBB", 2)]
