"""What can be believed about results: intervals, comparisons of many, and what luck and choice alone would give."""

from etfgym.stats.intervals import (
    CONFIDENCE,
    FEWEST_CLUSTERS,
    NO_INTERVAL,
    Interval,
    mean_interval,
    paired_difference_interval,
)
from etfgym.stats.scores import (
    iqm,
    iqm_interval,
    performance_profile,
    performance_profile_band,
    probability_of_improvement,
    probability_of_improvement_interval,
)

__all__ = [
    "CONFIDENCE",
    "FEWEST_CLUSTERS",
    "NO_INTERVAL",
    "Interval",
    "iqm",
    "iqm_interval",
    "mean_interval",
    "paired_difference_interval",
    "performance_profile",
    "performance_profile_band",
    "probability_of_improvement",
    "probability_of_improvement_interval",
]
