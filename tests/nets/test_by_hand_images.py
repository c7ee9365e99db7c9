"""Convolution and max-pooling in NumPy: small images by hand, any image beside torch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.nn import functional

from etfgym.nets.by_hand_images import convolve, max_pool

VERTICAL = [[0, 1, 0], [0, 1, 0], [0, 1, 0]]
sides = st.integers(1, 6)
images = st.tuples(sides, sides).flatmap(lambda shape: arrays(np.float64, shape, elements=st.floats(-9, 9)))


def as_torch(matrix):
    return torch.tensor(np.array(matrix))[None, None]


def test_a_line_at_the_border_is_seen_only_where_zeros_are_put_around_the_image():
    image = np.zeros((5, 5))
    image[:, 0] = 1
    assert (convolve(image, VERTICAL) == 0).all()
    assert convolve(image, VERTICAL, same=True).tolist() == [[n, 0, 0, 0, 0] for n in (2, 3, 3, 3, 2)]


def test_seven_by_seven_ones_by_hand():
    image = np.zeros((7, 7))
    image[[1, 1, 3, 4, 4, 5, 5, 5], [1, 5, 3, 1, 5, 2, 3, 4]] = 1
    seen = convolve(image, [[0, 0, 1], [1, 0, 0], [0, 1, 1]])
    assert seen.tolist() == [
        [0, 1, 0, 0, 0],
        [0, 1, 1, 1, 0],
        [1, 0, 0, 2, 1],
        [1, 4, 2, 1, 0],
        [0, 0, 1, 2, 1],
    ]
    assert max_pool(seen, ceil=True).tolist() == [[1, 1, 0], [4, 2, 1], [0, 2, 1]]
    assert max_pool(seen).tolist() == [[1, 1], [4, 2]]


def test_the_kernel_is_not_flipped():
    assert convolve([[0, 0, 1]], [[1, 2, 3]], same=True).tolist() == [[0, 3, 2]]


@given(images, images)
def test_any_convolution_is_torchs(image, kernel):
    weight = as_torch(kernel)
    same = functional.conv2d(functional.pad(as_torch(image), same_padding(kernel.shape)), weight)[0, 0]
    assert convolve(image, kernel, same=True) == pytest.approx(same.numpy(), abs=1e-9)
    if kernel.shape[0] <= image.shape[0] and kernel.shape[1] <= image.shape[1]:
        valid = functional.conv2d(as_torch(image), weight)[0, 0]
        assert convolve(image, kernel) == pytest.approx(valid.numpy(), abs=1e-9)


def same_padding(shape):
    """Return torch's own padding="same": left, right, top, bottom; one more at the end where it is odd."""
    rows, columns = shape[0] - 1, shape[1] - 1
    return columns // 2, columns - columns // 2, rows // 2, rows - rows // 2


@given(images)
def test_any_pooling_is_torchs(image):
    pooled = functional.max_pool2d(as_torch(image), 2, ceil_mode=True)[0, 0]
    assert np.array_equal(max_pool(image, ceil=True), pooled.numpy())
    if min(image.shape) > 1:
        assert np.array_equal(max_pool(image), functional.max_pool2d(as_torch(image), 2)[0, 0].numpy())


def test_what_is_no_image_or_too_small_is_refused():
    with pytest.raises(ValueError, match=r"image must be a matrix, got shape \(3,\)"):
        convolve([1, 2, 3], VERTICAL)
    with pytest.raises(ValueError, match=r"kernel must be a matrix, got shape \(0,\)"):
        convolve(VERTICAL, [])
    with pytest.raises(ValueError, match=r"kernel must fit on the image \(2, 2\), got \(3, 3\)"):
        convolve([[1, 2], [3, 4]], VERTICAL)
    with pytest.raises(ValueError, match=r"must hold a block of 2 x 2, got shape \(1, 2\); ceil=True"):
        max_pool([[1, 2]])
