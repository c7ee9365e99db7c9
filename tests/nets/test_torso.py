"""What all torsos share: the scaler, the initialisation, the normalisation and the dropout."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from etfgym.nets import TORSOS, build
from etfgym.nets.dnn import DNN

WIDE, NARROW = 400, 200
SEEN = 0.03  # of a variance measured on 400 x 200 weights, six times its own deviation


def seeded(**spec):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(spec)


@pytest.mark.parametrize(
    ("activation", "variance"),
    [
        ("relu", 2 / WIDE),  # He et al. (2015), eq. 10
        ("tanh", 2 / (WIDE + NARROW)),  # Glorot and Bengio (2010), eq. 12
        ("sigmoid", 2 / (WIDE + NARROW)),
        ("selu", 1 / WIDE),  # LeCun et al. (1998), sec. 4.6
    ],
)
def test_weights_start_with_the_variance_that_suits_the_activation(activation, variance):
    layer = seeded(net="dnn", window=1, columns=WIDE, hidden=[], features=NARROW, activation=activation).layers[0]
    assert layer.weight.var().item() == pytest.approx(variance, rel=SEEN)
    assert layer.weight.mean().item() == pytest.approx(0, abs=0.001)
    assert bool((layer.bias == 0).all())


def test_he_weights_keep_the_mean_square_of_what_passes_through_ten_layers_of_relu():
    net = seeded(net="dnn", window=1, columns=WIDE, hidden=[WIDE] * 9, features=WIDE)
    x = torch.randn(300, 1, WIDE, generator=torch.Generator().manual_seed(1))
    assert 1 / 3 < net(x).square().mean().item() < 3
    for layer in net.layers:
        layer.weight.data *= math.sqrt(0.5)  # Glorot's, for layers of one width
    assert net(x).square().mean().item() < 0.01  # 2 ** -10, were the width endless


@pytest.mark.parametrize("net", TORSOS)
def test_layer_norm_makes_features_that_do_not_depend_on_the_size_of_a_dense_layer(net):
    with_norm, without = seeded(net=net, layer_norm=True), seeded(net=net)
    x = torch.randn(5, 20, 6, generator=torch.Generator().manual_seed(1))
    for torso, changes in ((with_norm, False), (without, True)):
        before = torso(x)
        last = torso.layers[-1] if net == "dnn" else torso.last
        last.weight.data *= 7.0
        assert torch.allclose(torso(x), before, atol=0.01) is not changes
    norms = [name for name in with_norm.state_dict() if "norm" in name]
    assert norms
    assert not [name for name in without.state_dict() if "norm" in name]


def test_layer_norm_comes_before_the_activation():
    torso = seeded(net="dnn", hidden=[], features=64, layer_norm=True)
    x = torch.randn(5, 20, 6, generator=torch.Generator().manual_seed(1))
    values = torso.layers[0](x.flatten(1))
    values = (values - values.mean(1, keepdim=True)) / (values.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
    assert torch.allclose(torso(x), torch.relu(values), atol=1e-5)


@pytest.mark.parametrize("net", TORSOS)
def test_dropout_works_in_training_alone(net):
    torso = seeded(net=net, dropout=0.5)
    x = torch.randn(4, 20, 6, generator=torch.Generator().manual_seed(1))
    with torch.random.fork_rng(devices=[]):
        assert not torch.equal(torso.train()(x), torso(x))
        assert torch.equal(torso.eval()(x), torso(x))
    plain = build({**torso.spec, "dropout": 0.0})
    plain.load_state_dict(torso.state_dict())
    assert torch.equal(torso(x), plain.train()(x))


def test_dropout_zeroes_its_part_and_keeps_the_mean():
    torso = seeded(net="dnn", window=1, columns=1, hidden=[10_000], features=1, dropout=0.25)
    seen = {}
    torso.layers[1].register_forward_hook(lambda _, given, __: seen.update(given=given[0]))
    for layer in torso.layers:
        layer.weight.data.fill_(1.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torso.train()(torch.ones(1, 1, 1))
    assert (seen["given"] == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert seen["given"].mean().item() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("net", TORSOS)
def test_the_scaler_is_part_of_the_state_but_is_not_trained(net):
    torso, other = build({"net": net}), build({"net": net})
    torso.fit_scaler(3.0 + 2.0 * torch.randn(50, 20, 6, generator=torch.Generator().manual_seed(1)))
    assert {"mean", "std"} <= set(torso.state_dict())
    assert not {"mean", "std"} & {name for name, _ in torso.named_parameters()}
    other.load_state_dict(torso.state_dict())
    x = torch.randn(3, 20, 6, generator=torch.Generator().manual_seed(2))
    assert torch.equal(torso.eval()(x), other.eval()(x))


def test_the_scaler_standardises_each_column_over_rows_and_days():
    torso = DNN(window=2, columns=2)
    windows = torch.tensor([[[1.0, 10.0], [3.0, 10.5]], [[5.0, 11.0], [7.0, 11.5]]])
    torso.fit_scaler(windows)
    assert torso.mean.tolist() == [4.0, 10.75]
    assert torso.std.tolist() == pytest.approx([math.sqrt(20 / 3), math.sqrt(1.25 / 3)])
    scaled = torso.scaled(windows).flatten(0, 1)
    assert scaled.mean(0).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert scaled.std(0).tolist() == pytest.approx([1, 1])


def test_a_torso_that_was_never_fitted_leaves_its_input_as_it_is():
    x = torch.randn(3, 20, 6, generator=torch.Generator().manual_seed(2))
    assert torch.equal(DNN().scaled(x), x)


@settings(max_examples=20)
@given(st.sampled_from(sorted(TORSOS)), st.integers(5, 9), st.integers(1, 4), st.integers(1, 6), st.integers(1, 3))
def test_every_torso_maps_windows_to_features_row_by_row(net, window, columns, features, batch):
    torso = seeded(net=net, window=window, columns=columns, features=features).eval()
    x = torch.randn(batch, window, columns, generator=torch.Generator().manual_seed(2))
    y = torso(x)
    assert y.shape == (batch, features)
    assert torch.allclose(y[-1:], torso(x[-1:]), atol=1e-5)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"window": 0}, "window must be a whole number of at least 1, got 0"),
        ({"columns": 1.5}, "columns must be a whole number of at least 1, got 1.5"),
        ({"features": True}, "features must be a whole number of at least 1, got True"),
        ({"activation": "rellu"}, r"activation must be one of .*got 'rellu' \(did you mean 'relu'\?\)"),
        ({"dropout": 1.0}, r"dropout is the part of the numbers that is zeroed, in \[0, 1\), got 1.0"),
        ({"dropout": float("nan")}, "dropout is the part"),
    ],
)
@pytest.mark.parametrize("net", TORSOS)
def test_a_wrong_setting_is_refused_in_one_line(net, setting, message):
    with pytest.raises(ValueError, match=message) as error:
        build({"net": net, **setting})
    assert "\n" not in str(error.value)
