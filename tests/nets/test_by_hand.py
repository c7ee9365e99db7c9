"""The network in NumPy: cases from paper and pencil, and torch as oracle."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.datasets import load_iris
from torch.nn import functional

from etfgym.nets import by_hand
from etfgym.nets.by_hand import (
    Affine,
    Network,
    ReLU,
    Sigmoid,
    Tanh,
    cross_entropy,
    dense_network,
    leaky_relu,
    log_softmax,
    mean_squared_error,
    relu,
    sigmoid,
    softmax,
    step,
)
from etfgym.nets.by_hand_optimizers import SGD, Adam

TORCH = {ReLU: torch.relu, Sigmoid: torch.sigmoid, Tanh: torch.tanh}
ANY_SIZE = arrays(np.float64, (3, 4), elements=st.floats(-1e300, 1e300))


def rng(seed=0):
    return np.random.default_rng(seed)


def twin(network, activation):
    """Return the same network as torch tensors, and its forward."""
    parameters = [torch.tensor(each, requires_grad=True) for each in network.parameters]

    def forward(x):
        for number in range(0, len(parameters), 2):
            x = (TORCH[activation](x) if number else x) @ parameters[number] + parameters[number + 1]
        return x

    return parameters, forward


def test_softmax_of_three_numbers():
    # e^1.9, e^1.1, e^0.2 are 6.6859, 3.0042, 1.2214; their sum is 10.9115
    assert softmax([1.9, 1.1, 0.2]) == pytest.approx([0.6127404, 0.2753220, 0.1119376], abs=1e-7)


def test_activations_of_three_numbers():
    x = [-1.0, 1.0, 2.0]
    assert step(x).tolist() == [0, 1, 1]
    assert relu(x).tolist() == [0, 1, 2]
    assert leaky_relu(x).tolist() == [-0.01, 1, 2]
    assert sigmoid(x) == pytest.approx([0.26894142, 0.73105858, 0.88079708], abs=1e-8)
    assert Tanh().forward(np.array(x)) == pytest.approx([-0.76159416, 0.76159416, 0.96402758], abs=1e-8)


def test_at_zero_the_step_is_down_and_the_rectifier_has_no_slope():
    assert step([0.0]).tolist() == [0]
    layer = ReLU()
    layer.forward(np.zeros((1, 1)))
    assert layer.backward(np.ones((1, 1))).tolist() == [[0]]


@given(ANY_SIZE)
def test_softmax_and_sigmoid_neither_overflow_nor_lose_a_probability(x):
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert softmax(x).sum(axis=1) == pytest.approx(1.0)
        assert np.isfinite(log_softmax(x)).all()
        assert ((sigmoid(x) >= 0) & (sigmoid(x) <= 1)).all()


def test_a_certain_and_wrong_network_has_a_large_loss_rather_than_an_infinite_one():
    loss, gradient = cross_entropy(np.array([[1000.0, 0.0]]), [[0, 1]])
    assert loss == 1000
    assert gradient.tolist() == [[1, -1]]


def test_the_gradient_of_a_squared_error_by_hand():
    # (2 w1 + b - w2 - 3)^2 at w1 = 1, w2 = -1, b = 2 is 2^2; its slopes are 2 * 2 times 2, -1 and 1
    neuron = Network([Affine([[1.0], [-1.0]], [2.0])], mean_squared_error)
    weight, bias = neuron.gradient([[2.0, -1.0]], [[3.0]])
    assert neuron.loss([[2.0, -1.0]], [[3.0]]) == 4
    assert (weight.tolist(), bias.tolist()) == ([[8], [-4]], [4])


@pytest.mark.parametrize("activation", TORCH)
@pytest.mark.parametrize("widths", [[3, 2], [3, 5, 4], [3, 6, 5, 1]])
@pytest.mark.parametrize("criterion", [cross_entropy, mean_squared_error])
def test_losses_and_gradients_are_torchs(activation, widths, criterion):
    source = rng(len(widths))
    network = dense_network(widths, source, activation, criterion)
    for bias in network.parameters[1::2]:
        bias[:] = source.normal(size=bias.shape)
    x = source.normal(size=(7, 3))
    targets = source.dirichlet(np.ones(widths[-1]), size=7)
    parameters, forward = twin(network, activation)
    oracle = functional.cross_entropy if criterion is cross_entropy else functional.mse_loss
    loss = oracle(forward(torch.tensor(x)), torch.tensor(targets))
    loss.backward()
    assert network.loss(x, targets) == pytest.approx(loss.item(), rel=1e-12, abs=1e-15)
    for ours, theirs in zip(network.gradient(x, targets), parameters, strict=True):
        assert ours == pytest.approx(theirs.grad.numpy(), rel=1e-9, abs=1e-12)


def test_the_gradient_with_respect_to_the_inputs_is_torchs():
    source = rng()
    layers = [Affine.drawn(3, 4, source, 1.0), Tanh(), Affine.drawn(4, 2, source, 1.0)]
    x, upstream = source.normal(size=(5, 3)), source.normal(size=(5, 2))
    _, forward = twin(Network(layers), Tanh)
    inputs = torch.tensor(x, requires_grad=True)
    forward(inputs).backward(torch.tensor(upstream))
    Network(layers).forward(x)
    gradient = upstream
    for layer in reversed(layers):
        gradient = layer.backward(gradient)
    assert gradient == pytest.approx(inputs.grad.numpy(), rel=1e-9)


def test_a_batch_has_the_mean_of_its_examples_gradients():
    network = dense_network([2, 3, 2], rng(), Sigmoid)
    x, t = rng(1).normal(size=(4, 2)), np.eye(2)[[0, 1, 1, 0]]
    apart = [network.gradient(x[[row]], t[[row]]) for row in range(4)]
    for together, *each in zip(network.gradient(x, t), *apart, strict=True):
        assert together == pytest.approx(np.mean(each, axis=0), abs=1e-12)


@pytest.mark.parametrize("activation", TORCH)
def test_a_network_learns_iris(activation):
    lengths, species = load_iris(return_X_y=True)
    x, t = (lengths - lengths.mean(0)) / lengths.std(0), np.eye(3)[species]
    network = dense_network([4, 5, 3], rng(), activation)
    optimizer = Adam(network.parameters, learning_rate=0.02)
    for _ in range(300):
        optimizer.step(network.gradient(x, t))
    assert np.mean(network.forward(x).argmax(axis=1) == species) > 0.95


def test_the_same_generator_draws_the_same_network_to_the_bit():
    one, other = (dense_network([4, 5, 3], rng(3)).parameters for _ in range(2))
    assert all(np.array_equal(*pair) for pair in zip(one, other, strict=True))


def test_what_passes_through_ten_layers_of_relu_keeps_its_size():
    x = rng().normal(size=(200, 300))
    passed = dense_network([300] * 11, rng(1)).forward(x)
    assert 0.5 < np.mean(passed**2) / (2 * np.mean(x**2)) < 2  # twice, as no ReLU halves what enters


@pytest.mark.parametrize(("activation", "variance"), [(ReLU, 2 / 400), (Sigmoid, 1 / 400), (Tanh, 1 / 400)])
def test_weights_have_the_variance_that_suits_the_activation_and_biases_are_0(activation, variance):
    weight, bias, *_ = dense_network([400, 200, 1], rng(), activation).parameters
    assert weight.var() == pytest.approx(variance, rel=0.03)
    assert (bias == 0).all()


def test_parameters_are_copies_that_an_optimiser_changes_in_place():
    given = np.ones((1, 1))
    network = Network([Affine(given, [0.0])], mean_squared_error)
    SGD(network.parameters, learning_rate=0.5).step([np.ones((1, 1)), np.ones(1)])
    assert network.forward([[2.0]]).tolist() == [[0.5 * 2 - 0.5]]
    assert given.tolist() == [[1]]


def test_wrong_shapes_are_refused_with_what_was_wanted():
    with pytest.raises(ValueError, match=r"weight must be \(F, K\) and bias \(K,\), got shapes \(1, 2\) and \(1,\)"):
        Affine([[1, 2]], [0])
    network = dense_network([4, 3], rng())
    with pytest.raises(ValueError, match=r"inputs must be \(B, 4\), one example a row, got shape \(4,\)"):
        network.forward(np.zeros(4))
    with pytest.raises(ValueError, match=r"alike, got shapes \(2, 3\) and \(2,\); perhaps np.eye\(3\)\[classes\]"):
        network.loss(np.zeros((2, 4)), [0, 1])
    with pytest.raises(ValueError, match=r"got shapes \(2, 1\) and \(2,\); perhaps targets\[:, None\]"):
        mean_squared_error(np.zeros((2, 1)), [0.0, 1.0])
    with pytest.raises(ValueError, match=r"widths must be two or more.*got \[4\]"):
        dense_network([4], rng())


@pytest.mark.parametrize("targets", [[[0.5, 0.4]], [[1.5, -0.5]], [[np.nan, 1.0]]])
def test_targets_that_are_no_probabilities_are_refused(targets):
    with pytest.raises(ValueError, match="probabilities that add up to 1"):
        cross_entropy(np.zeros((1, 2)), targets)


@pytest.mark.parametrize("name", ["by_hand", "by_hand_optimizers", "by_hand_images", "by_hand_recurrent"])
def test_the_modules_need_numpy_alone(name):
    source = Path(by_hand.__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    imported = re.findall(r"^(?:from|import) (\w+)", source, re.MULTILINE)
    assert set(imported) - set(sys.stdlib_module_names) == {"numpy"}
