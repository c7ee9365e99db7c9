"""Deep Q-learning on a Gymnasium vector environment: config, network, act, learn, loop, from top to bottom.

Mnih et al. 2015 (replay, target network, epsilon-greedy, Huber loss) with double Q-learning (van Hasselt et al.
2016). On a trading window the network is convolutional; an account observed beside it joins after the torso.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor, nn
from torch.nn import functional

from agents.replay import Batch, Replay
from agents.scalars import Scalars
from etfgym.atomic import write_atomically
from etfgym.checks import whole_number
from etfgym.nets.cnn import CNN

Floats = npt.NDArray[np.float32]


# ---- config -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DQNConfig:
    """Settings of the learner; counts are in transitions, whatever the number of environments.

    Raises:
        ValueError: If a value is out of its range.
    """

    learning_rate: float = 5e-4
    """Of Adam."""
    gamma: float = 0.99
    """Discount a step, in [0, 1]."""
    batch_size: int = 64
    """Transitions in an update."""
    buffer_size: int = 50_000
    """Transitions kept in the replay."""
    learning_starts: int = 1_000
    """Transitions before the first update, all of them random."""
    train_every: int = 4
    """Transitions from one update to the next."""
    target_every: int = 1_000
    """Transitions from one copy into the target network to the next."""
    epsilon_start: float = 1.0
    """Probability of a random action at the start."""
    epsilon_end: float = 0.05
    """The same after exploration."""
    exploration_fraction: float = 0.5
    """Part of the training over which epsilon falls in a straight line."""
    double: bool = True
    """Choose the next action by the online network and value it by the target network."""
    reward_scale: float = 1.0
    """The learner sees rewards times this; a day's profit is a small part of the initial cash."""
    max_grad_norm: float = 10.0
    """Largest norm of an update's gradient."""
    hidden: int = 128
    """Width of the dense layers."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "buffer_size", "learning_starts", "train_every", "target_every", "hidden"):
            whole_number(name, getattr(self, name), 1)
        for name in ("gamma", "epsilon_start", "epsilon_end", "exploration_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                msg = f"{name} must be in [0, 1], got {getattr(self, name)!r}"
                raise ValueError(msg)
        for name in ("learning_rate", "reward_scale", "max_grad_norm"):
            if not getattr(self, name) > 0:
                msg = f"{name} must be above 0, got {getattr(self, name)!r}"
                raise ValueError(msg)

    def epsilon(self, done: int, total: int) -> float:
        """Return the probability of a random action after `done` of `total` transitions."""
        progress = min(1.0, done / max(1.0, self.exploration_fraction * total))
        return self.epsilon_start + progress * (self.epsilon_end - self.epsilon_start)


# ---- network ----------------------------------------------------------------------------------------------------


class QNetwork(nn.Module):
    """Q-values (B, actions) of flat observations (B, D): a window (W * F numbers, row by row), then the account.

    An observation that has no window (D numbers in a vector) goes through two dense layers.
    """

    def __init__(self, window: tuple[int, int] | None, size: int, actions: int, hidden: int) -> None:
        super().__init__()
        self.window = window
        self.split = window[0] * window[1] if window else 0
        self.torso = CNN(*window, features=hidden) if window else None
        rest = size - self.split
        self.head = nn.Sequential(
            nn.Linear(hidden + rest if window else rest, hidden), nn.ReLU(), nn.Linear(hidden, actions)
        )

    def windows(self, flat: Tensor) -> Tensor:
        """Return the windows (B, W, F) of flat observations (B, D)."""
        assert self.window is not None  # noqa: S101 (for the type checker; called only with a torso)
        return flat[:, : self.split].reshape(-1, *self.window)

    def forward(self, flat: Tensor) -> Tensor:
        """Return Q-values (B, actions)."""
        if self.torso is not None:
            flat = torch.cat((self.torso(self.windows(flat)), flat[:, self.split :]), dim=1)
        values: Tensor = self.head(flat)
        return values


def flatten(observation: Any) -> Floats:
    """Return observations (n, ...), arrays or a dict of `window` and `account`, as flat rows (n, D), float32."""
    parts = [observation["window"], observation["account"]] if isinstance(observation, dict) else [observation]
    return np.concatenate([np.asarray(part, np.float32).reshape(len(part), -1) for part in parts], axis=1)


def observation_shape(space: spaces.Space[Any]) -> tuple[tuple[int, int] | None, int]:
    """Return (W, F) of the window, or None if there is none, and the number of values in all.

    Raises:
        ValueError: If the space is neither a window, a window with an account, nor a vector.
    """
    if isinstance(space, spaces.Dict) and set(space) == {"window", "account"}:
        (days, columns), (rest,) = space["window"].shape, space["account"].shape  # type: ignore[misc]
        return (days, columns), days * columns + rest
    if isinstance(space, spaces.Box) and len(space.shape) == 2:
        return (space.shape[0], space.shape[1]), space.shape[0] * space.shape[1]
    if isinstance(space, spaces.Box) and len(space.shape) == 1:
        return None, space.shape[0]
    msg = f"the DQN takes a Box (W, F), a Dict of window and account, or a Box (D,), got {space}"
    raise ValueError(msg)


# ---- agent ------------------------------------------------------------------------------------------------------


class DQN:
    """The agent: `learn` on a vector environment, `predict` like stable-baselines3's, `save`, `load`.

    Args:
        observation_space: Of one environment, see `observation_shape`.
        actions: How many there are.
        config: Settings.
        seed: Of weights, exploration and replay; equal seeds give equal weights on one machine.
    """

    def __init__(
        self, observation_space: spaces.Space[Any], actions: int, config: DQNConfig | None = None, seed: int = 0
    ) -> None:
        self.config = config or DQNConfig()
        self.actions = whole_number("actions", actions, 2)
        self.window, self.size = observation_shape(observation_space)
        weights_seed, rng_seed = np.random.SeedSequence(seed).spawn(2)
        self.rng = np.random.default_rng(rng_seed)
        with torch.random.fork_rng(devices=[]):  # torch's layers draw from its global generator
            torch.manual_seed(int(weights_seed.generate_state(1)[0]))
            self.online = QNetwork(self.window, self.size, self.actions, self.config.hidden)
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.online.parameters(), lr=self.config.learning_rate, fused=True)
        self.replay = Replay(self.config.buffer_size, self.size)
        self.transitions = 0
        self.updates = 0

    # ---- act

    @torch.no_grad()
    def act(self, flat: Floats, epsilon: float) -> npt.NDArray[np.int64]:
        """Return an action for each flat observation (n, D): random with probability `epsilon`, else the best."""
        explore = self.rng.random(len(flat)) < epsilon
        actions = self.rng.integers(self.actions, size=len(flat))
        if not explore.all():
            best = self.online(torch.from_numpy(flat)).argmax(dim=1).numpy()
            actions = np.where(explore, actions, best)
        return actions

    @torch.no_grad()
    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[npt.NDArray[np.int64], Any]:
        """Return the best actions and `state`, of one observation or several; see `etfgym.policies.Policy`.

        It is greedy whatever `deterministic` says, so that it never touches the training's randomness.
        """
        del episode_start, deterministic
        parts = observation.values() if isinstance(observation, dict) else [observation]
        single = sum(np.size(part) for part in parts) == self.size
        if single:
            observation = _batch_of_one(observation)
        best = self.online(torch.from_numpy(flatten(observation))).argmax(dim=1).numpy()
        return (best[0] if single else best), state

    # ---- learn

    def targets(self, rewards: Tensor, following: Tensor, terminated: Tensor) -> Tensor:
        """Return r + gamma * Q(s', a'), (B,); nothing follows a terminated transition, something follows all others."""
        with torch.no_grad():
            values = self.target(following)  # (B, actions)
            chooser = self.online(following) if self.config.double else values
            value = values.gather(1, chooser.argmax(dim=1, keepdim=True)).squeeze(1)
            targets: Tensor = self.config.reward_scale * rewards + self.config.gamma * value * ~terminated
            return targets

    def update(self) -> float:
        """Take one optimiser step on a batch from the replay; return the loss."""
        batch = self.replay.sample(self.config.batch_size, self.rng)
        tensors = (torch.from_numpy(getattr(batch, field.name)) for field in fields(batch))
        observations, actions, rewards, following, terminated = tensors
        values = self.online(observations).gather(1, actions[:, None]).squeeze(1)
        loss = functional.smooth_l1_loss(values, self.targets(rewards, following, terminated))
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.online.parameters(), self.config.max_grad_norm)
        self.optimizer.step()
        self.updates += 1
        return float(loss.detach())

    # ---- loop

    def learn(
        self,
        envs: VectorEnv[Any, Any, Any],
        steps: int,
        *,
        seed: int = 0,
        on_progress: Callable[[int], None] | None = None,
        check_every: int | None = None,
        tensorboard: Path | None = None,
    ) -> None:
        """Learn from `steps` transitions.

        Args:
            envs: A vector environment in any autoreset mode.
            steps: Transitions to store.
            seed: Of the environments' first reset.
            on_progress: Called with the number of transitions so far, every `check_every` of them and at the end.
            check_every: See there; None: only at the end.
            tensorboard: Folder for TensorBoard scalars, named as stable-baselines3 names them; None writes none.
        """
        config = self.config
        log = Scalars(tensorboard, envs.num_envs)
        mode = envs.metadata["autoreset_mode"]
        observation, _ = envs.reset(seed=seed)
        flat = flatten(observation)
        resetting = np.zeros(envs.num_envs, np.bool_)  # environments whose next step is only a reset ("NextStep")
        start = self.transitions
        next_check = check_every or steps
        while (done := self.transitions - start) < steps:
            epsilon = 1.0 if self.transitions < config.learning_starts else config.epsilon(done, steps)
            actions = self.act(flat, epsilon)
            observation, rewards, terminated, truncated, infos = envs.step(actions)
            following = flatten(observation)
            over = terminated | truncated
            reached = following
            if mode is AutoresetMode.SAME_STEP and over.any():
                reached = following.copy()
                for i in np.flatnonzero(over):
                    reached[i] = flatten(_batch_of_one(infos["final_obs"][i]))[0]
            keep = np.flatnonzero(~resetting)[: steps - done]
            self.replay.add(
                Batch(flat[keep], actions[keep], rewards[keep].astype(np.float32), reached[keep], terminated[keep])
            )
            log.step(rewards, over, ~resetting)
            for _ in range(len(keep)):
                self._after_transition(log)
            log.write(self.transitions, self.updates, epsilon, config.learning_rate)
            if mode is AutoresetMode.NEXT_STEP:
                resetting = over
            elif mode is AutoresetMode.DISABLED and over.any():
                observation, _ = envs.reset(options={"reset_mask": over})
                following = flatten(observation)
            flat = following
            if on_progress is not None and (self.transitions - start >= min(next_check, steps)):
                next_check += check_every or steps
                on_progress(self.transitions - start)
        log.close()

    def _after_transition(self, log: Scalars) -> None:
        """Count a transition; fit the scaler, update and copy into the target network when it is their turn."""
        config = self.config
        self.transitions += 1
        if self.transitions == config.learning_starts and self.online.torso is not None:
            self.online.torso.fit_scaler(self.online.windows(torch.from_numpy(self.replay.observations)))
            self.target.load_state_dict(self.online.state_dict())
        if self.transitions < config.learning_starts:
            return
        if self.transitions % config.train_every == 0:
            log.loss(self.update())
        if self.transitions % config.target_every == 0:
            self.target.load_state_dict(self.online.state_dict())

    # ---- save and load

    def save(self, folder: Path) -> None:
        """Write `weights.safetensors` and `dqn.json` into `folder`, each whole or not at all."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        shape = {"window": self.window, "size": self.size, "actions": self.actions}
        settings = json.dumps({"config": asdict(self.config), **shape}, indent=1)
        write_atomically(folder / "weights.safetensors", lambda path: save_file(self.online.state_dict(), path))
        write_atomically(folder / "dqn.json", lambda path: path.write_text(settings))

    @classmethod
    def load(cls, folder: Path) -> DQN:
        """Return the agent that `save` wrote, ready to predict. Nothing in the files is executed.

        Raises:
            ValueError: If the files don't fit together, naming the folder.
        """
        from safetensors.torch import load_file

        try:
            saved = json.loads((folder / "dqn.json").read_text())
            agent = cls(_space(saved["window"], saved["size"]), saved["actions"], DQNConfig(**saved["config"]))
            agent.online.load_state_dict(load_file(folder / "weights.safetensors"))
        except Exception as error:
            msg = f"{folder} holds no DQN that can be loaded ({type(error).__name__}: {error}); save it again"
            raise ValueError(msg) from error
        agent.target.load_state_dict(agent.online.state_dict())
        return agent


def _space(window: list[int] | None, size: int) -> spaces.Space[Any]:
    """Return the observation space of a window (W, F), or None, and `size` numbers in all."""
    vector = spaces.Box(-np.inf, np.inf, (size - (window[0] * window[1] if window else 0),))
    if window is None:
        return vector
    box = spaces.Box(-np.inf, np.inf, tuple(window))
    return spaces.Dict({"window": box, "account": vector}) if vector.shape != (0,) else box


def _batch_of_one(observation: Any) -> Any:
    """Return one observation as a batch of one."""
    if isinstance(observation, dict):
        return {key: np.asarray(value)[None] for key, value in observation.items()}
    return np.asarray(observation)[None]
