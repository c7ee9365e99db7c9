"""Result folders beside each other: the report's tables in the terminal, as Markdown or as LaTeX.

python -m backtests.compare runs/mine                       # the agents of one folder, and against each other
python -m backtests.compare runs/mine runs/yours --format markdown

Agents of different folders are compared where they traded the same: same ticker, same test year, same buy-and-hold.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from etfgym.report.duels import Duel, duel
from etfgym.report.evidence import weigh
from etfgym.report.formats import FORMATS, Format
from etfgym.report.html import cautions
from etfgym.report.layout import (
    controls_table,
    duel_table,
    evidence_notes,
    evidence_table,
    risk_table,
    summary_table,
)
from etfgym.report.results import HOLD, Results, load_results
from etfgym.report.risk import risk_measures
from etfgym.report.tables import compare, conclusions


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison that the command line asks for; return the exit status."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    try:
        runs = dict(zip(_names(asked.runs), map(load_results, asked.runs), strict=True))
    except ValueError as error:
        parser.error(str(error))
    form = FORMATS[asked.format]
    parts = [part for name, results in runs.items() for part in _one_run(name, results, form)]
    print("\n\n".join([*parts, *_against_each_other(runs, form)]))
    return 0


def _names(folders: Sequence[Path]) -> list[str]:
    """Return a name for each folder: its own, or the path where two have the same.

    Raises:
        ValueError: If a folder is given twice.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        msg = f"each result folder may be given once, got {' '.join(map(str, folders))}"
        raise ValueError(msg)
    names = [folder.resolve().name for folder in folders]
    return [name if names.count(name) == 1 else str(folder) for name, folder in zip(names, folders, strict=True)]


def _one_run(name: str, results: Results, form: Format) -> Iterator[str]:
    """Yield what the report of one folder says in words and tables."""
    comparisons = {agent: compare(results, agent) for agent in results.agents}
    evidence, together = weigh(results)
    held = comparisons[HOLD]
    yield form.heading(name)
    yield form.paragraph(f"{results.days_text}, {held.things(held.cells)}; {results.costs_text}.")
    yield from map(form.paragraph, cautions(results, comparisons))
    yield form.table(summary_table(results, comparisons))
    yield form.table(evidence_table(results, comparisons, evidence))
    yield from map(form.paragraph, evidence_notes(results, together))
    yield form.table(risk_table(results, comparisons, risk_measures(results)))
    yield form.table(controls_table(results.controls))
    yield from map(form.paragraph, conclusions(results, comparisons, evidence, together))


def _against_each_other(runs: Mapping[str, Results], form: Format) -> Iterator[str]:
    """Yield the table of every pair of learners, of one folder or of two, and which pairs could not be compared."""
    learners = [(name, agent) for name, results in runs.items() for agent in results.headliners]
    duels: list[Duel] = []
    apart: list[str] = []
    for one, other in itertools.combinations(learners, 2):
        found = duel(runs[one[0]], one[1], runs[other[0]], other[1])
        labels = [agent if len(runs) == 1 else f"{name}: {agent}" for name, agent in (one, other)]
        if found:
            duels.append(replace(found, agent=labels[0], other=labels[1]))
        else:
            apart.append(" and ".join(labels))
    if duels or apart:
        yield form.heading("Against each other")
    if duels:
        yield form.table(duel_table(duels))
    if left_out := max((found.left_out for found in duels), default=0):
        yield form.paragraph(
            f"Up to {left_out} cells of a pair are left out, as {HOLD} did not earn the same there: prices, days or "
            "costs of the folders differ."
        )
    if apart:
        yield form.paragraph(f"Not compared, as no cell and seed with the same {HOLD} is shared: {'; '.join(apart)}.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m backtests.compare",
        description="Compare result folders: every agent against buy-and-hold, and learners against each other.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a folder that python -m backtests.run wrote")
    parser.add_argument("--format", choices=FORMATS, default="text", help="(default: text)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
