"""The code in README.md runs as it stands there, in its order, in one interpreter."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from agents.settings import DQNConfig

README = Path(__file__).parents[1] / "README.md"
DQN = README.parent / "docs" / "dqn.md"


def test_the_python_in_the_readme_runs_as_it_stands(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    code = "\n".join(blocks)
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "error::UserWarning:etfgym", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("2018-12-31 ")
    assert lines[1] == "-6.7%, 2 trades, costs 38 dollars"
    assert len(blocks) == 3


def test_the_python_about_the_dqn_runs_as_it_stands(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", DQN.read_text(), flags=re.DOTALL)
    command = [sys.executable, "-c", f"{code}\nprint(action.shape)"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    assert done.stdout == "(16,)\n"
    assert "2.00k/2.00k" in done.stderr  # the bar
    assert (tmp_path / "runs" / "agent" / "weights.safetensors").exists()


def test_every_switch_of_the_dqn_is_in_its_page():
    settings = {field.name for field in fields(DQNConfig)}
    named = set(re.findall(r"^\| (`.*?`) \|", DQN.read_text(), flags=re.MULTILINE))
    named = {name for cell in named for name in re.findall(r"`(\w+)`", cell)}
    assert named < settings
    assert {"double", "dueling", "n_step", "noisy", "quantiles", "counterfactual"} < named


def test_every_option_of_the_backtest_is_in_the_readme():
    done = subprocess.run(
        [sys.executable, "-m", "backtests.run", "--help"], cwd=README.parent, capture_output=True, text=True, check=True
    )
    options = set(re.findall(r"^  (--[a-z-]+)", done.stdout, flags=re.MULTILINE)) - {"--help"}
    assert options == set(re.findall(r"^\| `(--[a-z-]+)`", README.read_text(), flags=re.MULTILINE))
