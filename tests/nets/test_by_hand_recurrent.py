"""The simple recurrent network in NumPy: two numbers by hand, any sequence beside torch.nn.RNN."""

import numpy as np
import pytest
import torch

from etfgym.nets.by_hand import sigmoid, softmax
from etfgym.nets.by_hand_recurrent import Recurrent

TOY = {
    "wx": [[1, 1, 1], [-1, -1, -1]],
    "wh": [[1, 0.2], [1, 0.2]],
    "b": [0.3, 0.7],
    "wy": [[0.3, 0.2], [1, -1], [0.3, 1]],
    "by": [0.5, 0.5, 0.5],
    "activation": sigmoid,
}


def test_three_steps_by_hand():
    # the first state is sigmoid(1 + 0.3), sigmoid(-1 + 0.7)
    net = Recurrent(**TOY)
    states = net.states(np.eye(3))
    assert states[0] == pytest.approx([1 / (1 + np.exp(-1.3)), 1 / (1 + np.exp(0.3))], abs=1e-15)
    wanted = [[0.78583498, 0.42555748], [0.89760999, 0.63898154], [0.91095943, 0.67379641]]
    assert states == pytest.approx(np.array(wanted), abs=5e-9)
    outputs = net.outputs(states)
    assert outputs[0] == pytest.approx([0.82086199, 0.86027750, 1.16130798], abs=5e-9)
    assert softmax(outputs)[0] == pytest.approx([0.29021031, 0.30187752, 0.40791216], abs=5e-9)


@pytest.mark.parametrize("steps", [0, 1, 9])
def test_states_are_those_of_torch(steps):
    torch.manual_seed(0)
    oracle = torch.nn.RNN(3, 4, batch_first=True, dtype=torch.float64)
    head = torch.nn.Linear(4, 2, dtype=torch.float64)
    given = {name: each.detach().numpy() for name, each in oracle.named_parameters()}
    net = Recurrent(
        wx=given["weight_ih_l0"],
        wh=given["weight_hh_l0"],
        b=given["bias_ih_l0"] + given["bias_hh_l0"],
        wy=head.weight.detach().numpy(),
        by=head.bias.detach().numpy(),
    )
    x = np.random.default_rng(0).normal(size=(steps, 3))
    states = net.states(x)
    assert states.shape == (steps, 4)
    assert net.outputs(states).shape == (steps, 2)
    if steps:
        wanted, _ = oracle(torch.tensor(x)[None])
        assert states == pytest.approx(wanted[0].detach().numpy(), abs=1e-12)
        assert net.outputs(states) == pytest.approx(head(wanted)[0].detach().numpy(), abs=1e-12)


def test_wrong_shapes_are_refused_with_what_was_wanted():
    for wrong in ({"wh": [[1, 0.2]]}, {"wx": [1, 1]}, {"wx": 1}, {"b": []}, {"by": [0.5]}):
        with pytest.raises(ValueError, match=r"wx, wh, b, wy, by must be \(N, F\), \(N, N\).*got shapes"):
            Recurrent(**{**TOY, **wrong})
    with pytest.raises(ValueError, match=r"inputs must be \(T, 3\), one step a row, got shape \(3,\)"):
        Recurrent(**TOY).states([1, 0, 0])
