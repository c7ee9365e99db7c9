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


class Fork(gym.Env):
    """Take the left or the right path, and follow it to its end: after the first step, actions change nothing.

    State 0 leads to states 1, 2, 3 (action 0) or 4, 5, 6 (action 1), each of which leads to the next; 3 and 6 end it.
    The rewards of a path don't depend on what is done on it, so an n-step return is unbiased whatever explores.
    Episodes start anywhere and are truncated after 2 steps, so that many returns are cut short.
    """

    observation_space = gym.spaces.Box(0.0, 1.0, (7,), np.float32)
    action_space = gym.spaces.Discrete(2)
    rewards = (0.0, 0.3, -0.2, 1.0, 0.1, 0.1, 0.5)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state, self.steps = int(self.np_random.integers(7)), 0
        return self._seen(), {}

    def step(self, action):
        following, reward, terminated = fork_model(self.state, int(action))
        self.state = following
        self.steps += 1
        return self._seen(), reward, terminated, not terminated and self.steps >= 2, {}

    def _seen(self):
        return np.eye(7, dtype=np.float32)[self.state]


class Counter(gym.Env):
    """Shows which episode and step it is, so that every transition can be told from every other.

    The reward is the action. With `masked`, only the action (episode + step) % 3 is allowed.
    """

    observation_space = gym.spaces.Box(0.0, 1e6, (2,), np.float32)
    action_space = gym.spaces.Discrete(3)

    def __init__(self, length, terminates, *, masked=False):
        self.length, self.terminates, self.masked, self.episode = length, terminates, masked, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.steps = self.episode + 1, 0
        return self._seen(), self._told()

    def step(self, action):
        self.steps += 1
        over = self.steps == self.length
        return self._seen(), float(action), over and self.terminates, over and not self.terminates, self._told()

    def _seen(self):
        return np.array([self.episode, self.steps], np.float32)

    def _told(self):
        allowed = np.arange(3) == (self.episode + self.steps) % 3
        return {"action_mask": allowed.astype(np.int8)} if self.masked else {}


def model(state, action):
    """Return (next state, reward, terminated) of Chain."""
    if action == 1:
        return state + 1, float(state == STATES - 1), state == STATES - 1
    return max(state - 1, 0), 0.1 * (state == 0), False


def fork_model(state, action):
    """Return (next state, reward, terminated) of Fork."""
    following = (1, 4)[action] if state == 0 else min(state + 1, 6)
    return following, Fork.rewards[state] + 0.2 * (state == 0) * action, state in {3, 6}


def exact_q(gamma, model=model, states=STATES):
    """Return Q-values (states, actions) of Chain, or another model of two actions, by value iteration."""
    q = np.zeros((states, 2))
    for _ in range(1_000):
        for state in range(states):
            for action in range(2):
                following, reward, terminated = model(state, action)
                q[state, action] = reward + (0.0 if terminated else gamma * q[following].max())
    return q


def vector(make, count, mode=AutoresetMode.NEXT_STEP):
    """Return `count` environments behind Gymnasium's own vector environment."""
    return SyncVectorEnv([make] * count, autoreset_mode=mode)
