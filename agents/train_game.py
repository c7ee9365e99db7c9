"""Training the DQN on a game: the settings of each are in `agents/configs/dqn.toml`."""

from __future__ import annotations

import argparse
import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import torch
from gymnasium.vector import VectorEnv

import etfgym  # noqa: F401 (registers the environments)
from agents.dqn import DQN
from agents.evaluation import episode_returns
from agents.settings import DQNConfig
from agents.train_folder import CHECKPOINT, claim, read_json, write_json
from agents.video import record
from etfgym.checks import one_of, whole_number
from etfgym.policies import Policy
from etfgym.stats import mean_interval

CONFIGS = Path(__file__).parent / "configs"
EVALUATION_SEED, FINAL_SEED = 10_000, 20_000
"""Of the environments that choose the best weights, and of those that the result is from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """An environment to train on; one table of `agents/configs/dqn.toml`."""

    id: str
    """The registered environment."""
    num_envs: int
    """Environments that it learns in."""
    n_timesteps: int
    """Transitions."""
    training: dict[str, Any] = field(default_factory=dict)
    """Keywords of the environments that it learns in."""
    evaluation: dict[str, Any] = field(default_factory=dict)
    """Keywords of those that it is evaluated in."""
    dqn: dict[str, Any] = field(default_factory=dict)
    """Of `agents.settings.DQNConfig`."""

    def make(self, count: int, keywords: dict[str, Any]) -> VectorEnv[Any, Any, Any]:
        """Return `count` environments in one, the project's own vector form where it has one."""
        own = gym.spec(self.id).vector_entry_point is not None and self.id.startswith("etfgym/")
        return gym.make_vec(
            self.id, num_envs=count, vectorization_mode="vector_entry_point" if own else "sync", **keywords
        )

    def config(self, changes: dict[str, Any]) -> DQNConfig:
        """Return the learner's settings with some changed.

        Raises:
            ValueError: If one is unknown, naming the nearest, or has a wrong value.
        """
        known = asdict(DQNConfig())
        settings = self.dqn | changes
        for name, value in settings.items():
            default = known[one_of("setting", name, known)]
            if not _is_like(value, default):
                msg = f"{name} takes values like {default!r}, got {value!r}"
                raise ValueError(msg)
        return DQNConfig(**settings)


def _is_like(value: Any, default: Any) -> bool:
    """Return whether a setting can have this value, by the kind of its default."""
    match default:
        case bool():
            return isinstance(value, bool)
        case tuple():
            return isinstance(value, list | tuple)
        case dict():
            return isinstance(value, dict)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number or (default is None and value is None)


def tasks() -> dict[str, Task]:
    """Return the tasks of `agents/configs/dqn.toml` by name."""
    tables = tomllib.loads((CONFIGS / "dqn.toml").read_text())
    known = [setting.name for setting in fields(Task)]
    return {
        name: Task(**{one_of("key", key, known): value for key, value in table.items()})
        for name, table in tables.items()
    }


class Random:
    """Plays any action, for comparison; see `etfgym.policies.Policy`."""

    def __init__(self, actions: int, seed: int) -> None:
        self._actions, self._rng = actions, np.random.default_rng(seed)

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[npt.NDArray[np.int64], Any]:
        """Return an action for each observation."""
        del episode_start, deterministic
        return self._rng.integers(self._actions, size=len(observation)), state


def begin_or_resume(
    checkpoint: Path, envs: VectorEnv[Any, Any, Any], config: DQNConfig, total: int, seed: int, device: str
) -> DQN:
    """Return a new agent, or that of the training which was stopped, or finished, in the file `checkpoint`."""
    if not checkpoint.exists():
        actions = int(envs.single_action_space.n)  # type: ignore[attr-defined]
        return DQN(envs.single_observation_space, actions, config, seed, device)
    agent = DQN.resume(checkpoint, device)
    if agent.transitions >= total:
        print(f"trained for {agent.transitions:,} transitions already; --n-timesteps above that goes on")
    else:
        print(f"going on at {agent.transitions:,} transitions, from {checkpoint}")
    return agent


def run(given: argparse.Namespace, changes: dict[str, Any]) -> None:
    """Train, evaluate, and write what came of it into the log folder.

    Args:
        given: The command line.
        changes: Settings that it changes.

    Raises:
        ValueError: If the command line or the task's settings are wrong, or the folder holds another training.
    """
    if given.device == "cpu":
        torch.set_num_threads(1)  # sums this small only lose by more
    elif given.device == "cuda" and not torch.cuda.is_available():
        msg = f"--device cuda: torch {torch.__version__} finds no GPU here; leave --device out"
        raise ValueError(msg)
    one_of("agent on a game", given.agent, ["dqn"])
    known = tasks()
    task = known[one_of("--env", given.env, known)]
    total = task.n_timesteps if given.n_timesteps is None else whole_number("--n-timesteps", given.n_timesteps, 1)
    tenth = max(1, total // 10)
    eval_freq = tenth if given.eval_freq is None else whole_number("--eval-freq", given.eval_freq, 1)
    save_freq = tenth if given.save_freq is None else whole_number("--save-freq", given.save_freq, 1)
    episodes = whole_number("--eval-episodes", given.eval_episodes, 2)
    config = task.config(changes)
    if config.learning_starts >= total:
        msg = (
            f"nothing is learned in {total:,} transitions: learning_starts is {config.learning_starts:,}; give more, "
            f"or -params learning_starts:{max(1, total // 10)}"
        )
        raise ValueError(msg)
    envs = task.make(task.num_envs, task.training)
    evaluation = task.make(min(16, episodes), task.evaluation)
    folder = given.log_folder or Path("runs") / "train" / f"{given.agent}-{given.env}-{given.seed}"
    claim(folder, {"env": given.env, "seed": given.seed, "num_envs": task.num_envs} | asdict(config))
    agent = begin_or_resume(folder / CHECKPOINT, envs, config, total, given.seed, given.device)
    curve = folder / "curve.json"
    points = [point for point in read_json(curve) if point["transitions"] <= agent.transitions]

    def validate(transitions: int) -> float:
        returns = episode_returns(agent, evaluation, max(1, episodes // 5), seed=EVALUATION_SEED + given.seed)
        points.append({"transitions": transitions, "mean_return": float(returns.mean())})
        write_json(curve, points)
        return float(returns.mean())

    agent.learn(
        envs,
        total,
        seed=given.seed,
        validate=validate,
        check_every=eval_freq,
        checkpoint=folder / CHECKPOINT,
        checkpoint_every=save_freq,
        tensorboard=given.tensorboard_log,
        progress=agent.transitions < total,
    )
    agent.save(folder)
    result = {"env": task.id, "agent": given.agent, "transitions": agent.transitions, "seed": given.seed}
    players: dict[str, Policy] = {given.agent: agent, "random": Random(agent.actions, given.seed)}
    for name, policy in players.items():
        returns = episode_returns(policy, evaluation, episodes, seed=FINAL_SEED + given.seed)
        low, high = mean_interval(returns[None], np.random.default_rng(given.seed))
        result[f"{name}_returns"] = returns.tolist()
        print(
            f"{name}: mean return {returns.mean():.1f} over {episodes} whole episodes of {task.id}, "
            f"95 % interval {low:.1f} to {high:.1f} over episodes, one training (seed {given.seed})"
        )
    write_json(folder / "result.json", result)
    print(f"weights, curve and result: {folder}")
    if given.video is not None:
        record(agent, gym.make(task.id, render_mode="rgb_array", **task.evaluation), given.video, seed=given.seed)
        print(f"video: {given.video}")
