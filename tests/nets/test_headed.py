"""A torso under one dense layer."""

import json

import pytest
import torch

from etfgym.nets import TORSOS
from etfgym.nets.headed import Headed


@pytest.mark.parametrize("net", TORSOS)
def test_its_outputs_are_one_dense_layer_on_the_features(net):
    model = Headed({"net": net, "features": 5}, outputs=3)
    x = torch.randn(4, 20, 6, generator=torch.Generator().manual_seed(0))
    by_hand = model.torso(x) @ model.head.weight.T + model.head.bias
    assert torch.allclose(model(x), by_hand, atol=1e-6)
    assert model(x).shape == (4, 3)


@pytest.mark.parametrize("net", TORSOS)
def test_its_spec_and_its_state_make_an_equal_model(net):
    model = Headed({"net": net, "features": 5, "activation": "tanh"}, outputs=3)
    model.torso.fit_scaler(4.0 + torch.randn(9, 20, 6, generator=torch.Generator().manual_seed(1)))
    again = Headed(**json.loads(json.dumps(model.spec)))
    again.load_state_dict(model.state_dict())
    assert again.spec == model.spec
    x = torch.randn(4, 20, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again(x), model(x))


def test_lengths_reach_the_torso_of_an_rnn():
    model = Headed({"net": "rnn", "window": 5, "columns": 2, "hidden": 4, "features": 3}, outputs=1)
    x = torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(0))
    ended = model(x, torch.tensor([2, 5]))
    x[0, 2:] = 99.0  # after the end of the first row
    assert torch.equal(model(x, torch.tensor([2, 5])), ended)
    assert not torch.equal(model(x)[0], ended[0])


def test_gradients_reach_every_parameter_but_the_scaler():
    model = Headed({"net": "dnn", "hidden": [8], "features": 8, "activation": "tanh"}, outputs=2)
    model(torch.randn(4, 20, 6, generator=torch.Generator().manual_seed(0))).square().sum().backward()
    assert all(bool(part.grad.abs().sum() > 0) for part in model.parameters())
    assert not model.torso.mean.requires_grad
