"""The optimisers in NumPy, step by step beside torch's."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from etfgym.nets.by_hand import Tanh, dense_network
from etfgym.nets.by_hand_optimizers import SGD, AdaDelta, AdaGrad, Adam, Momentum, Nesterov, RMSprop

BESIDE = {
    "SGD": (SGD, {}, torch.optim.SGD, {}),
    "Momentum": (Momentum, {"momentum": 0.8}, torch.optim.SGD, {"momentum": 0.8}),
    "Nesterov": (Nesterov, {"momentum": 0.8}, torch.optim.SGD, {"momentum": 0.8, "nesterov": True}),
    "AdaGrad": (AdaGrad, {"epsilon": 1e-3}, torch.optim.Adagrad, {"eps": 1e-3}),
    "AdaDelta": (AdaDelta, {"decay": 0.8, "epsilon": 1e-3}, torch.optim.Adadelta, {"rho": 0.8, "eps": 1e-3}),
    "RMSprop": (RMSprop, {"decay": 0.9, "epsilon": 1e-3}, torch.optim.RMSprop, {"alpha": 0.9, "eps": 1e-3}),
    "Adam": (
        Adam,
        {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3},
        torch.optim.Adam,
        {"betas": (0.8, 0.95), "eps": 1e-3},
    ),
}
DEFAULTS = {
    Momentum: (torch.optim.SGD, {"lr": 0.01, "momentum": 0.9}),
    AdaGrad: (torch.optim.Adagrad, {"lr": 0.01}),
    AdaDelta: (torch.optim.Adadelta, {}),
    RMSprop: (torch.optim.RMSprop, {}),
    Adam: (torch.optim.Adam, {}),
}
OURS = [beside[0] for beside in BESIDE.values()]


def both_ways(ours, theirs, steps=300):
    """Give both the same random gradients; return where each stood after every step, shape (steps, 2, 3)."""
    source = np.random.default_rng(0)
    start = source.normal(size=(2, 3))
    mine, other = start.copy(), torch.tensor(start, requires_grad=True)
    optimizer, oracle = ours([mine]), theirs([other])
    path, oracle_path = [], []
    for _ in range(steps):
        gradient = source.normal(size=(2, 3)) * 10.0 ** source.integers(-4, 3)
        other.grad = torch.tensor(gradient)
        optimizer.step([gradient])
        oracle.step()
        path.append(mine.copy())
        oracle_path.append(other.detach().numpy().copy())
    return np.array(path), np.array(oracle_path)


@pytest.mark.parametrize("name", BESIDE)
def test_each_step_of_three_hundred_is_torchs(name):
    ours, settings, theirs, oracle_settings = BESIDE[name]
    path, oracle_path = both_ways(
        lambda parameters: ours(parameters, learning_rate=0.03, **settings),
        lambda parameters: theirs(parameters, lr=0.03, **oracle_settings),
    )
    assert path == pytest.approx(oracle_path, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("ours", DEFAULTS)
def test_settings_left_out_are_torchs(ours):
    theirs, settings = DEFAULTS[ours]
    path, oracle_path = both_ways(ours, lambda parameters: theirs(parameters, **settings))
    assert path == pytest.approx(oracle_path, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", BESIDE)
def test_a_network_trained_by_hand_ends_where_torchs_ends(name):
    ours, settings, theirs, oracle_settings = BESIDE[name]
    source = np.random.default_rng(1)
    x, t = source.normal(size=(16, 3)), np.eye(2)[source.integers(2, size=16)]
    network = dense_network([3, 4, 2], source, Tanh)
    w1, b1, w2, b2 = twins = [torch.tensor(each, requires_grad=True) for each in network.parameters]
    optimizer = ours(network.parameters, learning_rate=0.02, **settings)
    oracle = theirs(twins, lr=0.02, **oracle_settings)
    before = network.loss(x, t)
    for _ in range(100):
        optimizer.step(network.gradient(x, t))
        oracle.zero_grad()
        outputs = torch.tanh(torch.tensor(x) @ w1 + b1) @ w2 + b2
        functional.cross_entropy(outputs, torch.tensor(t)).backward()
        oracle.step()
    assert network.loss(x, t) < before
    for mine, other in zip(network.parameters, twins, strict=True):
        assert mine == pytest.approx(other.detach().numpy(), abs=1e-6)


def test_nesterovs_gradient_is_the_one_where_momentum_alone_would_lead():
    # Sutskever et al. (2013), eq. 3 and 4, on f(w) = 2 w^2; ours stands at w + 0.9 v
    w, v, rate = np.array([1.0]), np.array([0.0]), 0.05
    ours = w.copy()
    optimizer = Nesterov([ours], learning_rate=rate, momentum=0.9)
    for _ in range(50):
        optimizer.step([4 * ours])
        v = 0.9 * v - rate * 4 * (w + 0.9 * v)
        w = w + v
        assert ours == pytest.approx(w + 0.9 * v, abs=1e-12)


def test_two_steps_of_momentum_by_hand():
    # v is 1, then 0.5 + 1; the way is 0.1 * (1 + 1.5)
    w = np.array([0.0])
    optimizer = Momentum([w], learning_rate=0.1, momentum=0.5)
    optimizer.step([[1.0]])
    optimizer.step([[1.0]])
    assert w == pytest.approx([-0.25])


@pytest.mark.parametrize("optimizer", OURS)
def test_the_gradient_and_numbers_without_a_shape_are_let_be(optimizer):
    w, gradient = np.array(1.0), np.array(2.0)
    made = optimizer([w], learning_rate=0.1)
    made.step([gradient])
    made.step([gradient])
    assert float(w) < 1
    assert float(gradient) == 2


@pytest.mark.parametrize("optimizer", OURS)
def test_wrong_gradients_are_refused_and_nothing_has_changed(optimizer):
    w = np.ones((2, 3))
    made = optimizer([w, np.ones(1)])
    for wrong in ([np.ones((2, 3))], [np.ones(3), np.ones(1)]):
        with pytest.raises(ValueError, match=r"gradients must have the parameters' shapes \[\(2, 3\), \(1,\)\], got"):
            made.step(wrong)
    assert (w == 1).all()
    assert made.steps == 0


def test_wrong_settings_are_refused_with_their_range():
    w = np.ones(1)
    with pytest.raises(ValueError, match=r"learning_rate must be above 0, got 0"):
        SGD([w], learning_rate=0)
    with pytest.raises(ValueError, match=r"momentum must be in \[0, 1\), got 1"):
        Momentum([w], momentum=1)
    with pytest.raises(ValueError, match=r"beta2 must be in \[0, 1\), got 999"):
        Adam([w], beta2=999)
    with pytest.raises(ValueError, match=r"epsilon must be above 0, got 0"):
        AdaDelta([w], epsilon=0)
    with pytest.raises(ValueError, match=r"parameters must be arrays of float64.*got int64"):
        SGD([np.ones(1, dtype=np.int64)])
    with pytest.raises(ValueError, match=r"parameters must be arrays of float64.*got a list"):
        SGD([[1.0]])
    with pytest.raises(ValueError, match=r"parameters must be arrays of float64.*got a float64"):
        SGD([np.float64(1.0)])
