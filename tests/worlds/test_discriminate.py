"""The discriminative score: low for what is real, high for what is not, and no bar on both sides of the split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from etfgym.worlds import discriminate
from etfgym.worlds.discriminate import accuracy, discriminative_score, halves
from etfgym.worlds.history import UPPER


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(discriminate, "EPOCHS", 2)


def draws(seed, count, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=(count, 20, 3))


@pytest.mark.usefixtures("quick")
def test_what_has_one_law_is_not_told_apart():
    assert abs(accuracy(draws(0, 600), draws(1, 600), draws(2, 600), draws(3, 600), seed=0) - 0.5) < 0.05


@pytest.mark.usefixtures("quick")
def test_what_is_twice_as_volatile_is_told_apart():
    real, made = draws(0, 600), draws(1, 600, scale=2.0)
    assert accuracy(real, made, draws(2, 300), draws(3, 300, scale=2.0), seed=0) > 0.95
    assert (
        accuracy(real, made, draws(3, 300, scale=2.0), draws(2, 300), seed=0) < 0.05
    )  # the labels are where they belong


@pytest.mark.usefixtures("quick")
def test_real_bars_score_low_and_normal_noise_of_equal_moments_scores_high(history):
    calm = replace(history, steps=history.steps[:, :2520])

    def itself(part):
        return lambda *_: part.steps

    def normal(part):
        mean, spread = part.steps.mean(axis=1, keepdims=True), part.steps.std(axis=1, keepdims=True)

        def draw(rng, bars):
            steps = mean + spread * rng.normal(size=(2, bars, 6))
            steps[:, :, UPPER:] = np.abs(steps[:, :, UPPER:])
            return steps

        return draw

    assert discriminative_score(itself, calm, 0) < 0.05
    assert discriminative_score(normal, calm, 0) > 0.4


@pytest.mark.usefixtures("quick")
def test_the_same_seed_gives_the_same_score_and_torch_is_left_alone():
    before = torch.random.get_rng_state()
    scores = {accuracy(draws(0, 200), draws(1, 200, 1.2), draws(2, 99), draws(3, 99, 1.2), seed=4) for _ in range(2)}
    assert len(scores) == 1
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_world_is_fitted_on_each_half_alone_and_no_bar_is_on_both_sides(history, monkeypatch):
    """Every bar is marked with its day in one column; a world of resampled days gives it on."""
    days = history.steps.shape[1]
    marked = replace(history, steps=history.steps.copy())
    marked.steps[:, :, UPPER] = np.arange(days)
    seen = {}
    monkeypatch.setattr(discriminate, "accuracy", lambda *windows: seen.update(windows=windows[:4]) or 0.5)
    discriminative_score(lambda part: lambda rng, bars: part.steps[:, rng.integers(bars, size=bars)], marked, 3)
    real, made, real_test, made_test = (set(windows[:, :, UPPER].ravel()) for windows in seen["windows"])
    assert made <= set(np.concatenate(halves(days, np.random.default_rng(3))[0]))
    assert not (real | made) & (real_test | made_test)
    assert real | real_test == set(range(days))
    assert [len(windows) for windows in seen["windows"][::2]] == [len(windows) for windows in seen["windows"][1::2]]
    for windows in (seen["windows"][0], seen["windows"][2]):  # no real window reaches over a cut
        assert (np.diff(windows[:, :, UPPER], axis=1) == 1).all()


@given(st.integers(505, 3000), st.integers(0, 5))
def test_halves_share_out_the_years(days, seed):
    train, test = halves(days, np.random.default_rng(seed))
    assert sorted(np.concatenate(train + test)) == list(range(days))
    assert 0 <= len(test) - len(train) <= 1
    assert all((np.diff(year) == 1).all() for year in train + test)
