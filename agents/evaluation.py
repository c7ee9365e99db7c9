"""Play whole episodes with what was learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv

from etfgym.policies import Policy


def episode_returns(
    policy: Policy, envs: VectorEnv[Any, Any, Any], episodes: int, seed: int, *, deterministic: bool = False
) -> npt.NDArray[np.float64]:
    """Return the sums of rewards of `episodes` whole episodes, shape (episodes,).

    Every environment plays the same number of them, one more at most, so that short episodes count no more than long
    ones. Where an environment tells of games, of which an episode may be one life only (`info["game_over"]`), it is
    whole games that are played, and their scores that are returned.

    Args:
        policy: See `etfgym.policies.Policy`.
        envs: Others than those it learns in, in mode "NextStep" or "SameStep".
        episodes: How many.
        seed: Of the environments.
        deterministic: Leave out the random actions of the evaluation, if the policy has any.

    Raises:
        ValueError: If the environments are in mode "Disabled".
    """
    mode = envs.metadata["autoreset_mode"]
    if mode is AutoresetMode.DISABLED:
        msg = "evaluation wants environments that reset themselves: make them with autoreset_mode='NextStep'"
        raise ValueError(msg)
    observation, _ = envs.reset(seed=seed)
    count = envs.num_envs
    shares = np.array([len(part) for part in np.array_split(np.arange(episodes), count)])
    returns: list[float] = []
    running, played = np.zeros(count), np.zeros(count, np.int64)
    resetting = np.zeros(count, np.bool_)
    state, first = None, np.ones(count, np.bool_)
    while (played < shares).any():
        actions, state = policy.predict(observation, state=state, episode_start=first, deterministic=deterministic)
        observation, rewards, terminated, truncated, infos = envs.step(actions)
        running += rewards
        over = terminated | truncated
        ended = infos.get("game_over", over)
        returns.extend(infos.get("game_score", running)[ended & (played < shares)].tolist())
        played += ended
        running[over] = 0.0
        first = resetting if mode is AutoresetMode.NEXT_STEP else over
        resetting = over
    return np.array(returns)
