"""Intervals: what they hold, how often they hold the truth, and where there is none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from etfgym.stats import NO_INTERVAL, intervals, mean_interval, paired_difference_interval

returns = st.floats(-1.0, 3.0)
matrices = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=6), elements=returns)
ROUNDING = 1e-9


def rng(seed=0):
    return np.random.default_rng(seed)


def coverage(intervals, truth=0.0):
    return np.mean([interval.low <= truth <= interval.high for interval in intervals])


@settings(max_examples=40, deadline=None)
@given(matrices)
def test_the_interval_holds_the_mean(scores):
    low, high = mean_interval(scores, rng())
    assert low - ROUNDING <= scores.mean() <= high + ROUNDING


@settings(max_examples=40, deadline=None)
@given(matrices, returns)
def test_the_interval_of_the_difference_holds_the_mean_difference(scores, level):
    baseline = np.full(scores.shape[0], level)
    low, high = paired_difference_interval(scores, baseline, rng())
    assert low - ROUNDING <= (scores.mean() - level) <= high + ROUNDING


@settings(max_examples=20, deadline=None)
@given(matrices, returns)
def test_a_shift_of_all_scores_shifts_the_interval(scores, shift):
    here, there = mean_interval(scores, rng()), mean_interval(scores + shift, rng())
    assert np.allclose(np.add(here, shift), there, atol=ROUNDING)


def test_the_same_generator_gives_the_same_interval():
    scores = rng(1).normal(size=(3, 4))
    assert mean_interval(scores, rng()) == mean_interval(scores, rng())


def test_two_runs_of_one_task_give_an_interval_stretched_beyond_both():
    # 0 and 2 lie 1 from their mean; sqrt(2 / (2 - 1)) pulls them to 1 - 1.414 and 1 + 1.414
    interval = mean_interval(np.array([[0.0, 2.0]]), rng())
    assert interval == pytest.approx((1 - np.sqrt(2), 1 + np.sqrt(2)))


def test_differences_of_two_tasks_or_of_six_clusters_are_stretched_too():
    two = paired_difference_interval(np.array([[0.0], [2.0]]), np.zeros(2), rng(), deterministic=True)
    assert two == pytest.approx((1 - np.sqrt(2), 1 + np.sqrt(2)))
    scores, years = rng(3).normal(size=6).repeat(4)[:, None], np.arange(6).repeat(4)
    error = scores[::4].std(ddof=1) / np.sqrt(6)
    low, high = paired_difference_interval(scores, np.zeros(24), rng(), clusters=years, deterministic=True)
    assert (high - low) / 2 / 1.96 == pytest.approx(error, rel=0.04)


def test_the_bootstrap_has_the_unbiased_standard_error_of_the_mean():
    scores = rng(3).normal(size=(200, 3))
    error = np.sqrt(scores.var(axis=1, ddof=1).sum() / 3) / 200
    low, high = mean_interval(scores, rng())
    assert (high - low) / 2 / 1.96 == pytest.approx(error, rel=0.04)


@pytest.mark.parametrize(("tasks", "runs"), [(20, 3), (20, 10), (1, 50)])
def test_95_percent_intervals_of_normal_scores_hold_the_truth_about_19_times_in_20(monkeypatch, tasks, runs):
    monkeypatch.setattr(intervals, "RESAMPLES", 800)
    source = rng(7)
    found = [mean_interval(source.normal(size=(tasks, runs)), source) for _ in range(400)]
    assert 0.91 <= coverage(found) <= 0.98


@pytest.mark.parametrize("deterministic", [True, False])
def test_intervals_of_differences_hold_the_truth_at_least_18_times_in_20(monkeypatch, deterministic):
    monkeypatch.setattr(intervals, "RESAMPLES", 800)
    source = rng(8)
    runs = 1 if deterministic else 3
    found = []
    for _ in range(400):
        scores = source.normal(size=(20, 1)) + (not deterministic) * source.normal(size=(20, runs))
        found.append(paired_difference_interval(scores, np.zeros(20), source, deterministic=deterministic))
    assert 0.90 <= coverage(found) <= 0.99


def test_runs_shared_by_all_tasks_must_be_drawn_together_to_hold_the_truth(monkeypatch):
    monkeypatch.setattr(intervals, "RESAMPLES", 400)
    source = rng(9)
    apart, together, paired = [], [], []
    for _ in range(200):
        luck = source.normal(size=(1, 10))  # of the network, the same in all 20 tasks
        scores = luck + 0.1 * source.normal(size=(20, 10))
        apart.append(mean_interval(scores, source))
        together.append(mean_interval(scores, source, np.zeros(20)))
        paired.append(paired_difference_interval(scores, np.zeros(20), source, np.zeros(20)))
    assert coverage(apart) < 0.5
    assert coverage(together) > 0.85
    assert coverage(paired) > 0.85


def test_groups_of_one_task_each_are_no_groups():
    scores = rng(1).normal(size=(4, 5))
    assert mean_interval(scores, rng(), np.arange(4)) == mean_interval(scores, rng())


@pytest.mark.parametrize("scores", [[[0.1]], [[0.1], [0.2]], [[0.1, 0.2], [0.3, np.nan]]])
def test_one_run_in_any_task_gives_no_interval_rather_than_one_without_width(scores):
    scores = np.array(scores)
    assert not mean_interval(scores, rng()).available
    assert not paired_difference_interval(scores, np.zeros(len(scores)), rng()).available


def test_one_task_gives_no_interval_of_the_difference_however_many_runs_it_has():
    assert paired_difference_interval(np.ones((1, 9)), np.zeros(1), rng()) is NO_INTERVAL
    assert paired_difference_interval(np.ones((1, 1)), np.zeros(1), rng(), deterministic=True) is NO_INTERVAL


def test_missing_runs_are_left_out_wherever_they_stand():
    full = np.array([[0.1, 0.2, np.nan], [0.3, 0.5, 0.4]])
    moved = np.array([[np.nan, 0.1, 0.2], [0.3, 0.5, 0.4]])
    assert mean_interval(full, rng()) == mean_interval(moved, rng())
    baseline = np.array([0.1, 0.2])
    assert paired_difference_interval(full, baseline, rng()) == paired_difference_interval(moved, baseline, rng())


def test_wrong_scores_are_refused_with_what_was_wanted():
    with pytest.raises(ValueError, match=r"shape \(tasks, runs\).*got shape \(2,\)"):
        mean_interval(np.ones(2), rng())
    with pytest.raises(ValueError, match="finite or NaN"):
        mean_interval(np.array([[1.0, np.inf]]), rng())
    with pytest.raises(ValueError, match="task 1 has none"):
        mean_interval(np.array([[1.0, 2.0], [np.nan, np.nan]]), rng())
    with pytest.raises(ValueError, match="one finite number for each of 2 tasks"):
        paired_difference_interval(np.ones((2, 2)), np.ones(3), rng())
    with pytest.raises(ValueError, match="those of group 7 don't"):
        mean_interval(np.array([[1.0, 2.0, np.nan], [np.nan, 1.0, 2.0]]), rng(), [7, 7])


def test_tasks_of_a_cluster_that_are_all_the_same_count_as_one():
    of_years = rng(4).normal(size=(8, 1))
    scores = np.repeat(of_years, 5, axis=0)
    years = np.repeat(np.arange(8), 5)
    clustered = paired_difference_interval(scores, np.zeros(40), rng(), clusters=years, deterministic=True)
    one_each = paired_difference_interval(of_years, np.zeros(8), rng(), deterministic=True)
    apart = paired_difference_interval(scores, np.zeros(40), rng(), deterministic=True)
    assert clustered == pytest.approx(one_each)
    assert np.diff(clustered) > 2 * np.diff(apart)  # the root of 5


def test_clusters_of_one_task_each_are_no_clusters():
    scores = rng(1).normal(size=(7, 3))
    apart = paired_difference_interval(scores, np.zeros(7), rng())
    assert paired_difference_interval(scores, np.zeros(7), rng(), clusters=np.arange(7)) == apart


def test_a_larger_cluster_weighs_as_many_tasks_as_it_has():
    # six clusters of one task at 0 and one of six tasks at 1: the mean is 0.5, that of clusters' means 1/7
    scores, clusters = np.repeat([0.0, 1.0], 6)[:, None], [0, 1, 2, 3, 4, 5, 6, 6, 6, 6, 6, 6]
    low, high = paired_difference_interval(scores, np.zeros(12), rng(), clusters=clusters, deterministic=True)
    assert low < 0.1
    assert high > 0.7  # the large one drawn twice or more: 12 of 17 tasks


def test_years_that_move_together_must_be_drawn_whole_to_hold_the_truth(monkeypatch):
    monkeypatch.setattr(intervals, "RESAMPLES", 400)
    source, years = rng(10), np.repeat(np.arange(10), 8)
    apart, whole = [], []
    for _ in range(200):
        of_year = source.normal(size=(10, 1, 1))
        scores = (of_year + 0.5 * source.normal(size=(10, 8, 1)) + 0.5 * source.normal(size=(10, 8, 3))).reshape(80, 3)
        apart.append(paired_difference_interval(scores, np.zeros(80), source))
        whole.append(paired_difference_interval(scores, np.zeros(80), source, clusters=years))
    assert coverage(apart) < 0.7
    assert 0.86 <= coverage(whole) <= 0.98


def test_runs_shared_within_a_cluster_are_drawn_together_within_it():
    luck = rng(5).normal(size=(6, 1, 4))  # of each year's network, the same in all its tasks
    scores = np.repeat(luck, 9, axis=1).reshape(54, 4)
    years = np.repeat(np.arange(6), 9)
    shared = paired_difference_interval(scores, np.zeros(54), rng(), years, clusters=years)
    alone = paired_difference_interval(scores, np.zeros(54), rng(), clusters=years)
    assert np.diff(shared) > 1.1 * np.diff(alone)


def test_fewer_than_six_clusters_give_no_interval():
    scores = rng(1).normal(size=(12, 3))
    assert paired_difference_interval(scores, np.zeros(12), rng(), clusters=np.arange(12) % 5) is NO_INTERVAL
    assert paired_difference_interval(scores, np.zeros(12), rng(), clusters=np.arange(12) % 6).available


def test_every_task_needs_its_label():
    with pytest.raises(ValueError, match=r"clusters must be one label for each of 2 tasks, got shape \(3,\)"):
        paired_difference_interval(np.ones((2, 2)), np.zeros(2), rng(), clusters=[1, 2, 3])
