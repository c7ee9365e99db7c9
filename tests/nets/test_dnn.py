"""The torso against torch's own layers."""

import pytest
import torch
from torch import nn

from etfgym.nets.dnn import DNN

ORACLES = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "selu": nn.SELU}


@pytest.mark.parametrize("activation", ORACLES)
@pytest.mark.parametrize("hidden", [[], [7], [7, 5]])
def test_it_is_dense_layers_with_an_activation_after_each(activation, hidden):
    net = DNN(window=4, columns=3, hidden=hidden, features=6, activation=activation)
    widths = [12, *hidden, 6]
    layers = [nn.Flatten()]
    for number, width in enumerate(widths[1:]):
        layer = nn.Linear(widths[number], width)
        layer.load_state_dict(net.layers[number].state_dict())
        layers += [layer, ORACLES[activation]()]
    x = torch.randn(9, 4, 3, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(net(x), nn.Sequential(*layers)(x), atol=1e-6)


def test_it_has_a_weight_for_every_day_and_column():
    # 20 x 6 numbers to 10 and on to 3: 120 x 10 + 10, 10 x 3 + 3
    assert sum(part.numel() for part in DNN(hidden=[10], features=3).parameters()) == 1210 + 33


def test_its_input_is_never_dropped():
    net = DNN(window=1, columns=3, hidden=[], features=2, dropout=0.9).train()
    x = torch.ones(2, 1, 3)
    assert torch.equal(net(x), net(x))
