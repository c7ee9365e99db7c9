"""The figures of a report, each a PNG that can be shown alone: dates, seeds and buy-and-hold stand in it.

Colours are those of Okabe and Ito (2008), told apart with any colour vision, and an agent has the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import MONTHLY, YEARLY, AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from etfgym import metrics
from etfgym.atomic import write_atomically
from etfgym.report.results import HINDSIGHT, HOLD, NO_RANDOMNESS, ONE_RUN, Results
from etfgym.report.tables import Cell, Comparison, compare, percent

COLOURS = {
    HOLD: "#000000",
    "ramped-buy-and-hold": "#E69F00",
    "ma-cross": "#009E73",
    "random": "#CC79A7",
    HINDSIGHT: "#56B4E9",
}
LEARNER_COLOURS = ("#0072B2", "#D55E00", "#F0E442")

STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#9aa3ad",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.dpi": 130,
    "figure.facecolor": "white",
    "font.size": 9,
    "grid.color": "#e6e9ed",
    "legend.frameon": False,
    "text.parse_math": False,  # a ticker may hold a dollar sign
    "xtick.color": "#4a5560",
    "ytick.color": "#4a5560",
}

INTERVALS = {"mean": "interval", "share": "share_interval"}

MOST_ROWS = 60
MOST_PANELS_ALONE = 6
MOST_TRADE_CELLS = 4


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure's file, its heading, and a caption that says what to look for."""

    path: Path
    heading: str
    caption: str


def write_figures(
    results: Results, cells: Mapping[str, Sequence[Cell]], comparisons: Mapping[str, Comparison]
) -> list[Drawing]:
    """Draw every figure that the results allow into the folder's `figures/`, each file whole or not at all.

    Args:
        results: Of `results.load_results`.
        cells: Of `tables.cell_table`, for every agent.
        comparisons: Of `tables.compare`, for every agent.
    """
    curves = _curves(results)
    drawers: list[tuple[str, str, Callable[[], tuple[Figure, str] | None]]] = [
        ("returns", "Return of each ticker", lambda: _draw_returns(results, cells, comparisons)),
        ("equity", "Growth of the account", lambda: _draw_growth(results, curves)),
        ("drawdown", "Drawdown", lambda: _draw_drawdown(results, curves)),
        ("trades", "Where it bought and sold", lambda: _draw_trades(results, cells, curves)),
        ("share", "Share of the hindsight line", lambda: _draw_shares(results, cells, comparisons)),
        ("costs", "Costs paid", lambda: _draw_costs(results, comparisons)),
    ]
    folder = results.folder / "figures"
    folder.mkdir(exist_ok=True)
    drawings = []
    for name, heading, draw in drawers:
        path = folder / f"{name}.png"
        with mpl.rc_context(STYLE):  # type: ignore[arg-type]
            drawn = draw()
            if drawn is None:
                path.unlink(missing_ok=True)  # of an earlier run of other agents
                continue
            figure, caption = drawn
            figure.supxlabel(_conditions(results), fontsize=8, color="#5b6670")
            write_atomically(path, lambda part, figure=figure: figure.savefig(part, format="png"))  # type: ignore[misc]
        drawings.append(Drawing(path, heading, caption))
    return drawings


def _conditions(results: Results) -> str:
    """Return what must stand beside any return: out-of-sample dates, costs and seeds."""
    counts = results.runs.groupby(ONE_RUN[:3]).size().groupby("agent").agg(["min", "max"])
    seeds = ", ".join(
        f"{agent} {low}" if low == high else f"{agent} {low}-{high}" for agent, low, high in counts.itertuples()
    )
    first, last = results.period
    return f"out of sample {first} to {last};  {results.costs_text}\nseeds: {seeds}"


def _colour(results: Results, agent: str) -> str:
    learners = [name for name in results.agents if name not in COLOURS]
    return COLOURS.get(agent) or LEARNER_COLOURS[learners.index(agent) % len(LEARNER_COLOURS)]


# ------------------------------------------------------------------------------------------------ dots and intervals


def _draw_returns(
    results: Results, cells: Mapping[str, Sequence[Cell]], comparisons: Mapping[str, Comparison]
) -> tuple[Figure, str]:
    rows = _rows(results, cells) | {"mean of all": comparisons}
    return _dots(results, rows, "mean", "return in the test period"), (
        "Dots are means over seeds, bars their 95 % bootstrap intervals; the black line is buy-and-hold. Look for dots "
        "whose whole bar lies right of the black line, and at how many do not. A dot without a bar has one run."
        + _merged_note(cells)
    )


def _draw_shares(
    results: Results, cells: Mapping[str, Sequence[Cell]], comparisons: Mapping[str, Comparison]
) -> tuple[Figure, str] | None:
    if np.isnan(comparisons[HOLD].share):
        return None
    rows = _rows(results, cells) | {"all profits": comparisons}
    return _dots(results, rows, "share", "profit as a share of hindsight's"), (
        "Hindsight is a ceiling and no strategy: no sequence of allowed orders could have earned more, and it is known "
        "only afterwards. Look at how far below 100 % everything stays, and whether an agent's share is larger "
        "than buy-and-hold's. Bars are the 95 % intervals of the return over seeds. Below zero is a loss."
        + _merged_note(cells)
    )


def _merged_note(cells: Mapping[str, Sequence[Cell]]) -> str:
    merged = len(cells[HOLD]) > MOST_ROWS
    return " Each row is the mean over the ticker's test years; the tables have them year by year." * merged


def _rows(results: Results, cells: Mapping[str, Sequence[Cell]]) -> dict[str, Mapping[str, Cell | Comparison]]:
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


def _dots(results: Results, rows: Mapping[str, Mapping[str, Cell | Comparison]], measure: str, label: str) -> Figure:
    """Draw a dot and an interval of `measure` for each row and agent; the last row sums up and stands apart."""
    names = [name for name in rows if not np.isnan(getattr(rows[name][HOLD], measure))]
    agents = [agent for agent in results.agents if measure == "mean" or agent != HINDSIGHT]
    heights = {name: len(names) - place - 0.5 * (place == len(names) - 1) for place, name in enumerate(names)}
    figure = Figure(figsize=(9, 2.2 + 0.34 * len(names)), layout="constrained")
    axes = figure.subplots()
    movable = [agent for agent in agents if agent not in {HOLD, HINDSIGHT}]
    for agent in agents:
        own = [name for name in names if agent in rows[name]]
        shift = 0.0 if agent not in movable else 0.6 * ((movable.index(agent) + 0.5) / len(movable) - 0.5)
        height = np.array([heights[name] for name in own]) - shift
        mean = 100 * np.array([getattr(rows[name][agent], measure) for name in own])
        intervals = [getattr(rows[name][agent], INTERVALS[measure]) for name in own]
        low, high = 100 * np.array(intervals).T  # NaN, and so not drawn, where there is none
        colour = _colour(results, agent)
        if agent == HOLD:
            axes.vlines(mean, height - 0.38, height + 0.38, color=colour, linewidth=2.2, label=agent, zorder=2)
        elif agent == HINDSIGHT:
            axes.plot(mean, height, "D", color=colour, markerfacecolor="white", markersize=5, label=agent)
        else:
            axes.hlines(height, low, high, color=colour, linewidth=2, alpha=0.75, zorder=3)
            axes.plot(mean, height, "o", color=colour, markersize=4.5, label=agent, zorder=4)
    axes.axvline(0, color="#9aa3ad", linewidth=1)
    axes.axhline(heights[names[-1]] + 0.75, color="#9aa3ad", linewidth=1)
    axes.set_yticks(list(heights.values()), list(heights))
    axes.set_ylim(heights[names[-1]] - 0.7, len(names) + 0.7)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}%"))
    axes.set_xlabel(f"{label}  (bars: 95 % bootstrap interval over seeds)")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=len(agents), handletextpad=0.3)
    return figure


# ------------------------------------------------------------------------------------------------ curves


def _curves(results: Results) -> pd.DataFrame:
    """Return the daily accounts with `growth` since the start and `drawdown` below the highest so far, in percent."""
    runs = results.equity.groupby(ONE_RUN)["equity"]
    growth = 100 * (results.equity["equity"] / runs.transform("first") - 1)
    drawdown = -100 * runs.transform(lambda equity: metrics.drawdown(equity.to_numpy(np.float64)))
    return results.equity.assign(growth=growth, drawdown=drawdown)


def _bands(curves: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return mean, min and max over seeds by ticker, agent, year and date; a row of NaN parts the years."""
    keys = ["ticker", "agent", "year", "date"]
    bands = curves.groupby(keys)[column].agg(["mean", "min", "max"]).reset_index()
    breaks = bands.groupby(keys[:3]).tail(1).assign(mean=np.nan, min=np.nan, max=np.nan)
    return pd.concat([bands, breaks]).sort_values(keys, kind="stable", ignore_index=True)


def _mean_over_tickers(curves: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the curves of each seed's mean over tickers; a ticker without a bar that day keeps its last value."""
    means = []
    for _, own in curves.groupby(["agent", "year"]):
        wide = own.pivot(index="date", columns=["ticker", "seed"], values=column).ffill()
        by_seed = wide.T.groupby(level="seed").mean().T.melt(ignore_index=False, value_name=column).reset_index()
        means.append(
            by_seed.assign(agent=own["agent"].iloc[0], year=own["year"].iloc[0], ticker="Mean over all tickers")
        )
    return pd.concat(means, ignore_index=True)


def _draw_growth(results: Results, curves: pd.DataFrame) -> tuple[Figure, str]:
    return _small_multiples(results, curves, "growth"), (
        "The line is the mean over seeds, the band reaches from the worst seed to the best. Look whether the band lies "
        "above buy-and-hold for most of the time, or only because of a few days. Hindsight is left out for the scale."
        + " Every test year starts anew with the initial cash." * (len(results.years) > 1)
        + " The first panel is the mean over all tickers." * _has_overview(results)
    )


def _draw_drawdown(results: Results, curves: pd.DataFrame) -> tuple[Figure, str]:
    return _small_multiples(results, curves, "drawdown"), (
        "How far each account stood below its highest value so far: the loss that had to be sat through. A smaller one "
        "than buy-and-hold's can come from skill, or from holding less; compare the growth above. Line and band as "
        "there." + " The first panel is the mean over all tickers." * _has_overview(results)
    )


def _has_overview(results: Results) -> bool:
    return results.runs["ticker"].nunique() > MOST_PANELS_ALONE


def _small_multiples(results: Results, curves: pd.DataFrame, column: str) -> Figure:
    """Draw a panel for each ticker, headed by the mean over tickers where there are many."""
    shown = curves[curves["agent"] != HINDSIGHT]
    by_ticker = dict(iter(_bands(shown, column).groupby("ticker")))
    overview = _has_overview(results)
    across = min(len(by_ticker), 5 if overview else 2)
    down = -(-len(by_ticker) // across)
    figure = Figure(figsize=(11, (4 + 1.5 * down) if overview else 1.2 + 3 * down), layout="constrained")
    grid = figure.add_gridspec(down + overview, across, height_ratios=[2.2] * overview + [1] * down)
    panels: list[Axes] = []
    if overview:
        mean = _bands(_mean_over_tickers(shown, column), column)
        _draw_panel(results, figure.add_subplot(grid[0, :]), mean)
    for place, bands in enumerate(by_ticker.values()):
        share = panels[0] if panels and overview else None
        panel = figure.add_subplot(grid[place // across + overview, place % across], sharex=share, sharey=share)
        _draw_panel(results, panel, bands)
        panels.append(panel)
        if overview:
            for line in panel.get_lines():
                line.set_linewidth(0.6 * line.get_linewidth())
            panel.tick_params(labelsize=7, labelleft=place % across == 0, labelbottom=place + across >= len(by_ticker))
            panel.xaxis.get_offset_text().set_visible(False)
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="outside upper left",
        ncols=6,
        title="line: mean over seeds, band: lowest to highest seed",
        alignment="left",
    )
    return figure


def _draw_panel(results: Results, axes: Axes, bands: pd.DataFrame) -> None:
    for place, agent in enumerate(results.agents):
        own = bands[bands["agent"] == agent]
        if own.empty:
            continue
        colour, above = _colour(results, agent), 3 + len(results.agents) - place
        width = 1.6 if agent in {HOLD, *results.headliners} else 1.0
        axes.plot(own["date"], own["mean"], color=colour, linewidth=width, label=agent, zorder=above)
        if not own["min"].equals(own["max"]):
            axes.fill_between(own["date"], own["min"], own["max"], color=colour, alpha=0.18, linewidth=0)
    axes.axhline(0, color="#9aa3ad", linewidth=0.8)
    axes.set_title(bands["ticker"].iloc[0])
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}%"))
    _format_dates(axes)


def _format_dates(axes: Axes) -> None:
    locator = AutoDateLocator(minticks=3, maxticks={YEARLY: 6, MONTHLY: 8})
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


# ------------------------------------------------------------------------------------------------ trades and costs


def _draw_trades(
    results: Results, cells: Mapping[str, Sequence[Cell]], curves: pd.DataFrame
) -> tuple[Figure, str] | None:
    if not results.contenders:
        return None
    agent = results.contenders[0]
    chosen = _chosen(cells[agent])
    across = 3 if len(chosen) == 3 else min(2, len(chosen))
    down = -(-len(chosen) // across)
    figure = Figure(figsize=(11, 0.9 + 3.6 * down), layout="constrained")
    for part, (cell, why) in zip(figure.subfigures(down, across, squeeze=False).flat, chosen, strict=False):
        here = curves[(curves["ticker"] == cell.ticker) & (curves["year"] == cell.year)]
        hold = here[here["agent"] == HOLD].drop_duplicates("date").set_index("date")["growth"]
        seed = _median_seed(results, cell)
        own = here[(here["agent"] == agent) & (here["seed"] == seed)].set_index("date")
        line, area = part.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        _draw_orders(line, area, hold, own, _colour(results, agent))
        line.set_title(_trades_title(cell, why, seed, float(own["growth"].iloc[-1])))
    figure.legend(*line.get_legend_handles_labels(), loc="outside upper left", ncols=3)
    which = "" if len(chosen) == len(cells[agent]) else " Shown are its best, median and worst against buy-and-hold."
    return figure, (
        f"Up: {agent} bought; down: it sold; drawn on buy-and-hold's growth, with the units it held at the close below."
        f" One seed, the one of median return.{which} Look for purchases before rises and sales before falls; an area "
        f"that only fills up is buy-and-hold by another name. The account is sold out at the last close."
    )


def _trades_title(cell: Cell, why: str, seed: int, growth: float) -> str:
    shown = f"\nshown: seed {seed}, median of {cell.seeds}: {growth:+.1f} %" if cell.seeds > 1 else ""
    doubt = "" if cell.agent in NO_RANDOMNESS else "95 % interval\n  "
    mean = f"\n{cell.agent}: mean {percent(cell.mean)}, {doubt}{cell.interval_text}"
    return f"{cell.ticker} {cell.year}{why}{shown}{mean}\n{HOLD}: {percent(cell.hold)}"


def _chosen(cells: Sequence[Cell]) -> list[tuple[Cell, str]]:
    """Return all cells if there are few, otherwise the best, the median and the worst against buy-and-hold."""
    if len(cells) <= MOST_TRADE_CELLS:
        return [(cell, "") for cell in cells]
    ranked = sorted(cells, key=lambda cell: cell.mean - cell.hold)
    return [(ranked[-1], " (best)"), (ranked[len(ranked) // 2], " (median)"), (ranked[0], " (worst)")]


def _median_seed(results: Results, cell: Cell) -> int:
    """Return the seed of median return, of two the lower one's."""
    runs = results.runs
    own = runs[(runs["agent"] == cell.agent) & (runs["ticker"] == cell.ticker) & (runs["year"] == cell.year)]
    return int(own.sort_values(["total_return", "seed"])["seed"].iloc[(len(own) - 1) // 2])


def _draw_orders(line: Axes, area: Axes, hold: pd.Series[float], own: pd.DataFrame, colour: str) -> None:
    line.plot(hold.index, hold, color=COLOURS[HOLD], linewidth=1, label=f"{HOLD}'s growth")
    for sign, marker, face, label in ((1, "^", colour, "bought"), (-1, "v", "#D55E00", "sold")):
        days = own.index[np.sign(own["filled"]) == sign].intersection(hold.index)
        line.plot(days, hold[days], marker, color=face, markersize=4, alpha=0.8, markeredgewidth=0, label=label)
    line.yaxis.set_major_formatter(StrMethodFormatter("{x:g}%"))
    area.fill_between(own.index, own["units"], step="post", color=colour, alpha=0.35, linewidth=0)
    area.set_ylim(0, 1.1 * max(1, own["units"].max()))
    area.set_ylabel("units")
    _format_dates(area)


def _draw_costs(results: Results, comparisons: Mapping[str, Comparison]) -> tuple[Figure, str]:
    paid = results.runs.groupby(["agent", "seed"])["costs"].mean()
    agents = results.agents[::-1]
    figure = Figure(figsize=(9, 1.6 + 0.4 * len(agents)), layout="constrained")
    axes = figure.subplots()
    for height, agent in enumerate(agents):
        mean, measures = comparisons[agent].measures["costs"], comparisons[agent].measures
        axes.barh(height, mean, color=_colour(results, agent), height=0.6)
        axes.hlines(height, paid[agent].min(), paid[agent].max(), color="#4a5560", linewidth=1.5)
        axes.annotate(
            f"${mean:,.0f}, {measures['trades']:,.0f} trades, turnover {measures['turnover']:.1f}",
            (max(mean, paid[agent].max()), height),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_yticks(range(len(agents)), agents)
    axes.margins(x=0.4)
    axes.set_xlim(left=0)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_formatter(StrMethodFormatter("${x:,.0f}"))
    return figure, (
        "Fees and slippage that one account paid in one test period, the mean over tickers, years and seeds; the thin "
        "line reaches from the cheapest seed to the dearest. Look whether the costs alone explain what is missing to "
        "buy-and-hold."
    )
