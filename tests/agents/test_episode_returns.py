"""Whole episodes, the same number in every environment, and whole games where an episode is a life."""

import gymnasium as gym
import mdp
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from agents.evaluation import episode_returns

MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP]


class Fixed:
    """Always takes the same action; keeps what it was told."""

    def __init__(self, action=1):
        self.action, self.starts, self.deterministic = action, [], set()

    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        self.starts.append(episode_start.tolist())
        self.deterministic.add(deterministic)
        return np.full(len(observation), self.action), (state or 0) + 1


class Lives(gym.Env):
    """Every step earns 1; an episode is a life of `length` steps, a game three of them."""

    observation_space, action_space = gym.spaces.Box(0, 1, (1,)), gym.spaces.Discrete(2)

    def __init__(self, length):
        self.length, self.lives, self.score = length, 0, 0.0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        if not self.lives:
            self.lives, self.score = 3, 0.0
        return np.zeros(1, np.float32), self._told()

    def step(self, action):
        self.steps += 1
        self.score += 1.0
        lost = self.steps == self.length
        self.lives -= lost
        return np.zeros(1, np.float32), 1.0, lost, False, self._told()

    def _told(self):
        over = self.lives == 0
        return {"game_over": over, "game_score": self.score if over else 0.0}


def counters(lengths, mode):
    """Return episodes of these lengths, whose every step earns the action."""
    return SyncVectorEnv([lambda n=n: mdp.Counter(n, n % 2 == 0) for n in lengths], autoreset_mode=mode)


@pytest.mark.parametrize("mode", MODES)
def test_short_episodes_count_no_more_than_long_ones(mode):
    returns = episode_returns(Fixed(), counters([2, 3, 9], mode), 7, seed=0)
    assert sorted(returns.tolist()) == [2, 2, 2, 3, 3, 9, 9]  # three of the first, two of each other


@pytest.mark.parametrize("mode", MODES)
def test_fewer_episodes_than_environments_are_whole_too(mode):
    assert episode_returns(Fixed(2), counters([4, 5, 6], mode), 2, seed=0).tolist() == [8, 10]


@pytest.mark.parametrize(("mode", "starts"), [(MODES[0], [1, 0, 0, 1, 0, 0]), (MODES[1], [1, 0, 1, 0])])
def test_a_policy_is_told_where_episodes_start(mode, starts):
    policy = Fixed()
    assert episode_returns(policy, counters([2], mode), 2, seed=0).tolist() == [2, 2]
    told = [int(first) for (first,) in policy.starts]
    assert told == starts[: len(told)]
    assert len(told) == (5 if mode is AutoresetMode.NEXT_STEP else 4)


def test_the_policys_random_actions_are_in_unless_left_out():
    policy = Fixed()
    episode_returns(policy, counters([2], MODES[0]), 1, seed=0)
    assert policy.deterministic == {False}
    episode_returns(policy, counters([2], MODES[0]), 1, seed=0, deterministic=True)
    assert policy.deterministic == {False, True}


def test_where_an_episode_is_a_life_whole_games_are_scored():
    envs = gym.make_vec("etfgym/Paddle-v0", num_envs=2, vectorization_mode="vector_entry_point")
    scored = episode_returns(Fixed(1), envs, 4, seed=0)
    assert scored.shape == (4,)
    lives = SyncVectorEnv([lambda: Lives(2), lambda: Lives(4)], autoreset_mode=AutoresetMode.NEXT_STEP)
    assert sorted(episode_returns(Fixed(), lives, 4, seed=0).tolist()) == [6, 6, 12, 12]


def test_breakouts_games_are_scored_alike_whatever_an_episode_is():
    pytest.importorskip("ale_py", reason="Breakout needs ale-py, the extra `atari`")

    def scores(**keywords):
        envs = gym.make_vec("etfgym/Breakout-v0", num_envs=2, vectorization_mode="vector_entry_point", **keywords)
        return episode_returns(Fixed(2), envs, 2, seed=1)

    lives = scores(episodic_life=True)
    assert len(lives) == 2
    assert (lives >= 0).all()
    assert (lives == lives.round()).all()


def test_environments_that_nobody_resets_are_refused():
    with pytest.raises(ValueError, match="make them with autoreset_mode='NextStep'"):
        episode_returns(Fixed(), counters([2], AutoresetMode.DISABLED), 1, seed=0)


def test_equal_seeds_play_equal_episodes():
    envs = gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="sync")
    one, two, other = (episode_returns(Fixed(), envs, 20, seed=seed).tolist() for seed in (1, 1, 2))
    assert one == two
    assert one != other
