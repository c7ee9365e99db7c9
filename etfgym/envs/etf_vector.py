"""EtfTradingVectorEnv: many accounts at once, each on its own ETF and start date, on the kernel of the single one."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from etfgym.checks import one_of, whole_number
from etfgym.envs.accounts import Accounts, Observation
from etfgym.envs.settings import Settings

Bools = npt.NDArray[np.bool_]


class EtfTradingVectorEnv(VectorEnv[Any, Any, npt.NDArray[Any]]):
    """`num_envs` accounts of `EtfTradingEnv`, which see; observations, rewards and infos are arrays over them.

    All accounts share one generator: with the same seed, a vector of one account plays the single environment's
    episodes to the bit.

    Args:
        num_envs: Number of accounts.
        autoreset_mode: What happens after an account is closed, in Gymnasium's words: "NextStep" (its next step
            ignores the action and starts a new episode), "SameStep" (the same step returns the new episode's
            first observation, and the last one under `final_obs` and `final_info`) or "Disabled" (call
            `reset(options={"reset_mask": mask})`).
        **settings: Every keyword of `etfgym.envs.settings.Settings`.

    Example:
        >>> import gymnasium, etfgym
        >>> envs = gymnasium.make_vec("etfgym/EtfTrading-v0", num_envs=3, vectorization_mode="vector_entry_point")
        >>> observations, infos = envs.reset(seed=1)
        >>> observations.shape, infos["cash"].tolist()
        ((3, 20, 6), [20000.0, 20000.0, 20000.0])
    """

    metadata: dict[str, Any]
    _modes: ClassVar[dict[str, AutoresetMode]] = {mode.value: mode for mode in AutoresetMode}

    def __init__(
        self, num_envs: int = 1, *, autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP, **settings: Any
    ) -> None:
        if not isinstance(autoreset_mode, AutoresetMode):
            autoreset_mode = self._modes[one_of("autoreset_mode", autoreset_mode, self._modes)]
        self.autoreset_mode = autoreset_mode
        self.metadata = {"autoreset_mode": autoreset_mode, "render_modes": []}
        self.num_envs = whole_number("num_envs", num_envs, 1)
        self._accounts = Accounts(Settings.from_keywords(settings), self.num_envs)
        self.single_observation_space = self._accounts.observation_space
        self.single_action_space = self._accounts.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._all = np.ones(self.num_envs, np.bool_)
        self._over = self._all.copy()  # accounts that need a reset before they can be stepped

    @property
    def settings(self) -> Settings:
        """The keywords in force."""
        return self._accounts.settings

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Open new accounts: all of them, or those of the boolean array `options["reset_mask"]` (n,).

        Raises:
            ValueError: If an option is unknown or can't be met.
        """
        rest = dict(options or {})
        which = self._checked_mask(rest.pop("reset_mask", self._all))
        if not (which | (self._accounts.state["last"] > 0)).all():
            msg = "the first reset must open every account; call reset() without reset_mask first"
            raise ValueError(msg)
        super().reset(seed=seed)
        self._accounts.open(which, self.np_random, rest)
        self._over &= ~which
        return self._accounts.observe(), self._info(which)

    def step(self, actions: npt.NDArray[Any]) -> tuple[Any, npt.NDArray[np.float64], Bools, Bools, dict[str, Any]]:
        """Order in every account, and go on to the next decision.

        Raises:
            ValueError: If `actions` is not one action an account, shape (n,).
            gymnasium.error.ResetNeeded: If an account is over and nothing resets it ("Disabled", or before reset).
        """
        ordered = self._checked_actions(actions)
        resets = self._over
        if resets.any() and (
            self.autoreset_mode is not AutoresetMode.NEXT_STEP or not self._accounts.state["last"].any()
        ):
            msg = f"{int(resets.sum())} of {self.num_envs} accounts are over; call reset() for them first"
            raise gym.error.ResetNeeded(msg)
        rewards, terminated = self._accounts.step(ordered, ~resets)
        if resets.any():
            self._accounts.open(resets, self.np_random, {})
        final: dict[str, Any] = {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP and terminated.any():
            final = self._final(terminated)
            self._accounts.open(terminated, self.np_random, {})
            self._over = np.zeros(self.num_envs, np.bool_)
        else:
            self._over = terminated.copy()
        truncated = np.zeros(self.num_envs, np.bool_)
        return self._accounts.observe(), rewards, terminated, truncated, self._info(self._all) | final

    def _info(self, which: Bools) -> dict[str, Any]:
        """Return the accounts' info, each key with its mask `_key` of the accounts it speaks of."""
        info: dict[str, Any] = {}
        for key, values in self._accounts.info().items():
            info[key] = values
            info[f"_{key}"] = which.copy()
        return info

    def _final(self, over: Bools) -> dict[str, Any]:
        """Return `final_obs` (objects, None where an account goes on) and `final_info` of the closed accounts."""
        observations = self._accounts.observe()
        final_obs = np.full(self.num_envs, None, dtype=object)
        for i in np.flatnonzero(over):
            final_obs[i] = _row(observations, int(i))
        return {
            "final_obs": final_obs,
            "_final_obs": over.copy(),
            "final_info": self._info(over),
            "_final_info": over.copy(),
        }

    def _checked_actions(self, actions: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        given = np.asarray(actions)
        count = len(self._accounts.orders)
        if (
            given.shape != (self.num_envs,)
            or given.dtype.kind not in "iu"
            or (given < 0).any()
            or (given >= count).any()
        ):
            msg = f"actions must be {self.num_envs} whole numbers from 0 to {count - 1}, got {actions!r}"
            raise ValueError(msg)
        return given.astype(np.int64)

    def _checked_mask(self, mask: Any) -> Bools:
        given = np.asarray(mask)
        if given.shape != (self.num_envs,) or given.dtype != np.bool_ or not given.any():
            msg = f"reset_mask must be {self.num_envs} booleans, at least one of them True, got {mask!r}"
            raise ValueError(msg)
        return given


def _row(observations: Observation, i: int) -> Any:
    """Return one account's observation, copied."""
    if isinstance(observations, dict):
        return {key: value[i].copy() for key, value in observations.items()}
    return observations[i].copy()
