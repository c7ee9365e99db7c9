"""Worlds: artificial markets made from real bars, to try on them whether what worked once works again.

    from etfgym import sources, worlds
    tables = worlds.generate("bootstrap", sources.load("builtin"), seed=1)
    gymnasium.make("etfgym/EtfTrading-v0", prices=tables)

Worlds whose truth is known, such as a planted signal, are in `etfgym.sources.worlds`. What a function needs is
imported when it is called, so that the command line answers at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etfgym.prices import PriceTable
    from etfgym.worlds.world import World

WORLDS = {
    "bootstrap": ("bootstrap", "Bootstrap"),
    "garch": ("garch", "Garch"),
    "pca": ("codes", "Pca"),
    "autoencoder": ("autoencoder", "AutoencoderWorld"),
    "vae": ("vae", "VaeWorld"),
    "gan": ("gan", "GanWorld"),
}
"""Every world by name: the module of `etfgym.worlds` (imported when it is asked for) and the class of its settings."""


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
    from etfgym.worlds.history import History
    from etfgym.worlds.world import fit_history

    return fit_history(name, History.of(tables), seed=seed, **settings)


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
