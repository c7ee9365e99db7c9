"""The compiled loop of `agents.market_replay`: what stored accounts see, do and come to."""

from __future__ import annotations

import numba
import numpy as np
from numba.extending import register_jitable

from etfgym.envs.kernel import EXCESS, hold_equity, step_reward, take_step, write_mask, write_share
from etfgym.envs.windows import write_window

NO_ACTION = 15
"""In a slot without a transition."""


@numba.njit(cache=True, error_model="numpy")
def replay_accounts(
    slots, words, cashes, ring, n_step, gamma, counterfactual,
    orders, market, rules, episode, columns, observations, actions, rewards, discounts, following, rests, masks,
):  # fmt: skip
    """Write what `agents.replay.Batch` says of each slot; only the observations if `n_step` is 0.

    Args:
        slots: Shape (B,).
        words: Shape (slots in all,), uint64, see `unpack`.
        cashes: Dollars, the same shape.
        ring: Slots of a ring.
        n_step: Decisions that a return spans.
        gamma: Discount a decision.
        counterfactual: Whether every action is worked out, K = actions, or the one taken, K = 1.
        orders: Units of each action, shape (actions,).
        market: Arrays of `etfgym.envs.market.Market`: base, scale, shift, open, close, dividend.
        rules: Its `paid_so_far`, then rates, clip and kind of reward.
        episode: Bars a decision, bars an episode, initial cash.
        columns: Columns of a window.
        observations: Written, shape (B, D).
        actions: Written, shape (B,).
        rewards: Written, shape (B, K).
        discounts: Written, shape (B, 1).
        following: Written, the next observations, shape (B, D); their account is that after the first of K.
        rests: Written, the accounts after each of K, shape (B, K, 3).
        masks: Written, which actions may follow each of K, shape (B, K, actions).
    """
    base, scale, shift, _, closes, _ = market
    _, rates, clip, _ = rules
    window = observations.shape[1] // columns * columns
    days = window // columns
    for i in range(slots.size):
        slot = slots[i]
        units, row, left, action = unpack(words[slot])
        cash, last = cashes[slot], row + left
        first = last - episode[1]
        write_window(row, base, scale, shift, observations[i, :window].reshape(days, columns))
        if observations.shape[1] > window:
            write_share(cash, units, row, first, last, closes, observations[i, window:])
        if n_step == 0:
            continue
        actions[i] = action
        total, discount = 0.0, 1.0
        for _ in range(n_step):
            if action == NO_ACTION or row == last:  # the ring's head, or the episode's end
                break
            before = cash, units, row
            for k in range(rewards.shape[1]):
                order = orders[k] if counterfactual else orders[action]
                reward, cash, units, row = decide(before, first, last, order, market, rules, episode)
                rewards[i, k] = reward
                write_share(cash, units, row, first, last, closes, rests[i, k])
                write_mask(cash, units, row == last, closes[row], orders, rates, clip, masks[i, k])
            total += discount * reward
            discount *= gamma
            slot = slot + 1 if (slot + 1) % ring else slot + 1 - ring
            action = unpack(words[slot])[3]
        discounts[i, 0] = 0.0 if row == last else discount
        if not counterfactual:
            rewards[i, 0] = total
        write_window(row, base, scale, shift, following[i, :window].reshape(days, columns))
        following[i, window:] = rests[i, 0, : following.shape[1] - window]


@numba.njit(cache=True)
def store_accounts(envs, slots, units, rows, lasts, cash, words, cashes):
    """Write the accounts `envs` into `slots`, without an action; return the largest number of units among them."""
    most = 0
    for i in range(envs.size):
        env, slot = envs[i], slots[i]
        word = units[env] << 40 | rows[env] << 16 | (lasts[env] - rows[env]) << 4 | NO_ACTION
        words[slot], cashes[slot] = np.uint64(word), cash[env]
        most = max(most, units[env])
    return most


@register_jitable
def decide(account, first, last, order, market, rules, episode):
    """Return (reward, cash, units, row) after an order of the account (cash, units, row); see `etfgym.envs.kernel`."""
    cash, units, row = account
    _, _, _, opens, closes, dividends = market
    paid_so_far, rates, clip, kind = rules
    decision_every, _, initial_cash = episode
    before, start = cash + units * closes[row], row
    cash, units, row, _, _, _, equity = take_step(
        cash, units, row, last, order, opens, closes, dividends, rates, clip, decision_every
    )
    hold_gain = 0.0
    if kind == EXCESS:
        hold = opens, closes, paid_so_far, rates, initial_cash
        hold_gain = hold_equity(row, first, last, *hold) - hold_equity(start, first, last, *hold)
    return np.float32(step_reward(kind, before, equity, hold_gain, initial_cash)), cash, units, row


@register_jitable
def unpack(word):
    """Return units (24 bits), row (24), bars left (12) and action (4) of a slot's word."""
    number = np.int64(word)
    return number >> 40 & 0xFFFFFF, number >> 16 & 0xFFFFFF, number >> 4 & 0xFFF, number & 15
