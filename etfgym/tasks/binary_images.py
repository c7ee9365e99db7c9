"""Pictures of two kinds, such as infected or not, or one's own face and others': a CNN on a folder of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.nn import functional
from tqdm import tqdm

from etfgym.nets import files
from etfgym.nets.images import ImageClassifier
from etfgym.tasks import images, tabular
from etfgym.tasks.fit import Examples, Fitting, accuracy, draw_curve, fit, outputs_of
from etfgym.tasks.idx import Bytes
from etfgym.tasks.outcome import Outcome, Setup

SIDE = 64
"""Pixels to which a picture is scaled, whatever its shape."""
LEAST = 10
"""Pictures of a class."""
TORSO = {"height": SIDE, "width": SIDE, "filters": [8, 16, 32], "features": 64}
DROPOUT = 0.25
TARGET = 0.95


class Folder(NamedTuple):
    """The pictures of a folder with two sub-folders, each once."""

    pictures: Bytes
    """Shape (N, C, 64, 64): C is 1 if every picture is grey, else 3."""
    classes: tabular.Rows
    """0 or 1, shape (N,)."""
    names: list[str]
    """Of the two classes, in the order of the alphabet."""
    left_out: str
    """What was not looked at, in a sentence; empty if nothing."""


def read(data: str | None) -> Folder:
    """Return the pictures of FOLDER/CLASS/*.png or .jpg; one that is there twice must not be in two parts.

    Raises:
        ValueError: If there aren't two classes with `LEAST` pictures each, a picture can't be read, or one and the same
            is in both classes.
        FileNotFoundError: If there is no such folder.
    """
    if data is None:
        msg = "binary-images needs pictures: --data FOLDER with one sub-folder of .png or .jpg files a class"
        raise ValueError(msg)
    names = _two_classes(Path(data))
    files_there = [file for name in names for file in sorted((Path(data) / name).iterdir()) if file.name[0] != "."]
    readable = [file for file in files_there if file.suffix.lower() in images.SUFFIXES]
    seen: dict[bytes, Path] = {}
    for file in tqdm(readable, desc="reading", unit="picture", leave=False, disable=None):
        first = seen.setdefault(as_pixels(images.open_picture(file), "RGB").tobytes(), file)
        if first.parent != file.parent:
            msg = f"{first} and {file} show the same picture in two classes; take one of them away"
            raise ValueError(msg)
    counts = [sum(file.parent.name == name for file in seen.values()) for name in names]
    if min(counts) < LEAST:
        msg = f"{data}: a class needs at least {LEAST} different pictures, .png or .jpg; {_listed(names, counts)}"
        raise ValueError(msg)
    pictures = np.stack([np.frombuffer(pixels, np.uint8).reshape(3, SIDE, SIDE) for pixels in seen])
    if bool((pictures == pictures[:, :1]).all()):
        pictures = pictures[:, :1]
    unknown, twice = len(files_there) - len(readable), len(readable) - len(seen)
    left_out = [f"{unknown} files that are no .png or .jpg"] * bool(unknown) + [f"{twice} copies"] * bool(twice)
    return Folder(
        pictures,
        np.repeat(np.arange(2), counts),
        names,
        f"Left out: {', '.join(left_out)}." if left_out else "",
    )


def _two_classes(folder: Path) -> list[str]:
    if not folder.is_dir():
        msg = f"{folder}: no such folder; check the path"
        raise FileNotFoundError(msg)
    names = sorted(each.name for each in folder.iterdir() if each.is_dir() and each.name[0] != ".")
    if len(names) != 2:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        msg = f"{folder} must hold two sub-folders of pictures, one a class; found {len(names)}: {shown or 'none'}"
        raise ValueError(msg)
    return names


def _listed(names: list[str], counts: list[int]) -> str:
    return ", ".join(f"{name} has {count}" for name, count in zip(names, counts, strict=True))


def as_pixels(picture: Image.Image, mode: str) -> Bytes:
    """Return a picture of any size as bytes (C, 64, 64); `mode` is "L" for C = 1, "RGB" for C = 3."""
    small = picture.convert(mode).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.atleast_3d(np.asarray(small)).transpose(2, 0, 1).copy()


def run(setup: Setup) -> list[Outcome]:
    """See `etfgym.tasks`; `data` is that of `read`."""
    folder = read(setup.data)
    everything = Examples((torch.from_numpy(folder.pictures),), torch.from_numpy(folder.classes))
    parts = tabular.split(folder.classes, setup.seed)
    train, valid, test = (everything.part(torch.from_numpy(rows)) for rows in parts)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(setup.seed)
        model = ImageClassifier({"channels": folder.pictures.shape[1], **TORSO}, 2, DROPOUT)
    history = fit(
        model,
        train,
        valid,
        functional.cross_entropy,
        Fitting(epochs=2 if setup.quick else 50, batch_size=16, learning_rate=2e-3, l2=1e-4, patience=10),
        seed=setup.seed,
        label="binary-images",
    )
    files.save(setup.folder, "model", model.state_dict(), {"model": model.spec, "names": folder.names})
    draw_curve([("CNN", history)], setup.folder / "curve.png", f"{len(train):,} pictures: {' or '.join(folder.names)}")
    told = outputs_of(model, test)
    right = (told.argmax(1) == test.targets).double()
    return [
        Outcome(
            model="CNN",
            metric="accuracy",
            value=accuracy(told, test.targets),
            baselines=images.baselines(train, test),
            tested_on=f"{len(test):,} pictures that were drawn by lot and kept apart",
            seconds=history.seconds,
            target=TARGET,
            note=folder.left_out,
            figures={
                f"part of {name} that is told": float(right[test.targets == number].mean())
                for number, name in enumerate(folder.names)
            },
        )
    ]


def predict(folder: Path, given: str) -> str:
    """See `etfgym.tasks`; `given` is the file of a picture."""
    model, settings = images.load(folder, "binary-images")
    pixels = as_pixels(images.open_picture(Path(given)), "L" if model.torso.channels == 1 else "RGB")
    return tabular.most_likely(model(torch.from_numpy(pixels)[None]).detach().double().numpy()[0], settings["names"])
