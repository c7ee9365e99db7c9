"""The band around a default action: what promises too little more is not done."""

import numpy as np
import pytest
import torch

from agents.dqn import DQN
from agents.network import Shape
from agents.settings import DQNConfig

VALUES = [0.30, 0.05, 0.25, 0.34, 0.10]


def agent(band, defaults):
    made = DQN(Shape(rest=2), 5, DQNConfig(band=band, defaults=defaults, head=()))
    made.online.flat.zero_()
    made.online.out.bias.data[:] = torch.tensor(VALUES)
    return made


def chosen(made, masks=None):
    return int(made.predict(np.zeros(2, np.float32), action_masks=masks)[0])


def test_without_a_band_the_highest_value_wins():
    assert chosen(agent(0.0, ())) == 3


@pytest.mark.parametrize(("band", "action"), [(0.05, 3), (0.10, 2), (1.0, 2)])
def test_a_no_trade_band_holds_unless_another_action_is_worth_more_than_it(band, action):
    assert chosen(agent(band, (2,))) == action


def test_where_the_default_is_masked_the_next_one_stands_in():
    made = agent(0.06, (0, 2))
    assert chosen(made) == 0  # 0.30 + 0.06 > 0.34
    assert chosen(made, np.array([1, 1, 1, 0, 1])) == 0
    without_cash = np.array([0, 0, 1, 1, 1])
    assert chosen(made, without_cash) == 3  # 0.25 + 0.06 < 0.34
    assert chosen(agent(0.10, (0, 2)), without_cash) == 2


def test_values_are_in_the_rewards_own_scale_and_know_no_band():
    made = DQN(Shape(rest=2), 5, DQNConfig(band=1.0, defaults=(2,), head=(), reward_scale=100.0))
    made.online.flat.zero_()
    made.online.out.bias.data[:] = torch.tensor(VALUES)
    assert made.values(np.zeros(2, np.float32)) == pytest.approx(np.array(VALUES) / 100)
    assert made.values(np.zeros((3, 2), np.float32)) == pytest.approx(np.tile(VALUES, (3, 1)) / 100)


def test_exploring_and_learning_know_no_band():
    made = agent(1.0, (2,))
    assert made.act(torch.zeros(3, 2), np.zeros(3)).tolist() == [3, 3, 3]


@pytest.mark.parametrize(("band", "defaults"), [(-0.1, (2,)), (0.1, ()), (0.0, (2,))])
def test_a_band_without_a_default_or_the_other_way_round_is_refused(band, defaults):
    with pytest.raises(ValueError, match="band is above 0 with defaults, else 0 without"):
        DQNConfig(band=band, defaults=defaults)


def test_a_default_that_is_no_action_is_refused():
    with pytest.raises(ValueError, match=r"defaults must be actions, 0 to 4, got \(5,\)"):
        agent(0.1, (5,))
