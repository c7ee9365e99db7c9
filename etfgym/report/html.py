"""`report.html`: one file with everything in it, which opens offline, prints, and can be read on a phone.

What comes from the folder is escaped by jinja2; the page's own policy forbids it to load anything from anywhere.
"""

from __future__ import annotations

import base64
import importlib
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from etfgym.atomic import write_atomically
from etfgym.report.duels import duel
from etfgym.report.evidence import weigh
from etfgym.report.layout import (
    Table,
    cell_tables,
    controls_table,
    duel_table,
    evidence_notes,
    evidence_table,
    risk_table,
    summary_table,
)
from etfgym.report.results import HINDSIGHT, HOLD, NO_RANDOMNESS, Results, load_results
from etfgym.report.risk import risk_measures
from etfgym.report.tables import (
    FEWEST_CELLS,
    FEWEST_SEEDS,
    Comparison,
    cell_table,
    compare,
    conclusions,
    percent,
    points,
)

TEMPLATE = Path(__file__).with_name("report.html.j2")


def write_report(folder: str | Path) -> Path:
    """Draw the figures of a result folder, write its `report.html` and return the path of it.

    Args:
        folder: With `results.parquet`, `equity.parquet` and `manifest.json`; `figures/` and the page are added.

    Raises:
        ValueError: If the folder is at fault; see `etfgym.report.results.load_results`.
        ModuleNotFoundError: If matplotlib or jinja2 is not installed.
    """
    jinja2, figures = _extra("jinja2"), _extra("etfgym.report.figures")
    results = load_results(folder)
    comparisons = {agent: compare(results, agent) for agent in results.agents}
    cells = {agent: cell_table(results, agent) for agent in results.agents}
    drawings = figures.write_figures(results, cells, comparisons)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    evidence, together = weigh(results)
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        results=results,
        manifest=results.manifest,
        first=results.period[0],
        last=results.period[1],
        traded=comparisons[HOLD].things(comparisons[HOLD].cells),
        whole_years=comparisons[HOLD].whole_years,
        conclusions=[text.partition(": ") for text in conclusions(results, comparisons, evidence, together)],
        headlines=[comparisons[agent] for agent in results.headliners],
        percent=percent,
        points=points,
        cautions=list(cautions(results, comparisons)),
        summary=summary_table(results, comparisons),
        evidence=evidence_table(results, comparisons, evidence),
        evidence_notes=evidence_notes(results, together),
        duels=_duels(results),
        controls=controls_table(results.controls),
        risk=risk_table(results, comparisons, risk_measures(results)),
        tables=[cell_tables(results, cells[agent], comparisons[agent]) for agent in results.contenders],
        drawings=[(drawing, base64.b64encode(drawing.svg.encode()).decode()) for drawing in drawings],
        settings=list(_flat(results.manifest["settings"])),
    )
    path = results.folder / "report.html"
    write_atomically(path, lambda part: part.write_text(page, encoding="utf-8"))
    return path


def _extra(name: str) -> ModuleType:
    """Import what needs the packages that only a report needs."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        msg = f'{error.name} is not installed; pip install "etfgym[report]"'
        raise ModuleNotFoundError(msg) from None


def _duels(results: Results) -> Table | None:
    """Return the headliners against each other, or None where there are not two."""
    pairs = itertools.combinations(results.headliners, 2)
    duels = [found for agent, other in pairs if (found := duel(results, agent, results, other))]
    return duel_table(duels) if duels else None


def cautions(results: Results, comparisons: Mapping[str, Comparison]) -> Iterator[str]:
    """Yield what a reader must know before believing anything, the runner's notes first."""
    yield from map(str, results.manifest["notes"])
    if errors := results.manifest.get("errors"):
        number = "1 job failed and is" if len(errors) == 1 else f"{len(errors)} jobs failed and are"
        yield f"{number} missing here, such as {next(iter(errors))}."
    yield from (control.warning for control in results.controls if not control.passed)
    held = comparisons[HOLD]
    if len(results.years) == 1:
        yield f"There is one test year, {results.years[0]}. Nothing here says how another would have gone."
    if held.cells < FEWEST_CELLS:
        yield (
            f"{held.things(held.cells)} can't carry a claim: with fewer than {FEWEST_CELLS}, winning every one of them "
            f"would be no 95 % evidence."
        )
    for agent in results.contenders:
        fewest = comparisons[agent].seeds[0]
        if agent in NO_RANDOMNESS or fewest >= FEWEST_SEEDS:
            continue
        if fewest == 1:
            yield f"{agent} was run with one seed: how much of its return was luck can't be said, so no interval is."
        else:
            yield f"{agent} was run with {fewest} seeds: intervals from fewer than {FEWEST_SEEDS} are rough."
    if results.contenders and HINDSIGHT in comparisons:
        yield (
            "hindsight is no strategy: it knows the whole test period and marks the most that the agent's own daily "
            "orders could have earned. buy-and-hold has no daily limit, so it can end above."
        )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested settings as ("costs.commission", "0.001")."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", ", ".join(map(str, value)) if isinstance(value, list) else str(value)
