"""Each notebook in backtests/reports is a script and an executed .ipynb that say the same, short and able to run.

After a change of a script, `.venv/bin/python tests/test_notebooks.py` executes it and writes its .ipynb.
"""

from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
SCRIPTS = [file for file in sorted((ROOT / "backtests" / "reports").glob("*.py")) if file.name != "conftest.py"]
MOST_LINES = 60

every_notebook = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)


def saved(script):
    return nbformat.read(script.with_suffix(".ipynb"), as_version=4)


def execute(notebook):
    """Execute a notebook in place, by a fresh kernel."""
    where = {"resources": {"metadata": {"path": ROOT}}, "kernel_name": "python3"}
    NotebookClient(notebook, timeout=300, coalesce_streams=True, record_timing=False, **where).execute()


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(notebook):
    """Return what each code cell prints; an error would be another kind of output."""
    outputs = [cell.outputs for cell in code(notebook)]
    assert all(output.output_type == "stream" and output.name == "stdout" for part in outputs for output in part)
    return ["".join(output.text for output in part) for part in outputs]


def test_the_notebook_of_the_three_lives_is_there():
    assert "three_lives" in [script.stem for script in SCRIPTS]


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
def test_it_was_executed_and_runs_from_a_fresh_kernel(script):
    notebook = saved(script)
    assert [cell.execution_count for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))
    before = printed(notebook)
    execute(notebook)
    assert [text.count("\n") for text in printed(notebook)] == [text.count("\n") for text in before]


def test_the_three_lives_tell_losses_and_that_frozen_stays_and_claim_nothing():
    notebook = saved(ROOT / "backtests" / "reports" / "three_lives.py")
    said = printed(notebook)[-3:]
    assert [[line.split(":")[0] for line in text.splitlines()] for text in said] == [["DNN", "CNN", "RNN"]] * 3
    assert said[1].count("torso as it was: True") == 3
    words = " ".join(" ".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown").split())
    assert "nothing below says anything about how well an agent trades" in words


if __name__ == "__main__":
    for each in SCRIPTS:
        book = jupytext.read(each)
        for number, cell in enumerate(book.cells):
            cell["id"] = f"cell-{number}"  # else it is drawn, and every execution a change
        execute(book)
        nbformat.write(book, each.with_suffix(".ipynb"))
