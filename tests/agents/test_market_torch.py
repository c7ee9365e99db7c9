"""The environment's step in torch is the compiled one, float for float."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from learners import market, paying_table

from agents.market_torch import Account, TorchMarket
from etfgym.envs.etf_vector import EtfTradingVectorEnv
from etfgym.ledger import ALL, Costs, fill_order, liquidate
from etfgym.prices import PriceTable

COSTS = [
    Costs(),
    Costs(commission=0.0),
    Costs(commission=0.003, fixed_fee=40.0, slippage_bps=25.0),
    Costs(fixed_fee=9_500.0),  # more than some accounts ever hold
]


def accounts_of(envs, names=("cash", "units", "row", "last")):
    return Account(*(torch.tensor(envs.accounts.state[name]) for name in names))


def assert_one_step_is_the_same(envs, torch_market, actions):
    """Take one step both ways; return which accounts are closed."""
    before = accounts_of(envs)
    live = before.row < before.last
    seen, rewards, closed, _, infos = envs.step(actions)
    after, torch_rewards, torch_closed = torch_market.step(before, torch_market.orders[torch.from_numpy(actions)])
    wanted = accounts_of(envs)
    for name, mine, theirs in zip(Account._fields, after, wanted, strict=True):
        assert torch.equal(mine[live], theirs[live]), name
    if envs.settings.reward == "log":  # every machine has its own logarithm
        assert torch_rewards[live].numpy() == pytest.approx(rewards[live], rel=1e-14, abs=1e-16)
    else:
        assert torch_rewards[live].tolist() == rewards[live].tolist()
    assert torch_closed[live].tolist() == closed[live].tolist()
    assert torch.equal(torch_market.masks(wanted), torch.from_numpy(infos["action_mask"] == 1))
    flat = np.concatenate([part.reshape(len(part), -1) for part in (seen["window"], seen["account"])], axis=1)
    assert torch.equal(torch_market.observe(wanted), torch.from_numpy(flat))


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    costs=st.sampled_from(COSTS),
    cash=st.sampled_from([9_000.0, 100.0, 1e9]),
    units=st.sampled_from([(20, 10), (1_000_003, 3)]),
    reward=st.sampled_from(["pnl", "log", "excess"]),
    order_policy=st.sampled_from(["clip", "reject"]),
    decision_every=st.sampled_from([1, 5, 100]),
    features=st.sampled_from(["relative", "raw"]),
)
def test_a_step_in_torch_is_the_compiled_step_to_the_bit(
    seed, costs, cash, units, reward, order_policy, decision_every, features
):
    envs = market(
        4,
        prices=[paying_table(seed), paying_table(seed + 1, "TOO")],
        costs=costs,
        initial_cash=cash,
        units=units,
        reward=reward,
        order_policy=order_policy,
        decision_every=decision_every,
        features=features,
    )
    torch_market = TorchMarket(envs.accounts, "cpu")
    rng = np.random.default_rng(seed)
    envs.reset(seed=seed)
    for _ in range(30):
        assert_one_step_is_the_same(envs, torch_market, rng.choice([0, 0, 1, 2, 3, 4], 4))


@settings(max_examples=300)
@given(
    cents=st.integers(1, 100_000),
    count=st.integers(0, 1_000_000),
    beside=st.integers(-2, 2),
    held=st.integers(0, 50),
    order=st.integers(-60, 60) | st.sampled_from([ALL, -ALL]) | st.none(),
    near=st.integers(-1, 2),
    part=st.sampled_from([1.0, 1.0, 0.5, 0.0]),
    costs=st.sampled_from([*COSTS, Costs(commission=0.0, slippage_bps=7.0)]),
    clip=st.booleans(),
)
# The quotient may be rounded to just below the answer, and to one above it.
@example(cents=12_133, count=970, beside=0, held=0, order=ALL, near=0, part=1.0, costs=COSTS[1], clip=True)
@example(cents=12_739, count=511, beside=-1, held=0, order=ALL, near=0, part=1.0, costs=COSTS[2], clip=True)
def test_an_order_at_the_very_edge_of_what_cash_covers_is_filled_as_the_ledger_fills_it(
    cents, count, beside, held, order, near, part, costs, clip
):
    order = max(0, count + near) if order is None else order
    price = cents / 100
    commission, fixed_fee, slippage = costs.rates
    value = count * (price * (1 + slippage))
    cash = part * (value + (fixed_fee + commission * value))  # all of it pays for `count` units, but for roundings
    for _ in range(abs(beside)):
        cash = max(0.0, float(np.nextafter(cash, cash + beside)))
    torch_market = TorchMarket(market(costs=costs).accounts, "cpu")
    exact = {"dtype": torch.float64}
    arguments = torch.tensor(cash, **exact), torch.tensor(held), torch.tensor(order), torch.tensor(price, **exact)
    after = torch_market._fill_order(*arguments, clip=clip)
    assert [part.item() for part in after] == list(fill_order(cash, held, order, price, costs.rates, clip)[:2])
    sold = torch_market._liquidate(arguments[0], arguments[1], arguments[3])
    assert sold.item() == liquidate(cash, held, price, costs.rates)[0]


def test_a_closed_account_stays_as_it_is():
    envs = market()
    torch_market = TorchMarket(envs.accounts, "cpu")
    envs.reset(seed=0)
    for _ in range(12):
        envs.step(np.zeros(3, np.int64))
    closed = accounts_of(envs)
    assert torch.equal(closed.row, closed.last)
    after, rewards, over = torch_market.step(closed, torch.full((3,), 20))
    assert all(torch.equal(*pair) for pair in zip(after, closed, strict=True))
    assert rewards.tolist() == [0.0] * 3
    assert over.all()


def test_an_account_that_fees_have_emptied_counts_as_one_cent_and_has_no_shares():
    envs = market(1, reward="log", costs=Costs(fixed_fee=5_000.0))
    torch_market, close = TorchMarket(envs.accounts, "cpu"), envs.accounts.market.close
    start = Account(torch.tensor([1.0]).double(), torch.tensor([1]), torch.tensor([30]), torch.tensor([31]))
    after, rewards, closed = torch_market.step(start, torch.tensor([-20]))
    assert [part.tolist() for part in after] == [[0.0], [0], [31], [31]]
    assert closed.all()
    assert rewards.tolist() == pytest.approx([np.log(0.01 / (1.0 + close[30]))])
    assert torch_market.shares(after).tolist() == [[0.0, 0.0, 0.0]]


def test_accounts_share_a_row_where_only_the_orders_differ():
    envs = market()
    torch_market = TorchMarket(envs.accounts, "cpu")
    envs.reset(seed=0)
    envs.step(np.zeros(3, np.int64))
    account = accounts_of(envs)
    wide = Account(*(part[:, None] for part in account))
    together, rewards, closed = torch_market.step(wide, torch_market.orders.expand(3, 5))
    assert together.cash.shape == together.units.shape == rewards.shape == (3, 5)
    assert together.row.shape == closed.shape == (3, 1)
    for action in range(5):
        alone, reward, _ = torch_market.step(account, torch_market.orders[action].expand(3))
        assert torch.equal(together.cash[:, action], alone.cash)
        assert torch.equal(rewards[:, action], reward)
        assert torch.equal(torch_market.shares(together)[:, action], torch_market.shares(alone))
        assert torch.equal(torch_market.masks(together)[:, action], torch_market.masks(alone))


def test_new_accounts_are_drawn_evenly_from_every_table_and_start():
    envs = market(length=70)  # 80 bars, window 5: starts on 6 rows of each table
    torch_market = TorchMarket(envs.accounts, "cpu")
    drawn = torch_market.open(12_000, torch.Generator().manual_seed(1))
    assert drawn.cash.tolist() == [9_000.0] * 12_000
    assert not drawn.units.any()
    assert torch.equal(drawn.last, drawn.row + 70)
    rows, counts = drawn.row.unique(return_counts=True)
    assert rows.tolist() == [*range(4, 10), *range(84, 90)]
    assert (counts - 1_000).abs().max() < 130  # four standard deviations of 30
    again = torch_market.open(12_000, torch.Generator().manual_seed(1))
    assert torch.equal(again.row, drawn.row)


def test_a_given_start_is_kept():
    envs = market(prices=[paying_table(1)], start=paying_table(1).dates[30])
    drawn = TorchMarket(envs.accounts, "cpu").open(5, torch.Generator().manual_seed(1))
    assert drawn.row.tolist() == [30] * 5


def test_more_cash_than_can_be_counted_in_units_is_refused():
    table = paying_table(1)
    bars = table.bars.copy()
    bars[:, :4] = bars[:, 5:] = 1e-3
    cheap = PriceTable("PENNY", table.dates, bars, source="by hand", min_bars=1)
    envs = EtfTradingVectorEnv(1, prices=cheap, window=5, length=12, initial_cash=1e10)
    with pytest.raises(ValueError, match="must buy at most 1,099,511,627,776 units, got 10,000,000,000"):
        TorchMarket(envs.accounts, "cpu")
