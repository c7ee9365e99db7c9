"""EtfTradingVectorEnv: many accounts at once, each on its own ETF and start date, on the kernel of the single one."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from etfgym.checks import whole_number
from etfgym.envs.accounts import Accounts, Bools, Observation, WrongActionError
from etfgym.envs.infos import BATCHED, LazyInfo, Moment
from etfgym.envs.settings import Settings
from etfgym.envs.vector import as_mode, as_reset_mask, wrong_actions


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
        num_threads: Threads that share out the accounts; the results are the same for any number. It pays, if at
            all, with thousands of accounts and a free core for each; see `python -m benchmarks.env`.
        **settings: Every keyword of `etfgym.envs.settings.Settings`.

    All arrays returned are the caller's to keep and are not written to again while they are held. The arrays of
    `infos` are made when they are read, and tell of their own step whenever that is.

    Example:
        >>> import gymnasium, etfgym
        >>> envs = gymnasium.make_vec("etfgym/EtfTrading-v0", num_envs=3, vectorization_mode="vector_entry_point")
        >>> observations, infos = envs.reset(seed=1)
        >>> observations.shape, infos["cash"].tolist()
        ((3, 20, 6), [20000.0, 20000.0, 20000.0])
    """

    metadata: dict[str, Any]

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        num_threads: int = 1,
        **settings: Any,
    ) -> None:
        self.autoreset_mode = as_mode(autoreset_mode)
        self.metadata = {"autoreset_mode": self.autoreset_mode, "render_modes": []}
        self.num_envs = whole_number("num_envs", num_envs, 1)
        threads = min(whole_number("num_threads", num_threads, 1), self.num_envs)
        self.accounts = Accounts(Settings.from_keywords(settings), self.num_envs, threads)
        self.single_observation_space = self.accounts.observation_space
        self.single_action_space = self.accounts.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._all = np.ones(self.num_envs, np.bool_)
        self._none = np.zeros(self.num_envs, np.bool_)
        self._over = self._all  # accounts that need a reset before they can be stepped
        self._opened = False

    @property
    def settings(self) -> Settings:
        """The keywords in force."""
        return self.accounts.settings

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Open new accounts: all of them, or those of the boolean array `options["reset_mask"]` (n,).

        Raises:
            ValueError: If an option is unknown or can't be met.
        """
        rest = dict(options or {})
        which = as_reset_mask(rest.pop("reset_mask", self._all), self.num_envs)
        if not self._opened and not which.all():
            msg = "the first reset must open every account; call reset() without reset_mask first"
            raise ValueError(msg)
        super().reset(seed=seed)
        self.accounts.open(which, self.np_random, rest)
        self._opened = True
        self._over = self._over & ~which
        state, idle = self.accounts.state, self._all
        moment = Moment(self.accounts, state, state, np.zeros(self.num_envs, np.int64), idle, which.copy())
        return self.accounts.observe(), LazyInfo(BATCHED, moment.tell)

    def step(self, actions: npt.NDArray[Any]) -> tuple[Any, npt.NDArray[np.float64], Bools, Bools, dict[str, Any]]:
        """Order in every account, and go on to the next decision.

        Raises:
            ValueError: If `actions` is not one action an account, shape (n,).
            gymnasium.error.ResetNeeded: If an account is over and nothing resets it ("Disabled", or before reset).
        """
        given = np.asarray(actions)
        if given.shape != (self.num_envs,) or given.dtype.kind not in "iu":
            raise self._wrong(actions)
        idle = self._over
        resets = idle is not self._none and bool(idle.any())
        if resets and not (self._opened and self.autoreset_mode is AutoresetMode.NEXT_STEP):
            msg = f"{int(idle.sum())} of {self.num_envs} accounts are over; call reset() for them first"
            raise gym.error.ResetNeeded(msg)
        ordered = given.astype(np.int64)  # a copy: infos may be read after the caller has written to `actions`
        before = self.accounts.state
        try:
            observation, rewards, terminated, closed = self.accounts.step(ordered, idle)
        except WrongActionError:
            raise self._wrong(actions) from None
        final: dict[str, Any] = {}
        opened = idle if resets else self._none
        self._over = self._none
        if closed and self.autoreset_mode is AutoresetMode.SAME_STEP:
            opened = terminated.copy()
            moment = Moment(self.accounts, before, self.accounts.state, ordered, idle, opened)
            final = _final(observation, opened, LazyInfo(BATCHED, moment.tell))
        elif closed:
            self._over = terminated.copy()
        if opened is not self._none:
            self.accounts.open(opened, self.np_random, {})
            self.accounts.observe_again(opened, observation)
        info = LazyInfo(BATCHED, Moment(self.accounts, before, self.accounts.state, ordered, opened, self._all).tell)
        for key, value in final.items():
            info[key] = value
        return observation, rewards, terminated, np.zeros(self.num_envs, np.bool_), info

    def _wrong(self, actions: Any) -> ValueError:
        return wrong_actions(actions, self.num_envs, len(self.accounts.orders))


def _final(observations: Observation, over: Bools, info: LazyInfo) -> dict[str, Any]:
    """Return `final_obs` (objects, None where an account goes on) and `final_info` of the closed accounts."""
    final_obs = np.full(len(over), None, dtype=object)
    for i in np.flatnonzero(over):
        final_obs[i] = _row(observations, int(i))
    return {"final_obs": final_obs, "_final_obs": over.copy(), "final_info": info, "_final_info": over.copy()}


def _row(observations: Observation, i: int) -> Any:
    """Return one account's observation, copied."""
    if isinstance(observations, dict):
        return {key: value[i].copy() for key, value in observations.items()}
    return observations[i].copy()
