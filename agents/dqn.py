"""Deep Q-learning on a Gymnasium vector environment: act, learn, loop, save, from top to bottom.

Mnih et al. 2015 (replay, target network, epsilon-greedy, Huber loss); what came after it are switches, all of them in
`agents.settings`. The networks are in `agents.network`, their gradients in `agents.by_hand`, the replay in
`agents.replay` and `agents.market_replay`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor

from agents import checkpoints
from agents.by_hand import Engine, engine, one_thread
from agents.losses import bootstrap
from agents.market_replay import MarketReplay, make_replay
from agents.network import QNetwork, Shape
from agents.one_env import as_vector, batch_of_one
from agents.optimizer import Adam
from agents.progress import Progress
from agents.replay import CUT, GOES_ON, TERMINATED, Batch, Replay
from agents.settings import DQNConfig
from etfgym.checks import one_of, whole_number
from etfgym.nets import files
from etfgym.nets.nature import NatureCNN
from etfgym.nets.torso import Torso

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


KINDS = np.array([GOES_ON, TERMINATED, CUT, TERMINATED], np.uint8)
"""By terminated + 2 * truncated: only the first stops the bootstrap."""


def devices() -> list[str]:
    """Return where this machine's torch can learn: "cpu", and "cuda" if there is a GPU."""
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


@dataclass(slots=True)
class Best:
    """The weights that did best in validation so far."""

    score: float
    weights: dict[str, Tensor]
    checks_since: int = 0


# ---- agent ------------------------------------------------------------------------------------------------------


class DQN:
    """The agent: `learn` on a vector environment, `predict` like stable-baselines3's, `save`, `load`.

    Args:
        observation_space: Of one environment, see `Shape.of`; or the shape itself.
        actions: How many there are.
        config: Settings.
        seed: Of weights, exploration and replay; equal seeds give equal weights on one machine.
        device: Of networks and observations, "cpu" or "cuda".

    Raises:
        ValueError: If torch has no such device here.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any] | Shape,
        actions: int,
        config: DQNConfig | None = None,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.config = config or DQNConfig()
        self.actions = whole_number("actions", actions, 2)
        if max(self.config.defaults, default=0) >= actions:
            msg = f"defaults must be actions, 0 to {actions - 1}, got {self.config.defaults}"
            raise ValueError(msg)
        self.shape = observation_space if isinstance(observation_space, Shape) else Shape.of(observation_space)
        self.device = one_of("device", device, devices())
        weights_seed, rng_seed, evaluation_seed, noise_seed = np.random.SeedSequence(seed).spawn(4)
        self.rng = np.random.default_rng(rng_seed)
        self.evaluation_rng = np.random.default_rng(evaluation_seed)
        self.noise = torch.Generator().manual_seed(int(noise_seed.generate_state(1)[0]))
        config = self.config
        with torch.random.fork_rng(devices=[]):  # torch's layers draw from its global generator
            torch.manual_seed(int(weights_seed.generate_state(1)[0]))
            self.online = QNetwork(
                self.shape,
                self.actions,
                torso=config.torso,
                features=config.features,
                head=config.head,
                dueling=config.dueling,
                noisy=config.noisy,
                quantiles=config.quantiles,
            ).to(device)
        self.target = copy.deepcopy(self.online)
        for network in (self.online, self.target):
            network.lay_flat()
        self._online, self._target = engine(self.online), engine(self.target)
        self.optimizer = Adam(self.online.flat, self.online.gradient)
        self.replay: Replay | MarketReplay | None = None
        self.transitions = 0
        self.updates = 0
        self.best: Best | None = None
        self._saved_replay: dict[str, Tensor] | None = None  # of a training that goes on
        self.pretrained = False  # the torso came with a scaler of its own
        self.frozen = False  # the torso stays as it came

    # ---- act

    def act(self, rows: Tensor, epsilon: npt.NDArray[np.float64], masks: Bools | None = None) -> Integers:
        """Return an action for each observation (n, D): random with probability `epsilon` (n,), else the best.

        Args:
            rows: Flat observations.
            epsilon: Shape (n,).
            masks: Which actions are allowed, shape (n, actions); None: all.
        """
        return self._choose(rows, epsilon, masks, self.rng)

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = True,
        action_masks: npt.NDArray[Any] | None = None,
    ) -> tuple[Integers, Any]:
        """Return the best actions and `state`, of one observation or several; see `etfgym.policies.Policy`.

        With `deterministic=False`, an action is random with probability `evaluation_epsilon`, by a generator of its
        own: predicting never touches the training's randomness. `action_masks` tells which actions are allowed, shape
        (actions,) or (n, actions), 1 or True where they are.
        """
        del episode_start
        single = self._is_one(observation)
        if single:
            observation = batch_of_one(observation)
            action_masks = None if action_masks is None else np.asarray(action_masks)[None]
        masks = None if action_masks is None else np.asarray(action_masks) == 1
        rows = self._rows(observation)
        epsilon = np.full(len(rows), 0.0 if deterministic else self.config.evaluation_epsilon)
        self.online.draw_noise(None)
        chosen = self._choose(rows, epsilon, masks, self.evaluation_rng, self.config.band)
        return (chosen[0] if single else chosen), state

    def values(self, observation: Any) -> Floats:
        """Return the discounted rewards that it expects from each action on, of one observation or several.

        They are in the environment's own rewards, shape (actions,) or (n, actions), without exploration's noise and
        the band of `predict`.
        """
        single = self._is_one(observation)
        rows = self._rows(batch_of_one(observation) if single else observation)
        self.online.draw_noise(None)
        values: Floats = (self._means(self._online.values(rows)) / self.config.reward_scale).cpu().numpy()
        return values[0] if single else values

    def _is_one(self, observation: Any) -> bool:
        """Whether it is a single observation and no batch."""
        first = observation["window"] if isinstance(observation, dict) else observation
        return np.ndim(first) == len(self.shape.window or self.shape.frames or (self.shape.rest,))

    def _choose(
        self,
        rows: Tensor,
        epsilon: npt.NDArray[np.float64],
        masks: Bools | None,
        rng: np.random.Generator,
        band: float = 0.0,
    ) -> Integers:
        count = rows.shape[0]
        explore = (rng.random(count) < epsilon).nonzero()[0]
        if len(explore) < count:
            values = self._means(self._online.values(rows)).cpu().numpy()
            if band:
                values[np.arange(count), self._defaults(count, masks)] += band
            if masks is not None:
                values = np.where(masks, values, -np.inf)
            chosen: Integers = values.argmax(axis=1)
        else:
            chosen = np.empty(count, np.int64)
        if len(explore):
            ranks = rng.random((len(explore), self.actions))
            chosen[explore] = (ranks if masks is None else ranks * masks[explore]).argmax(axis=1)  # evenly
        return chosen

    def _defaults(self, count: int, masks: Bools | None) -> Integers:
        """Return the default action of each of `count` observations: the first of the settings' that is allowed."""
        defaults = np.array(self.config.defaults)
        allowed = np.ones((count, len(defaults)), np.bool_) if masks is None else masks[:, defaults]
        chosen: Integers = defaults[allowed.argmax(axis=1)]
        return chosen

    def _means(self, values: Tensor) -> Tensor:
        """Return values (..., actions) of the network's output, which may be quantiles (..., actions, N)."""
        return values if self.config.quantiles is None else values.mean(dim=-1)

    # ---- learn

    def targets(self, batch: Batch) -> Tensor:
        """Return r + gamma Q(s', a') for the action taken, (B, 1), or for every action, (B, actions).

        With quantiles, one more axis: (..., N).
        """
        values = self._following(self._target, batch)
        choosers = self._following(self._online, batch) if self.config.double else values
        return bootstrap(values, choosers, batch, self.config.reward_scale)

    def _following(self, network: Engine, batch: Batch) -> Tensor:
        """Return the values of what follows, (B, actions), or after every action, (B, actions, actions); quantiles."""
        if batch.next_rests is None:
            return network.values(batch.next_observations)  # the same whatever was done
        return network.branches(batch.next_observations, batch.next_rests)

    def update(self, progress: float = 0.0) -> Tensor:
        """Take one optimiser step on a batch from the replay; return the errors (B, 1 or actions), target less value.

        Args:
            progress: Part of the training that is done, in [0, 1], for the schedules.
        """
        config, replay = self.config, self.replay
        assert replay is not None  # noqa: S101 (for the type checker; `learn` makes it)
        beta = config.importance_exponent + progress * (1.0 - config.importance_exponent)
        batch = replay.sample(config.batch_size, self.rng, beta).to(self.device)
        self.online.draw_noise(self.noise)
        self.target.draw_noise(self.noise)
        errors = self._online.gradient(batch.observations, batch.actions, self.targets(batch), batch.weights)
        if self.frozen:
            self.online.gradient[self.online.torso_part].zero_()  # Adam then leaves the weights as they are
        if replay.priorities is not None:
            replay.priorities.update(np.asarray(batch.slots), errors.abs().mean(dim=1).cpu().numpy())
        self.optimizer.step(self.learning_rate(progress), config.max_grad_norm)
        self.updates += 1
        return errors

    def learning_rate(self, progress: float) -> float:
        """Return Adam's learning rate after this part of the training, in [0, 1]."""
        start, end = self.config.learning_rate, self.config.learning_rate_end
        return start if end is None else start + progress * (end - start)

    # ---- loop

    def learn(  # noqa: C901 (the loop reads from top to bottom)
        self,
        envs: VectorEnv[Any, Any, Any] | gym.Env[Any, Any],
        total: int,
        *,
        seed: int = 0,
        validate: Callable[[int], float | None] | None = None,
        check_every: int | None = None,
        patience: int | None = None,
        checkpoint: Path | None = None,
        checkpoint_every: int = 100_000,
        tensorboard: Path | None = None,
        progress: bool = False,
    ) -> None:
        """Learn until `total` transitions have been seen, those of earlier calls included.

        Args:
            envs: A vector environment in any autoreset mode, or a single environment.
            total: Transitions of the whole training, over which the schedules run.
            seed: Of the environments' resets.
            validate: Called with the number of transitions every `check_every` of them and at the end. It returns a
                score: the weights with the highest are those the training ends with. None: it only looks.
            check_every: See there; None: only at the end.
            patience: Stop after so many checks in a row without a higher score; None: never.
            checkpoint: File to which the whole training is written, see `resume`. New episodes start after each, so
                that a training which is stopped and resumed is the same as one which never was.
            checkpoint_every: Transitions from one to the next.
            tensorboard: Folder for TensorBoard scalars, named as stable-baselines3 names them; None writes none.
            progress: Show a bar.
        """
        envs = as_vector(envs)
        mode = envs.metadata["autoreset_mode"]
        every = np.arange(envs.num_envs)
        log = Progress(total, self.transitions, envs.num_envs, tensorboard=tensorboard, bar=progress)
        with log, one_thread():
            rows, masks = self._begin(envs, seed)
            replay = self.replay
            assert replay is not None  # noqa: S101 (for the type checker; `_begin` sees to it)
            resetting = np.zeros(envs.num_envs, np.bool_)  # environments whose next step is only a reset ("NextStep")
            while (done := self.transitions) < total:
                self.online.draw_noise(self.noise)
                epsilon = self.config.epsilon(done + every, total)
                actions = self.act(rows, epsilon, masks)
                observation, rewards, terminated, truncated, infos = envs.step(actions)
                over = terminated | truncated
                some_over = bool(over.any())
                rows, masks = self._rows(observation), _masks(infos)
                reached, allowed = rows, masks
                if mode is AutoresetMode.SAME_STEP and some_over:
                    reached, allowed = self._reached(rows, masks, over, infos)
                kept = (~resetting).nonzero()[0][: total - done]
                part = kept if len(kept) < len(every) else slice(None)  # a slice copies nothing
                replay.add(
                    kept,
                    actions[part],
                    (np.sign(rewards) if self.config.clip_rewards else rewards)[part].astype(np.float32),
                    KINDS[terminated + 2 * truncated][part],
                    reached[part],
                    None if allowed is None else allowed[part],
                )
                if log.told:
                    log.step(rewards, over, ~resetting)
                for _ in kept:
                    self._after_transition(total, log)
                starting = over.nonzero()[0]
                if mode is AutoresetMode.NEXT_STEP:
                    starting, resetting = resetting.nonzero()[0], over
                elif mode is AutoresetMode.DISABLED and some_over:
                    observation, infos = envs.reset(options={"reset_mask": over})
                    rows, masks = self._rows(observation), _masks(infos)
                if len(starting):
                    replay.begin(starting, rows[starting], None if masks is None else masks[starting])
                if log.told:
                    log.write(self.transitions, self.updates, float(epsilon[0]), self.learning_rate(done / total))
                if (
                    validate is not None
                    and self._is_due(check_every or total, done, total)
                    and self._check(validate, patience)
                ):
                    break
                if checkpoint is not None and self._is_due(checkpoint_every, done, total):
                    self.checkpoint(checkpoint)
                    rows, masks = self._begin(envs, seed)
                    resetting = np.zeros(envs.num_envs, np.bool_)
                    log.restart()
        if self.best is not None:
            self.online.load_state_dict(self.best.weights)

    def _begin(self, envs: VectorEnv[Any, Any, Any], seed: int) -> tuple[Tensor, Bools | None]:
        """Start new episodes, by a seed that follows from `seed` and the transitions so far; return what is seen."""
        if self.transitions:
            seed = int(np.random.SeedSequence((seed, self.transitions)).generate_state(1)[0] >> 1)
        observation, infos = envs.reset(seed=seed)
        rows, masks = self._rows(observation), _masks(infos)
        self.replay = self._replay_of(envs, masked=masks is not None)
        self.replay.begin(np.arange(envs.num_envs), rows, masks)
        return rows, masks

    def _after_transition(self, total: int, log: Progress) -> None:
        """Count a transition; fit the scaler, update and change the target network when it is their turn."""
        config = self.config
        self.transitions += 1
        if self.transitions == config.learning_starts:
            if not self.pretrained:
                self.online.fit_scaler(self.replay.observe(self.replay.stored()))  # type: ignore[union-attr]
            self.target.load_state_dict(self.online.state_dict())
        if self.transitions < config.learning_starts:
            return
        if self.transitions % config.train_every == 0:
            for _ in range(config.updates):
                log.errors(self.update(self.transitions / total))
        if self.transitions % config.target_every == 0:
            self.target.flat.lerp_(self.online.flat, config.target_rate)

    def _is_due(self, period: int, before: int, total: int) -> bool:
        return self.transitions // period > before // period or self.transitions >= total

    def _check(self, validate: Callable[[int], float | None], patience: int | None) -> bool:
        """Validate; keep the weights if they are the best so far; return whether to stop."""
        score = validate(self.transitions)
        if score is None:
            return False
        if self.best is None or score > self.best.score:
            weights = {name: value.clone() for name, value in self.online.state_dict().items()}
            self.best = Best(score, weights)
        else:
            self.best.checks_since += 1
        return patience is not None and self.best.checks_since >= patience

    def _reached(
        self, rows: Tensor, masks: Bools | None, over: Bools, infos: dict[str, Any]
    ) -> tuple[Tensor, Bools | None]:
        """Return what each step led to: `rows`, but for episodes that are over their last observation ("SameStep")."""
        rows, last = rows.clone(), infos.get("final_info", {})
        for i in np.flatnonzero(over):
            rows[i] = self._rows(batch_of_one(infos["final_obs"][i]))[0]
        if masks is not None and "action_mask" in last:
            masks = np.where(over[:, None], last["action_mask"] == 1, masks)
        return rows, masks

    def _rows(self, observation: Any) -> Tensor:
        """Return observations (n, ...), arrays or a dict of `window` and `account`, as flat rows (n, D)."""
        dtype = np.uint8 if self.shape.frames else np.float32
        if isinstance(observation, dict):
            parts = [observation[name].reshape(len(observation[name]), -1) for name in ("window", "account")]
            observation = np.concatenate(parts, axis=1)
        flat = np.asarray(observation, dtype)
        return torch.from_numpy(flat.reshape(len(flat), -1)).to(self.device)

    def _replay_of(self, envs: VectorEnv[Any, Any, Any], *, masked: bool) -> Replay | MarketReplay:
        """Return the replay that these environments fill, made or restored at the first call."""
        if self.replay is None:
            actions = self.actions if masked else None
            self.replay = make_replay(envs, self.config, self.shape, actions, self.device)
        if self._saved_replay is not None:
            checkpoints.restore(self.replay.tensors(), self._saved_replay)
            self._saved_replay = None
        if self.replay.num_envs != envs.num_envs:
            msg = f"{self.replay.num_envs} environments filled the replay; go on with as many, not {envs.num_envs}"
            raise ValueError(msg)
        return self.replay

    # ---- a torso from elsewhere, save and load

    @property
    def torso(self) -> Torso | NatureCNN | None:
        """What looks at the window or the frames."""
        return self.online.torso

    def adopt(self, weights: Mapping[str, Tensor], *, freeze: bool) -> None:
        """Take a torso's weights and scaler over, into the target network too; see `etfgym.nets.transfer`."""
        for network in (self.online, self.target):
            network.torso.load_state_dict(weights)  # type: ignore[union-attr]
        for moments in (self.optimizer.mean, self.optimizer.square):
            moments[self.online.torso_part] = 0.0  # those of the weights that were there before
        self.best, self.pretrained, self.frozen = None, True, freeze

    def save(self, folder: Path) -> None:
        """Write `weights.safetensors` and `dqn.json` into `folder`, each whole or not at all: enough to predict."""
        files.save(folder, "dqn", self.online.state_dict(), self._settings())

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> DQN:
        """Return the agent that `save` wrote. Nothing in the files is executed.

        Raises:
            ValueError: If the files don't fit together, naming the folder.
        """
        with files.refusing(folder, "DQN"):
            weights, settings = files.load(folder, "dqn")
            agent = cls._from(settings, device)
            agent.online.load_state_dict(weights)
            agent.target.load_state_dict(weights)
            return agent

    def checkpoint(self, file: Path) -> None:
        """Write the whole training into one file, whole or not at all: networks, optimiser, replay, randomness."""
        parts = {f"online.{name}": value for name, value in self.online.state_dict().items()}
        parts |= {f"target.{name}": value for name, value in self.target.state_dict().items()}
        parts |= {
            "adam.mean": self.optimizer.mean,
            "adam.square": self.optimizer.square,
            "noise": self.noise.get_state(),
        }
        counts: dict[str, Any] = {name: getattr(self, name) for name in ("transitions", "updates")}
        counts |= {"adam_steps": self.optimizer.steps}
        counts |= {name: getattr(self, name).bit_generator.state for name in ("rng", "evaluation_rng")}
        if self.replay is not None:
            parts |= {f"replay.{name}": value for name, value in self.replay.tensors().items()}
        if self.best is not None:
            parts |= {f"best.{name}": value for name, value in self.best.weights.items()}
            counts |= {"best_score": self.best.score, "checks_since": self.best.checks_since}
        checkpoints.write(file, parts, self._settings() | {"training": counts})

    @classmethod
    def resume(cls, file: Path, device: str = "cpu") -> DQN:
        """Return the agent in the middle of the training that `checkpoint` wrote; `learn` goes on with it.

        Raises:
            ValueError: If it is no such file, naming it.
        """
        with files.refusing(file, "training of a DQN"):
            parts, settings = checkpoints.read(file)
            agent, counts = cls._from(settings, device), settings["training"]

            def under(name: str) -> dict[str, Tensor]:
                return {key.removeprefix(f"{name}."): part for key, part in parts.items() if key.startswith(f"{name}.")}

            agent.online.load_state_dict(under("online"))
            agent.target.load_state_dict(under("target"))
            checkpoints.restore({"mean": agent.optimizer.mean, "square": agent.optimizer.square}, under("adam"))
            agent.noise.set_state(parts["noise"])
            agent.rng.bit_generator.state = counts["rng"]
            agent.evaluation_rng.bit_generator.state = counts["evaluation_rng"]
            agent.transitions, agent.updates = counts["transitions"], counts["updates"]
            agent.optimizer.steps = counts["adam_steps"]
            agent._saved_replay = under("replay") or None  # noqa: SLF001 (its own class)
            if "best_score" in counts:
                agent.best = Best(counts["best_score"], under("best"), counts["checks_since"])
            return agent

    def _settings(self) -> dict[str, Any]:
        made = {"config": asdict(self.config), "shape": asdict(self.shape), "actions": self.actions}
        return made | {"pretrained": self.pretrained, "frozen": self.frozen}

    @classmethod
    def _from(cls, settings: dict[str, Any], device: str) -> DQN:
        shape: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in settings["shape"].items()
        }
        agent = cls(Shape(**shape), settings["actions"], DQNConfig(**settings["config"]), device=device)
        agent.pretrained, agent.frozen = settings.get("pretrained", False), settings.get("frozen", False)
        return agent


def _masks(infos: dict[str, Any]) -> Bools | None:
    """Return which actions are allowed, (n, actions), if the environments say so."""
    masks = infos.get("action_mask")
    return None if masks is None else np.asarray(masks) == 1
