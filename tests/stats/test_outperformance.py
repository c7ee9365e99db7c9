"""The tests of the best agent against buy-and-hold: their size, their power and their limits."""

import numpy as np
import pytest
from arch.bootstrap import SPA

from etfgym.stats import intervals, outperformance
from etfgym.stats.blocks import block_length


def rng(seed=0):
    return np.random.default_rng(seed)


def market(agents, days=250, seed=0):
    """Return (returns, benchmark) of agents that differ from the benchmark by luck alone."""
    benchmark, *luck = rng(seed).normal(0, 0.01, (agents + 1, days))
    return benchmark + np.array(luck), benchmark


@pytest.fixture(autouse=True)
def _fewer_resamples(monkeypatch):
    monkeypatch.setattr(intervals, "RESAMPLES", 1000)


def test_an_agent_with_skill_is_found_among_many_without():
    returns, benchmark = market(10)
    returns[4] += 0.003
    found = outperformance(returns, benchmark, rng())
    assert found.spa < 0.01
    assert found.reality_check < 0.01


def test_luck_alone_is_called_skill_in_at_most_about_one_test_in_ten_at_that_level(monkeypatch):
    monkeypatch.setattr(intervals, "RESAMPLES", 100)
    found = np.array([outperformance(*market(4, 100, seed), rng(seed)) for seed in range(80)])
    assert ((found < 0.1).mean(axis=0) <= 0.15).all()
    assert ((found < 0.5).mean(axis=0) > 0.3).all()  # and p-values are spread, not all near 1


def test_a_wild_agent_does_not_hide_a_steady_one_from_the_spa_test_as_it_does_from_the_reality_check():
    returns, benchmark = market(2)
    returns[0] = benchmark + 0.001 + 0.1 * (returns[0] - benchmark)  # steady
    returns[1] = benchmark + 10 * (returns[1] - benchmark)  # wild
    found = outperformance(returns, benchmark, rng())
    assert found.spa < 0.01
    assert found.reality_check > 0.2


def test_the_size_of_an_agents_bets_does_not_matter_to_the_spa_test():
    returns, benchmark = market(3)
    returns[0] += 0.001
    scaled = returns.copy()
    scaled[1] = benchmark + 7 * (returns[1] - benchmark)
    # days are drawn in the same blocks, whose length doesn't depend on the scale
    assert outperformance(scaled, benchmark, rng()).spa == outperformance(returns, benchmark, rng()).spa


def test_arch_still_leaves_the_studentising_to_us():
    returns, benchmark = market(2)
    returns[1] = benchmark + 10 * (returns[1] - benchmark)
    values = []
    for studentize in (True, False):
        test = SPA(-benchmark, -returns.T, block_size=2, reps=100, studentize=studentize, seed=rng())
        test.compute()
        values.append(test.pvalues.tolist())
    assert values[0] == values[1]


def test_agents_that_earn_no_more_than_the_benchmark_have_the_p_value_1():
    benchmark = rng().normal(size=50)
    assert outperformance(np.stack([benchmark, benchmark - 0.1]), benchmark, rng()) == (1.0, 1.0)


def test_an_agent_that_is_the_benchmark_changes_nothing():
    returns, benchmark = market(2)
    returns += 0.0005
    with_it = np.vstack([returns, benchmark])
    assert outperformance(with_it, benchmark, rng()).spa == pytest.approx(
        outperformance(returns, benchmark, rng()).spa, abs=0.02
    )


def test_the_same_generator_gives_the_same_p_values():
    returns, benchmark = market(3)
    assert outperformance(returns, benchmark, rng()) == outperformance(returns, benchmark, rng())


def test_too_few_days_give_no_p_value():
    assert np.isnan(outperformance(*market(2, 19), rng())).all()


def test_blocks_are_as_long_as_the_most_dependent_series_needs():
    days = rng().normal(size=500)
    trending = np.convolve(days, np.ones(10))[:500]
    assert block_length(days[:, None]) <= 3
    assert block_length(np.stack([days, trending, np.zeros(500)], axis=1)) == block_length(trending[:, None]) > 8
    assert block_length(np.zeros((20, 1))) == 1


def test_wrong_shapes_and_numbers_are_refused_with_what_was_wanted():
    returns, benchmark = market(2)
    with pytest.raises(ValueError, match=r"shape \(agents, days\), benchmark \(days,\); got \(2, 250\) and \(249,\)"):
        outperformance(returns, benchmark[1:], rng())
    with pytest.raises(ValueError, match="finite"):
        outperformance(returns * np.nan, benchmark, rng())
