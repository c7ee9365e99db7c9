"""Predicting is greedy, or random by an epsilon and a generator of its own; the training never notices it."""

import mdp
import numpy as np
import pytest
import torch
from gymnasium import spaces
from learners import SMALL, market, weights

from agents.dqn import DQN, DQNConfig

VECTOR = spaces.Box(-1.0, 1.0, (4,), np.float32)
DICT = spaces.Dict({"window": spaces.Box(0, 9, (20, 6)), "account": spaces.Box(0, 1, (3,))})
FRAMES = spaces.Box(0, 255, (2, 12, 10), np.uint8)


def samples(space, count):
    """Return `count` observations as a vector environment gives them."""
    space.seed(0)
    drawn = [space.sample() for _ in range(count)]
    if isinstance(space, spaces.Dict):
        return {key: np.stack([one[key] for one in drawn]) for key in space}
    return np.stack(drawn)


def part(observations, which):
    if isinstance(observations, dict):
        return {key: value[which] for key, value in observations.items()}
    return observations[which]


@pytest.mark.parametrize("space", [VECTOR, DICT, DICT["window"], FRAMES], ids=["vector", "dict", "window", "frames"])
def test_predict_takes_one_observation_or_many_of_which_there_may_be_one(space):
    agent = DQN(space, 5, seed=3)
    many = samples(space, 7)
    actions, state = agent.predict(many, state="kept", episode_start=np.ones(7, bool))
    assert state == "kept"
    assert actions.shape == (7,)
    assert actions.dtype == np.int64
    single = [agent.predict(part(many, i))[0] for i in range(7)]
    assert all(np.shape(action) == () for action in single)
    assert actions.tolist() == [int(action) for action in single]
    assert agent.predict(part(many, slice(0, 1)))[0].tolist() == actions[:1].tolist()


def test_account_and_window_may_come_in_any_order():
    agent, many = DQN(DICT, 5, seed=3), samples(DICT, 7)
    turned = {"account": many["account"], "window": many["window"]}
    assert agent.predict(many)[0].tolist() == agent.predict(turned)[0].tolist()


def test_it_is_greedy_unless_asked_and_then_random_as_often_as_the_evaluation_epsilon_says():
    agent = DQN(VECTOR, 5, DQNConfig(evaluation_epsilon=0.5, epsilon_start=1.0), seed=3)
    seen = np.tile(samples(VECTOR, 1), (4_000, 1))
    best = agent.predict(seen)[0]
    assert len(set(best.tolist())) == 1
    assert (agent.online(torch.from_numpy(seen[:1])).argmax(1).numpy() == best[0]).all()
    others = agent.predict(seen, deterministic=False)[0] != best
    assert others.mean() == pytest.approx(0.5 * 4 / 5, abs=0.04)
    agent = DQN(VECTOR, 5, seed=3)  # by default, none
    assert (agent.predict(seen, deterministic=False)[0] == best).all()


def test_noisy_layers_are_still_when_it_predicts():
    agent = DQN(VECTOR, 5, DQNConfig(noisy=True), seed=3)
    many = samples(VECTOR, 200)
    agent.online.draw_noise(None)
    best = agent.online(torch.from_numpy(many)).argmax(1).tolist()
    agent.online.draw_noise(agent.noise)
    assert agent.online(torch.from_numpy(many)).argmax(1).tolist() != best
    assert agent.predict(many)[0].tolist() == best


@pytest.mark.parametrize("switches", [{}, {"noisy": True}, {"quantiles": 4}, {"priority_exponent": 0.6}], ids=str)
@pytest.mark.parametrize("make", [lambda: mdp.vector(mdp.Chain, 2), market], ids=["chain", "market"])
def test_predicting_in_the_middle_changes_nothing_about_the_training(make, switches):
    def trained(*, evaluate):
        envs = make()
        space = envs.single_observation_space
        config = DQNConfig(**SMALL, evaluation_epsilon=0.5, **switches)
        agent, seen = DQN(space, int(envs.single_action_space.n), config, 5), samples(space, 9)

        def look(_):
            if evaluate:
                agent.predict(seen, deterministic=False)
                agent.predict(part(seen, 0))

        agent.learn(envs, 150, validate=look, check_every=10)
        return weights(agent), agent.rng.bit_generator.state

    (one, rng), (other, other_rng) = trained(evaluate=True), trained(evaluate=False)
    assert torch.equal(one, other)
    assert rng == other_rng


def test_validation_sees_the_transitions_and_is_asked_at_the_end_too():
    agent, seen = DQN(mdp.Chain.observation_space, 2, DQNConfig(**SMALL), 1), []
    agent.learn(mdp.vector(mdp.Chain, 1, mdp.AutoresetMode.SAME_STEP), 75, validate=seen.append, check_every=30)
    agent.learn(mdp.vector(mdp.Chain, 1, mdp.AutoresetMode.SAME_STEP), 90, validate=seen.append)
    assert seen == [30, 60, 75, 90]
    assert agent.best is None  # it only looked
