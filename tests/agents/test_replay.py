"""The rings keep the newest transitions whole, draw them evenly, and walk n steps along an episode, no further."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agents.replay import CUT, GOES_ON, TERMINATED, Replay

GAMMA = 0.5


class Tape:
    """Fills a replay with numbered steps of environment `env`, and knows every episode: [(first, kinds)]."""

    def __init__(self, replay, env=0, stack=1):
        self.replay, self.env, self.stack = replay, np.array([env]), stack
        self.now = 100 * env

    def begin(self):
        self.now += 10  # so that a pair from an end to a beginning would be seen
        self.frames = [self.now] * self.stack
        self.replay.begin(self.env, self._row(), np.array([[self.now % 2 == 0, True]]))

    def step(self, kind):
        self.now += 1
        self.frames = [*self.frames[1:], self.now]
        reward = np.array([float(self.now)], np.float32)
        mask = np.array([[self.now % 2 == 0, True]])
        self.replay.add(self.env, self.env * 0 + self.now % 7, reward, np.array([kind]), self._row(), mask)

    def _row(self):
        return torch.tensor([self.frames]).repeat_interleave(2, dim=1).to(self.replay.observations.dtype)


def contents(replay, count=400):
    """Return the batch of many draws, and its observations' last numbers."""
    batch = replay.sample(count, np.random.default_rng(0))
    return batch, batch.observations[:, -1].numpy(), batch.next_observations[:, -1].numpy()


KINDS = st.lists(st.sampled_from([GOES_ON, GOES_ON, GOES_ON, CUT, TERMINATED]), min_size=1, max_size=40)


@given(KINDS, st.integers(1, 3))
def test_what_is_drawn_is_what_happened_also_when_the_ring_has_wrapped(kinds, n_step):
    replay, happened = Replay(9, 1, 2, actions=2, n_step=n_step, gamma=GAMMA), {}
    tape = Tape(replay)
    tape.begin()
    for kind in kinds:
        before = tape.now
        tape.step(kind)
        happened[before] = kind
        if kind != GOES_ON:
            tape.begin()
    batch, seen, following = contents(replay)
    for i in range(len(seen)):
        start = int(seen[i])
        k, now, value = 0, start, 0.0
        while True:  # walk the tape until n steps are taken, the episode is over or the tape ends
            value += GAMMA**k * (now + 1)
            k, now = k + 1, now + 1
            if k == n_step or happened[now - 1] != GOES_ON or now not in happened:
                break
        assert batch.actions[i] == (start + 1) % 7
        assert float(batch.rewards[i]) == pytest.approx(value)
        assert float(batch.discounts[i]) == (0.0 if happened[now - 1] == TERMINATED else GAMMA**k)
        assert following[i] == now
        assert batch.next_masks[i, 0].tolist() == [now % 2 == 0, True]
    steps = sorted(happened)
    kept = set(seen.astype(int).tolist())
    assert len(kept) == len(replay)
    assert kept == set(steps[-len(kept) :])  # the newest ones
    episodes = 1 + sum(kind != GOES_ON for kind in kinds)
    assert len(kept) >= min(len(steps), 9 - 1 - episodes)


@given(KINDS)
def test_frames_kept_once_are_the_same_as_whole_stacks_also_when_the_ring_wraps(kinds):
    replay = Replay(12, 1, 6, stack=3, dtype=torch.uint8)
    assert replay.observations.shape == (12, 2)
    tape, stacks = Tape(replay, stack=3), {}
    tape.begin()
    for kind in kinds:
        before = list(tape.frames)
        tape.step(kind)
        stacks[before[-1] % 256] = [number % 256 for number in before], [number % 256 for number in tape.frames]
        if kind != GOES_ON:
            tape.begin()
    batch = replay.sample(300, np.random.default_rng(0))
    for whole, following in zip(batch.observations.tolist(), batch.next_observations.tolist(), strict=True):
        assert (whole[::2], following[::2]) == stacks[whole[-1]]
        assert whole[::2] == whole[1::2]
    if set(kinds) == {GOES_ON}:
        assert len(replay) == min(len(kinds), 12 - 3)


def test_a_frame_takes_one_byte_a_pixel_once():
    replay = Replay(1_000, 4, 4 * 84 * 84, stack=4, dtype=torch.uint8)
    assert replay.observations.numel() * replay.observations.element_size() == 1_000 * 84 * 84


@pytest.mark.parametrize("n_step", [1, 3])
def test_each_environment_has_a_ring_of_its_own(n_step):
    replay = Replay(30, 3, 2, n_step=n_step)
    tapes = [Tape(replay, env) for env in range(3)]
    for tape in tapes:
        tape.begin()
    for count in range(1, 63):  # environment i steps every i + 1 times, so the rings wrap at different times
        for env, tape in enumerate(tapes):
            if count % (env + 1) == 0:
                tape.step(GOES_ON)
    _, seen, following = contents(replay, 2_000)
    newest = np.array([100 * env + 10 + 62 // (env + 1) for env in range(3)])
    assert set(seen.astype(int).tolist()) == {number - back for number in newest for back in range(1, 10)}
    assert (following == np.minimum(seen + n_step, newest[seen.astype(int) // 100])).all()


@pytest.mark.parametrize("steps", [12, 500])
def test_transitions_are_drawn_evenly(steps):
    replay = Replay(80, 4, 2)
    tapes = [Tape(replay, env) for env in range(4)]
    for tape in tapes:
        tape.begin()
        for count in range(steps // (tape.env[0] + 1)):  # rings of different lengths
            tape.step(TERMINATED if count % 5 == 4 else GOES_ON)
            if count % 5 == 4:
                tape.begin()
    stored = replay.stored()
    slots, weights = replay.draw(20_000, np.random.default_rng(0), 1.0)
    counts = np.bincount(slots, minlength=80)
    assert weights is None
    assert counts.sum() == counts[stored].sum() == 20_000
    expected = 20_000 / len(stored)
    chi_square = ((counts[stored] - expected) ** 2 / expected).sum()
    freedom = len(stored) - 1
    assert chi_square < freedom + 4 * np.sqrt(2 * freedom)  # four standard deviations above the mean


def test_equal_generators_draw_equal_batches():
    replay = Replay(40, 1, 2)
    tape = Tape(replay)
    tape.begin()
    for _ in range(20):
        tape.step(GOES_ON)
    one, two = (replay.sample(64, np.random.default_rng(3)).slots for _ in range(2))
    assert np.array_equal(one, two)


def test_a_ring_too_small_for_its_returns_is_refused():
    Replay(12, 3, 2, n_step=3)
    with pytest.raises(ValueError, match="a replay of 11 transitions is too small for 3 environments with n_step=3"):
        Replay(11, 3, 2, n_step=3)


def test_what_the_replay_holds_can_be_read_and_written_by_name():
    replay, other = (Replay(12, 1, 2, actions=2, priority_exponent=0.5) for _ in range(2))
    tape = Tape(replay)
    tape.begin()
    for _ in range(30):
        tape.step(GOES_ON)
    for name, part in other.tensors().items():
        part.copy_(replay.tensors()[name])
    one, two = (each.sample(32, np.random.default_rng(0)) for each in (replay, other))
    for name in ("observations", "actions", "rewards", "discounts", "next_observations", "next_masks", "weights"):
        assert torch.equal(getattr(one, name), getattr(two, name))
