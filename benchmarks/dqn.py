"""How fast a DQN learns, in transitions per second, beside stable-baselines3 and CleanRL's way of doing it.

python -m benchmarks.dqn                        # five rounds, in less than five minutes
python -m benchmarks.dqn --rounds 9 --json dqn.json

Everybody has the same network, batch, replay, optimiser steps per transition, constant exploration and number of torch
threads. Peers get their environments the way their users do, but for many windows at once: there stable-baselines3
gets our vector environment, which is faster than its own of single ones. On CartPole all step Gymnasium's single
environment.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import torch
from gymnasium.vector import SyncVectorEnv, VectorEnv
from torch import Tensor, nn

import etfgym  # noqa: F401 (registers the environments)
from agents.dqn import DQN
from agents.market_replay import MarketReplay
from agents.one_env import as_vector
from agents.settings import DQNConfig
from benchmarks.cleanrl_way import CleanRLWay
from benchmarks.harness import Case, Measure, Peer, measure, parser, report
from etfgym.checks import positive

WINDOW = "etfgym/EtfTrading-v0"
BATCH, REPLAY, TRAIN_EVERY, LEARNING_STARTS, TARGET_EVERY = 64, 50_000, 4, 256, 1_000
LEARNING_RATE, GAMMA, EPSILON = 5e-4, 0.99, 0.05
MANY = 32

Learn = Callable[[int], object]
"""Learns from that many more transitions."""


@dataclass(frozen=True, slots=True)
class Task:
    """An environment, the dense layers of the network (after the torso, for windows), and the ratios wanted."""

    name: str
    env_id: str
    layers: tuple[int, ...]
    one: float
    """Against stable-baselines3 with one environment."""
    many: float
    """Against stable-baselines3 with 32."""
    cleanrl: float
    """Against CleanRL's way, with one environment."""

    def make(self) -> gym.Env[Any, Any]:
        """Return one environment."""
        return gym.make(self.env_id)

    def make_vec(self, count: int, **keywords: Any) -> VectorEnv[Any, Any, Any]:
        """Return a vector environment: for windows our own, else Gymnasium's of single ones."""
        if self.env_id == WINDOW:
            return gym.make_vec(WINDOW, num_envs=count, vectorization_mode="vector_entry_point", **keywords)
        return SyncVectorEnv([self.make] * count)


TASKS = (
    Task("window 20 x 6", WINDOW, (), one=3.0, many=2.3, cleanrl=2.6),
    Task("CartPole-v1", "CartPole-v1", (120, 84), one=5.0, many=3.3, cleanrl=3.5),
)


# ---- networks of the peers ----------------------------------------------------------------------------------------


class DaysLast(nn.Module):
    """Turn windows (B, W, F) into what Conv1d takes, (B, F, W)."""

    def forward(self, windows: Tensor) -> Tensor:
        """Return a view."""
        return windows.transpose(1, 2)


def torso() -> nn.Sequential:
    """Return two Conv1d of 32 filters over 3 days and a dense layer of 128: (B, 20, 6) -> (B, 128)."""
    convolutions = (DaysLast(), nn.Conv1d(6, 32, 3), nn.ReLU(), nn.Conv1d(32, 32, 3), nn.ReLU(), nn.Flatten())
    return nn.Sequential(*convolutions, nn.Linear(16 * 32, 128), nn.ReLU())


def network(task: Task) -> nn.Module:
    """Return the Q-network in plain torch."""
    if task.env_id == WINDOW:
        return nn.Sequential(torso(), nn.Linear(128, 5))
    return nn.Sequential(nn.Linear(4, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 2))


# ---- learners -----------------------------------------------------------------------------------------------------


def ours(task: Task, count: int, seconds: float) -> tuple[float, float]:
    """Return transitions and seconds of our DQN with `count` environments."""
    envs = as_vector(task.make()) if count == 1 and task.env_id != WINDOW else task.make_vec(count)
    config = DQNConfig(
        learning_rate=LEARNING_RATE,
        gamma=GAMMA,
        batch_size=BATCH,
        buffer_size=REPLAY,
        learning_starts=LEARNING_STARTS,
        train_every=TRAIN_EVERY,
        target_every=TARGET_EVERY,
        epsilon_start=EPSILON,
        epsilon_end=EPSILON,
        double=False,
        features=128,
        head=task.layers,
    )
    agent = DQN(envs.single_observation_space, envs.single_action_space.n, config)  # type: ignore[attr-defined]
    return timed(lambda steps: agent.learn(envs, agent.transitions + steps), agent.online.parameters(), seconds)


def stable_baselines3(task: Task, count: int, seconds: float) -> tuple[float, float]:
    """Return transitions and seconds of stable-baselines3's DQN with `count` environments."""
    import stable_baselines3
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

    from etfgym.sb3 import EtfVecEnv

    class Torso(BaseFeaturesExtractor):
        def __init__(self, space: gym.Space[Any]) -> None:
            super().__init__(space, 128)
            self.layers = torso()

        def forward(self, windows: Tensor) -> Tensor:
            features: Tensor = self.layers(windows)
            return features

    policy: dict[str, Any] = {"net_arch": list(task.layers)}
    if task.env_id == WINDOW:
        policy["features_extractor_class"] = Torso
    if task.env_id == WINDOW and count > 1:
        env: Any = EtfVecEnv(task.make_vec(count, autoreset_mode="SameStep"))
    else:
        env = make_vec_env(task.env_id, count)
    model = stable_baselines3.DQN(
        "MlpPolicy",
        env,
        learning_rate=LEARNING_RATE,
        gamma=GAMMA,
        batch_size=BATCH,
        buffer_size=REPLAY,
        learning_starts=LEARNING_STARTS,
        train_freq=max(1, TRAIN_EVERY // count),
        gradient_steps=max(1, count // TRAIN_EVERY),
        target_update_interval=TARGET_EVERY,
        exploration_initial_eps=EPSILON,
        exploration_final_eps=EPSILON,
        policy_kwargs=policy,
        device="cpu",
        seed=0,
    )
    return timed(lambda steps: model.learn(steps, reset_num_timesteps=False), model.q_net.parameters(), seconds)


def cleanrl(task: Task, seconds: float) -> tuple[float, float]:
    """Return transitions and seconds of CleanRL's way."""
    learner = CleanRLWay(
        task.make,
        lambda: network(task),
        learning_rate=LEARNING_RATE,
        buffer_size=REPLAY,
        learning_starts=LEARNING_STARTS,
        batch_size=BATCH,
        train_every=TRAIN_EVERY,
        target_every=TARGET_EVERY,
        gamma=GAMMA,
        epsilon=EPSILON,
        seed=0,
    )
    return timed(learner.learn, learner.network.parameters(), seconds)


def timed(learn: Learn, parameters: Iterable[Tensor], seconds: float) -> tuple[float, float]:
    """Return how many transitions were learned from in about `seconds`, and in how many seconds exactly.

    Before the clock starts, the replay is filled to the first update and a trial run tells how many transitions to ask
    for: one call, so that what a learner does at the start of each counts as little as in real use.

    Raises:
        FloatingPointError: If a weight is not finite afterwards.
    """
    learn(2 * LEARNING_STARTS)
    trial = 8 * MANY
    start = time.perf_counter()
    learn(trial)
    rate = trial / (time.perf_counter() - start)
    steps = max(MANY, int(rate * seconds) // MANY * MANY)
    start = time.perf_counter()
    learn(steps)
    passed = time.perf_counter() - start
    if not all(bool(torch.isfinite(weights).all()) for weights in parameters):
        msg = "weights are not finite after training: a rate of such a learner means nothing"
        raise FloatingPointError(msg)
    return steps, passed


def replay_bytes() -> tuple[float, float]:
    """Return the bytes of memory that a transition of the market takes: in our replay, in stable-baselines3's."""
    from stable_baselines3.common.buffers import ReplayBuffer

    envs, slots = TASKS[0].make_vec(1), 1_000
    replay = MarketReplay(envs.accounts, slots)  # type: ignore[attr-defined]
    kept = sum(part.numel() * part.element_size() for name, part in replay.tensors().items() if name != "written")
    buffer = ReplayBuffer(slots, envs.single_observation_space, envs.single_action_space)
    theirs = sum(part.nbytes for part in vars(buffer).values() if hasattr(part, "nbytes"))
    return kept / slots, theirs / slots


# ---- command ------------------------------------------------------------------------------------------------------


def cases(seconds: float) -> list[Case]:
    """Return what is measured; each measurement takes about `seconds`, and its preparation one more."""

    def one_of(learner: Callable[..., tuple[float, float]], *arguments: Any) -> Measure:
        return lambda: learner(*arguments, seconds)

    made = []
    for task in TASKS:
        peers = [
            Peer("stable-baselines3, 1 env", one_of(stable_baselines3, task, 1), task.one),
            Peer("CleanRL's way, 1 env", one_of(cleanrl, task), task.cleanrl),
        ]
        made.append(Case(f"{task.name}, 1 env", one_of(ours, task, 1), peers, unit="transitions/s"))
        peers = [Peer(f"stable-baselines3, {MANY} envs", one_of(stable_baselines3, task, MANY), task.many)]
        made.append(Case(f"{task.name}, {MANY} envs", one_of(ours, task, MANY), peers, unit="transitions/s"))
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; return the exit status."""
    made = parser("dqn", "Transitions per second of training, beside the peers.", rounds=5)
    made.add_argument("--threads", type=positive, default=1, help="of torch, for all")
    asked = made.parse_args(arguments)
    torch.set_num_threads(asked.threads)
    rows = measure(cases(0.2 if asked.quick else 2.5), 1 if asked.quick else asked.rounds)
    report(rows, json_file=asked.json, packages=("stable_baselines3",))
    print(f"torch threads: {asked.threads}; weights finite after every run.")
    print("replay, bytes a transition of the market: ours {:.0f}, stable-baselines3 {:.0f}".format(*replay_bytes()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
