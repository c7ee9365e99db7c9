"""What the vector environment says about its accounts: a dict of arrays that are made when they are read."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from etfgym.envs.accounts import Accounts, Bools, State

KEYS = (
    *("ticker", "date", "price", "requested", "filled", "cash", "units", "equity", "fees", "dividends"),
    "action_mask",
)
"""What an `info` holds, see `etfgym.envs.etf.EtfTradingEnv`."""

BATCHED = (*KEYS, *(f"_{key}" for key in KEYS))
"""The same with the masks of the accounts that each speaks of, in Gymnasium's manner."""


@dataclass(slots=True)
class Moment:
    """One step of all accounts, from which any of `BATCHED` can be told, then or later.

    Args:
        accounts: Whose step it was; read for market and keywords, which never change.
        before: Accounts before it, dtype `kernel.ACCOUNT`; never written to again, like all that follows.
        after: Accounts after it, and after what was opened anew.
        actions: Shape (n,).
        idle: Accounts that took no step or were opened anew, shape (n,).
        which: Accounts that the info speaks of, shape (n,).
    """

    accounts: Accounts
    before: State
    after: State
    actions: npt.NDArray[np.int64]
    idle: Bools
    which: Bools

    def tell(self, key: str) -> npt.NDArray[Any]:
        """Return the array (n, ...) of that key."""
        market, after = self.accounts.market, self.after
        if key == "action_mask":
            return self.accounts.masks(after)
        told: npt.NDArray[Any]
        if key.startswith("_"):
            told = self.which.copy()
        elif key == "ticker":
            told = market.tickers[after["table"]]
        elif key == "date":
            told = market.dates[after["row"]]
        elif key == "price":
            told = market.close[after["row"]]
        elif key in {"cash", "units", "equity"}:
            told = after[key].copy()
        else:
            told = self.accounts.deeds(self.before, self.actions, self.idle)[key].copy()
        return told


class LazyInfo(dict[str, Any]):
    """A dict of some keys whose values are made when they are first read.

    To write down all that could be said about the accounts takes longer than the step itself, and few loops read it
    all. Reading one key makes that one; whatever looks at the dict as a whole makes all of them first, so that it is
    a dict like any other. Copies, pickles and the results of `|` are plain dicts. C code that looks into a dict's
    memory without asking it (json's encoder does) sees what has been made so far; `dict(info)` makes all.

    Args:
        keys: Of the values that `make` can make.
        make: Returns a key's value, the same whenever it is called.

    Example:
        >>> info = LazyInfo(("cash", "units"), lambda key: print("made", key))
        >>> info["cash"], "units" in info, len(info)
        made cash
        made units
        (None, True, 2)
    """

    __slots__ = ("_keys", "_make")

    def __init__(self, keys: tuple[str, ...], make: Callable[[str], Any]) -> None:
        super().__init__()
        self._keys = keys
        self._make = make

    def __missing__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        value = self[key] = self._make(key)
        return value

    def __contains__(self, key: object) -> bool:
        return key in self._keys or super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value, or `default` if there is none."""
        return self[key] if key in self else default  # noqa: SIM401 (this is get)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self.items()),)


def _on_the_whole(name: str) -> Callable[..., Any]:
    """Return dict's method of that name, with all values made first."""
    method = getattr(dict, name)

    @functools.wraps(method)
    def call(self: LazyInfo, *arguments: Any, **keywords: Any) -> Any:
        keys, self._keys = self._keys, ()
        made = {key: self._make(key) for key in keys if not dict.__contains__(self, key)}
        dict.update(self, made)
        return method(self, *arguments, **keywords)

    return call


for _name in (
    *("keys", "values", "items", "copy", "pop", "popitem", "setdefault", "update", "clear", "__delitem__"),
    *("__iter__", "__len__", "__reversed__", "__repr__", "__eq__", "__ne__", "__or__", "__ror__", "__ior__"),
):
    setattr(LazyInfo, _name, _on_the_whole(_name))
