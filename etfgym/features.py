"""Causal window features: what the agent sees at row t is made of rows <= t.

Every kind is one affine map, so that the environments need a single loop: cell (r, c) of the window that ends
at row t is `base[r, c] * scale[t, c] + shift[t, c]`, and row t of each array depends on rows <= t only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from etfgym.checks import one_of
from etfgym.prices import ADJ_CLOSE, COLUMNS, PRICE_RANGE, VOLUME, VOLUME_RANGE, PriceTable


@dataclass(frozen=True, slots=True)
class Features:
    """The affine map of one table and the bounds of its values.

    `base`, `scale` and `shift` have shape (T, 6), float32; `low` and `high` shape (6,), float32, bound any window.
    """

    base: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]
    shift: npt.NDArray[np.float32]
    low: npt.NDArray[np.float32]
    high: npt.NDArray[np.float32]


def raw(table: PriceTable, window: int) -> Features:  # noqa: ARG001 (every kind has this signature)
    """Return the bars as they stand in the table: dollars, and units traded.

    Note that Yahoo rewrites Adj Close after every dividend, so its level in a table downloaded today tells of
    dividends paid after row t. `relative` takes that out; prefer it for anything that is to be believed.
    """
    shape = table.bars.shape
    low = np.full(len(COLUMNS), PRICE_RANGE[0])
    high = np.full(len(COLUMNS), PRICE_RANGE[1])
    low[VOLUME], high[VOLUME] = VOLUME_RANGE
    return _features(table.bars, np.ones(shape), np.zeros(shape), low, high)


def relative(table: PriceTable, window: int) -> Features:
    """Return prices over the window's last Close, and the log of volume over its mean in the window.

    Adj Close is taken as it stood on the evening of row t, when its last value equalled the Close; that is
    Adj Close over the window's own last Adj Close. A volume below one unit counts as one.
    """
    volume = np.maximum(table.bars[:, VOLUME], 1.0)
    base = table.bars.copy()
    base[:, VOLUME] = np.log(volume)
    scale = np.repeat(1.0 / table.close[:, None], len(COLUMNS), axis=1)
    scale[:, ADJ_CLOSE] = 1.0 / table.adj_close
    scale[:, VOLUME] = 1.0
    shift = np.zeros(table.bars.shape)
    means = np.lib.stride_tricks.sliding_window_view(volume, window).mean(axis=1)
    shift[window - 1 :, VOLUME] = -np.log(means)
    low = np.zeros(len(COLUMNS))
    high = np.full(len(COLUMNS), 2 * PRICE_RANGE[1] / PRICE_RANGE[0])
    low[VOLUME], high[VOLUME] = -np.log(VOLUME_RANGE[1]) - 1, np.log(window) + 1
    return _features(base, scale, shift, low, high)


FEATURES: dict[str, Callable[[PriceTable, int], Features]] = {"relative": relative, "raw": raw}
"""Every kind of window feature, by the name that the environments take."""


def make_features(name: str, table: PriceTable, window: int) -> Features:
    """Return the features `name` of `table`.

    Raises:
        ValueError: If there is no such kind.

    Example:
        >>> from etfgym.prices import CLOSE
        >>> from etfgym.sources import load
        >>> table = load("builtin", "SP500")[0]
        >>> features = make_features("relative", table, window=20)
        >>> t = 100
        >>> window = features.base[t - 19 : t + 1] * features.scale[t] + features.shift[t]  # (20, 6)
        >>> round(float(window[-1, CLOSE]), 6)
        1.0
    """
    return FEATURES[one_of("features", name, FEATURES)](table, window)


def _features(*arrays: npt.NDArray[np.float64]) -> Features:
    return Features(*(np.ascontiguousarray(array, dtype=np.float32) for array in arrays))
