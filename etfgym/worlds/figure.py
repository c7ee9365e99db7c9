"""The figure of a report on worlds: the score beside the bar, and each fact beside the real value."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from etfgym.atomic import write_atomically
from etfgym.report.style import STYLE

if TYPE_CHECKING:
    from etfgym.worlds.report import Report

COLOURS = ("#000000", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00")
"""Okabe and Ito's (2008), as in the other reports."""

LABELS = {
    "drift": "Drift a year",
    "volatility": "Volatility a year",
    "kurtosis": "Excess kurtosis",
    "tail_index": "Tail index (Hill)",
    "clustering": "Autocorrelation of |r|, lags 1-20",
    "leverage": "Leverage effect, lags 1-10",
    "correlation": "Correlation between tickers",
}


def write_figure(report: Report, path: Path) -> None:
    """Draw the report as a PNG, written whole or not at all."""
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        figure = draw(report)
        write_atomically(path, lambda part: figure.savefig(part, format="png"))


def draw(report: Report) -> Figure:
    """Return the figure: a panel for the score and one for each fact that the history has."""
    figure = Figure(figsize=(11, 5.6), layout="constrained")
    panels = figure.subplots(2, 4, sharey=True).flat
    facts = [(place, label) for place, label in enumerate(LABELS.values()) if not np.isnan(report.real[place])]
    _draw_scores(report, next(panels))
    for (place, label), axes in zip(facts, panels, strict=False):
        for height, judged in enumerate(report.worlds):
            axes.plot(judged.facts[:, place], np.full(len(judged.facts), height), ".", color=COLOURS[height], alpha=0.4)
            axes.plot(judged.facts[:, place].mean(), height, "|", color=COLOURS[height], markersize=16)
        axes.axvline(report.real[place], color="#4a5560", linewidth=1.2)
        axes.set_title(label)
    for axes in panels:
        axes.set_visible(False)
    figure.suptitle(
        f"Worlds of {', '.join(report.history.tickers)}, {report.history.span}. Score: mean of "
        f"{report.worlds[0].scores.size} seeds, 0 is best, dashed: the bar. "
        "Facts: a dot is one path, | their mean, the line is the real value",
        fontsize=9,
        x=0.01,
        ha="left",
    )
    return figure


def _draw_scores(report: Report, axes: Axes) -> None:
    for height, judged in enumerate(report.worlds):
        axes.hlines(height, *judged.interval, color=COLOURS[height], linewidth=2)
        axes.plot(judged.score, height, "o", color=COLOURS[height], markersize=5)
    axes.axvline(report.worlds[0].score, color=COLOURS[0], linewidth=0.8, linestyle="--")
    axes.set_yticks(range(len(report.worlds)), [judged.world for judged in report.worlds])
    axes.set_ylim(len(report.worlds) - 0.5, -0.5)
    axes.set_xlim(0, 0.5)
    axes.set_title("Discriminative score, 95 %")
