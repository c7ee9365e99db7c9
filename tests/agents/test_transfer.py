"""Pre-trained weights in our DQN: they and their scaler stay if frozen, through every way of learning and saving."""

import numpy as np
import pytest
import torch
from learners import SMALL, WINDOW, market, weights

from agents.dqn import DQN, DQNConfig
from agents.network import Shape
from agents.on_device import DeviceDQN
from etfgym.nets import build, files
from etfgym.nets.transfer import transfer

TORSOS = ({"net": "cnn"}, {"net": "dnn"}, {"net": "rnn", "hidden": 8})
WAYS = pytest.mark.parametrize(
    ("learner", "torso", "switches"),
    [
        *((DQN, torso, {}) for torso in TORSOS),
        (DQN, TORSOS[0], {"target_rate": 0.3, "n_step": 3, "priority_exponent": 0.6}),
        (DQN, TORSOS[0], {"noisy": True}),
        (DQN, TORSOS[0], {"counterfactual": True, "dueling": True}),
        *((DeviceDQN, torso, {"target_rate": 0.3}) for torso in TORSOS),
    ],
    ids=str,
)


def trained(torso, seed=9, *, scaled=True):
    """Return a torso with weights, and a scaler if wanted, of its own."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = build({"window": WINDOW, "columns": 6, "features": SMALL["features"]} | torso)
        if scaled:
            made.fit_scaler(1.0 + 0.1 * torch.randn(50, WINDOW, 6))
    return made


def agent_of(envs, learner=DQN, torso=TORSOS[0], **switches):
    return learner(envs.single_observation_space, 5, DQNConfig(**SMALL, torso=torso, **switches), 5)


def assert_equal(torso, other):
    for name, part in other.state_dict().items():
        assert torch.equal(torso.state_dict()[name], part), name


def both(agent):
    return agent.online.torso, agent.target.torso


@WAYS
def test_frozen_weights_and_scaler_stay_to_the_bit_and_the_rest_learns(learner, torso, switches):
    envs, given = market(), trained(torso)
    agent = agent_of(envs, learner, torso, **switches)
    transfer(agent, given.state_dict(), freeze=True)
    before = agent.online.flat.clone()
    agent.learn(envs, 150)
    for found in both(agent):
        assert_equal(found, given)
    rest = slice(agent.online.torso_part.stop, None)
    assert agent.updates > 20
    assert (agent.online.flat[rest] != before[rest]).float().mean() > 0.3


@WAYS
def test_free_weights_learn_on_and_keep_the_scaler_they_came_with(learner, torso, switches):
    envs, given = market(), trained(torso)
    agent = agent_of(envs, learner, torso, **switches)
    transfer(agent, given.state_dict())
    for found in both(agent):
        assert_equal(found, given)
    agent.learn(envs, 150)
    for found in both(agent):
        assert torch.equal(found.mean, given.mean)
        assert torch.equal(found.std, given.std)
    for name, weight in agent.torso.named_parameters():
        assert not torch.equal(weight, given.state_dict()[name]), name


def test_weights_that_were_fitted_to_windows_as_they_are_get_no_scaler():
    envs, agent = market(), agent_of(market())
    transfer(agent, trained(TORSOS[0], scaled=False).state_dict())
    agent.learn(envs, 60)
    assert (agent.torso.mean == 0).all()
    assert (agent.torso.std == 1).all()


def test_without_a_transfer_the_scaler_is_fitted_when_learning_starts():
    envs, agent = market(), agent_of(market())
    agent.learn(envs, 60)
    assert (agent.torso.mean != 0).any()


@pytest.mark.parametrize("learner", [DQN, DeviceDQN])
def test_in_the_middle_of_a_training_neither_moments_nor_best_weights_of_before_come_back(learner):
    envs, given = market(), trained(TORSOS[0])
    agent = agent_of(envs, learner)
    scores = iter([1.0, 0.5])
    agent.learn(envs, 100, validate=lambda _: next(scores))
    transfer(agent, given.state_dict(), freeze=True)
    agent.learn(envs, 200, validate=lambda _: next(scores))
    for found in both(agent):
        assert_equal(found, given)
    other = trained(TORSOS[0], seed=10)
    transfer(agent, other.state_dict())  # free again
    agent.learn(envs, 300)
    assert not torch.equal(agent.torso.last.weight, other.last.weight)


class Killed(Exception):  # noqa: N818 (a kill is no error)
    pass


@pytest.mark.parametrize("freeze", [True, False])
@pytest.mark.parametrize("killed_at", [40, 120])  # before learning starts, and after
@pytest.mark.parametrize("learner", [DQN, DeviceDQN])
def test_a_training_that_is_killed_and_resumed_is_the_one_that_never_was(learner, killed_at, freeze, tmp_path):
    def learned(agent, file, stop=None):
        def look(transitions):
            if transitions >= (stop or 1_000):
                raise Killed

        agent.learn(market(), 180, seed=7, validate=look, check_every=20, checkpoint=file, checkpoint_every=30)
        return agent

    agents = [agent_of(market(), learner) for _ in range(2)]
    for agent in agents:
        transfer(agent, trained(TORSOS[0]).state_dict(), freeze=freeze)
    whole = learned(agents[0], tmp_path / "whole")
    with pytest.raises(Killed):
        learned(agents[1], tmp_path / "killed", killed_at)
    resumed = learner.resume(tmp_path / "killed")
    assert (resumed.pretrained, resumed.frozen) == (True, freeze)
    assert torch.equal(weights(learned(resumed, tmp_path / "killed")), weights(whole))


def test_a_saved_agent_is_loaded_as_frozen_as_it_was(tmp_path):
    envs, given = market(), trained(TORSOS[0])
    agent = agent_of(envs)
    transfer(agent, given.state_dict(), freeze=True)
    agent.save(tmp_path)
    loaded = DQN.load(tmp_path)
    assert torch.equal(weights(loaded), weights(agent))
    loaded.learn(envs, 100)
    for found in both(loaded):
        assert_equal(found, given)


def test_a_folder_of_a_torso_is_taken_over_and_predicts_alike(tmp_path):
    given = trained(TORSOS[0])
    files.save(tmp_path, "torso", given.state_dict(), {"torso": given.spec})
    agents = [agent_of(market()) for _ in range(2)]
    transfer(agents[0], tmp_path)
    transfer(agents[1], given.state_dict())
    assert torch.equal(weights(agents[0]), weights(agents[1]))
    seen = torch.randn(6, agents[0].shape.size)
    by_hand = agents[0]._online.values(seen)
    assert torch.allclose(by_hand, agents[0].online(seen), atol=1e-5)  # the compiled engine sees the new weights


@pytest.mark.parametrize("shape", [Shape(rest=4), Shape(frames=(4, 84, 84))], ids=["a vector", "frames"])
def test_an_agent_that_sees_no_window_takes_nothing_over(shape):
    with pytest.raises(ValueError, match="this DQN has no torso to take weights over; let it observe windows"):
        transfer(DQN(shape, 5), trained(TORSOS[0]).state_dict())


def test_another_width_is_refused_with_both_numbers(tmp_path):
    given = trained({"net": "cnn", "features": 8})
    files.save(tmp_path, "torso", given.state_dict(), {"torso": given.spec})
    agent = agent_of(market())
    before = weights(agent)
    with pytest.raises(ValueError, match=r"\(features 8 for 16\)"):
        transfer(agent, tmp_path)
    assert np.array_equal(weights(agent), before)
    assert not agent.pretrained
