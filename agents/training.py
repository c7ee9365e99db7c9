"""What every learner of the market is given: prices that end with the last training day, and a year to choose by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etfgym.policies import Policy
from etfgym.prices import PriceTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training on the market."""

    tables: Sequence[PriceTable]
    """Prices that end with the last training day; one agent learns on all of them."""
    environment: Mapping[str, Any]
    """Keywords of the environment, see `etfgym.envs.settings.Settings`."""
    num_envs: int
    """Accounts that it learns in side by side."""
    steps: int
    """Transitions."""
    seed: int
    validate: Callable[[Policy], float | None]
    """Gives the mean return in the validation year: the training ends with the weights that have the highest. Where it
    gives None, it ends with the last."""
    check_every: int
    """Transitions from one call of `validate` to the next."""
    checkpoint_every: int
    """Transitions from one state of the checkpoint to the next; new episodes start after each."""
    checkpoint: Path | None = None
    """File of the training in progress: one that was killed goes on from it, bit for bit; None: there is none."""
    device: str = "cpu"
