"""What the vector environments check alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from etfgym.checks import one_of

_MODES = {mode.value: mode for mode in AutoresetMode}


def as_mode(value: AutoresetMode | str) -> AutoresetMode:
    """Return an autoreset mode that may be given by its name; an unknown one raises ValueError with the nearest."""
    return value if isinstance(value, AutoresetMode) else _MODES[one_of("autoreset_mode", value, _MODES)]


def as_reset_mask(mask: Any, count: int) -> npt.NDArray[np.bool_]:
    """Return `options["reset_mask"]`, shape (count,).

    Raises:
        ValueError: If it is not that many booleans, or marks nothing.
    """
    given = np.asarray(mask)
    if given.shape != (count,) or given.dtype != np.bool_ or not given.any():
        msg = f"reset_mask must be {count} booleans, at least one of them True, got {mask!r}"
        raise ValueError(msg)
    return given


def wrong_actions(actions: Any, count: int, choices: int) -> ValueError:
    """Return the error that `actions` are not `count` numbers of a space of `choices`."""
    return ValueError(f"actions must be {count} whole numbers from 0 to {choices - 1}, got {actions!r}")
