"""The trading environment's step in torch: every account at once, on any device, nothing that waits for the host.

This is a second writing of `etfgym.ledger` and of the rules in `etfgym.envs.kernel`, of necessity: numba's loops run
on a CPU only. It is no second source of them: tests hold the two equal to the bit, money in float64, observations in
float32. Only the logarithm of the log return may differ in its last place, since every machine has its own.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from etfgym.envs.accounts import Accounts
from etfgym.envs.kernel import EXCESS, LOG, SMALLEST_EQUITY
from etfgym.ledger import ALL
from etfgym.prices import COLUMNS

MOST_UNITS = 1 << 40
"""Units that the initial cash may buy: up to 256 times as many, a quotient is exact enough for `fill_order`."""


class Account(NamedTuple):
    """Accounts of any one shape; `row` and `last` may have 1 where the others have more."""

    cash: Tensor
    """Dollars, float64."""
    units: Tensor
    """Held, int64."""
    row: Tensor
    """Global row of the last bar seen, int64."""
    last: Tensor
    """Global row of the bar on which it is closed, int64."""


class TorchMarket:
    """What `accounts` trade on and by which rules, on a device.

    Args:
        accounts: Of an `EtfTradingVectorEnv`; only its settings and its market are read, not its state.
        device: Where the tensors are.

    Raises:
        ValueError: If the initial cash buys more units than arithmetic in float64 can tell apart.

    Attributes:
        orders: Units of each action, shape (actions,), int64.
        rows: How many rows the market has.
        length: Bars that an episode trades.
        size: Numbers D in an observation.
        rest: Those of them that come after the window.
    """

    def __init__(self, accounts: Accounts, device: str) -> None:
        settings, market = accounts.settings, accounts.market
        if settings.initial_cash > MOST_UNITS * market.open.min():
            msg = f"initial_cash must buy at most {MOST_UNITS:,} units, got {settings.initial_cash:,} dollars; use less"
            raise ValueError(msg)
        self.device = device
        self.orders = torch.tensor(settings.orders, device=device)
        self.rows, self.length = len(market.close), settings.length
        self.rest = 3 if settings.observe_account else 0
        self.size = settings.window * len(COLUMNS) + self.rest
        columns = market.open, market.close, market.dividend, market.paid_so_far
        self._open, self._close, self._dividend, self._paid_so_far = (
            torch.tensor(column, device=device) for column in columns
        )
        self._base, self._scale, self._shift = (
            torch.tensor(part, device=device) for part in (market.base, market.scale, market.shift)
        )
        starts = [market.start_rows(number, settings.start) for number in range(len(market.tables))]
        self._starts = torch.tensor(starts, device=device)  # (tables, 2)
        self._days = torch.arange(1 - settings.window, 1, device=device)
        self._rates, self._clip, self._reward = accounts.rates, accounts.clip, accounts.reward
        self._initial_cash = float(settings.initial_cash)
        self._decision_every = min(settings.decision_every, settings.length)

    def open(self, count: int, generator: torch.Generator) -> Account:
        """Return `count` new accounts, the table drawn first and then the row, both evenly."""
        draws = torch.rand(2, count, dtype=torch.float64, generator=generator, device=self.device)
        starts = self._starts[(draws[0] * len(self._starts)).long()]  # (n, 2)
        rows = starts[:, 0] + (draws[1] * (starts[:, 1] - starts[:, 0])).long()
        cash = torch.full((count,), self._initial_cash, dtype=torch.float64, device=self.device)
        return Account(cash, torch.zeros_like(rows), rows, rows + self.length)

    def step(self, account: Account, orders: Tensor) -> tuple[Account, Tensor, Tensor]:
        """Return the accounts after one step, their rewards and which are closed; see `etfgym.envs.kernel.take_step`.

        Args:
            account: Closed ones stay as they are.
            orders: Units, of the accounts' shape or one that broadcasts with it.
        """
        cash, units, row, last = account
        equity = before = cash + units * self._close[row]
        for _ in range(self._decision_every):
            live = row < last
            row = torch.minimum(row + 1, last)
            closing = row == last
            close = self._close[row]
            paid = cash + units * self._dividend[row]
            new_cash, new_units = self._fill_order(paid, units, orders, self._open[row], clip=self._clip)
            new_cash = torch.where(closing, self._liquidate(new_cash, new_units, close), new_cash)
            new_units = new_units.masked_fill(closing, 0)
            cash, units = torch.where(live, new_cash, cash), torch.where(live, new_units, units)
            equity = cash + units * close
            orders = torch.zeros_like(orders)
        rewards = self._step_reward(before, equity, account, row)
        return Account(cash, units, row, last), rewards, row == last

    def observe(self, account: Account) -> Tensor:
        """Return the observations of accounts (n,), shape (n, D), float32."""
        windows = self.windows(account.row).flatten(1)
        return torch.cat((windows, self.shares(account)), dim=1) if self.rest else windows

    def windows(self, rows: Tensor) -> Tensor:
        """Return the windows that end at `rows` (n,), shape (n, window, 6); see `etfgym.envs.windows`."""
        return self._base[rows[:, None] + self._days] * self._scale[rows][:, None] + self._shift[rows][:, None]

    def shares(self, account: Account) -> Tensor:
        """Return what `kernel.write_share` writes of accounts (...), shape (..., 3), float32."""
        value = account.units * self._close[account.row]
        equity = account.cash + value
        left = (account.last - account.row).double() / self.length
        parts = ((part / equity).masked_fill(equity <= 0.0, 0.0) for part in (value, account.cash))
        return torch.stack((*parts, left.expand_as(equity)), dim=-1).float()

    def masks(self, account: Account) -> Tensor:
        """Return which actions would do something, shape (..., actions), bool; see `kernel.write_mask`."""
        cash, units, row, last = (part[..., None] for part in account)
        _, after = self._fill_order(cash, units, self.orders, self._close[row], clip=self._clip)
        return (self.orders == 0) | ((after != units) & (row != last))

    def _fill_order(
        self, cash: Tensor, units: Tensor, order: Tensor, price: Tensor, *, clip: bool
    ) -> tuple[Tensor, Tensor]:
        """Return cash and units after an order; see `etfgym.ledger.fill_order`."""
        commission, fixed_fee, slippage = self._rates
        ask, bid = price * (1.0 + slippage), price * (1.0 - slippage)
        bought = torch.minimum(order, ((cash - fixed_fee) / (ask * (1.0 + commission))).long() + 1)
        bought = bought.masked_fill((order <= 0) | (cash <= fixed_fee), 0)
        for _ in range(2):  # the quotient, right to half a unit, is one or two above what cash covers
            value = bought * ask
            bought = bought - ((bought > 0) & (value + (fixed_fee + commission * value) > cash)).long()
        sold = torch.minimum(-order, units).clamp(min=0)
        if not clip:
            bought, sold = bought.masked_fill(bought < order, 0), sold.masked_fill(sold < -order, 0)
        value, proceeds = bought * ask, sold * bid
        paid = value + (fixed_fee + commission * value)
        gained = proceeds - (fixed_fee + commission * proceeds)
        sells = (sold > 0) & (cash + gained >= 0.0)
        after = torch.where(bought > 0, cash - paid, torch.where(sells, cash + gained, cash))
        return after, units + bought - sold * sells

    def _liquidate(self, cash: Tensor, units: Tensor, price: Tensor) -> Tensor:
        """Return cash after every unit is sold; see `etfgym.ledger.liquidate`."""
        commission, fixed_fee, slippage = self._rates
        value = units * (price * (1.0 - slippage))
        fee = fixed_fee + commission * value
        after = (cash + (value - fee)).masked_fill(fee >= cash + value, 0.0)
        return torch.where(units == 0, cash, after)

    def _step_reward(self, before: Tensor, after: Tensor, account: Account, row: Tensor) -> Tensor:
        """Return the rewards of a step to `row`, float64; see `kernel.step_reward`."""
        if self._reward == LOG:
            return (after.clamp(min=SMALLEST_EQUITY) / before.clamp(min=SMALLEST_EQUITY)).log()
        gain = after - before
        if self._reward == EXCESS:
            hold = self._hold_equity(row, account.last) - self._hold_equity(account.row, account.last)
            gain = gain - hold
        return gain / self._initial_cash

    def _hold_equity(self, row: Tensor, last: Tensor) -> Tensor:
        """Return what all-in buy-and-hold is worth on `row`; see `kernel.hold_equity`."""
        first = last - self.length
        start = torch.full_like(row, self._initial_cash, dtype=torch.float64)
        none = torch.zeros_like(row)
        cash, units = self._fill_order(start, none, torch.full_like(row, ALL), self._open[first + 1], clip=True)
        cash = cash + units * (self._paid_so_far[row] - self._paid_so_far[first + 1])
        close = self._close[row]
        equity = torch.where(row == last, self._liquidate(cash, units, close), cash + units * close)
        return torch.where(row == first, start, equity)
