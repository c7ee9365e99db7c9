"""Side by side in interleaved rounds: what is measured, the table, the JSON file, and what machine it was.

Cores are noisy and drift with what else runs, so ours and its peers take turns within each round, a ratio is made of
two neighbours in one round, and medians are shown with their ranges.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeAlias

from tqdm import tqdm

from etfgym.atomic import write_atomically
from etfgym.checks import positive

Measure: TypeAlias = Callable[[], float | tuple[float, float]]
"""Sets up, warms up, measures once; returns work per second, or (work, seconds)."""

PACKAGES = ("gymnasium", "numba", "numpy", "torch")
"""Whose versions every report names; commands add their peers'."""


@dataclass(frozen=True, slots=True)
class Peer:
    """What ours is held against: another library, or a limit such as writing the same bytes.

    `measure` raises ImportError where the library is not installed. `target` is the smallest wanted ratio of ours.
    """

    name: str
    measure: Measure
    target: float | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """Something of ours, what it is held against, and the unit that `target`, its own smallest wanted rate, is in."""

    name: str
    ours: Measure
    peers: Sequence[Peer] = ()
    target: float | None = None
    unit: str = "steps/s"


@dataclass(slots=True)
class Row:
    """A case beside one peer, or beside none (`peer` is None, and `target` is then a rate, not a ratio).

    `ours` and `theirs` have one rate a round; `note` says why there is nothing to compare. Where `smaller` is better
    (seconds, bytes), a ratio is theirs over ours, so that a large one is good all the same; infinity stands for never.
    """

    name: str
    unit: str
    target: float | None
    peer: str | None = None
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    note: str = ""
    smaller: bool = False

    @property
    def ratios(self) -> list[float]:
        """How many times better ours is than the peer, round by round."""
        if not self.theirs:
            return []
        pairs = zip(self.theirs, self.ours, strict=True) if self.smaller else zip(self.ours, self.theirs, strict=True)
        return [1.0 if better == worse else better / worse for better, worse in pairs]  # equal: both may be infinite

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the target; None where there is none, or nothing to compare."""
        judged = self.ours if self.peer is None else self.ratios
        if not judged or self.target is None:
            return None
        middle = statistics.median(judged)
        return middle <= self.target if self.smaller and self.peer is None else middle >= self.target


def repeat_for(seconds: float, function: Callable[[], object], work: float) -> tuple[float, float]:
    """Call `function`, which does `work`, until `seconds` are over; return (all work, all seconds).

    One call goes before the clock starts, as a warm-up.
    """
    function()
    calls, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds or not calls:
        function()
        calls += 1
    return calls * work, passed


def measure(cases: Sequence[Case], rounds: int) -> list[Row]:
    """Return the rows of all cases, measured in `rounds` rounds; every second round goes the other way round.

    A case with peers gives a row for each of them, and one of its own if it has a target of its own.
    """
    rows: dict[tuple[str, str | None], Row] = {}
    for case in cases:
        if case.target is not None or not case.peers:
            rows[case.name, None] = Row(case.name, case.unit, case.target)
        rows |= {(case.name, peer.name): Row(case.name, case.unit, peer.target, peer.name) for peer in case.peers}
    turns: list[tuple[Case, Peer | None]] = [(case, peer) for case in cases for peer in (None, *case.peers)]
    with tqdm(total=rounds * len(turns), desc="rounds", unit=" measurements", leave=False) as bar:
        for number in range(rounds):
            ours: dict[str, float] = {}
            for case, peer in turns[:: -1 if number % 2 else 1]:
                bar.set_postfix_str(f"{case.name}: {peer.name if peer else 'ours'}")
                if peer is None:
                    ours[case.name] = _rate(case.ours)
                else:
                    row = rows[case.name, peer.name]
                    try:
                        row.theirs.append(_rate(peer.measure))
                    except ImportError as error:
                        row.note = f"not installed ({error}); pip install --group bench"
                bar.update()
            for (name, _), row in rows.items():
                row.ours.append(ours[name])
    return list(rows.values())


def _rate(measure: Measure) -> float:
    result = measure()
    return result[0] / result[1] if isinstance(result, tuple) else result


def table(rows: Sequence[Row]) -> str:
    """Return a Markdown table: medians over the rounds, and their ranges in brackets."""
    lines = [
        "| case | ours | beside | theirs | ratio | target | met |",
        "| --- | ---: | --- | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        ours = f"{_span(row.ours, _short)} {row.unit}".rstrip()
        theirs, ratio = _span(row.theirs, _short), _span(row.ratios, "{:.2f}x".format)
        wanted = "" if row.target is None else _wanted(row, row.target)
        met = row.note or {True: "yes", False: "no", None: ""}[row.met]
        lines.append(f"| {row.name} | {ours} | {row.peer or ''} | {theirs} | {ratio} | {wanted} | {met} |")
    return "\n".join(lines)


def _wanted(row: Row, target: float) -> str:
    if row.peer:
        return f">= {target:g}x"
    return f"{'<=' if row.smaller else '>='} {_short(target)}"


def _span(values: Sequence[float], show: Callable[[float], str]) -> str:
    if not values:
        return ""
    middle = show(statistics.median(values))
    return f"{middle} [{show(min(values))}..{show(max(values))}]" if len(values) > 1 else middle


def _short(value: float) -> str:
    """Return three digits and a unit prefix, or "never" for infinity.

    Example:
        >>> _short(73_400_000.0), _short(5_210.0), _short(0.61)
        ('73.4 M', '5.21 k', '0.61')
    """
    if math.isinf(value):
        return "never"
    for size, prefix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{prefix}" if abs(value) < 999.5 * size else f"{value / size:.0f}{prefix}"
    return f"{value:.3g}"


def machine(packages: Sequence[str] = ()) -> dict[str, str]:
    """Return what the figures were measured on; a package that is missing has the version "none"."""
    versions = {}
    for name in sorted({*PACKAGES, *packages}):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "none"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": _cpu_model(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": f"{memory:.0f} GiB",
        "os": platform.platform(),
        "python": platform.python_version(),
    } | versions


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def parser(prog: str, description: str, *, rounds: int) -> argparse.ArgumentParser:
    """Return a parser with what all benchmarks take: `--rounds` (its default is given), `--json` and `--quick`."""
    made = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{prog}",
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    made.add_argument("--rounds", type=positive, default=rounds, help="how often everything is measured, in turns")
    add_common(made)
    return made


def add_common(made: argparse.ArgumentParser) -> None:
    """Add `--json` and `--quick`."""
    made.add_argument("--json", type=Path, metavar="FILE", help="write the same figures to FILE")
    made.add_argument("--quick", action="store_true", help="seconds instead of minutes: only shows that it runs")


def report(rows: Sequence[Row], *, json_file: Path | None, packages: Sequence[str] = ()) -> None:
    """Print the table and the machine; write the same to `json_file`, whole or not at all."""
    where = machine(packages)
    print(table(rows))
    print(f"\nMedian [lowest..highest] of {max(len(row.ours) for row in rows)} rounds. {machine_line(where)}")
    if json_file is not None:
        write_json(json_file, {"machine": where, "cases": [as_json(row) for row in rows]})


def machine_line(where: dict[str, str]) -> str:
    """Return `machine`'s dict as one line."""
    return ", ".join(f"{name} {value}" for name, value in where.items())


def as_json(row: Row) -> dict[str, Any]:
    """Return a row as what JSON can hold; infinity, "never", becomes null."""
    return {
        "name": row.name,
        "unit": row.unit,
        "ours": _summary(row.ours),
        "peer": row.peer,
        "theirs": _summary(row.theirs),
        "ratio": _summary(row.ratios),
        "rounds": len(row.ours),
        "target": row.target,
        "met": row.met,
        "note": row.note,
    }


def _summary(values: Sequence[float]) -> dict[str, Any] | None:
    if not values:
        return None
    known = [value if math.isfinite(value) else None for value in values]
    middle, low, high = (
        value if math.isfinite(value) else None for value in (statistics.median(values), min(values), max(values))
    )
    return {"median": middle, "min": low, "max": high, "rounds": known}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` to `path`, whole or not at all; the folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, allow_nan=False)
    write_atomically(path, lambda part: part.write_text(text + "\n"))
