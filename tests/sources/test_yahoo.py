"""Downloads: the network is replaced by frames in the shapes that yfinance has been seen to return."""

import logging
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from fake_yahoo import EXPLICIT, NOW, RateLimitError, bars, fetched

from etfgym.prices import COLUMNS, PriceError
from etfgym.sources import yahoo

# Both packages still use what pandas 3.1 deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Series.values returning:DeprecationWarning"),  # exchange_calendars 4.13
    pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning"),  # yfinance 1.7
]


# ------------------------------------------------------------------------------------------------ download


def test_a_download_says_explicitly_what_it_wants_one_symbol_at_a_time(fake, tmp_path):
    module = fake(bars(30), bars(30))
    yahoo.load(["SPY", "QQQ"], cache=tmp_path, min_bars=30)
    assert module.calls == [("SPY", {"period": "max", **EXPLICIT}), ("QQQ", {"period": "max", **EXPLICIT})]


def test_the_six_columns_are_taken_and_the_actions_left(fake, tmp_path):
    fake(bars(30))
    table = fetched(tmp_path)
    assert table.ticker == "SPY"
    assert table.to_frame().columns.tolist() == list(COLUMNS)
    assert table.bars[-1].tolist() == [101.5, 102.0, 100.0, 101.0, 1029.0, 101.0]


@pytest.mark.parametrize("order", [["Price", "Ticker"], ["Ticker", "Price"]])
def test_columns_of_two_levels_in_either_order_give_the_ticker_asked_for(fake, tmp_path, order):
    both = pd.concat({"QQQ": bars(30) * 2, "SPY": bars(30)}, axis=1, names=["Ticker", "Price"])
    fake(both.reorder_levels(order, axis=1))
    assert fetched(tmp_path).close[-1] == 101.0


def test_columns_of_two_levels_without_the_ticker_are_refused(fake, tmp_path):
    fake(pd.concat({"QQQ": bars(30)}, axis=1))
    with pytest.raises(PriceError, match="SPY: not among the columns that Yahoo sent"):
        fetched(tmp_path)


def test_an_empty_answer_says_why_and_that_the_symbol_may_be_delisted(fake, tmp_path):
    fake("possibly delisted; no timezone found")
    with pytest.raises(PriceError, match=r"SPY: Yahoo sent no bars \(possibly delisted.*check the symbol") as caught:
        fetched(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("answer", [None, bars(0)])
def test_an_empty_answer_without_a_word_is_refused_all_the_same(fake, tmp_path, answer):
    fake(answer)
    with pytest.raises(PriceError, match="SPY: Yahoo sent no bars; check the symbol"):
        fetched(tmp_path)
    assert yahoo.cached(tmp_path) == []


def test_a_missing_network_is_one_line(fake, tmp_path):
    fake(ConnectionError("name not resolved"))
    with pytest.raises(PriceError, match=r"SPY: Yahoo can't be reached \(name not resolved\); check the network"):
        fetched(tmp_path)


def test_a_missing_adj_close_is_refused_with_the_cure(fake, tmp_path):
    fake(bars(30).drop(columns="Adj Close"))
    with pytest.raises(PriceError, match="SPY: missing column Adj Close; download with auto_adjust=False"):
        fetched(tmp_path)


@pytest.mark.usefixtures("no_network")
def test_without_yfinance_a_download_names_the_extra_to_install(tmp_path):
    with pytest.raises(ModuleNotFoundError, match=r'yfinance is not installed; pip install "etfgym\[yahoo\]"'):
        yahoo.load(["SPY"], cache=tmp_path)


@pytest.mark.parametrize("ticker", ["../SPY", "A/B", "", "SPY QQQ", ".", "..", "SPY\n", "-rf"])
def test_what_could_name_another_file_is_refused_as_symbol(tmp_path, ticker):
    with pytest.raises(PriceError, match=r"is no symbol: letters, digits and \.\^=- only"):
        yahoo.fetch(ticker, cache=tmp_path)


@pytest.mark.parametrize("ticker", ["SPY", "BRK-B", "^GSPC", "EURUSD=X", "VUSA.L"])
def test_every_kind_of_yahoo_symbol_can_be_cached(fake, tmp_path, ticker):
    fake(bars(30))
    yahoo.fetch(ticker, cache=tmp_path, now=NOW)
    assert yahoo.cached(tmp_path) == [ticker]


def test_small_letters_name_the_same_symbol(fake, tmp_path):
    fake(bars(30))
    assert yahoo.fetch("spy", cache=tmp_path, now=NOW).ticker == "SPY"
    assert yahoo.load(["SPY"], cache=tmp_path, min_bars=30)[0].ticker == "SPY"


# ------------------------------------------------------------------------------------------------ rate limit


@pytest.mark.parametrize("surface", ["YFRateLimitError('Too Many Requests.')", RateLimitError()])
def test_the_rate_limit_is_waited_out_whether_logged_or_raised(fake, tmp_path, surface):
    module = fake(surface, surface, bars(30))
    waits = []
    fetched(tmp_path, backoff=yahoo.Backoff(sleep=waits.append))
    assert len(module.calls) == 3
    assert len(waits) == 2


def test_the_waits_grow_and_their_jitter_comes_from_the_generator(fake, tmp_path):
    def waits_of(seed):
        waits = []
        fake(*["YFRateLimitError('Too Many Requests.')"] * 5, bars(30))
        fetched(tmp_path / str(seed), backoff=yahoo.Backoff(sleep=waits.append, rng=np.random.default_rng(seed)))
        return waits

    jitter = np.random.default_rng(0).random(5)
    waits = waits_of(0)
    np.testing.assert_allclose(waits, 4.0 * 2.0 ** np.arange(5) * (1 + jitter))
    assert np.all(np.diff(waits) > 0)
    assert waits != waits_of(1)


def test_tries_are_bounded(fake, tmp_path):
    module = fake(*["YFRateLimitError('Too Many Requests.')"] * 3)
    waits = []
    with pytest.raises(PriceError, match="SPY: Yahoo answered 3 times that there were too many requests; try again"):
        fetched(tmp_path, backoff=yahoo.Backoff(tries=3, sleep=waits.append))
    assert len(module.calls) == 3
    assert len(waits) == 2


def test_another_failure_is_not_tried_again(fake, tmp_path):
    module = fake("possibly delisted", bars(30))
    with pytest.raises(PriceError, match="no bars"):
        fetched(tmp_path, backoff=yahoo.Backoff(sleep=pytest.fail))
    assert len(module.calls) == 1


def test_the_rate_limit_is_seen_by_somebody_who_has_muted_yfinance(fake, tmp_path):
    fake("YFRateLimitError('Too Many Requests.')", bars(30))
    logger = logging.getLogger("yfinance")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        assert len(fetched(tmp_path, backoff=yahoo.Backoff(sleep=lambda _: None))) == 30
        assert logger.level == logging.CRITICAL + 1
        assert logger.handlers == []
    finally:
        logger.setLevel(before)


def test_the_installed_yfinance_surfaces_its_rate_limit_as_we_think(monkeypatch, tmp_path):
    yfinance = pytest.importorskip("yfinance")
    data = pytest.importorskip("yfinance.data")
    yfinance.set_tz_cache_location(str(tmp_path / "tz"))

    def too_many(*_, **__):
        raise yfinance.exceptions.YFRateLimitError

    monkeypatch.setattr(data.YfData, "_make_request", too_many)
    waits = []
    with pytest.raises(PriceError, match="Yahoo answered 2 times"):
        fetched(tmp_path, backoff=yahoo.Backoff(tries=2, sleep=waits.append))
    assert len(waits) == 1


def test_the_installed_yfinance_turns_an_answer_of_yahoo_into_a_frame_that_we_read(monkeypatch, tmp_path):
    yfinance = pytest.importorskip("yfinance")
    data = pytest.importorskip("yfinance.data")
    yfinance.set_tz_cache_location(str(tmp_path / "tz"))
    seconds = [
        int(pd.Timestamp(f"{day} 09:30", tz="America/New_York").timestamp()) for day in ("2024-03-08", "2024-03-11")
    ]
    quote = {"open": [1.0, 2.0], "high": [3.0, 4.0], "low": [0.5, 1.5], "close": [2.0, 3.0], "volume": [10, 20]}
    meta = {"exchangeTimezoneName": "America/New_York", "instrumentType": "ETF", "currency": "USD", "priceHint": 2}
    result = {
        "meta": {**meta, "validRanges": ["max"]},
        "timestamp": seconds,
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": [1.0, 1.5]}]},
    }
    answer = SimpleNamespace(text="{}", json=lambda: {"chart": {"result": [result], "error": None}})
    monkeypatch.setattr(data.YfData, "get", lambda *_, **__: answer)
    monkeypatch.setattr(data.YfData, "cache_get", lambda *_, **__: answer)
    table = fetched(tmp_path)
    assert table.dates.astype(str).tolist() == ["2024-03-08", "2024-03-11"]  # the clocks went forward between them
    assert table.bars.tolist() == [[1.0, 3.0, 0.5, 2.0, 10.0, 1.0], [2.0, 4.0, 1.5, 3.0, 20.0, 1.5]]


# ------------------------------------------------------------------------------------------------ days and sessions


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "UTC"])
def test_a_timezone_is_dropped_and_the_calendar_day_kept_across_daylight_saving(fake, tmp_path, zone):
    plain = bars(30)  # New York's clocks went forward on 2024-03-10, inside these days
    fake(plain.tz_localize(zone))
    assert fetched(tmp_path).dates.tolist() == plain.index.date.tolist()


@pytest.mark.parametrize(
    ("now", "last"),
    [
        ("2024-03-15 19:59:59", "2024-03-14"),  # summer time: the close is at 20:00 UTC
        ("2024-03-15 20:00:00", "2024-03-15"),
        ("2024-03-08 20:59:59", "2024-03-07"),  # winter time: 21:00 UTC
        ("2024-03-08 21:00:00", "2024-03-08"),
        ("2023-11-24 17:59:59", "2023-11-23"),  # the day after Thanksgiving closes at 13:00 in New York
        ("2023-11-24 18:00:00", "2023-11-24"),
        ("2024-03-30 03:59:59", "2024-03-28"),  # Good Friday has no session: such a day ends at midnight in New York
        ("2024-03-30 04:00:00", "2024-03-29"),
    ],
)
def test_a_bar_of_a_session_not_over_yet_is_left_out(fake, tmp_path, capsys, now, last):
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    day = (pd.Timestamp(now) - pd.Timedelta(hours=5)).date()
    fake(bars(30, last=str(day)))
    table = yahoo.fetch("SPY", cache=tmp_path, now=moment)
    assert str(table.dates[-1]) == last
    assert (f"SPY: bar of {day} left out: its session is not over" in capsys.readouterr().err) == (last != str(day))


def test_a_last_row_without_any_price_is_left_out_with_a_line(fake, tmp_path, capsys):
    frame = bars(30)
    frame.loc["2024-03-15", ["Open", "High", "Low", "Close", "Adj Close"]] = np.nan
    fake(frame)
    assert str(fetched(tmp_path).dates[-1]) == "2024-03-14"
    assert "SPY: bar of 2024-03-15 left out: it has no prices yet" in capsys.readouterr().err


def test_a_last_row_with_some_prices_is_refused(fake, tmp_path):
    frame = bars(30)
    frame.loc["2024-03-15", "Adj Close"] = np.nan
    fake(frame)
    with pytest.raises(PriceError, match="SPY: Adj Close is NaN on 2024-03-15"):
        fetched(tmp_path)


def test_a_row_without_prices_in_the_middle_is_refused_or_repaired_when_asked(fake, tmp_path):
    frame = bars(30)
    frame.loc["2024-03-13", ["Open", "High", "Low", "Close", "Adj Close"]] = np.nan
    fake(frame, frame)
    with pytest.raises(PriceError, match="SPY: Open is NaN on 2024-03-13; pass repair=True to drop the row"):
        fetched(tmp_path)
    assert len(fetched(tmp_path, repair=True)) == 29


@pytest.mark.parametrize("column", ["Open", "High", "Low", "Close", "Adj Close"])
def test_a_single_price_that_is_missing_is_refused(fake, tmp_path, column):
    frame = bars(30)
    frame.loc["2024-03-13", column] = np.nan
    fake(frame)
    with pytest.raises(PriceError, match=f"SPY: {column} is NaN on 2024-03-13"):
        fetched(tmp_path)


def test_high_and_low_that_miss_open_and_close_by_rounding_are_moved_onto_them(fake, tmp_path):
    frame = bars(30)
    frame.loc["2024-03-13", ["Open", "High", "Low", "Close"]] = [99.0, 100.0 * (1 - 1e-7), 99.0 * (1 + 1e-7), 100.0]
    frame["Adj Close"] = frame["Close"]
    fake(frame)
    assert fetched(tmp_path).to_frame().loc["2024-03-13", ["High", "Low"]].tolist() == [100.0, 99.0]


@pytest.mark.parametrize(("column", "value"), [("High", 100.0 * (1 - 2e-6)), ("Low", 100.5 * (1 + 2e-6))])
def test_what_misses_by_more_than_rounding_is_refused(fake, tmp_path, column, value):
    frame = bars(29)  # the last day's Close is 100.0 and its Open 100.5
    frame.loc["2024-03-15", column] = value
    fake(frame)
    with pytest.raises(PriceError, match=f"SPY: {column} is .* on 2024-03-15; pass repair=True to widen"):
        fetched(tmp_path)
