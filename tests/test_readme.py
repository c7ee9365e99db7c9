"""The code in README.md runs as it stands there, in its order, in one interpreter."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


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


def test_every_option_of_the_backtest_is_in_the_readme():
    done = subprocess.run(
        [sys.executable, "-m", "backtests.run", "--help"], cwd=README.parent, capture_output=True, text=True, check=True
    )
    options = set(re.findall(r"^  (--[a-z-]+)", done.stdout, flags=re.MULTILINE)) - {"--help"}
    assert options == set(re.findall(r"^\| `(--[a-z-]+)`", README.read_text(), flags=re.MULTILINE))
