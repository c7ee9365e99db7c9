"""20 days of bars to the next day's open, by DNN, CNN and RNN: all tickers pooled, and one of them alone.

There are two readings of the open's change, and one network answers both. It tells the night: the next open over the
last close, as a multiple of the window's volatility. Open to open is that, and the last close over the last open on
top, which is known when it is told and has an R2 of about a half by itself. So only skill says whether anything was
learnt, and it is one number for both readings, unless an open to open change of zero were the best baseline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from etfgym.prices import OPEN
from etfgym.tasks.forecast import best_saved, fit_nets, judge, told_of
from etfgym.tasks.outcome import Outcome, Setup
from etfgym.tasks.windows import Dataset, load_source, overnight, split_by_years, volatility, windows_of

WINDOW = 20
VALID_YEARS, TEST_YEARS = 2, 3
OF_INDICES = (
    "Builtin prices are indices: until 2006 the S&P 500's published open is nearly always its last close, so half of "
    "what is pooled from those years has no night in it."
)


def run(setup: Setup) -> list[Outcome]:
    """Fit each net to all tickers and to SPY (or else the first) alone; test on the last three calendar years.

    Raises:
        PriceError: If there is no such source, or too little history.
    """
    tables = load_source(setup.data or "builtin")
    names = [table.ticker for table in tables]
    one = "SPY" if "SPY" in names else names[0]
    train, valid, test = split_by_years(Dataset.of(tables, WINDOW, overnight), VALID_YEARS, TEST_YEARS)
    alone = [part.of_ticker(one) for part in (train, valid, test)]
    if len(tables) == 1:
        outcomes = _fit_and_test(setup, "pooled", train, valid, {one: test})
    else:
        outcomes = _fit_and_test(setup, "pooled", train, valid, {f"all {len(tables)}": test, one: alone[2]})
        outcomes += _fit_and_test(setup, one, alone[0], alone[1], {one: alone[2]})
    if any(table.ticker == "SP500" and table.source.startswith("builtin") for table in tables):
        outcomes[0] = replace(outcomes[0], note=f"{OF_INDICES}\n{outcomes[0].note}")
    return outcomes


def _fit_and_test(
    setup: Setup, scope: str, train: Dataset, valid: Dataset, tests: Mapping[str, Dataset]
) -> list[Outcome]:
    """Return the skill of each net on each test set, in both readings."""
    outcomes = []
    for net, forecast, seconds in fit_nets(setup, scope, train, valid):
        for where, test in tests.items():
            followed, told = test.follows[:, 0], forecast(test.windows)[:, 0] * test.volatility
            known = -np.log(test.windows[:, -1, OPEN].astype(np.float64))  # the last close over the last open
            none, mean = np.zeros(len(test)), np.full(len(test), train.follows.mean())
            of_opens = {"last close over last open": known, "that and the mean night": known + mean, "zero": none}
            of_night = {"zero": none, "the mean night": mean}
            model, said = f"{net} {scope}, on {where}", (setup.seed, seconds)
            opens = judge(model, "skill open to open", test, known + followed, known + told, of_opens, *said)
            night = judge(model, "skill close to open", test, followed, told, of_night, *said)
            outcomes += [replace(opens, note=told_of(opens, night)), night]
    return outcomes


def predict(folder: Path, given: str) -> str:
    """Return the next open of each ticker of a price source, told from its last 20 bars by the best pooled net.

    Raises:
        ValueError: If nothing is trained in `folder`.
        PriceError: If there is no such source.
    """
    tables = load_source(given, min_bars=WINDOW)
    forecast, settings = best_saved(folder, "pooled")
    lines = []
    for table in tables:
        windows = windows_of(table, WINDOW)[-1:]
        night = float(forecast(windows)[0, 0] * volatility(table.close, WINDOW)[-1])
        close = table.close[-1]
        lines.append(
            f"{table.ticker}: close {close:.2f} on {table.dates[-1]}, next open {close * np.exp(night):.2f} "
            f"({100 * np.expm1(night):+.2f} %)"
        )
    lines.append(f"By the {settings['net']}, which validation chose; trained on {settings['trained_on']}.")
    return "\n".join(lines)
