"""A film of one episode."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import gymnasium as gym

from etfgym.atomic import write_atomically
from etfgym.policies import Policy

MOST_FRAMES = 2_000
MILLISECONDS = 50
"""Between frames."""


def record(policy: Policy, env: gym.Env[Any, Any], file: Path, seed: int) -> None:
    """Play an episode and write it as an animated GIF, 2,000 frames at most.

    Args:
        policy: See `etfgym.policies.Policy`.
        env: Made with `render_mode="rgb_array"`.
        file: To be written, whole or not at all.
        seed: Of the environment.
    """
    from PIL import Image

    observation, _ = env.reset(seed=seed)
    frames, over = [Image.fromarray(env.render())], False  # type: ignore[arg-type]
    while not over and len(frames) < MOST_FRAMES:
        action, _ = policy.predict(observation, deterministic=False)
        observation, _, terminated, truncated, _ = env.step(int(action))
        over = terminated or truncated
        frames.append(Image.fromarray(env.render()))  # type: ignore[arg-type]
    film = io.BytesIO()
    frames[0].save(film, "GIF", save_all=True, append_images=frames[1:], duration=MILLISECONDS, loop=0, optimize=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, lambda path: path.write_bytes(film.getvalue()))
