"""A script: jobs and other calls on a backend that loses workers. `python lost_workers.py BACKEND FOLDER`.

A fresh interpreter, as Ray and Dask come with processes and warnings of their own; what a worker imports again when it
is started anew is little, as long as it has no job to run.
"""

import os
import signal
import sys
import time
from pathlib import Path


def experiment():
    """Return a list of jobs, a learner's on each table and on both, and of agents that don't learn; and the tables."""
    from agents.registry import find
    from backtests.jobs import list_jobs
    from etfgym.sources.worlds import make_world
    from etfgym.splits import Fold

    tables = [make_world("sine", 0), make_world("planted", 1)]
    agents = {name: find(name) for name in ("dqn", "random", "buy-and-hold")}
    each = list_jobs(agents, tables, [Fold(2010)], seeds=2, steps=1_200)
    both = list_jobs({"dqn": agents["dqn"]}, tables, [Fold(2011)], seeds=1, steps=1_200, pooled=True)
    return [*each, *both], tables


def write(folder, backend):
    """Run the jobs and write their tables."""
    from backtests.jobs import run_jobs

    found = run_jobs(*experiment(), folder / "jobs", backend)
    assert not found.errors
    found.results.to_parquet(folder / "results.parquet")
    found.equity.to_parquet(folder / "equity.parquet")


def kill_worker(mark):
    """Leave a mark, and kill this process; not at once, as Dask heals slowly from workers that die as they start."""
    mark.touch()
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)


def call(folder, what):
    """Run a job, the first learner's after a kill; or return a number: 3 kills its worker always."""
    if isinstance(what, int):
        if what == 3:
            kill_worker(folder / "always.mark")
        return what
    from backtests.jobs import run_job

    job, tables = what
    if job.learner and not (folder / "once.mark").exists():
        kill_worker(folder / "once.mark")
    run_job(job, tables, folder / "jobs", job.key)
    return None


def main(name, folder):
    """Make all calls, look which returned, and write the tables of the jobs."""
    from backtests.backends import Backend

    listed, tables = experiment()
    by_name = {table.ticker: table for table in tables}
    jobs = [(job, [by_name[ticker] for ticker in job.tickers]) for job in listed]
    (folder / "jobs").mkdir()
    returned = list(Backend(name, 2).run(call, [(folder, what) for what in (*jobs, *range(6))]))
    assert sorted(number for number in returned if number is not None) == [0, 1, 2, 4, 5]
    assert len(returned) == len(jobs) + 5
    assert {mark.stem for mark in folder.glob("*.mark")} == {"once", "always"}
    assert len(list((folder / "jobs").glob("*.parquet"))) == len(jobs)
    write(folder, Backend("sequential"))  # which has nothing left to run


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
