"""`report.html`: one file with everything in it, which opens offline, prints, and can be read on a phone.

What comes from the folder is escaped by jinja2; the page's own policy forbids it to load anything from anywhere.
"""

from __future__ import annotations

import base64
import importlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from etfgym.atomic import write_atomically
from etfgym.report.results import HINDSIGHT, HOLD, NO_RANDOMNESS, Results, load_results
from etfgym.report.tables import (
    FEWEST_CELLS,
    FEWEST_SEEDS,
    Cell,
    Comparison,
    cell_table,
    compare,
    conclusions,
    percent,
    points,
)

TEMPLATE = Path(__file__).with_name("report.html.j2")


@dataclass(frozen=True, slots=True)
class Entry:
    """What one place of a table shows, and the number it is sorted by; None: sorted as text."""

    text: str
    order: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the page: a caption, the names of its columns, its rows, and those below that sum up."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Entry]]
    foot: Sequence[Sequence[Entry]] = ()


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
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        results=results,
        manifest=results.manifest,
        first=results.period[0],
        last=results.period[1],
        traded=comparisons[HOLD].things(comparisons[HOLD].cells),
        conclusions=[text.partition(": ") for text in conclusions(comparisons, results.headliners)],
        headlines=[comparisons[agent] for agent in results.headliners],
        percent=percent,
        points=points,
        cautions=list(_cautions(results, comparisons)),
        summary=_summary_table(results, comparisons),
        tables=[_cell_tables(results, cells[agent], comparisons[agent]) for agent in results.contenders],
        drawings=[(drawing, base64.b64encode(drawing.path.read_bytes()).decode()) for drawing in drawings],
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


def _cautions(results: Results, comparisons: Mapping[str, Comparison]) -> Iterator[str]:
    """Yield what a reader must know before believing anything, the runner's notes first."""
    yield from map(str, results.manifest["notes"])
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


# ------------------------------------------------------------------------------------------------ tables


def _number(value: float, form: str = "{:,.0f}") -> Entry:
    return Entry("-" if math.isnan(value) else form.format(value), value)


def _percent(value: float) -> Entry:
    return Entry(percent(value), value)


def _points(value: float) -> Entry:
    return Entry(points(value), value)


def _summary_table(results: Results, comparisons: Mapping[str, Comparison]) -> Table:
    columns = [
        "Agent",
        "Seeds",
        "Mean return",
        "95 % interval",
        HOLD.capitalize(),
        "Difference, points",
        "95 % interval",
    ]
    columns += ["Wins", "Share of hindsight", "Sharpe", "Max drawdown", "Turnover", "Costs", "Trades"]
    rows = []
    for agent, found in comparisons.items():
        measures, seeds = found.measures, found.seeds_text.split(" seed")[0]
        against = [Entry("-", math.nan)] * 3
        if agent != HOLD:
            paired = Entry(found.difference_interval_text, found.difference_interval.low)
            against = [_points(found.difference), paired, Entry(f"{found.wins} of {found.cells}", found.wins)]
        low, high = found.share_interval
        share = "" if math.isnan(low) else f" ({100 * low:.0f} to {100 * high:.0f})"
        rows.append(
            [
                Entry(agent),
                Entry(seeds, found.seeds[0]),
                _percent(found.mean),
                Entry(found.interval_text, found.interval.low),
                _percent(found.hold_mean),
                *against,
                Entry("-" if math.isnan(found.share) else f"{100 * found.share:.0f} %{share}", found.share),
                _number(measures["sharpe"], "{:.2f}"),
                _number(100 * measures["max_drawdown"], "{:.1f} %"),
                _number(measures["turnover"], "{:.1f}"),
                _number(measures["costs"], "${:,.0f}"),
                _number(measures["trades"]),
            ]
        )
    caption = (
        f"Every agent against buy-and-hold, out of sample {results.period[0]} to {results.period[1]}. Intervals of "
        f"returns and shares are over seeds, those of differences over seeds and {results.kind}-years."
    )
    return Table(caption, columns, rows)


def _cell_tables(results: Results, cells: Sequence[Cell], found: Comparison) -> tuple[str, list[Table]]:
    """Return the agent's name with its table by ticker, and the one by year where there are several."""
    agent, several = found.agent, len(results.years) > 1
    with_hindsight = HINDSIGHT in results.agents
    columns = [found.kind if found.kind == "ETF" else "Index", *["Year"] * several, "Test days", "Seeds"]
    columns += [agent, "95 % interval", HOLD, "Difference, points", "Winner", *[HINDSIGHT] * with_hindsight]
    winners = {"win": agent, "loss": HOLD, "tie": "tie"}
    rows = [
        [
            Entry(cell.ticker),
            *[Entry(str(cell.year), cell.year)] * several,
            Entry(f"{cell.first} to {cell.last}", cell.first.toordinal()),
            _number(cell.seeds),
            _percent(cell.mean),
            Entry(cell.interval_text, cell.interval.low),
            _percent(cell.hold),
            _points(cell.mean - cell.hold),
            Entry(winners[cell.verdict]),
            *[_percent(cell.hindsight)] * with_hindsight,
        ]
        for cell in cells
    ]
    blank, last = [Entry("")], [Entry("")] * with_hindsight
    lead = blank * (1 + several) + [Entry(found.seeds_text.split(" seed")[0])]
    difference = Entry(f"{points(found.difference)} ({found.difference_interval_text})")
    mean = [Entry(percent(found.mean)), Entry(found.interval_text), Entry(percent(found.hold_mean)), difference]
    median = [Entry(percent(found.median)), Entry(""), Entry(percent(found.hold_median)), Entry("")]
    foot = [
        [Entry("Mean"), *lead, *mean, Entry(f"won {found.wins} of {found.cells}"), *last],
        [Entry("Median"), *lead, *median, *blank, *last],
    ]
    caption = f"{agent} against {HOLD}, one row for each {found.kind}{' and year' * several}; means over seeds."
    tables = [Table(caption, columns, rows, foot)]
    return agent, [_year_table(results, agent), *tables] if several else tables


def _year_table(results: Results, agent: str) -> Table:
    own = [year for year in results.years if ((results.runs["agent"] == agent) & (results.runs["year"] == year)).any()]
    rows = []
    for year in own:
        found = compare(results, agent, year=year)
        rows.append(
            [
                Entry(str(year), year),
                Entry(f"{found.first} to {found.last}", found.first.toordinal()),
                Entry(found.seeds_text.split(" seed")[0], found.seeds[0]),
                _percent(found.mean),
                Entry(found.interval_text, found.interval.low),
                _percent(found.hold_mean),
                _points(found.difference),
                Entry(found.difference_interval_text, found.difference_interval.low),
                Entry(f"{found.wins} of {found.cells}", found.wins),
            ]
        )
    columns = ["Year", "Test days", "Seeds", agent, "95 % interval", HOLD, "Difference, points", "95 % interval"]
    caption = f"{agent} against {HOLD}, year by year; means over tickers and seeds."
    if results.runs["ticker"].nunique() < FEWEST_CELLS:
        caption += f" With fewer than {FEWEST_CELLS} a year, the intervals of the differences promise too much."
    return Table(caption, [*columns, "Wins"], rows)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested settings as ("costs.commission", "0.001")."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", ", ".join(map(str, value)) if isinstance(value, list) else str(value)
