"""Examples from price tables: what a window shows, what followed it, and in which part it is."""

import numpy as np
import pytest

from etfgym.envs.etf import EtfTradingEnv
from etfgym.prices import PriceError, PriceTable
from etfgym.sources.worlds import make_world
from etfgym.tasks.pretrain import HORIZON, follows
from etfgym.tasks.windows import (
    LEAST_VOLATILITY,
    Dataset,
    load_source,
    next_close,
    overnight,
    split_by_years,
    volatility,
    windows_of,
)

WORLD = make_world("random-walk", 1, bars=8 * 261)


def table_of(closes, opens, adjusted, ticker="TOY"):
    """Return bars of these prices, on days in a row."""
    opens, closes, adjusted = (np.array(prices, float) for prices in (opens, closes, adjusted))
    high, low = np.maximum(opens, closes), np.minimum(opens, closes)
    bars = np.column_stack((opens, high, low, closes, np.full(len(closes), 1000.0), adjusted))
    days = np.datetime64("2020-01-01") + np.arange(len(closes))
    return PriceTable(ticker, days, bars, source="by hand", min_bars=1)


def changed_after(table, t):
    """Return the table with every number after row t another one."""
    bars = table.bars.copy()
    bars[t + 1 :] *= 1.5
    return PriceTable(table.ticker, table.dates, bars, table.source)


def test_a_window_is_to_the_bit_what_the_environment_shows_at_its_last_row():
    windows = windows_of(WORLD, 20)
    for t in (19, 500, 1500):
        shown, _ = EtfTradingEnv(prices=WORLD).reset(seed=0, options={"start": WORLD.dates[t]})
        np.testing.assert_array_equal(windows[t - 19], shown)


@pytest.mark.parametrize(("follow", "horizon"), [(overnight, 1), (next_close, 1), (follows, HORIZON)])
def test_rows_after_what_followed_never_change_an_example(follow, horizon):
    t = 700
    before = Dataset.of([WORLD], 20, follow, horizon)
    after = Dataset.of([changed_after(WORLD, t)], 20, follow, horizon)
    seen, known = t - 19 + 1, t - horizon - 19 + 1  # examples whose window, and whose sequel, ends by row t
    np.testing.assert_array_equal(before.windows[:seen], after.windows[:seen])
    np.testing.assert_array_equal(before.volatility[:seen], after.volatility[:seen])
    np.testing.assert_array_equal(before.follows[:known], after.follows[:known])
    assert not np.array_equal(before.follows[known], after.follows[known])
    assert before.last[known - 1] == WORLD.dates[t]


def test_an_example_joins_its_window_to_the_bar_after_it():
    data = Dataset.of([WORLD], 20, overnight)
    assert len(data) == len(WORLD) - 20
    np.testing.assert_array_equal(data.first, WORLD.dates[20:])
    np.testing.assert_allclose(data.follows[0, 0], np.log(WORLD.open[20] / WORLD.close[19]))
    np.testing.assert_allclose(data.follows[-1, 0], np.log(WORLD.open[-1] / WORLD.close[-2]))


def test_the_night_before_an_ex_date_is_told_with_the_dividend():
    # From 100 to an open of 99 with a dividend of 1: who held over the night has 100.
    table = table_of(closes=[100.0, 99.0], opens=[100.0, 99.0], adjusted=[99.0, 99.0])
    np.testing.assert_allclose(overnight(table), [[0.0]], atol=1e-12)


def test_the_next_close_is_told_as_it_stands_in_the_table():
    table = table_of(closes=[100.0, 99.0], opens=[100.0, 99.0], adjusted=[99.0, 99.0])
    np.testing.assert_allclose(next_close(table), [[np.log(0.99)]])


def test_pre_training_looks_at_one_day_and_at_five_with_dividends():
    returns = np.array([0.01, -0.02, 0.03, 0.0, 0.02, 0.01])
    closes = 100 * np.exp(np.cumsum(np.append(0.0, returns)))
    told = follows(table_of(closes, closes, closes))
    rms = np.sqrt((returns[:5] ** 2).mean())
    np.testing.assert_allclose(told[0], [0.01, 0.04, rms])
    assert told.shape == (2, 3)
    paid = table_of(closes=[100.0, 99.0] + [99.0] * 4, opens=[99.0] * 6, adjusted=[99.0] * 6)  # 1 on the second day
    np.testing.assert_allclose(follows(paid), [[0.0, 0.0, LEAST_VOLATILITY]], atol=1e-12)


def test_the_volatility_of_equal_closes_can_be_divided_by():
    np.testing.assert_array_equal(volatility(np.full(5, 100.0), 5), [LEAST_VOLATILITY])


def test_no_part_sees_what_followed_in_another():
    train, valid, test = split_by_years(Dataset.of([WORLD], 20, follows, HORIZON), 2, 3)
    assert train.last.max() < np.datetime64("2003-01-01") <= valid.first.min()
    assert valid.last.max() < np.datetime64("2005-01-01") <= test.first.min()
    # Four examples at each of the two borders reach over it, and are in no part.
    assert len(train) + len(valid) + len(test) == len(WORLD) - 19 - HORIZON - 2 * (HORIZON - 1)


def test_all_tickers_are_split_on_the_same_days_and_nothing_after_the_shortest_counts():
    other = make_world("random-walk", 2, bars=9 * 261)  # a year longer
    parts = split_by_years(Dataset.of([WORLD, other], 20, overnight), 2, 3)
    for part in parts:
        ours, theirs = (part.of_ticker(ticker) for ticker in (WORLD.ticker, other.ticker))
        np.testing.assert_array_equal(ours.first, theirs.first)
    assert parts[2].last.max() == WORLD.dates[-1]


def test_a_history_too_short_to_train_on_is_refused_with_what_there_is():
    with pytest.raises(PriceError, match=r"^240 examples before 2001 are too few .* 2000-01-31 to .* longer history$"):
        split_by_years(Dataset.of([make_world("trend", bars=5 * 261)], 20, overnight), 1, 3)


def test_a_table_shorter_than_a_window_is_refused():
    with pytest.raises(PriceError, match="TOY: a window takes 20 bars, got 2"):
        windows_of(table_of([100.0] * 2, [100.0] * 2, [100.0] * 2), 20)


def test_a_source_in_one_word_may_name_tickers_or_a_universe(tmp_path):
    for ticker in ("AAA", "BBB"):
        WORLD.to_frame().to_csv(tmp_path / f"{ticker}.csv")
    assert [table.ticker for table in load_source(f"{tmp_path}:BBB,AAA")] == ["BBB", "AAA"]
    assert [table.ticker for table in load_source(str(tmp_path))] == ["AAA", "BBB"]
    assert [table.ticker for table in load_source("builtin:builtin")] == ["SP500", "NASDAQ"]
    assert load_source("world:planted:3")[0].sha256 == make_world("planted", 3).sha256
    assert [table.ticker for table in load_source("world:planted")] == ["PLANTED-0"]


def test_a_path_with_a_colon_in_it_is_a_path(tmp_path):
    file = tmp_path / "x:AAA.csv"
    WORLD.to_frame().to_csv(file)
    assert len(load_source(str(file))[0]) == len(WORLD)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("yahoo", "yahoo: say which tickers, for example yahoo:SPY,QQQ"),
        ("builtin:SP50", r"SP50: not in builtin \(did you mean SP500\?\)"),
        ("nowhere.csv", "nowhere.csv"),
        ("world:plantd", "did you mean 'planted'"),
    ],
)
def test_a_source_that_is_not_there_is_refused_with_a_cure(source, message):
    with pytest.raises(ValueError, match=message):
        load_source(source)
