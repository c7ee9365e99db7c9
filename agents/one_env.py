"""One environment in the shape of many: what `DQN.learn` makes of a single one."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space


class OneEnv(VectorEnv[Any, Any, npt.NDArray[Any]]):
    """A vector of one, which takes a third of the time of Gymnasium's general one; reset it with `reset` ("Disabled").

    Args:
        env: The environment.

    Example:
        >>> envs = OneEnv(gym.make("CartPole-v1"))
        >>> envs.reset(seed=1)[0].shape
        (1, 4)
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        self.env = env
        self.num_envs = 1
        self.metadata = {"autoreset_mode": AutoresetMode.DISABLED}
        self.single_observation_space, self.single_action_space = env.observation_space, env.action_space
        self.observation_space = batch_space(env.observation_space, 1)
        self.action_space = batch_space(env.action_space, 1)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset it; `options["reset_mask"]` can only say the same."""
        rest = {name: value for name, value in (options or {}).items() if name != "reset_mask"}
        observation, info = self.env.reset(seed=seed, options=rest or None)
        return batch_of_one(observation), _masks(info)

    def step(
        self, actions: npt.NDArray[Any]
    ) -> tuple[Any, npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.bool_], dict[str, Any]]:
        """Take the one action; of `info`, only the action mask is passed on."""
        observation, reward, terminated, truncated, info = self.env.step(actions[0])
        rewards, over, cut = np.array([reward], np.float64), np.array([terminated]), np.array([truncated])
        return batch_of_one(observation), rewards, over, cut, _masks(info)

    def close(self, **keywords: Any) -> None:
        """Close it."""
        del keywords
        self.env.close()


def as_vector(envs: VectorEnv[Any, Any, Any] | gym.Env[Any, Any]) -> VectorEnv[Any, Any, Any]:
    """Return many environments as they are, a single one as a vector of one."""
    return envs if isinstance(envs, VectorEnv) else OneEnv(envs)


def batch_of_one(observation: Any) -> Any:
    """Return one observation, an array or a dict of them, as a batch of one."""
    if isinstance(observation, dict):
        return {name: np.array(value)[None] for name, value in observation.items()}
    return np.array(observation)[None]  # a copy: some environments write into what they gave out


def _masks(info: dict[str, Any]) -> dict[str, Any]:
    return {"action_mask": np.asarray(info["action_mask"])[None]} if "action_mask" in info else {}
