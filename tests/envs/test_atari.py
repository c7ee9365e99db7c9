"""Atari: DeepMind's preprocessing, lives as episodes, and the same game in every form."""

from __future__ import annotations

import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from tapes import record

import etfgym  # noqa: F401 (registers the environments)
from etfgym.envs.atari import AtariEnv, AtariVectorEnv, wrapped

pytest.importorskip("ale_py")

NOOP, FIRE, RIGHT, LEFT = range(4)
MODES = ("NextStep", "SameStep", "Disabled")


def tape(length, seed=0):
    return np.random.default_rng(seed).integers(4, size=length).tolist()


class Scripted:
    """An emulator of one game of which it is known beforehand what it answers: reward, over, cut, lives."""

    def __init__(self, *steps):
        self.steps = list(steps)
        self.sent = []

    def reset(self, indices, seeds):
        return np.full((1, 4, 84, 84), 9, np.uint8), {"lives": np.array([5])}

    def send(self, actions, strengths):
        self.sent += actions.tolist()

    def recv(self):
        reward, over, cut, lives = self.steps.pop(0)
        frames = np.full((1, 4, 84, 84), len(self.steps), np.uint8)
        return frames, np.array([reward]), np.array([over]), np.array([cut]), {"lives": np.array([lives])}


def shown(envs, actions, seed=3):
    """Return what the first game of a vector shows, however its episodes are reset: pixels, lives, scores, ends."""
    envs.reset(seed=seed)
    seen = []
    for action in actions:
        observations, _, terminated, truncated, infos = envs.step(np.full(envs.num_envs, action))
        over = terminated | truncated
        last = infos["final_obs"][0] if over[0] and "final_obs" in infos else observations[0]
        final = infos["final_info"] if over[0] and "final_info" in infos else infos
        seen.append((last.tobytes(), *(final[key][0].item() for key in ("lives", "score", "game_over", "game_score"))))
        if envs.autoreset_mode.value == "Disabled" and over.any():
            envs.reset(options={"reset_mask": over})
        if envs.autoreset_mode.value == "NextStep" and infos["game_over"][0]:
            envs.step(np.full(envs.num_envs, action))  # starts a game; after a lost life, the tape's next step serves
    return seen


def play(env, act):
    """Play to the end of a game; return for each step reward, terminated, truncated and info."""
    env.reset(seed=0)
    steps = []
    while not steps or not steps[-1][3]["game_over"]:
        _, *step = env.step(act())
        steps.append(step)
        if step[1] or step[2]:
            _, info = env.reset()
            assert info["game_over"] is False
    return steps


@pytest.mark.parametrize("keywords", [{}, {"episodic_life": True, "sticky_actions": 0.25}, {"game": "pong"}], ids=str)
def test_gymnasiums_checker_has_nothing_to_say(keywords):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make("etfgym/Breakout-v0", **keywords).unwrapped)


def test_stable_baselines3s_checker_has_nothing_to_say():
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checker.check_env(AtariEnv(episodic_life=True))


def test_the_id_makes_both_forms():
    assert isinstance(gym.make("etfgym/Breakout-v0").unwrapped, AtariEnv)
    envs = gym.make_vec(
        "etfgym/Breakout-v0", num_envs=2, vectorization_mode="vector_entry_point", episodic_life=True, game="pong"
    )
    assert isinstance(envs, AtariVectorEnv)
    assert envs.games.settings.episodic_life
    assert envs.single_action_space.n == 6
    assert envs.reset(seed=0)[0].shape == (2, 4, 84, 84)


def test_it_shows_pixel_for_pixel_what_gymnasiums_own_wrappers_show():
    pytest.importorskip("cv2")
    ours, theirs = AtariEnv(noop_max=0), wrapped(noop_max=0)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    ends = scored = 0
    seen, expected = ours.reset(seed=0)[0], theirs.reset(seed=0)[0]
    for action in tape(500):
        assert np.array_equal(seen, expected)
        seen, reward, terminated, truncated, info = ours.step(action)
        expected, *wanted, their_info = theirs.step(action)
        assert [reward, terminated, truncated] == wanted
        assert info["lives"] == their_info["lives"]
        scored += reward
        if terminated:
            assert np.array_equal(seen, expected)
            ends += 1
            seen, expected = ours.reset()[0], theirs.reset()[0]
    assert ends >= 1
    assert scored > 0


@pytest.mark.parametrize("mode", ["SameStep", "Disabled"])
@pytest.mark.parametrize("count", [1, 3])
def test_single_and_vector_show_the_same_to_the_bit(mode, count):
    keywords = {"episodic_life": True, "sticky_actions": 0.25, "max_frames": 1000}
    steps = record(AtariVectorEnv(count, autoreset_mode=mode, **keywords), tape(250), seed=3)
    assert steps == record(AtariEnv(**keywords), tape(250), seed=3)
    steps = [step for step in steps if len(step) == 5]
    assert sum(step[2] and not step[4]["game_over"] for step in steps) >= 4  # lives lost
    assert sum(step[4]["game_over"] for step in steps) >= 1
    assert any(step[1] > 0 for step in steps)


@pytest.mark.parametrize("episodic_life", [False, True])
def test_the_game_is_the_same_in_every_autoreset_mode(episodic_life):
    keywords = {"episodic_life": episodic_life, "sticky_actions": 0.25}
    games = [shown(AtariVectorEnv(2, autoreset_mode=mode, **keywords), tape(250)) for mode in MODES]
    assert games[0] == games[1] == games[2]
    assert [step[3] for step in games[0]].count(True) >= 1


def test_one_seed_is_one_game_and_another_seed_is_another():
    sticky = {"sticky_actions": 0.25}
    first = record(AtariEnv(**sticky), tape(60), 1)
    assert record(AtariEnv(**sticky), tape(60), 1) == first
    assert record(AtariEnv(**sticky), tape(60), 2) != first


def test_a_seed_makes_even_the_games_after_it_the_same():
    """Only the first game is seeded; the next one goes on with the emulator's own randomness."""
    keywords = {"sticky_actions": 0.25, "max_frames": 40}
    shown = record(AtariEnv(**keywords), tape(100), 1)
    assert shown == record(AtariEnv(**keywords), tape(100), 1)
    starts = [step for step in shown if len(step) == 3]
    assert len({start[0] for start in starts}) > 3  # and yet they differ: no-ops are drawn


def test_an_env_made_twice_without_a_seed_plays_different_games():
    firsts = {AtariEnv().reset()[0].tobytes() for _ in range(6)}
    assert len(firsts) > 1


def test_without_noops_and_sticky_actions_nothing_is_random():
    assert record(AtariEnv(noop_max=0), tape(60), 1) == record(AtariEnv(noop_max=0), tape(60), 2)


def test_a_game_starts_after_1_to_29_frames():
    env = AtariEnv()
    counts = []
    for seed in range(30):
        env.reset(seed=seed)
        env.games.emulators.send([NOOP], [1.0])
        counts.append(int(env.games.emulators.recv()[-1]["episode_frame_number"][0]) - 4)
    assert min(counts) >= 1
    assert max(counts) <= 29
    assert len(set(counts)) > 10


def test_a_new_game_shows_one_frame_after_three_black_ones():
    observation, info = AtariEnv().reset(seed=0)
    assert [int(frame.max() > 0) for frame in observation] == [0, 0, 0, 1]
    assert info == {"lives": 5, "score": 0.0, "game_over": False, "game_score": 0.0}


def test_a_lost_life_ends_the_learners_episode_and_the_game_goes_on():
    env = AtariEnv(episodic_life=True)
    actions = iter(tape(5000, seed=1))
    steps = play(env, lambda: next(actions))
    ends = [(info["lives"], info["game_over"]) for _, terminated, _, info in steps if terminated]
    assert ends == [(4, False), (3, False), (2, False), (1, False), (0, True)]
    score = sum(reward for reward, *_ in steps)
    assert score > 0
    assert steps[-1][3]["game_score"] == steps[-1][3]["score"] == score
    assert {info["game_score"] for *_, info in steps[:-1]} == {0.0}


def test_without_episodic_life_a_game_is_an_episode():
    env = AtariEnv()
    actions = iter(tape(5000, seed=1))
    steps = play(env, lambda: next(actions))
    assert [terminated for _, terminated, _, _ in steps].count(True) == 1
    assert {info["lives"] for *_, info in steps} == {0, 1, 2, 3, 4, 5}


def test_after_a_lost_life_the_frames_go_on_and_the_first_step_serves():
    env = AtariEnv(episodic_life=True)
    observation, info = env.reset(seed=0)
    terminated = False
    while not terminated:
        observation, _, terminated, _, info = env.step(NOOP)
    started, info_after = env.reset()
    assert info["lives"] == info_after["lives"] == 4
    assert np.array_equal(started, observation)
    for _ in range(60):  # nothing is ever fired, and yet the next ball is lost too
        *_, info = env.step(NOOP)
        if info["lives"] == 3:
            break
    assert info["lives"] == 3


def test_a_seed_starts_a_new_game_even_after_a_lost_life():
    env = AtariEnv(episodic_life=True)
    first, _ = env.reset(seed=0)
    while not env.step(NOOP)[2]:
        pass
    again, info = env.reset(seed=0)
    assert info["lives"] == 5
    assert np.array_equal(first, again)


def test_a_reset_in_the_middle_of_a_life_starts_a_new_game():
    env = AtariEnv(episodic_life=True)
    env.reset(seed=0)
    while not env.step(NOOP)[2]:
        pass
    env.reset()
    env.step(NOOP)
    _, info = env.reset()
    assert info["lives"] == 5


def test_the_first_step_of_a_life_fires_whatever_the_action_and_the_others_do_not():
    env = AtariEnv(episodic_life=True)
    env.reset(seed=0)
    emulator = env.games.emulators = Scripted((7, False, False, 4), (2, False, False, 4), (1, False, False, 4))
    _, reward, terminated, truncated, info = env.step(RIGHT)
    assert (reward, terminated, truncated, info["score"]) == (7.0, True, False, 7.0)
    env.reset()
    assert emulator.sent == [RIGHT]
    _, reward, terminated, _, info = env.step(LEFT)
    assert (reward, terminated, info["score"]) == (2.0, False, 9.0)
    env.step(LEFT)
    assert emulator.sent == [RIGHT, FIRE, LEFT]


def test_in_the_next_step_the_serve_earns_for_the_score_only_and_may_end_the_game():
    envs = AtariVectorEnv(1, episodic_life=True)
    envs.reset(seed=0)
    emulator = envs.games.emulators = Scripted((7, False, False, 4), (2, False, False, 3), (1, False, False, 2))
    _, rewards, terminated, _, infos = envs.step(np.array([RIGHT]))
    assert (rewards[0], terminated[0], infos["score"][0]) == (7.0, True, 7.0)
    _, rewards, terminated, _, infos = envs.step(np.array([RIGHT]))
    assert (rewards[0], terminated[0], infos["score"][0]) == (0.0, False, 9.0)
    _, rewards, terminated, _, infos = envs.step(np.array([LEFT]))
    assert (rewards[0], terminated[0], infos["score"][0]) == (1.0, True, 10.0)
    assert emulator.sent == [RIGHT, FIRE, LEFT]
    emulator.steps = [(5, True, False, 0)]
    observations, rewards, terminated, _, infos = envs.step(np.array([LEFT]))
    assert (rewards[0], terminated[0], observations[0, 0, 0, 0]) == (0.0, False, 9)  # a new game's first
    assert (infos["game_over"][0], infos["game_score"][0], infos["score"][0]) == (True, 15.0, 0.0)
    assert infos["lives"][0] == 5


def test_the_last_life_is_not_a_lost_life_and_neither_are_lives_won():
    env = AtariEnv(episodic_life=True)
    env.reset(seed=0)
    env.games.emulators = Scripted((0, False, False, 6), (0, False, False, 0), (0, True, False, 0))
    ends = [env.step(NOOP)[2] for _ in range(3)]
    assert ends == [False, False, True]  # some games show 0 lives for a while before they are over


def test_a_game_is_cut_off_after_max_frames():
    env = AtariEnv(max_frames=40, episodic_life=True)
    env.reset(seed=0)
    ends = [env.step(FIRE)[1:] for _ in range(10)]
    assert [truncated for _, _, truncated, _ in ends] == [False] * 9 + [True]
    assert [info["game_over"] for *_, info in ends] == [False] * 9 + [True]
    assert not any(terminated for _, terminated, _, _ in ends)


def test_a_life_lost_as_time_runs_out_is_terminated_and_starts_a_new_game():
    env = AtariEnv(episodic_life=True)
    env.reset(seed=0)
    env.games.emulators = Scripted((0, False, True, 4))
    _, _, terminated, truncated, info = env.step(NOOP)
    assert (terminated, truncated, info["game_over"]) == (True, False, True)
    _, info = env.reset()
    assert info["lives"] == 5


def test_rewards_are_neither_clipped_nor_rescaled():
    env = AtariEnv(game="space_invaders")
    env.reset(seed=0)
    rewards = {env.step(action)[1] for action in np.random.default_rng(0).integers(6, size=100)}
    assert max(rewards) >= 5


def test_sticky_actions_change_the_game():
    assert record(AtariEnv(noop_max=0, sticky_actions=0.5), tape(60), 1) != record(AtariEnv(noop_max=0), tape(60), 1)


def test_a_picture_is_the_screen_that_the_last_observation_was_made_of():
    cv2 = pytest.importorskip("cv2")
    env = AtariEnv(render_mode="rgb_array", sticky_actions=0.25, episodic_life=True)
    env.reset(seed=4)
    for action in tape(150):
        observation, _, terminated, truncated, _ = env.step(action)
        assert env.render().shape == (210, 160, 3)
        grey = cv2.resize(cv2.cvtColor(env.render(), cv2.COLOR_RGB2GRAY), (84, 84), interpolation=cv2.INTER_AREA)
        assert np.abs(grey.astype(int) - observation[3]).max() <= 3
        if terminated or truncated:
            env.reset()
    assert env.games.lives[0] < 5


def test_stable_baselines3_learns_from_the_vector():
    sb3 = pytest.importorskip("stable_baselines3")
    from etfgym.sb3 import EtfVecEnv

    envs = EtfVecEnv(AtariVectorEnv(2, autoreset_mode="SameStep", episodic_life=True))
    model = sb3.DQN("CnnPolicy", envs, buffer_size=50, learning_starts=10, batch_size=2, train_freq=8, seed=0)
    model.learn(32)
    assert model.num_timesteps == 32
    envs.seed(0)
    envs.reset()
    for _ in range(100):
        observations, _, dones, infos = envs.step(np.array([NOOP, NOOP]))
        if dones[0]:
            break
    assert infos[0]["lives"] == 4
    assert np.array_equal(infos[0]["terminal_observation"], observations[0])


def test_wrong_keywords_are_refused_in_one_line():
    with pytest.raises(ValueError, match=r"game must be one of .* got 'brekout' \(did you mean 'breakout'\?\)"):
        AtariEnv(game="brekout")
    with pytest.raises(ValueError, match=r"sticky_actions is a probability in \[0, 1\), got 25"):
        AtariEnv(sticky_actions=25)
    with pytest.raises(ValueError, match="episodic_life must be True or False, got 1"):
        AtariEnv(episodic_life=1)
    with pytest.raises(ValueError, match=r"keyword must be one of .* got 'sticky'"):
        AtariVectorEnv(2, sticky=0.25)
    with pytest.raises(ValueError, match="noop_max must be a whole number of at least 0, got -1"):
        AtariEnv(noop_max=-1)
    with pytest.raises(ValueError, match="start a new game at each lost life: use AtariEnv"):
        wrapped(episodic_life=True)


def test_a_missing_emulator_is_one_line_that_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ale_py", None)
    with pytest.raises(ImportError, match=r'Atari games need ale-py: pip install "etfgym\[atari\]"'):
        gym.make("etfgym/Breakout-v0")


def test_nothing_of_atari_is_imported_before_it_is_used():
    code = (
        "import sys, gymnasium, etfgym, etfgym.envs.atari\n"
        "gymnasium.make('etfgym/Paddle-v0')\n"
        "print(sorted({'ale_py', 'cv2', 'torch', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "[]"
