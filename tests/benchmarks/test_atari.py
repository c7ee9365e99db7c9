"""The command's short form, and that everybody plays the same kind of game."""

import json
import os

import numpy as np
import pytest

from benchmarks import atari

pytest.importorskip("ale_py")
pytest.importorskip("cv2")
pytest.importorskip("stable_baselines3")


def test_the_short_form_writes_a_row_for_each_peer(tmp_path, capsys):
    path = tmp_path / "atari.json"
    cores = os.sched_getaffinity(0)
    assert atari.main(["--quick", "--json", str(path)]) == 0
    assert os.sched_getaffinity(0) == cores
    written = json.loads(path.read_text())
    rows = written["cases"]
    assert [row["peer"].split(":")[0] for row in rows] == ["stable-baselines3", "Gymnasium"]
    for row in rows:
        assert (row["name"], row["unit"], row["rounds"], row["note"]) == ("Breakout, 8 games", "steps/s", 1, "")
        assert row["ratio"]["median"] == pytest.approx(row["ours"]["median"] / row["theirs"]["median"])
    assert [row["target"] for row in rows] == [1.5, None]
    assert written["machine"]["ale_py"] != "none"
    assert "| Breakout, 8 games |" in capsys.readouterr().out


@pytest.mark.parametrize("make", [atari.ours, atari.stable_baselines3, atari.gymnasium])
def test_everybody_steps_eight_games_that_show_the_same_kind_of_frames(make):
    step = make()
    for _ in range(5):
        shown = step(np.zeros(8, np.int64))
    atari.check(shown)
    # Breakout's wall: the rows of bricks are bright, the rows between them and the paddle are not.
    rows = shown[:, -1].mean(axis=(0, 2))
    assert rows[24:36].mean() > 3 * rows[45:70].mean()


@pytest.mark.parametrize(
    "shown",
    [np.ones((8, 84, 84, 4), np.uint8), np.ones((8, 4, 84, 84), np.float32), np.zeros((8, 4, 84, 84), np.uint8)],
)
def test_other_frames_are_refused(shown):
    with pytest.raises(ValueError, match=r"frames must be \(8, 4, 84, 84\), uint8 and not black"):
        atari.check(shown)
