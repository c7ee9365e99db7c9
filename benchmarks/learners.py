"""Learners on a problem with checkpoints: ours and stable-baselines3's, for `benchmarks.quality`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

import etfgym  # noqa: F401 (registers the environments)
from agents.dqn import DQN
from agents.one_env import OneEnv
from agents.sb3 import check_finite, torso_keywords, vec_env
from agents.settings import DQNConfig
from etfgym.backtest import backtest, hindsight_policy
from etfgym.policies import BuyAndHold, Policy
from etfgym.prices import PriceTable
from etfgym.splits import Period

OBSERVATION: dict[str, Any] = {"observe_account": True}
Point = tuple[int, float, float]
"""Transitions, seconds that the processor trained (a clock would count what else the machine does), score."""


class Problem(Protocol):
    """Something to learn, with a yardstick."""

    @property
    def name(self) -> str:
        """Return what it is called."""

    def make_vec(self, count: int) -> VectorEnv[Any, Any, Any]:
        """Return what our learners train in."""

    def make_sb3(self, count: int) -> Any:
        """Return what stable-baselines3's train in, a `VecEnv`."""

    def policy_keywords(self, layers: list[int]) -> dict[str, Any]:
        """Return stable-baselines3's policy and `policy_kwargs` for a network like ours."""

    def prepare_sb3(self, model: Any) -> None:
        """Do what is left to do for that once the model is made."""

    def score(self, policy: Policy) -> float:
        """Return how good the greedy policy is, in environments of its own."""


# ---- problems -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EtfYear:
    """One ETF in one year, again and again: the score is the share of hindsight's profit reached in that very year."""

    table: PriceTable
    period: Period

    @property
    def name(self) -> str:
        """Return the ticker and the year."""
        return f"{self.table.ticker} {str(self.period.first)[:4]}"

    @property
    def keywords(self) -> dict[str, Any]:
        """Return the environment's keywords."""
        return {"prices": self.table, "start": self.period.eve, "length": self.period.days, **OBSERVATION}

    def make_vec(self, count: int, mode: str = "NextStep") -> VectorEnv[Any, Any, Any]:
        """See `Problem`."""
        way: dict[str, Any] = {"vectorization_mode": "vector_entry_point", "autoreset_mode": mode}
        return gym.make_vec("etfgym/EtfTrading-v0", num_envs=count, **way, **self.keywords)

    def make_sb3(self, count: int) -> Any:
        """See `Problem`."""
        return vec_env(self.make_vec(count, "SameStep"))

    def policy_keywords(self, layers: list[int]) -> dict[str, Any]:
        """See `Problem`; the torso is ours."""
        return {"policy": "MultiInputPolicy", "policy_kwargs": torso_keywords({"net": "cnn"}, {"net_arch": layers})}

    def prepare_sb3(self, model: Any) -> None:
        """See `Problem`; the scaler is fitted to the year's windows, as ours is."""
        from etfgym.nets.extractor import fit_scaler

        fit_scaler(model, self._windows())

    def score(self, policy: Policy) -> float:
        """See `Problem`."""
        best = backtest(hindsight_policy(self.table, self.period), self.table, self.period).total_return
        return backtest(policy, self.table, self.period, **OBSERVATION).total_return / best

    def holding(self) -> float:
        """Return buy-and-hold's share of hindsight."""
        return self.score(BuyAndHold())

    def _windows(self) -> Tensor:
        """Return every window of the year, (L, 20, 6)."""
        envs = self.make_vec(1)
        seen = [envs.reset(seed=0)[0]["window"]]
        hold = np.array([2])
        seen += [envs.step(hold)[0]["window"] for _ in range(self.period.days - 1)]
        return torch.from_numpy(np.concatenate(seen))


@dataclass(frozen=True, slots=True)
class Control:
    """A control task of Gymnasium's: the score is the mean return of greedy episodes."""

    name: str
    episodes: int

    def make_vec(self, count: int) -> VectorEnv[Any, Any, Any]:
        """See `Problem`."""
        if count == 1:
            return OneEnv(gym.make(self.name))
        return gym.make_vec(self.name, num_envs=count, vectorization_mode="sync")

    def make_sb3(self, count: int) -> Any:
        """See `Problem`."""
        from stable_baselines3.common.env_util import make_vec_env

        return make_vec_env(self.name, count)

    def policy_keywords(self, layers: list[int]) -> dict[str, Any]:
        """See `Problem`."""
        return {"policy": "MlpPolicy", "policy_kwargs": {"net_arch": layers}}

    def prepare_sb3(self, model: Any) -> None:
        """See `Problem`."""

    def score(self, policy: Policy) -> float:
        """See `Problem`; the episodes are the same ones every time."""
        envs = self.make_vec(self.episodes)
        observation, _ = envs.reset(seed=10_000)
        returns, running = np.zeros(self.episodes), np.ones(self.episodes, np.bool_)
        while running.any():
            actions, _ = policy.predict(observation, deterministic=True)
            observation, rewards, terminated, truncated, _ = envs.step(actions)
            returns += rewards * running
            running &= ~(terminated | truncated)  # what follows a reset does not count
        envs.close()
        return float(returns.mean())


# ---- learners -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Curve:
    """Scores along a training; scoring does not count as training."""

    problem: Problem
    points: list[Point] = field(default_factory=list)
    _seconds: float = 0.0
    _started: float = field(default_factory=time.process_time)

    def add(self, transitions: int, policy: Policy) -> None:
        """Score `policy` now."""
        self._seconds += time.process_time() - self._started
        self.points.append((transitions, self._seconds, self.problem.score(policy)))
        self._started = time.process_time()


Learner = Callable[[Problem, int, int, int], Curve]
"""Learns a problem with a seed, from that many transitions, with that many checkpoints."""


@dataclass(frozen=True, slots=True)
class Ours:
    """Our DQN with these settings, on `envs` environments."""

    config: DQNConfig
    envs: int = 1

    def __call__(self, problem: Problem, seed: int, transitions: int, checks: int) -> Curve:
        """See `Learner`."""
        envs = problem.make_vec(self.envs)
        agent = DQN(envs.single_observation_space, envs.single_action_space.n, self.config, seed)  # type: ignore[attr-defined]
        curve = Curve(problem)
        agent.learn(
            envs,
            transitions,
            seed=seed,
            validate=lambda done: curve.add(done, agent),
            check_every=transitions // checks,
        )
        check_finite(agent.online)
        return curve


@dataclass(frozen=True, slots=True)
class Sb3:
    """One of stable-baselines3's algorithms with these settings and dense layers, on `envs` environments."""

    algorithm: str
    settings: dict[str, Any]
    layers: list[int]
    envs: int = 1

    def __call__(self, problem: Problem, seed: int, transitions: int, checks: int) -> Curve:
        """See `Learner`; a checkpoint lies at the first step at or after its place."""
        import stable_baselines3
        from stable_baselines3.common.callbacks import BaseCallback

        class Checkpoints(BaseCallback):
            next_check = transitions // checks

            def _on_step(self) -> bool:
                if self.num_timesteps >= self.next_check:
                    self.next_check += transitions // checks
                    curve.add(self.num_timesteps, self.model)
                return self.num_timesteps < transitions

        algorithm = getattr(stable_baselines3, self.algorithm)
        policy = problem.policy_keywords(self.layers)
        model = algorithm(env=problem.make_sb3(self.envs), seed=seed, device="cpu", **policy, **self.settings)
        problem.prepare_sb3(model)
        curve = Curve(problem)  # now, after imports
        model.learn(transitions, callback=Checkpoints())
        check_finite(model.policy)
        return curve
