"""What a game shows, step by step, whichever environment plays it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv


def record(env: gym.Env | VectorEnv, tape: list[int], seed: int) -> list[Any]:
    """Return what the (first) game shows under a tape of actions: starts and steps, each observation as bytes.

    Each step has the last observation of its episode, and each start the first, whatever the autoreset mode. The other
    games of a vector play the same tape.
    """
    play = _record_vector if isinstance(env, VectorEnv) else _record_single
    return play(env, tape, seed)


def _record_single(env: gym.Env, tape: list[int], seed: int) -> list[Any]:
    observation, info = env.reset(seed=seed)
    shown: list[Any] = [_start(observation, info)]
    for action in tape:
        observation, reward, terminated, truncated, info = env.step(action)
        shown.append((observation.tobytes(), reward, terminated, truncated, info))
        if terminated or truncated:
            shown.append(_start(*env.reset()))
    return shown


def _record_vector(envs: VectorEnv, tape: list[int], seed: int) -> list[Any]:
    observations, infos = envs.reset(seed=seed)
    shown: list[Any] = [_start(observations[0], _first(infos))]
    for action in tape:
        actions = np.full(envs.num_envs, action)
        observations, rewards, terminated, truncated, infos = envs.step(actions)
        over = terminated | truncated
        last, info = observations[0], _first(infos)
        if over[0] and "final_obs" in infos:
            last, info = infos["final_obs"][0], _first(infos["final_info"])
        shown.append((last.tobytes(), rewards[0].item(), terminated[0].item(), truncated[0].item(), info))
        if envs.autoreset_mode.value == "NextStep" and over[0]:
            observations, _, _, _, infos = envs.step(actions)
        if envs.autoreset_mode.value == "Disabled" and over.any():
            observations, infos = envs.reset(options={"reset_mask": over})
        if over[0]:
            shown.append(_start(observations[0], _first(infos)))
    return shown


def _start(observation: np.ndarray, info: dict[str, Any]) -> tuple[Any, ...]:
    return observation.tobytes(), info["lives"], info["score"]


def _first(infos: dict[str, Any]) -> dict[str, Any]:
    return {key: infos[key][0].item() for key in ("lives", "score", "game_over", "game_score")}
