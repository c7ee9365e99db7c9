"""Prioritised replay draws in proportion to its weights, and its importance weights are those of the paper."""

import mdp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agents.dqn import DQN, DQNConfig
from agents.priorities import Priorities
from agents.replay import GOES_ON, Replay


def filled(errors, exponent=1.0, count=None):
    priorities = Priorities(count or len(errors), exponent)
    priorities.update(np.arange(len(errors)), np.array(errors, float))
    return priorities


def test_a_weight_is_the_error_plus_a_little_to_the_power_of_alpha():
    weights = filled([4.0, 0.25, 0.0], exponent=0.5).weights[:3]
    assert weights.tolist() == pytest.approx([(4 + 1e-6) ** 0.5, (0.25 + 1e-6) ** 0.5, 1e-3])


def test_slots_are_drawn_in_proportion_to_their_weights():
    errors = [0.0, 1.0, 5.0, 2.0, 0.5, 8.0, 3.0]
    slots, _ = filled(errors).draw(1, np.random.default_rng(0), 1.0)
    rng, priorities = np.random.default_rng(0), filled(errors)
    slots = np.concatenate([priorities.draw(1, rng, 1.0)[0] for _ in range(20_000)])
    counts, expected = np.bincount(slots, minlength=7), 20_000 * np.array(errors) / sum(errors)
    assert counts[0] == 0
    chi_square = ((counts[1:] - expected[1:]) ** 2 / expected[1:]).sum()
    assert chi_square < 20.5  # 0.999 quantile of chi-square with 5 degrees of freedom


def test_a_batch_has_one_slot_from_each_equal_share_of_the_sum():
    # Shares of width 2 of a sum of 8: slot 1 (weights 1 to 5) takes up the second share, and slot 2 the last.
    slots, _ = filled([1.0, 4.0, 3.0]).draw(4, np.random.default_rng(0), 1.0)
    assert slots[1] == 1
    assert slots[3] == 2
    assert (np.diff(slots) >= 0).all()


def test_importance_weights_by_hand():
    # Probabilities 1/8, 4/8, 3/8 of N = 3: (N p) ** -beta, over the largest of the batch, that of slot 0.
    slots, weights = filled([1.0, 4.0, 3.0]).draw(64, np.random.default_rng(0), 0.5)
    by_hand = (3 * np.array([1, 4, 3]) / 8) ** -0.5
    assert set(slots) == {0, 1, 2}
    assert weights.tolist() == pytest.approx((by_hand / by_hand[0])[slots].tolist(), rel=1e-5)
    assert weights.max() == 1.0
    _, weights = filled([1.0, 4.0, 3.0]).draw(64, np.random.default_rng(0), 0.0)
    assert (weights == 1.0).all()


def test_a_new_transition_counts_with_the_largest_error_so_far():
    priorities = Priorities(4, 1.0)
    priorities.add(np.array([0]))
    assert priorities.weights[0] == pytest.approx(1.0)
    priorities.update(np.array([0]), np.array([7.0]))
    priorities.update(np.array([0]), np.array([0.5]))
    priorities.add(np.array([1]))
    assert priorities.weights[:3].tolist() == pytest.approx([0.5, 7.0, 0.0], abs=1e-5)


STEPS = st.lists(st.tuples(st.sampled_from(["update", "clear"]), st.integers(0, 10), st.floats(0, 50)), max_size=60)


@given(STEPS, st.integers(1, 11))
def test_the_tree_is_a_plain_list(steps, count):
    tree, plain = Priorities(count, 0.7), np.zeros(count)
    for deed, slot, error in steps:
        where = np.array([slot % count])
        if deed == "clear":
            tree.clear(where)
            plain[where] = 0.0
        else:
            tree.update(where, np.array([error]))
            plain[where] = (error + 1e-6) ** 0.7
    assert tree.weights[:count] == pytest.approx(plain)
    assert tree.sums[1] == pytest.approx(plain.sum())
    if plain.sum() > 0:
        rng, bounds = np.random.default_rng(0), np.cumsum(plain)
        slots, _ = tree.draw(16, rng, 1.0)
        places = (np.arange(16) + np.random.default_rng(0).random(16)) * plain.sum() / 16
        assert (plain[slots] > 0).all()
        assert (places <= bounds[slots] * (1 + 1e-9)).all()
        assert (places >= (bounds - plain)[slots] * (1 - 1e-9) - 1e-9).all()


def test_a_place_that_rounding_has_put_above_the_sum_still_finds_a_slot():
    class Last:
        def random(self, count):
            return np.full(count, 1.0)  # beyond what a generator returns

    slots, _ = filled([0.1, 0.2, 0.3], count=5).draw(3, Last(), 1.0)
    assert slots[-1] == 2


def test_only_slots_that_hold_a_transition_have_a_weight_also_when_rings_wrap():
    for stack in (1, 3):
        replay = Replay(20, 2, 6, stack=stack, priority_exponent=0.6)
        envs = np.array([0, 1])
        for count in range(50):
            if count % 7 == 0:
                replay.begin(envs, torch.zeros(2, 6))
            replay.add(envs, envs, np.zeros(2, np.float32), np.full(2, GOES_ON), torch.zeros(2, 6))
            weighted = np.flatnonzero(replay.priorities.weights[:20])
            assert weighted.tolist() == replay.stored().tolist()


def test_an_update_weighs_each_error_and_sets_the_weights_of_what_it_saw():
    def agent(**config):
        envs = mdp.vector(mdp.Chain, 2)
        config = {"learning_starts": 60, "train_every": 1_000, "batch_size": 8, "head": (16,)} | config
        made = DQN(mdp.Chain.observation_space, 2, DQNConfig(priority_exponent=0.6, **config), 1)
        made.learn(envs, 60)
        made.replay.priorities.update(made.replay.stored(), np.linspace(0.1, 3.0, 60))
        return made

    one, other = agent(), agent()
    errors = one.update(0.5)
    batch = other.replay.sample(8, other.rng, 0.4 + 0.5 * 0.6)  # beta goes from 0.4 to 1
    assert float(batch.weights.min()) < 1.0
    values = other.online(batch.observations).gather(1, batch.actions[:, None])
    targets = other.targets(batch)
    loss = (batch.weights * torch.nn.functional.smooth_l1_loss(values, targets, reduction="none")).mean()
    other.online.gradient.zero_()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(other.online.parameters(), 10.0)
    torch.optim.Adam(other.online.parameters(), lr=5e-4).step()
    assert torch.allclose(one.online.flat, other.online.flat, atol=1e-7)
    expected = {
        slot: (abs(error) + 1e-6) ** 0.6 for slot, error in zip(batch.slots, errors[:, 0].tolist(), strict=True)
    }
    assert one.replay.priorities.weights[list(expected)].tolist() == pytest.approx(list(expected.values()))
