"""The vector environment as a stable-baselines3 `VecEnv`; needs the extra `sb3`, nothing else here imports it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices, VecEnvObs, VecEnvStepReturn


class EtfVecEnv(VecEnv):
    """Give stable-baselines3 the accounts of an `EtfTradingVectorEnv` without a copy of the market for each.

    An account that is closed starts anew in the same step; its last observation is under `terminal_observation` in
    its info, and `TimeLimit.truncated` says whether it was cut off rather than closed (which never happens here).
    Wrap it in `VecMonitor` for episode returns in the log.

    Args:
        envs: Made with `autoreset_mode="SameStep"`.

    Raises:
        ValueError: If it was made in another mode.

    Example:
        >>> import gymnasium, etfgym
        >>> mode = {"vectorization_mode": "vector_entry_point", "autoreset_mode": "SameStep"}
        >>> env = EtfVecEnv(gymnasium.make_vec("etfgym/EtfTrading-v0", num_envs=4, **mode))
        >>> env.reset().shape
        (4, 20, 6)
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any]) -> None:
        if envs.metadata["autoreset_mode"] is not AutoresetMode.SAME_STEP:
            msg = "stable-baselines3 resets in the same step: make the environment with autoreset_mode='SameStep'"
            raise ValueError(msg)
        self.envs = envs
        self._actions = np.zeros(envs.num_envs, np.int64)
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> VecEnvObs:
        """Start every account anew with the seed and options set before; infos are in `reset_infos`."""
        observations, infos = self.envs.reset(seed=self._seeds[0], options=self._options[0])
        self.reset_infos = _split(infos, self.num_envs)
        self._reset_seeds()
        self._reset_options()
        return observations  # type: ignore[no-any-return]

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Set the seed of the next reset; one generator serves all accounts. Return it for each of them."""
        self._seeds = [seed] * self.num_envs
        return self._seeds

    def step_async(self, actions: npt.NDArray[Any]) -> None:
        """Take note of one action an account, shape (n,)."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Carry the actions out; return observations, rewards (n,), dones (n,) and a dict for each account."""
        observations, rewards, terminated, truncated, batched = self.envs.step(self._actions)
        infos = _split(batched, self.num_envs)
        dones = terminated | truncated
        finals = _split(batched["final_info"], self.num_envs) if dones.any() else []
        for i in np.flatnonzero(dones):
            self.reset_infos[i] = infos[i]
            infos[i] = finals[i]
            infos[i]["terminal_observation"] = batched["final_obs"][i]
        for info, cut_off, closed in zip(infos, truncated, terminated, strict=True):
            info["TimeLimit.truncated"] = bool(cut_off and not closed)
        return observations, rewards.astype(np.float32), dones, infos

    def close(self) -> None:
        """Close the environment."""
        self.envs.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return the vector environment's attribute, once for each account asked for."""
        return [getattr(self.envs, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the vector environment.

        Raises:
            ValueError: If only some accounts are meant: they share it.
        """
        if len(list(self._get_indices(indices))) != self.num_envs:
            msg = f"the accounts share {attr_name}; set it for all of them, with indices=None"
            raise ValueError(msg)
        setattr(self.envs, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the vector environment once; return its result for each account asked for."""
        result = getattr(self.envs, method_name)(*method_args, **method_kwargs)
        return [result for _ in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: Any, indices: VecEnvIndices = None) -> list[bool]:
        """Return False for each account asked for: there is nothing to wrap one by one."""
        del wrapper_class
        chosen: Iterable[int] = self._get_indices(indices)
        return [False for _ in chosen]


def _split(infos: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Return each account's own info of a batch of them."""
    keys = [key for key in infos if not key.startswith(("_", "final_"))]
    return [{key: infos[key][i] for key in keys} for i in range(count)]
