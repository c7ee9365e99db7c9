"""One game, or many at once, as Gymnasium environments: what `atari` and `paddle` have in common.

A `Games` object plays; `GameEnv` has one game of it, `GameVectorEnv` has many, so both give the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from etfgym.checks import whole_number
from etfgym.envs.vector import as_mode, as_reset_mask, wrong_actions

Pixels: TypeAlias = npt.NDArray[np.uint8]
Bools: TypeAlias = npt.NDArray[np.bool_]
Integers: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]

_ONE = np.ones(1, np.bool_)


class Games:
    """`count` games: what is known of each. Subclasses play them.

    Attributes:
        lives: Lives left, shape (n,).
        score: Raw score of the game so far, shape (n,).
        game_over: Whether a game ended in this step (all lives lost, or out of time), shape (n,).
        game_score: Raw score of the game that ended in this step, 0 where none did, shape (n,).
    """

    num_actions: int
    shape: tuple[int, int, int]
    """Of one observation: frames, height, width."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.lives = np.zeros(count, np.int64)
        self.score = np.zeros(count)
        self.game_over = np.zeros(count, np.bool_)
        self.game_score = np.zeros(count)

    def restart(self, which: Bools, rng: np.random.Generator, *, anew: bool) -> None:
        """Start an episode in the games `which` (n,).

        Args:
            which: Shape (n,).
            rng: What is random comes from it.
            anew: Start new games in any case, with randomness that depends on nothing before.
        """
        raise NotImplementedError

    def step(self, actions: Integers, restarts: Bools, rng: np.random.Generator) -> tuple[Floats, Bools, Bools]:
        """Take all games one step on; return rewards, terminated and truncated, each (n,).

        Args:
            actions: Shape (n,).
            restarts: Games that start an episode instead, without reward, shape (n,).
            rng: See `restart`.
        """
        raise NotImplementedError

    def observe(self) -> Pixels:
        """Return each game's last frames, oldest first, (n, frames, height, width), which no later step changes."""
        raise NotImplementedError

    def picture(self) -> Pixels:
        """Return the first game in colour, shape (height, width, 3)."""
        raise NotImplementedError

    def info(self) -> dict[str, npt.NDArray[Any]]:
        """Return copies of the attributes."""
        names = ("lives", "score", "game_over", "game_score")
        return {name: getattr(self, name).copy() for name in names}

    def forget_ends(self) -> None:
        """Begin a step in which no game has ended yet."""
        self.game_over[:] = False
        self.game_score[:] = 0.0

    def end(self, which: Bools) -> None:
        """Note that these games ended, shape (n,)."""
        self.game_over |= which
        self.game_score[which] = self.score[which]

    def spaces(self) -> tuple[Box, Discrete]:
        """Return the spaces of one game's observations and actions."""
        return Box(0, 255, self.shape, np.uint8), Discrete(self.num_actions)


class GameEnv(gym.Env[Any, Any]):
    """One game.

    Args:
        games: One game.
        render_mode: None or "rgb_array".
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012 (Gymnasium's)

    def __init__(self, games: Games, render_mode: str | None) -> None:
        self.render_mode = render_mode
        self.games = games
        self.observation_space, self.action_space = games.spaces()
        self._running = False
        self._begun = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Pixels, dict[str, Any]]:
        """Start an episode; with a seed, a new game in any case.

        Raises:
            ValueError: If there are `options`: there are none to choose from.
        """
        super().reset(seed=seed)
        _no_options(options or {})
        self.games.forget_ends()
        self.games.restart(_ONE, self.np_random, anew=seed is not None)
        self._running = self._begun = True
        return self.games.observe()[0], self._info()

    def step(self, action: Any) -> tuple[Pixels, float, bool, bool, dict[str, Any]]:
        """Play one step.

        Raises:
            ValueError: If the action is not one of the action space.
            gymnasium.error.ResetNeeded: If the episode is over.
        """
        if not self._running:
            msg = "the episode is over; call reset() first"
            raise gym.error.ResetNeeded(msg)
        if not self.action_space.contains(action):
            msg = f"action must be a whole number from 0 to {self.games.num_actions - 1}, got {action!r}"
            raise ValueError(msg)
        rewards, terminated, truncated = self.games.step(np.array([action], np.int64), ~_ONE, self.np_random)
        over, cut = bool(terminated[0]), bool(truncated[0])
        self._running = not (over or cut)
        return self.games.observe()[0], float(rewards[0]), over, cut, self._info()

    def render(self) -> Pixels | None:
        """Return the game in colour, shape (height, width, 3)."""
        if self.render_mode is None:
            gym.logger.warn("render() needs a render_mode: make the environment with render_mode='rgb_array'")
            return None
        if not self._begun:
            msg = "there is nothing to draw yet; call reset() first"
            raise gym.error.ResetNeeded(msg)
        return self.games.picture()

    def _info(self) -> dict[str, Any]:
        return {key: value[0].item() for key, value in self.games.info().items()}


class GameVectorEnv(VectorEnv[Any, Any, npt.NDArray[Any]]):
    """`num_envs` games; observations, rewards and infos are arrays over them.

    All share one generator: with the same seed, a vector of one plays the single environment's episodes to the bit.

    Args:
        make_games: Makes that many games.
        num_envs: Number of games.
        autoreset_mode: What happens after an episode's end, in Gymnasium's words: "NextStep" (the next step ignores
            the action and starts a new episode), "SameStep" (the same step returns the new episode's first
            observation, and the last one under `final_obs` and `final_info`) or "Disabled" (call
            `reset(options={"reset_mask": mask})`).
    """

    metadata: dict[str, Any]

    def __init__(self, make_games: Callable[[int], Games], num_envs: int, autoreset_mode: AutoresetMode | str) -> None:
        self.autoreset_mode = as_mode(autoreset_mode)
        self.metadata = {"autoreset_mode": self.autoreset_mode, "render_modes": []}
        self.num_envs = whole_number("num_envs", num_envs, 1)
        self.games = make_games(self.num_envs)
        self.single_observation_space, self.single_action_space = self.games.spaces()
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._all = np.ones(self.num_envs, np.bool_)
        self._over = self._all.copy()  # games that need a restart before they can be stepped
        self._begun = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Pixels, dict[str, Any]]:
        """Start an episode in all games, or in those of the boolean array `options["reset_mask"]` (n,).

        Raises:
            ValueError: If an option is unknown or can't be met.
        """
        rest = dict(options or {})
        which = as_reset_mask(rest.pop("reset_mask", self._all), self.num_envs)
        _no_options(rest)
        if not (self._begun or which.all()):
            msg = "the first reset must start every game; call reset() without reset_mask first"
            raise ValueError(msg)
        super().reset(seed=seed)
        self.games.forget_ends()
        self.games.restart(which, self.np_random, anew=seed is not None)
        self._begun = True
        self._over &= ~which
        return self.games.observe(), self._info(which)

    def step(self, actions: npt.NDArray[Any]) -> tuple[Pixels, Floats, Bools, Bools, dict[str, Any]]:
        """Play one step in every game.

        Raises:
            ValueError: If `actions` is not one action a game, shape (n,).
            gymnasium.error.ResetNeeded: If an episode is over and nothing resets it ("Disabled", or before reset).
        """
        chosen = self._checked_actions(actions)
        restarts = self._over
        if restarts.any() and (self.autoreset_mode is not AutoresetMode.NEXT_STEP or not self._begun):
            msg = f"{int(restarts.sum())} of {self.num_envs} episodes are over; call reset() for them first"
            raise gym.error.ResetNeeded(msg)
        rewards, terminated, truncated = self.games.step(chosen, restarts, self.np_random)
        over = terminated | truncated
        final: dict[str, Any] = {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP and over.any():
            final = self._final(over)
            self.games.restart(over, self.np_random, anew=False)
            self._over = np.zeros(self.num_envs, np.bool_)
        else:
            self._over = over
        return self.games.observe(), rewards, terminated, truncated, self._info(self._all) | final

    def _info(self, which: Bools) -> dict[str, Any]:
        """Return the games' info, each key with its mask `_key` of the games it speaks of."""
        info: dict[str, Any] = {}
        for key, values in self.games.info().items():
            info[key] = values
            info[f"_{key}"] = which.copy()
        return info

    def _final(self, over: Bools) -> dict[str, Any]:
        """Return `final_obs` (objects, None where an episode goes on) and `final_info` of the episodes that ended."""
        observations = self.games.observe()
        final_obs = np.full(self.num_envs, None, dtype=object)
        for i in np.flatnonzero(over):
            final_obs[i] = observations[i].copy()
        return {
            "final_obs": final_obs,
            "_final_obs": over.copy(),
            "final_info": self._info(over),
            "_final_info": over.copy(),
        }

    def _checked_actions(self, actions: npt.NDArray[Any]) -> Integers:
        given = np.asarray(actions)
        count = self.games.num_actions
        if (
            given.shape != (self.num_envs,)
            or given.dtype.kind not in "iu"
            or (given < 0).any()
            or (given >= count).any()
        ):
            raise wrong_actions(actions, self.num_envs, count)
        return given.astype(np.int64)


def _no_options(options: dict[str, Any]) -> None:
    if options:
        msg = f"there are no such options to a reset: {', '.join(map(repr, options))}"
        raise ValueError(msg)
