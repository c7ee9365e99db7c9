"""The file of a whole training: tensors with their settings in one safetensors file; nothing is pickled or run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from etfgym.atomic import write_atomically


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
