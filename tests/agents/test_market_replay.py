"""Sixteen bytes a transition tell the same as full copies, bit for bit, and what every other action comes to."""

import copy

import numpy as np
import pytest
import torch
from learners import fill_both, market, paying_table
from mdp import Loop, vector

from agents import market_replay
from agents.dqn import DQN, DQNConfig
from agents.market_replay import MarketReplay
from agents.replay import Replay
from etfgym.prices import PriceTable

PARTS = ("slots", "observations", "actions", "rewards", "discounts", "next_observations", "next_masks")


def assert_the_same(replays, count=2_000):
    one, two = (each.sample(count, np.random.default_rng(3)) for each in (replays.market, replays.copies))
    assert np.array_equal(replays.market.stored(), replays.copies.stored())
    for name in PARTS:
        assert torch.equal(torch.as_tensor(getattr(one, name)), torch.as_tensor(getattr(two, name))), name
    assert set(one.slots.tolist()) == set(replays.market.stored().tolist())  # none was left out


@pytest.mark.parametrize("observe_account", [True, False])
@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
@pytest.mark.parametrize("n_step", [1, 3])
def test_index_replay_is_full_copy_replay_to_the_bit(mode, n_step, observe_account):
    envs = market(autoreset_mode=mode, observe_account=observe_account)
    assert_the_same(fill_both(envs, 60, 300, n_step=n_step))
    assert_the_same(fill_both(envs, 400, 100, n_step=n_step))  # each ring wraps four times


@pytest.mark.parametrize("reward", ["pnl", "log", "excess"])
@pytest.mark.parametrize("decision_every", [1, 5, 100])
@pytest.mark.parametrize("order_policy", ["clip", "reject"])
def test_it_is_so_for_every_reward_interval_and_order_policy(reward, decision_every, order_policy):
    envs = market(reward=reward, decision_every=decision_every, order_policy=order_policy, autoreset_mode="SameStep")
    assert_the_same(fill_both(envs, 150, 90, n_step=2))


def test_it_is_so_for_raw_windows_and_when_masks_forbid_something():
    replays = fill_both(market(features="raw"), 150, 300)
    assert_the_same(replays)
    masks = replays.market.sample(300, np.random.default_rng(0)).next_masks[:, 0]
    assert masks.any()
    assert not masks[:, :2].all()  # some couldn't buy
    assert not masks[:, 3:].all()  # some couldn't sell


def test_it_is_so_with_priorities():
    assert_the_same(fill_both(market(), 150, 300, priority_exponent=0.6))


@pytest.mark.parametrize("keywords", [{}, {"reward": "excess", "decision_every": 3}, {"reward": "log"}], ids=str)
def test_counterfactual_outcomes_are_what_a_copy_of_the_environment_gives_for_each_action(keywords):
    envs = market(**keywords)
    replay = MarketReplay(envs.accounts, 300, counterfactual=True)
    every, rng, given = np.arange(3), np.random.default_rng(0), {}
    envs.reset(seed=1)
    replay.begin(every, None)
    resetting = np.zeros(3, bool)
    for _ in range(40):
        slots = replay.newest(every)
        for action in range(5):
            twin = copy.deepcopy(envs)
            seen, rewards, over, _, info = twin.step(np.full(3, action))
            for i in np.flatnonzero(~resetting):
                outcome = np.float32(rewards[i]), seen["account"][i], info["action_mask"][i] == 1, over[i]
                given[slots[i], action] = outcome
        actions = rng.integers(5, size=3)
        _, _, over, _, _ = envs.step(actions)
        replay.add(np.flatnonzero(~resetting), actions[~resetting], None, None, None)
        replay.begin(np.flatnonzero(resetting), None)
        resetting = over
    batch = replay.sample(2_000, rng)
    assert set(batch.slots.tolist()) == {slot for slot, _ in given}
    assert batch.rewards.shape == (2_000, 5)
    for i, slot in enumerate(batch.slots):
        for action in range(5):
            reward, account, mask, over = given[slot, action]
            assert float(batch.rewards[i, action]) == reward
            assert batch.next_rests[i, action].tolist() == account.tolist()
            assert batch.next_masks[i, action].tolist() == mask.tolist()
            assert float(batch.discounts[i, 0]) == (0.0 if over else np.float32(0.99))
    spread = batch.rewards.max(dim=1).values - batch.rewards.min(dim=1).values
    assert float(spread.max()) > 0  # actions do differ


@pytest.mark.parametrize("observe_account", [True, False])
@pytest.mark.parametrize("switches", [{}, {"dueling": True}, {"quantiles": 4}, {"priority_exponent": 0.5}], ids=str)
def test_a_counterfactual_agent_learns_with_every_switch(observe_account, switches):
    envs = market(observe_account=observe_account)
    small = {"features": 16, "head": (16,), "learning_starts": 40, "batch_size": 8, "counterfactual": True}
    agent = DQN(envs.single_observation_space, 5, DQNConfig(**small, **switches), 1)
    agent.learn(envs, 80)
    assert agent.updates == 11
    assert torch.isfinite(agent.online.flat).all()
    batch = agent.replay.sample(8, agent.rng)
    assert agent.targets(batch).shape[:2] == (8, 5)


def test_counterfactual_targets_follow_each_actions_own_account():
    envs = market()
    agent = DQN(envs.single_observation_space, 5, DQNConfig(learning_starts=10**9, counterfactual=True, gamma=0.5), 1)
    agent.target.load_state_dict(DQN(envs.single_observation_space, 5, seed=2).online.state_dict())
    agent.learn(envs, 60)
    batch = agent.replay.sample(32, agent.rng)
    targets = agent.targets(batch)
    for i in range(32):
        for action in range(5):
            account = batch.next_rests[i, action]
            row = torch.cat((batch.next_observations[i, : agent.shape.front], account))[None]
            online, target = agent.online(row)[0], agent.target(row)[0]
            allowed = batch.next_masks[i, action].nonzero()[:, 0].tolist()
            best = max(allowed, key=lambda a: online[a].item())
            expected = batch.rewards[i, action] + batch.discounts[i, 0] * target[best]
            assert float(targets[i, action]) == pytest.approx(float(expected.detach()), abs=1e-5)


def test_counterfactual_learning_is_refused_where_nobody_knows_what_would_have_been():
    agent = DQN(Loop.observation_space, 2, DQNConfig(counterfactual=True), 1)
    with pytest.raises(ValueError, match="counterfactual=True needs environments that know every action's outcome"):
        agent.learn(vector(Loop, 1), 10)


def test_a_slot_takes_sixteen_bytes():
    replay = MarketReplay(market().accounts, 3_000)
    size = sum(part.numel() * part.element_size() for name, part in replay.tensors().items() if name != "written")
    assert size == 16 * 3_000


def test_the_loop_takes_accounts_for_the_market_and_copies_where_rewards_are_changed():
    envs = market()
    for clip, kind in ((False, MarketReplay), (True, Replay)):
        agent = DQN(envs.single_observation_space, 5, DQNConfig(learning_starts=10**9, clip_rewards=clip), 1)
        agent.learn(envs, 30)
        assert type(agent.replay) is kind


def penny_market(units):
    """Return a market at one dollar a unit on which one account buys `units` at a time."""
    table = paying_table(1)
    bars = table.bars.copy()
    bars[:, :4] = 1.0
    bars[:, 5] = 1.0
    cheap = PriceTable("PENNY", table.dates, bars, source="by hand", min_bars=1)
    return market(1, prices=cheap, initial_cash=1e9, units=(units,), length=6)


@pytest.mark.parametrize("units", [2**23 - 1, 2**23, 2**24 - 1])
def test_as_many_units_as_fit_come_back_as_they_were(units):
    envs = penny_market(units)
    replay = MarketReplay(envs.accounts, 30)
    envs.reset(seed=0)
    replay.begin(np.array([0]), None)
    seen, *_ = envs.step(np.array([0]))
    replay.add(np.array([0]), np.array([0]), None, None, None)
    assert envs.accounts.state["units"].tolist() == [units]
    slot = replay.newest(np.array([0]))
    assert np.array_equal(replay.observe(slot)[0, -3:].numpy(), seen["account"][0])


def test_more_units_than_fit_are_refused():
    envs = penny_market(2**24)
    replay = MarketReplay(envs.accounts, 30)
    envs.reset(seed=0)
    replay.begin(np.array([0]), None)
    envs.step(np.array([0]))
    with pytest.raises(ValueError, match="at most 16,777,215 units an account, got 16,777,216; start with less cash"):
        replay.add(np.array([0]), np.array([0]), None, None, None)


def test_more_actions_bars_or_rows_than_fit_are_refused(monkeypatch):
    MarketReplay(market(units=range(1, 8)).accounts, 300)  # 15 actions
    with pytest.raises(ValueError, match="at most 15 actions, got 17; use fewer"):
        MarketReplay(market(units=range(1, 9)).accounts, 300)
    accounts = market(prices="builtin", tickers="SP500", length=4_096).accounts
    with pytest.raises(ValueError, match="at most 4,095 bars an episode, got 4,096; use fewer"):
        MarketReplay(accounts, 300)
    monkeypatch.setattr(market_replay, "MAX_ROWS", 159)
    with pytest.raises(ValueError, match="at most 159 rows of prices, got 160; use fewer"):
        MarketReplay(market().accounts, 300)
