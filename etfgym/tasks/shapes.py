"""Drawn shapes, to try `binary-images` without pictures of one's own: `python -m etfgym.tasks.shapes FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE = 32
COUNT = 150
"""Of each kind."""


def draw(folder: Path, seed: int = 0) -> None:
    """Write noisy discs and squares of any place, size and shade into the folders "disc" and "square", as PNG.

    Args:
        folder: Made if need be.
        seed: Of the drawing.
    """
    rng = np.random.default_rng(seed)
    for kind in ("disc", "square"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in range(COUNT):
            picture = Image.new("L", (SIDE, SIDE), int(rng.integers(80)))
            radius = rng.uniform(6, 12)
            x, y = rng.uniform(radius, SIDE - radius, 2)
            shape = ImageDraw.Draw(picture)
            outline = shape.ellipse if kind == "disc" else shape.rectangle
            outline((x - radius, y - radius, x + radius, y + radius), fill=int(rng.integers(170, 256)))
            noisy = np.asarray(picture) + rng.normal(0, 15, (SIDE, SIDE))
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / kind / f"{number:03}.png")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m etfgym.tasks.shapes FOLDER")
    draw(Path(sys.argv[1]))
