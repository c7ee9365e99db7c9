"""How like the real market each world is: stylised facts and the discriminative score, and who fails the bar.

The bar is the block bootstrap, which needs no training. A world fails it if the interval of its score less the
bootstrap's lies above zero. The two scores of a seed share the split into training and test.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from etfgym.atomic import write_atomically
from etfgym.stats import Interval, mean_interval
from etfgym.worlds import WORLDS
from etfgym.worlds.autoencoder import AutoencoderWorld
from etfgym.worlds.codes import Pca, principal_components, reconstruction_loss
from etfgym.worlds.discriminate import Fit, discriminative_score, halves
from etfgym.worlds.facts import Facts, stylised_facts
from etfgym.worlds.figure import write_figure
from etfgym.worlds.history import MOVE, PAID, Floats, History
from etfgym.worlds.windows import Space
from etfgym.worlds.world import fit_history

BAR = "bootstrap"
OPT_IN = frozenset({"gan"})
PATHS = 20
"""Paths of each world, as long as the history, that its facts are measured on."""
NAMES = tuple(fact.name for fact in fields(Facts))


@dataclass(frozen=True, eq=False)
class Judged:
    """A world's facts, shape (PATHS, facts), and its scores, shape (seeds,), beside the bar's."""

    world: str
    facts: Floats
    scores: Floats
    bar: Floats

    @property
    def score(self) -> float:
        """Mean over seeds."""
        return float(self.scores.mean())

    @property
    def interval(self) -> Interval:
        """Of the mean score."""
        return _interval(self.scores)

    @property
    def verdict(self) -> str:
        """Whether it fails, meets or beats the bar."""
        if self.world == BAR:
            return "the bar"
        low, high = _interval(self.scores - self.bar)
        return "fails" if low > 0 else "beats it" if high < 0 else "meets it"

    def misses(self, real: Floats) -> list[bool]:
        """Return, for each fact, whether all paths lie on one side of the `real` value, shape (facts,)."""
        return [bool(miss) for miss in (self.facts.min(axis=0) > real) | (self.facts.max(axis=0) < real)]


@dataclass(frozen=True, eq=False)
class Report:
    """All worlds beside the real facts, shape (facts,), and what coding loses of windows by coder, (seeds,) each."""

    history: History
    real: Floats
    worlds: list[Judged]
    losses: dict[str, Floats]

    @property
    def failing(self) -> list[str]:
        """Worlds that fail the bar."""
        return [judged.world for judged in self.worlds if judged.verdict == "fails"]


def make_report(history: History, seeds: int, *, gan: bool = False) -> Report:
    """Judge every world on a history.

    Args:
        history: Real steps.
        seeds: How many splits, paths and trainings the scores are averaged over, two or more.
        gan: Whether to include the GAN, which takes longer than the others together.
    """
    names = [name for name in WORLDS if gan or name not in OPT_IN]
    facts, scores = {}, {}
    with tqdm(total=len(names) * seeds, unit="fit", disable=None) as progress:
        for name in names:
            progress.set_description(name)
            facts[name] = _facts_of(name, history)
            scores[name] = np.empty(seeds)
            for seed in range(seeds):
                scores[name][seed] = discriminative_score(_fitter(name, seed), history, seed)
                progress.update()
    judged = [Judged(name, facts[name], scores[name], scores[BAR]) for name in names]
    return Report(history, _as_row(stylised_facts(history.total_returns)), judged, _losses(history, seeds))


def _fitter(name: str, seed: int) -> Fit:
    return lambda part: fit_history(name, part, seed=seed).model.draw


def _facts_of(name: str, history: History) -> Floats:
    model = fit_history(name, history).model
    rows = []
    for seed in range(PATHS):
        steps = model.draw(np.random.default_rng(seed), history.steps.shape[1])
        rows.append(_as_row(stylised_facts(steps[:, :, MOVE] + steps[:, :, PAID])))
    return np.stack(rows)


def _losses(history: History, seeds: int) -> dict[str, Floats]:
    """Return what a code of equal width loses of the windows of years that it was not fitted on."""
    lost: dict[str, list[float]] = {"pca": [], "autoencoder": []}
    for seed in range(seeds):
        train, test = halves(history.steps.shape[1], np.random.default_rng(seed))
        fitted = history.part(np.concatenate(train)).steps
        space = Space.of(fitted)
        windows, unseen = space.windows(fitted), space.windows(history.part(np.concatenate(test)).steps)
        lost["pca"].append(reconstruction_loss(principal_components(windows, Pca().latent), unseen))
        lost["autoencoder"].append(reconstruction_loss(AutoencoderWorld().train(windows, seed), unseen))
    return {name: np.array(losses) for name, losses in lost.items()}


def _as_row(facts: Facts) -> Floats:
    return np.array([getattr(facts, name) for name in NAMES])


def _interval(values: Floats) -> Interval:
    return mean_interval(values[None, :], np.random.default_rng(0))


# ------------------------------------------------------------------------------------------------ what is shown


def as_text(report: Report) -> str:
    """Return the table and the sentences below it."""
    shown = [i for i, value in enumerate(report.real) if not math.isnan(value)]
    lines = [["world", "score", "95 %", "bar", *(NAMES[i] for i in shown)]]
    lines.append(["real", "", "", "", *(f"{report.real[i]:.2f} " for i in shown)])
    for judged in report.worlds:
        means, misses = judged.facts.mean(axis=0), judged.misses(report.real)
        cells = [f"{means[i]:.2f}{'*' if misses[i] else ' '}" for i in shown]
        low, high = judged.interval
        lines.append([judged.world, f"{judged.score:.2f}", f"{low:.2f} to {high:.2f}", judged.verdict, *cells])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = []
    for name, *cells in lines:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        rows.append("  ".join([name.ljust(widths[0]), *padded]).rstrip())
    return "\n".join([*rows, "", _sentences(report)])


def _sentences(report: Report) -> str:
    history, bar = report.history, report.worlds[0]
    failing = report.failing
    who = f"{', '.join(failing)} fail{'s' * (len(failing) == 1)} it" if failing else "no world fails it"
    pca, autoencoder = (losses.mean() for losses in report.losses.values())
    return (
        f"Bars of {', '.join(history.tickers)}, {history.span}. Score: abs(accuracy - 0.5) of a GRU that tells real "
        f"windows from a world's, mean of {bar.scores.size} seeds with its 95 % interval.\n"
        f"The bar is the block bootstrap's {bar.score:.2f}: {who}.\n"
        f"Facts: mean of {PATHS} paths; * the real value lies outside all of them.\n"
        f"A code of {Pca().latent} numbers loses {100 * pca:.0f} % of the variance of unseen windows by principal "
        f"components, {100 * autoencoder:.0f} % by the autoencoder."
    )


def write_report(report: Report, folder: Path) -> None:
    """Write worlds.json and worlds.png into `folder`, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "tickers": report.history.tickers,
        "span": report.history.span,
        "real": _named(report.real),
        "reconstruction_loss": {name: losses.tolist() for name, losses in report.losses.items()},
        "worlds": {judged.world: _as_dict(judged, report.real) for judged in report.worlds},
    }
    text = json.dumps(content, indent=1) + "\n"
    write_atomically(folder / "worlds.json", lambda part: part.write_text(text, encoding="utf-8"))
    write_figure(report, folder / "worlds.png")


def _as_dict(judged: Judged, real: Floats) -> dict[str, Any]:
    return {
        "verdict": judged.verdict,
        "score": judged.score,
        "interval": list(judged.interval),
        "scores": judged.scores.tolist(),
        "facts": [_named(row) for row in judged.facts],
        "misses": dict(zip(NAMES, judged.misses(real), strict=True)),
    }


def _named(row: Sequence[float] | Floats) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else float(value) for name, value in zip(NAMES, row, strict=True)}
