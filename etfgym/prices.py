"""PriceTable: one checked table of daily bars, the only form in which prices enter etfgym.

Yahoo's convention is meant throughout: Open, High, Low and Close are adjusted for splits but not for
dividends; Adj Close is adjusted for both. The factor Adj Close / Close therefore never falls over time
(it steps up on each ex-date) and never exceeds one; bars that break this are refused.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from etfgym.checks import DateLike, as_day

COLUMNS = ("Open", "High", "Low", "Close", "Volume", "Adj Close")
"""The six columns, in the order in which every array of bars holds them."""

OPEN, HIGH, LOW, CLOSE, VOLUME, ADJ_CLOSE = range(6)
PRICE_COLUMNS = (OPEN, HIGH, LOW, CLOSE, ADJ_CLOSE)

MIN_BARS = 20 + 252
"""Bars that the default episode needs: one window and one year."""

PRICE_RANGE = (1e-6, 1e9)
"""Dollars. What lies outside is taken for a broken file; observations are bounded by it."""
VOLUME_RANGE = (0.0, 1e15)

FACTOR_ROUNDING = 1e-4
"""Relative slack for Adj Close / Close: published columns carry two to six decimals."""
SPLIT_FRACTION = 0.30
"""A one-day 'distribution' of 30 % of the Close or more is read as an unapplied split (3:2 is 33 %)."""
MOST_WIDENED = 0.01
"""Share of the days (or three) on which High and Low may be widened; on more, the columns don't belong together."""
_SPLITS = (1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 50.0)


class PriceError(ValueError):
    """A fault in price data; the message names ticker, date and cure in one line."""


@dataclass(frozen=True, eq=False)
class PriceTable:
    """Daily bars of one ticker, checked when made and read-only after.

    Args:
        ticker: Symbol, such as "SPY".
        dates: Trading days, shape (T,), datetime64[D], strictly rising.
        bars: Shape (T, 6), float64, columns as in `COLUMNS`: prices in dollars a unit, volume in units.
        source: Where the bars come from, for the record.
        min_bars: Fewest bars accepted; the default holds one window and one year.

    Raises:
        PriceError: If any check fails; see `from_frame` for what can be repaired.

    Example:
        >>> days = np.arange("2020-01-01", "2020-01-04", dtype="datetime64[D]")
        >>> bars = np.tile([10.0, 11.0, 9.0, 10.5, 1000.0, 10.5], (3, 1))
        >>> PriceTable("TOY", days, bars, source="by hand", min_bars=3)
        PriceTable(TOY, 3 bars, 2020-01-01 to 2020-01-03, by hand)
    """

    ticker: str
    dates: npt.NDArray[np.datetime64]
    bars: npt.NDArray[np.float64]
    source: str
    min_bars: int = MIN_BARS

    def __post_init__(self) -> None:
        dates = np.array(self.dates, dtype="datetime64[D]")
        bars = np.array(self.bars, dtype=np.float64, order="C")
        if bars.shape != (dates.size, len(COLUMNS)):
            msg = f"{self.ticker}: bars must have shape ({dates.size}, 6) to go with the dates, got {bars.shape}"
            raise PriceError(msg)
        _check(self.ticker, dates, bars, self.min_bars)
        dates.flags.writeable = False
        bars.flags.writeable = False
        object.__setattr__(self, "dates", dates)
        object.__setattr__(self, "bars", bars)

    @classmethod
    def from_frame(
        cls, frame: pd.DataFrame, ticker: str, source: str, *, repair: bool = False, min_bars: int = MIN_BARS
    ) -> PriceTable:
        """Make a table from a frame in Yahoo's layout: dates as index or in a `Date` column, six named columns.

        With `repair=True` these faults are mended and each change is printed to standard error: a timezone
        (dropped, the exchange's calendar day kept), unsorted or duplicate dates (sorted, the last kept), rows
        with NaN (dropped), High or Low that do not hold Open and Close on a few days (widened), an unapplied split of
        a usual ratio (applied to the bars before it). Nothing is mended without `repair=True`; all other faults are
        always refused.

        Raises:
            PriceError: Naming ticker, first offending date and cure.
        """
        dates, bars = _arrays(frame, ticker)
        if repair:
            dates, bars, changes = _repaired(dates, bars)
            for change in changes:
                print(f"{ticker}: repaired: {change}", file=sys.stderr)
        elif dates.tz is not None:
            msg = f"{ticker}: dates carry the timezone {dates.tz}; pass repair=True to keep the exchange's calendar day"
            raise PriceError(msg)
        return cls(ticker, dates.to_numpy().astype("datetime64[D]"), bars, source=source, min_bars=min_bars)

    def to_frame(self) -> pd.DataFrame:
        """Return the bars as a new frame, indexed by `Date`, with the six named columns."""
        index = pd.DatetimeIndex(self.dates.astype("datetime64[s]"), name="Date")
        return pd.DataFrame(self.bars.copy(), columns=list(COLUMNS), index=index)

    def __len__(self) -> int:
        return self.dates.size

    def __reduce__(self) -> tuple[type[PriceTable], tuple[object, ...]]:
        # Copies and pickles go through the constructor, or their arrays would be writeable.
        return type(self), (self.ticker, self.dates, self.bars, self.source, self.min_bars)

    def __repr__(self) -> str:
        return f"PriceTable({self.ticker}, {len(self)} bars, {self.dates[0]} to {self.dates[-1]}, {self.source})"

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of ticker, dates and bars, as 64 hexadecimal digits."""
        digest = hashlib.sha256(self.ticker.encode())
        digest.update(self.dates.astype("<i8").tobytes())
        digest.update(self.bars.astype("<f8").tobytes())
        return digest.hexdigest()

    @property
    def open(self) -> npt.NDArray[np.float64]:
        """Opening prices, shape (T,), dollars."""
        return self.bars[:, OPEN]

    @property
    def close(self) -> npt.NDArray[np.float64]:
        """Closing prices, adjusted for splits only, shape (T,), dollars."""
        return self.bars[:, CLOSE]

    @property
    def adj_close(self) -> npt.NDArray[np.float64]:
        """Closing prices adjusted for splits and dividends, shape (T,), dollars."""
        return self.bars[:, ADJ_CLOSE]

    def until(self, last: DateLike) -> PriceTable:
        """Return the table cut after the day `last`."""
        keep = self.dates <= as_day(last)
        return PriceTable(self.ticker, self.dates[keep], self.bars[keep], self.source, self.min_bars)


def _arrays(frame: pd.DataFrame, ticker: str) -> tuple[pd.DatetimeIndex, npt.NDArray[np.float64]]:
    """Return the frame's dates and its (T, 6) bars; refuse what no repair can give meaning to."""
    if isinstance(frame.columns, pd.MultiIndex):
        msg = f"{ticker}: the columns have {frame.columns.nlevels} levels; select one ticker's columns first"
        raise PriceError(msg)
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        cure = "download with auto_adjust=False" if missing == ["Adj Close"] else f"wanted: {', '.join(COLUMNS)}"
        msg = f"{ticker}: missing column {', '.join(missing)}; {cure}"
        raise PriceError(msg)
    twice = [name for name in COLUMNS if (frame.columns == name).sum() > 1]
    if twice:
        msg = f"{ticker}: column {', '.join(twice)} is there more than once; keep the right one"
        raise PriceError(msg)
    if frame.empty:
        msg = f"{ticker}: the table is empty; check the symbol and the dates asked for"
        raise PriceError(msg)
    raw_dates = frame["Date"] if "Date" in frame.columns else frame.index
    if pd.api.types.is_numeric_dtype(raw_dates):
        msg = f"{ticker}: no dates; give them as the index or in a column named Date"
        raise PriceError(msg)
    try:
        dates = pd.DatetimeIndex(raw_dates)
    except (ValueError, TypeError) as error:
        cure = "write dates as YYYY-MM-DD, without a UTC offset"
        msg = f"{ticker}: unreadable date ({str(error).splitlines()[0][:120]}); {cure}"
        raise PriceError(msg) from None
    if dates.hasnans:
        msg = f"{ticker}: row {int(np.flatnonzero(dates.isna())[0])} has no date; remove the row or fill in its date"
        raise PriceError(msg)
    bars = np.empty((len(frame), len(COLUMNS)))
    for column, name in enumerate(COLUMNS):
        numbers = pd.to_numeric(frame[name], errors="coerce")
        text = (numbers.isna() & frame[name].notna()).to_numpy()
        if text.any():
            row = int(np.flatnonzero(text)[0])
            msg = (
                f"{ticker}: {name} on {dates[row].date()} is not a number: {frame[name].iloc[row]!r}; correct the file"
            )
            raise PriceError(msg)
        bars[:, column] = numbers.to_numpy(dtype=np.float64)
    return dates.normalize(), bars


def _repaired(
    dates: pd.DatetimeIndex, bars: npt.NDArray[np.float64]
) -> tuple[pd.DatetimeIndex, npt.NDArray[np.float64], list[str]]:
    """Mend what can be mended; return the new dates and bars and one line for each kind of change."""
    changes: list[str] = []
    if dates.tz is not None:
        changes.append(f"timezone {dates.tz} dropped, calendar days kept")
        dates = dates.tz_localize(None)
    if not dates.is_monotonic_increasing:
        order = np.argsort(dates, kind="stable")
        changes.append("dates sorted")
        dates, bars = dates[order], bars[order]
    if dates.has_duplicates:
        keep = np.flatnonzero(~np.asarray(dates.duplicated(keep="last")))
        dropped = len(dates) - keep.size
        changes.append(
            f"{dropped} duplicate rows dropped, the last of each day kept ({_some(dates[dates.duplicated()])})"
        )
        dates, bars = dates[keep], bars[keep]
    whole = np.isfinite(bars).all(axis=1)
    if not whole.all():
        broken, kept = np.flatnonzero(~whole), np.flatnonzero(whole)
        changes.append(f"{broken.size} rows with NaN dropped ({_some(dates[broken])})")
        dates, bars = dates[kept], bars[kept]
    if (bars[:, PRICE_COLUMNS] <= 0).any():  # refused by the checks, and nothing to divide by
        return dates, bars, changes
    for row in np.flatnonzero(_looks_like_split(bars)):
        jump = _factor_steps(bars)[row]
        ratio = _split_ratio(jump)
        if ratio is not None:
            bars[: row + 1, :VOLUME] /= ratio
            bars[: row + 1, VOLUME] *= ratio
            changes.append(
                f"bars before {dates[int(row) + 1].date()} divided by {ratio:g}, their volume multiplied: a split"
            )
    high = bars[:, : CLOSE + 1].max(axis=1)
    low = bars[:, : CLOSE + 1].min(axis=1)
    narrow = (bars[:, HIGH] < high) | (bars[:, LOW] > low)
    if 0 < narrow.sum() <= max(3, MOST_WIDENED * len(bars)):
        bars[:, HIGH], bars[:, LOW] = high, low
        changes.append(
            f"High and Low widened to hold Open and Close on {int(narrow.sum())} days ({_some(dates[narrow])})"
        )
    return dates, bars, changes


def _check(ticker: str, dates: npt.NDArray[np.datetime64], bars: npt.NDArray[np.float64], min_bars: int) -> None:
    """Raise PriceError at the first fault."""

    def refuse(bad: npt.NDArray[np.bool_], what: str, cure: str) -> None:
        rows = np.flatnonzero(bad)
        if rows.size:
            more = f" and {rows.size - 1} other days" if rows.size > 1 else ""
            msg = f"{ticker}: {what} on {dates[rows[0]]}{more}; {cure}"
            raise PriceError(msg)

    if dates.size == 0:
        msg = f"{ticker}: the table is empty; check the symbol and the dates asked for"
        raise PriceError(msg)
    later = np.append(False, np.diff(dates.astype(np.int64)) <= 0)
    same = np.append(False, np.diff(dates.astype(np.int64)) == 0)
    refuse(same, "duplicate date", "pass repair=True to keep the last of each day")
    refuse(later, "unsorted date", "pass repair=True to sort")
    for column, name in enumerate(COLUMNS):
        refuse(~np.isfinite(bars[:, column]), f"{name} is NaN", "pass repair=True to drop the row, or fetch it again")
    low, high = PRICE_RANGE
    for column in PRICE_COLUMNS:
        name = COLUMNS[column]
        refuse(bars[:, column] <= 0, f"{name} is not positive", "remove the row or correct the price")
        outside = (bars[:, column] < low) | (bars[:, column] > high)
        refuse(outside, f"{name} is outside {low:g} to {high:g} dollars", "correct the price or its unit")
    outside = (bars[:, VOLUME] < VOLUME_RANGE[0]) | (bars[:, VOLUME] > VOLUME_RANGE[1])
    refuse(outside, f"Volume is outside 0 to {VOLUME_RANGE[1]:g}", "correct the volume")
    if _bars_adjusted_but_close_not(bars):
        msg = (
            f"{ticker}: Adj Close mixes with unadjusted bars: Open, High and Low are adjusted for dividends, Close is "
        )
        raise PriceError(msg + "not; download all of them with auto_adjust=False")
    body = bars[:, [OPEN, LOW, CLOSE]].max(axis=1)
    refuse(
        bars[:, HIGH] < body,
        "High is below Open, Low or Close",
        "pass repair=True to widen High and Low on a few such days",
    )
    body = bars[:, [OPEN, HIGH, CLOSE]].min(axis=1)
    refuse(
        bars[:, LOW] > body,
        "Low is above Open, High or Close",
        "pass repair=True to widen High and Low on a few such days",
    )
    _check_adjustment(bars, refuse)
    if dates.size < min_bars:
        msg = (
            f"{ticker}: {dates.size} bars from {dates[0]} to {dates[-1]}, fewer than the {min_bars} of a window and a "
        )
        raise PriceError(msg + "year; fetch a longer history, or pass a smaller min_bars and a shorter episode")


def _check_adjustment(bars: npt.NDArray[np.float64], refuse: Callable[[npt.NDArray[np.bool_], str, str], None]) -> None:
    """Refuse an Adj Close that cannot have come from this Close by paying dividends."""
    jump = _factor_steps(bars)
    split = np.append(False, _looks_like_split(bars))
    refuse(
        split,
        "Close jumps and Adj Close does not, by a fraction that looks like an unapplied split",
        "pass repair=True to apply it if it is a usual one such as 2:1, or fetch split-adjusted bars",
    )
    cure = "take Close and Adj Close from one download"
    falls = np.append(False, jump < 1 - FACTOR_ROUNDING)
    refuse(falls, "Adj Close / Close falls: Adj Close mixes with unadjusted bars", cure)
    above = bars[:, ADJ_CLOSE] > bars[:, CLOSE] * (1 + FACTOR_ROUNDING)
    refuse(above, "Adj Close is above Close: Adj Close mixes with unadjusted bars", cure)


def _factor_steps(bars: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return by how much Adj Close / Close grows from each day to the next, shape (T - 1,); 1 without an event."""
    factor = bars[:, ADJ_CLOSE] / bars[:, CLOSE]
    return factor[1:] / factor[:-1]


def _looks_like_split(bars: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return, for each night (T - 1,), whether Close alone moves as by a split (or a reverse split)."""
    jump = _factor_steps(bars)
    return (jump > 1 / (1 - SPLIT_FRACTION)) | (jump < 1 - SPLIT_FRACTION)


def _split_ratio(jump: float) -> float | None:
    """Return the whole split ratio within 3 % of `jump` (below one for a reverse split), or None."""
    for ratio in _SPLITS:
        for candidate in (ratio, 1 / ratio):
            if abs(jump / candidate - 1) < 0.03:
                return candidate
    return None


def _bars_adjusted_but_close_not(bars: npt.NDArray[np.float64]) -> bool:
    """Whether Open, High and Low fit around Adj Close and not around Close, on most days where the two differ."""
    close, adjusted = bars[:, CLOSE], bars[:, ADJ_CLOSE]
    apart = adjusted < close * 0.99
    outside = (close > bars[:, HIGH] * (1 + 1e-9)) | (close < bars[:, LOW] * (1 - 1e-9))
    inside = (adjusted <= bars[:, HIGH] * (1 + 1e-4)) & (adjusted >= bars[:, LOW] * (1 - 1e-4))
    return bool(apart.any() and (outside & inside)[apart].mean() > 0.5)


def _some(days: pd.DatetimeIndex) -> str:
    """Return up to three days and a count of the rest, for a message."""
    shown = ", ".join(str(day.date()) for day in days[:3])
    return shown if len(days) <= 3 else f"{shown} and {len(days) - 3} more"
