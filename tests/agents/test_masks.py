"""An action that is not allowed is never explored, never chosen as the best, and never counted as what follows."""

from types import SimpleNamespace

import mdp
import numpy as np
import pytest
import torch

from agents.dqn import DQN, DQNConfig
from agents.replay import Batch

ALL = np.ones((1, 5), bool)


def agent_with(values, **config):
    """Return an agent whose networks both give these values, (n, actions) or (n, actions, N)."""
    actions = np.shape(values)[1]
    agent = DQN(mdp.Chain.observation_space, actions, DQNConfig(**config), 1)
    agent._online = agent._target = SimpleNamespace(values=lambda _: torch.tensor(values))
    return agent


def test_exploration_draws_evenly_among_what_is_allowed():
    agent = agent_with([[0.0] * 5])
    masks = np.tile([True, False, True, False, True], (9_000, 1))
    actions = agent.act(torch.zeros(9_000, 4), np.ones(9_000), masks)
    counts = np.bincount(actions, minlength=5)
    assert counts[[1, 3]].tolist() == [0, 0]
    assert ((counts[[0, 2, 4]] - 3_000) ** 2 / 3_000).sum() < 13.8  # 0.999 quantile, 2 degrees of freedom


def test_without_masks_exploration_draws_evenly_among_all():
    counts = np.bincount(agent_with([[0.0] * 5]).act(torch.zeros(10_000, 4), np.ones(10_000)), minlength=5)
    assert ((counts - 2_000) ** 2 / 2_000).sum() < 18.5  # 0.999 quantile, 4 degrees of freedom


def test_exploration_is_as_frequent_as_epsilon_says():
    actions = agent_with([[0.0, 9.0]] * 10_000).act(torch.zeros(10_000, 4), np.full(10_000, 0.3))
    assert (actions == 0).mean() == pytest.approx(0.15, abs=0.015)  # half of what is explored
    mixed = agent_with([[0.0, 9.0]] * 4).act(torch.zeros(4, 4), np.array([0.0, 0.0, 0.0, 0.0]))
    assert mixed.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("quantiles", [None, 2])
def test_the_best_action_is_the_best_of_those_allowed(quantiles):
    values = [[9.0, 8.0, -7.0, 6.0, 5.0]] * 3
    if quantiles:
        values = np.stack((values, values), axis=2).tolist()
    masks = np.array([[True] * 5, [False, True, True, True, True], [False, False, True, False, False]])
    actions = agent_with(values, quantiles=quantiles).act(torch.zeros(3, 4), np.zeros(3), masks)
    assert actions.tolist() == [0, 1, 2]


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("quantiles", [None, 2])
def test_what_follows_is_the_best_of_what_is_allowed_then(double, quantiles):
    values = [[9.0, 8.0, -7.0]] * 3
    if quantiles:
        values = np.stack((values, values), axis=2).tolist()
    agent = agent_with(values, double=double, quantiles=quantiles)
    masks = torch.tensor([[[True, True, True]], [[False, True, True]], [[False, False, True]]])
    batch = Batch(
        np.arange(3),
        torch.zeros(3, 4),
        torch.zeros(3, dtype=torch.long),
        torch.zeros(3, 1),
        torch.ones(3, 1),
        torch.zeros(3, 4),
        next_masks=masks,
    )
    assert agent.targets(batch).reshape(3, -1)[:, 0].tolist() == [9.0, 8.0, -7.0]


@pytest.mark.parametrize("mode", ["NEXT_STEP", "SAME_STEP", "DISABLED"])
def test_a_whole_training_takes_no_action_that_was_not_allowed(mode):
    class Strict(mdp.Counter):
        def step(self, action):
            assert action == (self.episode + self.steps) % 3
            return super().step(action)

    envs = mdp.vector(lambda: Strict(4, True, masked=True), 3, mdp.AutoresetMode[mode])
    config = DQNConfig(learning_starts=40, head=(8,), batch_size=8, exploration_fraction=0.3)
    agent = DQN(envs.single_observation_space, 3, config, 1)
    agent.learn(envs, 150)
    assert agent.updates == 28
    batch = agent.replay.sample(64, agent.rng)
    following = batch.next_observations.sum(dim=1).long() % 3
    assert (batch.next_masks[:, 0].long().argmax(1) == following).all()


def test_predict_keeps_to_masks_for_one_observation_and_for_many():
    agent = DQN(mdp.Chain.observation_space, 3, seed=1)
    rng = np.random.default_rng(0)
    seen, masks = rng.normal(size=(50, 4)).astype(np.float32), np.eye(3, dtype=bool)[rng.integers(3, size=50)]
    for deterministic in (True, False):
        actions, _ = agent.predict(seen, deterministic=deterministic, action_masks=masks)
        assert actions.tolist() == masks.argmax(1).tolist()
        assert int(agent.predict(seen[0], action_masks=masks[0])[0]) == masks[0].argmax()
        assert agent.predict(seen[:1], action_masks=masks[:1])[0].tolist() == [masks[0].argmax()]
