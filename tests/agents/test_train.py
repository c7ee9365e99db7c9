"""`python -m agents.train`: what it writes, what it refuses in one line, and that a stop costs nothing."""

import dataclasses
import json
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from agents import train, train_game
from agents.dqn import DQN

SHORT = ["dqn", "--env", "cartpole", "-n", "900", "--eval-episodes", "3", "--eval-freq", "200", "--save-freq", "300"]
SMALL = ["-params", "head:[16]", "learning_starts:100"]
FILES = ["weights.safetensors", "dqn.json", "training.json", "training.safetensors", "curve.json", "result.json"]


def run(folder, *more):
    return train.main([*SHORT, "-f", str(folder), *more, *SMALL])


def contents(folder):
    assert sorted(file.name for file in folder.iterdir()) == sorted(FILES)
    return {name: (folder / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the folder of a training that was never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    assert run(folder) == 0
    return folder


def refused(capsys, *arguments):
    """Return the one line on standard error with which a command is refused."""
    assert train.main(["dqn", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_a_training_leaves_weights_curve_and_result(whole):
    result, curve = (json.loads((whole / name).read_text()) for name in ("result.json", "curve.json"))
    assert [point["transitions"] for point in curve] == [200, 400, 600, 800, 900]
    assert (result["env"], result["transitions"], result["seed"]) == ("CartPole-v1", 900, 0)
    assert len(result["dqn_returns"]) == len(result["random_returns"]) == 3
    agent = DQN.load(whole)
    assert agent.config.head == (16,)
    assert torch.isfinite(agent.online.flat).all()


def test_one_that_is_interrupted_says_how_to_go_on_and_then_ends_the_same(whole, tmp_path, monkeypatch, capsys):
    calls, real = [], train_game.episode_returns

    def interrupted(*arguments, **keywords):
        calls.append(1)
        if len(calls) == 4:  # at 800 transitions, after the checkpoint at 600
            raise KeyboardInterrupt
        return real(*arguments, **keywords)

    monkeypatch.setattr(train_game, "episode_returns", interrupted)
    assert run(tmp_path) == 130
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith("stopped; the same command goes on from the last checkpoint (--save-freq)")
    assert run(tmp_path) == 0
    assert "going on at 600 transitions" in capsys.readouterr().out
    assert contents(tmp_path) == contents(whole)


KILLED = """
import os, signal, sys
from agents import checkpoints, train

write, calls = checkpoints.write_atomically, []

def killed(path, save):
    calls.append(path.name)
    if calls.count("training.safetensors") == 2:  # half of the second one is there
        write(path, lambda part: (part.write_bytes(b"half"), os.kill(os.getpid(), signal.SIGKILL)))
    write(path, save)

checkpoints.write_atomically = killed
train.main(sys.argv[1:])
"""


def test_one_that_is_killed_while_it_writes_goes_on_and_ends_the_same(whole, tmp_path, capsys):
    command = [sys.executable, "-c", KILLED, *SHORT, "-f", str(tmp_path), *SMALL]
    assert subprocess.run(command, capture_output=True, check=False).returncode == -signal.SIGKILL  # noqa: S603
    assert len(list(tmp_path.glob(".*.part"))) == 1
    assert run(tmp_path) == 0
    assert "going on at 300 transitions" in capsys.readouterr().out
    assert contents(tmp_path) == contents(whole)


def test_a_finished_one_is_evaluated_again_and_goes_on_with_more_transitions(tmp_path, capsys):
    assert run(tmp_path) == 0
    before = contents(tmp_path)
    capsys.readouterr()
    assert run(tmp_path) == 0
    out, err = capsys.readouterr()
    assert "trained for 900 transitions already" in out
    assert err == ""  # no bar
    assert contents(tmp_path) == before
    assert run(tmp_path, "-n", "1000") == 0
    assert "going on at 900 transitions" in capsys.readouterr().out
    curve = json.loads((tmp_path / "curve.json").read_text())
    assert [point["transitions"] for point in curve] == [200, 400, 600, 800, 900, 1000]
    assert DQN.resume(tmp_path / "training.safetensors").transitions == 1000


def test_a_folder_of_another_training_is_refused_and_left_alone(whole, capsys):
    before = contents(whole)
    short = SHORT[1:], ["-f", str(whole)]
    assert "holds a training with seed 0, not 1; give another --log-folder" in refused(
        capsys, *short[0], *short[1], "--seed", "1", *SMALL
    )
    assert "with gamma 0.99, not 0.5;" in refused(capsys, *short[0], *short[1], *SMALL, "gamma:0.5")
    assert "with env 'cartpole', not 'paddle', num_envs 1, not 16" in refused(
        capsys, "--env", "paddle", *short[0][2:], *short[1], *SMALL
    )
    assert contents(whole) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--env", "padle"], "--env must be one of .* got 'padle' \\(did you mean 'paddle'\\?\\)"),
        (["--env", "paddle", "-params", "gama:0.9"], "got 'gama' \\(did you mean 'gamma'\\?\\)"),
        (["--env", "paddle", "-params", "gamma:2"], "gamma must be in \\[0, 1\\], got 2"),
        (["--env", "paddle", "-params", "gamma"], "takes NAME:VALUE such as .* got 'gamma'"),
        (["--env", "paddle", "-params", "double:false"], "takes NAME:VALUE such as .*dueling:True.* got"),
        (["--env", "paddle", "-params", "double:1"], "double takes values like True, got 1"),
        (["--env", "paddle", "-params", "gamma:True"], "gamma takes values like 0.99, got True"),
        (["--env", "paddle", "-params", "head:3"], "head takes values like \\(128,\\), got 3"),
        (["--env", "paddle", "-n", "0"], "--n-timesteps must be a whole number of at least 1, got 0"),
        (["--env", "paddle", "--eval-freq", "0"], "--eval-freq must be"),
        (["--env", "paddle", "--save-freq", "-1"], "--save-freq must be"),
        (["--env", "paddle", "-n", "50"], "nothing is learned in 50 transitions.*-params learning_starts:5"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line_before_anything_is_written(
    arguments, told, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    line = refused(capsys, *arguments)
    assert line.startswith("agents.train: ")
    assert re.search(told, line), line
    assert list(tmp_path.iterdir()) == []


def test_a_gpu_that_is_not_there_is_missed_in_one_line(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    line = refused(capsys, "--env", "paddle", "--device", "cuda", "-f", str(tmp_path))
    assert "finds no GPU here; leave --device out" in line


def test_missing_ale_py_is_told_with_its_cure(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ale_py", None)
    line = refused(capsys, "--env", "breakout", "-f", str(tmp_path))
    assert 'Atari games need ale-py: pip install "etfgym[atari]"' in line


def test_nothing_in_a_hyperparameter_is_run():
    with pytest.raises(ValueError, match="takes NAME:VALUE"):
        train.hyperparams(["gamma:__import__('os').getcwd()"])
    assert train.hyperparams(["quantiles:None", "head:[]"]) == {"quantiles": None, "head": []}


def test_every_task_of_the_file_has_settings_that_fit():
    tasks = train_game.tasks()
    assert {"cartpole", "lunarlander", "paddle", "breakout"} == set(tasks)
    for task in tasks.values():
        assert task.config({}).learning_starts < task.n_timesteps


def test_breakout_trains_scores_whole_games_and_makes_a_film(tmp_path, capsys, monkeypatch):
    pytest.importorskip("ale_py", reason="Breakout needs ale-py, the extra `atari`")
    few = dataclasses.replace(train_game.tasks()["breakout"], num_envs=2)  # emulators are slow to start
    monkeypatch.setattr(train_game, "tasks", lambda: {"breakout": few})
    sizes = ["features:16", "batch_size:4", "buffer_size:2000", "learning_starts:200", "train_every:16"]
    film = tmp_path / "film.gif"
    arguments = ["dqn", "--env", "breakout", "-n", "400", "--save-freq", "200", "--eval-episodes", "2"]
    folder = tmp_path / "run"
    assert train.main([*arguments, "-f", str(folder), "--video", str(film), "-params", *sizes]) == 0
    result = json.loads((folder / "result.json").read_text())
    assert result["transitions"] == 400
    assert len(result["dqn_returns"]) == 2
    assert np.isfinite(DQN.load(folder).online.flat.numpy()).all()
    assert film.read_bytes().startswith(b"GIF89a")
    assert "over 2 whole episodes of etfgym/Breakout-v0" in capsys.readouterr().out
