"""What a training tells: TensorBoard scalars, a bar; and how validation stops it and keeps the best weights."""

import mdp
import numpy as np
import pytest
import torch
from learners import SMALL, market

from agents.dqn import DQN, DQNConfig
from agents.progress import Progress


def agent(**config):
    return DQN(mdp.Chain.observation_space, 2, DQNConfig(**(SMALL | config)), 1)


def scalars(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    return {name: {event.step: event.value for event in events.Scalars(name)} for name in events.Tags()["scalars"]}


def test_tensorboard_gets_the_names_that_stable_baselines3_users_know(tmp_path):
    made = agent(train_every=20, learning_rate=1e-3, learning_rate_end=5e-4)
    made.learn(mdp.vector(mdp.Chain, 1, mdp.AutoresetMode.SAME_STEP), 2_500, tensorboard=tmp_path)
    told = scalars(tmp_path)
    assert set(told) == {
        "rollout/ep_rew_mean",
        "rollout/ep_len_mean",
        "rollout/exploration_rate",
        "time/fps",
        "train/loss",
        "train/learning_rate",
        "train/n_updates",
    }
    assert all(sorted(values) == [1_000, 2_000, 2_500] for values in told.values())
    assert told["train/n_updates"] == {1_000: 48, 2_000: 98, 2_500: 123}
    assert told["rollout/exploration_rate"][1_000] == pytest.approx(1 - 0.95 * 999 / 1_250)
    assert told["train/learning_rate"][2_500] == pytest.approx(5e-4, rel=1e-3)
    assert 1 <= told["rollout/ep_len_mean"][2_500] <= 8
    assert 0 < told["rollout/ep_rew_mean"][2_500] <= 1.4
    assert told["train/loss"][2_500] >= 0


@pytest.mark.parametrize("mode", list(mdp.AutoresetMode))
def test_episodes_are_told_with_their_returns_and_lengths_in_every_mode(mode, tmp_path):
    made = DQN(mdp.Loop.observation_space, 2, DQNConfig(learning_starts=5_000), 1)
    made.learn(mdp.vector(mdp.Loop, 3, mode), 300, tensorboard=tmp_path)
    told = scalars(tmp_path)
    assert told["rollout/ep_len_mean"] == told["rollout/ep_rew_mean"] == {300: 5.0}
    assert "train/loss" not in told


def test_the_loss_told_is_the_mean_huber_loss_of_the_last_hundred_updates(tmp_path):
    with Progress(10, 0, 1, tensorboard=tmp_path, bar=False) as log:
        for k in range(150):  # the first 50 are forgotten
            log.errors(torch.tensor([[9.0], [9.0]]) if k < 50 else torch.tensor([[0.5], [-3.0]]))
        log.write(10, 150, 0.1, 1e-3)
    assert scalars(tmp_path)["train/loss"][10] == pytest.approx((0.5 * 0.5**2 + 2.5) / 2)


def test_an_episode_cut_by_a_checkpoint_is_not_told(tmp_path):
    false, true = np.zeros(1, bool), np.ones(1, bool)
    with Progress(10, 0, 1, tensorboard=tmp_path, bar=False) as log:
        log.step(np.array([5.0]), false, true)
        log.restart()
        log.step(np.array([1.0]), false, true)
        log.step(np.array([1.0]), true, true)
        log.write(10, 0, 0.1, 1e-3)
    told = scalars(tmp_path)
    assert (told["rollout/ep_rew_mean"][10], told["rollout/ep_len_mean"][10]) == (2.0, 2.0)


def test_the_bar_shows_return_and_epsilon_on_stderr(capsys):
    made = DQN(mdp.Loop.observation_space, 2, DQNConfig(learning_starts=5_000), 1)
    made.learn(mdp.vector(mdp.Loop, 2), 2_000, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "2.00k/2.00k" in shown.err
    assert "transition/s" in shown.err
    assert "return=5" in shown.err
    assert "epsilon=1.00" in shown.err


def test_without_a_bar_nothing_is_shown(capsys):
    agent().learn(mdp.vector(mdp.Chain, 2), 100)
    assert capsys.readouterr() == ("", "")


def test_it_stops_after_so_many_checks_without_a_higher_score():
    scores, seen = iter([1.0, 3.0, 2.0, 3.0, 9.0]), []

    def validate(transitions):
        seen.append(transitions)
        return next(scores)

    made, envs = agent(), mdp.vector(mdp.Chain, 1, mdp.AutoresetMode.SAME_STEP)
    made.learn(envs, 400, validate=validate, check_every=30, patience=2)
    assert seen == [30, 60, 90, 120]
    assert made.transitions == 120


def test_without_patience_it_goes_on_to_the_end():
    seen = []
    made = agent()
    made.learn(mdp.vector(mdp.Chain, 2), 200, validate=lambda done: seen.append(done) or -done, check_every=50)
    assert made.transitions == 200
    assert len(seen) == 4


@pytest.mark.parametrize("make", [lambda: mdp.vector(mdp.Chain, 2), market], ids=["chain", "market"])
def test_it_ends_with_the_weights_that_validated_best(make):
    envs, kept = make(), []
    made = DQN(envs.single_observation_space, int(envs.single_action_space.n), DQNConfig(**SMALL), 1)
    scores = iter([1.0, 5.0, 2.0, 5.0])

    def validate(_):
        kept.append({name: part.clone() for name, part in made.online.state_dict().items()})
        return next(scores)

    made.learn(envs, 240, validate=validate, check_every=60)
    state = made.online.state_dict()
    assert all(torch.equal(state[name], part) for name, part in kept[1].items())
    assert not all(torch.equal(state[name], part) for name, part in kept[3].items())
    seen = torch.randn(3, made.shape.size)
    assert torch.allclose(made._online.values(seen), made.online(seen), atol=1e-6)  # both ways see the same weights
