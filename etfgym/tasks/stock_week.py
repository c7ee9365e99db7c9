"""The last five closes to the next, by DNN, CNN and RNN, against persistence: tomorrow's close is today's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from etfgym.prices import CLOSE
from etfgym.tasks.forecast import best_saved, fit_nets, judge, told_of
from etfgym.tasks.outcome import Outcome, Setup
from etfgym.tasks.windows import Dataset, Floats, load_source, next_close, split_by_years, volatility

WINDOW = 5
VALID_YEARS, TEST_YEARS = 2, 3


def run(setup: Setup) -> list[Outcome]:
    """Fit each net to the closes of all tickers; test on the last three calendar years.

    Raises:
        PriceError: If there is no such source, or too little history.
    """
    data = Dataset.of(load_source(setup.data or "builtin"), WINDOW, next_close)
    data = replace(data, windows=data.windows[:, :, [CLOSE]])
    train, valid, test = split_by_years(data, VALID_YEARS, TEST_YEARS)
    followed, none = test.follows[:, 0], np.zeros(len(test))
    baselines = {"persistence": none, "that and the mean day": none + train.follows.mean()}
    outcomes = []
    for net, forecast, seconds in fit_nets(setup, "closes", train, valid):
        told = forecast(test.windows)[:, 0] * test.volatility
        outcome = judge(net, "skill", test, followed, told, baselines, setup.seed, seconds)
        outcomes.append(replace(outcome, note=told_of(outcome)))
    return outcomes


def predict(folder: Path, given: str) -> str:
    """Return the close that follows five, such as "101,102,101.5,103,102".

    Raises:
        ValueError: If they are not five positive numbers, or nothing is trained in `folder`.
    """
    closes = _closes(given)
    forecast, settings = best_saved(folder, "closes")
    windows = (closes / closes[-1]).astype(np.float32)[None, :, None]  # (1, 5, 1)
    change = float(forecast(windows)[0, 0] * volatility(closes, WINDOW)[0])
    return (
        f"next close {closes[-1] * np.exp(change):.2f} ({100 * np.expm1(change):+.2f} %); persistence says "
        f"{closes[-1]:.2f}\nBy the {settings['net']}, which validation chose; trained on {settings['trained_on']}."
    )


def _closes(text: str) -> Floats:
    try:
        closes = np.array([float(part) for part in text.split(",")])
    except ValueError:
        closes = np.empty(0)
    if closes.size != WINDOW or not bool(np.all((closes > 0) & np.isfinite(closes))):
        msg = f"{WINDOW} closes are wanted, oldest first, such as 101,102,101.5,103,102; got {text!r}"
        raise ValueError(msg)
    return closes
