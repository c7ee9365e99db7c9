"""Forecast, then trade: a torso fitted to what followed each window, and a rule that acts on what it tells.

It is the supervised way to a decision. The network sees what every agent sees and tells the return of holding from the
next open, where an order made now is filled, to the open some days later; the rule trades if that is worth the cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.training import Training
from etfgym.checks import as_day, one_of, real_number, whole_number
from etfgym.envs.settings import Settings
from etfgym.ledger import implied_dividends
from etfgym.nets import build, files
from etfgym.policies import Actions
from etfgym.prices import CLOSE, PriceTable
from etfgym.tasks.fit import Fitting
from etfgym.tasks.forecast import FITTING, NETS, Forecast, fit_forecast
from etfgym.tasks.windows import Dataset, Floats, Follows, volatility

VALID_PART = 0.2
"""Of the training days, the last ones, that choose the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastConfig:
    """What is forecast, by what, and when it is acted on.

    Raises:
        ValueError: If a value is out of its range.
    """

    torso: Mapping[str, Any] = field(default_factory=lambda: NETS["DNN"])
    """See `etfgym.nets.build`."""
    horizon: int = 5
    """Days that the forecast return is held for, from the next open on."""
    thresholds: Sequence[float] = (0.0, 1.0, 2.0, 4.0)
    """Multiples of a trade's cost that a forecast must exceed, up or down, to be acted on; validation chooses one."""
    fitting: Mapping[str, Any] = field(default_factory=dict)
    """Of `etfgym.tasks.fit.Fitting`; what is not named is as in the tasks on prices."""

    def __post_init__(self) -> None:
        with torch.random.fork_rng(devices=[]):
            build(self.torso)
        whole_number("horizon", self.horizon, 1)
        if np.ndim(self.thresholds) != 1 or not len(self.thresholds):
            msg = f"thresholds must be a sequence of numbers such as (0.0, 1.0), got {self.thresholds!r}"
            raise ValueError(msg)
        for number in self.thresholds:
            if not 0 <= real_number("each of thresholds", number) < float("inf"):
                msg = f"each of thresholds must be at least 0, got {number!r}"
                raise ValueError(msg)
        _ = self.how

    @property
    def how(self) -> Fitting:
        """How the network is fitted."""
        known = [known.name for known in fields(Fitting)]
        return replace(FITTING, **{one_of("key of fitting", key, known): self.fitting[key] for key in self.fitting})


def check(settings: Mapping[str, Any]) -> None:
    """Raise ValueError if `settings` are not those of a `ForecastConfig`; an unknown one with the nearest name."""
    for name in settings:
        one_of("setting of forecast", name, [known.name for known in fields(ForecastConfig)])
    ForecastConfig(**settings)


@dataclass(frozen=True, slots=True, eq=False)
class ForecastPolicy:
    """Buy the most a day while the return told is above a threshold, sell the most while it is below its negative."""

    forecast: Forecast
    """Tells the return of a window in multiples of its volatility."""
    threshold: float
    """Log return."""
    actions: tuple[int, int, int]
    """The largest purchase, hold, the largest sale."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Actions, Any]:
        """Order by the forecast; see `etfgym.policies.Policy`."""
        del state, episode_start, deterministic
        seen = np.asarray(observation["window"] if isinstance(observation, dict) else observation, np.float32)
        windows = seen.reshape(-1, *seen.shape[-2:])  # (n, W, 6)
        spread = [volatility(closes, len(closes))[0] for closes in windows[..., CLOSE].astype(np.float64)]
        told = self.forecast(windows)[:, 0] * spread
        kind = np.where(told > self.threshold, 0, np.where(told < -self.threshold, 2, 1))
        return np.array(self.actions)[kind].reshape(seen.shape[:-2]), None


def learn(settings: Mapping[str, Any], training: Training) -> ForecastPolicy:
    """Return the policy whose threshold did best in the validation year.

    The epochs of the settings say how long it learns, `training.steps` do not. It takes seconds and has no checkpoint:
    one that was killed starts anew, with the same result.

    Args:
        settings: Of `ForecastConfig`.
        training: What to learn on.
    """
    check(settings)
    config = ForecastConfig(**settings)
    environment = Settings.from_keywords({**training.environment, "prices": list(training.tables)})
    one_of("features of forecast", environment.features, ("relative",))
    train, valid = _examples(training.tables, environment, config.horizon)
    learnt, chosen = ((part.windows, part.follows / part.volatility[:, None]) for part in (train, valid))
    forecast, _ = fit_forecast(config.torso, learnt, chosen, config.how, seed=training.seed, label="forecast")
    orders = environment.orders
    actions = orders.index(max(orders)), orders.index(0), orders.index(min(orders))
    cost = environment.costs.commission + environment.costs.slippage_bps / 10_000
    policies = [ForecastPolicy(forecast, float(number * cost), actions) for number in config.thresholds]
    scores = [training.validate(policy) for policy in policies]
    if None in scores:
        msg = "the threshold is chosen in the validation year: keep must be 'best'"
        raise ValueError(msg)
    return policies[int(np.argmax(np.array(scores, np.float64)))]


def save(policy: ForecastPolicy, folder: Path) -> None:
    """Write weights and settings into `folder`, each file whole or not at all."""
    policy.forecast.save(folder, threshold=policy.threshold, actions=policy.actions)


def load(folder: Path) -> ForecastPolicy:
    """Return the policy that `save` wrote. Nothing in the files is executed.

    Raises:
        ValueError: If the folder holds none.
    """
    forecast, settings = Forecast.load(folder)
    with files.refusing(folder, "forecasting agent"):
        buy, hold, sell = (int(action) for action in settings["actions"])
        return ForecastPolicy(forecast, float(settings["threshold"]), (buy, hold, sell))


def held(horizon: int) -> Follows:
    """Return the function from a table to the log return of holding from the next open for `horizon` days.

    Dividends are in it: who holds over the night before an ex-date is paid.

    Example:
        >>> from etfgym.sources import load
        >>> table = load("builtin", "SP500")[0]
        >>> held(5)(table).shape == (len(table) - 6, 1)
        True
    """

    def follows(table: PriceTable) -> Floats:
        paid = np.cumsum(implied_dividends(table.close, table.adj_close))
        bought, later = slice(1, -horizon), slice(1 + horizon, None)
        return np.log((table.open[later] + paid[later] - paid[bought]) / table.open[bought])[:, None]

    return follows


def _examples(tables: Sequence[PriceTable], settings: Settings, horizon: int) -> tuple[Dataset, Dataset]:
    """Return the examples to learn from and those, later, that choose the epoch."""
    data = Dataset.of(tables, settings.window, held(horizon), horizon + 1)
    if isinstance(settings.start, tuple):
        data = data.part(data.first > as_day(settings.start[0]))
    days = np.unique(data.first)
    first = days[int((1 - VALID_PART) * len(days))]
    return data.part(data.last < first), data.part(data.first >= first)
