"""Worlds: artificial markets made from real bars, to try on them whether what worked once works again.

    from etfgym import sources, worlds
    tables = worlds.generate("bootstrap", sources.load("builtin"), seed=1)
    gymnasium.make("etfgym/EtfTrading-v0", prices=tables)

Worlds whose truth is known, such as a planted signal, are in `etfgym.sources.worlds`.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np

from etfgym.checks import one_of, whole_number
from etfgym.prices import PriceTable
from etfgym.worlds.history import Floats, History

WORLDS = {
    "bootstrap": ("bootstrap", "Bootstrap"),
    "garch": ("garch", "Garch"),
    "pca": ("codes", "Pca"),
    "autoencoder": ("autoencoder", "AutoencoderWorld"),
    "vae": ("vae", "VaeWorld"),
    "gan": ("gan", "GanWorld"),
}
"""Every world by name: the module of `etfgym.worlds` (imported when it is asked for) and the class of its settings."""

LEARNT_WITH_TORCH = frozenset({"autoencoder", "vae", "gan"})


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


def fit(name: str, tables: Sequence[PriceTable], *, seed: int = 0, **settings: Any) -> World:
    """Return the world `name` of real tables, on the days that they have in common.

    Args:
        name: One of `WORLDS`.
        tables: Real bars.
        seed: Of the training of those that are trained.
        **settings: Of its class, such as `mean_block=40` of "bootstrap".

    Raises:
        ValueError: If there is no such world or setting, or if the tables have too few days in common.

    Example:
        >>> from etfgym.sources import load
        >>> world = fit("bootstrap", load("builtin"))
        >>> world.generate(seed=1, bars=300)[0]
        PriceTable(SP500-BOOTSTRAP-1, 300 bars, 2000-01-03 to 2001-02-23,
                   bootstrap world, seed 1, of SP500 1999-01-04 to 2018-12-31)
    """
    return fit_history(name, History.of(tables), seed=seed, **settings)


def fit_history(name: str, history: History, *, seed: int = 0, **settings: Any) -> World:
    """Return the world `name` of a history; see `fit`."""
    module, kind = WORLDS[one_of("world", name, WORLDS)]
    chosen = getattr(importlib.import_module(f"{__name__}.{module}"), kind)
    for setting in settings:
        one_of(f"setting of {name}", setting, [field.name for field in fields(chosen)])
    return World(name, history, chosen(**settings).fit(history, whole_number("seed", seed, 0)))


def generate(name: str, tables: Sequence[PriceTable], *, seed: int = 0, bars: int | None = None) -> list[PriceTable]:
    """Return one path of the world `name`, fitted and drawn with one seed; see `fit` and `World.generate`.

    Example:
        >>> import gymnasium, etfgym
        >>> from etfgym.sources import load
        >>> tables = generate("bootstrap", load("builtin", "SP500"), seed=7)
        >>> env = gymnasium.make("etfgym/EtfTrading-v0", prices=tables)
        >>> env.reset(seed=0)[1]["ticker"]
        'SP500-BOOTSTRAP-7'
    """
    return fit(name, tables, seed=seed).generate(seed, bars)
