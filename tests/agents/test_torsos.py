"""The DQN with each torso: it learns, both engines agree, and what is saved comes back with the same spec."""

import mdp
import numpy as np
import pytest
import torch
from learners import SMALL, market

from agents.by_hand import Autograd, ByHand, engine
from agents.dqn import DQN, DQNConfig
from agents.network import QNetwork, Shape

GAMMA = 0.7
TORSOS = pytest.mark.parametrize(
    "torso",
    [
        {"net": "dnn"},
        {"net": "cnn", "kernel": 2},
        {"net": "rnn", "cell": "simple", "hidden": 32},
        {"net": "rnn", "cell": "lstm", "hidden": 32},
        {"net": "rnn", "cell": "gru", "hidden": 32, "layer_norm": True},
    ],
    ids=str,
)


class Days(mdp.Chain):
    """Chain, each state seen as a window of four days with one column: on which day stands the 1?"""

    observation_space = mdp.gym.spaces.Box(0.0, 1.0, (mdp.STATES, 1), np.float32)

    def _seen(self):
        return super()._seen()[:, None]


@TORSOS
def test_with_every_torso_the_q_values_reach_the_exact_ones(torso):
    config = DQNConfig(
        torso=torso,
        features=32,
        head=(32,),
        gamma=GAMMA,
        learning_rate=5e-3,
        learning_rate_end=1e-4,
        epsilon_end=1.0,
        learning_starts=100,
        batch_size=32,
        train_every=1,
        target_every=20,
    )
    envs = mdp.vector(Days, 4)
    agent = DQN(envs.single_observation_space, 2, config, 1)
    agent.learn(envs, 500)
    values = agent.online(torch.eye(mdp.STATES)).detach().numpy()
    assert np.abs(values - mdp.exact_q(GAMMA)).max() < 2e-2


@pytest.mark.parametrize("torso", [{"kernel": 2, "channels": 3}, {"kernel": 5}, {"channels": 1}, {"dropout": 0.5}])
def test_every_plain_cnn_has_by_hand_the_values_and_gradients_of_autograd(torso):
    torch.manual_seed(0)
    made = QNetwork(Shape(window=(12, 6), rest=3), 5, torso={"net": "cnn", **torso}, features=16, head=(8,))
    made.fit_scaler(2.0 + 3.0 * torch.randn(50, 75))
    seen, actions, targets = torch.randn(64, 75), torch.randint(5, (64,)), 2 * torch.randn(64, 1)
    assert type(engine(made)) is ByHand
    found = []
    for way in (ByHand(made), Autograd(made)):
        errors = way.gradient(seen, actions, targets, None)
        found.append((way.values(seen), errors.clone(), made.gradient.clone()))
    assert float(found[0][2].abs().max()) > 1e-3
    for mine, other in zip(*found, strict=True):
        assert torch.allclose(mine, other, atol=1e-5)


@pytest.mark.parametrize(
    "torso", [{"net": "dnn"}, {"net": "rnn"}, {"net": "cnn", "activation": "tanh"}, {"net": "cnn", "layer_norm": True}]
)
def test_what_is_not_written_by_hand_goes_through_autograd(torso):
    made = QNetwork(Shape(window=(12, 6)), 5, torso=torso, features=16, head=(8,))
    assert type(engine(made)) is Autograd


def test_dropout_is_off_and_nothing_else_is_in_evaluation_mode():
    made = QNetwork(Shape(window=(12, 6)), 5, torso={"net": "rnn", "dropout": 0.9}, features=16, head=(8,))
    seen = torch.randn(4, 72)
    assert torch.equal(made(seen), made(seen))
    assert {type(module).__name__ for module in made.modules() if not module.training} == {"Dropout"}


@TORSOS
def test_a_saved_agent_and_a_resumed_training_have_the_torso_they_were_made_with(torso, tmp_path):
    envs = market()
    agent = DQN(envs.single_observation_space, 5, DQNConfig(**SMALL, torso=torso), 5)
    agent.learn(envs, 60, checkpoint=tmp_path / "training")
    agent.save(tmp_path / "agent")
    for again in (DQN.resume(tmp_path / "training"), DQN.load(tmp_path / "agent")):
        assert dict(again.config.torso) == torso
        assert again.torso.spec == agent.torso.spec
        assert torch.equal(again.online.flat, agent.online.flat)


def test_a_torso_that_is_none_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="net must be one of 'dnn', 'cnn', 'rnn', got 'cn'"):
        DQN(Shape(window=(20, 6)), 5, DQNConfig(torso={"net": "cn"}))
