"""A run that is killed again and again ends with what an undisturbed one gives."""

import os
import subprocess
import sys
import time
from pathlib import Path

import killed_run
import numpy as np

from agents import market
from backtests import run

ROOT = Path(__file__).parents[2]
KILLS = 10
RUN = ["--prices", "world:planted:1", "--agents", "dqn,random", "--test-years", "2010"]
RUN += ["--seeds", "4", "--steps", "4000", "--backend", "sequential"]


def state(folder):
    """Return the files of the jobs and when each was written."""
    seen = {}
    for file in folder.glob("*"):
        try:
            seen[file.name] = file.stat().st_mtime_ns
        except FileNotFoundError:  # it was moved to its place meanwhile
            continue
    return seen


def kill_at_random(command, folder, rng):
    """Start a run, kill it a moment after it wrote some files, and return how it ended."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(  # noqa: S603
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        before, changes = state(folder), int(rng.integers(1, 4))
        while changes and process.poll() is None:
            time.sleep(0.005)
            now = state(folder)
            changes -= now != before
            before = now
        time.sleep(rng.uniform(0, 0.05))
    finally:
        process.kill()
        process.wait()
    return process.returncode


def test_a_run_killed_ten_times_at_random_moments_ends_with_the_bytes_of_an_undisturbed_one(tmp_path, monkeypatch):
    command = [sys.executable, killed_run.__file__, *RUN, "--out", str(tmp_path / "killed")]
    rng, checkpoints = np.random.default_rng(0), 0
    for _ in range(KILLS):
        assert kill_at_random(command, tmp_path / "killed" / "jobs", rng) == -9, "it ended before it was killed"
        checkpoints += bool(list((tmp_path / "killed" / "jobs").glob("*.checkpoint")))
        assert not (tmp_path / "killed" / "results.parquet").exists()
    assert checkpoints >= KILLS // 2  # most kills fell into a training that had one
    monkeypatch.setattr(market, "CHECKPOINT_EVERY", market.CHECKPOINT_EVERY)
    monkeypatch.setattr(run, "controls", run.controls)  # both are set anew by the script's main, until here
    for folder in ("killed", "whole"):
        assert killed_run.main([*RUN, "--out", str(tmp_path / folder)]) == 0
    for table in ("results", "equity"):
        killed, whole = ((tmp_path / folder / f"{table}.parquet").read_bytes() for folder in ("killed", "whole"))
        assert killed == whole
    assert not list((tmp_path / "killed" / "jobs").glob("*.checkpoint"))
