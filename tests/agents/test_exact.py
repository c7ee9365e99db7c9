"""On small decision processes the learned Q-values are those of value iteration, with every switch."""

import mdp
import numpy as np
import pytest
import torch

from agents.dqn import DQN, DQNConfig

GAMMA = 0.7
LEARNS = {
    "gamma": GAMMA,
    "learning_rate": 5e-3,
    "learning_rate_end": 1e-4,  # the last steps are small ones
    "epsilon_end": 1.0,
    "learning_starts": 100,
    "train_every": 1,
    "target_every": 20,
    "head": (64,),
}


def learned(make, count=4, total=900, **config):
    """Return the agent and the Q-values (states, actions) that it has learned on one-hot states."""
    envs = mdp.vector(make, count)
    agent = DQN(envs.single_observation_space, 2, DQNConfig(**(LEARNS | config)), 1)
    agent.learn(envs, total)
    agent.online.draw_noise(None)
    values = agent.online(torch.eye(envs.single_observation_space.shape[0])).detach().numpy()
    return agent, values if agent.config.quantiles is None else values.mean(axis=-1)


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"double": False},
        {"dueling": True},
        {"priority_exponent": 0.6},
        {"quantiles": 4},
        {"target_rate": 0.2, "target_every": 10},
    ],
    ids=str,
)
def test_on_a_known_mdp_the_q_values_reach_the_exact_ones(switches):
    agent, values = learned(mdp.Chain, **switches)
    exact = mdp.exact_q(GAMMA)
    assert np.abs(values - exact).max() < 1e-2
    assert agent.predict(np.eye(mdp.STATES, dtype=np.float32))[0].tolist() == exact.argmax(1).tolist()
    assert torch.isfinite(agent.online.flat).all()


def test_noisy_layers_explore_by_themselves_and_their_mean_network_is_near_the_exact_values():
    # Near, not equal: the noise that is left goes through a ReLU, whose mean is not the ReLU of the mean.
    agent, values = learned(mdp.Chain, noisy=True, epsilon_start=0.0, epsilon_end=0.0, total=1_200)
    exact = mdp.exact_q(GAMMA)
    assert np.abs(values - exact).max() < 0.1
    assert agent.predict(np.eye(mdp.STATES, dtype=np.float32))[0].tolist() == exact.argmax(1).tolist()


def test_one_environment_teaches_the_same_values_as_several():
    assert np.abs(learned(mdp.Chain, count=1)[1] - mdp.exact_q(GAMMA)).max() < 1e-2


@pytest.mark.parametrize("n_step", [1, 3])
@pytest.mark.parametrize("double", [True, False])
def test_n_step_returns_reach_the_exact_values_where_exploration_does_not_bias_them(n_step, double):
    # An n-step return contains what exploration did after the first step, so on Chain, three of them at epsilon 1
    # would be the value of acting at random. On Fork all that follows the first step is the same whatever is done.
    _, values = learned(mdp.Fork, n_step=n_step, double=double)
    assert np.abs(values - mdp.exact_q(GAMMA, mdp.fork_model, 7)).max() < 1e-2


def test_a_truncated_episode_goes_on_in_value():
    _, values = learned(mdp.Loop, count=2)
    assert values == pytest.approx(1 / (1 - GAMMA), abs=1e-2)


def test_three_step_returns_cut_by_truncation_go_on_in_value_too():
    # Episodes of 5 steps: two transitions in five have a return of fewer than 3 rewards.
    _, values = learned(mdp.Loop, count=2, n_step=3)
    assert values == pytest.approx(1 / (1 - GAMMA), abs=1e-2)


def test_a_scaled_reward_scales_the_values():
    _, values = learned(mdp.Loop, count=2, reward_scale=0.5)
    assert values == pytest.approx(0.5 / (1 - GAMMA), abs=1e-2)
