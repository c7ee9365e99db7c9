"""Every agent that can be compared, by one name each: learners of `agents/configs/market.toml`, and fixed policies."""

from __future__ import annotations

import importlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import ModuleType
from typing import Any

from etfgym.checks import one_of, whole_number
from etfgym.envs.settings import Settings
from etfgym.nets import TORSOS
from etfgym.policies import POLICIES

MARKET = Path(__file__).parent / "configs" / "market.toml"

LEARNERS = {"dqn": "agents.dqn_market", "sb3": "agents.sb3", "forecast": "agents.forecast"}
"""The modules that learn, each with `check`, `learn`, `save` and `load`; imported when they are needed."""

FIXED = (*POLICIES, "hindsight")
"""Agents that have nothing to learn."""
SEEDED = ("random",)
"""Those of them in which chance plays a part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A learner with its settings.

    Raises:
        ValueError: If a value is wrong; an unknown name with the nearest.
    """

    learner: str
    num_envs: int = 16
    n_timesteps: int = 30_000
    tuned: int = 0
    """Trainings by which its settings were chosen: trials, too, of which the best is reported."""
    keep: str = "best"
    """Which weights a training ends with: those that did "best" in the validation year, or the "last"."""
    environment: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        one_of("learner", self.learner, LEARNERS)
        one_of("keep", self.keep, ("best", "last"))
        whole_number("tuned", self.tuned, 0)
        whole_number("num_envs", self.num_envs, 1)
        whole_number("n_timesteps", self.n_timesteps, 1)
        Settings.from_keywords(dict(self.environment))
        self.module.check(self.settings)

    @property
    def module(self) -> ModuleType:
        """What learns, saves and loads."""
        return importlib.import_module(LEARNERS[self.learner])

    def spec(self) -> str:
        """Return what its results depend on as JSON, the same text for the same agent."""
        told = asdict(self)
        del told["tuned"]
        return json.dumps(told, sort_keys=True)

    @classmethod
    def of(cls, spec: str) -> Agent:
        """Return the agent that `spec` tells of."""
        return cls(**json.loads(spec))


def names(file: Path = MARKET) -> tuple[str, ...]:
    """Return the names of all agents, learners first."""
    return (*learners(file), *FIXED)


def learners(file: Path = MARKET) -> tuple[str, ...]:
    """Return the names of all that learn."""
    return tuple(_tables(file))


def find(name: str, file: Path = MARKET) -> Agent | None:
    """Return the learner `name`, or None for a fixed policy; see `learner`."""
    return None if name in FIXED else learner(name, file)


def learner(name: str, file: Path = MARKET) -> Agent:
    """Return the learner `name`.

    Args:
        name: A table of the settings, or such a name with the torso it should have, as in "dqn-rnn".
        file: Settings of the learners, TOML.

    Raises:
        ValueError: If there is none of that name, or its settings are wrong; names the nearest and the table.

    Example:
        >>> learner("dqn-rnn").settings["torso"]
        {'net': 'rnn'}
        >>> learner("dqm")
        Traceback (most recent call last):
        ValueError: agent must be one of ... got 'dqm' (did you mean 'dqn'?)
    """
    tables = _tables(file)
    base, _, torso = name.rpartition("-")
    with_torso = name not in tables and torso in TORSOS
    if one_of("agent", base if with_torso else name, [*tables, *FIXED]) in FIXED:
        msg = f"{name} has nothing to learn; the learners are {', '.join(tables)}"
        raise ValueError(msg)
    table = tables[base if with_torso else name]
    try:
        for key in table:
            one_of("key", key, [known.name for known in fields(Agent)])
        if with_torso:
            settings = table.get("settings", {})
            old = settings.get("torso", {})
            table = table | {"settings": settings | {"torso": old if old.get("net") == torso else {"net": torso}}}
        return Agent(**table)
    except (TypeError, ValueError) as error:
        msg = f"{file}: [{name}]: {error}"
        raise ValueError(msg) from None


def _tables(file: Path) -> dict[str, dict[str, Any]]:
    """Return the tables of the settings, what they are `like` filled in."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        msg = f"{file}: can't be read as TOML ({error})"
        raise ValueError(msg) from None
    whole: dict[str, dict[str, Any]] = {}
    for name, table in tables.items():  # a table is like one above it, so no circle is possible
        own = dict(table)
        if "like" in own:
            parent = whole[one_of(f"{file}: like of [{name}]", own.pop("like"), whole)]
            for part in ("environment", "settings"):
                own[part] = parent.get(part, {}) | own.get(part, {})
            own = parent | own
        whole[name] = own
    return whole
