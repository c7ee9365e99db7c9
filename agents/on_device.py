"""A DQN that never leaves its device: accounts, replay, exploration and updates are tensors there, and CUDA graphs.

The rule it learns by is `agents.dqn.DQN`'s own; this is its other loop. The host only counts transitions, and says
which kernels are to run; it never waits for a number, but to validate, to tell or to save.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from agents import checkpoints
from agents.by_hand import one_thread
from agents.device_replay import DeviceReplay
from agents.dqn import DQN
from agents.market_torch import Account, TorchMarket
from agents.progress import Progress
from etfgym.envs.etf_vector import EtfTradingVectorEnv

WARM_UP = 3
"""Calls before a graph is recorded, in which libraries set themselves up; they count like any other."""


class Recorded:
    """A function of one number, played back as a CUDA graph: one launch instead of hundreds.

    It may only touch tensors that stay where they are, and may not ask for their values.

    Args:
        function: Takes the number as a tensor () of float64, which serves in sums as a float does.
        device: Where that is; on "cpu" the function is only called.
        stream: On which it is recorded; None calls it only.
        generators: Those that it draws from.
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        device: str,
        stream: torch.cuda.Stream | None,
        generators: Sequence[torch.Generator],
    ) -> None:
        self._function, self._stream, self._generators = function, stream, generators
        self._number = torch.zeros((), dtype=torch.float64, device=device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._result: Any = None
        self._calls = 0

    def __call__(self, number: float) -> Any:
        """Return the function's result, which the next call may overwrite."""
        self._number.fill_(number)
        if self._stream is None:
            return self._function(self._number)
        self._calls += 1
        if self._calls <= WARM_UP:
            # On the stream of the recording: autograd sends a gradient to the stream that saw its parameter first.
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                result = self._function(self._number)
            torch.cuda.current_stream().wait_stream(self._stream)
            return result
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            for generator in self._generators:
                self._graph.register_generator_state(generator)
            with torch.cuda.graph(self._graph, stream=self._stream):
                self._result = self._function(self._number)
        self._graph.replay()
        return self._result


class DeviceDQN(DQN):
    """A `DQN` for the trading environment that learns wholly on its device.

    Equal seeds give equal weights on one device; they are not those of `DQN`, whose chance comes from NumPy.
    """

    replay: Any  # a DeviceReplay, whose slots are tensors
    _market: TorchMarket
    _account: Account
    _accounts: object = None
    _stream: torch.cuda.Stream | None = None
    _recorded_update: Recorded | None = None

    def learn(
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
        """Learn as `DQN.learn` does, which tells the arguments.

        Of `envs`, an `EtfTradingVectorEnv`, only the settings, the market and the number of accounts are used: its
        own accounts are not traded. An account that is closed begins anew in the same step.

        Raises:
            ValueError: If these environments or settings can't be learned on a device.
        """
        self._prepare(envs)
        self._begin_accounts(seed)
        every = np.arange(len(self._every))
        epsilons = self.config.epsilon(np.arange(total + len(every)), total)
        self._epsilons = torch.from_numpy(epsilons).to(self.device)
        step = self._record(self._step, self._generators)
        self._recorded_update = self._record(super().update, self._generators[:1])
        log = Progress(total, self.transitions, len(every), tensorboard=tensorboard, bar=progress)
        with log, one_thread():
            while (done := self.transitions) < total:
                rewards, closed = step(done)
                if log.told:
                    log.step(rewards.cpu().numpy(), closed.cpu().numpy(), every >= 0)
                for _ in every[: total - done]:
                    self._after_transition(total, log)
                if log.told:
                    log.write(self.transitions, self.updates, float(epsilons[done]), self.learning_rate(done / total))
                if validate is not None and self._is_due(check_every or total, done, total):
                    self.replay.check()
                    if self._check(validate, patience):
                        break
                if checkpoint is not None and self._is_due(checkpoint_every, done, total):
                    self.replay.check()
                    self.checkpoint(checkpoint)
                    self._begin_accounts(seed)
                    log.restart()
        self.replay.check()
        if self.best is not None:
            self.online.load_state_dict(self.best.weights)

    def update(self, progress: float = 0.0) -> Tensor:
        """Take one optimiser step, see `DQN.update`."""
        if self._recorded_update is None:
            return super().update(progress)
        count = self.updates + 1
        errors: Tensor = self._recorded_update(progress).clone()
        self.updates = count  # a graph that is played back counts nothing
        return errors

    def _prepare(self, envs: VectorEnv[Any, Any, Any] | gym.Env[Any, Any]) -> None:
        """Make what stays where it is on the device, or see that it fits these environments."""
        if not isinstance(envs, EtfTradingVectorEnv):
            msg = f"a DeviceDQN learns in an EtfTradingVectorEnv, got {type(envs).__name__}; take a DQN for others"
            raise ValueError(msg)  # noqa: TRY004 (one kind of error for whatever it can't learn)
        config, count = self.config, envs.num_envs
        if config.priority_exponent or config.clip_rewards:
            msg = "a DeviceDQN draws evenly and takes rewards as they are: priority_exponent=0, clip_rewards=False"
            raise ValueError(msg)
        if self.replay is not None:
            if self._accounts is not envs.accounts:
                msg = "other environments filled the replay; go on with those"
                raise ValueError(msg)
            return
        self._accounts = envs.accounts
        self._market = TorchMarket(envs.accounts, self.device)
        self._generators = [torch.Generator(self.device) for _ in range(2)]  # the agent's and the accounts'
        self._account = self._market.open(count, self._generators[1])
        self._every = torch.arange(count, device=self.device)
        self.replay = DeviceReplay(
            self._market,
            config.buffer_size,
            count,
            self._generators[0],
            n_step=config.n_step,
            gamma=config.gamma,
            counterfactual=config.counterfactual,
        )
        if self._saved_replay is not None:
            checkpoints.restore(self.replay.tensors(), self._saved_replay)
            self._saved_replay = None
        if self.device == "cuda" and not config.noisy:  # noise is drawn on the host: a graph can't hold it
            self._stream = torch.cuda.Stream()

    def _begin_accounts(self, seed: int) -> None:
        """Start new episodes; all chance from here on follows from the agent's, from `seed` and the transitions."""
        agents, accounts = self._generators
        agents.manual_seed(int(self.rng.integers(1 << 63)))
        accounts.manual_seed(int(np.random.SeedSequence((seed, self.transitions)).generate_state(1)[0]))
        self._set(self._market.open(len(self._every), accounts))

    def _step(self, done: Tensor) -> tuple[Tensor, Tensor]:
        """Act in every account after `done` transitions, store what came of it; return rewards and which closed."""
        market, account = self._market, self._account
        self.online.draw_noise(self.noise)
        actions = self._explore(
            market.observe(account), market.masks(account), self._epsilons[done.long() + self._every]
        )
        self.replay.add(account, actions)
        after, rewards, closed = market.step(account, market.orders[actions])
        fresh = market.open(len(self._every), self._generators[1])
        self._set(Account(*(torch.where(closed, new, old) for new, old in zip(fresh, after, strict=True))))
        return rewards, closed

    def _explore(self, rows: Tensor, masks: Tensor, epsilon: Tensor) -> Tensor:
        """Return actions as `DQN.act` does, by the device's generator."""
        generator = self._generators[0]
        draws = torch.rand(masks.shape, dtype=torch.float64, generator=generator, device=self.device)
        random = draws.masked_fill(~masks, -1.0).argmax(dim=1)  # evenly among those allowed
        values = self._means(self._online.values(rows)).masked_fill(~masks, -torch.inf)
        chance = torch.rand(len(rows), dtype=torch.float64, generator=generator, device=self.device)
        return torch.where(chance < epsilon, random, values.argmax(dim=1))

    def _set(self, account: Account) -> None:
        """Write the accounts into the tensors that stay where they are."""
        for here, new in zip(self._account, account, strict=True):
            here.copy_(new)

    def _record(self, function: Callable[[Any], Any], generators: Sequence[torch.Generator]) -> Recorded:
        return Recorded(function, self.device, self._stream, generators)
