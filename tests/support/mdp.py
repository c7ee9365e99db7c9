"""Small Markov decision processes with exact Q-values, as Gymnasium environments."""

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

STATES = 4


class Chain(gym.Env):
    """Walk left or right over four states seen as one-hot vectors; right of the last one ends it with reward 1.

    A step left earns 0.1 in state 0 and nothing elsewhere. Episodes start anywhere and are truncated after 8 steps.
    """

    observation_space = gym.spaces.Box(0.0, 1.0, (STATES,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state, self.steps = int(self.np_random.integers(STATES)), 0
        return self._seen(), {}

    def step(self, action):
        following, reward, terminated = model(self.state, int(action))
        self.state = min(following, STATES - 1)
        self.steps += 1
        return self._seen(), reward, terminated, not terminated and self.steps >= 8, {}

    def _seen(self):
        return np.eye(STATES, dtype=np.float32)[self.state]


class Loop(gym.Env):
    """One state, reward 1, never terminated, truncated after 5 steps: every Q-value is 1 / (1 - gamma)."""

    observation_space = gym.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.ones(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.ones(1, np.float32), 1.0, False, self.steps >= 5, {}


class Counter(gym.Env):
    """Shows which episode and step it is, so that every transition can be told from every other."""

    observation_space = gym.spaces.Box(0.0, 1e6, (2,), np.float32)
    action_space = gym.spaces.Discrete(3)

    def __init__(self, length, terminates):
        self.length, self.terminates, self.episode = length, terminates, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.steps = self.episode + 1, 0
        return self._seen(), {}

    def step(self, action):
        self.steps += 1
        over = self.steps == self.length
        return self._seen(), float(action), over and self.terminates, over and not self.terminates, {}

    def _seen(self):
        return np.array([self.episode, self.steps], np.float32)


def model(state, action):
    """Return (next state, reward, terminated) of Chain."""
    if action == 1:
        return state + 1, float(state == STATES - 1), state == STATES - 1
    return max(state - 1, 0), 0.1 * (state == 0), False


def exact_q(gamma):
    """Return Chain's Q-values (states, actions) by value iteration."""
    q = np.zeros((STATES, 2))
    for _ in range(1_000):
        for state in range(STATES):
            for action in range(2):
                following, reward, terminated = model(state, action)
                q[state, action] = reward + (0.0 if terminated else gamma * q[following].max())
    return q


def vector(make, count, mode=AutoresetMode.NEXT_STEP):
    """Return `count` environments behind Gymnasium's own vector environment."""
    return SyncVectorEnv([make] * count, autoreset_mode=mode)
