"""What the loop stores: the same transitions whatever the autoreset mode, and none from an end to a beginning."""

from typing import ClassVar

import gymnasium as gym
import mdp
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from agents.dqn import DQN, DQNConfig
from agents.replay import CUT, GOES_ON, TERMINATED

LOOKS_ONLY = DQNConfig(learning_starts=10**9)


def stored(agent):
    """Return every transition in the replay as rows of observation, action, reward, kind, next observation, mask."""
    replay = agent.replay
    slots = replay.stored()
    columns = [replay.observe(slots).numpy(), replay.actions[slots], replay.rewards[slots], replay.kinds[slots]]
    columns.append(replay.observe(replay.shifted(slots, 1)).numpy())
    if replay.masks is not None:
        columns += [replay.masks[slots], replay.masks[replay.shifted(slots, 1)]]
    return sorted(np.column_stack(columns).tolist())


def tape(rows, _epsilon, _masks):
    return (rows.sum(dim=1).long() * 7 % 3).numpy()  # the action follows from the observation


def taped(envs, total):
    agent = DQN(envs.single_observation_space, 3, LOOKS_ONLY, 1)
    agent.act = tape
    agent.learn(envs, total)
    return agent


def assert_right(row, length, terminates, masked):
    """Check a transition of a Counter under the tape."""
    episode, step, action, reward, kind, following, reached, *masks = row
    assert (following, reached) == (episode, step + 1)
    assert action == reward == (episode + step) * 7 % 3
    assert kind == (GOES_ON if reached < length else TERMINATED if terminates else CUT)
    if masked:
        assert np.flatnonzero(masks).tolist() == [(episode + step) % 3, 3 + (episode + step + 1) % 3]


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("terminates", [True, False])
def test_all_autoreset_modes_store_the_same_transitions_and_none_from_an_end_to_a_beginning(terminates, masked):
    by_mode = []
    for mode in AutoresetMode:
        envs = mdp.vector(lambda: mdp.Counter(5, terminates, masked=masked), 2, mode)
        by_mode.append(stored(taped(envs, 60)))
    assert len(by_mode[0]) == 60
    assert by_mode[0] == by_mode[1] == by_mode[2]
    for row in by_mode[0]:
        assert_right(row, 5, terminates, masked)


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("terminates", [True, False])
def test_episodes_that_end_at_different_times_do_not_mix(terminates, mode):
    def counter(length, episode):
        env = mdp.Counter(length, terminates, masked=True)
        env.episode = episode
        return env

    makes = [lambda: counter(3, 0), lambda: counter(5, 1_000)]
    rows = stored(taped(SyncVectorEnv(makes, autoreset_mode=mode), 90))
    assert len(rows) == 90
    for row in rows:
        assert_right(row, 3 if row[0] < 1_000 else 5, terminates, masked=True)
    for low, high in ((0, 1_000), (1_000, 2_000)):  # none is left out, or there twice
        steps = [row[:2] for row in rows if low < row[0] < high]
        length = 3 if low == 0 else 5
        assert steps == [[low + 1 + i // length, i % length] for i in range(len(steps))]
        assert len(steps) > 35


def test_a_step_that_terminates_and_truncates_at_once_counts_as_terminated():
    class Both(mdp.Counter):
        def step(self, action):
            observation, reward, terminated, _, info = super().step(action)
            return observation, reward, terminated, terminated, info

    rows = stored(taped(mdp.vector(lambda: Both(4, True), 1), 8))
    assert [row[4] for row in rows] == [GOES_ON, GOES_ON, GOES_ON, TERMINATED] * 2


class LikeAle(VectorEnv):
    """Resets in the same step as ale-py's vector environment: `final_obs` is a full array without a mask beside it.

    Game i shows a stack of two frames, all pixels 10 (i + 1) + step, and ends every 3 + i steps; where no
    game ended, `final_obs` holds what is no observation.
    """

    metadata: ClassVar = {"autoreset_mode": AutoresetMode.SAME_STEP}
    num_envs = 2
    single_observation_space = gym.spaces.Box(0, 255, (2, 8, 9), np.uint8)

    def reset(self, *, seed=None, options=None):
        self.steps = np.zeros(2, int)
        return self._seen(), {}

    def step(self, actions):
        self.steps += 1
        last, over = self._seen(), self.steps == (3, 4)
        self.steps[over] = 0
        infos = {"final_obs": np.where(over[:, None, None, None], last, 99).astype(np.uint8)} if over.any() else {}
        return self._seen(), np.ones(2), over, np.zeros(2, bool), infos

    def _seen(self):
        now = 10 * np.array([1, 2]) + self.steps
        before = 10 * np.array([1, 2]) + np.maximum(self.steps - 1, 0)
        return np.stack((before, now), axis=1)[:, :, None, None] * np.ones((8, 9), np.uint8)


def test_a_final_observation_without_a_mask_beside_it_is_the_last_of_its_episode():
    envs = LikeAle()
    agent = DQN(envs.single_observation_space, 3, LOOKS_ONLY, 1)
    agent.learn(envs, 48)
    replay = agent.replay
    slots = replay.stored()
    assert len(slots) == 48
    frames = replay.observe(slots).numpy().reshape(48, 2, 72)
    following = replay.observe(replay.shifted(slots, 1)).numpy().reshape(48, 2, 72)
    assert (frames == frames[:, :, :1]).all()
    shown = zip(frames[:, :, 0], following[:, :, 0], replay.kinds[slots], strict=True)
    for (before, now), (first, second), kind in shown:
        step, length = now % 10, 2 + now // 10
        assert before == now - (step > 0)
        assert (first, second) == (now, now + 1)
        assert kind == (TERMINATED if step + 1 == length else GOES_ON)


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("total", [1, 9, 10, 11, 17])
def test_exactly_the_transitions_asked_for_are_stored_and_counted(total, mode):
    agent = taped(mdp.vector(lambda: mdp.Counter(4, True), 5, mode), total)
    assert agent.transitions == total == len(stored(agent)) == len(agent.replay)


def test_learning_goes_on_to_a_higher_total_with_new_episodes():
    agent = taped(mdp.vector(lambda: mdp.Counter(4, True), 3), 10)
    agent.learn(mdp.vector(lambda: mdp.Counter(4, True), 3), 20)
    assert agent.transitions == 20
    for episode, step, _, _, _, following, reached in stored(agent):
        assert (following, reached) == (episode, step + 1)


def test_a_replay_is_not_filled_by_another_number_of_environments():
    agent = taped(mdp.vector(lambda: mdp.Counter(4, True), 3), 10)
    with pytest.raises(ValueError, match="3 environments filled the replay; go on with as many, not 2"):
        agent.learn(mdp.vector(lambda: mdp.Counter(4, True), 2), 20)


def test_rewards_are_clipped_to_their_sign_if_asked():
    envs = mdp.vector(lambda: mdp.Counter(4, True), 2)
    agent = DQN(envs.single_observation_space, 3, DQNConfig(learning_starts=10**9, clip_rewards=True), 1)
    agent.act = lambda *_: np.array([2, 0])
    agent.learn(envs, 20)
    assert set(agent.replay.rewards[agent.replay.stored()].tolist()) == {0.0, 1.0}
