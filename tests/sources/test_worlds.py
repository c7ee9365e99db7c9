"""The artificial markets hold what they promise: what can be found in them, and what cannot."""

from __future__ import annotations

import numpy as np
import pytest

from etfgym.ledger import implied_dividends
from etfgym.prices import VOLUME, PriceError
from etfgym.sources import load
from etfgym.sources.worlds import WORLDS, make_world

SEEDS = range(40)


def log_returns(name: str, seed: int) -> np.ndarray:
    return np.diff(np.log(make_world(name, seed).close))


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_is_a_clean_table_of_twenty_years_without_dividends(name):
    table = make_world(name, 5)  # PriceTable has checked it
    assert len(table) == 20 * 261
    assert (str(table.dates[0]), str(table.dates[-1])) == ("2000-01-03", "2020-01-03")
    assert np.is_busday(table.dates).all()
    assert not implied_dividends(table.close, table.adj_close).any()
    assert 200 < table.open[0] < 300


@pytest.mark.parametrize("name", WORLDS)
def test_the_same_seed_gives_the_same_bits_and_another_seed_another_world(name):
    assert make_world(name, 3).bars.tobytes() == make_world(name, 3).bars.tobytes()
    assert not np.any(make_world(name, 3).close == make_world(name, 4).close)


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_opens_within_half_a_per_cent_of_the_last_close(name):
    table = make_world(name)
    assert np.abs(table.open[1:] / table.close[:-1] - 1).max() < 0.005


def test_a_random_walk_has_no_drift_and_no_memory():
    worlds = [make_world("random-walk", seed, bars=100_000) for seed in range(20)]
    returns = np.stack([np.diff(world.close) / world.close[:-1] for world in worlds])
    assert returns.std() == pytest.approx(0.01, rel=0.01)
    assert abs(returns.mean()) < 4 * 0.01 / np.sqrt(returns.size)  # 0.3 basis points a day
    memory = np.mean(returns[:, 1:] * returns[:, :-1]) / returns.var()
    assert abs(memory) < 4 / np.sqrt(returns.size)
    volume = np.stack([np.log(world.bars[:-1, VOLUME]) for world in worlds])
    assert abs(np.corrcoef(volume.ravel(), returns.ravel())[0, 1]) < 4 / np.sqrt(returns.size)


def test_a_trend_rises_by_ten_per_cent_a_year():
    returns = np.stack([log_returns("trend", seed) for seed in SEEDS])
    assert returns.mean() * 252 == pytest.approx(np.log(1.10), abs=4 * 0.01 * 252 / np.sqrt(returns.size))


def test_a_sine_swings_by_ten_per_cent_once_in_forty_days():
    for seed in range(5):
        level = np.log(make_world("sine", seed).close / 250.0)
        spectrum = np.abs(np.fft.rfft(level[: 40 * 130]))
        assert np.argmax(spectrum[1:]) + 1 == 130
        assert np.sqrt(2) * level.std() == pytest.approx(0.10, abs=0.002)


def test_planted_volume_tells_the_next_days_direction_and_nothing_else_does():
    told, already_known, from_price = [], [], []
    for seed in SEEDS:
        table = make_world("planted", seed)
        returns, volume = np.diff(np.log(table.close)), np.log(table.bars[:, VOLUME])
        told.append(np.corrcoef(volume[:-1], returns)[0, 1])
        already_known.append(np.corrcoef(returns[:-1], returns[1:])[0, 1])
        from_price.append(np.mean(returns))
    assert 0.6 < np.mean(told) < 0.8  # a step of +-1 % beside noise of 1 %: 1 / sqrt(2), less the volume's noise
    assert 0.3 < np.mean(already_known) < 0.5  # stretches last: yesterday tells something, but less
    assert abs(np.mean(from_price)) < 2e-4


def test_planted_directions_come_in_stretches_of_five_to_fifteen_days():
    for seed in range(10):
        rising = make_world("planted", seed).bars[:, VOLUME] > 1e6
        stretches = np.diff(np.flatnonzero(np.diff(rising)))
        assert np.mean(stretches < 5) < 0.03  # the noise of the volume hides the sign of one day in 4000
        assert 16 < stretches.mean() < 24  # equal neighbours join: twice ten on average


def test_a_world_is_loaded_by_name_and_seed():
    (table,) = load("world:planted:3")
    assert repr(table) == "PriceTable(PLANTED-3, 5220 bars, 2000-01-03 to 2020-01-03, world:planted:3)"
    assert load("world:planted")[0].sha256 == make_world("planted", 0).sha256
    assert load("world:random-walk:1", "RANDOM-WALK-1")[0].ticker == "RANDOM-WALK-1"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("world:plantd", r"world must be one of 'trend', .*, got 'plantd' \(did you mean 'planted'\?\)"),
        ("world:trend:x", "world:trend:x: the seed must be a whole number, as in world:trend:3"),
        ("world:trend:-1", "world:trend:-1: the seed must be a whole number, as in world:trend:3"),
        ("world:trend:1:2", "world:trend:1:2: the seed must be a whole number, as in world:trend:3"),
    ],
)
def test_a_world_that_is_none_is_refused(spec, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        load(spec)


def test_a_world_has_only_its_own_ticker():
    with pytest.raises(PriceError, match=r"SPY: not in world:trend:0; it has TREND-0"):
        load("world:trend", "SPY")


@pytest.mark.parametrize("seed", [-1, 1.5, True])
def test_a_seed_that_is_no_whole_number_is_refused(seed):
    with pytest.raises(ValueError, match=f"seed must be a whole number of at least 0, got {seed}"):
        make_world("trend", seed)
