"""Comparisons of agents: by hand, by scipy, by published values; how often the intervals hold the truth."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from etfgym.stats import (
    intervals,
    iqm,
    iqm_interval,
    mean_interval,
    performance_profile,
    performance_profile_band,
    probability_of_improvement,
    probability_of_improvement_interval,
)

matrices = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=6),
    elements=st.integers(-9, 9).map(lambda number: number / 2),  # so few that there are ties
)
NAN = np.nan


def rng(seed=0):
    return np.random.default_rng(seed)


def coverage(found, truth):
    return np.mean([low <= truth <= high for low, high in found])


def test_iqm_and_probability_of_improvement_are_the_published_values(oracles):
    source = rng()
    a, b = source.normal(0.5, 0.3, (10, 20)).T, source.normal(0.4, 0.3, (10, 20)).T  # theirs are (runs, tasks)
    assert iqm(a) == pytest.approx(oracles["iqm"]["iqm_a"], abs=1e-12)
    wanted = oracles["iqm"]["probability_of_improvement_a_over_b"]
    assert probability_of_improvement(a, b) == pytest.approx(wanted, abs=1e-12)


@settings(max_examples=50)
@given(matrices)
def test_the_iqm_is_scipys_trimmed_mean_of_all_runs(scores):
    assert iqm(scores) == pytest.approx(scipy.stats.trim_mean(scores, 0.25, axis=None), abs=1e-12)


def test_the_iqm_leaves_missing_runs_out():
    assert iqm(np.array([[1.0, NAN, 2.0], [NAN, 60.0, -60.0]])) == 1.5


@settings(max_examples=50)
@given(matrices, st.integers(2, 6), st.randoms(use_true_random=False))
def test_the_probability_of_improvement_is_the_mann_whitney_statistic(scores, runs, source):
    others = np.array([[source.randint(-9, 9) / 2 for _ in range(runs)] for _ in scores])
    pairs = scores.shape[1] * runs
    wanted = [scipy.stats.mannwhitneyu(x, y).statistic / pairs for x, y in zip(scores, others, strict=True)]
    assert probability_of_improvement(scores, others) == pytest.approx(np.mean(wanted))
    assert probability_of_improvement(others, scores) == pytest.approx(1 - np.mean(wanted))


def test_pairs_of_missing_runs_do_not_count():
    scores, others = np.array([[3.0, NAN, 1.0]]), np.array([[2.0, 1.0, NAN, NAN]])
    assert probability_of_improvement(scores, others) == 2.5 / 4  # wins twice, loses, ties


@settings(max_examples=40, deadline=None)
@given(matrices, st.floats(-5, 5))
def test_a_shift_of_all_scores_shifts_the_interval_of_the_iqm(scores, shift):
    here, there = iqm_interval(scores, rng()), iqm_interval(scores + shift, rng())
    assert np.allclose(np.add(here, shift), there, atol=1e-9)


def test_resampled_iqms_are_those_of_the_resamples_written_out(monkeypatch):
    monkeypatch.setattr(intervals, "RESAMPLES", 30)
    scores = rng(1).normal(size=(3, 5))
    scores[1, 2] = NAN
    spread = intervals.stretched(scores)
    times = intervals.times_drawn(scores, rng(), None).astype(int)
    written_out = [np.repeat(np.nan_to_num(spread).ravel(), drawn.ravel()) for drawn in times]
    wanted = intervals.percentiles(np.array([scipy.stats.trim_mean(each, 0.25) for each in written_out]))
    assert iqm_interval(scores, rng()) == pytest.approx(wanted)


def test_each_run_of_a_task_is_drawn_as_often_as_the_others_and_never_for_another_task():
    scores = np.array([[0.0, NAN, 1.0], [0.0, 1.0, 2.0]])
    times = intervals.times_drawn(scores, rng(), None)
    assert (times.sum(axis=2) == [2, 3]).all()
    assert np.allclose(times.mean(axis=0), [[1, 0, 1], [1, 1, 1]], atol=0.05)


@pytest.mark.parametrize("task_count", [1, 10])
def test_intervals_of_the_iqm_hold_the_truth_about_19_times_in_20(monkeypatch, task_count):
    monkeypatch.setattr(intervals, "RESAMPLES", 500)
    source = rng(5)
    found = [iqm_interval(source.normal(size=(task_count, 20)), source) for _ in range(300)]
    assert 0.90 <= coverage(found, 0.0) <= 0.98


@pytest.mark.parametrize("runs", [5, 20])
def test_intervals_of_the_probability_of_improvement_hold_the_truth_about_19_times_in_20(monkeypatch, runs):
    monkeypatch.setattr(intervals, "RESAMPLES", 500)
    source = rng(6)
    truth = scipy.stats.norm.cdf(0.5 / np.sqrt(2))
    found = [
        probability_of_improvement_interval(source.normal(0.5, 1, (10, runs)), source.normal(size=(10, runs)), source)
        for _ in range(300)
    ]
    assert 0.91 <= coverage(found, truth) <= 0.98


def test_the_interval_of_improvement_is_that_of_pairs_counted_anew_in_each_resample():
    scores, others = rng(1).normal(0.3, 1, (2, 60)), rng(2).normal(size=(2, 60))
    source, found = rng(3), []
    for _ in range(1000):
        picked = [agent[task, source.integers(60, size=60)] for agent in (scores, others) for task in (0, 1)]
        found.append(probability_of_improvement(np.array(picked[:2]), np.array(picked[2:])))
    low, high = probability_of_improvement_interval(scores, others, rng())
    assert (low, high) == pytest.approx(np.quantile(found, [0.025, 0.975]), abs=0.015)


def test_runs_shared_by_all_tasks_make_every_interval_wider():
    scores = rng(1).normal(size=(1, 10)) + 0.1 * rng(2).normal(size=(20, 10))
    others, together = rng(3).normal(size=(20, 10)), np.zeros(20)
    for interval in (
        lambda groups: iqm_interval(scores, rng(), groups),
        lambda groups: probability_of_improvement_interval(scores, others, rng(), groups),
        lambda groups: performance_profile_band(scores, np.array([0.0]), rng(), groups)[:, 0],
    ):
        assert np.diff(interval(together)) > 2 * np.diff(interval(None))


def test_a_profile_counts_runs_above_a_threshold_and_weighs_tasks_the_same():
    scores = np.array([[1.0, NAN, NAN], [1.0, 2.0, 3.0]])
    assert performance_profile(scores, np.array([0.0, 1.0, 2.0, 3.0])) == pytest.approx([1.0, 1 / 3, 1 / 6, 0.0])


@settings(max_examples=20, deadline=None)
@given(matrices)
def test_the_band_lies_around_the_profile_and_falls_as_it_does(scores):
    thresholds = np.linspace(-5, 5, 11)
    profile, (low, high) = performance_profile(scores, thresholds), performance_profile_band(scores, thresholds, rng())
    assert (np.diff(profile) <= 1e-12).all()
    assert ((low <= profile + 1e-9) & (profile <= high + 1e-9)).all()
    assert ((low >= 0) & (high <= 1)).all()
    assert (profile[0], profile[-1]) == (1.0, 0.0)


def test_the_band_at_one_threshold_is_the_interval_of_a_mean_share():
    scores = rng(1).normal(size=(4, 9))
    band = performance_profile_band(scores, np.array([0.1]), rng())[:, 0]
    assert band == pytest.approx(mean_interval((scores > 0.1).astype(float), rng()))


def test_one_run_in_any_task_gives_no_interval():
    few, many = np.array([[1.0, NAN], [1.0, 2.0]]), np.array([[1.0, 2.0], [1.0, 2.0]])
    assert not iqm_interval(few, rng()).available
    assert not probability_of_improvement_interval(few, many, rng()).available
    assert not probability_of_improvement_interval(many, few, rng()).available
    assert np.isnan(performance_profile_band(few, np.array([0.0]), rng())).all()


def test_wrong_scores_are_refused_with_what_was_wanted():
    with pytest.raises(ValueError, match="both agents must have the same tasks, got 2 and 3"):
        probability_of_improvement(np.ones((2, 2)), np.ones((3, 2)))
    for of_scores in (iqm, lambda scores: performance_profile(scores, np.zeros(1))):
        with pytest.raises(ValueError, match="task 1 has none"):
            of_scores(np.array([[1.0, 2.0], [NAN, NAN]]))
    with pytest.raises(ValueError, match=r"groups must be one label for each of 2 tasks, got shape \(3,\)"):
        iqm_interval(np.ones((2, 2)), rng(), [1, 2, 3])
