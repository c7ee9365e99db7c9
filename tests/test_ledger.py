"""The accounting: fills by hand, invariants on random orders, and a second opinion in exact fractions."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from etfgym.ledger import ALL, Costs, Curves, fill_order, implied_dividends, liquidate, run_orders, trade_day
from etfgym.prices import PriceTable

SHARED = Path(__file__).resolve().parents[2] / "shared/data/etf44_daily_to_2020.parquet"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="the 44 ETFs of ../shared/data are not on this machine")

FREE = Costs(commission=0.0)


# One order, by hand


@pytest.mark.parametrize(
    ("cash", "units", "order", "price", "costs", "clip", "wanted"),
    [
        # cash, units, filled, fee
        (1000.0, 0, 5, 100.0, FREE, True, (500.0, 5, 5, 0.0)),
        (1000.0, 3, -2, 100.0, FREE, True, (1200.0, 1, -2, 0.0)),
        (1000.0, 3, 0, 100.0, Costs(fixed_fee=7.0), True, (1000.0, 3, 0, 0.0)),
        # cash covers 9 of 20 units at 100 dollars and 0.1 %: 900 + 0.90
        (1000.0, 0, 20, 100.0, Costs(), True, (1000.0 - 900.9, 9, 9, 0.9)),
        (1000.0, 0, 20, 100.0, Costs(), False, (1000.0, 0, 0, 0.0)),
        # cash covers exactly what is wanted
        (20_000.0, 0, 20, 1000.0, FREE, True, (0.0, 20, 20, 0.0)),
        (20_000.0, 0, 20, 1000.0, FREE, False, (0.0, 20, 20, 0.0)),
        (19_999.99, 0, 20, 1000.0, FREE, True, (999.99, 19, 19, 0.0)),
        (19_999.99, 0, 20, 1000.0, FREE, False, (19_999.99, 0, 0, 0.0)),
        (1001.0, 0, 10, 100.0, Costs(), False, (0.0, 10, 10, 1.0)),
        (0.3, 0, ALL, 0.1, FREE, True, (0.3 - 2 * 0.1, 2, 2, 0.0)),  # 3 * 0.1 is above 0.3 in binary
        # nothing to spend, nothing to sell
        (0.0, 0, 20, 100.0, FREE, True, (0.0, 0, 0, 0.0)),
        (99.99, 0, 20, 100.0, FREE, True, (99.99, 0, 0, 0.0)),
        (1000.0, 0, -20, 100.0, FREE, True, (1000.0, 0, 0, 0.0)),
        # holdings cover 3 of 20
        (0.0, 3, -20, 100.0, Costs(), True, (300.0 - 0.3, 0, -3, 0.3)),
        (0.0, 3, -20, 100.0, Costs(), False, (0.0, 3, 0, 0.0)),
        (0.0, 20, -20, 100.0, Costs(), False, (2000.0 - 2.0, 0, -20, 2.0)),
        # a fixed fee is paid once an order, and it is kept back from what can be spent
        (1000.0, 0, 5, 100.0, Costs(commission=0, fixed_fee=7), True, (493.0, 5, 5, 7.0)),
        (1000.0, 0, 10, 100.0, Costs(commission=0, fixed_fee=7), True, (93.0, 9, 9, 7.0)),
        (1007.0, 0, 10, 100.0, Costs(commission=0, fixed_fee=7), True, (0.0, 10, 10, 7.0)),
        (7.0, 0, 10, 100.0, Costs(commission=0, fixed_fee=7), True, (7.0, 0, 0, 0.0)),
        (5.0, 0, 10, 100.0, Costs(commission=0, fixed_fee=7), True, (5.0, 0, 0, 0.0)),
        # slippage: buys above, sells below, commission on what is really paid
        (1000.0, 0, 5, 100.0, Costs(commission=0, slippage_bps=100), True, (495.0, 5, 5, 0.0)),
        (0.0, 5, -5, 100.0, Costs(commission=0, slippage_bps=100), True, (495.0, 0, -5, 0.0)),
        (2000.0, 0, 5, 100.0, Costs(commission=0.01, slippage_bps=100), True, (2000 - 505 - 5.05, 5, 5, 5.05)),
        (0.0, 5, -5, 100.0, Costs(commission=0.01, slippage_bps=100), True, (495 - 4.95, 0, -5, 4.95)),
        # a sale whose fee is above its proceeds is paid out of cash, or not made at all
        (5.0, 1, -1, 4.0, Costs(commission=0, fixed_fee=7), True, (2.0, 0, -1, 7.0)),
        (3.0, 1, -1, 4.0, Costs(commission=0, fixed_fee=7), True, (0.0, 0, -1, 7.0)),
        (2.0, 1, -1, 4.0, Costs(commission=0, fixed_fee=7), True, (2.0, 1, 0, 0.0)),
    ],
)
def test_an_order_by_hand(cash, units, order, price, costs, clip, wanted):
    filled = fill_order(cash, units, order, price, costs.rates, clip)
    assert filled == pytest.approx(wanted, abs=1e-9)
    assert filled[0] >= 0.0


@pytest.mark.parametrize(
    ("cash", "units", "price", "costs", "wanted"),
    [
        (50.0, 0, 100.0, Costs(fixed_fee=7), (50.0, 0.0)),
        (50.0, 3, 100.0, Costs(), (50 + 300 - 0.3, 0.3)),
        (50.0, 3, 100.0, Costs(commission=0, fixed_fee=7, slippage_bps=100), (50 + 297 - 7.0, 7.0)),
        (1.0, 3, 1.0, Costs(commission=0, fixed_fee=7), (0.0, 4.0)),  # the fee takes all there is, and no more
        (1.0, 6, 1.0, Costs(commission=0, fixed_fee=7), (0.0, 7.0)),
    ],
)
def test_a_liquidation_by_hand(cash, units, price, costs, wanted):
    assert liquidate(cash, units, price, costs.rates) == pytest.approx(wanted)


@settings(deadline=None, max_examples=300)
@given(
    cash=st.floats(0.0, 1e6),
    units=st.integers(1, 1000),
    price=st.floats(1e-6, 1e6),
    fixed_fee=st.floats(0.0, 1e9),
)
def test_a_liquidation_never_leaves_a_debt_and_never_loses_a_dollar(cash, units, price, fixed_fee):
    left, fee = liquidate(cash, units, price, Costs(fixed_fee=fixed_fee).rates)
    assert left >= 0.0
    assert left + fee == pytest.approx(cash + units * price, rel=1e-12)


@settings(deadline=None, max_examples=300)
@given(cash=st.floats(0.0, 1e9), price=st.floats(1e-3, 1e5), commission=st.sampled_from([0.0, 0.001, 0.0999]))
def test_an_order_for_everything_leaves_too_little_for_one_unit_more(cash, price, commission):
    rates = Costs(commission=commission).rates
    left, units, filled, _ = fill_order(cash, 0, ALL, price, rates, True)
    assert left >= 0.0
    assert units == filled >= 0
    assert left - price * (1 + commission) < 1e-12 * cash  # in exact numbers it is below zero


@settings(deadline=None, max_examples=300)
@given(
    units=st.integers(1, 10_000),
    cents=st.integers(1, 100_000),
    costs=st.sampled_from([FREE, Costs(), Costs(commission=0.003, fixed_fee=1.1), Costs(slippage_bps=7)]),
)
def test_cash_that_covers_an_order_to_the_last_digit_fills_it(units, cents, costs):
    commission, fixed_fee, slippage = costs.rates
    value = units * (cents / 100 * (1 + slippage))
    cash = value + (fixed_fee + commission * value)
    for clip in (True, False):
        assert fill_order(cash, 0, units, cents / 100, costs.rates, clip)[:3] == (0.0, units, units)
    assert fill_order(np.nextafter(cash, 0.0), 0, units, cents / 100, costs.rates, False)[2] == 0


@settings(deadline=None, max_examples=300)
@given(
    cash=st.floats(0.0, 1e9),
    order=st.sampled_from([1, 20, 10**9, ALL, -20, -ALL]),
    price=st.floats(1e-3, 1e5),
    costs=st.sampled_from([FREE, Costs(), Costs(commission=0.0999, fixed_fee=7, slippage_bps=50)]),
    clip=st.booleans(),
)
def test_two_tries_are_enough_for_any_number_of_units_that_makes_sense(cash, order, price, costs, clip):
    assert fill_order(cash, 15, order, price, costs.rates, clip, 2) == fill_order(
        cash, 15, order, price, costs.rates, clip
    )


def test_where_the_tries_are_too_few_the_cash_is_not_a_number():
    cash, units, filled, fee = fill_order(0.3, 0, ALL, 0.1, FREE.rates, True, 0)  # 3 * 0.1 is above 0.3 in binary
    assert math.isnan(cash)
    assert (units, filled, fee) == (0, 0, 0.0)


# A day, by hand


def test_the_dividend_is_paid_before_the_order_and_on_the_units_of_the_night_only():
    # 10 units, 2 dollars each: 20 dollars buy 2 units of 10, which earn no dividend themselves
    day = trade_day(0.0, 10, 5, 10.0, 11.0, 2.0, False, FREE.rates, True)
    assert day == (0.0, 12, 2, 0.0, 20.0, 132.0)


def test_units_sold_at_the_open_have_earned_the_dividend():
    assert trade_day(0.0, 10, -10, 10.0, 11.0, 2.0, False, FREE.rates, True) == (120.0, 0, -10, 0.0, 20.0, 120.0)


def test_on_the_last_day_the_order_fills_first_and_then_everything_is_sold_at_the_close():
    day = trade_day(1000.0, 5, 2, 100.0, 110.0, 0.0, True, Costs().rates, True)
    cash = 1000 - 200 - 0.2 + 770 - 0.77
    assert day == pytest.approx((cash, 0, 2, 0.97, 0.0, cash))


def test_costs_are_zero_to_ten_per_cent_a_fee_and_less_than_a_thousand_basis_points():
    assert Costs().rates == (0.001, 0.0, 0.0)
    assert Costs(commission=0, fixed_fee=1, slippage_bps=5).rates == (0.0, 1.0, 0.0005)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        (
            {"commission": 10},
            "commission is a fraction of traded value in [0, 0.1), got 10 (basis points? then write 0.001)",
        ),
        (
            {"commission": 0.5},
            "commission is a fraction of traded value in [0, 0.1), got 0.5 (basis points? then write 5e-05)",
        ),
        ({"commission": -0.1}, "commission is a fraction of traded value in [0, 0.1), got -0.1"),
        ({"commission": math.nan}, "commission is a fraction of traded value in [0, 0.1), got nan"),
        ({"fixed_fee": -1}, "fixed_fee is in dollars an order and >= 0, got -1"),
        ({"fixed_fee": math.inf}, "fixed_fee is in dollars an order and >= 0, got inf"),
        ({"slippage_bps": 1000}, "slippage_bps is in basis points in [0, 1000), got 1000"),
        ({"slippage_bps": math.nan}, "slippage_bps is in basis points in [0, 1000), got nan"),
    ],
)
def test_wrong_costs_are_refused_with_the_likely_fix(keywords, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Costs(**keywords)


# Dividends


def test_a_dividend_by_hand():
    # 2 dollars on 100: Adj Close of the day before is 98 % of the Close; then 1 dollar on 50, of which 1/50 is 2 %
    close = np.array([100.0, 99.0, 50.0, 51.0])
    adj_close = np.array([100 * 0.98 * 0.98, 99 * 0.98, 50 * 0.98, 51.0])
    assert implied_dividends(close, adj_close).tolist() == pytest.approx([0.0, 2.0, 0.0, 1.0], abs=1e-12)


@pytest.mark.parametrize(("step", "paid"), [(4e-6, 0.0), (-1e-3, 0.0), (6e-6, 6e-4), (1e-3, 0.1)])
def test_what_the_rounding_of_the_columns_leaves_is_no_dividend(step, paid):
    close = np.full(2, 100.0)
    adj_close = np.array([100.0 * (1 - step), 100.0])
    assert implied_dividends(close, adj_close).tolist() == pytest.approx([0.0, paid])


@needs_shared
@pytest.mark.parametrize(
    ("ticker", "day", "dollars"),
    [
        ("EWC", "2000-08-24", 5.057),
        ("EWG", "2000-08-24", 2.532),
        ("SPY", "2019-12-20", 1.570),
        ("SPY", "2019-03-15", 1.233),
    ],
)
def test_known_distributions_are_implied(ticker, day, dollars):
    frame = pd.read_parquet(SHARED).query("ticker == @ticker")
    table = PriceTable.from_frame(frame, ticker, "shared")
    row = int(np.flatnonzero(table.dates == np.datetime64(day))[0])
    implied = implied_dividends(table.close, table.adj_close)
    assert implied[row] == pytest.approx(dollars, abs=2e-3)
    assert np.count_nonzero(implied[row - 5 : row + 6]) == 1


@needs_shared
def test_funds_that_have_never_paid_imply_no_dividend():
    for ticker, frame in pd.read_parquet(SHARED).groupby("ticker"):
        if ticker in {"GLD", "SLV", "USO"}:
            assert not implied_dividends(frame["Close"].to_numpy(), frame["Adj Close"].to_numpy()).any()


# Whole paths of random orders

CENTS = st.integers(1, 50_000)


@st.composite
def paths(draw: st.DrawFn) -> dict:
    """Draw up to 30 days in whole cents, orders, and costs."""
    days = draw(st.integers(1, 30))

    def column(element: st.SearchStrategy) -> list:
        return draw(st.lists(element, min_size=days, max_size=days))

    return {
        "orders": column(st.one_of(st.sampled_from([0, 10, 20, -10, -20, ALL, -ALL]), st.integers(-300, 300))),
        "opens": column(CENTS),
        "closes": column(CENTS),
        "dividends": column(st.one_of(st.just(0), st.integers(0, 500))),
        "cash": draw(st.integers(1, 10_000_000)),
        "commission": draw(st.sampled_from(["0", "0.0005", "0.001", "0.02"])),
        "fixed_fee": draw(st.sampled_from(["0", "1.5", "7"])),
        "slippage_bps": draw(st.sampled_from(["0", "5", "150"])),
        "clip": draw(st.booleans()),
    }


def played(path: dict) -> Curves:
    costs = Costs(**{name: float(path[name]) for name in ("commission", "fixed_fee", "slippage_bps")})
    opens, closes, dividends = (np.array(path[name]) / 100 for name in ("opens", "closes", "dividends"))
    orders = np.array(path["orders"])
    return run_orders(orders, opens, closes, dividends, initial_cash=path["cash"] / 100, costs=costs, clip=path["clip"])


@settings(deadline=None, max_examples=200)
@given(path=paths())
def test_plain_python_and_the_compiled_loop_are_equal_to_the_bit(path):
    compiled = played(path)
    costs = Costs(**{name: float(path[name]) for name in ("commission", "fixed_fee", "slippage_bps")})
    cash, units = path["cash"] / 100, 0
    for day, order in enumerate(path["orders"]):
        last = day == len(path["orders"]) - 1
        prices = (path["opens"][day] / 100, path["closes"][day] / 100, path["dividends"][day] / 100)
        cash, units, filled, fees, paid, equity = trade_day(
            cash, units, order, *prices, last, costs.rates, path["clip"]
        )
        assert (units, filled) == (compiled.units[day + 1], compiled.filled[day + 1])
        money = np.array([cash, fees, paid, equity])
        curves = (compiled.cash, compiled.fees, compiled.dividends, compiled.equity)
        assert money.tobytes() == np.array([curve[day + 1] for curve in curves]).tobytes()


@settings(deadline=None, max_examples=200)
@given(path=paths())
def test_money_adds_up_on_every_day(path):
    curves = played(path)
    orders, opens, closes = (np.array(path[name]) for name in ("orders", "opens", "closes"))
    opens, closes, dividends = opens / 100, closes / 100, np.array(path["dividends"]) / 100
    commission, fixed_fee = float(path["commission"]), float(path["fixed_fee"])
    slippage = float(path["slippage_bps"]) / 1e4
    held, filled = curves.units, curves.filled[1:]

    assert np.all(curves.cash >= 0)
    assert np.all(held >= 0)
    assert np.array_equal(curves.cash[1:] + held[1:] * closes, curves.equity[1:])
    assert np.array_equal(curves.dividends[1:], held[:-1] * dividends)
    assert np.all((filled == 0) | (np.sign(filled) == np.sign(orders)))
    assert np.all(np.abs(filled) <= np.abs(orders))
    if not path["clip"]:
        assert np.all((filled == 0) | (filled == orders))

    # on the last day everything is sold at the close
    closing = held[-2] + filled[-1]
    assert np.array_equal(np.diff(held)[:-1], filled[:-1])
    assert held[-1] == 0
    assert curves.cash[-1] == curves.equity[-1]

    # fees are rate x turnover + fixed x orders, the closing fee being no more than there is
    prices = opens * (1 + slippage * np.sign(filled))
    order_fees = commission * np.abs(filled) * prices + fixed_fee * (filled != 0)
    closing_value = closing * closes[-1] * (1 - slippage)
    closing_fee = (commission * closing_value + fixed_fee) * (closing > 0)
    assert curves.fees[1:-1] == pytest.approx(order_fees[:-1], abs=1e-6)
    cash_before_closing = curves.cash[-2] + curves.dividends[-1] - filled[-1] * prices[-1] - order_fees[-1]
    closing_fee = min(closing_fee, cash_before_closing + closing_value)
    assert curves.fees[-1] == pytest.approx(order_fees[-1] + closing_fee, abs=1e-6)

    # profit = what was held over night and over day gained + dividends - fees - slippage
    nights = held[1:-1] * (opens[1:] - closes[:-1])
    days = (held[:-1] + filled) * (closes - opens)
    slipped = slippage * np.sum(np.abs(filled) * opens) + slippage * closing * closes[-1]
    profit = nights.sum() + days.sum() + curves.dividends.sum() - curves.fees.sum() - slipped
    assert curves.equity[-1] - curves.equity[0] == pytest.approx(profit, abs=1e-5)


def exact_account(path: dict) -> tuple[list[int], list[Fraction]]:
    """Play the path a second time, in exact fractions and by the words of the design; return fills and equity.

    Examples where a unit more or less is a matter of the last binary digit are left out: there floating point and
    exact numbers may rightly differ.
    """
    commission, fixed_fee = Fraction(path["commission"]), Fraction(path["fixed_fee"])
    slippage = Fraction(path["slippage_bps"]) / 10_000
    cash, held = Fraction(path["cash"], 100), 0
    fills, equity = [], [cash]
    for day, wanted in enumerate(path["orders"]):
        opening, close = Fraction(path["opens"][day], 100), Fraction(path["closes"][day], 100)
        cash += held * Fraction(path["dividends"][day], 100)
        traded = 0
        if wanted > 0:
            unit = opening * (1 + slippage) * (1 + commission)
            possible = (cash - fixed_fee) / unit
            assume(abs(possible - round(possible)) > Fraction(1, 10**9))
            traded = min(wanted, max(0, math.floor(possible)))
        elif wanted < 0:
            traded = -min(-wanted, held)
        if not path["clip"] and traded != wanted:
            traded = 0
        if traded:
            paid = opening * (1 + slippage if traded > 0 else 1 - slippage)
            left = cash - traded * paid - fixed_fee - commission * abs(traded) * paid
            assume(abs(left) > Fraction(1, 10**9))
            if left < 0:
                traded = 0  # a sale that cannot pay its fee
            else:
                cash, held = left, held + traded
        if day == len(path["orders"]) - 1 and held:
            value = held * close * (1 - slippage)
            cash, held = max(Fraction(0), cash + value - fixed_fee - commission * value), 0
        fills.append(traded)
        equity.append(cash + held * close)
    return fills, equity


@settings(deadline=None, max_examples=200)
@given(path=paths())
def test_a_second_account_in_exact_fractions_agrees_to_the_cent(path):
    fills, equity = exact_account(path)
    curves = played(path)
    assert curves.filled[1:].tolist() == fills
    assert max(abs(Fraction(mine) - exact) for mine, exact in zip(curves.equity.tolist(), equity, strict=True)) < 0.005


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**32))
def test_a_year_of_orders_stays_exact_to_a_thousandth_of_a_cent(seed):
    rng = np.random.default_rng(seed)
    path = {
        "orders": rng.choice([20, 10, 0, -10, -20], 252).tolist(),
        "opens": rng.integers(20_000, 30_000, 252).tolist(),
        "closes": rng.integers(20_000, 30_000, 252).tolist(),
        "dividends": (rng.integers(0, 200, 252) * (rng.random(252) < 0.02)).tolist(),
        "cash": 2_000_000,
        "commission": "0.001",
        "fixed_fee": "0",
        "slippage_bps": "5",
        "clip": True,
    }
    fills, equity = exact_account(path)
    curves = played(path)
    assert np.count_nonzero(fills) > 50
    assert curves.filled[1:].tolist() == fills
    assert float(equity[-1]) == pytest.approx(curves.equity[-1], abs=1e-5)


def test_paths_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"one shape \(L,\), got \(5,\), \(3,\), \(5,\), \(5,\)"):
        run_orders(np.zeros(5), np.ones(3), np.ones(5), np.zeros(5), initial_cash=1.0, costs=FREE)
    with pytest.raises(ValueError, match=r"one shape \(L,\)"):
        run_orders(np.zeros((2, 2)), np.ones((2, 2)), np.ones((2, 2)), np.zeros((2, 2)), initial_cash=1.0, costs=FREE)


def test_no_orders_leave_the_cash_as_it_was():
    curves = run_orders(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0), initial_cash=5.0, costs=FREE)
    assert curves.equity.tolist() == [5.0]
