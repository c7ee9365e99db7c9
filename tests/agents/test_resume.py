"""Same seed, same weights; a training that is killed and resumed is, to the bit, the one that never was."""

import contextlib

import mdp
import numpy as np
import pytest
import torch
from learners import SMALL, market, weights

from agents.dqn import DQN, DQNConfig


class Killed(Exception):  # noqa: N818 (a kill is no error)
    pass


def mdps(count=3, mode=mdp.AutoresetMode.NEXT_STEP):
    return mdp.vector(mdp.Chain, count, mode)


def trained(agent, envs, *, killed_at=None, checkpoint=None, total=240, seed=7, scores=None, **keywords):
    """Train to `total` with a check every 30 transitions and a checkpoint every 60, or until it is killed.

    Three environments, of which some only reset in a step, pass these numbers by up to two.
    """

    def look(transitions):
        if transitions // 30 * 30 == killed_at:
            raise Killed
        return None if scores is None else scores[transitions // 30 * 30]

    keywords |= {"validate": look, "check_every": 30, "checkpoint": checkpoint, "checkpoint_every": 60}
    if killed_at is None:
        agent.learn(envs, total, seed=seed, **keywords)
    else:
        with pytest.raises(Killed):
            agent.learn(envs, total, seed=seed, **keywords)
    return agent


def state(agent):
    """Return all that decides how a training goes on."""
    parts = {"weights": weights(agent), "mean": agent.optimizer.mean, "square": agent.optimizer.square}
    parts |= agent.replay.tensors() | {"noise": agent.noise.get_state()}
    counts = [agent.transitions, agent.updates, agent.optimizer.steps, agent.rng.bit_generator.state]
    return {name: part.clone() for name, part in parts.items()}, counts


CASES = [
    (mdps, {}),
    (mdps, {"n_step": 3}),
    (mdps, {"priority_exponent": 0.6, "n_step": 2}),
    (mdps, {"noisy": True}),
    (mdps, {"quantiles": 4, "learning_rate_end": 1e-5, "target_rate": 0.3}),
    (market, {}),
    (market, {"n_step": 3, "dueling": True}),
    (market, {"priority_exponent": 0.6}),
    (market, {"noisy": True}),
    (market, {"counterfactual": True}),
    (market, {"clip_rewards": True}),
]


@pytest.mark.parametrize(("make", "switches"), CASES)
@pytest.mark.parametrize("killed_at", [90, 210])
def test_a_training_killed_and_resumed_ends_as_one_that_never_was(make, switches, killed_at, tmp_path):
    def agent():
        envs = make()
        return DQN(envs.single_observation_space, int(envs.single_action_space.n), DQNConfig(**SMALL, **switches), 5)

    whole = trained(agent(), make(), checkpoint=tmp_path / "whole")
    trained(agent(), make(), checkpoint=tmp_path / "killed", killed_at=killed_at)
    resumed = DQN.resume(tmp_path / "killed")
    assert resumed.transitions // 30 * 30 == killed_at - 30  # what came after the checkpoint is done again
    trained(resumed, make(), checkpoint=tmp_path / "killed")
    one, two = state(whole), state(resumed)
    assert one[1] == two[1]
    for name in one[0]:
        assert torch.equal(one[0][name], two[0][name]), name
    assert whole.updates == 48  # at 52, 56, ..., 240
    assert torch.isfinite(whole.online.flat).all()
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "killed").read_bytes()


@pytest.mark.parametrize("mode", list(mdp.AutoresetMode))
def test_it_is_so_in_every_autoreset_mode(mode, tmp_path):
    def agent():
        return DQN(mdp.Chain.observation_space, 2, DQNConfig(**SMALL), 5)

    whole = trained(agent(), mdps(2, mode), checkpoint=tmp_path / "whole")
    trained(agent(), mdps(2, mode), checkpoint=tmp_path / "killed", killed_at=210)
    resumed = trained(DQN.resume(tmp_path / "killed"), mdps(2, mode), checkpoint=tmp_path / "killed")
    assert torch.equal(weights(whole), weights(resumed))


SCORES = {30: 1.0, 60: 3.0, 90: 2.0, 120: 2.5, 150: 3.0, 180: 0.0, 210: 0.0, 240: 0.0}


def test_the_best_weights_and_the_patience_survive(tmp_path):
    # The best score comes at 60. Checks without a better one: 90, 120 (then a checkpoint), 150 (killed, then again).
    def agent():
        return DQN(mdp.Chain.observation_space, 2, DQNConfig(**SMALL), 5)

    file = tmp_path / "killed"
    at_60 = trained(agent(), mdps(), checkpoint=tmp_path / "sixty", killed_at=90)
    trained(agent(), mdps(), checkpoint=file, killed_at=150, scores=SCORES, patience=3)
    resumed = DQN.resume(file)
    assert (resumed.transitions // 30 * 30, resumed.best.score, resumed.best.checks_since) == (120, 3.0, 2)
    trained(resumed, mdps(), checkpoint=file, scores=SCORES, patience=3)
    assert resumed.transitions // 30 * 30 == 150
    whole = trained(agent(), mdps(), checkpoint=tmp_path / "whole", scores=SCORES, patience=3)
    assert torch.equal(whole.online.flat, resumed.online.flat)
    best = DQN.resume(tmp_path / "sixty")
    assert best.transitions // 30 * 30 == 60
    assert torch.equal(resumed.online.flat, best.online.flat)
    assert not torch.equal(at_60.online.flat, best.online.flat)  # it had gone on to 90


def test_random_actions_in_validation_are_the_same_after_a_resume(tmp_path):
    def run(agent, killed_at, file):
        seen = {}

        def look(transitions):
            if transitions // 30 * 30 == killed_at:
                raise Killed
            observations = np.eye(4, dtype=np.float32).repeat(20, axis=0)
            seen[transitions // 30 * 30] = agent.predict(observations, deterministic=False)[0].tolist()

        keywords = {"validate": look, "check_every": 30, "checkpoint": file, "checkpoint_every": 60}
        with contextlib.suppress(Killed):
            agent.learn(mdps(), 150, **keywords)
        return seen

    def agent():
        return DQN(mdp.Chain.observation_space, 2, DQNConfig(**SMALL, evaluation_epsilon=0.5), 5)

    whole = run(agent(), None, tmp_path / "whole")
    run(agent(), 90, tmp_path / "killed")
    assert run(DQN.resume(tmp_path / "killed"), None, tmp_path / "killed") == {
        transitions: whole[transitions] for transitions in (90, 120, 150)
    }


def test_after_each_checkpoint_other_episodes_begin(tmp_path):
    agent, envs, seeds = DQN(mdp.Chain.observation_space, 2, DQNConfig(**SMALL), 5), mdps(), []
    reset = envs.reset
    envs.reset = lambda *, seed=None, options=None: seeds.append(seed) or reset(seed=seed, options=options)
    trained(agent, envs, checkpoint=tmp_path / "a")
    assert seeds[0] == 7  # the one given
    assert len(set(seeds)) == len(seeds) == 5  # at the start, and after checkpoints at 60, 120, 180 and 240
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_resuming_a_finished_training_changes_nothing(tmp_path):
    agent = trained(DQN(mdp.Chain.observation_space, 2, DQNConfig(**SMALL), 5), mdps(), checkpoint=tmp_path / "a")
    resumed = trained(DQN.resume(tmp_path / "a"), mdps())
    assert resumed.transitions == 240
    assert torch.equal(weights(agent), weights(resumed))


@pytest.mark.parametrize("make", [mdps, market])
def test_equal_seeds_give_equal_weights_and_different_ones_different(make):
    def run(seed, envs_seed):
        envs = make()
        agent = DQN(envs.single_observation_space, int(envs.single_action_space.n), DQNConfig(**SMALL), seed)
        return weights(trained(agent, envs, total=120, seed=envs_seed))

    assert torch.equal(run(1, 1), run(1, 1))
    assert not torch.equal(run(1, 1), run(2, 1))
    assert not torch.equal(run(1, 1), run(1, 2))


def test_the_first_weights_follow_from_the_seed_alone():
    def first(seed):
        return weights(DQN(mdp.Chain.observation_space, 2, seed=seed))

    torch.manual_seed(1)
    one = first(5)
    torch.manual_seed(2)
    assert torch.equal(one, first(5))
    assert not torch.equal(one, first(6))


def test_making_and_training_leave_torchs_and_numpys_global_generators_alone():
    torch.manual_seed(0)
    before, numpys = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 (that is the one)
    trained(DQN(mdp.Chain.observation_space, 2, DQNConfig(**SMALL, noisy=True), 5), mdps(), total=80)
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(numpys, np.random.get_state()[1])  # noqa: NPY002 (that is the one)
