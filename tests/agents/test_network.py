"""The network's shapes, its dueling and noisy forms, its flat parameters; gradients by hand are autograd's."""

import copy

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch.nn import functional

from agents.by_hand import Autograd, ByHand, engine
from agents.network import NoisyLinear, QNetwork, Shape

WINDOW = Shape(window=(20, 6))
ACCOUNT = Shape(window=(20, 6), rest=3)
VECTOR = Shape(rest=4)
FRAMES = Shape(frames=(2, 12, 10))
SHAPES = pytest.mark.parametrize(
    "shape", [WINDOW, ACCOUNT, VECTOR, FRAMES], ids=["window", "account", "vector", "frames"]
)


def network(shape, seed=0, *, features=32, head=(24, 16), **switches):
    torch.manual_seed(seed)
    return QNetwork(shape, 5, torso={"net": "cnn"}, features=features, head=head, **switches)


def rows(shape, count, seed=1):
    torch.manual_seed(seed)
    if shape.frames:
        return torch.randint(0, 256, (count, shape.size), dtype=torch.uint8)
    return torch.randn(count, shape.size)


@SHAPES
@pytest.mark.parametrize("dueling", [True, False])
@pytest.mark.parametrize("noisy", [True, False])
@pytest.mark.parametrize("head", [(), (8,), (8, 7)])
def test_it_gives_a_value_or_quantiles_for_each_action(shape, dueling, noisy, head):
    for quantiles, expected in ((None, (3, 5)), (9, (3, 5, 9))):
        made = network(shape, head=head, dueling=dueling, noisy=noisy, quantiles=quantiles)
        assert made(rows(shape, 3)).shape == expected


def test_a_space_is_read_as_a_shape():
    window, account = spaces.Box(0, 9, (20, 6)), spaces.Box(0, 1, (3,))
    assert Shape.of(spaces.Dict({"window": window, "account": account})) == ACCOUNT
    assert Shape.of(window) == WINDOW
    assert Shape.of(spaces.Box(0, 1, (4,))) == VECTOR
    assert Shape.of(spaces.Box(0, 255, (2, 12, 10), np.uint8)) == FRAMES
    assert (ACCOUNT.front, ACCOUNT.size, FRAMES.front, VECTOR.front) == (120, 123, 240, 0)


@pytest.mark.parametrize(
    "space", [spaces.Discrete(3), spaces.Box(0, 1, (2, 3, 4)), spaces.Dict({"a": spaces.Box(0, 1)})]
)
def test_a_space_that_it_can_not_read_is_refused(space):
    with pytest.raises(ValueError, match=r"the DQN takes a Box \(W, F\)"):
        Shape.of(space)


@pytest.mark.parametrize("quantiles", [None, 4])
def test_dueling_values_are_the_states_value_plus_advantages_less_their_mean(quantiles):
    made = network(VECTOR, dueling=True, quantiles=quantiles)
    seen = rows(VECTOR, 6)
    hidden = seen
    for layer in made.head:
        hidden = torch.relu(hidden @ layer.weight.t() + layer.bias)
    outputs = (hidden @ made.out.weight.t() + made.out.bias).view(6, 6, -1)  # (B, 1 + actions, N)
    value, advantages = outputs[:, 0], outputs[:, 1:]
    values = made(seen).view(6, 5, -1)
    for action in range(5):
        expected = value + advantages[:, action] - sum(advantages[:, a] for a in range(5)) / 5
        assert torch.allclose(values[:, action], expected, atol=1e-6)
    assert torch.allclose(values.mean(dim=1), value, atol=1e-6)


def test_a_still_noisy_layer_is_its_mean_and_a_drawn_one_follows_the_formula():
    torch.manual_seed(0)
    layer, seen = NoisyLinear(3, 2), torch.randn(4, 3)
    plain = seen @ layer.weight.t() + layer.bias
    assert torch.allclose(layer(seen), plain)
    layer.draw(torch.Generator().manual_seed(7))
    drawn = torch.randn(5, generator=torch.Generator().manual_seed(7))
    scaled = drawn.sign() * drawn.abs().sqrt()
    for_outputs, for_inputs = scaled[:2], scaled[2:]
    weight = layer.weight + layer.weight_scale * for_outputs[:, None] * for_inputs[None]
    assert torch.allclose(layer(seen), seen @ weight.t() + layer.bias + layer.bias_scale * for_outputs, atol=1e-6)
    assert not torch.allclose(layer(seen), plain)
    layer.still()
    assert torch.allclose(layer(seen), plain)


def test_noise_starts_at_half_of_one_over_the_root_of_the_inputs():
    layer = NoisyLinear(16, 2)
    assert (layer.weight_scale == 0.125).all()
    assert (layer.bias_scale == 0.125).all()
    assert layer.weight.abs().max() <= 0.25


def test_noise_is_drawn_for_every_dense_layer_after_the_torso_and_taken_away_from_all():
    made = network(ACCOUNT, noisy=True)
    made.draw_noise(torch.Generator().manual_seed(1))
    layers = [*made.head, made.out]
    assert all(layer.weight_noise.abs().sum() > 0 for layer in layers)
    made.draw_noise(None)
    assert all(layer.weight_noise.abs().sum() == 0 == layer.bias_noise.abs().sum() for layer in layers)


@SHAPES
@pytest.mark.parametrize("noisy", [True, False])
def test_every_parameter_is_a_view_of_one_flat_vector_after_a_copy_and_a_load_too(shape, noisy):
    made, other = network(shape, noisy=noisy), network(shape, seed=1, noisy=noisy)
    twin = copy.deepcopy(made)
    twin.lay_flat()
    twin.load_state_dict(other.state_dict())
    assert torch.equal(twin.flat, other.flat)
    assert not torch.equal(twin.flat, made.flat)  # the copy has memory of its own
    for each in (made, twin):
        assert each.flat.numel() == sum(parameter.numel() for parameter in each.parameters())
        each.flat.fill_(0.5)
        each.gradient.fill_(0.25)
        assert all((parameter == 0.5).all() and (parameter.grad == 0.25).all() for parameter in each.parameters())


HEADS = pytest.mark.parametrize("head", [(), (16,), (24, 16)])
BY_HAND = pytest.mark.parametrize("shape", [WINDOW, ACCOUNT, VECTOR], ids=["window", "account", "vector"])


@BY_HAND
@HEADS
@pytest.mark.parametrize("dueling", [True, False])
@pytest.mark.parametrize("fitted", [1, 5])
def test_gradients_by_hand_are_those_of_autograd(shape, head, dueling, fitted):
    made = network(shape, head=head, dueling=dueling)
    made.fit_scaler(3.0 + 2.0 * rows(shape, 50, seed=2))
    seen, actions = rows(shape, 64), torch.randint(5, (64,))
    targets = 2 * torch.randn(64, fitted)  # errors on both sides of 1
    for weights in (None, torch.rand(64, 1)):
        values = made(seen)
        values = values.gather(1, actions[:, None]) if fitted == 1 else values
        made.gradient.zero_()
        losses = functional.smooth_l1_loss(values, targets, reduction="none")
        (losses if weights is None else losses * weights).mean().backward()
        expected = made.gradient.clone()
        assert float(expected.abs().max()) > 1e-3
        for way in (ByHand(made), Autograd(made)):
            made.gradient.fill_(9.0)  # what an earlier update left behind
            errors = way.gradient(seen, actions, targets, weights)
            assert torch.allclose(errors, (targets - values).detach(), atol=1e-5)
            assert float((made.gradient - expected).abs().max()) < 1e-6


@BY_HAND
def test_by_hand_a_batch_of_any_size_leaves_nothing_behind_for_the_next(shape):
    made = network(shape, dueling=True)
    by_hand, by_autograd, gradients = ByHand(made), Autograd(made), []
    for count in (64, 3, 64, 1, 3):
        seen, actions, targets = rows(shape, count, seed=count), torch.randint(5, (count,)), torch.randn(count, 1)
        for way in (by_hand, by_autograd):
            assert torch.allclose(way.values(seen), made(seen), atol=1e-6)
            way.gradient(seen, actions, targets, None)
            gradients.append(made.gradient.clone())
        assert float((gradients[-1] - gradients[-2]).abs().max()) < 1e-6


@BY_HAND
def test_by_hand_it_follows_the_weights_and_the_scaler_as_they_change(shape):
    made, other = network(shape), network(shape, seed=1)
    by_hand = ByHand(made)
    kept = by_hand.values(rows(shape, 4))
    before = kept.clone()
    other.fit_scaler(1.0 + rows(shape, 50))
    made.load_state_dict(other.state_dict())
    assert torch.allclose(by_hand.values(rows(shape, 4)), other(rows(shape, 4)), atol=1e-6)
    assert torch.equal(kept, before)  # what it gave before is not written to again


@SHAPES
@pytest.mark.parametrize("switches", [{}, {"dueling": True}, {"quantiles": 4}, {"noisy": True}], ids=str)
def test_values_and_branches_say_what_the_network_says(shape, switches):
    made = network(shape, **switches)
    made.draw_noise(torch.Generator().manual_seed(1))
    seen, rests = rows(shape, 6), torch.randn(6, 5, shape.rest)
    for way in (engine(made), Autograd(made)):
        assert torch.allclose(way.values(seen), made(seen), atol=1e-6)
        if shape.rest:
            branches = way.branches(seen, rests)
            assert branches.shape == (6, 5, *made(seen).shape[1:])
            for k in range(5):
                row = torch.cat((seen[:, : shape.front], rests[:, k]), dim=1)
                assert torch.allclose(branches[:, k], made(row), atol=1e-6)


def test_the_fast_way_is_taken_where_it_exists():
    for shape, switches, kind in (
        (ACCOUNT, {}, ByHand),
        (VECTOR, {"dueling": True}, ByHand),
        (FRAMES, {}, Autograd),
        (VECTOR, {"noisy": True}, Autograd),
        (VECTOR, {"quantiles": 2}, Autograd),
    ):
        assert type(engine(network(shape, **switches))) is kind


def test_the_scaler_is_fitted_to_windows_alone():
    made, seen = network(ACCOUNT), 5.0 + rows(ACCOUNT, 50)
    made.fit_scaler(seen)
    days = seen[:, :120].reshape(-1, 6).double()
    assert made.torso.mean.tolist() == pytest.approx(days.mean(0).tolist(), rel=1e-5)
    assert made.torso.std.tolist() == pytest.approx(days.std(0).tolist(), rel=1e-5)
    network(VECTOR).fit_scaler(rows(VECTOR, 5))  # nothing to fit
