"""Pre-trained weights in the models of stable-baselines3: where they go, that they stay, and what is refused."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_models import ALGORITHMS, STEPS, TORSOS, model_of, spec_of, torsos_of
from stable_baselines3 import DQN

from etfgym.nets import build, files
from etfgym.nets.extractor import WindowExtractor
from etfgym.nets.transfer import transfer


def trained(torso, seed=9):
    """Return a torso with weights and a scaler of its own."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = build(spec_of(torso))
        made.fit_scaler(1.0 + 0.1 * torch.randn(50, 5, 6))
    return made


def assert_equal(torso, other):
    assert torso.state_dict().keys() == other.state_dict().keys()
    for name, part in torso.state_dict().items():
        assert torch.equal(part, other.state_dict()[name]), name


class Handed(WindowExtractor):
    """What anybody would try first: weights given to the constructor."""

    def __init__(self, observation_space, torso):
        super().__init__(observation_space, torso)
        self.torso.load_state_dict(trained("dnn").state_dict())


@pytest.mark.parametrize("algorithm", ["PPO", "A2C", "RecurrentPPO"])
def test_weights_handed_to_a_constructor_are_overwritten_and_those_transferred_are_not(algorithm):
    weights = trained("dnn")
    handed = model_of(algorithm, extractor=Handed)
    lost, wanted = torsos_of(handed)[0].layers[0].weight, weights.layers[0].weight
    assert not torch.allclose(lost, wanted)
    assert torch.allclose(lost @ lost.t(), 2 * torch.eye(8), atol=1e-5)  # orthogonal rows of length sqrt(2)
    transfer(handed, weights.state_dict())
    assert_equal(torsos_of(handed)[0], weights)


@pytest.mark.parametrize("torso", TORSOS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_frozen_weights_stay_equal_to_the_bit_and_free_ones_learn_on(algorithm, torso):
    weights = trained(torso)
    for freeze in (True, False):
        model = model_of(algorithm, torso)
        transfer(model, weights.state_dict(), freeze=freeze)
        head = {name: part.clone() for name, part in model.policy.state_dict().items() if "torso" not in name}
        model.learn(STEPS)
        assert len(torsos_of(model)) == 1 + algorithm.endswith("DQN")  # the target network's, too
        for found in torsos_of(model):
            if freeze:
                assert_equal(found, weights)
            else:
                assert torch.equal(found.mean, weights.mean)
                for name, weight in found.named_parameters():
                    assert not torch.equal(weight, weights.state_dict()[name]), name
        assert any(not torch.equal(part, model.policy.state_dict()[name]) for name, part in head.items())


@pytest.mark.parametrize("algorithm", ["PPO", "RecurrentPPO"])
def test_actor_and_critic_with_an_extractor_each_get_the_weights_and_keep_them(algorithm):
    weights, model = trained("gru"), model_of(algorithm, "gru", share_features_extractor=False)
    transfer(model, weights.state_dict(), freeze=True)
    model.learn(STEPS)
    assert len(torsos_of(model)) == 2
    for torso in torsos_of(model):
        assert_equal(torso, weights)


def test_weight_decay_and_what_the_optimiser_remembers_leave_frozen_weights_alone():
    weights, model = trained("lstm"), model_of("DQN", "lstm", optimizer_kwargs={"weight_decay": 0.1})
    model.learn(STEPS)  # the optimiser has moments of the torso now
    transfer(model, weights.state_dict(), freeze=True)
    model.learn(STEPS)
    for torso in torsos_of(model):
        assert_equal(torso, weights)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_model_that_was_saved_comes_back_with_the_weights_and_can_be_frozen_again(algorithm, tmp_path):
    weights, model = trained("gru"), model_of(algorithm, "gru")
    transfer(model, weights.state_dict(), freeze=True)
    model.learn(STEPS)
    model.save(tmp_path / "model.zip")
    again = type(model).load(tmp_path / "model.zip", env=model.get_env(), device="cpu")
    seen = model.get_env().reset()
    assert np.array_equal(model.predict(seen, deterministic=True)[0], again.predict(seen, deterministic=True)[0])
    for torso in torsos_of(again):
        assert_equal(torso, weights)
    transfer(again, weights.state_dict(), freeze=True)
    again.learn(STEPS)
    for torso in torsos_of(again):
        assert_equal(torso, weights)


def test_a_frozen_model_takes_other_weights_over_and_is_not_set_free():
    model = model_of("PPO", "lstm")
    transfer(model, trained("lstm").state_dict(), freeze=True)
    other = trained("lstm", seed=10)
    transfer(model, other.state_dict(), freeze=True)
    windows = torch.randn(4, 5, 6)
    assert torch.equal(torsos_of(model)[0](windows), other(windows))
    with pytest.raises(ValueError, match=r"the torso of this model is frozen.*make a new model to train it"):
        transfer(model, other.state_dict())


def test_a_folder_gives_the_weights_if_its_spec_fits(tmp_path):
    weights = build({**spec_of("cnn"), "dropout": 0.3})  # there is none in an agent: it may differ
    files.save(tmp_path, "torso", weights.state_dict(), {"torso": weights.spec, "more": 1})
    for folder in (tmp_path, str(tmp_path)):
        model = model_of("A2C", "cnn")
        transfer(model, folder)
        assert_equal(torsos_of(model)[0], weights)


def test_weights_of_another_form_are_refused_in_one_line_that_names_the_differences(tmp_path):
    model = model_of("DQN", "cnn")
    before = [torso.first.weight.clone() for torso in torsos_of(model)]
    other = build({**spec_of("cnn"), "channels": 3, "activation": "selu"})
    files.save(tmp_path, "torso", other.state_dict(), {"torso": other.spec})
    with pytest.raises(ValueError, match="another torso than the agent's") as refusal:
        transfer(model, tmp_path)
    assert "(activation selu for tanh, channels 3 for 4); make the agent with the torso's spec" in str(refusal.value)
    with pytest.raises(ValueError, match=r"first.weight \(3, 18\) for \(4, 18\), first.bias \(3,\) for \(4,\)"):
        transfer(model, other.state_dict())
    with pytest.raises(ValueError, match=r"more \(1,\) for None"):
        transfer(model, trained("cnn").state_dict() | {"more": torch.zeros(1)})
    assert all(torch.equal(torso.first.weight, kept) for torso, kept in zip(torsos_of(model), before, strict=True))


def test_a_folder_without_a_torso_is_refused_by_its_name(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path} holds no torso that can be loaded .*; save it again"):
        transfer(model_of("PPO"), tmp_path)


def test_a_model_without_a_torso_is_refused():
    model = DQN("MlpPolicy", "CartPole-v1", device="cpu")
    assert isinstance(model.observation_space, spaces.Box)
    with pytest.raises(ValueError, match=r"this DQN has no torso to take weights over; .*=WindowExtractor"):
        transfer(model, trained("dnn").state_dict())
