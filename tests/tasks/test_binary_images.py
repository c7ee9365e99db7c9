"""Pictures of two kinds: reading the folder, and telling drawn discs from squares."""

import numpy as np
import pytest
import torch
from PIL import Image

from etfgym import cli
from etfgym.tasks import binary_images, shapes
from etfgym.tasks.fit import accuracy
from etfgym.tasks.outcome import Setup


def noise(seed: int, mode: str = "L") -> Image.Image:
    size = (12, 9) if mode == "L" else (12, 9, 3)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8))


@pytest.fixture
def folder(tmp_path):
    """A folder of 12 grey pictures of cats and 11 of dogs."""
    folder = tmp_path / "pets"
    for kind, seeds in (("cat", range(12)), ("dog", range(20, 31))):
        (folder / kind).mkdir(parents=True)
        for seed in seeds:
            noise(seed).save(folder / kind / f"{seed}.png")
    return folder


def test_discs_are_told_from_squares(tmp_path, capsys):
    shapes.draw(tmp_path / "shapes")
    torch.set_num_threads(1)
    (outcome,) = binary_images.run(Setup(folder=tmp_path, data=str(tmp_path / "shapes")))
    assert outcome.value >= 0.95
    assert outcome.value > max(outcome.baselines.values())
    assert outcome.tested_on.startswith("60 pictures")
    assert sum(outcome.figures.values()) / 2 == pytest.approx(outcome.value)  # as many discs as squares
    assert (tmp_path / "curve.png").read_bytes()[:4] == b"\x89PNG"
    picture = Image.new("RGB", (100, 100), (10, 20, 10))
    picture.paste((200, 220, 200), (20, 30, 75, 85))
    picture.save(tmp_path / "mine.jpg")
    assert cli.main(["tasks", "predict", "binary-images", str(tmp_path / "mine.jpg"), "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split()[0] == "square"


def test_nineteen_of_twenty_is_the_target_and_not_just_below():
    told = torch.eye(2)[[0] * 19 + [1]]
    assert accuracy(told, torch.zeros(20, dtype=torch.long)) == binary_images.TARGET


def test_pictures_are_read_with_their_class_and_scaled(folder):
    found = binary_images.read(str(folder))
    assert found.pictures.shape == (23, 1, 64, 64)
    assert found.pictures.dtype == np.uint8
    assert found.classes.tolist() == [0] * 12 + [1] * 11
    assert (found.names, found.left_out) == (["cat", "dog"], "")


def test_one_coloured_picture_makes_it_three_channels(folder):
    noise(99, "RGB").save(folder / "dog" / "colour.jpeg")
    assert binary_images.read(str(folder)).pictures.shape == (24, 3, 64, 64)


def test_copies_and_other_files_are_left_out_and_told(folder):
    noise(3).save(folder / "cat" / "again.PNG")
    noise(3).save(folder / "cat" / "and-again.bmp")
    (folder / "dog" / "notes.txt").write_text("a note")
    (folder / "dog" / ".DS_Store").write_text("what nobody looks at")
    found = binary_images.read(str(folder))
    assert len(found.pictures) == 23
    assert found.left_out == "Left out: 2 files that are no .png or .jpg, 1 copies."


def test_one_picture_in_both_classes_is_refused(folder):
    noise(3).save(folder / "dog" / "same.png")
    with pytest.raises(ValueError, match=r"cat/3.png and .*dog/same.png show the same picture in two classes"):
        binary_images.read(str(folder))


def test_a_file_that_is_no_picture_is_refused_by_name(folder):
    (folder / "dog" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"dog/broken.png can't be read as a PNG or JPEG"):
        binary_images.read(str(folder))


def test_other_than_two_classes_are_refused_with_what_was_found(folder, tmp_path):
    (folder / ".git").mkdir()  # what is hidden is none
    (folder / "emu").mkdir()
    with pytest.raises(ValueError, match="must hold two sub-folders of pictures, one a class; found 3: cat, dog, emu"):
        binary_images.read(str(folder))
    with pytest.raises(ValueError, match="found 0: none"):
        binary_images.read(str(folder / "cat"))
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        binary_images.read(str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="binary-images needs pictures: --data FOLDER with one sub-folder"):
        binary_images.read(None)


def test_too_few_pictures_of_a_class_are_refused(folder):
    for seed in range(9):
        (folder / "cat" / f"{seed}.png").unlink()
    with pytest.raises(ValueError, match=r"needs at least 10 different pictures, .png or .jpg; cat has 3, dog has 11"):
        binary_images.read(str(folder))


def test_the_same_seed_gives_the_same_to_the_bit_and_another_seed_another_test_set(folder, tmp_path):
    weights = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / name).mkdir()
        binary_images.run(Setup(folder=tmp_path / name, data=str(folder), seed=seed, quick=True))
        weights.append((tmp_path / name / "weights.safetensors").read_bytes())
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]


def test_shapes_are_the_same_for_a_seed(tmp_path):
    for name in ("a", "b"):
        shapes.draw(tmp_path / name, seed=4)
    assert (tmp_path / "a/disc/007.png").read_bytes() == (tmp_path / "b/disc/007.png").read_bytes()
    assert (tmp_path / "a/disc/007.png").read_bytes() != (tmp_path / "a/square/007.png").read_bytes()
