"""The figures with days along them: growth, drawdown, and where an agent bought and sold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import MONTHLY, YEARLY, AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from etfgym import metrics
from etfgym.report.results import HINDSIGHT, HOLD, NO_RANDOMNESS, Results
from etfgym.report.style import FAINT, LOOKS, Drawn, Mark, look
from etfgym.report.tables import Cell, percent, points

MOST_PANELS_ALONE = 6
MOST_TRADE_CELLS = 4
MEAN_PANEL = "Mean over all tickers"


def daily_curves(results: Results) -> pd.DataFrame:
    """Return the daily accounts with `growth` since the start and `drawdown` below the highest so far, in percent."""
    equity = results.equity["equity"].to_numpy(np.float64)
    growth, drawdown = np.empty_like(equity), np.empty_like(equity)
    for _, days in results.days_of_runs:
        growth[days] = 100 * (equity[days] / equity[days[:, :1]] - 1)
        drawdown[days] = -100 * metrics.drawdown(equity[days])
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
        means.append(by_seed.assign(agent=own["agent"].iloc[0], year=own["year"].iloc[0], ticker=MEAN_PANEL))
    return pd.concat(means, ignore_index=True)


def draw_growth(results: Results, curves: pd.DataFrame) -> Drawn:
    """Draw each account's growth since the start of its year."""
    caption = (
        "The line is the mean over seeds, the band reaches from the worst seed to the best. Look whether the band lies "
        "above buy-and-hold for most of the time, or only because of a few days. Hindsight is left out for the scale."
        + " Every test year starts anew with the initial cash."
        * (len(results.years) > 1)
    )
    return _small_multiples(results, curves, "growth", caption)


def draw_drawdown(results: Results, curves: pd.DataFrame) -> Drawn:
    """Draw how far each account lay below its highest value so far."""
    caption = (
        "How far each account stood below its highest value so far: the loss that had to be sat through. A smaller one "
        "than buy-and-hold's can come from skill, or from holding less; compare the growth above. Line and band as "
        "there."
    )
    return _small_multiples(results, curves, "drawdown", caption)


def _small_multiples(results: Results, curves: pd.DataFrame, column: str, caption: str) -> Drawn:
    """Draw a panel for each ticker, headed by the mean over tickers where there are many."""
    shown = curves[curves["agent"] != HINDSIGHT]
    tickers = sorted(shown["ticker"].unique())
    overview = len(tickers) > MOST_PANELS_ALONE
    across = min(len(tickers), 5 if overview else 2)
    down = -(-len(tickers) // across)
    figure = Figure(figsize=(11, (4 + 1.5 * down) if overview else 1.2 + 3 * down), layout="constrained")
    grid = figure.add_gridspec(down + overview, across, height_ratios=[2.2] * overview + [1] * down)
    panels: list[Axes] = []
    marks: list[Mark] = []
    if overview:
        caption += " The first panel is the mean over all tickers; those below show learners and buy-and-hold only."
        axes = figure.add_subplot(grid[0, :])
        marks += _draw_panel(results, axes, _bands(_mean_over_tickers(shown, column), column))
        shown = shown[shown["agent"].isin({HOLD, *results.headliners})]
    for place, (_, bands) in enumerate(_bands(shown, column).groupby("ticker")):
        share = panels[0] if panels and overview else None
        panel = figure.add_subplot(grid[place // across + overview, place % across], sharex=share, sharey=share)
        marks += _draw_panel(results, panel, bands, small=overview)
        panels.append(panel)
        if overview:
            for line in panel.get_lines():
                line.set_linewidth(0.6 * line.get_linewidth())
            panel.tick_params(labelsize=7, labelleft=place % across == 0, labelbottom=place + across >= len(tickers))
            panel.xaxis.get_offset_text().set_visible(False)
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="outside upper left",
        ncols=6,
        title="line: mean over seeds, band: lowest to highest seed",
        alignment="left",
    )
    return Drawn(figure, caption, marks)


def _draw_panel(results: Results, axes: Axes, bands: pd.DataFrame, *, small: bool = False) -> list[Mark]:
    by_agent = dict(iter(bands.groupby("agent")))
    agents = [agent for agent in results.agents if agent in by_agent]
    for place, agent in enumerate(agents):
        own, drawn = by_agent[agent], look(results, agent)
        width = 1.6 if agent in {HOLD, *results.headliners} else 1.0
        keywords: dict[str, Any] = {"color": drawn.colour, "rasterized": True}  # years of days as vectors are megabytes
        above = 3 + len(agents) - place
        axes.plot(
            own["date"], own["mean"], linestyle=drawn.dashes, linewidth=width, label=agent, zorder=above, **keywords
        )
        if not small and not own["min"].equals(own["max"]):
            axes.fill_between(own["date"], own["min"], own["max"], alpha=0.18, linewidth=0, **keywords)
    ticker = str(bands["ticker"].iloc[0])
    axes.axhline(0, color=FAINT, linewidth=0.8)
    axes.set_title(ticker)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}%"))
    _format_dates(axes)
    return _day_marks(axes, ticker, {agent: by_agent[agent] for agent in agents}, 20 if small else 60)


def _day_marks(axes: Axes, ticker: str, by_agent: Mapping[str, pd.DataFrame], most: int) -> list[Mark]:
    """Return marks side by side over a panel, each with the accounts of its last day."""
    held = by_agent[HOLD].dropna()
    step = -(-len(held) // most)
    place = held.groupby("year").cumcount()
    firsts = held[place % step == 0]
    lasts = held[(place % step == step - 1) | ~held["year"].duplicated(keep="last")]
    values = {
        agent: bands.dropna().set_index(["year", "date"]).reindex(pd.MultiIndex.from_frame(lasts[["year", "date"]]))
        for agent, bands in by_agent.items()
    }
    texts = [f"{ticker}, {day.date()}" for day in lasts["date"]]
    for agent, bands in values.items():
        for number, (mean, low, high) in enumerate(bands[["mean", "min", "max"]].to_numpy(np.float64)):
            if not np.isnan(mean):
                spread = f" (seeds {points(low / 100)} to {points(high / 100)})" if high > low else ""
                texts[number] += f"\n{agent} {points(mean / 100)} %{spread}"
    ends = zip(date2num(firsts["date"]) - 0.5, date2num(lasts["date"]) + 0.5, texts, strict=True)
    return [Mark(axes, (float(first), float(last)), None, text) for first, last, text in ends]


def _format_dates(axes: Axes) -> None:
    locator = AutoDateLocator(minticks=3, maxticks={YEARLY: 6, MONTHLY: 8})
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


# ------------------------------------------------------------------------------------------------ trades


def draw_trades(results: Results, cells: Mapping[str, Sequence[Cell]], curves: pd.DataFrame) -> Drawn | None:
    """Draw the orders of the first contender in a few cells."""
    if not results.contenders:
        return None
    agent = results.contenders[0]
    chosen = chosen_cells(cells[agent])
    across = 3 if len(chosen) == 3 else min(2, len(chosen))
    down = -(-len(chosen) // across)
    figure = Figure(figsize=(11, 0.9 + 3.6 * down), layout="constrained")
    marks: list[Mark] = []
    for part, (cell, why) in zip(figure.subfigures(down, across, squeeze=False).flat, chosen, strict=False):
        here = curves[(curves["ticker"] == cell.ticker) & (curves["year"] == cell.year)]
        hold = here[here["agent"] == HOLD].drop_duplicates("date").set_index("date")["growth"]
        seed = _median_seed(results, cell)
        own = here[(here["agent"] == agent) & (here["seed"] == seed)].set_index("date")
        line, area = part.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        _draw_orders(line, area, hold, own, look(results, agent).colour)
        line.set_title(_trades_title(cell, why, seed, float(own["growth"].iloc[-1])))
        marks += _week_marks(line, f"{agent}, seed {seed}, {cell.ticker}", own, hold)
    figure.legend(*line.get_legend_handles_labels(), loc="outside upper left", ncols=3)
    which = "" if len(chosen) == len(cells[agent]) else " Shown are its best, median and worst against buy-and-hold."
    caption = (
        f"Up: {agent} bought; down: it sold; drawn on buy-and-hold's growth, with the units it held at the close below."
        f" One seed, the one of median return.{which} Look for purchases before rises and sales before falls; an area "
        f"that only fills up is buy-and-hold by another name. The account is sold out at the last close."
    )
    return Drawn(figure, caption, marks)


def _trades_title(cell: Cell, why: str, seed: int, growth: float) -> str:
    shown = f"\nshown: seed {seed}, median of {cell.seeds}: {growth:+.1f} %" if cell.seeds > 1 else ""
    doubt = "" if cell.agent in NO_RANDOMNESS else "95 % interval\n  "
    mean = f"\n{cell.agent}: mean {percent(cell.mean)}, {doubt}{cell.interval_text}"
    return f"{cell.ticker} {cell.year}{why}{shown}{mean}\n{HOLD}: {percent(cell.hold)}"


def chosen_cells(cells: Sequence[Cell]) -> list[tuple[Cell, str]]:
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
    line.plot(hold.index, hold, color=LOOKS[HOLD].colour, linewidth=1, label=f"{HOLD}'s growth")
    for sign, marker, face, label in ((1, "^", colour, "bought"), (-1, "v", "#D55E00", "sold")):
        days = own.index[np.sign(own["filled"]) == sign].intersection(hold.index)
        line.plot(days, hold[days], marker, color=face, markersize=4, alpha=0.8, markeredgewidth=0, label=label)
    line.yaxis.set_major_formatter(StrMethodFormatter("{x:g}%"))
    area.fill_between(own.index, own["units"], step="post", color=colour, alpha=0.35, linewidth=0)
    area.set_ylim(0, 1.1 * max(1, own["units"].max()))
    area.set_ylabel("units")
    _format_dates(area)


def _week_marks(axes: Axes, whose: str, own: pd.DataFrame, hold: pd.Series[float]) -> list[Mark]:
    """Return a mark for each week: what was bought and sold in it, and where the accounts stood at its end."""
    marks = []
    for _, week in own.groupby(pd.PeriodIndex(own.index, freq="W")):
        first, last, filled = week.index[0], week.index[-1], week["filled"]
        held = f"\n{HOLD} {hold[last]:+.1f} %" if last in hold.index else ""
        text = (
            f"{whose}, {first.date()} to {last.date()}\nbought {filled.clip(lower=0).sum():g}, "
            f"sold {-filled.clip(upper=0).sum():g} units, {week['units'].iloc[-1]:g} at the end\n"
            f"account {week['growth'].iloc[-1]:+.1f} %{held}"
        )
        marks.append(Mark(axes, (float(date2num(first)) - 0.5, float(date2num(last)) + 0.5), None, text))
    return marks
