"""How fast Breakout is played with DeepMind's preprocessing, in steps per second on one core, beside the usual stacks.

python -m benchmarks.atari                        # nine rounds, in about two minutes
python -m benchmarks.atari --rounds 15 --json atari.json

Everybody plays eight games with random actions: four frames a step, the brighter of the last two, 84 x 84 grey, four
stacked, up to 30 no-ops, fire first, no sticky actions. A life is an episode for us and stable-baselines3; Gymnasium's
wrappers know no such thing and play whole games.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import SyncVectorEnv

from benchmarks.harness import Case, Measure, Peer, measure, parser, repeat_for, report
from etfgym.envs.atari import SIZE, STACK, AtariVectorEnv, wrapped

GAMES, ACTIONS = 8, 4
TARGET = 1.5

Observations = npt.NDArray[np.uint8]
Step = Callable[[npt.NDArray[np.int64]], Observations]
"""Plays one step in every game and returns what it shows."""


def ours() -> Step:
    """Return our vector environment's step."""
    envs = AtariVectorEnv(GAMES, episodic_life=True)
    envs.reset(seed=0)
    return lambda actions: envs.step(actions)[0]


def stable_baselines3() -> Step:
    """Return the step of `make_atari_env` and `VecFrameStack`, which have the frames last."""
    import ale_py  # noqa: F401 (registers the games)
    from stable_baselines3.common.env_util import make_atari_env
    from stable_baselines3.common.vec_env import VecFrameStack

    envs = VecFrameStack(make_atari_env("BreakoutNoFrameskip-v4", n_envs=GAMES, seed=0), n_stack=STACK)
    envs.reset()
    return lambda actions: np.moveaxis(envs.step(actions)[0], -1, 1)  # type: ignore[arg-type]  # a view


def gymnasium() -> Step:
    """Return the step of Gymnasium's wrappers in its own vector."""
    envs = SyncVectorEnv([wrapped] * GAMES)
    envs.reset(seed=0)
    return lambda actions: envs.step(actions)[0]


def timed(make: Callable[[], Step], seconds: float) -> Measure:
    """Return a measurement that plays for `seconds`, after a few steps to check what is shown."""

    def run() -> tuple[float, float]:
        step, rng = make(), np.random.default_rng(0)
        for _ in range(STACK):
            shown = step(rng.integers(ACTIONS, size=GAMES))
        check(shown)
        return repeat_for(seconds, lambda: step(rng.integers(ACTIONS, size=GAMES)), GAMES)

    return run


def check(shown: Any) -> None:
    """See that everybody shows the same kind of frames.

    Raises:
        ValueError: If they differ in shape or type, or are empty.
    """
    wanted = (GAMES, STACK, SIZE, SIZE)
    if shown.shape != wanted or shown.dtype != np.uint8 or not shown.any(axis=(2, 3)).all():
        msg = f"frames must be {wanted}, uint8 and not black, got {shown.shape}, {shown.dtype}"
        raise ValueError(msg)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; return the exit status."""
    asked = parser("atari", "Steps per second of Breakout on one core, beside the peers.", rounds=9).parse_args(
        arguments
    )
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        seconds = 0.1 if asked.quick else 3.0
        peers = [
            Peer("stable-baselines3: AtariWrapper, VecFrameStack", timed(stable_baselines3, seconds), TARGET),
            Peer("Gymnasium: AtariPreprocessing, FrameStackObservation", timed(gymnasium, seconds)),
        ]
        case = Case(f"Breakout, {GAMES} games", timed(ours, seconds), peers)
        rows = measure([case], 1 if asked.quick else asked.rounds)
    finally:
        os.sched_setaffinity(0, cores)
    report(rows, json_file=asked.json, packages=("ale_py", "opencv-python-headless", "stable_baselines3"))
    print(f"One core for all; frames of all are {STACK} x {SIZE} x {SIZE}, uint8.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
