"""stable-baselines3's algorithms as agents: a kill changes nothing, files hold no pickle, settings are checked."""

import random

import numpy as np
import pytest
import torch
from learners import paying_table

from agents import sb3
from agents.training import Training
from etfgym.envs.etf_vector import EtfTradingVectorEnv
from etfgym.nets.extractor import WindowExtractor
from etfgym.tasks.windows import windows_of

OFF_POLICY = {
    "batch_size": 16,
    "buffer_size": 200,
    "learning_starts": 20,
    "target_update_interval": 28,  # 7 steps, of which a leg of 45 is no multiple
    "exploration_fraction": 1.0,
    "exploration_final_eps": 0.5,
}
SETTINGS = {
    "dqn": OFF_POLICY,
    "qrdqn": OFF_POLICY | {"policy_kwargs": {"net_arch": [16], "n_quantiles": 5}},
    "ppo": {"n_steps": 10, "batch_size": 10, "n_epochs": 2, "learning_rate": "lin_0.01"},
    "a2c": {"n_steps": 5, "learning_rate": 0.01},
    "recurrent-ppo": {
        "n_steps": 10,
        "batch_size": 10,
        "n_epochs": 2,
        "learning_rate": 0.01,
        "policy_kwargs": {"net_arch": [16], "lstm_hidden_size": 8},
    },
}
ENVIRONMENT = {"window": 10, "length": 12, "observe_account": True}


class KilledError(Exception):
    pass


def settings(algorithm, **more):
    small = {"algorithm": algorithm, "torso": {"net": "dnn", "hidden": [], "features": 8}}
    return small | {"policy_kwargs": {"net_arch": [16]}} | SETTINGS[algorithm] | more


def training(validate=lambda _: 0.0, **more):
    tables = [paying_table(1), paying_table(2, "TOO")]
    known = {"tables": tables, "environment": ENVIRONMENT, "num_envs": 4, "steps": 600, "seed": 3, "validate": validate}
    return Training(**known | {"check_every": 60, "checkpoint_every": 180} | more)


def numbers(policy):
    return torch.cat([part.flatten().double() for part in policy.policy.state_dict().values()])


def score(policy):
    """Return a number without rhyme or reason that the weights alone decide."""
    return float(1e4 * numbers(policy).sum() % 1)


@pytest.mark.parametrize("algorithm", SETTINGS)
def test_a_training_that_is_killed_and_resumed_ends_with_the_same_weights_to_the_bit(algorithm, tmp_path):
    seen, calls = [], []

    def look(policy):
        seen.append(numbers(policy))
        return score(policy)

    def kill(policy):
        calls.append(numbers(policy))
        if len(calls) in (5, 9):  # on the second and the third leg
            raise KilledError
        return score(policy)

    undisturbed = sb3.learn(settings(algorithm), training(look))
    assert len(seen) >= 10
    assert not torch.equal(seen[0], seen[-1])
    whole = training(kill, checkpoint=tmp_path / "training")
    for _ in range(2):
        with pytest.raises(KilledError):
            sb3.learn(settings(algorithm), whole)
        random.seed()  # what chance has become meanwhile makes no difference
        np.random.seed()  # noqa: NPY002
        torch.seed()
    resumed = sb3.learn(settings(algorithm), whole)
    assert len(calls) < 2 * len(seen)
    assert torch.equal(calls[-1], seen[-1])
    assert torch.equal(numbers(resumed), numbers(undisturbed))


def test_another_seed_gives_other_weights():
    one, same, other = (sb3.learn(settings("a2c"), training(steps=100, seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(numbers(one), numbers(same))
    assert not torch.equal(numbers(one), numbers(other))


def test_the_weights_that_did_best_in_validation_are_kept():
    seen = []

    def validate(policy):
        seen.append(numbers(policy))
        return [0.1, 0.3, 0.3, 0.2][len(seen) - 1]

    kept = sb3.learn(settings("ppo"), training(validate, steps=160, check_every=40))
    assert len(seen) == 4
    assert torch.equal(numbers(kept), seen[1])
    assert not torch.equal(numbers(kept), seen[2])


def test_without_scores_the_last_weights_are_kept_through_a_kill_too(tmp_path):
    seen = []

    def kill(policy):
        seen.append(numbers(policy))
        if len(seen) == 5:
            raise KilledError

    whole = training(kill, checkpoint=tmp_path / "training")
    with pytest.raises(KilledError):
        sb3.learn(settings("a2c"), whole)
    resumed = numbers(sb3.learn(settings("a2c"), whole))
    assert torch.equal(resumed, seen[-1])
    assert torch.equal(resumed, numbers(sb3.learn(settings("a2c"), training(lambda _: None))))


def test_the_global_generators_and_the_threads_of_torch_are_left_as_they_were():
    def state():
        return random.getstate(), np.random.random(), torch.rand(1).item(), torch.get_num_threads()  # noqa: NPY002

    def after(what):
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        torch.manual_seed(1)
        what()
        return state()

    assert after(lambda: sb3.learn(settings("dqn"), training(steps=60))) == after(lambda: None)


def test_the_scaler_is_that_of_the_windows_that_an_episode_may_show():
    table = paying_table(1)
    first = table.dates[30]
    started = ENVIRONMENT | {"start": (first, table.dates[-1])}
    policy = sb3.learn(settings("dqn"), training(tables=[table], environment=started, steps=60))
    windows = windows_of(table, 10)[30 - 9 :]
    scalers = [module.torso for module in policy.policy.modules() if isinstance(module, WindowExtractor)]
    assert len(scalers) == 2  # the target network's too
    for scaler in scalers:
        torch.testing.assert_close(scaler.mean, torch.from_numpy(windows.mean((0, 1), np.float64)).float())


@pytest.mark.parametrize("algorithm", SETTINGS)
@pytest.mark.parametrize("account", [True, False])
def test_a_saved_policy_decides_as_before_for_one_account_and_for_many(algorithm, account, tmp_path):
    environment = ENVIRONMENT | {"observe_account": account}
    policy = sb3.learn(settings(algorithm), training(environment=environment, steps=80))
    sb3.save(policy, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["sb3.json", "weights.safetensors"]
    loaded = sb3.load(tmp_path)
    assert torch.equal(numbers(loaded), numbers(policy))
    envs = EtfTradingVectorEnv(5, prices=paying_table(1), **environment)
    observation, _ = envs.reset(seed=1)
    states = [None, None]
    for _ in range(3):
        (first, states[0]), (second, states[1]) = (
            made.predict(observation, state) for made, state in zip((policy, loaded), states, strict=True)
        )
        assert first.shape == (5,)
        assert np.array_equal(first, second)
        observation = envs.step(first)[0]
    one = {name: part[0] for name, part in observation.items()} if account else observation[0]
    assert int(policy.predict(one)[0]) == int(policy.predict(observation)[0][0])


def test_folders_that_hold_no_agent_are_refused_in_one_line(tmp_path):
    for spoil in (
        (tmp_path / "sb3.json").unlink,
        lambda: (tmp_path / "weights.safetensors").write_bytes(b"\x80\x04."),
        lambda: (tmp_path / "sb3.json").write_text((tmp_path / "sb3.json").read_text().replace("ppo", "dqn")),
    ):
        sb3.save(sb3.learn(settings("ppo"), training(steps=40)), tmp_path)
        spoil()
        with pytest.raises(ValueError, match="holds no stable-baselines3 agent that can be loaded") as told:
            sb3.load(tmp_path)
        assert "\n" not in str(told.value)


def test_a_checkpoint_of_another_training_is_refused_and_says_what_differs(tmp_path):
    def begin(**more):
        sb3.learn(settings("a2c", **more), training(steps=240, checkpoint=tmp_path / "training"))

    begin()
    with pytest.raises(ValueError, match=r"it is another's, with other settings"):
        begin(gamma=0.5)
    (tmp_path / "training").write_bytes(b"\x80\x04.")
    with pytest.raises(ValueError, match="holds no training of a stable-baselines3 agent"):
        begin()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"algorithm": "ppp"}, r"algorithm must be one of .* \(did you mean 'ppo'\?\)"),
        ({"n_step": 5}, r"setting of ppo must be one of .* \(did you mean 'n_steps'\?\)"),
        ({"policy_kwargs": {"net_arc": []}}, r"policy_kwargs of ppo must be one of .* \(did you mean 'net_arch'\?\)"),
        ({"torso": {"net": "cnn", "kernal": 3}}, r"key of a cnn must be one of .* \(did you mean 'kernel'\?\)"),
        ({"seed": 5}, "setting of ppo must be one of"),
        ({"gamma": "high"}, "gamma must be a number, got 'high'"),
        ({"learning_rate": "cos_0.1"}, "learning_rate must be a number or like 'lin_0.001'"),
    ],
)
def test_wrong_settings_are_refused_in_one_line_that_names_the_nearest(wrong, why):
    with pytest.raises(ValueError, match=why) as told:
        sb3.check(settings("ppo") | wrong)
    assert "\n" not in str(told.value)


def test_weights_that_are_not_finite_are_no_result():
    with pytest.raises(FloatingPointError, match="not finite"):
        sb3.learn(settings("dqn", learning_rate=1e30), training(steps=200))
