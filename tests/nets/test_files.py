"""Weights and settings on disk: what is written comes back, and nothing that is read is run."""

import json
import pickle
from pathlib import Path

import pytest
import torch

from etfgym.nets import files


class Trap:
    """Writes a file if it is ever unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return Path.write_text, (self.file, "run")


def saved(folder):
    files.save(folder, "model", {"a": torch.tensor([1.5, -2.0]), "b.c": torch.arange(3)}, {"one": [1, 2]})


def load(folder):
    with files.refusing(folder, "model"):
        return files.load(folder, "model")


def test_what_is_saved_comes_back(tmp_path):
    saved(tmp_path / "new" / "folder")
    weights, settings = load(tmp_path / "new" / "folder")
    assert settings == {"one": [1, 2]}
    assert weights["a"].tolist() == [1.5, -2.0]
    assert weights["b.c"].dtype == torch.int64
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == ["model.json", files.WEIGHTS]


def test_a_view_is_saved_as_what_it_shows(tmp_path):
    files.save(tmp_path, "model", {"turned": torch.arange(6.0).reshape(2, 3).T}, {})
    assert load(tmp_path)[0]["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_a_pickle_in_place_of_the_weights_is_refused_and_never_run(tmp_path):
    saved(tmp_path)
    marker = tmp_path / "it-was-run"
    with (tmp_path / files.WEIGHTS).open("wb") as file:
        pickle.dump(Trap(marker), file)
    with pytest.raises(ValueError, match=r"holds no model that can be loaded \(.*\); save it again") as error:
        load(tmp_path)
    assert "\n" not in str(error.value)
    torch.save({"a": Trap(marker)}, tmp_path / files.WEIGHTS)
    with pytest.raises(ValueError, match="holds no model that can be loaded"):
        load(tmp_path)
    assert not marker.exists()
    with (tmp_path / "trap").open("wb") as file:
        pickle.dump(Trap(marker), file)
    with (tmp_path / "trap").open("rb") as file:
        pickle.load(file)  # noqa: S301 (the trap does work)
    assert marker.exists()


@pytest.mark.parametrize("part", [0, 1, 7, 8, 50, -1])
def test_weights_cut_short_are_refused_in_one_line(tmp_path, part):
    saved(tmp_path)
    whole = (tmp_path / files.WEIGHTS).read_bytes()
    (tmp_path / files.WEIGHTS).write_bytes(whole[:part])
    with pytest.raises(ValueError, match="holds no model that can be loaded") as error:
        load(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["", "{", "nothing", '{"one": '])
def test_settings_that_are_no_json_are_refused_in_one_line(tmp_path, content):
    saved(tmp_path)
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(ValueError, match="holds no model that can be loaded") as error:
        load(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", [files.WEIGHTS, "model.json"])
def test_a_folder_that_lacks_a_file_is_refused_with_its_path(tmp_path, name):
    saved(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ValueError, match=f"{tmp_path.name} holds no model that can be loaded"):
        load(tmp_path)


def test_settings_that_json_can_not_hold_leave_the_old_file_whole(tmp_path):
    saved(tmp_path)
    with pytest.raises(TypeError):
        files.save(tmp_path, "model", {}, {"one": object()})
    assert json.loads((tmp_path / "model.json").read_text()) == {"one": [1, 2]}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", files.WEIGHTS]


def test_weights_that_fail_half_way_leave_the_old_file_whole(tmp_path, monkeypatch):
    saved(tmp_path)
    before = (tmp_path / files.WEIGHTS).read_bytes()

    def half(_, path):
        path.write_bytes(b"half")
        msg = "the disk is full"
        raise OSError(msg)

    monkeypatch.setattr("safetensors.torch.save_file", half)
    with pytest.raises(OSError, match="the disk is full"):
        saved(tmp_path)
    assert (tmp_path / files.WEIGHTS).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", files.WEIGHTS]


def test_weights_of_another_network_are_refused_in_one_line(tmp_path):
    saved(tmp_path)
    weights, layer = load(tmp_path)[0], torch.nn.Linear(2, 2)
    wanted = r"holds no model that can be loaded .*Missing key.*Unexpected key"  # torch says so in several lines
    with pytest.raises(ValueError, match=wanted), files.refusing(tmp_path, "model"):
        layer.load_state_dict(weights)
