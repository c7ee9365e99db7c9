"""stable-baselines3's and sb3-contrib's algorithms as agents: DQN, PPO, A2C, QR-DQN and RecurrentPPO on any torso.

They learn on the vector environment and see windows through `etfgym.nets.extractor`; everything else is theirs. A
training is one call of their `learn`, cut into legs. Each leg begins with new episodes and with generators seeded
anew, by a seed that follows from the training's and the transitions so far. So what goes on from a leg's beginning
needs neither the state of a generator nor that of an account, and is the same to the bit as if it had never stopped.
"""

from __future__ import annotations

import inspect
import json
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from sb3_contrib import QRDQN, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import FloatSchedule, LinearSchedule
from torch import Tensor, nn

from agents import checkpoints
from agents.training import Training
from etfgym.checks import as_day, one_of, real_number
from etfgym.envs.etf_vector import EtfTradingVectorEnv
from etfgym.envs.settings import Settings
from etfgym.nets import build, files
from etfgym.nets.extractor import WindowExtractor, fit_scaler
from etfgym.policies import Actions
from etfgym.prices import PriceTable
from etfgym.sb3 import EtfVecEnv
from etfgym.tasks.windows import windows_of

ALGORITHMS: dict[str, type[BaseAlgorithm]] = {
    "dqn": DQN,
    "ppo": PPO,
    "a2c": A2C,
    "qrdqn": QRDQN,
    "recurrent-ppo": RecurrentPPO,
}
SCHEDULES = ("learning_rate", "clip_range", "clip_range_vf")
"""Settings that may fall with the training: "lin_0.001", as rl-baselines3-zoo writes it, from that to 0."""
REWARD_SCALE = 100.0
"""Rewards are learned in percent of the initial cash."""

_OURS = {
    *("policy", "env", "seed", "device", "verbose", "tensorboard_log", "stats_window_size", "monitor_wrapper"),
    *("replay_buffer_class", "replay_buffer_kwargs", "rollout_buffer_class", "rollout_buffer_kwargs"),
    *("optimize_memory_usage", "use_sde", "sde_sample_freq", "_init_setup_model"),
}
"""Keywords of the algorithms that are no settings: what `learn` gives, and what discrete actions or JSON rule out."""
_OURS_OF_POLICY = {
    *("observation_space", "action_space", "lr_schedule", "activation_fn", "normalize_images"),
    *("features_extractor_class", "features_extractor_kwargs", "optimizer_class"),
    *("use_sde", "log_std_init", "full_std", "use_expln", "squash_output"),
}
_OF_TRAINING = ("seed", "steps", "num_envs", "check_every", "checkpoint_every")
_COUNTERS = ("num_timesteps", "_n_updates", "_episode_num", "_n_calls", "exploration_rate")


# ---- settings -----------------------------------------------------------------------------------------------------


def check(settings: Mapping[str, Any]) -> None:
    """Raise ValueError unless `learn` can take these settings.

    Args:
        settings: "algorithm", one of `ALGORITHMS`; "torso", see `etfgym.nets.build`; and keywords of the algorithm's
            constructor, with a table of the policy's under "policy_kwargs".

    Example:
        >>> check({"algorithm": "ppo", "torso": {"net": "cnn"}, "n_step": 128})
        Traceback (most recent call last):
        ValueError: setting of ppo must be one of ..., got 'n_step' (did you mean 'n_steps'?)
    """
    name = one_of("algorithm", settings.get("algorithm"), ALGORITHMS)
    with torch.random.fork_rng(devices=[]):
        build(settings.get("torso", {}))
    known = ["algorithm", "torso", *_keywords(ALGORITHMS[name], _OURS)]
    for key, value in settings.items():
        one_of(f"setting of {name}", key, known)
        if key not in ("algorithm", "torso", "policy_kwargs"):
            _as_keyword(key, value)
    known = _keywords(_policy_class(name, account=True), _OURS_OF_POLICY)
    for key in settings.get("policy_kwargs", {}):
        one_of(f"policy_kwargs of {name}", key, known)


def _keywords(made: type, ours: set[str]) -> list[str]:
    return [name for name in inspect.signature(made).parameters if name not in ours]


def _as_keyword(name: str, value: object) -> Any:
    """Return a setting's value as the constructor takes it."""
    if isinstance(value, str) and name in SCHEDULES:
        kind, _, start = value.partition("_")
        try:
            return LinearSchedule(float({"lin": start}[kind]), 0.0, 1.0)
        except (KeyError, ValueError):
            msg = f"{name} must be a number or like 'lin_0.001', from which it falls to 0, got {value!r}"
            raise ValueError(msg) from None
    if not isinstance(value, bool):
        real_number(name, value)
    return value


def torso_keywords(torso: Mapping[str, Any], policy_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return `policy_kwargs` for a policy that sees windows through a torso of this spec."""
    made = {"features_extractor_class": WindowExtractor, "features_extractor_kwargs": {"torso": dict(torso)}}
    return made | dict(policy_kwargs)


def _policy_class(algorithm: str, *, account: bool) -> type[BasePolicy]:
    lstm = "Lstm" if algorithm == "recurrent-ppo" else ""
    return ALGORITHMS[algorithm].policy_aliases[f"{'MultiInput' if account else 'Mlp'}{lstm}Policy"]


# ---- policy -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sb3Policy:
    """What an algorithm learned, without the algorithm; see `etfgym.policies.Policy`."""

    settings: Mapping[str, Any]
    """See `check`."""
    policy: BasePolicy

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Actions, Any]:
        """See `Policy`."""
        return self.policy.predict(observation, state, episode_start, deterministic)


def save(policy: Sb3Policy, folder: Path) -> None:
    """Write `weights.safetensors` and `sb3.json` into `folder`, each whole or not at all."""
    space, actions = policy.policy.observation_space, policy.policy.action_space
    parts = space.spaces if isinstance(space, spaces.Dict) else {"window": space}
    shapes = {name: part.shape for name, part in parts.items()}
    told = {"settings": dict(policy.settings), "shapes": shapes, "actions": int(actions.n)}  # type: ignore[attr-defined]
    files.save(folder, "sb3", _weights(policy.policy), told)


def load(folder: Path) -> Sb3Policy:
    """Return the policy that `save` wrote. Nothing in the files is executed.

    Raises:
        ValueError: If the files don't fit together, naming the folder.
    """
    with files.refusing(folder, "stable-baselines3 agent"), _alone():
        weights, told = files.load(folder, "sb3")
        settings = told["settings"]
        check(settings)
        boxes = {name: spaces.Box(-np.inf, np.inf, tuple(shape)) for name, shape in told["shapes"].items()}
        space = spaces.Dict(boxes) if "account" in boxes else boxes["window"]  # type: ignore[arg-type]
        made = _policy_class(settings["algorithm"], account="account" in boxes)
        keywords = torso_keywords(settings["torso"], settings.get("policy_kwargs", {}))
        policy = made(space, spaces.Discrete(told["actions"]), lr_schedule=FloatSchedule(0.0), **keywords)
        policy.load_state_dict(weights)
        return Sb3Policy(settings, policy)


def _weights(policy: BasePolicy) -> dict[str, Tensor]:
    """Return copies of the weights: some have several names, which a safetensors file does not allow."""
    return {name: part.clone(memory_format=torch.contiguous_format) for name, part in policy.state_dict().items()}


# ---- training -----------------------------------------------------------------------------------------------------


def learn(settings: Mapping[str, Any], training: Training) -> Sb3Policy:
    """Learn, and return the policy that did best in validation, or the last.

    Algorithms that learn from whole rollouts finish the last, and so see up to one rollout more than asked for.

    Raises:
        ValueError: If the settings are wrong, or the checkpoint is another training's.
        FloatingPointError: If the weights are not finite.
    """
    check(settings)
    with _alone():
        model = _make(settings, training)
        legs = _Legs(settings, training)
        if training.checkpoint is not None and training.checkpoint.exists():
            legs.resume(model, training.checkpoint)
        _begin_leg(model, training.seed)
        left = training.steps - model.num_timesteps
        model.learn(left, callback=legs, log_interval=None, reset_num_timesteps=False)  # type: ignore[arg-type]
        model.policy.load_state_dict(legs.weights)
        return Sb3Policy(settings, model.policy)


def vec_env(envs: VectorEnv[Any, Any, Any]) -> EtfVecEnv:
    """Return accounts, made with `autoreset_mode="SameStep"`, as stable-baselines3 learns on them."""
    return EtfVecEnv(gym.wrappers.vector.TransformReward(envs, lambda rewards: REWARD_SCALE * rewards))


def check_finite(network: nn.Module) -> None:
    """Raise FloatingPointError unless every weight is finite."""
    if not all(bool(torch.isfinite(weights).all()) for weights in network.parameters()):
        msg = "weights are not finite after training: a score of such a learner means nothing"
        raise FloatingPointError(msg)


def _make(settings: Mapping[str, Any], training: Training) -> BaseAlgorithm:
    """Return the algorithm before its first transition, its scaler fitted to the windows that it may train on."""
    accounts = {"prices": list(training.tables), **training.environment}
    envs = EtfTradingVectorEnv(training.num_envs, autoreset_mode="SameStep", **accounts)
    one_of("features that the torso's scaler is fitted to", envs.settings.features, ("relative",))
    rest = {key: value for key, value in settings.items() if key not in ("algorithm", "torso", "policy_kwargs")}
    model = ALGORITHMS[settings["algorithm"]](
        _policy_class(settings["algorithm"], account=envs.settings.observe_account),
        vec_env(envs),
        policy_kwargs=torso_keywords(settings["torso"], settings.get("policy_kwargs", {})),
        seed=training.seed,
        device=training.device,
        **{key: _as_keyword(key, value) for key, value in rest.items()},
    )
    model.set_logger(Logger(None, []))  # the default one makes a folder
    fit_scaler(model, torch.from_numpy(np.concatenate([_windows(table, envs.settings) for table in training.tables])))
    return model


def _windows(table: PriceTable, settings: Settings) -> npt.NDArray[np.float32]:
    """Return the windows that an episode may show, (N, W, 6)."""
    first = settings.start[0] if isinstance(settings.start, tuple) else table.dates[0]
    return windows_of(table, settings.window)[table.dates[settings.window - 1 :] >= as_day(first)]


@contextmanager
def _alone() -> Iterator[None]:
    """Take one thread, and leave the global generators, which stable-baselines3 seeds, as they are found."""
    python, numpy, threads = random.getstate(), np.random.get_state(), torch.get_num_threads()  # noqa: NPY002
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def _begin_leg(model: BaseAlgorithm, seed: int) -> None:
    """Seed every generator, and start new episodes in the place of those under way."""
    seeds = np.random.SeedSequence((seed, model.num_timesteps))
    model.set_random_seed(int(seeds.generate_state(1)[0]))
    model._last_obs = model.env.reset()  # type: ignore[union-attr,assignment]  # noqa: SLF001
    model._last_episode_starts = np.ones(model.n_envs, np.bool_)  # noqa: SLF001 (an LSTM forgets)


class _Legs(BaseCallback):
    """Validate, keep the best weights, and begin a new leg where one is due: always between two rollouts."""

    def __init__(self, settings: Mapping[str, Any], training: Training) -> None:
        super().__init__()
        self.settings = settings
        self.validation = training
        self.checked = 0  # transitions at the last validation
        self.begun = 0  # transitions at the beginning of this leg
        self.score = -np.inf
        self.weights: dict[str, Tensor] = {}

    def _on_rollout_start(self) -> None:
        training, done = self.validation, self.model.num_timesteps
        if done // training.check_every > self.checked // training.check_every:
            self._check()
        if done // training.checkpoint_every > self.begun // training.checkpoint_every:
            self.begun = done
            if training.checkpoint is not None:
                self._write(training.checkpoint)
            _begin_leg(self.model, training.seed)

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        self._check()

    def _check(self) -> None:
        self.checked = self.model.num_timesteps
        check_finite(self.model.policy)
        score = self.validation.validate(Sb3Policy(self.settings, self.model.policy))
        if not self.weights or score is None or score > self.score:
            self.score = self.score if score is None else score
            self.weights = _weights(self.model.policy)

    def _told(self) -> dict[str, Any]:
        """Return what a checkpoint must agree with, as JSON gives it back."""
        training = self.validation
        numbers = {name: getattr(training, name) for name in _OF_TRAINING}
        told: dict[str, Any] = json.loads(json.dumps({"settings": dict(self.settings), **numbers}))
        return told

    def _write(self, file: Path) -> None:
        model = self.model
        parts = {f"policy.{name}": part for name, part in _weights(model.policy).items()}
        parts |= {f"best.{name}": part for name, part in self.weights.items()}
        for number, moments in model.policy.optimizer.state_dict()["state"].items():
            parts |= {f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        counts = {name: getattr(model, name) for name in _COUNTERS if hasattr(model, name)}
        counts |= {"checked": self.checked, "begun": self.begun, "score": self.score}
        if isinstance(model, OffPolicyAlgorithm):
            replay: ReplayBuffer = model.replay_buffer  # type: ignore[assignment]
            counts |= {"pos": replay.pos, "full": replay.full}
            parts |= {f"replay.{name}": torch.from_numpy(part) for name, part in _replay_arrays(replay).items()}
        checkpoints.write(file, parts, {"of": self._told(), "counts": counts})

    def resume(self, model: BaseAlgorithm, file: Path) -> None:
        """Take over what `_write` wrote, into a model just made.

        Raises:
            ValueError: If it is no such file, or of another training.
        """
        with files.refusing(file, "training of a stable-baselines3 agent"):
            parts, told = checkpoints.read(file)
            differing = [name for name, value in self._told().items() if told["of"].get(name) != value]
            if differing:
                msg = f"it is another's, with other {', '.join(differing)}"
                raise ValueError(msg)
            counts = told["counts"]
            for name in _COUNTERS:
                if name in counts:
                    setattr(model, name, counts[name])
            self.checked, self.begun, self.score = (counts[name] for name in ("checked", "begun", "score"))
            self.weights = _under(parts, "best")
            model.policy.load_state_dict(_under(parts, "policy"))
            moments: dict[int, dict[str, Tensor]] = {}
            for name, part in _under(parts, "optimizer").items():
                number, _, kind = name.partition(".")
                moments.setdefault(int(number), {})[kind] = part
            optimizer = model.policy.optimizer
            optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})
            if isinstance(model, OffPolicyAlgorithm):
                replay: ReplayBuffer = model.replay_buffer  # type: ignore[assignment]
                replay.pos, replay.full = counts["pos"], counts["full"]
                saved = _under(parts, "replay")
                checkpoints.restore(
                    {name: torch.from_numpy(part) for name, part in _replay_arrays(replay).items()}, saved
                )


def _replay_arrays(replay: ReplayBuffer) -> dict[str, Any]:
    """Return views of the filled part of a replay's arrays by name, those of a dict's parts too."""
    stored = replay.buffer_size if replay.full else replay.pos
    arrays: dict[str, Any] = {}
    for name in ("observations", "next_observations", "actions", "rewards", "dones", "timeouts"):
        value = getattr(replay, name)
        parts = {f"{name}.{key}": part for key, part in value.items()} if isinstance(value, dict) else {name: value}
        arrays |= {key: part[:stored] for key, part in parts.items()}
    return arrays


def _under(parts: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): part for key, part in parts.items() if key.startswith(f"{name}.")}
