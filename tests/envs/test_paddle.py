"""Paddle: the rules by hand, what can be scored, and the manners that all games share."""

from __future__ import annotations

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from tapes import record

import etfgym  # noqa: F401 (registers the environments)
from etfgym.envs.paddle import BOTTOM, CELLS, PADDLE, TOP, PaddleEnv, PaddleVectorEnv

MODES = ("NextStep", "SameStep", "Disabled")
LEFT, STAY, RIGHT = range(3)


def tape(length, seed=0):
    return np.random.default_rng(seed).integers(3, size=length).tolist()


def placed(**state):
    """Return an environment whose ball and paddle are where they are told to be."""
    env = PaddleEnv()
    env.reset(seed=0)
    for name, value in state.items():
        env.games.state[name] = value
    return env


def where(env):
    """Return x, y, dx, dy of the ball."""
    return tuple(int(env.games.state[name][0]) for name in ("x", "y", "dx", "dy"))


def follow(game):
    """Return the action of a player who knows where the ball comes down."""
    x, y, dx = int(game["x"]), int(game["y"]), int(game["dx"])
    while game["dy"] > 0 and y < CELLS - 1:
        if not 0 <= x + dx < CELLS:
            dx = -dx
        x, y = x + dx, y + 1
    return STAY + int(np.sign(np.clip(x - 1, 0, CELLS - PADDLE) - game["paddle"]))


def scores(act, games, seed=0):
    """Return the score of each game's first episode."""
    envs = PaddleVectorEnv(games, autoreset_mode="SameStep")
    envs.reset(seed=seed)
    scored, playing = np.zeros(games), np.ones(games, np.bool_)
    while playing.any():
        _, _, terminated, truncated, infos = envs.step(act(envs.games.state))
        over = playing & (terminated | truncated)
        scored[over] = infos["game_score"][over]
        playing &= ~over
    return scored


def test_gymnasiums_checker_has_nothing_to_say():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make("etfgym/Paddle-v0").unwrapped)


def test_stable_baselines3s_checker_only_says_that_its_own_network_wants_larger_pictures():
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        checker.check_env(PaddleEnv())
    assert ["minimal resolution for an image is 36x36" in str(warning.message) for warning in said] == [True]


def test_a_ball_turns_back_from_a_brick_which_is_gone_and_counts_one():
    env = placed(x=4, y=BOTTOM, dx=1, dy=-1)
    _, reward, terminated, _, info = env.step(STAY)
    assert (reward, terminated, info["score"]) == (1.0, False, 1.0)
    assert where(env) == (4, BOTTOM, 1, 1)
    assert np.argwhere(~env.games.bricks[0, TOP:BOTTOM]).tolist() == [[BOTTOM - 1 - TOP, 5]]


def test_a_ball_turns_back_from_walls_and_ceiling():
    env = placed(x=CELLS - 1, y=5, dx=1, dy=1)
    env.step(STAY)
    assert where(env) == (CELLS - 2, 6, -1, 1)
    env = placed(x=0, y=5, dx=-1, dy=1)
    env.step(STAY)
    assert where(env) == (1, 6, 1, 1)
    env = placed(x=4, y=0, dx=1, dy=-1)
    env.games.bricks[:] = False
    env.step(STAY)
    assert where(env) == (5, 1, 1, 1)


@pytest.mark.parametrize(
    ("paddle", "dx"), [(5, -1), (4, 1), (3, 1)], ids=["left end", "middle, as it came", "right end"]
)
def test_where_the_paddle_hits_the_ball_says_whereto_it_goes(paddle, dx):
    env = placed(x=4, y=CELLS - 2, dx=1, dy=1, paddle=paddle)
    _, reward, terminated, _, _ = env.step(STAY)
    assert (reward, terminated) == (0.0, False)
    assert where(env) == (5, CELLS - 2, dx, -1)


@pytest.mark.parametrize(("paddle", "action", "lost"), [(6, STAY, True), (6, LEFT, False), (2, STAY, True)])
def test_the_paddle_moves_before_the_ball_does_and_a_missed_ball_is_lost(paddle, action, lost):
    env = placed(x=4, y=CELLS - 2, dx=1, dy=1, paddle=paddle)
    _, reward, terminated, truncated, info = env.step(action)
    assert (reward, terminated, truncated) == (0.0, lost, False)
    assert (info["lives"], info["game_over"]) == (0 if lost else 1, lost)


def test_the_paddle_stays_on_the_board():
    env = placed(paddle=0, x=5, y=5, dx=1, dy=-1)
    env.step(LEFT)
    assert env.games.state["paddle"][0] == 0
    env = placed(paddle=CELLS - PADDLE, x=5, y=5, dx=1, dy=-1)
    env.step(RIGHT)
    assert env.games.state["paddle"][0] == CELLS - PADDLE


def test_after_the_last_brick_there_are_new_ones_and_the_ball_is_below_them():
    env = placed(x=4, y=TOP + 1, dx=1, dy=-1)
    env.games.bricks[:] = False
    env.games.bricks[0, TOP, 5] = True
    _, reward, _, _, _ = env.step(STAY)
    assert reward == 1.0
    assert env.games.bricks.sum() == env.games.bricks[0, TOP:BOTTOM].sum() == 3 * CELLS
    assert where(env) == (4, BOTTOM, 1, 1)


def test_a_frame_shows_bricks_paddle_and_ball():
    env = placed(x=4, y=6, dx=1, dy=1, paddle=2)
    observation, *_ = env.step(RIGHT)
    cells = observation[1, ::2, ::2]
    assert np.array_equal(observation[1], cells.repeat(2, axis=0).repeat(2, axis=1))
    wanted = np.zeros((CELLS, CELLS), np.uint8)
    wanted[TOP:BOTTOM] = 85
    wanted[CELLS - 1, 3:6] = 170
    wanted[7, 5] = 255
    assert np.array_equal(cells, wanted)


def test_the_older_frame_is_the_newer_one_of_the_step_before():
    env = PaddleEnv()
    seen, _ = env.reset(seed=3)
    for action in tape(5):
        then = seen
        seen, *_ = env.step(action)
        assert np.array_equal(seen[0], then[1])


def test_two_frames_tell_what_comes_next():
    """Were something hidden, one observation and action would sooner or later be followed by two different things."""
    envs = PaddleVectorEnv(64, autoreset_mode="SameStep", max_steps=10_000)
    rng = np.random.default_rng(0)
    seen, _ = envs.reset(seed=0)
    followed = {}
    for _ in range(1000):
        skilled = [follow(game) for game in envs.games.state]
        actions = np.where(rng.random(64) < 0.9, skilled, rng.integers(3, size=64))
        then = seen
        seen, rewards, terminated, _, infos = envs.step(actions)
        for i in range(64):
            last = infos["final_obs"][i] if terminated[i] else seen[i]
            came = (last.tobytes(), rewards[i], terminated[i])
            assert followed.setdefault((then[i].tobytes(), actions[i]), came) == came
    assert infos["score"].max() > 10


def test_a_player_who_follows_the_ball_scores_fifty_times_what_chance_does():
    rng = np.random.default_rng(0)
    chance = scores(lambda state: rng.integers(3, size=len(state)), 1000).mean()
    skill = scores(lambda state: np.array([follow(game) for game in state]), 20)
    assert 0.2 < chance < 0.5
    assert skill.min() > 50 * chance


@pytest.mark.parametrize("mode", MODES)
def test_single_and_vector_show_the_same_to_the_bit(mode):
    shown = record(PaddleVectorEnv(1, autoreset_mode=mode, max_steps=30), tape(300), seed=5)
    assert shown == record(PaddleEnv(max_steps=30), tape(300), seed=5)
    ends = [step[2:4] for step in shown if len(step) == 5]
    assert ends.count((True, False)) > 3
    assert ends.count((False, True)) >= 1


def test_each_of_many_games_plays_as_it_would_alone():
    envs = PaddleVectorEnv(5, autoreset_mode="Disabled")
    envs.reset(seed=0)
    alone = [PaddleEnv() for _ in range(5)]
    for i, env in enumerate(alone):
        env.reset()
        for name in ("state", "bricks", "_frames"):
            getattr(env.games, name)[0] = getattr(envs.games, name)[i]
    actions = np.random.default_rng(0).integers(3, size=(6, 5))  # no ball comes down within six steps
    for row in actions:
        observations, *_ = envs.step(row)
        for i, env in enumerate(alone):
            assert np.array_equal(env.step(row[i])[0], observations[i])


def test_each_game_of_a_vector_is_served_its_own_ball():
    envs = PaddleVectorEnv(50)
    envs.reset(seed=0)
    assert len(np.unique(envs.games.state["x"])) > 6
    assert set(envs.games.state["dx"]) == {-1, 1}


def test_one_seed_is_one_game_and_another_seed_is_another():
    assert record(PaddleEnv(), tape(100), 1) == record(PaddleEnv(), tape(100), 1)
    assert record(PaddleEnv(), tape(100), 1) != record(PaddleEnv(), tape(100), 2)


def test_after_max_steps_the_game_is_cut_off_and_counted():
    envs = PaddleVectorEnv(1, max_steps=3)
    envs.reset(seed=0)
    for step in range(1, 4):
        _, _, terminated, truncated, infos = envs.step(np.array([STAY]))
        assert (terminated[0], truncated[0], infos["game_over"][0]) == (False, step == 3, step == 3)
    envs.games.score[:] = 7.0
    _, _, _, truncated, infos = envs.step(np.array([STAY]))  # NextStep: a new game
    assert (truncated[0], infos["game_over"][0], infos["score"][0]) == (False, False, 0.0)


def test_the_next_game_has_all_its_steps_again():
    env = PaddleEnv(max_steps=2)
    for _ in range(2):
        env.reset(seed=0)
        assert [env.step(STAY)[3] for _ in range(2)] == [False, True]


def test_a_ball_lost_in_the_last_step_is_terminated_and_not_truncated():
    env = placed(x=4, y=CELLS - 2, dx=1, dy=1, paddle=9, steps=399)
    _, _, terminated, truncated, _ = env.step(STAY)
    assert (terminated, truncated) == (True, False)


@pytest.mark.parametrize("mode", ["NextStep", "Disabled"])
def test_a_games_end_is_told_once(mode):
    env, envs = PaddleEnv(max_steps=1), PaddleVectorEnv(1, autoreset_mode=mode, max_steps=1)
    env.reset(seed=0)
    envs.reset(seed=0)
    env.games.score[:] = envs.games.score[:] = 7.0
    *_, info = env.step(STAY)
    *_, infos = envs.step(np.array([STAY]))
    assert (info["game_over"], info["game_score"]) == (True, 7.0)
    assert (infos["game_over"][0], infos["game_score"][0]) == (True, 7.0)
    _, info = env.reset()
    infos = envs.step(np.array([STAY]))[-1] if mode == "NextStep" else envs.reset()[-1]
    assert (info["game_over"], info["game_score"]) == (False, 0.0)
    assert (infos["game_over"][0], infos["game_score"][0]) == (False, 0.0)


def test_the_same_step_gives_the_new_game_and_under_final_the_old_one():
    envs = PaddleVectorEnv(2, autoreset_mode="SameStep")
    envs.reset(seed=0)
    for name, value in {"x": 4, "y": CELLS - 2, "dx": 1, "dy": 1}.items():
        envs.games.state[name][0] = value
    envs.games.state["paddle"][0] = 9
    envs.games.score[:] = 5.0
    observations, _, terminated, _, infos = envs.step(np.array([STAY, STAY]))
    assert terminated.tolist() == infos["_final_obs"].tolist() == infos["_final_info"].tolist() == [True, False]
    assert infos["game_over"].tolist() == [True, False]
    assert infos["game_score"].tolist() == [5.0, 0.0]
    assert infos["score"].tolist() == [0.0, 5.0]
    assert infos["lives"].tolist() == [1, 1]
    assert infos["final_info"]["lives"].tolist() == [0, 1]
    assert infos["final_info"]["score"][0] == 5.0
    assert infos["final_info"]["_score"].tolist() == [True, False]
    assert infos["final_obs"][0][1, -1, 10] == 255  # the ball below the board's last row but one
    assert infos["final_obs"][1] is None
    assert (observations[0, 1, -2:] == 255).sum() == 0


def test_a_reset_mask_starts_only_the_games_it_names():
    envs = PaddleVectorEnv(3, autoreset_mode="Disabled", max_steps=2)
    envs.reset(seed=0)
    for _ in range(2):
        before, *_ = envs.step(np.zeros(3, np.int64))
    with pytest.raises(gym.error.ResetNeeded, match="3 of 3 episodes are over"):
        envs.step(np.zeros(3, np.int64))
    mask = np.array([True, False, True])
    after, infos = envs.reset(options={"reset_mask": mask})
    assert np.array_equal(after[1], before[1])
    assert not np.array_equal(after[0], before[0])
    assert infos["_score"].tolist() == mask.tolist()
    with pytest.raises(gym.error.ResetNeeded, match="1 of 3 episodes are over"):
        envs.step(np.zeros(3, np.int64))


def test_what_was_shown_is_not_changed_by_the_next_step():
    envs = PaddleVectorEnv(2)
    observations, infos = envs.reset(seed=0)
    kept = observations.copy(), infos["score"].copy()
    for actions in np.array(tape(100)).reshape(50, 2):
        envs.step(actions)
    assert np.array_equal(observations, kept[0])
    assert np.array_equal(infos["score"], kept[1])


def test_wrong_use_is_refused_in_one_line():
    env, envs = PaddleEnv(), PaddleVectorEnv(2)
    with pytest.raises(gym.error.ResetNeeded, match=r"call reset\(\) first"):
        env.step(0)
    with pytest.raises(gym.error.ResetNeeded, match="2 of 2 episodes are over"):
        envs.step(np.zeros(2, np.int64))
    with pytest.raises(ValueError, match="the first reset must start every game"):
        envs.reset(options={"reset_mask": np.array([True, False])})
    env.reset(seed=0)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match="action must be a whole number from 0 to 2, got 3"):
        env.step(3)
    with pytest.raises(ValueError, match="actions must be 2 whole numbers from 0 to 2"):
        envs.step(np.array([0, 3]))
    with pytest.raises(ValueError, match="reset_mask must be 2 booleans, at least one of them True"):
        envs.reset(options={"reset_mask": np.zeros(2, np.bool_)})
    with pytest.raises(ValueError, match="no such options to a reset: 'start'"):
        env.reset(options={"start": 1})
    with pytest.raises(ValueError, match="autoreset_mode must be one of"):
        PaddleVectorEnv(2, autoreset_mode="SameSteps")
    with pytest.raises(ValueError, match="max_steps must be a whole number of at least 1, got 0"):
        PaddleEnv(max_steps=0)
    with pytest.raises(ValueError, match="render_mode must be one of 'rgb_array', got 'human'"):
        PaddleEnv(render_mode="human")


def test_a_picture_is_the_last_frame_ten_times_as_large():
    env = PaddleEnv(render_mode="rgb_array")
    with pytest.raises(gym.error.ResetNeeded, match="nothing to draw"):
        env.render()
    observation, _ = env.reset(seed=0)
    picture = env.render()
    assert picture.shape == (240, 240, 3)
    assert np.array_equal(picture[5::10, 5::10, 1], observation[1])


def test_the_id_makes_both_forms():
    assert isinstance(gym.make("etfgym/Paddle-v0", max_steps=9).unwrapped, PaddleEnv)
    envs = gym.make_vec("etfgym/Paddle-v0", num_envs=2, vectorization_mode="vector_entry_point", max_steps=9)
    assert isinstance(envs, PaddleVectorEnv)
    assert envs.games.max_steps == 9
