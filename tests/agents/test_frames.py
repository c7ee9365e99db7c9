"""Frames are kept once: what is drawn is the very stack that the game showed, whatever ended in between."""

import gymnasium as gym
import numpy as np
import pytest

import etfgym  # noqa: F401 (registers the environments)
from agents.dqn import DQN, DQNConfig
from agents.replay import CUT, GOES_ON, NOTHING, TERMINATED


class Shown:
    """Passes everything on to a replay, and keeps each transition by the slot it must be found in."""

    def __init__(self, replay):
        self.replay, self.num_envs, self.happened, self.kinds = replay, replay.num_envs, {}, []
        self.newest = [None] * replay.num_envs

    def begin(self, envs, rows, masks=None):
        self.replay.begin(envs, rows, masks)
        for env, row in zip(envs, rows, strict=True):
            self.newest[env] = row.clone()

    def add(self, envs, actions, rewards, kinds, rows, masks=None):
        slots = self.replay.newest(envs)
        self.replay.add(envs, actions, rewards, kinds, rows, masks)
        self.kinds += kinds.tolist()
        for i, (env, slot) in enumerate(zip(envs.tolist(), slots.tolist(), strict=True)):
            row = rows[i].clone()
            self.happened[slot] = (self.newest[env], int(actions[i]), float(rewards[i]), int(kinds[i]), row)
            self.newest[env] = row


def played(name, mode, transitions, capacity, **keywords):
    """Return what a random agent in two games was shown, and the replay that it filled."""
    envs = gym.make_vec(name, num_envs=2, vectorization_mode="vector_entry_point", autoreset_mode=mode, **keywords)
    config = DQNConfig(learning_starts=10**9, buffer_size=capacity)
    agent = DQN(envs.single_observation_space, int(envs.single_action_space.n), config, 1)
    replay = agent._replay_of(envs, masked=False)
    agent.replay = shown = Shown(replay)
    agent.learn(envs, transitions, seed=2)
    return shown, replay


def is_as_shown(shown, replay):
    """Compare every transition that can be drawn with what happened last in its slot; return how many there are."""
    slots = replay.stored()
    after = replay.shifted(slots, 1)
    observations, following = replay.observe(slots), replay.observe(after)
    for i, slot in enumerate(slots.tolist()):
        seen, action, reward, kind, then = shown.happened[slot]
        assert np.array_equal(observations[i], seen)
        assert np.array_equal(following[i], then)
        assert (replay.actions[slot], replay.rewards[slot], replay.kinds[slot]) == (action, reward, kind)
    return len(slots)


MODES = ["NextStep", "SameStep", "Disabled"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("capacity", [10_000, 150])  # the second wraps around
def test_breakouts_stacks_come_back_to_the_bit_over_lost_lives_and_games(mode, capacity):
    pytest.importorskip("ale_py", reason="Breakout needs ale-py, the extra `atari`")
    shown, replay = played("etfgym/Breakout-v0", mode, 700, capacity, episodic_life=True)
    ends = shown.kinds.count(TERMINATED)
    assert ends >= 12  # two games of five lives are over, and begun anew
    assert len(shown.kinds) == 700
    count = is_as_shown(shown, replay)
    assert count == 700 if capacity == 10_000 else 80 < count < 150 - 2 * 4


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("capacity", [10_000, 90])
def test_paddles_stacks_come_back_to_the_bit_over_lost_balls_and_cut_games(mode, capacity):
    shown, replay = played("etfgym/Paddle-v0", mode, 700, capacity, max_steps=15)
    assert {GOES_ON, CUT, TERMINATED} == set(shown.kinds)
    count = is_as_shown(shown, replay)
    assert count == 700 if capacity == 10_000 else 50 < count < 90 - 2 * 2


@pytest.mark.parametrize("n_step", [1, 3])
def test_a_batch_is_made_of_these_stacks(n_step):
    shown, replay = played("etfgym/Paddle-v0", "NextStep", 300, 150)
    replay.n_step = n_step
    batch = replay.sample(200, np.random.default_rng(0))
    for i, first in enumerate(batch.slots.tolist()):
        slot, total, discount = first, 0.0, 1.0
        for _ in range(n_step):
            if replay.kinds[slot] == NOTHING:
                break
            _, _, reward, kind, then = shown.happened[slot]
            total, discount = total + discount * reward, discount * replay.gamma
            slot = int(replay.shifted(np.array([slot]), 1)[0])
            if kind != GOES_ON:
                discount *= kind == CUT
                break
        assert np.array_equal(batch.observations[i], shown.happened[first][0])
        assert np.array_equal(batch.next_observations[i], then)
        assert float(batch.rewards[i]) == pytest.approx(total)
        assert float(batch.discounts[i]) == pytest.approx(discount)
