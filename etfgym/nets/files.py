"""Files of a network: weights as safetensors, settings as JSON; nothing is pickled, nothing that is read is run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from etfgym.atomic import write_atomically

WEIGHTS = "weights.safetensors"


def save(folder: Path, kind: str, weights: Mapping[str, Tensor], settings: Mapping[str, Any]) -> None:
    """Write `weights.safetensors` and KIND.json into a folder, each whole or not at all.

    Args:
        folder: Made if need be.
        kind: What it is, such as "dqn" or "model".
        weights: By name, such as a module's `state_dict()`.
        settings: What JSON can hold.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    parts = {name: part.contiguous() for name, part in weights.items()}
    write_atomically(folder / WEIGHTS, lambda path: save_file(parts, path))
    write_atomically(folder / f"{kind}.json", lambda path: path.write_text(json.dumps(dict(settings), indent=1)))


def load(folder: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the weights and settings that `save` wrote; wrap it in `refusing`."""
    from safetensors.torch import load_file

    return load_file(folder / WEIGHTS), json.loads((folder / f"{kind}.json").read_text())


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
