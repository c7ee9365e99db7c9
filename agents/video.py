"""A film of one episode, or of one game where an episode is a part of it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import gymnasium as gym

from etfgym.atomic import write_atomically
from etfgym.policies import Policy

MOST_FRAMES = 2_000


def record(policy: Policy, env: gym.Env[Any, Any], file: Path, seed: int) -> None:
    """Play an episode, and write it as an animated GIF at the environment's own speed, 2,000 frames at most.

    Where an environment tells of games, of which an episode may be one life only (`info["game_over"]`), it is a whole
    game that is played.

    Args:
        policy: See `etfgym.policies.Policy`.
        env: Made with `render_mode="rgb_array"`.
        file: To be written, whole or not at all.
        seed: Of the environment.

    Raises:
        ImportError: If Pillow is missing.
    """
    try:
        from PIL import Image
    except ImportError:
        msg = 'a film needs Pillow: pip install "etfgym[report]"'
        raise ImportError(msg) from None
    pictures = (Image.fromarray(picture) for picture in islice(_pictures(policy, env, seed), MOST_FRAMES))
    film, duration = io.BytesIO(), 1_000 / env.metadata["render_fps"]  # milliseconds a frame
    # One at a time: the film keeps only what changes from one to the next.
    next(pictures).save(film, "GIF", save_all=True, append_images=pictures, duration=duration, loop=0)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, lambda path: path.write_bytes(film.getvalue()))


def _pictures(policy: Policy, env: gym.Env[Any, Any], seed: int) -> Iterator[Any]:
    """Play, and show every step, (height, width, 3)."""
    observation, _ = env.reset(seed=seed)
    yield env.render()
    ended = False
    while not ended:
        action, _ = policy.predict(observation, deterministic=False)
        observation, _, terminated, truncated, info = env.step(int(action))
        yield env.render()
        over = terminated or truncated
        ended = info.get("game_over", over)
        if over and not ended:
            observation, _ = env.reset()
