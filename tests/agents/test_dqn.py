"""The DQN against exact answers: known Q-values, hand-made targets, counts, seeds, files."""

import pickle

import mdp
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from torch.nn import functional

from agents.dqn import DQN, DQNConfig, flatten
from agents.replay import Batch
from etfgym.envs.etf_vector import EtfTradingVectorEnv

VECTOR = spaces.Box(-1.0, 1.0, (4,), np.float32)
DICT = spaces.Dict({"window": spaces.Box(0, 9, (20, 6)), "account": spaces.Box(0, 1, (3,))})
QUICK = {"learning_rate": 3e-3, "learning_starts": 200, "target_every": 100, "train_every": 1, "hidden": 64}


def weights(agent):
    return torch.cat([part.flatten() for part in agent.online.state_dict().values()])


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("count", [1, 4])
def test_on_a_known_mdp_the_q_values_reach_the_exact_ones(double, count):
    gamma = 0.8
    agent = DQN(mdp.Chain.observation_space, 2, DQNConfig(gamma=gamma, double=double, epsilon_end=1.0, **QUICK), 1)
    agent.learn(mdp.vector(mdp.Chain, count), 2_500)
    for group in agent.optimizer.param_groups:  # the last steps are small ones
        group["lr"] = 2e-4
    agent.learn(mdp.vector(mdp.Chain, count), 1_500)
    learned = agent.online(torch.eye(mdp.STATES)).detach().numpy()
    assert np.abs(learned - mdp.exact_q(gamma)).max() < 1e-2
    assert agent.predict(np.eye(mdp.STATES, dtype=np.float32))[0].tolist() == mdp.exact_q(gamma).argmax(1).tolist()


def test_a_truncated_episode_goes_on_and_a_terminated_one_does_not():
    gamma = 0.8
    agent = DQN(mdp.Loop.observation_space, 2, DQNConfig(gamma=gamma, epsilon_end=1.0, **QUICK), 1)
    agent.learn(mdp.vector(mdp.Loop, 2), 2_500)
    assert agent.online(torch.ones(1, 1)).detach().numpy() == pytest.approx(1 / (1 - gamma), rel=0.01)


@pytest.mark.parametrize("terminates", [True, False])
def test_all_autoreset_modes_store_the_same_transitions_and_none_from_an_end_to_a_beginning(terminates):
    stored = []
    for mode in AutoresetMode:
        envs = mdp.vector(lambda: mdp.Counter(4, terminates), 2, mode)
        agent = DQN(mdp.Counter.observation_space, 3, DQNConfig(learning_starts=10_000), 1)
        agent.act = lambda flat, _: (flat.sum(axis=1).astype(int) * 7) % 3  # a tape: the action follows from the state
        agent.learn(envs, 56)
        replay = agent.replay
        kept = [replay._observations, replay._actions, replay._rewards, replay._next_observations, replay._terminated]
        stored.append(sorted(np.column_stack([part[: len(replay)] for part in kept]).tolist()))
        ends = replay._terminated[: len(replay)]
        assert ends.sum() == 14 * terminates
    assert stored[0] == stored[1] == stored[2]
    for episode, step, _, _, following, reached, _ in stored[0]:
        assert (following, reached) == (episode, step + 1)


def test_the_last_observation_of_a_same_step_reset_is_kept_for_dict_observations():
    envs = EtfTradingVectorEnv(2, observe_account=True, length=5, autoreset_mode="SameStep")
    agent = DQN(envs.single_observation_space, 5, DQNConfig(learning_starts=10_000), 1)
    agent.learn(envs, 10)
    left = agent.replay._next_observations[:10, -1]  # fraction of the episode left after each step
    assert left.tolist() == pytest.approx([0.8, 0.8, 0.6, 0.6, 0.4, 0.4, 0.2, 0.2, 0.0, 0.0])


@pytest.mark.parametrize("count", [1, 3, 32])
def test_updates_target_copies_and_epsilon_are_functions_of_transitions_alone(count):
    config = DQNConfig(learning_starts=100, train_every=4, target_every=50, exploration_fraction=0.5)
    agent = DQN(mdp.Chain.observation_space, 2, config, 1)
    copies, original = [], agent.target.load_state_dict

    def copy(state):
        copies.append(agent.transitions)
        return original(state)

    agent.target.load_state_dict = copy
    seen = []
    agent.learn(mdp.vector(mdp.Chain, count), 400, on_progress=seen.append, check_every=200)
    assert agent.transitions == 400 == len(agent.replay)
    assert agent.updates == 76  # at 100, 104, ..., 400
    assert copies == [100, 150, 200, 250, 300, 350, 400]
    assert seen[-1] == 400
    assert len(seen) == 2
    assert [config.epsilon(done, 400) for done in (0, 100, 200, 400)] == pytest.approx([1.0, 0.525, 0.05, 0.05])


def test_the_target_takes_the_online_argmax_and_the_target_networks_value():
    agent = DQN(VECTOR, 2, DQNConfig(gamma=0.5, reward_scale=10.0), 1)
    online, target = torch.tensor([[1.0, 2.0]] * 2), torch.tensor([[30.0, 4.0]] * 2)
    agent.online.forward = lambda _: online
    agent.target.forward = lambda _: target
    rewards, terminated = torch.tensor([0.1, 0.1]), torch.tensor([False, True])
    assert agent.targets(rewards, torch.zeros(2, 4), terminated).tolist() == pytest.approx([1 + 0.5 * 4, 1.0])
    agent.config = DQNConfig(gamma=0.5, reward_scale=10.0, double=False)
    assert agent.targets(rewards, torch.zeros(2, 4), terminated).tolist() == pytest.approx([1 + 0.5 * 30, 1.0])


def test_an_update_is_one_clipped_adam_step_on_the_huber_loss():
    config = DQNConfig(batch_size=16, max_grad_norm=0.01)
    agent, other = DQN(VECTOR, 2, config, 1), DQN(VECTOR, 2, config, 1)
    rng = np.random.default_rng(0)
    stored = Batch(
        rng.normal(size=(50, 4)).astype(np.float32),
        rng.integers(2, size=50),
        10 * rng.normal(size=50).astype(np.float32),
        rng.normal(size=(50, 4)).astype(np.float32),
        rng.random(50) < 0.2,
    )
    for each in (agent, other):
        each.replay.add(stored)
    loss = agent.update()
    drawn = other.replay.sample(16, other.rng)
    values = other.online(torch.from_numpy(drawn.observations))[torch.arange(16), torch.from_numpy(drawn.actions)]
    best = other.target(torch.from_numpy(drawn.next_observations)).detach()
    chosen = other.online(torch.from_numpy(drawn.next_observations)).argmax(1)
    following = best[torch.arange(16), chosen] * ~torch.from_numpy(drawn.terminated)
    error = values - (torch.from_numpy(drawn.rewards) + config.gamma * following)
    huber = torch.where(error.abs() < 1, 0.5 * error**2, error.abs() - 0.5).mean()
    assert loss == pytest.approx(float(huber.detach()), rel=1e-5)
    huber.backward()
    torch.nn.utils.clip_grad_norm_(other.online.parameters(), 0.01)
    torch.optim.Adam(other.online.parameters(), lr=config.learning_rate).step()
    assert torch.allclose(weights(agent), weights(other), atol=1e-6)
    assert float(functional.smooth_l1_loss(error * 0, error).detach()) == pytest.approx(loss, rel=1e-5)


def test_equal_seeds_give_equal_weights_and_different_ones_different():
    def trained(seed):
        envs = EtfTradingVectorEnv(4, observe_account=True, tickers="SP500")
        agent = DQN(envs.single_observation_space, 5, DQNConfig(learning_starts=100), seed)
        agent.learn(envs, 400, seed=seed)
        return weights(agent)

    assert torch.equal(trained(1), trained(1))
    assert not torch.equal(trained(1), trained(2))


def test_the_first_weights_follow_from_the_seed_alone():
    torch.manual_seed(1)
    one = weights(DQN(VECTOR, 2, seed=5))
    torch.manual_seed(2)
    assert torch.equal(one, weights(DQN(VECTOR, 2, seed=5)))
    assert not torch.equal(one, weights(DQN(VECTOR, 2, seed=6)))


def test_making_and_training_leave_torchs_global_generator_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    DQN(mdp.Chain.observation_space, 2, DQNConfig(learning_starts=10), 5).learn(mdp.vector(mdp.Chain, 2), 50)
    assert torch.equal(before, torch.get_rng_state())


def test_predicting_in_the_middle_changes_nothing_about_the_training():
    def trained(*, evaluate):
        agent = DQN(mdp.Chain.observation_space, 2, DQNConfig(learning_starts=50), 5)

        def look(_):
            if evaluate:
                agent.predict(np.eye(4, dtype=np.float32), deterministic=False)

        agent.learn(mdp.vector(mdp.Chain, 2), 300, on_progress=look, check_every=20)
        return weights(agent)

    assert torch.equal(trained(evaluate=True), trained(evaluate=False))


def test_the_scaler_is_fitted_to_the_windows_of_the_first_transitions_and_the_target_gets_it():
    envs = EtfTradingVectorEnv(4, observe_account=True, tickers="SP500")
    agent = DQN(envs.single_observation_space, 5, DQNConfig(learning_starts=200), 1)
    agent.learn(envs, 200)
    seen = agent.replay.observations[:, :120].reshape(-1, 6)
    assert agent.online.torso.mean.numpy() == pytest.approx(seen.mean(axis=0), rel=1e-4)
    assert agent.online.torso.std.numpy() == pytest.approx(seen.std(axis=0), rel=1e-3)
    assert torch.equal(agent.target.torso.mean, agent.online.torso.mean)


def test_predict_takes_one_observation_or_many_box_or_dict():
    agent = DQN(DICT, 5, seed=3)
    many = {"window": np.random.default_rng(0).random((7, 20, 6), np.float32), "account": np.ones((7, 3), np.float32)}
    actions, state = agent.predict(many, state="kept")
    singles = [int(agent.predict({key: value[i] for key, value in many.items()})[0]) for i in range(7)]
    assert state == "kept"
    assert actions.tolist() == singles
    assert flatten(many).shape == (7, 123)
    assert int(DQN(VECTOR, 2).predict(np.zeros(4, np.float32))[0]) in (0, 1)


@pytest.mark.parametrize("space", [DICT, DICT["window"], VECTOR])
def test_a_saved_agent_comes_back_the_same_with_no_pickle_in_its_files(space, tmp_path):
    agent = DQN(space, 5, DQNConfig(hidden=32, gamma=0.5), seed=3)
    agent.save(tmp_path / "agent")
    back = DQN.load(tmp_path / "agent")
    assert torch.equal(weights(agent), weights(back))
    assert back.config == agent.config
    assert sorted(path.name for path in (tmp_path / "agent").iterdir()) == ["dqn.json", "weights.safetensors"]


def test_a_malicious_checkpoint_is_refused_and_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "pwned"), "w"))

    DQN(VECTOR, 2).save(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match="holds no DQN that can be loaded"):
        DQN.load(tmp_path)
    assert not (tmp_path / "pwned").exists()


def test_a_folder_without_an_agent_is_refused_in_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"holds no DQN that can be loaded \(FileNotFoundError"):
        DQN.load(tmp_path)


def test_tensorboard_gets_the_names_that_stable_baselines3_users_know(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    agent = DQN(mdp.Chain.observation_space, 2, DQNConfig(learning_starts=100), 1)
    agent.learn(mdp.vector(mdp.Chain, 2), 2_000, tensorboard=tmp_path)
    events = EventAccumulator(str(tmp_path)).Reload()
    assert set(events.Tags()["scalars"]) == {
        "rollout/ep_rew_mean",
        "rollout/ep_len_mean",
        "rollout/exploration_rate",
        "time/fps",
        "train/loss",
        "train/learning_rate",
        "train/n_updates",
    }
    assert 1 <= events.Scalars("rollout/ep_len_mean")[-1].value <= 8


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"gamma": 1.5}, r"gamma must be in \[0, 1\], got 1.5"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"learning_rate": -1.0}, "learning_rate must be above 0, got -1.0"),
    ],
)
def test_wrong_settings_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        DQNConfig(**wrong)


def test_a_space_that_it_can_not_read_is_refused():
    with pytest.raises(ValueError, match=r"the DQN takes a Box \(W, F\)"):
        DQN(spaces.Discrete(3), 2)
