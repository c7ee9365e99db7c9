"""What can be believed about results: intervals, comparisons of many, and what luck and choice alone would give."""

from etfgym.stats.intervals import (
    CONFIDENCE,
    FEWEST_CLUSTERS,
    NO_INTERVAL,
    Interval,
    mean_interval,
    paired_difference_interval,
)
from etfgym.stats.outperformance import Outperformance, outperformance
from etfgym.stats.overfitting import probability_of_overfitting
from etfgym.stats.scores import (
    iqm,
    iqm_interval,
    performance_profile,
    performance_profile_band,
    probability_of_improvement,
    probability_of_improvement_interval,
)
from etfgym.stats.sharpe import (
    Record,
    deflated_sharpe,
    expected_max_sharpe,
    min_track_record,
    probabilistic_sharpe,
    sharpe_interval,
)

__all__ = [
    "CONFIDENCE",
    "FEWEST_CLUSTERS",
    "NO_INTERVAL",
    "Interval",
    "Outperformance",
    "Record",
    "deflated_sharpe",
    "expected_max_sharpe",
    "iqm",
    "iqm_interval",
    "mean_interval",
    "min_track_record",
    "outperformance",
    "paired_difference_interval",
    "performance_profile",
    "performance_profile_band",
    "probabilistic_sharpe",
    "probability_of_improvement",
    "probability_of_improvement_interval",
    "probability_of_overfitting",
    "sharpe_interval",
]
