"""What each policy orders, on observations that can be read by eye."""

import numpy as np
import pytest

from etfgym.ledger import ALL
from etfgym.policies import POLICIES, BuyAndHold, MovingAverageCross, Random, Replay, make_policy
from etfgym.prices import CLOSE


def window(closes):
    observation = np.ones((20, 6), np.float32)
    observation[:, CLOSE] = closes
    return observation


RISING, FALLING = window(np.arange(1, 21)), window(np.arange(21, 1, -1))


def test_buy_and_hold_buys_once_in_an_environment_without_a_daily_limit():
    policy = BuyAndHold()
    first, state = policy.predict(RISING)
    second, _ = policy.predict(RISING, state)
    assert policy.env_keywords == {"units": (ALL,)}
    assert (int(first), int(second)) == (0, 1)  # of buy, hold, sell


def test_the_moving_averages_buy_when_rising_and_sell_when_falling_one_or_many():
    policy = MovingAverageCross()
    assert int(policy.predict(RISING)[0]) == 0
    assert int(policy.predict(FALLING)[0]) == 4
    assert policy.predict(np.stack([RISING, FALLING]))[0].tolist() == [0, 4]


def test_the_moving_averages_do_the_same_on_raw_and_on_relative_windows():
    rng = np.random.default_rng(0)
    raw = np.exp(rng.normal(0, 0.1, (100, 20, 6)).cumsum(axis=1)).astype(np.float32)
    relative = raw / raw[:, -1:, CLOSE : CLOSE + 1]
    policy = MovingAverageCross()
    assert np.array_equal(policy.predict(raw)[0], policy.predict(relative)[0])


def test_random_draws_every_action_and_again_the_same_with_the_same_seed():
    def draws(seed):
        policy = Random(seed)
        return [int(policy.predict(RISING)[0]) for _ in range(200)]

    assert draws(1) == draws(1) != draws(2)
    assert set(draws(1)) == {0, 1, 2, 3, 4}


def test_replay_plays_its_list():
    policy, state, played = Replay([3, 1, 2], {}), None, []
    for _ in range(3):
        action, state = policy.predict(RISING, state)
        played.append(int(action))
    assert played == [3, 1, 2]


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_takes_windows_and_dicts_one_or_many(name):
    for observation, shape in ((RISING, ()), (np.stack([RISING, FALLING]), (2,))):
        assert make_policy(name).predict(observation)[0].shape == shape
        assert make_policy(name).predict({"window": observation, "account": None})[0].shape == shape


def test_an_unknown_policy_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"got 'buy-and-holt' \(did you mean 'buy-and-hold'\?\)"):
        make_policy("buy-and-holt")
