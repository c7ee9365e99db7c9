"""Our DQN as a learner of the market."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gymnasium as gym

import etfgym  # noqa: F401 (registers the environments)
from agents.dqn import DQN
from agents.on_device import DeviceDQN
from agents.settings import DQNConfig
from agents.training import Training
from etfgym.checks import one_of


def check(settings: Mapping[str, Any]) -> None:
    """Raise ValueError if `settings` are not those of a `DQNConfig`; an unknown one with the nearest name."""
    for name in settings:
        one_of("setting of dqn", name, [field.name for field in fields(DQNConfig)])
    DQNConfig(**settings)


def learn(settings: Mapping[str, Any], training: Training, prepare: Callable[[DQN], object] | None = None) -> DQN:
    """Return a DQN that has learned.

    Args:
        settings: Of `DQNConfig`.
        training: What to learn on, and for how long.
        prepare: Called with the new agent before it learns.
    """
    envs = gym.make_vec(
        "etfgym/EtfTrading-v0", num_envs=training.num_envs, prices=training.tables, **training.environment
    )
    learner = DQN if training.device == "cpu" else DeviceDQN
    if training.checkpoint is not None and training.checkpoint.exists():
        agent = learner.resume(training.checkpoint, training.device)
    else:
        agent = learner(envs.single_observation_space, 5, DQNConfig(**settings), training.seed, training.device)
        if prepare is not None:
            prepare(agent)
    with TemporaryDirectory() as scratch:  # new episodes start after a checkpoint, so that there must be one
        agent.learn(
            envs,
            training.steps,
            seed=training.seed,
            validate=lambda _: training.validate(agent),
            check_every=training.check_every,
            checkpoint=training.checkpoint or Path(scratch) / "checkpoint",
            checkpoint_every=training.checkpoint_every,
        )
    return agent


def save(agent: DQN, folder: Path) -> None:
    """Write an agent into `folder`; see `DQN.save`."""
    agent.save(folder)


def load(folder: Path) -> DQN:
    """Return the agent that `save` wrote; see `DQN.load`."""
    return DQN.load(folder)
