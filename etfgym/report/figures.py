"""The figures of a report, each a PNG that can be shown alone: dates, seeds and buy-and-hold stand in it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from etfgym.checks import one_of
from etfgym.report.curves import daily_curves, draw_drawdown, draw_growth, draw_trades
from etfgym.report.evidence import profiles
from etfgym.report.results import HINDSIGHT, HOLD, NO_RANDOMNESS, ONE_RUN, Results
from etfgym.report.style import FAINT, SOFT, STYLE, Drawing, Drawn, Mark, look, write_drawing
from etfgym.report.tables import Cell, Comparison, compare, percent, points

INTERVALS = {"mean": "interval", "share": "share_interval"}

HEADINGS = {
    "returns": "Return of each ticker",
    "profile": "How many runs beat buy-and-hold by how much",
    "equity": "Growth of the account",
    "drawdown": "Drawdown",
    "trades": "Where it bought and sold",
    "share": "Share of the hindsight line",
    "costs": "Costs paid",
}
"""Of each figure by its name."""
MOST_ROWS = 60


def write_figures(
    results: Results, cells: Mapping[str, Sequence[Cell]], comparisons: Mapping[str, Comparison]
) -> list[Drawing]:
    """Draw every figure that the results allow into the folder's `figures/`, each file whole or not at all.

    Args:
        results: Of `results.load_results`.
        cells: Of `tables.cell_table`, for every agent.
        comparisons: Of `tables.compare`, for every agent.
    """
    folder = results.folder / "figures"
    folder.mkdir(exist_ok=True)
    drawings = []
    for name, drawer in _drawers(results, cells, comparisons).items():
        path = folder / f"{name}.png"
        with mpl.rc_context(STYLE):  # type: ignore[arg-type]
            drawn = _finish(results, drawer)
            if drawn is None:
                path.unlink(missing_ok=True)  # of an earlier run of other agents
                continue
            drawings.append(write_drawing(drawn, path, HEADINGS[name]))
    return drawings


def draw(
    name: str, results: Results, cells: Mapping[str, Sequence[Cell]], comparisons: Mapping[str, Comparison]
) -> Drawn | None:
    """Draw one of `HEADINGS` without writing it; None if the results don't allow it.

    Args:
        name: Of the figure.
        results: As for `write_figures`.
        cells: See there.
        comparisons: See there.

    Raises:
        ValueError: If there is no such figure.
    """
    drawers = _drawers(results, cells, comparisons)
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        return _finish(results, drawers[one_of("figure", name, drawers)])


def _drawers(
    results: Results, cells: Mapping[str, Sequence[Cell]], comparisons: Mapping[str, Comparison]
) -> dict[str, Callable[[], Drawn | None]]:
    curves = functools.cache(lambda: daily_curves(results))
    rows = functools.cache(lambda: _rows(results, cells))
    return {
        "returns": lambda: _draw_returns(results, cells, rows(), comparisons),
        "profile": lambda: _draw_profile(results, comparisons),
        "equity": lambda: draw_growth(results, curves()),
        "drawdown": lambda: draw_drawdown(results, curves()),
        "trades": lambda: draw_trades(results, cells, curves()),
        "share": lambda: _draw_shares(results, cells, rows(), comparisons),
        "costs": lambda: _draw_costs(results, comparisons),
    }


def _finish(results: Results, drawer: Callable[[], Drawn | None]) -> Drawn | None:
    """Return the figure with what must stand beside any return."""
    drawn = drawer()
    if drawn is not None:
        drawn.figure.supxlabel(_conditions(results), fontsize=8, color=SOFT)
    return drawn


def _conditions(results: Results) -> str:
    """Return what must stand beside any return: out-of-sample dates, costs and seeds."""
    counts = results.runs.groupby(ONE_RUN[:3]).size().groupby("agent").agg(["min", "max"])
    seeds = ", ".join(
        f"{agent} {low}" if low == high else f"{agent} {low}-{high}" for agent, low, high in counts.itertuples()
    )
    return f"{results.days_text};  {results.costs_text}\nseeds: {seeds}"


# ------------------------------------------------------------------------------------------------ dots and intervals

Rows = Mapping[str, Mapping[str, Cell | Comparison]]


def _draw_returns(
    results: Results, cells: Mapping[str, Sequence[Cell]], rows: Rows, comparisons: Mapping[str, Comparison]
) -> Drawn:
    caption = (
        "Dots are means over seeds, bars their 95 % bootstrap intervals; the black line is buy-and-hold. Look for dots "
        "whose whole bar lies right of the black line, and at how many do not. A dot without a bar has one run."
        + _merged_note(cells)
    )
    return _dots(results, {**rows, "mean of all": comparisons}, "mean", "return in the test period", caption)


def _draw_shares(
    results: Results, cells: Mapping[str, Sequence[Cell]], rows: Rows, comparisons: Mapping[str, Comparison]
) -> Drawn | None:
    if np.isnan(comparisons[HOLD].share):
        return None
    caption = (
        "Hindsight is a ceiling and no strategy: no sequence of allowed orders could have earned more, and it is known "
        "only afterwards. Look at how far below 100 % everything stays, and whether an agent's share is larger "
        "than buy-and-hold's. Bars are the 95 % intervals of the return over seeds. Below zero is a loss."
        + _merged_note(cells)
    )
    return _dots(results, {**rows, "all profits": comparisons}, "share", "profit as a share of hindsight's", caption)


def _merged_note(cells: Mapping[str, Sequence[Cell]]) -> str:
    merged = len(cells[HOLD]) > MOST_ROWS
    return " Each row is the mean over the ticker's test years; the tables have them year by year." * merged


def _rows(results: Results, cells: Mapping[str, Sequence[Cell]]) -> Rows:
    """Return what each agent did in each cell, or on each ticker where there are too many cells; by row and agent."""
    rows: dict[str, dict[str, Cell | Comparison]] = {}
    several = len(results.years) > 1
    for agent, own in cells.items():
        if len(cells[HOLD]) > MOST_ROWS:
            for ticker in dict.fromkeys(cell.ticker for cell in own):
                rows.setdefault(ticker, {})[agent] = compare(results, agent, ticker=ticker)
        else:
            for cell in own:
                rows.setdefault(f"{cell.ticker} {cell.year}" if several else cell.ticker, {})[agent] = cell
    return dict(sorted(rows.items(), key=lambda row: row[1][HOLD].mean))


def _dots(results: Results, rows: Rows, measure: str, label: str, caption: str) -> Drawn:
    """Draw a dot and an interval of `measure` for each row and agent; the last row sums up and stands apart."""
    names = [name for name in rows if not np.isnan(getattr(rows[name][HOLD], measure))]
    agents = [agent for agent in results.agents if measure == "mean" or agent != HINDSIGHT]
    heights = {name: len(names) - place - 0.5 * (place == len(names) - 1) for place, name in enumerate(names)}
    figure = Figure(figsize=(9, 2.2 + max(0.34, 0.075 * len(agents)) * len(names)), layout="constrained")
    axes = figure.subplots()
    movable = [agent for agent in agents if agent not in {HOLD, HINDSIGHT}]
    marks = []
    for agent in agents:
        own = [name for name in names if agent in rows[name]]
        shift = 0.0 if agent not in movable else 0.7 * ((movable.index(agent) + 0.5) / len(movable) - 0.5)
        height = np.array([heights[name] for name in own]) - shift
        mean = 100 * np.array([getattr(rows[name][agent], measure) for name in own])
        intervals = [getattr(rows[name][agent], INTERVALS[measure]) for name in own]
        low, high = 100 * np.array(intervals).T  # NaN, and so not drawn, where there is none
        drawn = look(results, agent)
        if agent == HOLD:
            axes.vlines(mean, height - 0.42, height + 0.42, color=drawn.colour, linewidth=2.2, label=agent, zorder=2)
        elif agent == HINDSIGHT:
            axes.plot(mean, height, "D", color=drawn.colour, markerfacecolor="white", markersize=5, label=agent)
        else:
            axes.hlines(height, low, high, color=drawn.colour, linewidth=2, alpha=0.75, zorder=3)
            axes.plot(mean, height, drawn.marker, color=drawn.colour, markersize=4.5, label=agent, zorder=4)
        texts = [_dot_text(name, agent, rows[name], measure) for name in own]
        marks += [
            Mark(axes, (x, x), (y, y), text) for x, y, text in zip(mean, height, texts, strict=True) if np.isfinite(x)
        ]
    axes.axvline(0, color=FAINT, linewidth=1)
    axes.axhline(heights[names[-1]] + 0.75, color=FAINT, linewidth=1)
    axes.set_yticks(list(heights.values()), list(heights))
    axes.set_ylim(heights[names[-1]] - 0.7, len(names) + 0.7)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}%"))
    axes.set_xlabel(f"{label}  (bars: 95 % bootstrap interval over seeds)")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=6, handletextpad=0.3)
    return Drawn(figure, caption, marks)


def _dot_text(name: str, agent: str, row: Mapping[str, Cell | Comparison], measure: str) -> str:
    found = row[agent]
    doubt = "" if agent in NO_RANDOMNESS else f"\n95 % interval {found.interval_text}, {found.seeds_text}"
    hold = "" if agent == HOLD else f"\n{HOLD} {percent(row[HOLD].mean)}"
    share = f", {100 * found.share:.0f} % of hindsight's" if measure == "share" else ""
    return f"{name}\n{agent} {percent(found.mean)}{share}{doubt}{hold}\n{found.first} to {found.last}"


# ------------------------------------------------------------------------------------------------ shares of runs


def _draw_profile(results: Results, comparisons: Mapping[str, Comparison]) -> Drawn | None:
    """Draw for each difference to buy-and-hold the share of runs that reach it, mean over cells."""
    if not results.contenders:
        return None
    grid, shares = profiles(results)
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    axes = figure.subplots()
    for agent, (share, low, high) in shares.items():
        drawn = look(results, agent)
        axes.plot(100 * grid, 100 * share, color=drawn.colour, linestyle=drawn.dashes, label=agent, linewidth=1.6)
        axes.fill_between(100 * grid, 100 * low, 100 * high, color=drawn.colour, alpha=0.15, linewidth=0)
    axes.axvline(0, color="#000000", linewidth=2.2, label=HOLD)
    axes.set_ylim(0, 102)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:+g}"))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}%"))
    axes.set_xlabel("return less buy-and-hold's, in percentage points")
    axes.set_ylabel("runs that reach it")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=6)
    half = 100 * (grid[1] - grid[0]) / 2
    marks = []
    for place in range(len(grid)):
        lines = [f"more than {points(grid[place])} points above {HOLD}:"]
        for agent, (share, low, high) in shares.items():
            ends = f" (95 % interval {100 * low[place]:.0f} to {100 * high[place]:.0f})"
            doubt = "" if np.isnan(low[place]) else ends
            lines.append(f"{agent} {100 * share[place]:.0f} % of runs{doubt}, {comparisons[agent].seeds_text}")
        middle = 100 * float(grid[place])
        marks.append(Mark(axes, (middle - half, middle + half), None, "\n".join(lines)))
    return Drawn(
        figure,
        "The performance profile (Dolan and More 2002; Agarwal et al. 2021): the share of runs, one of a seed on a "
        "ticker in a year, that end more than so far above buy-and-hold; bands are 95 % bootstrap intervals. "
        "Read it at the black line: more than half of the runs there beat buy-and-hold, or fewer. A curve that lies "
        "above another everywhere is the better one; where they cross, it depends on the taste for risk.",
        marks,
    )


# ------------------------------------------------------------------------------------------------ costs


def _draw_costs(results: Results, comparisons: Mapping[str, Comparison]) -> Drawn:
    paid = results.runs.groupby(["agent", "seed"])["costs"].mean()
    agents = results.agents[::-1]
    figure = Figure(figsize=(9, 1.6 + 0.4 * len(agents)), layout="constrained")
    axes = figure.subplots()
    marks = []
    for height, agent in enumerate(agents):
        mean, measures = comparisons[agent].measures["costs"], comparisons[agent].measures
        drawn, dearest = look(results, agent), paid[agent].max()
        axes.barh(height, mean, color=drawn.colour, hatch=drawn.hatch, edgecolor="white", linewidth=0, height=0.6)
        axes.hlines(height, paid[agent].min(), dearest, color="#4a5560", linewidth=1.5)
        said = f"${mean:,.0f}, {measures['trades']:,.0f} trades, turnover {measures['turnover']:.1f}"
        axes.annotate(said, (max(mean, dearest), height), xytext=(6, 0), textcoords="offset points", va="center")
        spread = f"seeds from ${paid[agent].min():,.0f} to ${dearest:,.0f}, {comparisons[agent].seeds_text}"
        marks.append(Mark(axes, (0, max(mean, dearest)), (height - 0.4, height + 0.4), f"{agent} {said}\n{spread}"))
    axes.set_yticks(range(len(agents)), agents)
    axes.margins(x=0.4)
    axes.set_xlim(left=0)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_formatter(StrMethodFormatter("${x:,.0f}"))
    return Drawn(
        figure,
        "Fees and slippage that one account paid in one test period, the mean over tickers, years and seeds; the thin "
        "line reaches from the cheapest seed to the dearest. Look whether the costs alone explain what is missing to "
        "buy-and-hold.",
        marks,
    )
