"""What comes of a task: which figure is better, the printed table, the JSON."""

import json
from pathlib import Path

import pytest

from etfgym.tasks.outcome import Outcome, Setup, text, write_json


def outcome(**changes):
    settings = {
        "model": "DNN",
        "metric": "accuracy",
        "value": 0.9,
        "baselines": {"most frequent": 0.5, "rule": 0.7},
        "tested_on": "10 rows",
        "seconds": 1.25,
    }
    return Outcome(**settings | changes)


def test_the_best_baseline_is_the_largest_or_where_smaller_is_better_the_smallest():
    assert outcome().best_baseline == ("rule", 0.7)
    assert outcome(smaller=True).best_baseline == ("most frequent", 0.5)


@pytest.mark.parametrize(
    ("value", "target", "smaller", "reached"),
    [
        (0.9, None, False, None),
        (0.9, 0.9, False, True),
        (0.91, 0.9, False, True),
        (0.89, 0.9, False, False),
        (0.9, 0.9, True, True),
        (0.89, 0.9, True, True),
        (0.91, 0.9, True, False),
        (float("nan"), 0.9, False, False),
        (float("nan"), 0.9, True, False),
    ],
)
def test_a_target_is_reached_at_the_target_and_beyond(value, target, smaller, reached):
    assert outcome(value=value, target=target, smaller=smaller).reached is reached


def test_the_table_has_every_baseline_and_the_verdict_on_the_target():
    lines = text([outcome(target=0.95), outcome(model="longer name", metric="error", smaller=True, target=1)]).split(
        "\n"
    )
    assert lines[0].split() == ["model", "metric", "value", "baselines", "target", "seconds"]
    assert set(lines[1]) == {"-"}
    assert lines[2].split("  ")[0] == "DNN"
    assert "most frequent 0.5000, rule 0.7000  >= 0.95 missed" in lines[2]
    assert "<= 1 reached" in lines[3]
    assert lines[2].index("accuracy") == lines[3].index("error")


def test_it_is_said_which_model_does_not_beat_its_best_baseline():
    assert "does not beat" not in text([outcome()])
    assert "DNN does not beat rule in accuracy." in text([outcome(value=0.6)])
    assert "DNN does not beat rule in accuracy." in text([outcome(value=0.7)])
    assert "DNN does not beat most frequent in accuracy." in text([outcome(value=0.6, smaller=True)])
    assert "DNN does not beat rule in accuracy." in text([outcome(value=float("nan"))])


def test_what_two_outcomes_have_in_common_is_said_once_and_notes_come_last():
    told = text([outcome(note="One."), outcome(model="CNN", note="Two."), outcome(model="RNN", note="One.")])
    assert told.split("\n")[-3:] == ["Tested on 10 rows.", "One.", "Two."]


def test_json_has_task_metric_value_baselines_and_seconds(tmp_path):
    file = tmp_path / "new" / "out.json"
    setup = Setup(folder=Path("f"), data="a.csv", seed=3, quick=True)
    write_json(file, "churn", setup, [outcome(figures={"more": 1.5}), outcome(value=float("nan"))])
    content = json.loads(file.read_text(), parse_constant=pytest.fail)
    assert {name: content[name] for name in ("task", "data", "seed", "quick")} == {
        "task": "churn",
        "data": "a.csv",
        "seed": 3,
        "quick": True,
    }
    first, second = content["outcomes"]
    assert (first["model"], first["metric"], first["value"]) == ("DNN", "accuracy", 0.9)
    assert first["baselines"] == {"most frequent": 0.5, "rule": 0.7}
    assert (first["seconds"], first["figures"]) == (1.25, {"more": 1.5})
    assert second["value"] is None


def test_json_that_can_not_be_written_leaves_the_old_file_whole(tmp_path):
    file = tmp_path / "out.json"
    write_json(file, "churn", Setup(folder=tmp_path), [outcome()])
    before = file.read_text()
    with pytest.raises(TypeError):
        write_json(file, "churn", Setup(folder=tmp_path), [outcome(figures={"more": object()})])
    assert file.read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
