"""Atari 2600 games (Bellemare et al. 2013) through ale-py, with DeepMind's preprocessing; needs the extra `atari`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from etfgym.checks import one_of, real_number, whole_number
from etfgym.envs.games import Bools, Floats, GameEnv, Games, GameVectorEnv, Integers, Pixels

SKIP, STACK, SIZE = 4, 4, 84
"""Frames a step, frames an observation, pixels a side (Mnih et al. 2015, Methods)."""

_SCREEN = 210, 160


@dataclass(frozen=True, slots=True, kw_only=True)
class AtariSettings:
    """The keywords of `gymnasium.make("etfgym/Breakout-v0", ...)` and `make_vec`.

    Raises:
        ValueError: If a value is wrong; one line that says what was wanted.
    """

    game: str = "breakout"
    """Name of a ROM in ale-py, such as "breakout" or "space_invaders"."""
    sticky_actions: float = 0.0
    """Probability that a frame repeats the last action instead of the chosen one (Machado et al. 2018: 0.25, which
    Gymnasium's -v5 games have; 0 is what NoFrameskip-v4 has, and the results of the DQN paper)."""
    episodic_life: bool = False
    """Whether a lost life ends the learner's episode; the game goes on in the next one."""
    noop_max: int = 30
    """A game starts after a random number of frames from 0 to `noop_max` - 1: fire, if it knows that, then nothing."""
    max_frames: int = 108_000
    """Frames after which a game is cut off: half an hour."""

    def __post_init__(self) -> None:
        one_of("game", self.game, _ale_py().roms.get_all_rom_ids())
        if not 0.0 <= real_number("sticky_actions", self.sticky_actions) < 1.0:
            msg = f"sticky_actions is a probability in [0, 1), got {self.sticky_actions!r}"
            raise ValueError(msg)
        if not isinstance(self.episodic_life, bool):
            msg = f"episodic_life must be True or False, got {self.episodic_life!r}"
            raise ValueError(msg)  # noqa: TRY004 (one kind of error for every wrong keyword)
        whole_number("noop_max", self.noop_max, 0)
        whole_number("max_frames", self.max_frames, SKIP)

    @classmethod
    def from_keywords(cls, keywords: dict[str, Any]) -> AtariSettings:
        """Return the settings of an environment's keywords; an unknown one raises ValueError with the nearest."""
        for name in keywords:
            one_of("keyword", name, [known.name for known in fields(cls)])
        return cls(**keywords)


class AtariGames(Games):
    """`count` games on ale-py's native vector interface, which steps all of them at once, in threads of its own.

    Its own `episodic_life` starts a new game at each lost life, so that nobody ever sees the second one; here it is
    off, and a lost life is told from the number of lives.

    Args:
        settings: See there.
        count: How many.
        coloured: Whether the games are played a second time in colour, for `picture`.
    """

    shape = (STACK, SIZE, SIZE)

    def __init__(self, settings: AtariSettings, count: int, *, coloured: bool = False) -> None:
        super().__init__(count)
        self.settings = settings
        self.emulators = _emulators(settings, count, (SIZE, SIZE), STACK, grayscale=True)
        self.coloured = _emulators(settings, count, _SCREEN, 1, grayscale=False) if coloured else None
        self.meanings = [action.name for action in self.emulators.get_action_set()]
        self.num_actions = len(self.meanings)
        # Nothing moves in Breakout until the ball is served, and a greedy agent may never do so.
        self._serve = self.meanings.index("FIRE") if "FIRE" in self.meanings else 0
        self._strengths = np.ones(count, np.float32)  # of a paddle; only continuous control has less
        self._frames = np.zeros((count, *self.shape), np.uint8)
        self._screen = np.zeros((*_SCREEN, 3), np.uint8)
        self._lost = np.zeros(count, np.bool_)  # a life is lost, and the episode with it, but not the game
        self._serving = np.zeros(count, np.bool_)  # the next step serves
        self._seeded = False

    def restart(self, which: Bools, rng: np.random.Generator, *, anew: bool) -> None:
        """Let the next step serve where only a life was lost, else start a new game."""
        served = which & self._lost & (not anew)
        new = which & ~served
        self._lost &= ~which
        self._serving = (self._serving & ~which) | served
        if not new.any():
            return
        indices = np.flatnonzero(new)
        seeds = np.full(len(indices), -1)  # -1: go on with the emulator's randomness
        if anew or not self._seeded:
            seeds = rng.integers(2**31 - 1, size=len(indices))
            self._seeded = True
        self._frames, info = self.emulators.reset(indices, seeds)  # of all games, those that go on unchanged
        self.lives = info["lives"].astype(np.int64)
        self.score[new] = 0.0
        if self.coloured is not None:
            self._screen = self.coloured.reset(indices, seeds)[0][0, 0]

    def step(self, actions: Integers, restarts: Bools, rng: np.random.Generator) -> tuple[Floats, Bools, Bools]:
        """Repeat each action for four frames; rewards are raw, neither clipped nor scaled."""
        self.forget_ends()
        self.score[restarts & ~self._lost] = 0.0  # ale-py itself starts a new game in the step after one is over
        sent = np.where(self._serving | restarts, self._serve, actions)
        self._serving[:] = False
        self._lost[restarts] = False
        self.emulators.send(sent, self._strengths)
        self._frames, points, over, cut, info = self.emulators.recv()
        if self.coloured is not None:
            self.coloured.send(sent, self._strengths)
            self._screen = self.coloured.recv()[0][0, 0]
        rewards = points.astype(np.float64)
        lives = info["lives"].astype(np.int64)
        self.score += rewards
        ended = over | cut
        self.end(ended)
        terminated = over
        if self.settings.episodic_life:
            lost = (lives < self.lives) & (lives > 0)
            terminated = over | lost
            self._lost |= lost & ~ended & ~restarts
        self.lives = lives
        if restarts.any():
            rewards[restarts] = 0.0
            if (restarts & ended).any():  # the serve cost the last life
                self.restart(restarts & ended, rng, anew=False)
        return rewards, terminated & ~restarts, cut & ~terminated & ~restarts

    def observe(self) -> Pixels:
        """Return the last four frames; those from before a new game are black."""
        return self._frames

    def picture(self) -> Pixels:
        """Return the first game's screen, shape (210, 160, 3)."""
        return self._screen.copy()


class AtariEnv(GameEnv):
    """Play an Atari game, Breakout unless another is named.

    **Observation.** The last four frames, oldest first: (4, 84, 84), uint8, grey. Each is the brighter, pixel by
    pixel, of the last two of the four screens of a step, made smaller by area. In a new game the missing frames are
    black; after a lost life they are those of the life before.

    **Actions.** The game's own; Breakout: no-op, fire, right, left. Names in `env.games.meanings`.

    **Reward.** The game's points, raw. A learner clips them to their sign.

    **Episode.** A game, `terminated` with its last life and `truncated` after `max_frames`. With `episodic_life`, the
    end of a life is `terminated` too, and `reset()` goes on with the same game; a seed starts a new one.

    **Start.** A game starts by one frame of fire (if it knows fire) and up to 28 frames of nothing. With
    `episodic_life` the first step of the next life fires (else does nothing), whatever the action, so that no agent
    waits for a ball for ever.

    **Randomness.** The number of no-ops, and `sticky_actions`. Same seed, same game.

    **Info.** `lives`; `score`, raw, of the game so far; `game_over` if a game ended in this step, whatever the
    learner's episode does, and `game_score`, what it came to (else 0).

    Args:
        render_mode: None or "rgb_array" (the screen, (210, 160, 3); the game is then emulated twice).
        **settings: Every keyword of `AtariSettings`.

    Raises:
        ImportError: If ale-py is missing.
        ValueError: If a keyword is wrong, in one line.

    Example:
        >>> import gymnasium, etfgym
        >>> env = gymnasium.make("etfgym/Breakout-v0", episodic_life=True)
        >>> observation, info = env.reset(seed=1)
        >>> observation.shape, info["lives"]
        ((4, 84, 84), 5)
    """

    def __init__(self, *, render_mode: str | None = None, **settings: Any) -> None:
        if render_mode is not None:
            one_of("render_mode", render_mode, self.metadata["render_modes"])
        games = AtariGames(AtariSettings.from_keywords(settings), 1, coloured=render_mode is not None)
        super().__init__(games, render_mode)


class AtariVectorEnv(GameVectorEnv):
    """`num_envs` games of `AtariEnv`, which see, on ale-py's native vector interface.

    The modes differ in one thing: with "NextStep", the step that ignores the action is the one that serves after a
    lost life, and what it earns counts in the score only; otherwise it is the first step of the new episode.

    Args:
        num_envs: Number of games.
        autoreset_mode: See `etfgym.envs.games.GameVectorEnv`.
        **settings: Every keyword of `AtariSettings`.

    Example:
        >>> import gymnasium, etfgym
        >>> envs = gymnasium.make_vec("etfgym/Breakout-v0", num_envs=2, vectorization_mode="vector_entry_point")
        >>> observations, infos = envs.reset(seed=1)
        >>> observations.shape, infos["lives"].tolist()
        ((2, 4, 84, 84), [5, 5])
    """

    def __init__(
        self, num_envs: int = 1, *, autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP, **settings: Any
    ) -> None:
        checked = AtariSettings.from_keywords(settings)
        super().__init__(lambda count: AtariGames(checked, count), num_envs, autoreset_mode)


def wrapped(*, render_mode: str | None = None, **settings: Any) -> gym.Env[Any, Any]:
    """Return the same game on Gymnasium's own wrappers: `AtariPreprocessing` and `FrameStackObservation`.

    Without no-ops and sticky actions it shows what `AtariEnv` does, pixel for pixel. With them the draws differ, and
    a game waits 1 to `noop_max` frames.

    Args:
        render_mode: See `gymnasium.make("ALE/Breakout-v5")`.
        **settings: Every keyword of `AtariSettings`.

    Raises:
        ValueError: If `episodic_life` is asked for: Gymnasium's `terminal_on_life_loss` starts a new game at each
            lost life.
    """
    checked = AtariSettings.from_keywords(settings)
    if checked.episodic_life:
        msg = "Gymnasium's wrappers start a new game at each lost life: use AtariEnv for episodic_life"
        raise ValueError(msg)
    from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

    gym.register_envs(_ale_py())
    env: gym.Env[Any, Any] = gym.make(
        f"ALE/{''.join(word.capitalize() for word in checked.game.split('_'))}-v5",
        frameskip=1,
        repeat_action_probability=checked.sticky_actions,
        max_num_frames_per_episode=checked.max_frames,
        render_mode=render_mode,
    )
    if "FIRE" in env.unwrapped.get_action_meanings():  # type: ignore[attr-defined]
        env = _FireReset(env)
    env = AtariPreprocessing(env, noop_max=checked.noop_max, frame_skip=SKIP, screen_size=SIZE)
    return FrameStackObservation(env, STACK, padding_type="zero")


class _FireReset(gym.Wrapper[Any, Any, Any, Any]):
    """Press fire for the first frame of a game, as ale-py's native vector environment does."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.env.reset(seed=seed, options=options)
        observation, _, _, _, info = self.env.step(self.env.unwrapped.get_action_meanings().index("FIRE"))  # type: ignore[attr-defined]
        return observation, info


def _emulators(settings: AtariSettings, count: int, size: tuple[int, int], stack: int, *, grayscale: bool) -> Any:
    """Return ale-py's native vector interface."""
    ale_py = _ale_py()
    return ale_py.ALEVectorInterface(
        rom_path=ale_py.roms.get_rom_path(settings.game),
        num_envs=count,
        frame_skip=SKIP,
        stack_num=stack,
        img_height=size[0],
        img_width=size[1],
        grayscale=grayscale,
        maxpool=True,
        noop_max=settings.noop_max,
        use_fire_reset=True,
        episodic_life=False,
        life_loss_info=False,
        reward_clipping=False,
        max_episode_steps=settings.max_frames,
        repeat_action_probability=settings.sticky_actions,
        full_action_space=False,
        batch_size=count,
        num_threads=0,  # as many as there are games or cores
        thread_affinity_offset=-1,
        autoreset_mode=AutoresetMode.NEXT_STEP.value,
    )


def _ale_py() -> ModuleType:
    try:
        import ale_py
        import ale_py.roms
    except ImportError:
        msg = 'Atari games need ale-py: pip install "etfgym[atari]"'
        raise ImportError(msg) from None
    return ale_py
