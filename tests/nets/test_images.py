"""The torso for pictures, against torch's own layers and against what its docstring says."""

import pytest
import torch
from torch import nn

from etfgym.nets.images import ImageClassifier, ImageCNN


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 28, 28), (3, 17, 40)])
def test_it_is_three_times_convolution_relu_and_pool_and_then_a_dense_layer(channels, height, width):
    torch.manual_seed(0)
    net = ImageCNN(channels, height, width, filters=(2, 3, 4), features=5)
    layers = [layer for conv in net.convolutions for layer in (conv, nn.ReLU(), nn.MaxPool2d(2))]
    by_torch = nn.Sequential(*layers, nn.Flatten(), net.dense, nn.ReLU())
    pictures = torch.randint(256, (6, channels, height, width), dtype=torch.uint8)
    assert torch.allclose(net(pictures), by_torch(pictures / 255.0), atol=1e-6)
    assert [tuple(conv.weight.shape) for conv in net.convolutions] == [(2, channels, 3, 3), (3, 2, 3, 3), (4, 3, 3, 3)]


def test_a_shape_is_found_again_a_pool_further():
    """Eight pixels are one step of the last map, so what is moved by eight is the same but for its place."""
    torch.manual_seed(0)
    net = ImageCNN(height=64, width=64)
    net.dense = nn.Identity()
    pictures = torch.zeros(2, 1, 64, 64)
    pictures[0, :, 24:30, 24:30] = 255
    pictures[1, :, 32:38, 32:38] = 255
    first, second = net(pictures).reshape(2, 64, 8, 8)
    assert first.abs().sum() > 0
    assert torch.allclose(first[:, 1:5, 1:5], second[:, 2:6, 2:6], atol=1e-6)


def test_its_weights_keep_the_size_of_what_passes_through_relu():
    torch.manual_seed(0)
    net = ImageCNN(filters=(64, 64, 64), features=512)
    for layer in (*net.convolutions[1:], net.dense):
        inputs = layer.weight[0].numel()
        assert layer.weight.detach().std() == pytest.approx((2 / inputs) ** 0.5, rel=0.02)
        assert not layer.bias.any()


def test_a_spec_makes_an_equal_classifier():
    model = ImageClassifier(
        {"channels": 3, "height": 32, "width": 24, "filters": [2, 3], "features": 5}, 2, dropout=0.5
    )
    other = ImageClassifier(**model.spec)
    other.load_state_dict(model.state_dict())
    pictures = torch.randint(256, (4, 3, 32, 24), dtype=torch.uint8)
    assert torch.equal(model.eval()(pictures), other.eval()(pictures))
    assert other.spec == model.spec


def test_a_picture_of_which_nothing_is_left_is_refused():
    with pytest.raises(ValueError, match="3 pools need at least 8 x 8 pixels, got 28 x 7"):
        ImageCNN(width=7)
    with pytest.raises(ValueError, match="each of filters must be a whole number of at least 1, got 0"):
        ImageCNN(filters=(4, 0))
