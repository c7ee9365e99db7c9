"""Settings are checked when made, with one line that says what was wanted and what came."""

from dataclasses import FrozenInstanceError, asdict

import numpy as np
import pytest

from agents.dqn import DQN
from agents.network import Shape
from agents.settings import DQNConfig


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"gamma": 1.5}, r"gamma must be in \[0, 1\], got 1.5"),
        ({"gamma": float("nan")}, r"gamma must be in \[0, 1\], got nan"),
        ({"epsilon_end": -0.1}, r"epsilon_end must be in \[0, 1\], got -0.1"),
        ({"evaluation_epsilon": 2}, r"evaluation_epsilon must be in \[0, 1\], got 2"),
        ({"priority_exponent": 1.1}, r"priority_exponent must be in \[0, 1\], got 1.1"),
        ({"importance_exponent": -1}, r"importance_exponent must be in \[0, 1\], got -1"),
        ({"exploration_fraction": 1.1}, r"exploration_fraction must be in \[0, 1\], got 1.1"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"train_every": 0.5}, "train_every must be a whole number of at least 1, got 0.5"),
        ({"n_step": 0}, "n_step must be a whole number of at least 1, got 0"),
        ({"quantiles": 0}, "quantiles must be a whole number of at least 1, got 0"),
        ({"features": -3}, "features must be a whole number of at least 1, got -3"),
        ({"head": (64, 0)}, "each of head must be a whole number of at least 1, got 0"),
        ({"learning_rate": -1.0}, "learning_rate must be above 0, got -1.0"),
        ({"learning_rate_end": 0.0}, "learning_rate_end must be above 0, got 0.0"),
        ({"max_grad_norm": 0}, "max_grad_norm must be above 0, got 0"),
        ({"reward_scale": float("nan")}, "reward_scale must be above 0, got nan"),
        ({"target_rate": 1.5}, "target_rate must be at most 1, which copies, got 1.5"),
        ({"target_rate": 0}, "target_rate must be above 0, got 0"),
        ({"counterfactual": True, "n_step": 3}, "counterfactual=True .* n_step must be 1, got 3"),
    ],
)
def test_wrong_settings_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        DQNConfig(**wrong)


def test_the_edges_of_the_ranges_are_taken():
    DQNConfig(gamma=0, epsilon_end=0, exploration_fraction=1, target_rate=1, batch_size=1, head=())
    DQNConfig(gamma=1, epsilon_start=0, exploration_fraction=0, target_rate=1e-3, quantiles=1, n_step=5)


def test_settings_can_be_read_back_from_what_json_makes_of_them():
    config = DQNConfig(head=(120, 84), quantiles=8)
    assert DQNConfig(**(asdict(config) | {"head": [120, 84]})) == config


def test_settings_do_not_change():
    with pytest.raises(FrozenInstanceError):
        DQNConfig().gamma = 0.5


def test_epsilon_falls_in_a_straight_line_and_then_stays():
    config = DQNConfig(learning_starts=100, epsilon_start=0.9, epsilon_end=0.1, exploration_fraction=0.5)
    done = np.array([0, 99, 100, 150, 200, 201, 399])
    assert config.epsilon(done, 400) == pytest.approx([1.0, 1.0, 0.5, 0.3, 0.1, 0.1, 0.1])
    at_once = DQNConfig(learning_starts=1, exploration_fraction=0, epsilon_end=0.1)
    assert at_once.epsilon(np.array([0, 1, 2]), 400) == pytest.approx([1.0, 0.1, 0.1])


@pytest.mark.parametrize("actions", [1, 2.0, True])
def test_an_agent_needs_at_least_two_actions(actions):
    with pytest.raises(ValueError, match="actions must be a whole number of at least 2"):
        DQN(Shape(rest=4), actions)
