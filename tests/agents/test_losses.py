"""The loss's slopes are the derivatives of the losses in the papers; targets are the double DQN's; one whole update."""

from types import SimpleNamespace

import mdp
import numpy as np
import pytest
import torch
from torch.nn import functional

from agents.dqn import DQN, DQNConfig
from agents.losses import huber
from agents.replay import Batch


def test_without_quantiles_it_is_the_huber_loss():
    torch.manual_seed(0)
    values, targets = (2 * torch.randn(64, 5)).requires_grad_(), 2 * torch.randn(64, 5)
    losses, errors = huber(values, targets)
    assert torch.allclose(losses, functional.smooth_l1_loss(values, targets, reduction="none"), atol=1e-6)
    assert torch.allclose(errors, (targets - values).detach())
    losses.sum().backward()
    assert torch.allclose(values.grad, -errors.clamp(-1, 1), atol=1e-6)
    assert (errors.abs() > 1).any()
    assert (errors.abs() < 1).any()


@pytest.mark.parametrize("others", [4, 6])
def test_with_quantiles_it_is_the_quantile_huber_loss(others):
    torch.manual_seed(0)
    values, targets = (2 * torch.randn(3, 2, 4)).requires_grad_(), 2 * torch.randn(3, 2, others)
    written_out, seen = [], torch.zeros(3, 2)
    for b in range(3):
        for k in range(2):
            total = torch.zeros(())
            for i in range(4):  # Dabney et al. 2018, eq. 10
                level = (2 * i + 1) / 8
                for j in range(others):
                    error = targets[b, k, j] - values[b, k, i]
                    loss = 0.5 * error**2 if error.abs() <= 1 else error.abs() - 0.5
                    total = total + abs(level - float(error < 0)) * loss / others
                    seen[b, k] += error.detach() / (4 * others)
            written_out.append(total)
    losses, errors = huber(values, targets)
    assert torch.allclose(losses.flatten(), torch.stack(written_out), atol=1e-5)
    assert torch.allclose(errors, seen, atol=1e-6)
    (slopes,) = torch.autograd.grad(losses.sum(), values)
    (expected,) = torch.autograd.grad(sum(written_out), values)
    assert torch.allclose(slopes, expected, atol=1e-6)


def by_hand(online, target, **batch):
    """Return targets with networks that give these values, gamma 0.5 and rewards times ten."""
    rewards = torch.tensor([[0.1], [0.1]])
    made = Batch(
        np.arange(2),
        torch.zeros(2, 4),
        torch.tensor([0, 1]),
        rewards,
        torch.tensor([[0.5], [0.0]]),
        torch.zeros(2, 4),
        **batch,
    )

    def targets(**config):
        agent = DQN(mdp.Chain.observation_space, 2, DQNConfig(reward_scale=10.0, **config), 1)
        agent._online, agent._target = (SimpleNamespace(values=lambda _, v=v: v) for v in (online, target))
        return agent.targets(made)

    return targets


def test_double_takes_the_online_argmax_and_the_target_networks_value():
    targets = by_hand(torch.tensor([[1.0, 2.0]] * 2), torch.tensor([[30.0, 4.0]] * 2))
    assert targets().flatten().tolist() == pytest.approx([1 + 0.5 * 4, 1.0])  # the second is terminated
    assert targets(double=False).flatten().tolist() == pytest.approx([1 + 0.5 * 30, 1.0])


def test_with_quantiles_the_next_action_is_that_of_the_highest_mean():
    online = torch.tensor([[[0.0, 4.0], [1.0, 1.0]]] * 2)  # means 2 and 1
    target = torch.tensor([[[6.0, 8.0], [9.0, 9.0]]] * 2)
    targets = by_hand(online, target)
    assert targets(quantiles=2).tolist() == [[[4.0, 5.0]], [[1.0, 1.0]]]
    assert targets(quantiles=2, double=False).tolist() == [[[5.5, 5.5]], [[1.0, 1.0]]]


@pytest.mark.parametrize("double", [True, False])
def test_an_update_is_one_clipped_adam_step_on_the_mean_huber_loss(double):
    config = {"head": (16,), "batch_size": 16, "max_grad_norm": 0.01, "learning_starts": 50, "train_every": 51}
    agents = []
    for _ in range(2):
        agent = DQN(mdp.Chain.observation_space, 2, DQNConfig(double=double, **config), 1)
        agent.learn(mdp.vector(mdp.Chain, 2), 50)
        agent.target.flat.mul_(-1.0)  # so that both networks choose differently
        agents.append(agent)
    one, other = agents
    errors = one.update()
    batch = other.replay.sample(16, other.rng)
    values = other.online(batch.observations)[torch.arange(16), batch.actions]
    following = other.target(batch.next_observations).detach()
    chosen = (other.online(batch.next_observations) if double else following).argmax(1)
    targets = batch.rewards[:, 0] + batch.discounts[:, 0] * following[torch.arange(16), chosen]
    assert set(batch.discounts[:, 0].tolist()) == {0.0, np.float32(0.99)}
    assert torch.allclose(errors[:, 0], (targets - values).detach(), atol=1e-6)
    other.online.gradient.zero_()
    functional.smooth_l1_loss(values, targets).backward()
    assert float(torch.nn.utils.clip_grad_norm_(other.online.parameters(), 0.01)) > 0.01
    torch.optim.Adam(other.online.parameters(), lr=5e-4).step()
    assert torch.allclose(one.online.flat, other.online.flat, atol=1e-6)
    assert one.updates == 1
