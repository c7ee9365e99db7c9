"""What an experiment will take: counted jobs, a measured sample, machines."""

import numpy as np
import pytest

from agents import market
from agents.registry import learner
from backtests import plan
from backtests.jobs import list_jobs
from backtests.plan import Cost, extended, main, makespan, report
from backtests.run import options, read
from etfgym.sources.worlds import make_world
from etfgym.splits import Fold

SMALL = ["--prices", "world:sine", "--test-years", "2010-2011", "--agents", "dqn,random", "--seeds", "2"]
SMALL += ["--steps", "11000", "--nodes", "1,3", "--cores", "2"]


@pytest.fixture
def quick(monkeypatch):
    """Trainings of no time, by a clock that each moves on by 3 seconds and one for each 100 transitions."""
    clock, seen = [0.0], []

    def train(*given, **_):
        steps = given[4]
        clock[0] += 3 + steps / 100
        seen.append(steps)

    monkeypatch.setattr(plan, "train", train)
    monkeypatch.setattr(plan.time, "process_time", lambda: clock[0])
    return seen


def test_it_counts_jobs_carries_the_measured_cost_over_and_says_the_hours_of_so_many_machines(quick, tmp_path, capsys):
    assert main([*SMALL, "--out", str(tmp_path / "never")]) == 0
    said = capsys.readouterr().out
    assert quick == [5_500] + [5_500, 11_000] * plan.REPEATS  # the first, in which code is compiled, isn't counted
    rows = {line.split()[0]: line.split()[1:] for line in said.splitlines() if line}
    # 2 years x 2 seeds, and for each control 6 tables x 2 seeds; 3 + 11,000 / 100 core-seconds each
    assert rows["dqn"] == ["28", "0", "28", "11,000", "113.0", "±", "0.0", "0.88"]
    assert rows["random"][:3] == ["4", "0", "4"]
    assert rows["buy-and-hold"][:3] == ["14", "0", "14"]
    assert said.startswith("46 jobs, the standing controls' among them: 0 done, 46 left")
    # 4 trainings on 2 cores take two rounds, 12 take six, twice; on 6 cores one, and two twice
    assert rows["1"] == ["2", *[f"{14 * 113 / 3600:.2g}"] * 3]
    assert rows["3"] == ["2", *[f"{5 * 113 / 3600:.2g}"] * 3]
    assert "No test year was looked at" in said
    assert not (tmp_path / "never").exists()


@pytest.mark.usefixtures("quick")
def test_what_is_done_is_counted_as_done(tmp_path, capsys):
    spec = read(options("", "").parse_args([*SMALL[:-4]]))
    (tmp_path / "jobs").mkdir()
    for job in spec.jobs[:3]:  # dqn's
        (tmp_path / "jobs" / f"{job.key}.parquet").touch()
    main([*SMALL, "--out", str(tmp_path)])
    said = capsys.readouterr().out
    assert said.startswith("46 jobs, the standing controls' among them: 3 done, 43 left")
    assert next(line for line in said.splitlines() if line.startswith("dqn")).split()[1:4] == ["28", "3", "25"]


def test_measuring_trades_no_test_year(monkeypatch, capsys):
    traded = []
    together = market.backtest_together
    monkeypatch.setattr(plan, "LONG", 400)
    monkeypatch.setattr(plan, "REPEATS", 1)

    def recorded(policy, tables, periods, **keywords):
        traded.extend(periods)
        return together(policy, tables, periods, **keywords)

    monkeypatch.setattr(market, "backtest_together", recorded)
    assert main(SMALL) == 0
    assert traded
    assert max(period.last for period in traded) < np.datetime64("2010-01-01")
    assert "core-hours" in capsys.readouterr().out


def test_a_line_through_two_trainings_is_carried_on_and_noise_never_makes_it_fall():
    assert extended([(2.0, 3.0)] * 3, 1_000, 2_000, 11_000) == Cost(12.0, 0.0)
    assert extended([(2.0, 3.0), (3.0, 2.0)], 1_000, 2_000, 11_000) == Cost(7.0, 5.0)
    assert extended([(0.5, 1.0)], 750, 1_500, 1_500) == Cost(1.0, 0.0)


def test_machines_take_the_longest_jobs_first():
    assert makespan([], 4) == 0
    assert makespan([1.0, 1.0, 1.0, 3.0], 2) == 3
    assert makespan([5.0, 1.0], 100) == 5


def test_the_range_of_the_measurement_is_carried_to_the_hours(tmp_path):
    jobs = list_jobs({"dqn": learner("dqn")}, [make_world("sine", 0)], [Fold(2010)], seeds=4, steps=100)
    said = report([jobs], {"dqn": Cost(36_000.0, 3_600.0)}, tmp_path, [2], 1)
    assert "left: 40.0 core-hours (36.0 to 44.0)" in said
    assert next(line for line in said.splitlines() if line.startswith("2 ")).split() == [
        "2",
        "1",
        "20.0",
        "18.0",
        "22.0",
    ]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--nodes", "0"], "argument --nodes: invalid"),
        (["--cores", "none"], "argument --cores"),
        (["--backend", "spark"], "--backend must be one of 'sequential', 'process', 'ray', 'dask', got 'spark'"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(wrong, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*SMALL, *wrong])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err.rstrip().splitlines()[-1]
