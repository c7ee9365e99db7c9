"""How long the blocks are in which days are resampled, so that days that depend on each other stay together."""

from __future__ import annotations

import math

import numpy as np

from etfgym.stats.intervals import Floats

FEWEST_DAYS = 20
"""In fewer days than this no dependence can be seen, and nothing is resampled."""


def block_length(returns: Floats) -> int:
    """Return the mean length of the stationary bootstrap's blocks, in days: the longest that any of the series needs.

    It is the choice of Politis and White (2004) as corrected by Patton, Politis and White (2009), from `arch`.

    Args:
        returns: Shape (T, K), T >= `FEWEST_DAYS`; a series that never varies asks for nothing.

    Example:
        >>> drift = np.convolve(np.random.default_rng(0).normal(size=1000), np.ones(10))
        >>> block_length(np.stack([drift, np.zeros(drift.size)], axis=1))
        20
    """
    from arch.bootstrap import optimal_block_length  # heavy

    with np.errstate(divide="ignore", invalid="ignore"):  # of series that are flat, wholly or for a time
        longest = float(optimal_block_length(returns)["stationary"].max())
    return max(1, math.ceil(longest)) if math.isfinite(longest) else 1
