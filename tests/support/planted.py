"""Tables in which what follows is told by the window, and a fit that is fast enough to find it in a test."""

import numpy as np

from etfgym.prices import PriceTable
from etfgym.sources.worlds import make_world
from etfgym.tasks.fit import Fitting

BARS = 8 * 261
FAST = Fitting(epochs=15, batch_size=64, learning_rate=3e-3)
"""With the DNN alone, about a second on these tables."""


def table_of_steps(nights, days, volumes):
    """Return bars of log returns from close to open, and from open to close, each shape (BARS,)."""
    closes = 100.0 * np.exp(np.cumsum(nights + days))
    opens = closes * np.exp(-days)
    high, low = np.maximum(opens, closes), np.minimum(opens, closes)
    bars = np.column_stack((opens, high, low, closes, np.round(volumes), closes))
    return PriceTable("TOY", make_world("trend", bars=BARS).dates, bars, source="planted")


def opens_told_by_volume(seed=0):
    """Return bars whose volume, twice or half a million, says whether the next open is 1 % higher or lower."""
    rng = np.random.default_rng(seed)
    told = rng.choice((-1.0, 1.0), BARS)
    nights = 0.01 * np.append(0.0, told[:-1]) + rng.normal(0.0, 0.003, BARS)
    return table_of_steps(nights, rng.normal(0.0, 0.005, BARS), 1e6 * 2.0**told)


def closes_that_turn_back(seed=0):
    """Return bars whose closes take back 0.8 of every move: 0.64 of a move's variance is told by the one before it."""
    rng = np.random.default_rng(seed)
    moves = np.zeros(BARS)
    for t in range(1, BARS):
        moves[t] = -0.8 * moves[t - 1] + rng.normal(0.0, 0.01)
    return table_of_steps(np.zeros(BARS), moves, np.full(BARS, 1e6))


def written(table, folder):
    """Write a table as a CSV, and return its path as text."""
    file = folder / f"{table.ticker}.csv"
    table.to_frame().to_csv(file)
    return str(file)
