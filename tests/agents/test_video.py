"""A film shows every step of one episode, or of one whole game, at the environment's speed, and no more than 2,000."""

import sys

import gymnasium as gym
import numpy as np
import pytest

from agents import video

PIL = pytest.importorskip("PIL.Image", reason="films need Pillow, the extra `report`")


class Lives(gym.Env):
    """Two lives of `length` steps; each step is a grey of its own."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012 (Gymnasium's)
    observation_space, action_space = gym.spaces.Box(0, 255, (1,)), gym.spaces.Discrete(2)

    def __init__(self, length, *, tells):
        self.length, self.tells, self.grey, self.lives, self.seeds = length, tells, 0, 2, []

    def reset(self, *, seed=None, options=None):
        self.seeds.append(seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        assert action == 1
        self.steps, self.grey = self.steps + 1, self.grey + 10
        over = self.steps == self.length
        self.lives -= over
        return np.zeros(1, np.float32), 0.0, over, False, {"game_over": self.lives == 0} if self.tells else {}

    def render(self):
        return np.full((8, 6, 3), self.grey % 256, np.uint8)


class Ones:
    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        assert not deterministic  # the evaluation's own epsilon
        return np.int64(1), None


def greys(file):
    """Return a film's size, how often it is repeated, and the grey and the milliseconds of each frame."""
    with PIL.open(file) as film:
        shown = []
        for number in range(film.n_frames):
            film.seek(number)
            shown.append((film.convert("L").getpixel((3, 3)), film.info["duration"]))
        return film.size, film.info["loop"], shown


@pytest.mark.parametrize(("tells", "steps"), [(False, 4), (True, 8)], ids=["an episode", "a game of two lives"])
def test_it_shows_every_step_to_the_end(tmp_path, tells, steps):
    env, file = Lives(4, tells=tells), tmp_path / "films" / "a.gif"
    video.record(Ones(), env, file, seed=7)
    assert greys(file) == ((6, 8), 0, [(10 * number, 50) for number in range(steps + 1)])
    assert env.seeds == [7, None][: 1 + tells]
    assert [path.name for path in file.parent.iterdir()] == ["a.gif"]


def test_a_long_one_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "MOST_FRAMES", 5)
    video.record(Ones(), Lives(20, tells=False), tmp_path / "a.gif", seed=7)
    assert [grey for grey, _ in greys(tmp_path / "a.gif")[2]] == [0, 10, 20, 30, 40]


def test_missing_pillow_is_told_with_its_cure(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r'pip install "etfgym\[report\]"'):
        video.record(Ones(), Lives(2, tells=False), tmp_path / "a.gif", seed=7)
    assert list(tmp_path.iterdir()) == []
