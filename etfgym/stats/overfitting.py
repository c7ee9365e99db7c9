"""Whether the choice of the best trial meant anything: the probability of backtest overfitting."""

from __future__ import annotations

import pandas as pd

from etfgym.checks import whole_number
from etfgym.stats.intervals import Floats
from etfgym.stats.sharpe import check_returns


def probability_of_overfitting(returns: Floats, blocks: int = 10) -> float:
    """Return how often the trial that was best in one half of the time is no better than the median in the other.

    Days are cut into blocks; each half of the blocks takes its turn as the one to choose in (combinatorially symmetric
    cross-validation: Bailey, Borwein, Lopez de Prado and Zhu, 2017, "The Probability of Backtest Overfitting"), by
    `ffn`. Trials are ranked by their Sharpe ratio. About 0.5 means that choosing was worth nothing.

    Args:
        returns: Of ALL trials, day by day, fractions, shape (K, T), K >= 2; days beyond a multiple of `blocks` are left
            out, the last ones.
        blocks: An even number. The paper has 16, which is 12,870 ways and takes ffn half a minute; 10 is 252 ways.

    Returns:
        In [0, 1]; NaN if a trial's returns don't vary in one of the halves.

    Raises:
        ValueError: If there is one trial, too few days, a return that is not finite, or an odd number of blocks.

    Example:
        >>> import numpy as np
        >>> returns = np.random.default_rng(0).normal(0.0, 0.01, (5, 252))
        >>> returns[3] += 0.01  # one trial has skill
        >>> probability_of_overfitting(returns, blocks=6)
        0.0
    """
    whole_number("blocks", blocks, 2)
    if blocks % 2:
        msg = f"blocks must be an even number, for half of them to choose in, got {blocks}"
        raise ValueError(msg)
    check_returns(returns, 2 * blocks)
    if returns.ndim != 2 or returns.shape[0] < 2:
        msg = f"returns must be those of two trials or more, shape (trials, days), got shape {returns.shape}"
        raise ValueError(msg)
    from ffn.core import calc_prob_backtest_overfitting  # heavy

    return float(calc_prob_backtest_overfitting(pd.DataFrame(returns.T), blocks))
