"""Each notebook in backtests/reports is a script and an executed .ipynb that say the same, short and able to run.

After a change of a script, `.venv/bin/python tests/test_notebooks.py NAME` executes it and writes its .ipynb; without a
name, all of them.
"""

import sys
from pathlib import Path

import jupytext
import nbformat
import papermill
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
REPORTS = ROOT / "backtests" / "reports"
SCRIPTS = [file for file in sorted(REPORTS.glob("*.py")) if file.name != "conftest.py"]
MOST_LINES = 60
MOST_BYTES = 1_000_000
OF_RESULTS = ["agent_in_depth", "compare_agents", "seeds_and_luck"]
"""Those that show what agents earned."""

every_notebook = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)


def saved(script):
    return nbformat.read(script.with_suffix(".ipynb"), as_version=4)


def execute(notebook):
    """Execute a notebook in place, by a fresh kernel."""
    where = {"resources": {"metadata": {"path": ROOT}}, "kernel_name": "python3"}
    NotebookClient(notebook, timeout=300, coalesce_streams=True, record_timing=False, **where).execute()


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(notebook):
    """Return what each code cell shows: of each output the kind, and of what is printed the number of lines."""
    return [
        [
            (output.name, output.text.count("\n")) if output.output_type == "stream" else tuple(sorted(output.data))
            for output in cell.outputs
        ]
        for cell in code(notebook)
    ]


def text(notebook):
    """Return everything a reader sees as text, with single spaces."""
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    parts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    parts += [output.text if output.output_type == "stream" else output.data["text/plain"] for output in outputs]
    return " ".join(" ".join(parts).split())


def test_the_notebooks_are_there():
    wanted = ["agent_in_depth", "compare_agents", "env_elsewhere", "seeds_and_luck", "three_lives"]
    assert [script.stem for script in SCRIPTS] == wanted


@every_notebook
def test_script_and_notebook_are_in_step(script):
    one, other = (
        [(cell.cell_type, cell.source) for cell in book.cells] for book in (saved(script), jupytext.read(script))
    )
    assert one == other


@every_notebook
def test_it_is_short(script):
    lines = [line.strip() for cell in code(saved(script)) for line in cell.source.splitlines()]
    assert len([line for line in lines if line and not line.startswith("#")]) <= MOST_LINES


@every_notebook
def test_it_was_executed_without_a_fault_or_a_warning_and_tells_nothing_of_the_machine(script):
    notebook = saved(script)
    assert [cell.execution_count for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"stream", "execute_result", "display_data"}
    assert all(output.name == "stdout" for output in outputs if output.output_type == "stream")
    written = script.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert len(written) < MOST_BYTES
    assert str(ROOT) not in written


@every_notebook
def test_it_runs_from_a_fresh_kernel_and_shows_the_same_kinds_of_things(script):
    notebook = saved(script)
    before = shown(notebook)
    execute(notebook)
    assert shown(notebook) == before


@pytest.mark.parametrize("name", OF_RESULTS)
def test_what_agents_earned_is_shown_with_dates_seeds_interval_and_buy_and_hold_and_nothing_is_trained(name):
    notebook = saved(REPORTS / f"{name}.py")
    assert any("image/png" in kind for cell in shown(notebook) for kind in cell)
    assert all(word in text(notebook) for word in ("out of sample 20", "seeds", "95 % interval", "buy-and-hold"))
    assert not any("learn(" in cell.source for cell in code(notebook))


@pytest.mark.parametrize("name", [*OF_RESULTS, "env_elsewhere"])
def test_it_takes_a_folder_and_its_own_is_committed(name):
    tagged = [cell for cell in saved(REPORTS / f"{name}.py").cells if "parameters" in cell.metadata.get("tags", ())]
    parameters = {}
    exec(tagged[0].source, parameters)  # noqa: S102 (two lines of our own)
    assert len(tagged) == 1
    assert (ROOT / parameters["folder"] / "manifest.json").is_file()


def test_papermill_gives_it_another_folder(tmp_path):
    own, other = REPORTS / "compare_agents.ipynb", tmp_path / "other.ipynb"
    papermill.execute_notebook(
        own, other, {"folder": "backtests/results/example"}, cwd=ROOT, kernel_name="python3", progress_bar=False
    )
    assert "out of sample 2011-01-03 to 2020-12-31" in text(nbformat.read(own, as_version=4))
    told = text(nbformat.read(other, as_version=4))
    assert "out of sample 2017-01-03 to 2018-12-31" in told
    assert "4 index-years are too few for any" in told


def test_the_three_lives_tell_losses_and_that_frozen_stays_and_claim_nothing():
    notebook = saved(REPORTS / "three_lives.py")
    said = ["".join(output.text for output in cell.outputs) for cell in code(notebook)][-3:]
    assert [[line.split(":")[0] for line in part.splitlines()] for part in said] == [["DNN", "CNN", "RNN"]] * 3
    assert said[1].count("torso as it was: True") == 3
    assert "nothing below says anything about how well an agent trades" in text(notebook)


def test_an_agent_in_depth_is_the_one_of_the_results():
    assert "as in results.parquet: True" in text(saved(REPORTS / "agent_in_depth.py"))


if __name__ == "__main__":
    for each in (script for script in SCRIPTS if script.stem in sys.argv[1:] or not sys.argv[1:]):
        book = jupytext.read(each)
        for number, cell in enumerate(book.cells):
            cell["id"] = f"cell-{number}"  # else it is drawn, and every execution a change
        execute(book)
        nbformat.write(book, each.with_suffix(".ipynb"))
