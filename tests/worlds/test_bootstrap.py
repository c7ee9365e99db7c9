"""The block bootstrap: whole real bars, the same days for all, in blocks of geometric length."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import KDTree

import etfgym  # noqa: F401 (registers the environments)
from etfgym import worlds
from etfgym.worlds.bootstrap import stationary_days
from etfgym.worlds.history import MOVE, VOLUME, History
from etfgym.worlds.world import fit_history

NOT_VOLUME = [column for column in range(6) if column != VOLUME]


def days_of(tables, history):
    """Return the real day of each bar but the first, by its ratios; fails where there is none."""
    made = History.of(tables).steps  # (tickers, T - 1, 6)
    found = np.empty(made.shape[:2], int)
    for i, steps in enumerate(made):
        distance, found[i] = KDTree(history.steps[i][:, NOT_VOLUME]).query(steps[:, NOT_VOLUME])
        assert distance.max() < 1e-9
    return found


@pytest.mark.parametrize("tables", ["builtin", "paying"])
def test_every_bar_is_a_whole_real_one_of_the_same_day_for_all_tickers(tables, request):
    real = request.getfixturevalue(tables)
    first, second = days_of(worlds.generate("bootstrap", real, seed=4, bars=1010), History.of(real))
    assert np.array_equal(first, second)
    follows = np.mean(np.diff(first) == 1)
    assert 0.90 < follows < 0.98  # one in twenty begins a block


def test_volume_is_that_of_the_day_drawn_around_the_usual_volume(history):
    world = fit_history("bootstrap", history)
    steps = world.model.draw(np.random.default_rng(5), 300)
    made = world.generate(5, 300)
    for i, table in enumerate(made):
        assert table.bars[:, 4] == pytest.approx(history.usual_volume[i] * np.exp(steps[i, :, VOLUME]), rel=1e-6)
        assert np.isin(steps[i, :, VOLUME], history.steps[i, :, VOLUME]).all()


@given(st.integers(1, 400), st.integers(1, 300), st.integers(1, 50), st.integers(0, 9))
def test_days_are_days_that_there_are(days, count, mean_block, seed):
    drawn = stationary_days(np.random.default_rng(seed), days, count, mean_block)
    assert drawn.shape == (count,)
    assert drawn.min() >= 0
    assert drawn.max() < days


def lengths(days, total):
    return np.diff(np.flatnonzero(np.append(True, np.diff(days) % total != 1)))


def test_blocks_have_the_geometric_lengths_of_arch_and_every_day_the_same_chance():
    rng, total = np.random.default_rng(0), 5000
    ours = lengths(np.concatenate([stationary_days(rng, total, total, 20) for _ in range(40)]), total)
    arch = StationaryBootstrap(20, np.arange(total), seed=np.random.default_rng(1))
    theirs = lengths(np.concatenate([data[0][0] for data in arch.bootstrap(40)]), total)
    assert ours.mean() == pytest.approx(20, rel=0.05)
    assert np.quantile(ours, [0.1, 0.5, 0.9]) == pytest.approx(np.quantile(theirs, [0.1, 0.5, 0.9]), abs=2.5)
    drawn = np.concatenate([stationary_days(rng, 10, 10_000, 4) for _ in range(4)])
    assert np.bincount(drawn) / drawn.size == pytest.approx(0.1, abs=0.01)


def test_blocks_of_one_day_have_no_memory():
    days = stationary_days(np.random.default_rng(0), 1000, 20_000, 1)
    assert np.mean(np.diff(days) == 1) < 0.004


def test_mean_and_variance_are_those_of_the_real_returns(history):
    model = fit_history("bootstrap", history).model
    made = np.concatenate([model.draw(np.random.default_rng(seed), 5000)[:, :, MOVE] for seed in range(20)], axis=1)
    real = history.total_returns
    assert made.mean(axis=1) == pytest.approx(real.mean(axis=1), abs=4 * 0.014 / np.sqrt(made.shape[1]))
    assert made.std(axis=1) == pytest.approx(real.std(axis=1), rel=0.05)


@pytest.mark.parametrize("name", ["bootstrap", "garch", "pca"])
def test_the_same_seed_gives_the_same_bits_and_another_seed_another_path(builtin, name):
    one, same, other = (worlds.generate(name, builtin, seed=seed, bars=300) for seed in (3, 3, 4))
    assert [table.sha256 for table in one] == [table.sha256 for table in same]
    assert not np.any(one[0].close == other[0].close)


@pytest.mark.parametrize("name", ["bootstrap", "garch", "pca"])
def test_the_environment_trades_in_a_world(paying, name):
    tables = worlds.generate(name, paying, seed=1, bars=300)
    env = gymnasium.make("etfgym/EtfTrading-v0", prices=tables)
    _, info = env.reset(seed=0)
    assert info["ticker"] in {f"AAA-{name.upper()}-1", f"BBB-{name.upper()}-1"}
    rewards, over = 0.0, False
    while not over:
        _, reward, over, _, info = env.step(0)
        rewards += reward
    assert info["equity"] == pytest.approx(20_000 * (1 + rewards))


def test_dividends_are_kept_in_number_and_size(paying):
    table = worlds.generate("bootstrap", paying, seed=2, bars=1100)[0]
    paid = History.of([table]).steps[0, :, 5]
    assert paid[paid > 0] == pytest.approx(-np.log(0.99))
    assert 8 < np.count_nonzero(paid) < 30  # one in 63 days on average


def test_a_world_or_a_setting_that_is_none_is_refused(builtin):
    with pytest.raises(ValueError, match=r"^world must be one of 'bootstrap', .*, got 'bootstrp' \(did you mean .*$"):
        worlds.fit("bootstrp", builtin)
    with pytest.raises(ValueError, match=r"^setting of bootstrap must be one of 'mean_block', got 'block'"):
        worlds.fit("bootstrap", builtin, block=3)
    with pytest.raises(ValueError, match=r"^mean_block must be a whole number of at least 1, got 0$"):
        worlds.fit("bootstrap", builtin, mean_block=0)
    with pytest.raises(ValueError, match=r"^seed must be a whole number of at least 0, got -1$"):
        worlds.generate("bootstrap", builtin, seed=-1)
    with pytest.raises(ValueError, match=r"^bars must be a whole number of at least 1, got 0$"):
        worlds.generate("bootstrap", builtin, bars=0)
