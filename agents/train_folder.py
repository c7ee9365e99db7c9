"""The folder of a training: one training and no other, its files whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from etfgym.atomic import write_atomically

CHECKPOINT, SETTINGS = "training.safetensors", "training.json"


def claim(folder: Path, settings: dict[str, Any]) -> None:
    """Note in `folder` what is trained there, and clear away what a killed process had half written.

    Raises:
        ValueError: If something else was trained there, naming the settings that differ.
    """
    settings, file = json.loads(json.dumps(settings)), folder / SETTINGS
    there = json.loads(file.read_text()) if file.exists() else settings
    differing = [name for name in settings | there if settings.get(name) != there.get(name)]
    if differing:
        told = ", ".join(f"{name} {there.get(name)!r}, not {settings.get(name)!r}" for name in differing)
        msg = f"{folder} holds a training with {told}; give another --log-folder, or remove this one"
        raise ValueError(msg)
    write_json(file, settings)
    for left in folder.glob(".*.part"):
        left.unlink()


def read_json(file: Path) -> Any:
    """Return what a file holds, or an empty list where there is none."""
    return json.loads(file.read_text()) if file.exists() else []


def write_json(file: Path, content: Any) -> None:
    """Write a file, whole or not at all, and its folder if there is none."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, lambda path: path.write_text(json.dumps(content, indent=1)))
