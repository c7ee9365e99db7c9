"""The ring keeps the newest transitions whole, and draws them evenly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.replay import Batch, Replay


def batch(numbers):
    numbers = np.asarray(numbers)
    observations = numbers[:, None] * np.ones((1, 3), np.float32)
    return Batch(observations, numbers, numbers.astype(np.float32), observations + 0.5, numbers % 2 == 0)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=12))
def test_the_newest_transitions_are_kept_and_their_parts_stay_together(counts):
    replay, added = Replay(7, 3), 0
    for count in counts:
        replay.add(batch(np.arange(added, added + count)))
        added += count
    drawn = replay.sample(500, np.random.default_rng(0))
    newest = set(range(max(0, added - 7), added))
    assert len(replay) == len(newest)
    assert set(drawn.actions.tolist()) == newest  # 500 draws of at most 7 leave none out
    assert np.array_equal(drawn.observations[:, 0], drawn.actions)
    assert np.array_equal(drawn.next_observations[:, 2], drawn.actions + 0.5)
    assert np.array_equal(drawn.rewards, drawn.actions)
    assert np.array_equal(drawn.terminated, drawn.actions % 2 == 0)


def test_transitions_are_drawn_evenly():
    replay = Replay(10, 3)
    replay.add(batch(np.arange(10)))
    counts = np.bincount(replay.sample(10_000, np.random.default_rng(0)).actions, minlength=10)
    chi_square = ((counts - 1_000) ** 2 / 1_000).sum()
    assert chi_square < 27.9  # 0.999 quantile of chi-square with 9 degrees of freedom


def test_more_transitions_at_once_than_fit_are_refused():
    with pytest.raises(ValueError, match="8 transitions at once don't fit a replay of 7"):
        Replay(7, 3).add(batch(np.arange(8)))
