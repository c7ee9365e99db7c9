"""World: what was learnt of a history, and any number of paths that it leads to."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np

from etfgym.checks import one_of, whole_number
from etfgym.prices import PriceTable
from etfgym.worlds import WORLDS
from etfgym.worlds.history import Floats, History


class Model(Protocol):
    """What was learnt of a history."""

    def draw(self, rng: np.random.Generator, bars: int) -> Floats:
        """Return new steps, shape (tickers, bars, 6), columns as in `etfgym.worlds.history`."""
        ...


@dataclass(frozen=True, eq=False)
class World:
    """A world fitted on a history: any number of paths, each from a seed."""

    name: str
    history: History
    model: Model

    def generate(self, seed: int = 0, bars: int | None = None) -> list[PriceTable]:
        """Return one path of every ticker, jointly; equal seeds, equal tables.

        Args:
            seed: Of the path.
            bars: Its length; None makes it as long as the history.

        Raises:
            PriceError: If the path leaves the range of prices that a table may have.
        """
        count = self.history.steps.shape[1] if bars is None else whole_number("bars", bars, 1)
        rng = np.random.default_rng(whole_number("seed", seed, 0))
        return self.history.tables(self.model.draw(rng, count), self.name, seed)


def fit_history(name: str, history: History, *, seed: int = 0, **settings: Any) -> World:
    """Return the world `name` of a history; see `etfgym.worlds.fit`.

    Raises:
        ModuleNotFoundError: If it takes torch, and there is none.
    """
    module, kind = WORLDS[one_of("world", name, WORLDS)]
    try:
        chosen = getattr(importlib.import_module(f"etfgym.worlds.{module}"), kind)
    except ModuleNotFoundError as error:
        msg = f'{error.name} is not installed; pip install "etfgym[torch]"'
        raise ModuleNotFoundError(msg) from None
    for setting in settings:
        one_of(f"setting of {name}", setting, [field.name for field in fields(chosen)])
    return World(name, history, chosen(**settings).fit(history, whole_number("seed", seed, 0)))
