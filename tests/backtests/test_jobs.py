"""Jobs: what names them, what is skipped, what one process or two give."""

import dataclasses
import json

import pyarrow.parquet as pq
import pytest
import torch

from agents import market
from agents.dqn import DQN
from agents.registry import find
from backtests import jobs
from backtests.backends import Backend
from backtests.jobs import Job, list_jobs, run_job, run_jobs
from etfgym.ledger import Costs
from etfgym.sources import load
from etfgym.sources.worlds import make_world
from etfgym.splits import Fold

JOB = Job("dqn", "{}", ("SPY",), Fold(2018), 3, 100, Costs(), ("ab",))
ONE = Backend("sequential")


def named(*names):
    return {name: find(name) for name in names}


@pytest.fixture(scope="module")
def tables():
    return [make_world("sine", 0), make_world("sine", 1)]


def test_whatever_a_result_depends_on_changes_its_key(monkeypatch):
    changes = {
        "agent": "random",
        "learner": None,
        "tickers": ("QQQ",),
        "fold": Fold(2018, train_years=3),
        "costs": Costs(fixed_fee=1.0),
        "seed": 4,
        "steps": 101,
        "device": "cuda",
        "data": ("ac",),
    }
    keys = {JOB.key, *(dataclasses.replace(JOB, **{name: value}).key for name, value in changes.items())}
    assert set(changes) == {field.name for field in dataclasses.fields(Job)}
    monkeypatch.setitem(jobs.SETTINGS, "version", "another")
    keys.add(dataclasses.replace(JOB).key)
    assert len(keys) == 11


def test_only_learners_are_pooled_and_only_chance_has_seeds(tables):
    listed = list_jobs(
        named("dqn", "random", "ma-cross"), tables, [Fold(2010), Fold(2011)], seeds=3, steps=50, pooled=True
    )
    assert [job.agent for job in listed].count("dqn") == 2 * 3
    assert [job.agent for job in listed].count("random") == 2 * 2 * 3
    assert [job.agent for job in listed].count("ma-cross") == 2 * 2
    assert {job.tickers for job in listed if job.agent == "dqn"} == {("SINE-0", "SINE-1")}
    assert {job.steps for job in listed if job.agent != "dqn"} == {0}


def test_two_processes_give_what_one_gives_and_a_second_run_runs_nothing(tables, tmp_path, monkeypatch):
    listed = list_jobs(named("dqn", "buy-and-hold", "random"), tables, [Fold(2010)], seeds=2, steps=1_100, pooled=False)
    one = run_jobs(listed, tables, tmp_path / "one", ONE)
    two = run_jobs(listed, tables, tmp_path / "two", Backend("process", 2))
    assert one.results.equals(two.results)
    assert one.equity.equals(two.equity)
    assert len(one.results) == 2 * (2 + 1 + 2)
    monkeypatch.setattr(jobs, "run_job", None)  # must not be called
    again = run_jobs(listed, tables, tmp_path / "one", ONE)
    assert again.results.equals(one.results)


def test_a_run_that_stopped_goes_on_with_what_is_missing(tables, tmp_path, monkeypatch):
    listed = list_jobs(named("buy-and-hold", "random"), tables, [Fold(2010)], seeds=2, steps=0, pooled=False)
    whole = run_jobs(listed, tables, tmp_path, ONE)
    lost = tmp_path / f"{listed[-1].key}.parquet"
    lost.unlink()
    ran = []
    monkeypatch.setattr(jobs, "run_job", lambda job, *rest: ran.append(job) or run_job(job, *rest))
    again = run_jobs(listed, tables, tmp_path, ONE)
    assert ran == [listed[-1]]
    assert again.results.equals(whole.results)


def test_code_that_changes_while_jobs_run_loses_none_of_them(tables, tmp_path, monkeypatch):
    listed = list_jobs(named("buy-and-hold"), tables, [Fold(2010)], seeds=1, steps=0, pooled=False)

    def run_other_code(job, *rest):
        monkeypatch.setattr(jobs, "SETTINGS", {"code": "another"})
        return run_job(job, *rest)

    monkeypatch.setattr(jobs, "run_job", run_other_code)
    assert len(run_jobs(listed, tables, tmp_path, ONE).results) == len(listed)


def test_a_job_file_tells_what_it_is_and_its_last_equity_is_its_return(tmp_path):
    table = load("builtin", "SP500")[0]
    (job,) = list_jobs(named("buy-and-hold"), [table], [Fold(2018)], seeds=1, steps=0, pooled=False)
    run_job(job, [table], tmp_path, "one")
    content = pq.read_table(tmp_path / "one.parquet")
    assert json.loads(content.schema.metadata[b"job"])["fold"]["test_year"] == 2018
    (row,) = json.loads(content.schema.metadata[b"results"])
    equity = content["equity"].to_pylist()
    assert equity[-1] / equity[0] - 1 == pytest.approx(row["total_return"], abs=1e-12)
    assert (row["test_start"], row["test_end"]) == ("2018-01-02", "2018-12-31")
    assert content.num_rows == 252


def test_a_job_that_fails_leaves_its_traceback_and_the_others_go_on(tables, tmp_path, monkeypatch):
    listed = list_jobs(named("buy-and-hold", "random"), tables, [Fold(2010)], seeds=2, steps=0)
    trade = jobs.trade_test_year

    def fail_once(agent, learner, traded, *rest, **keywords):
        if agent == "random" and traded[0].ticker == "SINE-1":
            raise RuntimeError
        return trade(agent, learner, traded, *rest, **keywords)

    monkeypatch.setattr(jobs, "trade_test_year", fail_once)
    found = run_jobs(listed, tables, tmp_path, ONE)
    assert len(found.results) == 4
    assert [(job.agent, job.tickers) for job in found.errors] == [("random", ("SINE-1",))] * 2
    assert set(found.errors.values()) == {"RuntimeError"}
    job = next(iter(found.errors))
    assert "Traceback" in (tmp_path / f"{job.key}.error.txt").read_text()
    monkeypatch.setattr(jobs, "trade_test_year", trade)
    again = run_jobs(listed, tables, tmp_path, ONE)
    assert not again.errors
    assert len(again.results) == 6
    assert not list(tmp_path.glob("*.error.txt"))


def test_a_training_that_was_killed_goes_on_from_its_checkpoint_and_ends_the_same(tables, tmp_path, monkeypatch):
    (job,) = list_jobs(named("dqn"), tables[:1], [Fold(2010)], seeds=1, steps=2_000)
    monkeypatch.setattr(market, "CHECKPOINT_EVERY", 1_000)
    whole = run_jobs([job], tables, tmp_path / "whole", ONE)
    resumed = []
    resume = DQN.resume
    monkeypatch.setattr(DQN, "resume", lambda *given: resumed.append(given) or resume(*given))
    checkpoint = DQN.checkpoint

    def killed(agent, file):
        checkpoint(agent, file)
        raise KeyboardInterrupt

    monkeypatch.setattr(DQN, "checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        run_jobs([job], tables, tmp_path / "killed", ONE)
    monkeypatch.setattr(DQN, "checkpoint", checkpoint)
    again = run_jobs([job], tables, tmp_path / "killed", ONE)
    assert len(resumed) == 1
    assert again.results.equals(whole.results)
    assert again.equity.equals(whole.equity)
    assert {file.suffix for file in (tmp_path / "killed").iterdir()} == {".parquet", ".agent"}
    kept, same = (DQN.load(tmp_path / name / f"{job.key}.agent") for name in ("killed", "whole"))
    assert torch.equal(kept.online.flat, same.online.flat)
