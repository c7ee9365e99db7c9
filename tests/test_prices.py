"""PriceTable: every check, every repair with its account, and real ETFs that pass untouched."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from etfgym.prices import COLUMNS, MIN_BARS, PriceError, PriceTable

SHARED = Path(__file__).resolve().parents[2] / "shared/data/etf44_daily_to_2020.parquet"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="the 44 ETFs of ../shared/data are not on this machine")

DAYS = np.busday_offset("2020-01-06", np.arange(300))
"""Row 5 is 2020-01-13."""

Change = Callable[[pd.DataFrame], pd.DataFrame]


def bars(dividend: float = 0.0) -> pd.DataFrame:
    """300 days around 100 dollars; `dividend` is the fraction paid every 50 days."""
    close = 100.0 + np.arange(300) % 7
    opening = np.append(close[0], close[:-1])
    later_payments = (299 - np.arange(300)) // 50
    columns = {
        "Open": opening,
        "High": np.maximum(opening, close) + 1.0,
        "Low": np.minimum(opening, close) - 1.0,
        "Close": close,
        "Volume": 1000.0 + np.arange(300),
        "Adj Close": close * (1.0 - dividend) ** later_payments,
    }
    return pd.DataFrame(columns, index=pd.DatetimeIndex(DAYS.astype("datetime64[s]"), name="Date"))


def table(frame: pd.DataFrame, *, repair: bool = False) -> PriceTable:
    return PriceTable.from_frame(frame, "TOY", "by hand", repair=repair)


def with_cell(column: str, value: object, row: int = 5) -> Change:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.astype({column: object}) if isinstance(value, str) else frame
        frame.iloc[row, frame.columns.get_loc(column)] = value
        return frame

    return change


def with_dates(change_dates: Callable[[list[str]], list[object]]) -> Change:
    """Put the dates into a `Date` column after changing them."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        dates = change_dates([str(day) for day in DAYS])
        return frame.reset_index(drop=True).assign(Date=dates)

    return change


def with_split(ratio: float, row: int = 100) -> Change:
    """Undo the adjustment of the bars before `row` for a split of `ratio` new units for an old one."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame.iloc[:row, frame.columns.get_indexer(["Open", "High", "Low", "Close"])] *= ratio
        frame.iloc[:row, frame.columns.get_loc("Volume")] /= ratio
        return frame

    return change


def two_levels(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat({"TOY": frame}, axis=1)


FAULTS: dict[str, tuple[Change, str]] = {
    "columns of two levels": (two_levels, "TOY: the columns have 2 levels; select one ticker's columns first"),
    "no Adj Close": (
        lambda frame: frame.drop(columns="Adj Close"),
        "TOY: missing column Adj Close; download with auto_adjust=False",
    ),
    "two columns missing": (
        lambda frame: frame.drop(columns=["Open", "Volume"]),
        "TOY: missing column Open, Volume; wanted: Open, High, Low, Close, Volume, Adj Close",
    ),
    "a column twice": (
        lambda frame: pd.concat([frame, frame["Close"]], axis=1),
        "TOY: column Close is there more than once; keep the right one",
    ),
    "no rows": (lambda frame: frame.iloc[:0], "TOY: the table is empty; check the symbol and the dates asked for"),
    "no dates": (
        lambda frame: frame.reset_index(drop=True),
        "TOY: no dates; give them as the index or in a column named Date",
    ),
    "a date that is none": (
        with_dates(lambda days: ["soon", *days[1:]]),
        "TOY: unreadable date (*soon); write dates as YYYY-MM-DD*",
    ),
    "a row without a date": (
        with_dates(lambda days: [*days[:3], None, *days[4:]]),
        "TOY: row 3 has no date; remove the row or fill in its date",
    ),
    "text for a number": (
        with_cell("Close", "N/A"),
        "TOY: Close on 2020-01-13 is not a number: 'N/A'; correct the file",
    ),
    "a timezone": (
        lambda frame: frame.tz_localize("America/New_York"),
        "TOY: dates carry the timezone America/New_York; pass repair=True to keep the exchange's calendar day",
    ),
    "a day twice": (
        with_dates(lambda days: [*days[:5], days[4], *days[6:]]),
        "TOY: duplicate date on 2020-01-10; pass repair=True to keep the last of each day",
    ),
    "two days swapped": (
        with_dates(lambda days: [*days[:5], days[6], days[5], *days[7:]]),
        "TOY: unsorted date on 2020-01-13; pass repair=True to sort",
    ),
    "NaN": (
        with_cell("Volume", np.nan),
        "TOY: Volume is NaN on 2020-01-13; pass repair=True to drop the row, or fetch it again",
    ),
    "infinity": (with_cell("High", np.inf), "TOY: High is NaN on 2020-01-13; pass repair=True to drop the row*"),
    "Open of zero": (
        with_cell("Open", 0.0),
        "TOY: Open is not positive on 2020-01-13; remove the row or correct the price",
    ),
    "Low below zero": (with_cell("Low", -1.0), "TOY: Low is not positive on 2020-01-13; *"),
    "High of zero": (with_cell("High", 0.0), "TOY: High is not positive on 2020-01-13; *"),
    "Close of zero": (with_cell("Close", 0.0), "TOY: Close is not positive on 2020-01-13; *"),
    "Adj Close of zero": (with_cell("Adj Close", 0.0), "TOY: Adj Close is not positive on 2020-01-13; *"),
    "a price of ten billion dollars": (
        with_cell("High", 1e10),
        "TOY: High is outside 1e-06 to 1e+09 dollars on 2020-01-13; correct the price or its unit",
    ),
    "a price of a millionth of a cent": (
        with_cell("Low", 1e-8),
        "TOY: Low is outside 1e-06 to 1e+09 dollars on 2020-01-13; correct the price or its unit",
    ),
    "negative volume": (
        with_cell("Volume", -1.0),
        "TOY: Volume is outside 0 to 1e+15 on 2020-01-13; correct the volume",
    ),
    "impossible volume": (with_cell("Volume", 1e16), "TOY: Volume is outside 0 to 1e+15 on 2020-01-13; *"),
    "High below Close": (
        with_cell("High", 104.5),
        "TOY: High is below Open, Low or Close on 2020-01-13; pass repair=True to widen *",
    ),
    "Low above Open": (
        with_cell("Low", 104.5),
        "TOY: Low is above Open, High or Close on 2020-01-13; pass repair=True to widen *",
    ),
    "a 2:1 split": (
        with_split(2.0),
        (
            "TOY: Close jumps and Adj Close does not, by a fraction that looks like an unapplied split on 2020-05-25; "
            "pass repair=True to apply it if it is a usual one such as 2:1, or fetch split-adjusted bars"
        ),
    ),
    "a 3:1 split": (with_split(3.0), "TOY: Close jumps *unapplied split on 2020-05-25; pass repair=True to apply it*"),
    "a reverse 1:10 split": (with_split(0.1), "TOY: *unapplied split on 2020-05-25; pass repair=True to apply it*"),
    "a factor that falls": (
        with_cell("Adj Close", 104.9),
        (
            "TOY: Adj Close / Close falls: Adj Close mixes with unadjusted bars on 2020-01-13; "
            "take Close and Adj Close from one download"
        ),
    ),
    "Adj Close above Close": (
        lambda frame: frame.assign(**{"Adj Close": frame["Close"] * 1.001}),
        (
            "TOY: Adj Close is above Close: Adj Close mixes with unadjusted bars on 2020-01-06 and 299 other days; "
            "take Close and Adj Close from one download"
        ),
    ),
    "too short": (
        lambda frame: frame.iloc[: MIN_BARS - 1],
        (
            "TOY: 271 bars from 2020-01-06 to 2021-01-18, fewer than the 272 of a window and a year; "
            "fetch a longer history, or pass a smaller min_bars and a shorter episode"
        ),
    ),
}

CURABLE = {
    "a timezone",
    "a day twice",
    "two days swapped",
    "NaN",
    "infinity",
    "High below Close",
    "Low above Open",
    "a 2:1 split",
    "a 3:1 split",
    "a reverse 1:10 split",
}


def matches(message: str, pattern: str) -> bool:
    """Whether the message is the pattern, a `*` standing for anything (fnmatch would read the brackets)."""
    parts = pattern.split("*")
    at = 0
    for part in parts:
        found = message.find(part, at)
        if found < 0 or (at == 0 and part is parts[0] and found != 0):
            return False
        at = found + len(part)
    return parts[-1] == "" or message.endswith(parts[-1])


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_refused_in_one_line_with_ticker_date_and_cure(name):
    change, wanted = FAULTS[name]
    with pytest.raises(PriceError) as refused:
        table(change(bars()))
    message = str(refused.value)
    assert matches(message, wanted), message
    assert "\n" not in message


@pytest.mark.parametrize("name", sorted(set(FAULTS) - CURABLE))
def test_a_fault_without_a_safe_cure_is_refused_with_repair_as_well(name, capsys):
    change, _ = FAULTS[name]
    with pytest.raises(PriceError, match=r"^TOY: "):
        table(change(bars()), repair=True)
    assert capsys.readouterr().err == ""


def test_bars_of_another_shape_than_the_dates_are_refused():
    with pytest.raises(PriceError, match=r"TOY: bars must have shape \(300, 6\) to go with the dates, got \(300, 5\)"):
        PriceTable("TOY", DAYS, np.ones((300, 5)), source="by hand")


def test_a_clean_frame_needs_no_repair_and_says_nothing(capsys):
    clean = table(bars(dividend=0.01))
    assert table(bars(dividend=0.01), repair=True).sha256 == clean.sha256
    assert capsys.readouterr() == ("", "")


def repaired(change: Change, capsys: pytest.CaptureFixture[str]) -> tuple[PriceTable, str]:
    """Return the repaired table and what was printed; the frame handed in must not change."""
    frame = change(bars())
    before = frame.copy(deep=True)
    mended = table(frame, repair=True)
    pd.testing.assert_frame_equal(frame, before)
    printed = capsys.readouterr()
    assert printed.out == ""
    return mended, printed.err


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "UTC"])
def test_repair_drops_a_timezone_and_keeps_the_exchanges_day(zone, capsys):
    mended, account = repaired(lambda frame: frame.tz_localize(zone), capsys)
    assert mended.sha256 == table(bars()).sha256
    assert account == f"TOY: repaired: timezone {zone} dropped, calendar days kept\n"


def test_repair_sorts_dates(capsys):
    mended, account = repaired(lambda frame: frame.iloc[::-1], capsys)
    assert mended.sha256 == table(bars()).sha256
    assert account == "TOY: repaired: dates sorted\n"


def test_repair_keeps_the_last_of_each_day(capsys):
    def with_wrong_row_before_the_right_one(frame: pd.DataFrame) -> pd.DataFrame:
        wrong = frame.iloc[[5]] * 1.001
        return pd.concat([frame.iloc[:5], wrong, frame.iloc[5:]])

    mended, account = repaired(with_wrong_row_before_the_right_one, capsys)
    assert mended.sha256 == table(bars()).sha256
    assert account == "TOY: repaired: 1 duplicate rows dropped, the last of each day kept (2020-01-13)\n"


def test_repair_keeps_the_last_of_each_day_of_an_unsorted_frame(capsys):
    mended, account = repaired(lambda frame: pd.concat([frame.iloc[[7]] * 1.001, frame]), capsys)
    assert mended.sha256 == table(bars()).sha256
    assert "dates sorted" in account
    assert "1 duplicate rows dropped, the last of each day kept (2020-01-15)" in account


@pytest.mark.parametrize("hole", [np.nan, np.inf])
def test_repair_drops_rows_with_holes_and_names_them(hole, capsys):
    def with_holes(frame: pd.DataFrame) -> pd.DataFrame:
        for row in range(5, 10):
            frame = with_cell("Open", hole, row)(frame)
        return frame

    mended, account = repaired(with_holes, capsys)
    assert np.array_equal(mended.bars, np.delete(table(bars()).bars, range(5, 10), axis=0))
    wanted = "TOY: repaired: 5 rows with NaN dropped (2020-01-13, 2020-01-14, 2020-01-15 and 2 more)\n"
    assert account == wanted


def test_a_frame_of_nothing_but_holes_is_refused_as_empty(capsys):
    with pytest.raises(PriceError, match="TOY: the table is empty"):
        table(bars() * np.nan, repair=True)
    assert "300 rows with NaN dropped" in capsys.readouterr().err


@pytest.mark.parametrize(("column", "value", "row5"), [("High", 104.5, (104, 105)), ("Low", 104.5, (104, 106))])
def test_repair_widens_high_and_low_to_hold_open_and_close(column, value, row5, capsys):
    mended, account = repaired(with_cell(column, value), capsys)  # Open 104, High 106, Low 103, Close 105
    low, high = row5
    if column == "High":
        low = 103
    assert mended.bars[5].tolist() == [104.0, high, low, 105.0, 1005.0, 105.0]
    assert np.array_equal(np.delete(mended.bars, 5, axis=0), np.delete(table(bars()).bars, 5, axis=0))
    assert account == "TOY: repaired: High and Low widened to hold Open and Close on 1 days (2020-01-13)\n"


@pytest.mark.parametrize(("ratio", "shown"), [(2.0, "2"), (3.0, "3"), (1.5, "1.5"), (0.1, "0.1"), (0.5, "0.5")])
def test_repair_applies_a_split_back_to_the_original_bars(ratio, shown, capsys):
    mended, account = repaired(with_split(ratio), capsys)
    np.testing.assert_allclose(mended.bars, table(bars()).bars, rtol=1e-14)
    wanted = f"TOY: repaired: bars before 2020-05-25 divided by {shown}, their volume multiplied: a split\n"
    assert account == wanted


def test_repair_applies_two_splits_one_after_the_other(capsys):
    mended, account = repaired(lambda frame: with_split(2.0, 50)(with_split(3.0, 200)(frame)), capsys)
    np.testing.assert_allclose(mended.bars, table(bars()).bars, rtol=1e-14)
    assert account.count("a split") == 2


def test_a_split_on_an_ex_dividend_day_is_applied_and_the_dividend_stays(capsys):
    paying = bars(dividend=0.01)
    mended = table(with_split(2.0, 100)(paying.copy()), repair=True)
    np.testing.assert_allclose(mended.bars, table(paying).bars, rtol=1e-14)
    assert "divided by 2" in capsys.readouterr().err


def test_a_jump_that_no_split_explains_is_not_repaired(capsys):
    with pytest.raises(PriceError, match=r"TOY: Close jumps .* on 2020-05-25"):
        table(with_split(1.75)(bars()), repair=True)
    assert capsys.readouterr().err == ""


def mixed_auto_adjusted(frame: pd.DataFrame) -> pd.DataFrame:
    """auto_adjust=True has scaled Open to Close; the raw Close was put in as Adj Close."""
    factor = frame["Adj Close"] / frame["Close"]
    prices = {name: frame[name] * factor for name in ("Open", "High", "Low", "Close")}
    return frame.assign(**prices, **{"Adj Close": frame["Close"]})


def mixed_close_raw(frame: pd.DataFrame) -> pd.DataFrame:
    """Open, High and Low scaled by the dividend factor, Close left raw."""
    factor = frame["Adj Close"] / frame["Close"]
    return frame.assign(**{name: frame[name] * factor for name in ("Open", "High", "Low")})


def mixed_close_adjusted(frame: pd.DataFrame) -> pd.DataFrame:
    """Close replaced by Adj Close, Open, High and Low left raw."""
    return frame.assign(Close=frame["Adj Close"])


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize("mix", [mixed_auto_adjusted, mixed_close_raw])
def test_a_mix_of_adjusted_and_unadjusted_prices_is_refused(mix, repair):
    with pytest.raises(PriceError, match=r"TOY: Adj Close .*mixes with unadjusted bars.*download"):
        table(mix(bars(dividend=0.01)), repair=repair)


def test_an_adjusted_close_among_raw_open_high_and_low_is_refused():
    with pytest.raises(PriceError, match=r"TOY: Low is above Open, High or Close on 2020-01-06 and "):
        table(mixed_close_adjusted(bars(dividend=0.02)))


def test_an_adjusted_close_among_raw_open_high_and_low_is_not_widened_into_shape():
    with pytest.raises(PriceError):
        table(mixed_close_adjusted(bars(dividend=0.02)), repair=True)


def test_a_table_cannot_be_changed():
    dates, cells = DAYS.copy(), bars()[list(COLUMNS)].to_numpy(copy=True)
    made = PriceTable("TOY", dates, cells, source="by hand")
    digest = made.sha256
    cells[:] = 1.0
    dates[:] = dates[0]
    frame = made.to_frame()
    frame["Close"] = 0.0
    for array in (made.bars, made.dates, made.open, made.close, made.adj_close):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.ticker = "ELSE"
    assert table(bars()).sha256 == digest == PriceTable("TOY", made.dates, made.bars, source="again").sha256


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])  # noqa: S301
def test_a_copied_table_is_equal_and_cannot_be_changed_either(copied):
    made = table(bars())
    twin = copied(made)
    assert twin.sha256 == made.sha256
    assert (twin.ticker, twin.source, twin.min_bars) == ("TOY", "by hand", MIN_BARS)
    with pytest.raises(ValueError, match="read-only"):
        twin.bars[0, 0] = 1.0


def test_sha256_is_that_of_ticker_days_and_bars_on_every_machine():
    made = table(bars())
    days = b"".join(int(day).to_bytes(8, "little") for day in DAYS.astype(np.int64))
    cells = bars()[list(COLUMNS)].to_numpy().astype("<f8").tobytes()
    assert made.sha256 == hashlib.sha256(b"TOY" + days + cells).hexdigest()
    assert made.sha256 == "8864037bb1abd9f21022ac70a229a85113294b1e21a9938c6794557a6e422d38"


def test_sha256_tells_apart_one_ulp_one_day_and_the_ticker():
    made = table(bars())
    cells = made.bars.copy()
    cells[7, 0] = np.nextafter(cells[7, 0], 0.0)
    later = made.dates.copy()
    later[-1] += 1
    digests = {
        made.sha256,
        PriceTable("TOY", made.dates, cells, source="by hand").sha256,
        PriceTable("TOY", later, made.bars, source="by hand").sha256,
        PriceTable("TOX", made.dates, made.bars, source="by hand").sha256,
        made.until("2021-02-01").sha256,
    }
    assert len(digests) == 5


def test_until_keeps_the_last_day_and_nothing_after_it():
    cut = table(bars()).until(str(DAYS[280]))
    assert cut.dates[-1] == DAYS[280]
    assert np.array_equal(cut.bars, table(bars()).bars[:281])


def test_a_table_survives_the_way_to_a_frame_and_back():
    made = table(bars(dividend=0.01))
    assert table(made.to_frame()).sha256 == made.sha256
    assert table(made.to_frame().reset_index()).sha256 == made.sha256


@pytest.fixture(scope="module")
def etfs() -> dict[str, pd.DataFrame]:
    return dict(iter(pd.read_parquet(SHARED).groupby("ticker", sort=False)))


@needs_shared
def test_the_44_etfs_pass_without_repair(etfs, capsys):
    assert len(etfs) == 44
    for ticker, frame in etfs.items():
        made = PriceTable.from_frame(frame, ticker, "shared")
        assert PriceTable.from_frame(frame, ticker, "shared", repair=True).sha256 == made.sha256
    assert capsys.readouterr().err == ""


@needs_shared
@pytest.mark.parametrize(("ticker", "fraction"), [("EWC", 0.2338), ("EWG", 0.1092)])
def test_a_large_distribution_is_not_mistaken_for_a_split(ticker, fraction, etfs, capsys):
    made = PriceTable.from_frame(etfs[ticker], ticker, "shared", repair=True)
    assert capsys.readouterr().err == ""
    row = int(np.searchsorted(made.dates, np.datetime64("2000-08-24")))
    factor = made.adj_close / made.close
    assert 1 - factor[row - 1] / factor[row] == pytest.approx(fraction, abs=1e-4)


@needs_shared
@pytest.mark.parametrize("ratio", [2.0, 3.0, 0.1])
@pytest.mark.parametrize("ticker", ["SPY", "EWC", "TLT"])
def test_a_split_in_a_real_etf_is_refused_and_repaired_to_the_original(ticker, ratio, etfs, capsys):
    original = PriceTable.from_frame(etfs[ticker], ticker, "shared")
    split = with_split(ratio, row=2000)(original.to_frame())
    with pytest.raises(PriceError, match=f"{ticker}: .*unapplied split on {original.dates[2000]}; pass repair=True"):
        PriceTable.from_frame(split, ticker, "shared")
    mended = PriceTable.from_frame(split, ticker, "shared", repair=True)
    np.testing.assert_allclose(mended.bars, original.bars, rtol=1e-14)
    assert capsys.readouterr().err.count("repaired") == 1


@needs_shared
@pytest.mark.parametrize("mix", [mixed_auto_adjusted, mixed_close_raw])
def test_a_mix_of_adjusted_and_unadjusted_prices_is_refused_in_every_paying_etf(mix, etfs):
    for ticker in sorted(set(etfs) - {"GLD", "SLV", "USO"}):  # these three have never paid
        for repair in (False, True):
            with pytest.raises(PriceError, match=rf"{ticker}: Adj Close .*mixes with unadjusted bars"):
                PriceTable.from_frame(mix(etfs[ticker]), ticker, "shared", repair=repair)
