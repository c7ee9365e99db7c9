"""A short training is enough to see that frames are learned from: 5 times a random player's score, and far more."""

import gymnasium as gym

from agents import train_game
from agents.dqn import DQN
from agents.evaluation import episode_returns


def test_fifteen_thousand_transitions_of_paddle_beat_random_five_times_over():
    task = train_game.tasks()["paddle"]
    envs, evaluation = task.make(task.num_envs, task.training), task.make(16, task.evaluation)
    assert isinstance(envs.single_action_space, gym.spaces.Discrete)
    agent = DQN(envs.single_observation_space, 3, task.config({}), seed=0)
    agent.learn(envs, 15_000, seed=0)
    learned, random = (
        episode_returns(policy, evaluation, 50, seed=1).mean() for policy in (agent, train_game.Random(3, seed=0))
    )
    assert 0.1 < random < 1.0
    assert learned >= 5 * random
