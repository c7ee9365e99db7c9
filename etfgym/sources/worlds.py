"""Artificial markets with a known truth, seeded: what must be found, and what must not be, can be tested on them.

No world pays dividends; a bar's date is a weekday from 2000-01-03 on. Every world starts at 250 dollars a unit, so
that an order of 20 units moves a quarter of a 20,000 dollar account.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from etfgym.checks import one_of, whole_number
from etfgym.prices import ADJ_CLOSE, CLOSE, COLUMNS, MIN_BARS, VOLUME, PriceTable
from etfgym.sources.selection import select

Floats = npt.NDArray[np.float64]

START_PRICE = 250.0
DAILY_VOLATILITY = 0.01
"""Standard deviation of a day's log return in the noisy worlds."""


def trend(rng: np.random.Generator, bars: int) -> tuple[Floats, Floats]:
    """Rise by 10 % in 252 bars in the mean of the log, with noise: holding is right."""
    steps = np.log(1.10) / 252 + rng.normal(0.0, DAILY_VOLATILITY, bars)
    return np.cumsum(steps), _plain_volume(rng, bars)


def sine(rng: np.random.Generator, bars: int) -> tuple[Floats, Floats]:
    """Swing by 10 % around a level, once in 40 days, with little noise: buying low and selling high is right."""
    phase = 2 * np.pi * (np.arange(bars) / 40.0 + rng.random())
    return 0.10 * np.sin(phase) + rng.normal(0.0, 0.002, bars), _plain_volume(rng, bars)


def random_walk(rng: np.random.Generator, bars: int) -> tuple[Floats, Floats]:
    """Be a martingale: the expected price tomorrow is today's, so with costs nothing beats doing nothing."""
    steps = rng.normal(-(DAILY_VOLATILITY**2) / 2, DAILY_VOLATILITY, bars)
    return np.cumsum(steps), _plain_volume(rng, bars)


def planted(rng: np.random.Generator, bars: int) -> tuple[Floats, Floats]:
    """Rise or fall by 1 % a day for stretches of 5 to 15 days, told the evening before by that day's volume alone.

    The volume of day t is about 42 % above its usual level if day t + 1 belongs to a rising stretch and 30 % below if
    to a falling one. Stretches are drawn independently, so the price alone tells little; a weak pull keeps it
    near its level, so holding earns nothing on average.
    """
    direction = np.empty(bars + 1)
    day = 0
    while day <= bars:
        length = int(rng.integers(5, 16))
        direction[day : day + length] = rng.choice((-1.0, 1.0))
        day += length
    noise = rng.normal(0.0, DAILY_VOLATILITY, bars)
    level = np.zeros(bars)
    before = 0.0
    for t in range(bars):
        before = level[t] = before + 0.01 * direction[t] + noise[t] - 0.02 * before
    return level, 1e6 * np.exp(0.35 * direction[1:] + rng.normal(0.0, 0.1, bars))


WORLDS: dict[str, Callable[[np.random.Generator, int], tuple[Floats, Floats]]] = {
    "trend": trend,
    "sine": sine,
    "random-walk": random_walk,
    "planted": planted,
}
"""Every world by name: from a generator and a number of bars to log levels (T,) and volumes (T,)."""


def make_world(name: str, seed: int = 0, *, bars: int = 20 * 261, min_bars: int = MIN_BARS) -> PriceTable:
    """Return the world `name` as a table of `bars` daily bars (261 weekdays make a year); equal seeds, equal tables.

    Its ticker is the name in capitals with the seed, such as "PLANTED-0".

    Raises:
        ValueError: If there is no such world.

    Example:
        >>> make_world("planted", seed=3)
        PriceTable(PLANTED-3, 5220 bars, 2000-01-03 to 2020-01-03, world:planted:3)
    """
    world = WORLDS[one_of("world", name, WORLDS)]
    rng = np.random.default_rng(whole_number("seed", seed, 0))
    log_level, volume = world(rng, bars)
    close = START_PRICE * np.exp(log_level)
    opening = np.append(START_PRICE, close[:-1]) * np.exp(rng.normal(0.0, 0.001, bars))
    high = np.maximum(opening, close) * np.exp(np.abs(rng.normal(0.0, 0.003, bars)))
    low = np.minimum(opening, close) * np.exp(-np.abs(rng.normal(0.0, 0.003, bars)))
    dates = np.busday_offset(np.datetime64("2000-01-03"), np.arange(bars), roll="forward")
    table = np.column_stack((opening, high, low, close, np.round(volume), close))
    return PriceTable(f"{name.upper()}-{seed}", dates, table, source=f"world:{name}:{seed}", min_bars=min_bars)


def shuffled(table: PriceTable, seed: int) -> PriceTable:
    """Return the days of `table` in another order: the same returns, of which none tells anything of the next.

    A day keeps its bar relative to the close before it, its dividend and its volume; the first stays the first. The
    ticker ends with "-SHUFFLED" and the seed.

    Example:
        >>> from etfgym import sources
        >>> table = sources.load("builtin", "SP500")[0]
        >>> mixed = shuffled(table, seed=0)
        >>> mixed.ticker, bool(np.isclose(mixed.close[-1], table.close[-1]))
        ('SP500-SHUFFLED-0', True)
    """
    order = 1 + np.random.default_rng(seed).permutation(len(table) - 1)
    before = table.bars[order - 1]
    bars = table.bars.copy()
    relative = table.bars[order] / before[:, [CLOSE] * len(COLUMNS)]
    relative[:, ADJ_CLOSE] = table.adj_close[order] / before[:, ADJ_CLOSE]
    ends = np.cumprod(np.append(1.0, relative[:-1, CLOSE]))
    bars[1:] = relative * (table.close[0] * ends)[:, None]
    bars[1:, ADJ_CLOSE] = table.adj_close[0] * np.cumprod(relative[:, ADJ_CLOSE])
    bars[1:, VOLUME] = table.bars[order, VOLUME]
    return PriceTable(f"{table.ticker}-SHUFFLED-{seed}", table.dates, bars, source=f"shuffled:{seed}:{table.source}")


def load(spec: str, tickers: Sequence[str] | None = None, *, min_bars: int = MIN_BARS) -> list[PriceTable]:
    """Return the world of a spec "NAME" or "NAME:SEED"; `tickers`, if given, must be the one it has."""
    name, _, seed = spec.partition(":")
    if seed and not seed.isdecimal():
        msg = f"world:{spec}: the seed must be a whole number, as in world:{name}:3"
        raise ValueError(msg)
    table = make_world(name, int(seed or 0), min_bars=min_bars)
    select([table.ticker], tickers, table.source)
    return [table]


def _plain_volume(rng: np.random.Generator, bars: int) -> Floats:
    return 1e6 * np.exp(rng.normal(0.0, 0.3, bars))
