"""The learner that never leaves its device: the same batches, the same rule, the same kind of result."""

import numpy as np
import pytest
import torch
from learners import SMALL, market, weights
from mdp import Loop, vector
from torch.utils._python_dispatch import TorchDispatchMode

from agents import dqn, dqn_market
from agents.device_replay import DeviceReplay
from agents.dqn import DQN, DQNConfig
from agents.market_replay import MarketReplay
from agents.market_torch import Account, TorchMarket
from agents.on_device import DeviceDQN
from agents.optimizer import Adam, _step_in_torch
from agents.registry import find
from backtests.protocol import trade_test_year
from etfgym.ledger import Costs
from etfgym.prices import PriceTable
from etfgym.sources.worlds import make_world
from etfgym.splits import Fold

TABLE, YEAR = "planted", 2010


def replays(envs, capacity, **rings):
    """Return a replay on the device and a MarketReplay of the same rings, both empty."""
    count, torch_market = envs.num_envs, TorchMarket(envs.accounts, "cpu")
    on_device = DeviceReplay(torch_market, capacity, count, torch.Generator().manual_seed(1), **rings)
    return on_device, MarketReplay(envs.accounts, 10_000, **rings)


def fill(envs, on_device, compiled, steps, seed=0):
    """Fill both with the same transitions of random actions; return the slots of each, step by step."""
    every, rng = np.arange(envs.num_envs), np.random.default_rng(seed)
    envs.reset(seed=seed)
    compiled.begin(every, None)
    slots = [], []
    for _ in range(steps):
        state, actions = envs.accounts.state, rng.integers(5, size=envs.num_envs)
        slots[0].append((int(on_device.written) % on_device.length) * envs.num_envs + every)
        slots[1].append(compiled.newest(every))
        on_device.add(Account(*(torch.tensor(state[name]) for name in Account._fields)), torch.from_numpy(actions))
        _, _, closed, _, _ = envs.step(actions)
        compiled.add(every, actions, None, None, None)
        if closed.any():
            envs.reset(options={"reset_mask": closed})
            compiled.begin(np.flatnonzero(closed), None)
    return tuple(np.concatenate(part[-on_device.length :]) for part in slots)


def assert_the_same(on_device, compiled, slots):
    compiled.draw = lambda *_: (slots[1], None)
    one, two = on_device.batch(torch.from_numpy(slots[0])), compiled.sample(len(slots[1]), None)
    assert one.slots.tolist() == slots[0].tolist()
    for name in ("observations", "actions", "rewards", "discounts", "next_observations", "next_rests", "next_masks"):
        mine, theirs = getattr(one, name), getattr(two, name)
        assert (mine is None) == (theirs is None), name
        assert mine is None or torch.equal(mine, theirs), name
    assert torch.equal(on_device.observe(one.slots), compiled.observe(slots[1]))


@pytest.mark.parametrize(
    "keywords", [{}, {"reward": "excess", "decision_every": 5}, {"order_policy": "reject"}], ids=str
)
@pytest.mark.parametrize("observe_account", [True, False])
@pytest.mark.parametrize("rings", [{}, {"n_step": 3}, {"counterfactual": True}], ids=str)
def test_batches_on_the_device_are_those_of_the_market_replay_to_the_bit(rings, observe_account, keywords):
    envs = market(autoreset_mode="Disabled", observe_account=observe_account, **keywords)
    rings = {"n_step": 1, "gamma": 0.9, "counterfactual": False} | rings
    both = replays(envs, 3 * 30, **rings)
    slots = fill(envs, *both, 20)  # not yet full
    assert both[0].stored().tolist() == slots[0].tolist()
    assert_the_same(*both, slots)
    both = replays(envs, 3 * 30, **rings)
    slots = fill(envs, *both, 100)  # three times round
    assert both[0].stored().tolist() == sorted(slots[0].tolist())
    assert_the_same(*both, slots)


@pytest.mark.parametrize("length", [40, 20])
def test_slots_are_drawn_evenly_from_those_that_hold_a_transition(length):
    envs = market(autoreset_mode="Disabled")
    replay, other = replays(envs, 3 * length, n_step=1, gamma=0.9, counterfactual=False)
    fill(envs, replay, other, 20 if length == 40 else 30)  # half full, or full and begun again
    slots, counts = replay.sample(60_000, None).slots.unique(return_counts=True)
    assert slots.tolist() == list(range(60))
    assert (counts - 1_000).abs().max() < 130  # four standard deviations of 31.4


def test_a_return_never_goes_on_into_episodes_that_were_begun_anew():
    envs = market(2, autoreset_mode="Disabled")
    replay, other = replays(envs, 100, n_step=3, gamma=0.5, counterfactual=False)
    fill(envs, replay, other, 4)
    fill(envs, replay, other, 4, seed=1)  # broken off after four of twelve steps
    discounts = replay.batch(torch.arange(16)).discounts[::2, 0]
    assert discounts.tolist() == [0.125, 0.125, 0.25, 0.5] * 2


def test_a_slot_on_the_device_takes_sixteen_bytes():
    replay, _ = replays(market(), 3_000, n_step=1, gamma=0.9, counterfactual=False)
    assert sum(part.numel() * part.element_size() for part in replay.tensors().values() if part.dim()) == 16 * 3_000


def test_the_largest_account_that_fits_comes_back_as_it_was():
    torch_market = TorchMarket(market(4, units=range(1, 8)).accounts, "cpu")
    replay = DeviceReplay(torch_market, 8, 4, torch.Generator(), n_step=1, gamma=0.9, counterfactual=False)
    rows = torch.tensor([4, 4, (1 << 24) - 1, 7])
    account = Account(
        torch.tensor([0.0, 0.1, 1e12, 3.0]).double(), torch.tensor([0, 1 << 23, (1 << 24) - 1, 1]), rows, rows + 4_095
    )
    replay.add(account, torch.tensor([0, 14, 14, 7]))
    back, actions = replay._read(torch.arange(4))
    assert all(torch.equal(*pair) for pair in zip(back, account, strict=True))
    assert actions.tolist() == [0, 14, 14, 7]
    replay.check()
    replay.add(account._replace(units=account.units + 1), actions)
    replay.add(account, actions)
    with pytest.raises(ValueError, match="at most 16,777,215 units an account, got 16,777,216; start with less cash"):
        replay.check()


def agent_of(envs, seed=1, **config):
    return DeviceDQN(envs.single_observation_space, 5, DQNConfig(**(SMALL | config)), seed)


@pytest.mark.parametrize("count", [1, 7])
@pytest.mark.parametrize("config", [{}, {"updates": 2}, {"target_rate": 0.3}], ids=str)
def test_updates_and_target_changes_are_functions_of_transitions_alone(count, config):
    envs = market(count)
    agent = agent_of(envs, target_every=30, **config)
    changes, change = [], agent.target.flat.lerp_
    agent.target.flat.lerp_ = lambda *given: (changes.append((agent.transitions, given[1])), change(*given))
    agent.learn(envs, 200)
    assert agent.transitions == 200
    assert agent.updates == agent.optimizer.steps == 38 * agent.config.updates  # at 52, 56, ..., 200
    assert changes == [(at, agent.config.target_rate) for at in range(60, 201, 30)]
    assert len(agent.replay) == -(-200 // count) * count  # the last step's are whole


def test_the_scaler_is_fitted_to_what_was_stored_when_learning_starts():
    envs = market()
    agent = agent_of(envs, learning_starts=60, train_every=1_000)
    agent.learn(envs, 60)
    windows = agent.replay.observe(torch.arange(60))[:, :-3].reshape(-1, 6).double()
    assert torch.allclose(agent.online.torso.mean, windows.mean(0).float())
    assert torch.equal(agent.online.torso.std, agent.target.torso.std)


@pytest.mark.parametrize(
    "config",
    [{}, {"n_step": 3, "dueling": True}, {"counterfactual": True}, {"noisy": True}, {"quantiles": 4}],
    ids=str,
)
def test_equal_seeds_give_equal_weights_and_different_ones_different(config):
    def trained(seed, env_seed=3):
        envs = market(4)
        agent = agent_of(envs, seed, **config)
        agent.learn(envs, 150, seed=env_seed)
        assert torch.isfinite(agent.online.flat).all()
        return weights(agent)

    assert torch.equal(trained(1), trained(1))
    assert not torch.equal(trained(1), trained(2))
    assert not torch.equal(trained(1), trained(1, 4))


def test_an_update_is_that_of_the_dqn_on_the_same_batch():
    envs = market()
    one = agent_of(envs, learning_rate_end=1e-5)
    one.learn(envs, 100)
    two = DQN(envs.single_observation_space, 5, one.config, 9)
    two.online.load_state_dict(one.online.state_dict())
    two.target.load_state_dict(one.target.state_dict())
    for name in ("mean", "square"):
        getattr(two.optimizer, name).copy_(getattr(one.optimizer, name))
    two.optimizer.steps = one.optimizer.steps
    state = one._generators[0].get_state()
    errors, count = one.update(0.5), one.updates
    one._generators[0].set_state(state)
    two.replay = one.replay
    assert torch.equal(two.update(0.5), errors)
    assert torch.equal(weights(one), weights(two))
    assert count == 13 + 1  # at 52, 56, ..., 100


def test_exploration_is_random_among_the_allowed_and_else_the_best_of_them():
    envs = market(500)
    agent = agent_of(envs)
    agent.learn(envs, 500)
    rows, masks = agent._market.observe(agent._account), torch.rand(500, 5) < 0.5
    masks[:, 2] = True
    random, best = (agent._explore(rows, masks, torch.full((500,), epsilon)) for epsilon in (1.0, 0.0))
    assert masks.gather(1, random[:, None]).all()
    assert torch.equal(best, agent.online(rows).masked_fill(~masks, -torch.inf).argmax(1))
    narrow = torch.zeros(500, 5, dtype=torch.bool)
    narrow[:, [1, 4]] = True
    draws = agent._explore(rows, narrow, torch.ones(500))
    assert set(draws.tolist()) == {1, 4}
    assert 195 < int((draws == 1).sum()) < 305  # 250, with five standard deviations of 11
    some = agent._explore(rows, masks, torch.full((500,), 0.3))
    assert 0.6 < float((some == best).float().mean()) < 0.95


def test_epsilon_falls_with_the_transitions():
    envs = market(2)
    agent = agent_of(envs, learning_starts=20, epsilon_end=0.1, exploration_fraction=0.5)
    seen, explore = [], agent._explore
    agent._explore = lambda *given: (seen.extend(given[2].tolist()), explore(*given))[1]
    agent.learn(envs, 100)
    assert seen == agent.config.epsilon(np.arange(100), 100).tolist()


def test_an_account_that_is_closed_begins_anew_in_the_same_step():
    envs = market(3)
    agent = agent_of(envs, learning_starts=10**9)
    agent.learn(envs, 3 * 30)
    stored, _ = agent.replay._read(torch.arange(90))
    left = (stored.last - stored.row).view(30, 3)
    assert left[:, 0].tolist() == [*range(12, 0, -1), *range(12, 0, -1), *range(12, 6, -1)]
    opened = stored.cash.view(30, 3)[left == 12]
    assert opened.tolist() == [9_000.0] * 9
    assert stored.row.view(30, 3)[left == 12].unique().numel() > 5


class Killed(Exception):  # noqa: N818 (a kill is no error)
    pass


@pytest.mark.parametrize("config", [{}, {"n_step": 3}, {"noisy": True}], ids=str)
def test_a_training_that_is_killed_and_resumed_is_the_one_that_never_was(config, tmp_path):
    def trained(agent, file, killed_at=None):
        def look(transitions):
            if transitions == killed_at:
                raise Killed

        agent.learn(market(), 240, seed=7, validate=look, check_every=30, checkpoint=file, checkpoint_every=60)
        return agent

    whole = trained(agent_of(market(), **config), tmp_path / "whole")
    with pytest.raises(Killed):
        trained(agent_of(market(), **config), tmp_path / "killed", killed_at=150)
    resumed = DeviceDQN.resume(tmp_path / "killed")
    assert resumed.transitions == 120
    trained(resumed, tmp_path / "killed")
    assert torch.equal(weights(whole), weights(resumed))
    for name, part in whole.replay.tensors().items():
        assert torch.equal(part, resumed.replay.tensors()[name]), name


def test_the_best_weights_in_validation_are_kept_and_patience_ends_the_training():
    envs, scores, kept = market(), iter([0.1, 0.9, 0.3, 0.2, 0.5]), []

    def score(_):
        kept.append(weights(agent))
        return next(scores)

    agent = agent_of(envs)
    agent.learn(envs, 300, validate=score, check_every=30, patience=2)
    assert len(kept) == 4
    half = len(kept[1]) // 2
    assert torch.equal(weights(agent)[:half], kept[1][:half])
    assert not torch.equal(kept[3][:half], kept[1][:half])


def test_the_planted_signal_is_found_and_beats_buy_and_hold_out_of_sample(monkeypatch):
    monkeypatch.setattr(dqn_market, "DQN", DeviceDQN)
    for seed in range(2):
        world = [make_world("planted", seed)]
        learned, held = (
            trade_test_year(name, find(name), world, Fold(YEAR), seed, 3_000, costs=Costs())[0].total_return
            for name in ("dqn", "buy-and-hold")
        )
        assert learned > held + 0.2, f"seed {seed}"


def test_adam_in_torch_takes_the_steps_of_the_compiled_one():
    generator = torch.Generator().manual_seed(0)
    flat, gradient = torch.randn(500, generator=generator), torch.zeros(500)
    ours, (other, mean, square) = Adam(flat, gradient), (flat.clone(), torch.zeros(500), torch.zeros(500))
    for step in range(1, 201):
        gradient.copy_(torch.randn(500, generator=generator))
        count = torch.tensor(float(step), dtype=torch.float64)
        rate, correction = 1e-2 / (1 - 0.9**count), (1 - 0.999**count).rsqrt()
        _step_in_torch(other, gradient.clone(), mean, square, rate, correction, 15.0)
        ours.step(torch.tensor(1e-2, dtype=torch.float64), 15.0)
    assert torch.allclose(flat, other, atol=1e-5)
    assert ours.steps == 200


class Copies(TorchDispatchMode):
    """Notes which operations would copy a number of the host's to a GPU and wait for it."""

    def __init__(self):
        super().__init__()
        self.seen, self.count = set(), 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name, self.count = func.overloadpacket.__name__, self.count + 1
        if name in ("lift_fresh", "scalar_tensor", "_to_copy") and func(*args, **(kwargs or {})).device.type == "cpu":
            self.seen.add(name)
        return func(*args, **(kwargs or {}))


class NoChance:
    """A generator for "meta", where there are no numbers to draw."""

    def __init__(self, device="cpu"):
        pass

    def manual_seed(self, seed):
        return self


def undrawn(*shape, generator, **given):  # noqa: ARG001 (as torch.rand has it)
    return torch.empty(*shape, **given)


@pytest.mark.parametrize("config", [{}, {"n_step": 3}, {"counterfactual": True}, {"quantiles": 4}], ids=str)
@pytest.mark.parametrize("reward", ["excess", "log"])
def test_neither_a_step_nor_an_update_asks_the_device_for_a_number_or_brings_one(config, reward, monkeypatch):
    # A tensor on "meta" has a shape and no numbers: to ask for one, or to mix it with one of another device, raises.
    monkeypatch.setattr(dqn, "one_of", lambda _, value, __: value)
    monkeypatch.setattr(torch, "rand", undrawn)
    monkeypatch.setattr(torch, "Generator", NoChance)
    envs = market(reward=reward, decision_every=2, order_policy="reject")
    agent = DeviceDQN(envs.single_observation_space, 5, DQNConfig(**SMALL, learning_rate_end=1e-5, **config), 1, "meta")
    agent._prepare(envs)
    agent._begin_accounts(0)
    agent._epsilons = torch.ones(500, dtype=torch.float64, device="meta")
    done = torch.zeros((), dtype=torch.float64, device="meta")
    with Copies() as copies:
        rewards, closed = agent._step(done)
        errors = super(DeviceDQN, agent).update(done)
    assert rewards.device.type == closed.device.type == errors.device.type == "meta"
    assert copies.count > 100
    assert not copies.seen


def test_what_a_device_dqn_cannot_learn_is_refused():
    envs = market()
    with pytest.raises(ValueError, match="learns in an EtfTradingVectorEnv, got SyncVectorEnv; take a DQN for others"):
        DeviceDQN(Loop.observation_space, 2).learn(vector(Loop, 1), 10)
    for config in ({"priority_exponent": 0.5}, {"clip_rewards": True}):
        with pytest.raises(ValueError, match="priority_exponent=0, clip_rewards=False"):
            agent_of(envs, **config).learn(envs, 10)
    agent = agent_of(envs)
    agent.learn(envs, 10)
    with pytest.raises(ValueError, match="other environments filled the replay; go on with those"):
        agent.learn(market(), 20)
    agent.learn(envs, 20)
    with pytest.raises(ValueError, match="a replay of 8 transitions is too small for 3 environments with n_step=3"):
        agent_of(envs, buffer_size=8, n_step=3).learn(envs, 10)


def test_more_units_actions_or_bars_than_fit_into_a_slot_are_refused():
    world = make_world("random-walk", 1, bars=80, min_bars=1)
    bars = world.bars.copy()
    bars[:, :4] = bars[:, 5:] = 1.0
    cheap = PriceTable("PENNY", world.dates, bars, source="by hand", min_bars=1)
    envs = market(1, prices=cheap, initial_cash=1e9, units=(2**24,), length=6)
    agent = DeviceDQN(envs.single_observation_space, 3, DQNConfig(**SMALL), 1)
    with pytest.raises(ValueError, match=r"at most 16,777,215 units an account, got .*; start with less cash"):
        agent.learn(envs, 40)
    envs = market(units=range(1, 9))
    with pytest.raises(ValueError, match="at most 16 actions, got 17; use fewer"):
        DeviceDQN(envs.single_observation_space, 17).learn(envs, 10)
    envs = market(prices="builtin", tickers="SP500", length=4_096)
    with pytest.raises(ValueError, match="at most 4,095 bars an episode, got 4,096; use fewer"):
        agent_of(envs).learn(envs, 10)


def test_a_device_that_torch_does_not_have_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"^device must be one of 'cpu', got 'cuda'$"):
        DQN(Loop.observation_space, 2, device="cuda")
