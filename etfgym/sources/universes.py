"""Named lists of symbols, read from `data/universes.toml`."""

from __future__ import annotations

import tomllib
from pathlib import Path

from etfgym.prices import PriceError
from etfgym.sources.selection import select

_IN_THE_WHEEL = Path(__file__).parents[1] / "universes.toml"
_IN_A_CHECKOUT = Path(__file__).parents[2] / "data" / "universes.toml"


def universe(names: str) -> tuple[str, ...]:
    """Return the symbols that `names` stands for.

    Args:
        names: Symbols in capitals with commas between ("SPY,QQQ"), or the name of a list in `data/universes.toml`.

    Raises:
        PriceError: If it is empty, or neither; naming the nearest list.

    Example:
        >>> universe("SPY, QQQ")
        ('SPY', 'QQQ')
        >>> universe("builtin")
        ('SP500', 'NASDAQ')
    """
    lists = universes()
    if names in lists:
        return lists[names]
    symbols = tuple(symbol for symbol in (part.strip() for part in names.split(",")) if symbol)
    if not symbols:
        msg = f"no symbols in {names!r}; write for example SPY,QQQ or one of the universes {', '.join(lists)}"
        raise PriceError(msg)
    small = [symbol for symbol in symbols if symbol != symbol.upper()]
    if small:
        select(lists, small, "universes.toml, and symbols are written in capitals")
        msg = f"{small[0]}: a universe stands alone; write its name and nothing else, or symbols with commas between"
        raise PriceError(msg)
    return symbols


def universes() -> dict[str, tuple[str, ...]]:
    """Return every named list of symbols."""
    file = _IN_THE_WHEEL if _IN_THE_WHEEL.exists() else _IN_A_CHECKOUT
    return {name: tuple(symbols) for name, symbols in tomllib.loads(file.read_text(encoding="utf-8")).items()}
