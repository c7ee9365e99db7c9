"""Build the wheel, install it into an empty environment, and use it from another folder; run by `make test`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]

USE = """
import sys
import warnings

warnings.simplefilter("error")
import etfgym
import gymnasium
from gymnasium.utils.env_checker import check_env

environment = gymnasium.make("etfgym/EtfTrading-v0")
vector = gymnasium.make_vec("etfgym/EtfTrading-v0", num_envs=2)
vector.reset(seed=1)
check_env(environment.unwrapped, skip_render_check=True)  # rendering needs matplotlib, which is not here
heavy = {"torch", "matplotlib"} & set(sys.modules)
assert not heavy, f"importing etfgym imported {heavy}"
assert "site-packages" in etfgym.__file__, etfgym.__file__
from etfgym.sources.universes import universe

assert len(universe("seed20")) == 20

from etfgym.cli import main

assert main(["tasks", "list"]) == 0
assert main(["tasks", "run", "iris"]) == 1  # it says which extra to install
print("wheel", etfgym.__version__, "imports, makes its environments and passes Gymnasium's checker")
"""

SB3 = """
import warnings

import gymnasium
import etfgym
from stable_baselines3.common.env_checker import check_env

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    check_env(gymnasium.make("etfgym/EtfTrading-v0"))
other = [str(warning.message) for warning in caught if "unconventional shape" not in str(warning.message)]
assert not other, other
print("wheel passes stable-baselines3's checker")
"""


def main() -> None:
    """Raise at the first thing that is not as it should be."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(sys.executable, "-m", "build", "--wheel", "--outdir", name, str(ROOT), cwd=folder)
        (wheel,) = folder.glob("*.whl")
        names = zipfile.ZipFile(wheel).namelist()
        foreign = [entry for entry in names if not entry.startswith(("etfgym/", "etfgym-"))]
        if foreign:
            sys.exit(f"the wheel holds more than etfgym: {foreign}")
        venv.create(folder / "empty", with_pip=True)
        python = str(folder / "empty" / "bin" / "python")
        constraints = ["--constraint", str(ROOT / "constraints.txt")]
        run(python, "-m", "pip", "install", "--quiet", *constraints, str(wheel), cwd=folder)
        run(python, "-c", USE, cwd=folder)
        run(python, "-m", "pip", "install", "--quiet", *constraints, f"{wheel}[sb3]", cwd=folder)
        run(python, "-c", SB3, cwd=folder)


def run(*command: str, cwd: Path) -> None:
    """Run a command; stop with its status if it fails."""
    done = subprocess.run(command, cwd=cwd, check=False)  # noqa: S603 (our own commands)
    if done.returncode:
        sys.exit(f"failed: {' '.join(command)[:200]}")


if __name__ == "__main__":
    main()
