"""Opening pictures, drawings in MNIST's manner, and the baselines on pictures."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from etfgym.tasks import images
from etfgym.tasks.fit import Examples


def seven(size=(28, 28), ink=255, paper=0) -> Image.Image:
    """A seven in the middle of a picture that is ten times as large as what MNIST has, or of another size."""
    picture = Image.new("L", size, paper)
    x, y = size[0] / 2, size[1] / 2
    ImageDraw.Draw(picture).line([(x - 6, y - 9), (x + 6, y - 9), (x - 2, y + 9)], fill=ink, width=3)
    return picture


def test_a_drawing_fits_twenty_pixels_with_its_centre_of_mass_at_pixel_14():
    for picture in (seven(), seven((90, 50)), seven().resize((280, 280))):
        placed = images.drawn(picture, 20).astype(float)
        assert placed.shape == (28, 28)
        assert placed.max() == 255
        there = np.flatnonzero(placed.max(1) > 64)
        assert 18 <= there[-1] - there[0] + 1 <= 20
        for axis in (0, 1):
            assert np.average(np.arange(28), weights=placed.sum(axis)) == pytest.approx(14, abs=0.6)


def test_dark_on_light_is_the_same_as_light_on_dark():
    dark_on_light = images.drawn(seven((60, 60), ink=15, paper=255), 20)
    assert (dark_on_light == images.drawn(seven((60, 60), ink=240, paper=0), 20)).all()


def test_where_in_the_picture_it_stands_is_nothing_to_it():
    moved = Image.new("L", (200, 100), 0)
    moved.paste(seven(), (150, 60))
    assert (images.drawn(moved, 20) == images.drawn(seven(), 20)).all()


def test_a_garment_fills_the_picture_with_its_box_in_the_middle():
    boot = Image.new("L", (56, 56), 255)
    ImageDraw.Draw(boot).polygon([(0, 14), (20, 14), (20, 30), (55, 30), (55, 41), (0, 41)], fill=0)
    placed = images.drawn(boot, 28)
    assert np.flatnonzero(placed.max(0) > 64).tolist() == list(range(28))
    assert np.flatnonzero(placed.max(1) > 64).tolist() == list(range(7, 21))


def test_a_picture_that_shows_nothing_is_refused():
    with pytest.raises(ValueError, match="shows nothing that stands out from its light background"):
        images.drawn(Image.new("L", (50, 50), 240), 20)


def test_what_is_transparent_lies_over_white(tmp_path):
    picture = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    picture.putpixel((1, 2), (10, 20, 30, 255))
    picture.save(tmp_path / "a.png")
    opened = images.open_picture(tmp_path / "a.png")
    assert (opened.mode, opened.getpixel((0, 0)), opened.getpixel((1, 2))) == ("RGB", (255, 255, 255), (10, 20, 30))


def test_a_photo_that_was_held_sideways_is_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: a quarter turn clockwise
    Image.new("L", (40, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert images.open_picture(tmp_path / "a.jpg").size == (20, 40)


def test_grey_stays_grey(tmp_path):
    for mode, wanted in (("1", "L"), ("L", "L"), ("P", "RGB"), ("RGB", "RGB")):
        Image.new(mode, (4, 4)).save(tmp_path / "a.png")
        assert images.open_picture(tmp_path / "a.png").mode == wanted


def test_what_is_no_picture_or_cut_off_is_refused_by_name(tmp_path):
    seven().save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    for content in (b"", b"text", whole[: len(whole) // 2], whole[:-20] + b"x" * 20):
        (tmp_path / "broken.png").write_bytes(content)
        with pytest.raises(ValueError, match=r"broken.png can't be read as a PNG or JPEG \(.*\); save it again"):
            images.open_picture(tmp_path / "broken.png")
    with pytest.raises(FileNotFoundError, match=r"nowhere.png: no such file"):
        images.open_picture(tmp_path / "nowhere.png")


def test_another_format_under_the_name_of_a_png_is_refused(tmp_path):
    """Pillow would look what the file holds, and for some formats start a program to read it."""
    seven().save(tmp_path / "a.png", format="BMP")
    with pytest.raises(ValueError, match="can't be read as a PNG or JPEG"):
        images.open_picture(tmp_path / "a.png")


@pytest.mark.parametrize("limit", [300, 700])  # twice the limit is pillow's error, what lies between its warning
def test_a_picture_of_more_pixels_than_pillow_takes_for_harmless_is_refused(tmp_path, monkeypatch, limit):
    seven().save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ValueError, match=r"can't be read .*decompression bomb"):
        images.open_picture(tmp_path / "a.png")


def test_baselines_are_those_of_the_training_pictures():
    rng = np.random.default_rng(0)
    classes = torch.tensor([0, 0, 1] * 20)
    pixels = torch.from_numpy(rng.integers(0, 50, (60, 1, 8, 8), dtype=np.uint8))
    pixels[:, 0, 2:6, 2:6] = 200 * classes.to(torch.uint8)[:, None, None]
    test = torch.tensor([0] * 2 + [1] * 8)
    tested = torch.zeros(10, 1, 8, 8, dtype=torch.uint8)
    tested[:, 0, 2:6, 2:6] = 200 * test.to(torch.uint8)[:, None, None]
    found = images.baselines(Examples((pixels,), classes), Examples((tested,), test))
    assert found == {"most frequent": pytest.approx(0.2), "logistic regression": 1.0}


def test_a_baseline_on_fewer_pictures_says_so(monkeypatch):
    monkeypatch.setattr(images, "MOST_REGRESSED", 40)
    every = Examples((torch.zeros(60, 2, 2, dtype=torch.uint8),), torch.tensor([0, 1] * 30))
    assert set(images.baselines(every, every)) == {"most frequent", "logistic regression on 40"}
