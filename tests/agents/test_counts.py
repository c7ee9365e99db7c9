"""Updates, changes of the target network and epsilon are functions of transitions, whatever the environments."""

import contextlib

import mdp
import pytest
import torch
from gymnasium.vector import AutoresetMode
from learners import market

from agents.dqn import DQN, DQNConfig

CONFIG = DQNConfig(
    learning_starts=100, train_every=4, target_every=50, exploration_fraction=0.5, head=(8,), batch_size=8
)


def watched(agent, notes):
    """Note the transitions after which the online and the target network have changed, and each epsilon used."""
    count, act = agent._after_transition, agent.act

    def after(total, log):
        before = agent.online.flat.clone(), agent.target.flat.clone()
        count(total, log)
        for name, network, old in zip(("updates", "targets"), (agent.online, agent.target), before, strict=True):
            if not torch.equal(network.flat, old):
                notes[name].append(agent.transitions)

    def acting(rows, epsilon, masks):
        notes["epsilons"] += epsilon.tolist()
        return act(rows, epsilon, masks)

    agent._after_transition, agent.act = after, acting
    return agent


def trained(count, total=400, config=CONFIG):
    notes = {"updates": [], "targets": [], "epsilons": []}
    agent = watched(DQN(mdp.Chain.observation_space, 2, config, 1), notes)
    agent.learn(mdp.vector(mdp.Chain, count, AutoresetMode.SAME_STEP), total)
    return agent, notes


@pytest.mark.parametrize("count", [1, 3, 32])
def test_they_are_the_same_for_any_number_of_environments(count):
    agent, notes = trained(count)
    assert agent.transitions == 400
    assert agent.updates == 76
    assert notes["updates"] == list(range(100, 401, 4))
    assert notes["targets"] == [100, 150, 200, 250, 300, 350, 400]
    by_hand = [1.0 if done < 100 else max(0.05, 1 - 0.95 * done / 200) for done in range(400)]
    assert notes["epsilons"][:400] == pytest.approx(by_hand)


def test_a_round_takes_as_many_updates_as_were_asked_for():
    config = DQNConfig(learning_starts=100, train_every=10, updates=3, head=(8,), batch_size=8)
    agent, notes = trained(3, config=config)
    assert notes["updates"] == list(range(100, 401, 10))
    assert agent.updates == 3 * 31
    assert agent.optimizer.steps == agent.updates


def test_at_the_start_the_target_network_is_the_online_one():
    agent, _ = trained(2, 99)
    assert torch.equal(agent.target.flat, agent.online.flat)


@pytest.mark.parametrize("count", [1, 4])
def test_when_learning_starts_both_networks_get_a_scaler_of_the_windows_seen_so_far(count):
    envs = market(count)
    agent = DQN(envs.single_observation_space, 5, DQNConfig(learning_starts=40, train_every=100, head=(8,)), 1)
    agent.learn(envs, 40)
    seen = agent.replay.observe(agent.replay.stored())[:, : agent.shape.front].reshape(-1, 6).double()
    assert len(seen) == 40 * 5
    for network in (agent.online, agent.target):
        assert network.torso.mean.tolist() == pytest.approx(seen.mean(0).tolist(), rel=1e-5)
        assert network.torso.std.tolist() == pytest.approx(seen.std(0).tolist(), rel=1e-4)
    before = agent.online.torso.mean.clone()
    agent.learn(envs, 60)
    assert torch.equal(agent.online.torso.mean, before)  # it stays as it is


@pytest.mark.parametrize("rate", [1.0, 0.25])
def test_the_target_network_moves_by_its_rate(rate):
    config = DQNConfig(learning_starts=100, train_every=1, target_every=150, target_rate=rate, head=(8,), batch_size=8)
    agent, _ = trained(2, 149, config)
    before = agent.target.flat.clone()
    agent.learn(mdp.vector(mdp.Chain, 2), 150)
    assert torch.allclose(agent.target.flat, (1 - rate) * before + rate * agent.online.flat, atol=1e-7)
    assert not torch.equal(agent.target.flat, before)


@pytest.mark.parametrize("stop", [60, 200])
def test_saving_and_resuming_changes_none_of_them(tmp_path, stop):
    def run(agent, *, until, checkpoint):
        class Killed(Exception):  # noqa: N818 (what a kill is, it is no error)
            pass

        def look(transitions):
            if transitions == until:
                raise Killed

        with contextlib.suppress(Killed):
            agent.learn(
                mdp.vector(mdp.Chain, 4, AutoresetMode.SAME_STEP),
                400,
                validate=look,
                check_every=20,
                checkpoint=checkpoint,
                checkpoint_every=20,
            )

    notes, whole = ({"updates": [], "targets": [], "epsilons": []} for _ in range(2))
    run(watched(DQN(mdp.Chain.observation_space, 2, CONFIG, 1), whole), until=None, checkpoint=tmp_path / "a")
    run(watched(DQN(mdp.Chain.observation_space, 2, CONFIG, 1), notes), until=stop + 20, checkpoint=tmp_path / "b")
    for name, part in notes.items():  # what came after the checkpoint is lost, and will be done again
        notes[name] = part[:stop] if name == "epsilons" else [count for count in part if count <= stop]
    resumed = DQN.resume(tmp_path / "b")
    assert resumed.transitions == stop
    run(watched(resumed, notes), until=None, checkpoint=tmp_path / "b")
    assert notes == whole
    assert whole["targets"] == [100, 150, 200, 250, 300, 350, 400]


def test_the_learning_rate_goes_in_a_straight_line_to_its_end():
    agent = DQN(mdp.Chain.observation_space, 2, DQNConfig(learning_rate=1e-3, learning_rate_end=2e-4), 1)
    assert [agent.learning_rate(part) for part in (0, 0.25, 1)] == pytest.approx([1e-3, 8e-4, 2e-4])
    assert DQN(mdp.Chain.observation_space, 2, DQNConfig(learning_rate=1e-3), 1).learning_rate(0.7) == 1e-3


def test_schedules_are_told_how_much_of_the_training_is_done():
    agent, told = DQN(mdp.Chain.observation_space, 2, CONFIG, 1), []
    agent.update = lambda progress: told.append(progress) or torch.zeros(1, 1)
    agent.learn(mdp.vector(mdp.Chain, 3), 200)
    assert told == pytest.approx([done / 200 for done in range(100, 201, 4)])


def test_before_learning_starts_every_action_is_random():
    config = DQNConfig(learning_starts=100, epsilon_start=0.0, epsilon_end=0.0, head=(8,), batch_size=8)
    _, notes = trained(4, 200, config)
    assert notes["epsilons"] == [1.0] * 100 + [0.0] * 100
