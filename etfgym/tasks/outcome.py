"""What a task is asked for, and what comes of it: a figure on the test set, with its baselines beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from etfgym.atomic import write_atomically


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What `run` is given."""

    folder: Path
    """Where models, curves and figures go; it is there."""
    data: str | None = None
    """The user's own source, see `TaskInfo.data`; None: the task's usual one."""
    seed: int = 0
    """Of weights, batches and whatever else is drawn."""
    quick: bool = False
    """Seconds instead of minutes: only shows that it runs, the figures mean nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One figure of one model on the test set."""

    model: str
    """Such as "CNN"."""
    metric: str
    """Such as "accuracy"; what counts is a larger value, unless `smaller`."""
    value: float
    baselines: Mapping[str, float]
    """The same metric of each naive baseline, by its name."""
    tested_on: str
    """Such as "10,000 digits of MNIST's test set"."""
    seconds: float
    """Of the training."""
    target: float | None = None
    """What is wanted at least (at most, if `smaller`)."""
    smaller: bool = False
    """Whether a smaller value is better."""
    note: str = ""
    """What a reader has to know, in a sentence."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """Further figures of the same model, by name."""

    def better(self, one: float, other: float) -> bool:
        """Return whether `one` beats `other`."""
        return one < other if self.smaller else one > other

    @property
    def best_baseline(self) -> tuple[str, float]:
        """The baseline that is hardest to beat.

        Example:
            >>> outcome = Outcome(model="CNN", metric="error", value=0.2, baselines={"a": 0.3, "b": 0.1},
            ...                   tested_on="", seconds=0, smaller=True)
            >>> outcome.best_baseline
            ('b', 0.1)
        """
        return (min if self.smaller else max)(self.baselines.items(), key=lambda pair: pair[1])

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None without one."""
        return None if self.target is None else self.value == self.target or self.better(self.value, self.target)


def text(outcomes: Sequence[Outcome]) -> str:
    """Return a table of what was reached, one row a figure, and a sentence on each that a baseline beats.

    Example:
        >>> print(text([Outcome(model="DNN", metric="accuracy", value=0.975, baselines={"most frequent": 0.11},
        ...                     tested_on="10 digits", seconds=3.0, target=0.97)]))
        model  metric    value   baselines             target           seconds
        -----------------------------------------------------------------------
        DNN    accuracy  0.9750  most frequent 0.1100  >= 0.97 reached  3.0
        <BLANKLINE>
        Tested on 10 digits.
    """
    rows = [("model", "metric", "value", "baselines", "target", "seconds")]
    for outcome in outcomes:
        baselines = ", ".join(f"{name} {value:.4f}" for name, value in outcome.baselines.items())
        sign = "<=" if outcome.smaller else ">="
        verdict = {True: "reached", False: "missed", None: ""}[outcome.reached]
        target = "" if outcome.target is None else f"{sign} {outcome.target:g} {verdict}"
        reached, seconds = f"{outcome.value:.4f}", f"{outcome.seconds:.1f}"
        rows.append((outcome.model, outcome.metric, reached, baselines, target, seconds))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    told = list(dict.fromkeys(f"Tested on {outcome.tested_on}." for outcome in outcomes))
    for outcome in outcomes:
        name, value = outcome.best_baseline
        if not outcome.better(outcome.value, value):
            told.append(f"{outcome.model} does not beat {name} in {outcome.metric}.")
        told += [outcome.note] if outcome.note else []
    return "\n".join([*lines, "", *dict.fromkeys(told)])


def write_json(file: Path, name: str, setup: Setup, outcomes: Sequence[Outcome]) -> None:
    """Write the task, its setup and its outcomes, whole or not at all."""
    content = {
        "task": name,
        "data": setup.data,
        "seed": setup.seed,
        "quick": setup.quick,
        "outcomes": [_finite(asdict(outcome)) for outcome in outcomes],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, lambda path: path.write_text(json.dumps(content, indent=1) + "\n"))


def _finite(content: Any) -> Any:
    """Return `content` with null for every number that JSON can't hold."""
    if isinstance(content, dict):
        return {name: _finite(value) for name, value in content.items()}
    return None if isinstance(content, float) and not math.isfinite(content) else content
