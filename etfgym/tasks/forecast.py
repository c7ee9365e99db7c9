"""What the tasks on prices share after the windows: torsos fitted to what followed, judged by skill over baselines.

Of prices, R2 says little: an open is mostly told by the close before it. Skill is 1 less the model's mean squared
error over that of the best baseline: 0 is no better, 1 perfect, negative worse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.functional import mse_loss

from etfgym.nets import files
from etfgym.nets.headed import Headed
from etfgym.stats import CONFIDENCE, Interval
from etfgym.tasks.fit import Examples, Fitting, History, draw_curve, fit, outputs_of
from etfgym.tasks.outcome import Outcome, Setup
from etfgym.tasks.windows import Dataset, Days, Floats

RESAMPLES = 2000
BLOCK = 20
"""Test days in a block of the bootstrap, on average: a month, over which calm and stormy days stay together."""
QUICK_EXAMPLES = 2000

NETS: dict[str, dict[str, Any]] = {
    "DNN": {"net": "dnn", "hidden": [64], "features": 32, "dropout": 0.2},
    "CNN": {"net": "cnn", "features": 32, "dropout": 0.2},
    "RNN": {"net": "rnn", "cell": "gru", "hidden": 32, "features": 32, "dropout": 0.2},
}
"""Torso of each net: small, as there is little to be found and much to be fooled by."""
FITTING = Fitting(epochs=20, batch_size=512, learning_rate=3e-4, l2=1e-4, patience=4)


@dataclass(frozen=True, eq=False)
class Forecast:
    """A fitted network that tells K numbers of a window."""

    model: Headed
    unit: Floats
    """What one of the network's outputs stands for, shape (K,)."""

    def __call__(self, windows: npt.NDArray[np.float32]) -> Floats:
        """Return what is told of windows (N, W, F), shape (N, K)."""
        outputs = outputs_of(self.model, _examples(windows, np.zeros((len(windows), self.unit.size))))
        return np.asarray(outputs.double().numpy() * self.unit)

    def save(self, folder: Path, **settings: Any) -> None:
        """Write weights and settings, see `etfgym.nets.files.save`; `load` gives the settings back."""
        what = {"model": self.model.spec, "unit": self.unit.tolist(), **settings}
        files.save(folder, "model", self.model.state_dict(), what)

    @classmethod
    def load(cls, folder: Path) -> tuple[Forecast, dict[str, Any]]:
        """Return a forecast that `save` wrote, with its settings.

        Raises:
            ValueError: If the folder holds none.
        """
        with files.refusing(folder, "forecast"):
            weights, settings = files.load(folder, "model")
            model = Headed(**settings["model"])
            model.load_state_dict(weights)
            return cls(model, np.array(settings["unit"], np.float64)), settings


def fit_forecast(
    torso: Mapping[str, Any],
    train: tuple[npt.NDArray[np.float32], Floats],
    valid: tuple[npt.NDArray[np.float32], Floats],
    how: Fitting,
    *,
    seed: int,
    label: str,
) -> tuple[Forecast, History]:
    """Fit a torso with a head to targets, by the mean of their squared errors.

    Args:
        torso: Its spec; the window and columns are those of the examples.
        train: Windows (N, W, F), and targets (N, K) of which zero is the naive forecast, where the network starts.
        valid: The same; they choose the epoch.
        how: Settings.
        seed: Of weights, batches and dropout.
        label: What the progress bar says.
    """
    windows, targets = train
    unit = np.sqrt(np.mean(targets**2, axis=0))
    unit[unit == 0] = 1.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Headed({**torso, "window": windows.shape[1], "columns": windows.shape[2]}, targets.shape[1])
    nn.init.zeros_(model.head.weight)
    nn.init.zeros_(model.head.bias)
    model.torso.fit_scaler(torch.from_numpy(windows))
    learnt, chosen = (_examples(part, follows / unit) for part, follows in (train, valid))
    history = fit(model, learnt, chosen, mse_loss, how, seed=seed, label=label)
    return Forecast(model, unit), history


def _examples(windows: npt.NDArray[np.float32], targets: Floats) -> Examples:
    return Examples((torch.from_numpy(np.ascontiguousarray(windows)),), torch.from_numpy(targets.astype(np.float32)))


def fit_nets(setup: Setup, scope: str, train: Dataset, valid: Dataset) -> Iterator[tuple[str, Forecast, float]]:
    """Fit every net to what followed in multiples of the window's volatility; save them, and draw their curves.

    Args:
        setup: Of the task.
        scope: What is fitted to, such as "pooled"; it names the files.
        train: What is learnt from.
        valid: What chooses the epoch.

    Yields:
        Each net's name, itself, and the seconds that it took.
    """
    how, histories = FITTING, []
    if setup.quick:
        how, train = replace(how, epochs=1), train.part(slice(None, None, -(-len(train) // QUICK_EXAMPLES)))
    learnt, chosen = ((part.windows, part.follows / part.volatility[:, None]) for part in (train, valid))
    for net, torso in NETS.items():
        forecast, history = fit_forecast(torso, learnt, chosen, how, seed=setup.seed, label=f"{net}, {scope}")
        valid_loss = history.valid_losses[history.best]
        settings = {"net": net, "trained_on": train.told(), "seed": setup.seed, "valid_loss": valid_loss}
        forecast.save(_folder(setup.folder, scope, net), **settings)
        histories.append((net, history))
        yield net, forecast, history.seconds
    draw_curve(histories, setup.folder / f"{scope}.png", f"{setup.folder.name}, {scope}")


def best_saved(folder: Path, scope: str) -> tuple[Forecast, dict[str, Any]]:
    """Return the net of `fit_nets` that did best in validation, and its settings.

    Raises:
        ValueError: If one of them is not there.
    """
    nets = [Forecast.load(_folder(folder, scope, net)) for net in NETS]
    return min(nets, key=lambda pair: float(pair[1]["valid_loss"]))


def _folder(folder: Path, scope: str, net: str) -> Path:
    return folder / f"{scope}-{net.lower()}"


# ------------------------------------------------------------------------------------------------ skill


def judge(
    model: str,
    metric: str,
    test: Dataset,
    followed: Floats,
    told: Floats,
    baselines: Mapping[str, Floats],
    seed: int,
    seconds: float,
) -> Outcome:
    """Return the skill of what was told against the best baseline, with its interval and R2 among the figures.

    Args:
        model: Its name.
        metric: What the skill is called.
        test: The examples, N of them.
        followed: What came, shape (N,).
        told: What the model had said, shape (N,).
        baselines: What each naive baseline had said, shape (N,), by its name.
        seed: Of the training, and of the bootstrap.
        seconds: Of the training.
    """
    errors = {name: (followed - forecast) ** 2 for name, forecast in baselines.items()}
    means = {name: float(error.mean()) for name, error in errors.items()}
    best = min(means, key=lambda name: means[name])
    error = (followed - told) ** 2
    low, high = skill_interval(error, errors[best], test.first, np.random.default_rng(seed))
    return Outcome(
        model=model,
        metric=metric,
        value=1 - float(error.mean()) / means[best],
        baselines={name: 1 - mean / means[best] for name, mean in means.items()},
        tested_on=f"{test.told()}, seed {seed}",
        seconds=seconds,
        figures={
            "skill, low": low,
            "skill, high": high,
            "R2": 1 - float(error.mean() / followed.var()),
            "R2 of the best baseline": 1 - float(means[best] / followed.var()),
        },
    )


def skill_interval(error: Floats, baseline: Floats, days: Days, rng: np.random.Generator) -> Interval:
    """Return the 95 % interval of the skill over other test days of the kind; the model stays as it is.

    Whole days are drawn, with everything that was told on them: what moves one ETF moves the others. They are drawn in
    blocks of random length (the stationary bootstrap; Politis and Romano 1994).

    Args:
        error: The model's squared errors, shape (N,).
        baseline: The baseline's, shape (N,).
        days: The day of each, shape (N,).
        rng: Draws the resamples.

    Example:
        >>> days = np.arange(300).astype("datetime64[D]")
        >>> error = np.full(300, 0.9)
        >>> interval = skill_interval(error, np.ones(300), days, np.random.default_rng(0))
        >>> round(interval.low, 6), round(interval.high, 6)
        (0.1, 0.1)
    """
    from arch.bootstrap import StationaryBootstrap  # takes seconds

    _, day = np.unique(days, return_inverse=True)
    sums = np.stack([np.bincount(day, error), np.bincount(day, baseline)], axis=1)  # (days, 2)
    resampled = StationaryBootstrap(BLOCK, sums, seed=rng).apply(_skill, RESAMPLES)
    low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))


def _skill(sums: Floats) -> Floats:
    error, baseline = sums.sum(axis=0)
    return np.asarray(1 - error / baseline)


def told_of(*readings: Outcome) -> str:
    """Return one model's skill with its interval in a line, and R2 beside that of the best baseline alone.

    Args:
        readings: As `judge` made them of the same forecasts; the skill and its interval are those of the last.
    """
    last = readings[-1]
    parts = [
        f"{each.metric} {each.value:.4f}, with R2 {each.figures['R2']:.4f} "
        f"(the best baseline alone {each.figures['R2 of the best baseline']:.4f})"
        for each in readings
    ]
    interval = f"{last.figures['skill, low']:.4f} to {last.figures['skill, high']:.4f}"
    return f"{last.model}: {'; '.join(parts)}; 95 % interval of the skill {interval}."
