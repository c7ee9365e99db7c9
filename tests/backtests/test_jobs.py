"""Jobs: what names them, what is skipped, what one process or two give."""

import dataclasses
import json

import pyarrow.parquet as pq
import pytest

from backtests import jobs
from backtests.jobs import Job, list_jobs, run_job, run_jobs
from etfgym.sources import load
from etfgym.sources.worlds import make_world

JOB = Job("dqn", ("SPY",), 2018, 3, 100, ("ab",))


@pytest.fixture(scope="module")
def tables():
    return [make_world("sine", 0), make_world("sine", 1)]


def test_whatever_a_result_depends_on_changes_its_key(monkeypatch):
    changes = {
        "agent": "random",
        "tickers": ("QQQ",),
        "test_year": 2017,
        "seed": 4,
        "steps": 101,
        "device": "cuda",
        "data": ("ac",),
    }
    keys = {JOB.key, *(dataclasses.replace(JOB, **{name: value}).key for name, value in changes.items())}
    assert set(changes) == {field.name for field in dataclasses.fields(Job)}
    monkeypatch.setitem(jobs.SETTINGS, "version", "another")
    keys.add(JOB.key)
    assert len(keys) == 9


def test_only_learners_are_pooled_and_only_chance_has_seeds(tables):
    listed = list_jobs(("dqn", "random", "ma-cross"), tables, [2010, 2011], seeds=3, steps=50, pooled=True)
    assert [job.agent for job in listed].count("dqn") == 2 * 3
    assert [job.agent for job in listed].count("random") == 2 * 2 * 3
    assert [job.agent for job in listed].count("ma-cross") == 2 * 2
    assert {job.tickers for job in listed if job.agent == "dqn"} == {("SINE-0", "SINE-1")}
    assert {job.steps for job in listed if job.agent != "dqn"} == {0}


def test_two_processes_give_what_one_gives_and_a_second_run_runs_nothing(tables, tmp_path, monkeypatch):
    listed = list_jobs(("dqn", "buy-and-hold", "random"), tables, [2010], seeds=2, steps=1_100, pooled=False)
    one = run_jobs(listed, tables, tmp_path / "one", 1)
    two = run_jobs(listed, tables, tmp_path / "two", 2)
    for alone, together in zip(one, two, strict=True):
        assert alone.equals(together)
    assert len(one[0]) == 2 * (2 + 1 + 2)
    monkeypatch.setattr(jobs, "run_job", None)  # must not be called
    again = run_jobs(listed, tables, tmp_path / "one", 1)
    assert again[0].equals(one[0])


def test_a_run_that_stopped_goes_on_with_what_is_missing(tables, tmp_path, monkeypatch):
    listed = list_jobs(("buy-and-hold", "random"), tables, [2010], seeds=2, steps=0, pooled=False)
    whole, _ = run_jobs(listed, tables, tmp_path, 1)
    lost = tmp_path / f"{listed[-1].key}.parquet"
    lost.unlink()
    ran = []
    monkeypatch.setattr(jobs, "run_job", lambda job, *rest: ran.append(job) or run_job(job, *rest))
    again, _ = run_jobs(listed, tables, tmp_path, 1)
    assert ran == [listed[-1]]
    assert again.equals(whole)


def test_code_that_changes_while_jobs_run_loses_none_of_them(tables, tmp_path, monkeypatch):
    listed = list_jobs(("buy-and-hold",), tables, [2010], seeds=1, steps=0, pooled=False)

    def run_other_code(job, *rest):
        monkeypatch.setattr(jobs, "SETTINGS", {"code": "another"})
        return run_job(job, *rest)

    monkeypatch.setattr(jobs, "run_job", run_other_code)
    results, _ = run_jobs(listed, tables, tmp_path, 1)
    assert len(results) == len(listed)


def test_a_job_file_tells_what_it_is_and_its_last_equity_is_its_return(tmp_path):
    table = load("builtin", "SP500")[0]
    (job,) = list_jobs(("buy-and-hold",), [table], [2018], seeds=1, steps=0, pooled=False)
    content = pq.read_table(run_job(job, [table], tmp_path / "one.parquet"))
    assert json.loads(content.schema.metadata[b"job"])["test_year"] == 2018
    (row,) = json.loads(content.schema.metadata[b"results"])
    equity = content["equity"].to_pylist()
    assert equity[-1] / equity[0] - 1 == pytest.approx(row["total_return"], abs=1e-12)
    assert (row["test_start"], row["test_end"]) == ("2018-01-02", "2018-12-31")
    assert content.num_rows == 252
