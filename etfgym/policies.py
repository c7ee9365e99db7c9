"""Policies: what decides. The protocol is stable-baselines3's `predict`, so that its models fit unwrapped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from etfgym.checks import one_of
from etfgym.ledger import ALL
from etfgym.prices import CLOSE

Actions = npt.NDArray[np.int64]


class Policy(Protocol):
    """Anything with this `predict` can be backtested: the policies here, a DQN of ours, a stable-baselines3 model."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Actions, Any]:
        """Return the actions and the state to pass in next time.

        Args:
            observation: Of one environment, (W, 6) or a dict with `window`, or of several, (n, W, 6).
            state: What the last call returned; None at the start of an episode.
            episode_start: Which environments begin a new episode, (n,); None if none does.
            deterministic: Whether to leave out exploration.
        """
        ...


class BuyAndHold:
    """Buy as many units as the cash allows at the first open, and hold them. No daily limit on units applies."""

    env_keywords: dict[str, Any] = {"units": (ALL,)}  # noqa: RUF012
    """Keywords of the environment that this policy trades in, where they differ from the agent's."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Actions, Any]:
        """Buy once, then hold; see `Policy`."""
        del episode_start, deterministic
        buy, hold = 0, 1
        return _same(observation, buy if state is None else hold), True


class RampedBuyAndHold:
    """Buy 20 units every day for as long as the cash lasts: holding, under the limits that the agent has."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Actions, Any]:
        """Order the largest buy; see `Policy`."""
        del state, episode_start, deterministic
        return _same(observation, 0), None


class Random:
    """Choose among the actions evenly.

    Args:
        seed: Of its own generator.
        actions: How many there are.
    """

    def __init__(self, seed: int, actions: int = 5) -> None:
        self._rng = np.random.default_rng(seed)
        self._actions = actions

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Actions, Any]:
        """Draw an action; see `Policy`. There is nothing deterministic about it."""
        del state, episode_start, deterministic
        return self._rng.integers(self._actions, size=_windows(observation).shape[:-2]), None


class MovingAverageCross:
    """Buy the most a day while the mean Close of the last `fast` days is above that of the whole window, else sell.

    The windows' mean is scale-free, so it makes no difference whether the features are raw or relative.
    """

    def __init__(self, fast: int = 5, actions: int = 5) -> None:
        self._fast = fast
        self._last_action = actions - 1

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Actions, Any]:
        """Order the largest buy or the largest sale; see `Policy`."""
        del state, episode_start, deterministic
        close = _windows(observation)[..., CLOSE]  # (..., W)
        rising = close[..., -self._fast :].mean(axis=-1) > close.mean(axis=-1)
        return np.where(rising, 0, self._last_action).astype(np.int64), None


class Replay:
    """Play a list of actions, one a step, whatever is observed.

    Args:
        actions: Of one episode.
        env_keywords: Keywords of the environment that they are meant for.
    """

    def __init__(self, actions: Sequence[int] | Actions, env_keywords: dict[str, Any]) -> None:
        self._actions = np.asarray(actions, np.int64)
        self.env_keywords = env_keywords

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Actions, Any]:
        """Play the next action; `state` counts them. See `Policy`."""
        del episode_start, deterministic
        step = 0 if state is None else int(state)
        return _same(observation, int(self._actions[step])), step + 1


POLICIES: dict[str, Callable[[int], Policy]] = {
    "buy-and-hold": lambda _: BuyAndHold(),
    "ramped-buy-and-hold": lambda _: RampedBuyAndHold(),
    "random": Random,
    "ma-cross": lambda _: MovingAverageCross(),
}
"""Policies that need no training, by name: from a seed to a policy."""


def make_policy(name: str, seed: int = 0) -> Policy:
    """Return the policy `name`.

    Raises:
        ValueError: If there is none of that name.

    Example:
        >>> action, _ = make_policy("ramped-buy-and-hold").predict(np.ones((20, 6)))
        >>> int(action)
        0
    """
    return POLICIES[one_of("policy", name, POLICIES)](seed)


def _windows(observation: Any) -> npt.NDArray[np.float32]:
    """Return the windows of an observation, shape (..., W, 6)."""
    return np.asarray(observation["window"] if isinstance(observation, dict) else observation)


def _same(observation: Any, action: int) -> Actions:
    """Return `action` for every environment of the observation."""
    return np.full(_windows(observation).shape[:-2], action, np.int64)
