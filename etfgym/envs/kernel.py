"""The compiled loops over accounts. The accounting inside them is `etfgym.ledger`'s, unchanged.

What a step comes to is a function of the account before it, its order and the market. The scalar functions below are
that function; numba compiles them unchanged into whatever kernel calls them. A learner that has stored
(first, last, row, cash, units) can therefore work out the result of any action, float for float.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numba.extending import register_jitable

from etfgym.envs.windows import write_window
from etfgym.ledger import ALL, fill_order, liquidate, trade_day

compiled = numba.njit(cache=True, error_model="numpy", nogil=True, _nrt=False)  # type: ignore[call-overload]
"""How the kernels are compiled, and how a kernel that calls the functions below should be.

None of them allocates, so none needs numba's reference counts (`_nrt=False`): around a loop inside a loop numba
can't prove them away, and three arrays counted twice took 45 ns an account, more than all the rest of a step.
"""

ACCOUNT = np.dtype(
    [
        ("table", np.int64),  # which table it trades
        ("first", np.int64),  # global row of the first decision
        ("row", np.int64),  # global row of the last bar seen
        ("last", np.int64),  # global row of the bar on which it is closed
        ("units", np.int64),
        ("cash", np.float64),
        ("equity", np.float64),
    ]
)
"""One account's state, 56 bytes; money in dollars."""

STEP = np.dtype(
    [
        ("requested", np.int64),  # units
        ("filled", np.int64),
        ("fees", np.float64),  # dollars
        ("dividends", np.float64),
    ]
)
"""What an account's last step did."""

BLOCK = 64
"""Accounts that are traded together. Half as many are slower, twice as many no faster."""

DESK = np.dtype(
    [
        ("order", np.int64, BLOCK),  # units
        ("open", np.float64, BLOCK),  # dollars, like all that is float
        ("close", np.float64, BLOCK),
        ("dividend", np.float64, BLOCK),
        ("closing", np.int64, BLOCK),  # whether the account is closed on this bar
        ("row", np.int64, BLOCK),
        ("units", np.int64, BLOCK),
        ("cash", np.float64, BLOCK),
        ("equity", np.float64, BLOCK),
        ("equity_before", np.float64, BLOCK),
        ("hold_gain", np.float64, BLOCK),
        ("reward", np.float64, BLOCK),
    ]
)
"""Where a block is traded: each quantity of all its accounts side by side, for instructions that do several at once."""

TRIES = 2
"""Of `etfgym.ledger.fill_order`, for accounts that are traded together: known to the compiler, they make no loop."""

PNL, LOG, EXCESS = range(3)
SMALLEST_EQUITY = 0.01
"""Dollars: for the log return, an account that fees have emptied counts as one cent."""


@register_jitable(forceinline=True, _nrt=False)
def next_bar(row, last, opens, closes, dividends):
    """Return what follows `row`: the row, its open, close and dividend, and whether the account is closed on it.

    The timing rule stands here: an order decided on row t fills at the open of row t + 1, and its reward is known
    after that row's close, or that of the row on which the next decision falls.
    """
    row += 1
    day = np.uint64(row)  # an index that can't be negative spares numba a test at each use
    return row, opens[day], closes[day], dividends[day], row == last


@register_jitable(forceinline=True, _nrt=False)
def take_step(cash, units, row, last, order, opens, closes, dividends, rates, clip, decision_every):
    """Return (cash, units, row, filled, fees, paid, equity) after one step, see `etfgym.ledger.trade_day`.

    Args:
        cash: Dollars at row `row`.
        units: Units held there.
        row: Global row of the last bar seen, before `last`.
        last: Global row of the bar on which the account is closed.
        order: Units ordered.
        opens: Shape (N,), dollars, like `closes` and `dividends`.
        closes: See `opens`.
        dividends: Dollars a unit held over the night before.
        rates: See `etfgym.ledger.Costs.rates`.
        clip: See `etfgym.ledger.fill_order`.
        decision_every: Bars that a step takes, fewer if `last` comes before.
    """
    filled, fees, paid, equity = 0, 0.0, 0.0, 0.0
    until = min(row + decision_every, last)
    while row < until:
        row, price, close, dividend, closing = next_bar(row, last, opens, closes, dividends)
        cash, units, new_filled, new_fees, new_paid, equity = trade_day(
            cash, units, order, price, close, dividend, closing, rates, clip
        )
        filled += new_filled
        fees += new_fees
        paid += new_paid
        order = 0
    return cash, units, row, filled, fees, paid, equity


@register_jitable(forceinline=True, _nrt=False)
def hold_equity(row, first, last, opens, closes, paid_so_far, rates, initial_cash):
    """Return what all-in buy-and-hold under the same costs is worth on row `row`, dollars.

    It buys at the open of first + 1, keeps the dividends as cash and sells on `last`: a closed form of prefix sums,
    so that nothing has to be carried along.

    Args:
        row: Global row, from `first` to `last`.
        first: Global row of the first decision.
        last: Global row of the bar on which the account is closed.
        opens: Shape (N,), dollars, like `closes`.
        closes: See `opens`.
        paid_so_far: Dividends of its table up to and including each row, shape (N,), dollars a unit.
        rates: See `etfgym.ledger.Costs.rates`.
        initial_cash: Dollars at the start.
    """
    if row == first:
        return initial_cash
    bought, now = np.uint64(first + 1), np.uint64(row)
    cash, units, _, _ = fill_order(initial_cash, 0, ALL, opens[bought], rates, True)
    cash += units * (paid_so_far[now] - paid_so_far[bought])
    if row == last:
        cash, _ = liquidate(cash, units, closes[now], rates)
        return cash
    return cash + units * closes[now]


@register_jitable(forceinline=True, _nrt=False)
def step_reward(kind, equity_before, equity_after, hold_gain, initial_cash):
    """Return the reward of a step.

    Args:
        kind: PNL, LOG or EXCESS.
        equity_before: Dollars, like all that follows.
        equity_after: See there.
        hold_gain: What buy-and-hold has gained meanwhile; read for EXCESS only.
        initial_cash: At the start.
    """
    if kind == LOG:
        return math.log(max(equity_after, SMALLEST_EQUITY) / max(equity_before, SMALLEST_EQUITY))
    gain = equity_after - equity_before
    if kind == EXCESS:
        gain -= hold_gain
    return gain / initial_cash


@register_jitable(forceinline=True, _nrt=False)
def write_share(cash, units, row, first, last, closes, out):
    """Write units' share of equity, cash share and fraction of the episode left into `out` (3,), float32."""
    value = units * closes[np.uint64(row)]
    equity = cash + value
    out[0] = value / equity if equity > 0.0 else 0.0
    out[1] = cash / equity if equity > 0.0 else 0.0
    out[2] = (last - row) / (last - first)


@register_jitable(forceinline=True, _nrt=False)
def write_mask(cash, units, closed, price, orders, rates, clip, out):
    """Write into `out` (actions,), int8, which actions would do something, were they filled at `price`."""
    for action in range(orders.size):
        order = orders[action]
        _, _, filled, _ = fill_order(cash, units, order, price, rates, clip)
        out[action] = order == 0 or (filled != 0 and not closed)


@compiled
def trade_together(begin, end, before, idle, actions, orders, opens, closes, dividends, rates, clip, desk):
    """Trade one bar of the accounts `begin` to `end`, a block at most, on the desk; return whether that worked.

    It does not where `TRIES` were too few. First all that lies scattered is put on the desk; what is left is
    arithmetic on columns, which the compiler turns into instructions for several accounts at once. It would not, if
    the loop held another loop or a call, or if it read from arrays that it can't tell from those it writes to.
    """
    for i in range(begin, end):
        account, j = before[i], i - begin
        row, order, dividend, closing = account.row, 0, 0.0, False
        price = close = closes[np.uint64(row)]
        if not idle[i]:
            order = orders[np.uint64(actions[i])]
            row, price, close, dividend, closing = next_bar(row, account.last, opens, closes, dividends)
        desk.order[j], desk.open[j], desk.close[j], desk.dividend[j] = order, price, close, dividend
        desk.closing[j], desk.row[j], desk.units[j], desk.cash[j] = closing, row, account.units, account.cash
        desk.equity_before[j] = account.equity
    worked = True
    for j in range(np.uint64(BLOCK)):  # all of it: with a count that the compiler knows no single ones are left over
        cash, units, _, _, _, equity = trade_day(
            desk.cash[j],
            desk.units[j],
            desk.order[j],
            desk.open[j],
            desk.close[j],
            desk.dividend[j],
            desk.closing[j] != 0,
            rates,
            clip,
            TRIES,
        )
        desk.cash[j], desk.units[j], desk.equity[j] = cash, units, equity
        worked &= not math.isnan(equity)
    return worked


@compiled
def trade_singly(
    begin, end, before, idle, actions, orders, opens, closes, dividends, rates, clip, decision_every, desk
):  # fmt: skip
    """Take the accounts `begin` to `end` through one step one by one, and put what they come to on the desk."""
    for i in range(begin, end):
        account, j = before[i], i - begin
        cash, units, row, equity = account.cash, account.units, account.row, account.equity
        if not idle[i]:
            order = orders[np.uint64(actions[i])]
            cash, units, row, _, _, _, equity = take_step(
                cash, units, row, account.last, order, opens, closes, dividends, rates, clip, decision_every
            )
        desk.closing[j], desk.row[j] = row == account.last and not idle[i], row
        desk.units[j], desk.cash[j], desk.equity[j], desk.equity_before[j] = units, cash, equity, account.equity


@compiled
def reward_together(kind, initial_cash, desk):
    """Put the rewards of the whole block on the desk; apart, so that `kind` is asked once and not for each account."""
    for j in range(np.uint64(BLOCK)):
        desk.reward[j] = step_reward(kind, desk.equity_before[j], desk.equity[j], desk.hold_gain[j], initial_cash)


@register_jitable(forceinline=True, _nrt=False)
def write_seen(start, stop, accounts, closes, features, windows, rows, shares):
    """Write what the accounts `start` to `stop` see; the arrays are those of `step_accounts`.

    One loop for each array: a short one lets the processor work on more accounts at a time.
    """
    if windows.size:
        for i in range(np.uint64(start), np.uint64(stop)):
            write_window(accounts[i].row, features[0], features[1], features[2], windows[i])
    if rows.size:
        for i in range(np.uint64(start), np.uint64(stop)):
            rows[i, 0] = accounts[i].row
    if shares.size:
        for i in range(np.uint64(start), np.uint64(stop)):
            account = accounts[i]
            cash, units, row = account.cash, account.units, account.row
            write_share(cash, units, row, account.first, account.last, closes, shares[i])


@compiled
def step_accounts(
    start,
    stop,
    desk,
    before,
    after,
    idle,
    actions,
    orders,
    terms,
    prices,
    features,
    windows,
    rows,
    shares,
    rewards,
    terminated,
):
    """Take accounts `start` to `stop` through one step; return how many of them it closed, or -1 for a wrong action.

    Args:
        start: First account.
        stop: Last account + 1; what lies outside is not touched, so that threads may share the arrays.
        desk: Written: this thread's own, shape (1,), dtype DESK.
        before: Accounts before the step, shape (n,), dtype ACCOUNT.
        after: Written: the accounts after it.
        idle: Accounts that take no step, shape (n,), bool.
        actions: Shape (n,), int64, each from 0 to actions - 1; if one is not, nothing is written.
        orders: Units of each action, shape (actions,).
        terms: The keywords, see `Accounts.terms`.
        prices: Opens, closes, dividends and dividends so far, shape (4, N), see `Market.prices`.
        features: Base, scale and shift, shape (3, N, 6), float32.
        windows: Written: shape (n, window, 6), float32; none if n is 0 here, like the two that follow.
        rows: Written: the row, shape (n, 1), int32.
        shares: Written: shape (n, 3), float32.
        rewards: Written: shape (n,).
        terminated: Written: shape (n,), bool.
    """
    opens, closes, dividends, paid_so_far = prices[0], prices[1], prices[2], prices[3]
    desk = desk[0]
    rates, initial_cash = (terms[0], terms[1], terms[2]), terms[3]
    clip, decision_every, kind = terms[4] != 0.0, int(terms[5]), int(terms[6])
    for i in range(np.uint64(start), np.uint64(stop)):
        if not 0 <= actions[i] < orders.size:
            return -1
    closed = 0
    for begin in range(np.uint64(start), np.uint64(stop), np.uint64(BLOCK)):
        end = min(begin + np.uint64(BLOCK), np.uint64(stop))
        given = begin, end, before, idle, actions, orders, opens, closes, dividends, rates, clip
        done = decision_every == 1 and trade_together(*given, desk)
        if not done:
            trade_singly(*given, decision_every, desk)
        if kind == EXCESS:
            for i in range(begin, end):
                old, row = before[i], desk.row[i - begin]
                hold = old.first, old.last, opens, closes, paid_so_far, rates, initial_cash
                desk.hold_gain[i - begin] = hold_equity(row, *hold) - hold_equity(old.row, *hold)
        reward_together(kind, initial_cash, desk)
        for i in range(begin, end):
            old, new, j = before[i], after[i], i - begin
            closed += desk.closing[j]
            rewards[i], terminated[i] = desk.reward[j], desk.closing[j]
            new.table, new.first, new.row, new.last = old.table, old.first, desk.row[j], old.last
            new.cash, new.units, new.equity = desk.cash[j], desk.units[j], desk.equity[j]
    write_seen(start, stop, after, closes, features, windows, rows, shares)
    return closed


@compiled
def step_one(action, block, prices, features, seen):
    """Take one account through one step in place; return what it comes to.

    Account, keywords, orders and mask lie one after the other in one block of memory: each further array would take
    longer to pass than the step itself takes.

    Args:
        action: From 0 to actions - 1.
        block: Shape (15 + actions + its eighth, rounded up), int64: an ACCOUNT (7), `Accounts.terms` (7, the bits of
            float64), the number of actions, `Accounts.orders`; written: the account, and after the orders the mask
            (actions,), int8.
        prices: See `step_accounts`, like `features`.
        features: See there.
        seen: Written: the window, shape (window, 6), if that is observed, and one row more, which begins with the
            share (3,).

    Returns:
        Reward, terminated, row, close, requested, filled, cash, units, equity, fees, dividends.
    """
    opens, closes, dividends, paid_so_far = prices[0], prices[1], prices[2], prices[3]
    money, actions = block.view(np.float64), block[14]
    orders, mask = block[15 : 15 + actions], block[15 + actions :].view(np.int8)
    rates, initial_cash = (money[7], money[8], money[9]), money[10]
    clip, decision_every, kind = money[11] != 0.0, int(money[12]), int(money[13])
    first, before, last, equity_before, order = block[1], block[2], block[3], money[6], orders[action]
    cash, units, row, filled, fees, paid, equity = take_step(
        money[5], block[4], before, last, order, opens, closes, dividends, rates, clip, decision_every
    )
    gain = 0.0
    if kind == EXCESS:
        hold = opens, closes, paid_so_far, rates, initial_cash
        gain = hold_equity(row, first, last, *hold) - hold_equity(before, first, last, *hold)
    reward = step_reward(kind, equity_before, equity, gain, initial_cash)
    block[2], block[4], money[5], money[6] = row, units, cash, equity
    window = seen.shape[0] - 1
    if window:
        write_window(row, features[0], features[1], features[2], seen[:window])
    write_share(cash, units, row, first, last, closes, seen[window])
    close = closes[np.uint64(row)]
    write_mask(cash, units, row == last, close, orders, rates, clip, mask)
    return reward, row == last, row, close, order, filled, cash, units, equity, fees, paid


@compiled
def write_steps(before, idle, actions, orders, terms, prices, out):
    """Write what the step from `before` did in every account into `out` (n,), dtype STEP; nothing where idle."""
    rates, clip, decision_every = (terms[0], terms[1], terms[2]), terms[4] != 0.0, int(terms[5])
    for i in range(before.size):
        step = out[i]
        step.requested, step.filled, step.fees, step.dividends = 0, 0, 0.0, 0.0
        if not idle[i]:
            old, order = before[i], orders[actions[i]]
            step.requested = order
            _, _, _, step.filled, step.fees, step.dividends, _ = take_step(
                old.cash,
                old.units,
                old.row,
                old.last,
                order,
                prices[0],
                prices[1],
                prices[2],
                rates,
                clip,
                decision_every,
            )


@compiled
def write_observations(accounts, which, prices, features, windows, rows, shares):
    """Write the observations of the accounts marked in `which` (n,); the arrays are those of `step_accounts`."""
    for i in range(accounts.size):
        if which[i]:
            write_seen(i, i + 1, accounts, prices[1], features, windows, rows, shares)


@compiled
def write_masks(accounts, orders, terms, prices, out):
    """Write each account's `write_mask` into `out` (n, actions), int8."""
    rates, clip = (terms[0], terms[1], terms[2]), terms[4] != 0.0
    for i in range(accounts.size):
        account = accounts[i]
        close = prices[1, account.row]
        write_mask(account.cash, account.units, account.row == account.last, close, orders, rates, clip, out[i])
