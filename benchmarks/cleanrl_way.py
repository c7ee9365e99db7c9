"""CleanRL's way of a DQN, as a peer to measure: one script's loop, step by step, on plain torch.

A stand-in written for this benchmark after what CleanRL's dqn.py does (Huang et al. 2022): one environment behind
`SyncVectorEnv`, stable-baselines3's `ReplayBuffer`, a mean squared error under autograd, plain Adam, hard copies into
the target network. Its logging is left out, which is kind to it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from torch import nn
from torch.nn import functional


class CleanRLWay:
    """The learner, able to go on learning where it stopped.

    Args:
        make_env: Makes the environment.
        network: Makes a Q-network (B, ...) -> (B, actions).
        learning_rate: Of Adam.
        buffer_size: Transitions kept.
        learning_starts: Transitions before the first update.
        batch_size: Transitions in an update.
        train_every: Transitions from one update to the next.
        target_every: Transitions from one copy into the target network to the next.
        gamma: Discount a step.
        epsilon: Probability of a random action.
        seed: Of everything; it seeds the global generators, as CleanRL does.
    """

    def __init__(
        self,
        make_env: Callable[[], gym.Env[Any, Any]],
        network: Callable[[], nn.Module],
        *,
        learning_rate: float,
        buffer_size: int,
        learning_starts: int,
        batch_size: int,
        train_every: int,
        target_every: int,
        gamma: float,
        epsilon: float,
        seed: int,
    ) -> None:
        from stable_baselines3.common.buffers import ReplayBuffer

        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 (the replay draws from NumPy's global generator)
        torch.manual_seed(seed)
        self.envs = SyncVectorEnv(
            [lambda: gym.wrappers.RecordEpisodeStatistics(make_env())], autoreset_mode=AutoresetMode.SAME_STEP
        )
        self.envs.single_action_space.seed(seed)
        self.network, self.target = network(), network()
        self.target.load_state_dict(self.network.state_dict())
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=learning_rate)
        self.replay = ReplayBuffer(
            buffer_size,
            self.envs.single_observation_space,
            self.envs.single_action_space,
            "cpu",
            handle_timeout_termination=False,
        )
        self.learning_starts, self.batch_size = learning_starts, batch_size
        self.train_every, self.target_every = train_every, target_every
        self.gamma, self.epsilon = gamma, epsilon
        self.steps = 0
        self.observation, _ = self.envs.reset(seed=seed)

    def learn(self, steps: int) -> None:
        """Learn from `steps` more transitions."""
        for _ in range(steps):
            if random.random() < self.epsilon:  # noqa: S311 (no secret)
                actions = np.array([self.envs.single_action_space.sample()])
            else:
                actions = torch.argmax(self.network(torch.Tensor(self.observation)), dim=1).numpy()
            following, rewards, terminated, truncated, infos = self.envs.step(actions)
            reached = following.copy()
            for i, over in enumerate(terminated | truncated):
                if over:
                    reached[i] = infos["final_obs"][i]
            self.replay.add(self.observation, reached, actions, rewards, terminated, [infos])
            self.observation = following
            self.steps += 1
            if self.steps > self.learning_starts:
                if self.steps % self.train_every == 0:
                    self._update()
                if self.steps % self.target_every == 0:
                    for theirs, ours in zip(self.target.parameters(), self.network.parameters(), strict=True):
                        theirs.data.copy_(ours.data)

    def _update(self) -> None:
        batch = self.replay.sample(self.batch_size)
        with torch.no_grad():
            best, _ = self.target(batch.next_observations).max(dim=1)
            wanted = batch.rewards.flatten() + self.gamma * best * (1 - batch.dones.flatten())
        values = self.network(batch.observations).gather(1, batch.actions).squeeze()
        loss = functional.mse_loss(wanted, values)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
