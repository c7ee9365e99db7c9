"""The two standing controls: markets on which it is known what must come out.

On the planted-signal world there is something to learn, so an agent that learns must beat buy-and-hold; on shuffled
returns there is nothing, so none may.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from etfgym.stats import Interval

WORLDS = {"planted": "a win", "shuffled": "no win"}
"""World and what is expected of every agent on it, against buy-and-hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What one agent did on one control world; returns and their difference are fractions."""

    world: str
    agent: str
    mean: float
    hold: float
    difference: float
    interval: Interval
    seeds: int
    cells: int
    first: str
    last: str
    passed: bool

    @property
    def warning(self) -> str:
        """What a failure means for the result beside it."""
        if self.world == "planted":
            return (
                f"{self.agent} failed the control on the planted signal: it did not find what is there to find, so "
                f"that it found nothing in real prices says little."
            )
        return (
            f"{self.agent} failed the control on shuffled returns: it beat buy-and-hold where nothing can be learned, "
            f"so something is wrong with the experiment, and no win of it counts."
        )


def read_controls(manifest: Mapping[str, Any]) -> list[Control]:
    """Return the controls that the runner wrote into its manifest; none where they were not run.

    Raises:
        ValueError: If they are not of the form that the runner writes.
    """
    try:
        return [
            Control(
                world=_known(control["world"]),
                agent=str(agent),
                interval=Interval(*map(_number, found["interval"])),
                passed=bool(found["passed"]),
                mean=_number(found["mean"]),
                hold=_number(found["hold"]),
                difference=_number(found["difference"]),
                seeds=int(found["seeds"]),
                cells=int(found["cells"]),
                first=str(found["first"]),
                last=str(found["last"]),
            )
            for control in manifest.get("controls", ())
            for agent, found in control["results"].items()
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        msg = f"manifest.json: 'controls' are not as the runner writes them ({error!r}); write the folder again"
        raise ValueError(msg) from None


def _known(world: str) -> str:
    if world not in WORLDS:
        raise ValueError(world)
    return world


def _number(value: float | None) -> float:
    """Return a number, NaN for the null that JSON has in its place."""
    return float("nan") if value is None else float(value)


def failed(controls: Sequence[Control], world: str, agent: str) -> bool:
    """Whether the agent was put to that control and failed."""
    return any(not found.passed for found in controls if (found.world, found.agent) == (world, agent))
