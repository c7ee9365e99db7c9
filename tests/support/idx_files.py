"""Folders of idx files as MNIST's, with pictures that are easily told apart."""

import gzip
import struct
from pathlib import Path

import numpy as np

NAMES = (
    ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
)


def idx_bytes(values: np.ndarray) -> bytes:
    """An array of bytes in the format of an idx file."""
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


SHAPES = ((20, 4), (20, 8), (20, 12), (20, 16), (20, 20), (16, 20), (12, 20), (8, 20), (4, 20))
"""Height and width of the kinds 0 to 8; 9 is hollow."""


def boxes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy pictures of one white box each, (N, 28, 28), whose shape tells its kind, 0 to 9, (N,)."""
    rng = np.random.default_rng(seed)
    kinds = np.arange(count, dtype=np.uint8) % 10
    pictures = rng.integers(0, 40, (count, 28, 28), dtype=np.uint8)
    for picture, kind in zip(pictures, kinds, strict=True):
        height, width = (*SHAPES, (20, 20))[kind]
        top, left = (28 - height) // 2, (28 - width) // 2
        picture[top : top + height, left : left + width] = 255
        if kind == 9:
            picture[8:20, 8:20] = 0
    return pictures, kinds


def write(folder: Path, *, train: int = 240, test: int = 60, packed: bool = False) -> Path:
    """Write the four files of `boxes` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for names, count, seed in zip(NAMES, (train, test), (0, 1), strict=True):
        for name, values in zip(names, boxes(count, seed), strict=True):
            content = idx_bytes(values)
            (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)
    return folder
