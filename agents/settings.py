"""Settings of the DQN, checked when made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from etfgym.checks import whole_number


@dataclass(frozen=True, slots=True, kw_only=True)
class DQNConfig:
    """Settings of the learner; counts are in transitions, whatever the number of environments.

    Raises:
        ValueError: If a value is out of its range.
    """

    learning_rate: float = 5e-4
    """Of Adam, at the start."""
    learning_rate_end: float | None = None
    """The same at the end of the training, which it reaches in a straight line; None: it stays as it is."""
    gamma: float = 0.99
    """Discount a step, in [0, 1]."""
    batch_size: int = 64
    """Transitions in an update."""
    buffer_size: int = 50_000
    """Slots of the replay; an episode takes one more than it has transitions."""
    learning_starts: int = 1_000
    """Transitions before the first update, all of them random."""
    train_every: int = 4
    """Transitions from one round of updates to the next."""
    updates: int = 1
    """Updates in a round."""
    target_every: int = 1_000
    """Transitions from one change of the target network to the next."""
    target_rate: float = 1.0
    """How far the target network then moves to the online network: 1 copies it, less is a soft update."""
    epsilon_start: float = 1.0
    """Probability of a random action at the start."""
    epsilon_end: float = 0.05
    """The same after exploration."""
    exploration_fraction: float = 0.5
    """Part of the training over which epsilon falls in a straight line."""
    evaluation_epsilon: float = 0.0
    """Probability of a random action in `predict(deterministic=False)`."""
    band: float = 0.0
    """In `predict`, another action than the default is taken only if its value is higher by more than this."""
    defaults: tuple[int, ...] = ()
    """The first of these that is allowed is the default; on the market (2,) makes a no-trade band, and (0, 2), buy or
    else hold, a lean to being invested."""
    reward_scale: float = 1.0
    """The learner sees rewards times this; a day's profit is a small part of the initial cash."""
    clip_rewards: bool = False
    """The learner sees only the sign of a reward (Mnih et al. 2015)."""
    max_grad_norm: float = 10.0
    """Largest norm of an update's gradient."""
    torso: Mapping[str, Any] = field(default_factory=lambda: {"net": "cnn"})
    """Spec of what looks at a window, see `etfgym.nets.build`; window, columns and `features` are filled in."""
    features: int = 128
    """Width of the torso's output, for windows and frames."""
    head: tuple[int, ...] = (128,)
    """Widths of the dense layers after it; on vectors, of all hidden layers."""
    double: bool = True
    """Choose the next action by the online network, value it by the target network (van Hasselt et al. 2016)."""
    dueling: bool = False
    """A state's value and the actions' advantages apart (Wang et al. 2016)."""
    n_step: int = 1
    """Rewards summed before the target network's value follows (Sutton & Barto 2018, ch. 7)."""
    priority_exponent: float = 0.0
    """alpha of prioritised replay (Schaul et al. 2016); 0 draws evenly."""
    importance_exponent: float = 0.4
    """beta of prioritised replay at the start; it ends at 1."""
    noisy: bool = False
    """Explore by noise in the weights (Fortunato et al. 2018); set both epsilons to 0 with it."""
    quantiles: int | None = None
    """Quantiles of the return that the network gives (QR-DQN, Dabney et al. 2018); None: its mean."""
    counterfactual: bool = False
    """Fit every action's value at each state: the market doesn't answer to an order, so all outcomes are known."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "head", tuple(whole_number("each of head", width, 1) for width in self.head))
        counts = ("batch_size", "buffer_size", "learning_starts", "train_every", "updates", "target_every")
        for name in (*counts, "features", "n_step", *(["quantiles"] if self.quantiles is not None else [])):
            whole_number(name, getattr(self, name), 1)
        epsilons = ("epsilon_start", "epsilon_end", "evaluation_epsilon")
        for name in (*epsilons, "gamma", "exploration_fraction", "priority_exponent", "importance_exponent"):
            if not 0 <= getattr(self, name) <= 1:
                msg = f"{name} must be in [0, 1], got {getattr(self, name)!r}"
                raise ValueError(msg)
        rates = ["learning_rate_end"] if self.learning_rate_end is not None else []
        for name in ("learning_rate", "reward_scale", "max_grad_norm", "target_rate", *rates):
            if not getattr(self, name) > 0:
                msg = f"{name} must be above 0, got {getattr(self, name)!r}"
                raise ValueError(msg)
        if self.target_rate > 1:
            msg = f"target_rate must be at most 1, which copies, got {self.target_rate!r}"
            raise ValueError(msg)
        object.__setattr__(self, "defaults", tuple(whole_number("each of defaults", one, 0) for one in self.defaults))
        if self.band < 0 or (self.band > 0) != bool(self.defaults):
            msg = f"band is above 0 with defaults, else 0 without, got {self.band!r} and {self.defaults!r}"
            raise ValueError(msg)
        if self.counterfactual and self.n_step > 1:
            msg = (
                f"counterfactual=True knows each action's next reward and no more: n_step must be 1, got {self.n_step}"
            )
            raise ValueError(msg)

    def epsilon(self, done: npt.NDArray[np.int64], total: int) -> npt.NDArray[np.float64]:
        """Return the probability of a random action after `done` (n,), rising, of `total` transitions, shape (n,)."""
        progress = np.minimum(done / max(1.0, self.exploration_fraction * total), 1.0)
        epsilon: npt.NDArray[np.float64] = self.epsilon_start + progress * (self.epsilon_end - self.epsilon_start)
        if done[0] < self.learning_starts:
            epsilon[done < self.learning_starts] = 1.0
        return epsilon
