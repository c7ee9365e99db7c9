"""Importing etfgym is cheap, for it happens in other people's programs."""

import subprocess
import sys


def test_neither_the_package_nor_its_environments_import_torch_or_matplotlib():
    code = (
        "import sys, gymnasium, etfgym\n"
        "gymnasium.make('etfgym/EtfTrading-v0').reset(seed=0)\n"
        "import etfgym.backtest, etfgym.cli, etfgym.report\n"
        "print(sorted({'torch', 'matplotlib', 'yfinance', 'stable_baselines3'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "[]"
