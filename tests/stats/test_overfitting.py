"""The probability of backtest overfitting: published values, and a case that can be checked by hand."""

import numpy as np
import pytest

from etfgym.stats import probability_of_overfitting


def noise():
    return np.random.default_rng(3).normal(0, 0.01, (1000, 30)).T  # theirs is (days, trials)


@pytest.mark.parametrize("blocks", [8, 10])
def test_the_probability_is_the_published_one(oracles, blocks):
    assert probability_of_overfitting(noise(), blocks) == pytest.approx(oracles["pbo_cscv"][f"S{blocks}"], abs=5e-7)


def test_a_trial_that_is_better_everywhere_is_chosen_rightly(oracles):
    returns = noise()
    returns[7] += 0.05
    assert probability_of_overfitting(returns, 8) == oracles["pbo_cscv"]["dominant_column"]


def test_two_trials_that_are_good_in_one_half_each_are_always_chosen_wrongly():
    # of two halves: whichever was best in one is the worst in the other
    up, down = np.array([0.03, 0.01]), np.array([-0.01, -0.03])
    assert probability_of_overfitting(np.array([[*up, *down], [*down, *up]]), 2) == 1.0


def test_wrong_numbers_are_refused_with_what_was_wanted():
    with pytest.raises(ValueError, match="blocks must be an even number"):
        probability_of_overfitting(noise(), 5)
    with pytest.raises(ValueError, match="20 finite numbers or more"):
        probability_of_overfitting(noise()[:, :19])
    with pytest.raises(ValueError, match="two trials or more"):
        probability_of_overfitting(noise()[:1])
    with pytest.raises(ValueError, match="finite"):
        probability_of_overfitting(np.where(np.arange(1000) == 3, np.nan, noise()))
