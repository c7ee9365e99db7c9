"""The same jobs give the same bytes on every backend, and a worker that is lost costs nothing but time."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import lost_workers
import pytest

from backtests import backends
from backtests.backends import Backend

ROOT = Path(__file__).parents[2]
CLUSTERS = ("ray", "dask")


@pytest.fixture(scope="module")
def sequential(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sequential")
    lost_workers.write(folder, Backend("sequential"))
    return folder


@pytest.mark.parametrize("name", ["process", *CLUSTERS])
def test_every_backend_gives_the_same_bytes_though_it_loses_workers(name, sequential, tmp_path):
    if importlib.util.find_spec(backends.EXTRAS.get(name, "joblib")) is None:
        pytest.skip(f"{name} is not installed")
    command = [sys.executable, lost_workers.__file__, name, str(tmp_path)]
    ended = subprocess.run(  # noqa: S603
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3_000:]
    for table in ("results", "equity"):
        assert (tmp_path / f"{table}.parquet").read_bytes() == (sequential / f"{table}.parquet").read_bytes(), table


def test_a_missing_extra_is_one_line_that_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(
        ImportError, match=r'^--backend ray needs an extra that is not installed: pip install "etfgym\[ray\]"$'
    ):
        Backend("ray")


@pytest.mark.parametrize("name", ["sequential", "process"])
def test_an_address_without_a_cluster_is_refused(name):
    with pytest.raises(ValueError, match=f"--address is of a Ray or Dask cluster, and --backend {name} runs here"):
        Backend(name, address="10.0.0.1:6379")


@pytest.mark.parametrize("name", CLUSTERS)
@pytest.mark.parametrize("address", ["127.0.0.1:1", "tcp://127.0.0.1:1"])
def test_where_no_cluster_answers_one_line_says_so(name, address):
    with pytest.raises(ConnectionError, match=f"^no {name} cluster answers at {address}: Connection refused$"):
        list(Backend(name, address=address).run(pow, [(2, 3)]))


@pytest.mark.parametrize("name", backends.BACKENDS)
def test_nothing_to_run_starts_nothing(name):
    assert list(Backend(name).run(pow, [])) == []


def test_a_call_that_fails_is_not_a_lost_worker():
    with pytest.raises(ZeroDivisionError):
        list(Backend("process", 2).run(divmod, [(1, 0), (1, 1), (2, 1)]))
