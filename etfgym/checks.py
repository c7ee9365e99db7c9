"""Checks of settings that several modules share; each raises one line that says what was wanted and what came."""

from __future__ import annotations

import difflib
import numbers
import operator
import re
from collections.abc import Iterable
from datetime import date
from typing import TypeAlias

import numpy as np
import pandas as pd

DateLike: TypeAlias = "str | date | np.datetime64"


def one_of(name: str, value: object, allowed: Iterable[str]) -> str:
    """Return `value` if it is among `allowed`.

    Raises:
        ValueError: Naming the choices, and the nearest one.

    Example:
        >>> one_of("reward", "pln", ("pnl", "log"))
        Traceback (most recent call last):
        ValueError: reward must be one of 'pnl', 'log', got 'pln' (did you mean 'pnl'?)
    """
    choices = list(allowed)
    if isinstance(value, str) and value in choices:
        return value
    near = difflib.get_close_matches(str(value), choices, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    msg = f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}{hint}"
    raise ValueError(msg)


def whole_number(name: str, value: object, least: int) -> int:
    """Return `value` as an int if it is a whole number of at least `least`; a bool is none.

    Raises:
        ValueError: Saying what was wanted and what came.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least:
        msg = f"{name} must be a whole number of at least {least}, got {value!r}"
        raise ValueError(msg)
    return number


def positive(text: str) -> int:
    """Return the whole number above 0 that a word of the command line is, for argparse.

    Raises:
        ValueError: If it is none; argparse says which option and which word.
    """
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def parse_years(text: str) -> list[int]:
    """Return the years of "2018", "2016-2020" or "2012,2016-2018".

    Raises:
        ValueError: If it is neither.

    Example:
        >>> parse_years("2012,2016-2018")
        [2012, 2016, 2017, 2018]
    """
    years: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\d{4})(?:-(\d{4}))?", part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            msg = f"years must look like 2018, 2016-2020 or 2012,2018, got {text!r}"
            raise ValueError(msg)
        years.update(range(first, last + 1))
    return sorted(years)


def real_number(name: str, value: object) -> float:
    """Return `value` as a float if it is a number; a bool is none.

    Raises:
        ValueError: Saying what came.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        msg = f"{name} must be a number, got {value!r}"
        raise ValueError(msg)  # noqa: TRY004 (one kind of error for every wrong setting)
    return float(value)


def as_day(value: DateLike) -> np.datetime64:
    """Return a date as datetime64[D].

    Raises:
        ValueError: If it can't be read as one.
    """
    try:
        day = np.datetime64("NaT") if isinstance(value, int | float) else pd.Timestamp(value).to_datetime64()
    except (ValueError, TypeError):
        day = np.datetime64("NaT")
    if np.isnat(day):
        msg = f"a date must look like '2019-01-02', got {value!r}"
        raise ValueError(msg)
    whole_day: np.datetime64 = day.astype("datetime64[D]")
    return whole_day
