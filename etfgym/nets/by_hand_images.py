"""What a convolutional network does to one image, in NumPy alone: convolution and max-pooling."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Floats = npt.NDArray[np.float64]


def convolve(image: npt.ArrayLike, kernel: npt.ArrayLike, *, same: bool = False) -> Floats:
    """Return the sum of the image's numbers times the kernel's, the kernel laid on every place.

    Strictly this is the cross-correlation: the kernel is not flipped (Goodfellow, Bengio and Courville 2016, "Deep
    Learning", eq. 9.6).

    Args:
        image: Shape (H, W).
        kernel: Shape (h, w).
        same: Whether zeros are put around the image first, so that the result has its shape; where their number is
            odd, there is one more below and to the right.

    Returns:
        Shape (H - h + 1, W - w + 1), the places where the kernel lies wholly on the image ("valid"); (H, W) if `same`.

    Raises:
        ValueError: If either is no matrix or the kernel larger than what it is laid on.

    Example:
        >>> convolve([[1, 2, 3], [4, 5, 6]], [[1, 0], [0, 1]])
        array([[6., 8.]])
        >>> convolve([[1, 2, 3], [4, 5, 6]], [[1, 0], [0, 1]], same=True)
        array([[6., 8., 3.],
               [4., 5., 6.]])
    """
    pixels, weights = _matrix("image", image), _matrix("kernel", kernel)
    if same:
        spare = [side - 1 for side in weights.shape]
        pixels = np.pad(pixels, [(zeros // 2, zeros - zeros // 2) for zeros in spare])
    if any(side > room for side, room in zip(weights.shape, pixels.shape, strict=True)):
        msg = f"kernel must fit on the image {pixels.shape}, got {weights.shape}"
        raise ValueError(msg)
    places = sliding_window_view(pixels, weights.shape)  # (H - h + 1, W - w + 1, h, w)
    return np.asarray(np.einsum("ijhw,hw->ij", places, weights))


def max_pool(image: npt.ArrayLike, *, ceil: bool = False) -> Floats:
    """Return the largest number of every 2 x 2 block.

    Args:
        image: Shape (H, W).
        ceil: Whether an odd last row or column makes blocks of its own; if not, it is left out.

    Returns:
        Shape (H / 2, W / 2), rounded up if `ceil`, else down.

    Raises:
        ValueError: If it is no matrix, or too small for a block.

    Example:
        >>> max_pool([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
        array([[5.]])
        >>> max_pool([[1, 2, 3], [4, 5, 6], [7, 8, 9]], ceil=True)
        array([[5., 6.],
               [8., 9.]])
    """
    pixels = _matrix("image", image)
    if ceil:
        pixels = np.pad(pixels, [(0, side % 2) for side in pixels.shape], constant_values=-np.inf)
    rows, columns = (side // 2 for side in pixels.shape)
    if not rows * columns:
        msg = f"image must hold a block of 2 x 2, got shape {pixels.shape}; ceil=True makes smaller blocks"
        raise ValueError(msg)
    blocks = pixels[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2)
    return np.asarray(blocks.max(axis=(1, 3)))


def _matrix(name: str, values: npt.ArrayLike) -> Floats:
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or matrix.size == 0:
        msg = f"{name} must be a matrix, got shape {matrix.shape}"
        raise ValueError(msg)
    return matrix
