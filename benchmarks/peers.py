"""Other trading environments, each stepped with random actions on the same prices as ours; see `benchmarks.env`.

They differ in what they do: the docstring of each says what it hands out.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.harness import repeat_for
from etfgym.prices import COLUMNS
from etfgym.sources import load

STEPS = 1_000

NOT_RUN = {
    "TorchTrade 0.1": "not run: needs torchrl, tensordict, wandb and five brokers' clients (No module 'tensordict')",
    "FinRL 0.3.7": "not run: its wheel names no dependencies (No module named 'alpaca_trade_api')",
}
"""Peers that the group `bench` leaves out, and why."""


def gym_anytrading(seconds: float) -> tuple[float, float]:
    """Return steps and seconds of StocksEnv: a window of 20 x 2 (a view of its own table, not a copy), one unit."""
    frame = _bars()[0]
    module = _imported("gym_anytrading.envs")
    env = module.StocksEnv(df=frame, window_size=20, frame_bound=(20, len(frame)))
    return _stepped(seconds, env, 2)


def gym_trading_env(seconds: float) -> tuple[float, float]:
    """Return steps and seconds of TradingEnv: a window of 20 x 8 (six features, two of its own), a position."""
    module = _imported("gym_trading_env.environments")
    bars = _bars()[1]
    env = module.TradingEnv(df=bars, positions=[0, 0.5, 1], windows=20, trading_fees=0.001, verbose=0)
    return _stepped(seconds, env, 3)


def _imported(name: str) -> ModuleType:
    """Return the module; it may set warnings' filters, which is undone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


@cache
def _bars() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the builtin bars with the columns that the two want."""
    table = load("builtin", "SP500")[0]
    frame = pd.DataFrame(table.bars, columns=list(COLUMNS), index=pd.DatetimeIndex(table.dates.astype("M8[ns]")))
    features = frame.add_prefix("feature_")
    prices = frame[["Open", "High", "Low", "Close", "Volume"]].rename(columns=str.lower)
    return frame, pd.concat([prices, features], axis=1)


def _stepped(seconds: float, env: Any, actions: int) -> tuple[float, float]:
    """Return steps and seconds of `env`, reset whenever an episode is over."""
    order = np.random.default_rng(0).integers(0, actions, STEPS).tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return repeat_for(seconds, stepper(env, order), len(order))


def stepper(env: Any, order: list[int], look: Callable[[Any], object] | None = None) -> Callable[[], None]:
    """Return a function that takes `env` through all actions of `order`; `look` is given each info."""
    env.reset(seed=0)

    def run() -> None:
        for action in order:
            _, _, terminated, truncated, info = env.step(action)
            if look is not None:
                look(info)
            if terminated or truncated:
                env.reset()

    return run
