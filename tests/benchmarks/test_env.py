"""`python -m benchmarks.env` runs and writes what it says; how fast is nobody's business here."""

from __future__ import annotations

import importlib.util
import json
import math

from benchmarks import env, peers


def test_the_quick_run_writes_well_formed_rows_and_a_chart(tmp_path, capsys):
    file, chart = tmp_path / "env.json", tmp_path / "chart.png"
    assert env.main(["--quick", "--json", str(file), "--chart", str(chart)]) == 0
    printed = capsys.readouterr().out
    rows = json.loads(file.read_text())["cases"]
    names = {row["name"] for row in rows}
    assert {f"vector of {count}, {kind}" for count in ("1,024", "8,192") for kind in ("relative", "raw")} <= names
    assert {row["target"] for row in rows if row["peer"] == "writing 480 bytes"} == {0.8}
    for row in rows:
        assert f"| {row['name']} |" in printed
        assert row["ours"]["median"] > 0
        if row["theirs"] is None:
            assert row["peer"] is None or row["note"]
        else:
            assert row["ratio"]["rounds"] == [row["ours"]["rounds"][0] / row["theirs"]["rounds"][0]]
            assert math.isfinite(row["ratio"]["median"])
    assert chart.read_bytes().startswith(b"\x89PNG")


def test_a_peer_that_is_missing_is_a_row_that_says_so(tmp_path):
    file = tmp_path / "env.json"
    env.main(["--quick", "--json", str(file)])
    rows = json.loads(file.read_text())["cases"]
    notes = {row["peer"]: row["note"] for row in rows}
    for name, why in peers.NOT_RUN.items():
        assert notes[name] == why
    for name, module in (("gym-anytrading 2.0 (a view of 20 x 2)", "gym_anytrading"),):
        if importlib.util.find_spec(module) is None:
            assert notes[name].startswith(f"not installed (No module named '{module}'")


def test_the_limit_writes_as_many_bytes_as_the_windows_have():
    envs, _ = env._vector(1_024)
    assert math.prod(env.WINDOW) * 4 == envs.reset(seed=0)[0][0].nbytes == 480
