"""What tasks on pictures have in common: opening a file, a drawing in MNIST's manner, naive baselines, loading a model.

Only PNG and JPEG are opened: some of pillow's other formats start a program to read a file.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from sklearn.linear_model import LogisticRegression

from etfgym.nets import files
from etfgym.nets.images import ImageClassifier
from etfgym.tasks.fit import Examples
from etfgym.tasks.idx import SIDE, Bytes

FORMATS = ("PNG", "JPEG")
SUFFIXES = (".png", ".jpg", ".jpeg")
LEAST_CONTRAST = 32
"""Between the ink of a drawing and its background, of 255."""
MOST_REGRESSED = 10_000
"""Pictures that logistic regression learns from; on 55,000 of MNIST it takes two minutes and gets one point further."""


def open_picture(file: Path) -> Image.Image:
    """Return a picture, upright, transparent parts over white, as grey ("L") or as colours ("RGB").

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no PNG or JPEG, broken, or has more pixels than pillow takes for harmless.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=FORMATS) as opened:
                upright = ImageOps.exif_transpose(opened)
                if upright.has_transparency_data:
                    clear = upright.convert("RGBA")
                    upright = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
                return upright.convert("L" if upright.mode in {"1", "L"} else "RGB")
    except FileNotFoundError:
        msg = f"{file}: no such file; check the path"
        raise FileNotFoundError(msg) from None
    except Exception as error:  # a broken file makes pillow raise whatever its decoder met
        msg = f"{file} can't be read as a PNG or JPEG ({' '.join(str(error).split())}); save it again, or take it away"
        raise ValueError(msg) from None


def drawn(picture: Image.Image, side: int) -> Bytes:
    """Return a drawing as MNIST has its digits: white on black, (28, 28), scaled to fit `side` pixels and centred.

    What most of the picture's edge looks like is the background. MNIST's digits fit 20 pixels and have their centre of
    mass at pixel 14; Fashion-MNIST's garments fill 28 and have their box in the middle.

    Args:
        picture: Of any size, dark on light or light on dark.
        side: The longer side of what is drawn, at most 28.

    Raises:
        ValueError: If nothing stands out from the background.
    """
    grey = np.asarray(picture.convert("L"), np.float32)
    background = np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    ink = (background - grey if background > 127 else grey - background).clip(0)
    if ink.max() < LEAST_CONTRAST:
        msg = f"the picture shows nothing that stands out from its {'light' if background > 127 else 'dark'} background"
        raise ValueError(msg)
    rows, columns = (np.flatnonzero(ink.max(axis) > ink.max() / 4) for axis in (1, 0))
    box = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = (max(1, round(side * length / max(box.shape))) for length in box.shape)
    small = np.asarray(Image.fromarray(box).resize((width, height), Image.Resampling.BILINEAR))
    small = small / small.max() * 255
    top, left = (_beginning(small.sum(axis), by_mass=side < SIDE) for axis in (1, 0))
    placed = np.zeros((SIDE, SIDE), np.uint8)
    placed[top : top + height, left : left + width] = small.round()
    return placed


def _beginning(ink: npt.NDArray[Any], *, by_mass: bool) -> int:
    """Return the row or column of 28 at which to begin with rows or columns of so much ink."""
    free = SIDE - len(ink)
    if not by_mass:
        return free // 2
    return int(np.clip(round(SIDE / 2 - np.average(np.arange(len(ink)), weights=ink)), 0, free))


def baselines(train: Examples, test: Examples) -> dict[str, float]:
    """Return the accuracy on the test pictures of the most frequent class, and of logistic regression on the pixels."""
    often = int(train.targets.bincount().argmax())
    few = train.part(slice(MOST_REGRESSED))
    pixels, tested = (part.inputs[0].flatten(1).numpy().astype(np.float32) / 255 for part in (few, test))
    regression = LogisticRegression(tol=1e-3, max_iter=1000).fit(pixels, few.targets.numpy())
    name = "logistic regression" + (f" on {len(few):,}" if len(few) < len(train) else "")
    return {
        "most frequent": float((test.targets == often).double().mean()),
        name: float(regression.score(tested, test.targets.numpy())),
    }


def load(folder: Path, task: str) -> tuple[ImageClassifier, dict[str, Any]]:
    """Return a classifier and the settings that were saved with it.

    Raises:
        ValueError: If there are none, or they don't go together.
    """
    with files.refusing(folder, f"model of {task}"):
        weights, settings = files.load(folder, "model")
        model = ImageClassifier(**settings["model"])
        model.load_state_dict(weights)
    return model.eval(), settings
