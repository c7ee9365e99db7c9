"""Learning curves of one method: what `benchmarks.quality` gathers, measures and draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from etfgym.atomic import write_atomically

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curves:
    """Scores and seconds of training, shape (problems, seeds, checks), at `transitions` (checks,)."""

    transitions: Sequence[int]
    seconds: Floats
    scores: Floats

    def ends(self) -> list[float]:
        """Return the last score of each seed, a mean over the problems."""
        means: list[float] = self.scores[..., -1].mean(axis=0).tolist()
        return means

    def best(self) -> Floats:
        """Return the best level of each seed's mean over the problems, shape (seeds,)."""
        return np.asarray(self.scores.mean(axis=0).max(axis=1))

    def first_at(self, levels: npt.ArrayLike) -> tuple[list[float], list[float]]:
        """Return transitions and seconds after which each seed's mean over the problems first is at its level.

        Args:
            levels: One for all seeds, or one a seed. A seed that never gets there has infinity.

        Example:
            >>> curves = Curves([10, 20], np.array([[[1.0, 2.0]]]), np.array([[[0.5, 0.9]]]))
            >>> curves.first_at(0.8), curves.first_at(1.0)
            (([20.0], [2.0]), ([inf], [inf]))
        """
        scores, seconds = self.scores.mean(axis=0), self.seconds.mean(axis=0)  # (seeds, checks)
        reached = scores >= np.reshape(levels, (-1, 1))
        rows = list(enumerate(np.where(reached.any(axis=1), reached.argmax(axis=1), -1).tolist()))
        return (
            [float(self.transitions[place]) if place >= 0 else math.inf for _, place in rows],
            [float(seconds[seed, place]) if place >= 0 else math.inf for seed, place in rows],
        )


def draw(path: Path, curves: Mapping[str, Curves], *, score: str, title: str, levels: Mapping[str, float]) -> None:
    """Write a PNG of scores against transitions and against seconds: means over problems and seeds.

    Args:
        path: The file, written whole or not at all.
        curves: By method.
        score: What the score is, for the axis.
        title: What holds for the figure as a whole.
        levels: Horizontal lines, by name.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    for method, found in curves.items():
        mean = found.scores.mean(axis=(0, 1))  # (checks,)
        spread = found.scores.mean(axis=0)  # (seeds, checks)
        places: tuple[Sequence[int] | Floats, ...] = (found.transitions, found.seconds.mean(axis=(0, 1)))
        for axes, x in zip((left, right), places, strict=True):
            (line,) = axes.plot(x, mean, marker=".", label=method)
            axes.fill_between(x, spread.min(axis=0), spread.max(axis=0), color=line.get_color(), alpha=0.15, lw=0)
    for axes, label in ((left, "transitions"), (right, "seconds of training")):
        for style, (name, level) in zip(("--", ":"), levels.items(), strict=False):
            axes.axhline(level, color="0.4", ls=style, lw=1, label=name)
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
    right.set_xscale("log")
    left.set_ylabel(score)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(title, fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda part: figure.savefig(part, format="png", dpi=120))
