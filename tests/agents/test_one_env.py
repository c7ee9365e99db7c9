"""One environment as a vector of one says what Gymnasium's own vector of one says."""

import gymnasium as gym
import mdp
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from agents.one_env import OneEnv, as_vector


class Overwriting(gym.Env):
    """Writes every observation into the same array."""

    observation_space = spaces.Dict({"window": spaces.Box(0, 9, (2,)), "account": spaces.Box(0, 9, (1,))})
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        self.seen, self.options = np.zeros(3, np.float32), options
        return self._seen(), {}

    def step(self, action):
        self.seen += 1
        return self._seen(), 0.5, False, False, {}

    def _seen(self):
        return {"window": self.seen[:2], "account": self.seen[2:]}


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("terminates", [False, True])
def test_it_shows_what_gymnasiums_vector_of_one_shows(masked, terminates):
    def make():
        return mdp.Counter(3, terminates, masked=masked)

    ours, theirs = OneEnv(make()), SyncVectorEnv([make], autoreset_mode=AutoresetMode.DISABLED)
    assert ours.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    assert (ours.num_envs, ours.observation_space) == (1, theirs.observation_space)
    shown, wanted = ours.reset(seed=1), theirs.reset(seed=1)
    for number in range(8):
        assert np.array_equal(shown[0], wanted[0])
        assert ("action_mask" in shown[-1]) == masked
        if masked:
            assert np.array_equal(shown[-1]["action_mask"], wanted[-1]["action_mask"])
        over = len(shown) == 5 and (shown[2] | shown[3])[0]
        if over:
            assert number in {3, 7}
            options = {"reset_mask": np.array([True])}
            shown, wanted = ours.reset(options=options), theirs.reset(options=options)
            continue
        shown, wanted = ours.step(np.array([number % 3])), theirs.step(np.array([number % 3]))
        for mine, other in zip(shown[1:4], wanted[1:4], strict=True):
            assert (mine.dtype, mine.tolist()) == (other.dtype, other.tolist())


def test_what_was_shown_stays_though_the_environment_writes_over_it():
    envs = OneEnv(Overwriting())
    first = envs.reset()[0]
    second = envs.step(np.array([1]))[0]
    envs.step(np.array([1]))
    assert first["window"].tolist() == [[0, 0]]
    assert second["account"].tolist() == [[1]]


def test_options_of_a_reset_reach_the_environment_but_for_the_mask():
    envs = OneEnv(Overwriting())
    envs.reset(options={"reset_mask": np.array([True]), "start": 3})
    assert envs.env.options == {"start": 3}
    envs.reset(options={"reset_mask": np.array([True])})
    assert envs.env.options is None


def test_many_stay_as_they_are():
    many = mdp.vector(mdp.Chain, 2)
    assert as_vector(many) is many
    assert isinstance(as_vector(mdp.Chain()), OneEnv)
