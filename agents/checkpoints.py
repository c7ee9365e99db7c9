"""Files of a training: tensors as safetensors, settings as JSON; nothing is pickled, nothing that is read is run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from etfgym.atomic import write_atomically

WEIGHTS, SETTINGS = "weights.safetensors", "dqn.json"


def save(folder: Path, weights: dict[str, Tensor], settings: dict[str, Any]) -> None:
    """Write weights and settings into a folder, each whole or not at all."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / WEIGHTS, lambda path: save_file(weights, path))
    write_atomically(folder / SETTINGS, lambda path: path.write_text(json.dumps(settings, indent=1)))


def load(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return what `save` wrote."""
    from safetensors.torch import load_file

    return load_file(folder / WEIGHTS), json.loads((folder / SETTINGS).read_text())


def write(file: Path, tensors: dict[str, Tensor], settings: dict[str, Any]) -> None:
    """Write tensors, and settings in their header, into one file, whole or not at all."""
    from safetensors.torch import save_file

    file.parent.mkdir(parents=True, exist_ok=True)
    header = {"settings": json.dumps(settings)}
    write_atomically(file, lambda path: save_file(tensors, path, header))


def read(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return what `write` wrote."""
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}, json.loads(opened.metadata()["settings"])  # noqa: SIM118 (no dict)


def restore(into: dict[str, Tensor], saved: dict[str, Tensor]) -> None:
    """Copy saved tensors into those of the same names.

    Raises:
        ValueError: If names or shapes differ.
    """
    shapes = [{name: tuple(part.shape) for name, part in parts.items()} for parts in (into, saved)]
    if shapes[0] != shapes[1]:
        msg = f"wanted {shapes[0]}, the file has {shapes[1]}"
        raise ValueError(msg)
    for name, part in into.items():
        part.copy_(saved[name])


@contextmanager
def refusing(path: Path, what: str) -> Iterator[None]:
    """Turn whatever goes wrong in reading `path` into one line.

    Raises:
        ValueError: That it holds no `what`.
    """
    try:
        yield
    except Exception as error:
        why = " ".join(str(error).split())  # torch's take several lines
        msg = f"{path} holds no {what} that can be loaded ({type(error).__name__}: {why}); save it again"
        raise ValueError(msg) from error
