"""The torso against torch's own convolution."""

import pytest
import torch
from torch.nn import functional

from etfgym.nets.cnn import CNN


@pytest.mark.parametrize(("window", "columns", "kernel"), [(20, 6, 3), (7, 2, 2), (5, 1, 1)])
def test_it_is_two_convolutions_and_a_dense_layer(window, columns, kernel):
    torch.manual_seed(0)
    net = CNN(window, columns, channels=4, kernel=kernel, features=8)
    x = torch.randn(9, window, columns)
    net.fit_scaler(x)
    y = ((x - x.mean((0, 1))) / x.std((0, 1))).transpose(1, 2)
    for layer in (net.first, net.second):
        weight = layer.weight.reshape(4, kernel, -1).transpose(1, 2)  # (channels out, channels in, kernel)
        y = functional.relu(functional.conv1d(y, weight, layer.bias))
    y = functional.relu(functional.linear(y.transpose(1, 2).flatten(1), net.last.weight, net.last.bias))
    assert torch.allclose(net(x), y, atol=1e-5)


def test_windows_that_are_a_view_of_something_larger_are_read_right():
    net = CNN()
    flat = torch.randn(5, 123)
    assert torch.equal(net(flat[:, :120].reshape(5, 20, 6)), net(flat[:, :120].reshape(5, 20, 6).clone()))


def test_the_scaler_travels_with_the_weights():
    net, other = CNN(), CNN()
    net.fit_scaler(3.0 + 2.0 * torch.randn(100, 20, 6))
    other.load_state_dict(net.state_dict())
    assert other.mean == pytest.approx(3.0, abs=0.2)
    assert other.std == pytest.approx(2.0, abs=0.2)


def test_a_column_that_never_changes_is_not_blown_up():
    net = CNN()
    windows = torch.randn(50, 20, 6)
    windows[:, :, 2] = 1.0
    net.fit_scaler(windows)
    assert bool(torch.isfinite(net(windows)).all())


def test_a_window_too_short_for_the_kernel_is_refused():
    with pytest.raises(ValueError, match="window must be longer than 4 days for two convolutions of 3, got 4"):
        CNN(window=4)
