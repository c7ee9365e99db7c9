"""Fake measurements with known rates."""

import json

import pytest

from benchmarks import harness
from benchmarks.harness import Case, Peer, measure, report, table


def scripted(rates, log=None, name=""):
    """Return a measurement that gives these rates one after the other, and notes in `log` that it ran."""
    left = list(rates)

    def run():
        if log is not None:
            log.append(name)
        return left.pop(0)

    return run


def missing():
    message = "No module named 'finrl'"
    raise ModuleNotFoundError(message)


def test_a_ratio_is_made_within_a_round_and_its_median_is_not_the_ratio_of_medians():
    case = Case("step", scripted([1.0, 10.0, 100.0]), [Peer("slow", scripted([1.0, 2.0, 200.0]), target=1.0)])
    (row,) = measure([case], rounds=3)
    assert row.ratios == [1.0, 5.0, 0.5]
    assert row.met is True
    assert "| 10 [1..100] steps/s | slow | 2 [1..200] | 1.00x [0.50x..5.00x] | >= 1x | yes |" in table([row])


def test_a_median_ratio_below_the_target_is_not_met():
    case = Case("step", scripted([2.0, 2.9, 9.0]), [Peer("slow", scripted([1.0] * 3), target=3.0)])
    (row,) = measure([case], rounds=3)
    assert row.met is False
    assert table([row]).endswith(">= 3x | no |")


def test_work_and_seconds_are_turned_into_a_rate():
    (row,) = measure([Case("step", lambda: (300.0, 2.0))], rounds=1)
    assert row.ours == [150.0]


def test_all_cases_take_turns_and_every_second_round_goes_backwards():
    log = []
    cases = [
        Case("a", scripted([1.0] * 2, log, "a"), [Peer("p", scripted([1.0] * 2, log, "a/p"))]),
        Case("b", scripted([1.0] * 2, log, "b")),
    ]
    measure(cases, rounds=2)
    assert log == ["a", "a/p", "b", "b", "a/p", "a"]


def test_a_case_with_a_target_of_its_own_gets_a_row_of_its_own_beside_its_peers():
    case = Case("step", scripted([700_000.0]), [Peer("other", scripted([350_000.0]))], target=600_000.0)
    own, beside = measure([case], rounds=1)
    assert (own.peer, own.met) == (None, True)
    assert (beside.peer, beside.ratios, beside.met) == ("other", [2.0], None)
    assert "| step | 700 k steps/s |  |  |  | >= 600 k | yes |" in table([own, beside])


def test_a_peer_that_is_not_installed_is_a_row_that_says_how_to_install_it():
    (row,) = measure([Case("step", scripted([1.0] * 2), [Peer("FinRL", missing, target=2.0)])], rounds=2)
    assert row.met is None
    assert row.ours == [1.0, 1.0]
    assert "FinRL" in table([row])
    assert "not installed (No module named 'finrl'); pip install --group bench" in table([row])


def test_ours_that_cannot_be_imported_is_an_error():
    with pytest.raises(ModuleNotFoundError, match="finrl"):
        measure([Case("step", missing)], rounds=1)


def test_the_json_file_holds_name_ours_peer_ratio_and_rounds_of_each_case(tmp_path, capsys):
    case = Case("step", scripted([4.0, 6.0]), [Peer("slow", scripted([2.0, 2.0]), target=2.0), Peer("FinRL", missing)])
    path = tmp_path / "new" / "speed.json"
    report(measure([case], rounds=2), json_file=path, packages=["no-such-package"])
    written = json.loads(path.read_text())
    slow, finrl = written["cases"]
    assert slow["name"] == "step"
    assert slow["ours"] == {"median": 5.0, "min": 4.0, "max": 6.0, "rounds": [4.0, 6.0]}
    assert slow["peer"] == "slow"
    assert slow["ratio"] == {"median": 2.5, "min": 2.0, "max": 3.0, "rounds": [2.0, 3.0]}
    assert (slow["rounds"], slow["target"], slow["met"]) == (2, 2.0, True)
    assert (finrl["theirs"], finrl["ratio"], finrl["met"]) == (None, None, None)
    printed = capsys.readouterr().out
    assert "| 5 [4..6] steps/s |" in printed
    for key in ("cpu", "cores", "memory", "os", "python", "numpy", "numba", "torch"):
        assert f"{key} {written['machine'][key]}" in printed
    assert written["machine"]["no-such-package"] == "none"
    assert [file.name for file in path.parent.iterdir()] == ["speed.json"]


def test_a_number_that_json_has_not_leaves_the_old_file_as_it_was(tmp_path):
    path = tmp_path / "speed.json"
    path.write_text("old")
    with pytest.raises(ValueError, match="not JSON compliant"):
        harness.write_json(path, {"rate": float("nan")})
    assert path.read_text() == "old"


def test_repeating_counts_whole_calls_after_one_to_warm_up():
    calls = []
    work, seconds = harness.repeat_for(0.0, lambda: calls.append(1), work=10.0)
    assert (work, len(calls)) == (10.0, 2)
    assert seconds >= 0.0


def test_rounds_must_be_a_whole_number_above_zero(capsys):
    with pytest.raises(SystemExit):
        harness.parser("dqn", "Speed.", rounds=5).parse_args(["--rounds", "0"])
    assert "invalid positive value: '0'" in capsys.readouterr().err
    asked = harness.parser("dqn", "Speed.", rounds=5).parse_args([])
    assert (asked.rounds, asked.json, asked.quick) == (5, None, False)
