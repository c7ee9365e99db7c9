"""A small game of our own to see a learner learn within minutes: paddle, ball and bricks, after Breakout.

Young and Tian (2019), "MinAtar", showed that games this small keep what makes their models hard.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from gymnasium.vector import AutoresetMode

from etfgym.checks import one_of, whole_number
from etfgym.envs.games import Bools, Floats, GameEnv, Games, GameVectorEnv, Integers, Pixels

CELLS, PIXELS, STACK = 12, 2, 2
"""Cells a side of the board, pixels a side of a cell, frames of an observation."""
TOP, BOTTOM = 1, 4
"""Bricks lie in the rows from TOP to BOTTOM - 1."""
PADDLE = 3
"""Cells that the paddle is wide."""
BRICK_GREY, PADDLE_GREY, BALL_GREY = 85, 170, 255

STATE = np.dtype(
    [
        ("x", np.int64),  # of the ball, in cells from the left
        ("y", np.int64),  # of the ball, from the top
        ("dx", np.int64),  # where the ball goes next: -1 or 1, like dy
        ("dy", np.int64),
        ("paddle", np.int64),  # its left cell
        ("steps", np.int64),  # since the episode's start
    ]
)
"""One game, but for its bricks."""


@numba.njit(cache=True)
def _move(game: Any, bricks: Bools, action: int) -> tuple[int, bool]:
    """Move paddle and ball by a cell; return the bricks hit, 0 or 1, and whether the ball is lost.

    A ball that hits a brick stays where it is and turns back. The paddle's ends send it to their side, its middle
    lets it go on as it came.
    """
    game.paddle = min(max(game.paddle + action - 1, 0), CELLS - PADDLE)
    x = game.x + game.dx
    if x < 0 or x >= CELLS:
        game.dx = -game.dx
        x = game.x + game.dx
    y = game.y + game.dy
    if y < 0:
        game.dy = 1
        y = 1
    if bricks[y, x]:
        bricks[y, x] = False
        game.dy = -game.dy
        if not bricks.any():
            bricks[TOP:BOTTOM] = True
            game.y, game.dy = BOTTOM, 1  # below the new ones
        return 1, False
    game.x = x
    if y < CELLS - 1:
        game.y = y
        return 0, False
    hit = x - game.paddle
    if 0 <= hit < PADDLE:
        game.dy = -1
        if hit != PADDLE // 2:
            game.dx = -1 if hit == 0 else 1
        return 0, False
    game.y = y
    return 0, True


@numba.njit(cache=True)
def _draw(game: Any, bricks: Bools, frame: Pixels) -> None:
    """Draw a game into `frame` (pixels, pixels)."""
    frame[:] = 0
    for row in range(TOP, BOTTOM):
        for column in range(CELLS):
            if bricks[row, column]:
                _fill(frame, row, column, 1, BRICK_GREY)
    _fill(frame, CELLS - 1, game.paddle, PADDLE, PADDLE_GREY)
    _fill(frame, game.y, game.x, 1, BALL_GREY)


@numba.njit(cache=True)
def _fill(frame: Pixels, row: int, column: int, width: int, grey: int) -> None:
    frame[row * PIXELS : (row + 1) * PIXELS, column * PIXELS : (column + width) * PIXELS] = grey


@numba.njit(cache=True)
def _step(
    games: Any,
    bricks: Bools,
    active: Bools,
    actions: Integers,
    max_steps: int,
    frames: Pixels,
    rewards: Floats,
    terminated: Bools,
    truncated: Bools,
) -> None:
    """Take every active game one step on; write the last four arguments."""
    for i in range(games.shape[0]):
        rewards[i], terminated[i], truncated[i] = 0.0, False, False
        if not active[i]:
            continue
        game = games[i]
        hits, lost = _move(game, bricks[i], actions[i])
        game.steps += 1
        rewards[i], terminated[i] = hits, lost
        truncated[i] = game.steps >= max_steps and not lost
        frames[i, :-1] = frames[i, 1:]
        _draw(game, bricks[i], frames[i, -1])


@numba.njit(cache=True)
def _serve(games: Any, bricks: Bools, which: Bools, columns: Integers, sides: Integers, frames: Pixels) -> None:
    """Start these games: the ball falls from below the bricks; two frames show whereto."""
    drawn = 0
    for i in range(games.shape[0]):
        if not which[i]:
            continue
        game = games[i]
        game.x, game.y, game.dx, game.dy = columns[drawn], BOTTOM, sides[drawn], 1
        game.paddle, game.steps = (CELLS - PADDLE) // 2, 0
        bricks[i, TOP:BOTTOM] = True
        for number in range(STACK):
            if number:
                _move(game, bricks[i], 1)
            _draw(game, bricks[i], frames[i, number])
        drawn += 1


class PaddleGames(Games):
    """`count` games.

    Args:
        count: How many.
        max_steps: After which an episode is cut off.
    """

    num_actions = 3
    shape = (STACK, CELLS * PIXELS, CELLS * PIXELS)

    def __init__(self, count: int, max_steps: int) -> None:
        super().__init__(count)
        self.max_steps = whole_number("max_steps", max_steps, 1)
        self.state = np.zeros(count, STATE)
        self.bricks = np.zeros((count, CELLS, CELLS), np.bool_)
        self._frames = np.zeros((count, *self.shape), np.uint8)

    def restart(self, which: Bools, rng: np.random.Generator, *, anew: bool) -> None:
        """Start new games; `anew` changes nothing: there is no randomness but the generator's."""
        del anew
        count = int(which.sum())
        columns, sides = rng.integers(CELLS, size=count), 2 * rng.integers(2, size=count) - 1
        _serve(self.state, self.bricks, which, columns, sides, self._frames)
        self.lives[which] = 1
        self.score[which] = 0.0

    def step(self, actions: Integers, restarts: Bools, rng: np.random.Generator) -> tuple[Floats, Bools, Bools]:
        """Move paddle and ball by a cell."""
        self.forget_ends()
        rewards = np.empty(self.count)
        terminated, truncated = np.empty(self.count, np.bool_), np.empty(self.count, np.bool_)
        _step(self.state, self.bricks, ~restarts, actions, self.max_steps, self._frames, rewards, terminated, truncated)
        self.lives[terminated] = 0
        self.score += rewards
        self.end(terminated | truncated)
        if restarts.any():
            self.restart(restarts, rng, anew=False)
        return rewards, terminated, truncated

    def observe(self) -> Pixels:
        """Return the last two frames."""
        return self._frames.copy()

    def picture(self) -> Pixels:
        """Return the first game's last frame, ten times as large, shape (240, 240, 3)."""
        large = self._frames[0, -1].repeat(10, axis=0).repeat(10, axis=1)
        return np.repeat(large[:, :, np.newaxis], 3, axis=2)


class PaddleEnv(GameEnv):
    """Keep a ball in play with a paddle, and break bricks.

    **Observation.** The last two frames, oldest first: (2, 24, 24), uint8, grey: bricks 85, paddle 170, ball 255.
    They tell where the ball goes, from the first one on. A cell of the board of 12 x 12 is 2 x 2 pixels.

    **Actions.** Discrete(3): left, stay, right, by a cell. The paddle is three cells wide.

    **Reward.** 1 for each of the 36 bricks; when all are gone, new ones come.

    **Episode.** `terminated` when the ball is lost, `truncated` after `max_steps`.

    **Randomness.** Only where the ball is served, and to which side it falls.

    **Info.** `lives`, `score`, `game_over` and `game_score`, as `etfgym.envs.atari.AtariEnv` has them.

    Args:
        render_mode: None or "rgb_array".
        max_steps: After which an episode is cut off.

    Example:
        >>> import gymnasium, etfgym
        >>> env = gymnasium.make("etfgym/Paddle-v0")
        >>> observation, info = env.reset(seed=1)
        >>> observation.shape, info["score"]
        ((2, 24, 24), 0.0)
    """

    def __init__(self, *, render_mode: str | None = None, max_steps: int = 400) -> None:
        if render_mode is not None:
            one_of("render_mode", render_mode, self.metadata["render_modes"])
        super().__init__(PaddleGames(1, max_steps), render_mode)


class PaddleVectorEnv(GameVectorEnv):
    """`num_envs` games of `PaddleEnv`, which see.

    Args:
        num_envs: Number of games.
        autoreset_mode: See `etfgym.envs.games.GameVectorEnv`.
        max_steps: After which an episode is cut off.

    Example:
        >>> import gymnasium, etfgym
        >>> envs = gymnasium.make_vec("etfgym/Paddle-v0", num_envs=3, vectorization_mode="vector_entry_point")
        >>> observations, infos = envs.reset(seed=1)
        >>> observations.shape, infos["score"].tolist()
        ((3, 2, 24, 24), [0.0, 0.0, 0.0])
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        max_steps: int = 400,
    ) -> None:
        super().__init__(lambda count: PaddleGames(count, max_steps), num_envs, autoreset_mode)
