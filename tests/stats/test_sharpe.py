"""Sharpe ratios: every published value, the limits, and how often the interval holds the truth."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etfgym import metrics
from etfgym.stats import (
    NO_INTERVAL,
    Record,
    deflated_sharpe,
    expected_max_sharpe,
    intervals,
    min_track_record,
    probabilistic_sharpe,
    sharpe_interval,
)

ratios = st.floats(-0.5, 0.5)


def rng(seed=0):
    return np.random.default_rng(seed)


def returns_with(sharpe, steps, counts):
    """Return returns of this Sharpe ratio that take these values, shifted and scaled, so many times each."""
    steps = np.repeat(steps, counts)
    return 0.01 * ((steps - steps.mean()) / steps.std(ddof=1) + sharpe)


@pytest.mark.parametrize("case", [0, 1, 2])
def test_the_deflated_sharpe_ratio_is_the_published_one(oracles, case):
    given, case = oracles["deflated_sharpe_2014"]["inputs"], oracles["deflated_sharpe_2014"]["cases"][case]
    tolerance = oracles["deflated_sharpe_2014"]["tolerance"]
    sharpe = given["annual_sharpe"] / math.sqrt(given["periods_per_year"])
    spread = math.sqrt(given["annual_variance_of_trial_sharpes"] / given["periods_per_year"])
    hurdle = expected_max_sharpe(case["N"], spread)
    assert hurdle == pytest.approx(case["SR0"], abs=tolerance)
    record = Record(sharpe, given["T"], case["skew"], case["kurtosis"])
    assert probabilistic_sharpe(record, hurdle) == pytest.approx(case["DSR"], abs=tolerance)
    # The same from returns: 105 bad days of 1250, and one that is a little bad, have the skew and the kurtosis of the
    # first two cases, 209 up and 209 down those of the third.
    counts = {-3: (105, 1, 1144, 0), 0: (209, 0, 832, 209)}[case["skew"]]
    returns = returns_with(sharpe, (-1.0, -0.1, 0.0, 1.0), counts)
    of_returns = Record.of(returns)
    assert of_returns.sharpe == pytest.approx(sharpe)
    assert (of_returns.skew, of_returns.kurtosis) == pytest.approx((case["skew"], case["kurtosis"]), rel=0.005)
    assert deflated_sharpe(returns, case["N"], spread) == pytest.approx(case["DSR"], abs=tolerance)


@pytest.mark.parametrize("trials", ["10", "100", "1000"])
def test_the_expected_maximum_of_trials_is_the_published_one(oracles, trials):
    wanted = oracles["expected_max_sharpe_unit_variance"][trials]
    assert expected_max_sharpe(int(trials), 1.0) == pytest.approx(wanted, abs=5e-5)


def test_both_published_conventions_of_the_probabilistic_sharpe_ratio_are_met(oracles):
    given = oracles["probabilistic_sharpe"]["inputs"]
    record = Record(given["mean"] / given["sd"], given["T"], given["skew"], given["kurtosis"])
    ours = oracles["probabilistic_sharpe"]["sr0_0_variance_at_sr_and_T_minus_1"]
    theirs = oracles["probabilistic_sharpe"]["sr0_0_variance_at_sr0_and_T"]
    assert probabilistic_sharpe(record) == pytest.approx(ours, abs=5e-5)
    assert probabilistic_sharpe(record, at_benchmark=True) == pytest.approx(theirs, abs=5e-5)


@pytest.mark.parametrize("periods", ["daily_250", "weekly_52", "monthly_12"])
def test_the_minimum_track_record_is_the_published_one(oracles, periods):
    given, in_a_year = oracles["min_track_record_years"], int(periods.split("_")[1])
    record = Record(given["annual_sharpe"] / math.sqrt(in_a_year), 100)
    years = min_track_record(record, given["benchmark"] / math.sqrt(in_a_year)) / in_a_year
    assert years == pytest.approx(given[periods], abs=0.005)


@given(st.floats(0.01, 0.5), ratios, st.floats(-2, 2), st.floats(0, 8))
def test_at_the_minimum_track_record_the_probability_is_95_percent(above, benchmark, skew, more):
    record = Record(benchmark + above, 2, skew, 1 + skew**2 + more)
    needed = min_track_record(record, benchmark)
    if needed > 1000:  # rounding it to whole days then changes nothing
        long = Record(record.sharpe, round(needed), record.skew, record.kurtosis)
        assert probabilistic_sharpe(long, benchmark) == pytest.approx(0.95, abs=1e-3)


def test_the_variance_is_taken_at_the_estimate_over_one_period_less_or_at_the_benchmark_over_all():
    record = Record(0.5, 101, skew=-1.0, kurtosis=5.0)
    at_half, at_zero = 1 + 0.5 + 0.25, 1.0  # 1 - skew x + (kurtosis - 1) / 4 x^2
    assert probabilistic_sharpe(record, 0.4) == pytest.approx(NormalDist().cdf(0.1 * math.sqrt(100 / at_half)))
    wanted = NormalDist().cdf(0.1 * math.sqrt(101 / at_zero))
    assert probabilistic_sharpe(Record(0.1, 101, -1.0, 5.0), at_benchmark=True) == pytest.approx(wanted)


@given(ratios, st.integers(2, 3000))
def test_a_ratio_at_its_benchmark_is_as_likely_above_as_below(sharpe, periods):
    for at_benchmark in (False, True):
        assert probabilistic_sharpe(Record(sharpe, periods), sharpe, at_benchmark=at_benchmark) == 0.5


@pytest.mark.parametrize(("trials", "spread"), [(1, 0.0), (1, 0.3), (30, 0.05), (4000, 0.02)])
def test_the_deflated_ratio_is_the_probabilistic_one_above_the_hurdle_of_the_trials(trials, spread):
    returns = rng(4).standard_t(5, 300) / 100 + 0.001
    wanted = probabilistic_sharpe(Record.of(returns), expected_max_sharpe(trials, spread))
    assert deflated_sharpe(returns, trials, spread) == pytest.approx(wanted, abs=1e-12)


def test_one_trial_has_no_hurdle_and_more_trials_have_a_higher_one():
    assert expected_max_sharpe(1, 0.3) == 0.0
    assert expected_max_sharpe(50, 0.0) == 0.0
    hurdles = [expected_max_sharpe(trials, 0.3) for trials in (1, 2, 10, 100)]
    assert hurdles == sorted(set(hurdles))


def test_the_hurdle_is_about_the_mean_of_the_best_of_trials_without_skill():
    best = 0.1 * rng().normal(size=(4000, 50)).max(axis=1)
    assert expected_max_sharpe(50, 0.1) == pytest.approx(best.mean(), rel=0.02)


def test_the_ratio_times_the_root_of_252_is_that_of_the_metrics():
    returns = rng().normal(0.001, 0.01, 252)
    equity = 20_000 * np.cumprod(np.append(1.0, 1 + returns))
    assert Record.of(returns).sharpe * np.sqrt(252) == pytest.approx(metrics.sharpe(equity))


def test_a_record_below_its_benchmark_never_gets_long_enough():
    assert min_track_record(Record(0.1, 252), 0.1) == math.inf


def test_returns_that_never_vary_have_no_ratio_and_no_test():
    flat = np.full(252, 0.01)
    record = Record.of(flat)
    assert np.isnan(record.sharpe)
    assert np.isnan(probabilistic_sharpe(record))
    assert np.isnan(min_track_record(record))
    assert np.isnan(deflated_sharpe(flat, 10, 0.1))
    assert sharpe_interval(flat, rng()) is NO_INTERVAL


def test_the_interval_of_the_ratio_holds_the_truth_about_19_times_in_20(monkeypatch):
    monkeypatch.setattr(intervals, "RESAMPLES", 200)
    source = rng(2)
    found = [sharpe_interval(source.normal(0.001, 0.01, 150), source) for _ in range(150)]
    assert 0.90 <= np.mean([low <= 0.1 <= high for low, high in found]) <= 0.98


def test_days_that_depend_on_each_other_make_the_interval_wider():
    noise = rng(3).normal(size=600)
    trending = np.convolve(noise, np.full(5, 0.2))[4:600]
    shuffled = rng(4).permutation(trending)
    widths = [np.diff(sharpe_interval(returns, rng())) for returns in (shuffled, trending)]
    assert widths[1] > 1.6 * widths[0]  # the root of 5, were blocks endless


def test_the_same_generator_gives_the_same_interval():
    returns = rng(1).normal(size=100)
    assert sharpe_interval(returns, rng()) == sharpe_interval(returns, rng())
    assert sharpe_interval(returns, rng()) != sharpe_interval(returns, rng(1))


def test_an_account_that_was_idle_but_for_three_days_still_has_an_interval():
    returns = np.zeros(252)
    returns[100:103] = [0.01, -0.02, 0.03]
    low, high = sharpe_interval(returns, rng())
    assert low <= Record.of(returns).sharpe <= high


def test_too_few_days_give_no_interval():
    assert sharpe_interval(rng().normal(size=19), rng()) is NO_INTERVAL
    assert sharpe_interval(rng().normal(size=20), rng()).available


def test_wrong_numbers_are_refused_with_what_was_wanted():
    for of_returns in (Record.of, lambda returns: deflated_sharpe(returns, 1, 0.0)):
        for bad in (np.ones(3), np.array([0.1, np.nan, 0.1, 0.2]), np.array([0.1, np.inf, 0.1, 0.2])):
            with pytest.raises(ValueError, match="returns must be 4 finite numbers or more"):
                of_returns(bad)
    with pytest.raises(ValueError, match="finite numbers"):
        sharpe_interval(np.array([0.1, np.nan]), rng())
    with pytest.raises(ValueError, match="periods must be a whole number of at least 2, got 1"):
        Record(0.1, 1)
    with pytest.raises(ValueError, match="trials must be a whole number of at least 1, got 0"):
        expected_max_sharpe(0, 0.1)
    for bad in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="spread is a standard deviation of Sharpe ratios per period, >= 0"):
            deflated_sharpe(np.ones(9), 10, bad)
