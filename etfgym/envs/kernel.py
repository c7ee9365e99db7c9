"""The compiled loops over accounts. The accounting inside them is `etfgym.ledger`'s, unchanged."""

from __future__ import annotations

import math

import numba
import numpy as np

from etfgym.ledger import ALL, fill_order, trade_day

ACCOUNT = np.dtype(
    [
        ("table", np.int64),  # which table it trades
        ("first", np.int64),  # global row of the first decision
        ("row", np.int64),  # global row of the last bar seen
        ("last", np.int64),  # global row of the bar on which it is closed
        ("units", np.int64),
        ("cash", np.float64),
        ("equity", np.float64),
        ("hold_units", np.int64),  # the buy-and-hold account beside it, for reward="excess"
        ("hold_cash", np.float64),
        ("hold_equity", np.float64),
        ("requested", np.int64),  # of the last step, like all that follows
        ("filled", np.int64),
        ("fees", np.float64),
        ("dividends", np.float64),
    ]
)
"""One account's state, 112 bytes; money in dollars."""

PNL, LOG, EXCESS = range(3)
SMALLEST_EQUITY = 0.01
"""Dollars: for the log return, an account that fees have emptied counts as one cent."""


@numba.njit(cache=True, error_model="numpy")
def step_accounts(
    accounts,
    active,
    orders,
    opens,
    closes,
    dividends,
    rates,
    clip,
    decision_every,
    reward,
    initial_cash,
    rewards,
    terminated,
):
    """Take every active account through one step; write `rewards` and `terminated`, both (n,).

    The timing rule stands here: an order decided on row t fills at the open of row t + 1, and its reward is
    known after that row's close.
    """
    for i in range(accounts.shape[0]):
        if not active[i]:
            rewards[i] = 0.0
            terminated[i] = False
            continue
        account = accounts[i]
        order = orders[i]
        equity_before = account.equity
        hold_before = account.hold_equity
        account.requested = order
        account.filled = 0
        account.fees = 0.0
        account.dividends = 0.0
        for _ in range(decision_every):
            hold_order = ALL if account.row == account.first else 0
            row = account.row + 1
            last = row == account.last
            account.row = row
            account.cash, account.units, filled, fees, paid, account.equity = trade_day(
                account.cash, account.units, order, opens[row], closes[row], dividends[row], last, rates, clip
            )
            account.filled += filled
            account.fees += fees
            account.dividends += paid
            order = 0
            if reward == EXCESS:
                account.hold_cash, account.hold_units, _, _, _, account.hold_equity = trade_day(
                    account.hold_cash,
                    account.hold_units,
                    hold_order,
                    opens[row],
                    closes[row],
                    dividends[row],
                    last,
                    rates,
                    True,
                )
            if last:
                break
        terminated[i] = account.row == account.last
        if reward == LOG:
            rewards[i] = math.log(max(account.equity, SMALLEST_EQUITY) / max(equity_before, SMALLEST_EQUITY))
        else:
            gain = account.equity - equity_before
            if reward == EXCESS:
                gain -= account.hold_equity - hold_before
            rewards[i] = gain / initial_cash


@numba.njit(cache=True, error_model="numpy")
def write_windows(accounts, base, scale, shift, out):
    """Write each account's window, ending at the bar it has seen last, into `out` (n, window, 6), float32."""
    count, window, columns = out.shape
    for i in range(count):
        row = accounts[i].row
        first = row - window + 1
        for day in range(window):
            for column in range(columns):
                out[i, day, column] = base[first + day, column] * scale[row, column] + shift[row, column]


@numba.njit(cache=True, error_model="numpy")
def write_shares(accounts, closes, out):
    """Write units' share of equity, cash share and fraction of the episode left into `out` (n, 3), float32."""
    for i in range(accounts.shape[0]):
        account = accounts[i]
        out[i, 0] = account.units * closes[account.row] / account.equity if account.equity > 0.0 else 0.0
        out[i, 1] = account.cash / account.equity if account.equity > 0.0 else 0.0
        out[i, 2] = (account.last - account.row) / (account.last - account.first)


@numba.njit(cache=True, error_model="numpy")
def write_masks(accounts, orders, closes, rates, clip, out):
    """Write into `out` (n, actions), int8, which actions would do something, were they filled at the last Close."""
    for i in range(accounts.shape[0]):
        account = accounts[i]
        closed = account.row == account.last
        for action in range(orders.size):
            order = orders[action]
            _, _, filled, _ = fill_order(account.cash, account.units, order, closes[account.row], rates, clip)
            out[i, action] = order == 0 or (filled != 0 and not closed)
