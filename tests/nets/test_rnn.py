"""The recurrent torso against torch's own cells, day by day."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from etfgym.nets import build
from etfgym.nets.rnn import CELLS, RNN

STEPS = {"simple": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}


def made(cell: str, **settings: object) -> RNN:
    torch.manual_seed(0)
    return RNN(window=6, columns=3, cell=cell, hidden=5, features=4, **settings).eval()


@pytest.mark.parametrize("cell", CELLS)
def test_it_is_a_cell_applied_day_by_day_and_a_dense_layer(cell):
    net = made(cell)
    windows = 2.0 + 3.0 * torch.randn(7, 6, 3)
    net.fit_scaler(windows)
    step = STEPS[cell](3, 5)
    step.load_state_dict({name.removesuffix("_l0"): value for name, value in net.recurrent.state_dict().items()})
    state = torch.zeros(7, 5)
    memory = torch.zeros(7, 5)
    for day in ((windows - windows.mean((0, 1))) / windows.reshape(-1, 3).std(0)).unbind(1):
        if cell == "lstm":
            state, memory = step(day, (state, memory))
        else:
            state = step(day, state)
    assert torch.allclose(net(windows), torch.relu(state @ net.last.weight.T + net.last.bias), atol=1e-5)


def test_the_simple_cell_is_a_tanh_of_the_day_and_of_what_was_remembered():
    net = made("simple")
    parts = dict(net.recurrent.named_parameters())
    windows, state = torch.randn(2, 6, 3), torch.zeros(2, 5)
    for day in windows.unbind(1):
        state = torch.tanh(day @ parts["weight_ih_l0"].T + state @ parts["weight_hh_l0"].T)  # biases start at 0
    assert torch.allclose(net(windows), torch.relu(net.last(state)), atol=1e-6)


@given(
    cell=st.sampled_from(sorted(CELLS)),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    rubbish=st.floats(-1e6, 1e6),
)
def test_what_follows_the_end_of_a_row_never_changes_its_features(cell, lengths, rubbish):
    net = made(cell)
    windows, ends = torch.randn(len(lengths), 6, 3), torch.tensor(lengths)
    over = torch.arange(6) >= ends[:, None]
    features = net(windows, ends)
    changed = windows.masked_fill(over[..., None], rubbish)
    assert torch.equal(net(changed, ends), features)
    for row, end in enumerate(lengths):
        assert torch.allclose(features[row], net(windows[row : row + 1, :end])[0], atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_rows_of_full_length_need_no_lengths(cell):
    net, windows = made(cell), torch.randn(3, 6, 3)
    assert torch.allclose(net(windows), net(windows, torch.tensor([6, 6, 6])), atol=1e-6)


def test_the_day_before_the_last_counts():
    net, windows = made("gru"), torch.randn(3, 6, 3)
    changed = windows.clone()
    changed[:, 4] += 1.0
    assert not torch.allclose(net(windows), net(changed))


@pytest.mark.parametrize("cell", CELLS)
def test_a_spec_makes_an_equal_torso(cell):
    net = made(cell, activation="tanh", dropout=0.25, layer_norm=True)
    again = build(net.spec).eval()
    assert again.spec == net.spec
    again.load_state_dict(net.state_dict())
    windows = torch.randn(2, 6, 3)
    assert torch.equal(net(windows), again(windows))


@pytest.mark.parametrize("cell", CELLS)
def test_each_gate_starts_with_an_orthogonal_matrix_and_no_bias(cell):
    net = made(cell)
    for gate in net.recurrent.weight_hh_l0.split(5):
        assert torch.allclose(gate @ gate.T, torch.eye(5), atol=1e-5)
    assert not net.recurrent.bias_ih_l0.any()
    assert not net.recurrent.bias_hh_l0.any()


def test_a_cell_that_there_is_not_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"cell must be one of .*, got 'lsmt' \(did you mean 'lstm'\?\)"):
        RNN(cell="lsmt")
