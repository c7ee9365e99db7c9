"""Torsos inside the models of stable-baselines3 and sb3-contrib."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from learners import market
from sb3_models import ALGORITHMS, STEPS, TORSOS, model_of, spec_of, torsos_of

from etfgym.nets import build
from etfgym.nets.extractor import WindowExtractor, fit_scaler

WINDOW, ACCOUNT = spaces.Box(0, 9, (5, 6)), spaces.Box(0, 1, (3,))
BOTH = spaces.Dict({"window": WINDOW, "account": ACCOUNT})


@pytest.mark.parametrize("torso", TORSOS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_trains_every_torso(algorithm, torso):
    model = model_of(algorithm, torso)
    before = {name: weight.clone() for name, weight in torsos_of(model)[0].named_parameters()}
    model.learn(STEPS)
    for name, weight in torsos_of(model)[0].named_parameters():
        assert torch.isfinite(weight).all(), name
        assert not torch.equal(weight, before[name]), name


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_windows_without_an_account_are_learned_too(algorithm):
    model = model_of(algorithm, "cnn", account=False)
    before = torsos_of(model)[0].first.weight.clone()
    model.learn(STEPS)
    assert not torch.equal(torsos_of(model)[0].first.weight, before)
    assert model.predict(model.get_env().reset())[0].shape == (2,)


@pytest.mark.parametrize("torso", TORSOS)
def test_features_are_the_torsos_of_the_window_then_the_account_as_it_is(torso):
    windows, account = torch.randn(4, 5, 6), torch.randn(4, 3)
    plain, both = WindowExtractor(WINDOW, spec_of(torso)), WindowExtractor(BOTH, spec_of(torso))
    assert (plain.features_dim, both.features_dim) == (6, 9)
    assert torch.equal(plain(windows), plain.torso(windows))
    assert torch.equal(both({"account": account, "window": windows}), torch.cat((both.torso(windows), account), 1))


def test_window_and_columns_follow_from_the_space():
    made = WindowExtractor(WINDOW, {"net": "cnn", "window": 20, "columns": 7})
    assert (made.torso.window, made.torso.columns, made.features_dim) == (5, 6, 128)


def test_a_live_module_is_refused_for_it_would_be_shared():
    with pytest.raises(ValueError, match=r"torso is a spec such as .*, never a live module"):
        WindowExtractor(WINDOW, build(spec_of("cnn")))
    torsos = torsos_of(model_of("DQN"))
    assert len(torsos) == 2  # the target network's is one of its own
    assert torsos[0].layers[0].weight.data_ptr() != torsos[1].layers[0].weight.data_ptr()


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(3),
        ACCOUNT,
        spaces.Box(0, 255, (4, 84, 84), np.uint8),
        spaces.Dict({"window": WINDOW}),
        spaces.Dict({"window": WINDOW, "account": spaces.Discrete(3)}),
        spaces.Dict({"window": WINDOW, "account": ACCOUNT, "more": ACCOUNT}),
    ],
    ids=str,
)
def test_a_space_without_a_window_is_refused_in_one_line(space):
    with pytest.raises(ValueError, match=r"a WindowExtractor takes a Box \(W, F\), or a Dict of window") as refusal:
        WindowExtractor(space, {"net": "cnn"})
    assert "account (A,), got" in str(refusal.value)


@pytest.mark.parametrize(
    ("algorithm", "policy", "count"),
    [
        ("DQN", {}, 2),
        ("QRDQN", {}, 2),
        ("PPO", {}, 1),
        ("PPO", {"share_features_extractor": False}, 2),
        ("RecurrentPPO", {"share_features_extractor": False}, 2),
    ],
)
def test_the_scaler_is_fitted_in_every_extractor_of_a_model_and_stays(algorithm, policy, count):
    model = model_of(algorithm, **policy)
    assert all((torso.mean == 0).all() and (torso.std == 1).all() for torso in torsos_of(model))
    windows = torch.from_numpy(market(50, observe_account=False).reset(seed=1)[0])
    fit_scaler(model, windows)
    model.learn(STEPS)
    assert len(torsos_of(model)) == count
    for torso in torsos_of(model):
        assert torch.allclose(torso.mean, windows.mean((0, 1)), atol=1e-6)
        assert torch.allclose(torso.std, windows.std((0, 1)), atol=1e-6)


def test_windows_are_no_images_whether_images_are_normalised_or_not():
    scales = (True, False)
    models = [model_of("DQN", normalize_images=normalise, account=False) for normalise in scales]
    seen = torch.from_numpy(models[0].get_env().reset())
    assert torch.equal(*(model.policy.q_net(seen) for model in models))


def test_dropout_is_off_in_training_as_well():
    made = WindowExtractor(WINDOW, {**spec_of("cnn"), "dropout": 0.9})
    windows = torch.randn(4, 5, 6)
    for mode in (True, False):
        made.train(mode)
        assert torch.equal(made(windows), made(windows))
        assert made.torso.training is mode


def test_a_model_that_was_saved_is_loaded_with_its_torso(tmp_path):
    model = model_of("PPO", "lstm")
    fit_scaler(model, torch.randn(50, 5, 6))
    model.learn(STEPS)
    model.save(tmp_path / "model.zip")
    again = type(model).load(tmp_path / "model.zip", device="cpu")
    assert torsos_of(again)[0].spec == torsos_of(model)[0].spec
    for name, part in torsos_of(model)[0].state_dict().items():
        assert torch.equal(part, torsos_of(again)[0].state_dict()[name]), name
