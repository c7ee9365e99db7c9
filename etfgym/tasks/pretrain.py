"""pretrain: a torso that has seen the windows of many tickers, for an agent to start from.

It is fitted, under a head of three outputs, to what a trader would like to know at the window's last close, of which
the first two can hardly be told and the third can:

| what | in units of | naive |
| --- | --- | --- |
| return of the next day | the window's volatility | zero; the mean in training |
| return of the next five days | the window's volatility times the root of 5 | zero; the mean in training |
| volatility of the next five days | log of its ratio to the window's | zero; the mean in training |

Returns are total returns, dividends included; volatility is the root mean square of daily log returns. Nothing of the
year `until` and after it is looked at, so what an agent does from then on is out of sample. The head is thrown away.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from etfgym import sources
from etfgym.nets import TORSOS, build, files
from etfgym.prices import PriceTable
from etfgym.sources.universes import universe
from etfgym.tasks.fit import Fitting, draw_curve
from etfgym.tasks.forecast import fit_forecast, judge, told_of
from etfgym.tasks.outcome import Outcome, Setup, text, write_json
from etfgym.tasks.windows import LEAST_VOLATILITY, Dataset, Floats, split_by_years

WINDOW, HORIZON = 20, 5
VALID_YEARS, TEST_YEARS = 2, 1
FITTING = Fitting(epochs=12, batch_size=512, learning_rate=3e-4, l2=1e-5, patience=4)
TARGETS = ("next day's return", "next 5 days' return", "next 5 days' volatility")


def follows(table: PriceTable) -> Floats:
    """Return the log return of the next day, that of the next five, and their volatility, shape (T - 5, 3)."""
    steps = np.diff(np.log(table.adj_close))
    weeks = np.lib.stride_tricks.sliding_window_view(steps, HORIZON)  # (T - 5, 5)
    spread = np.maximum(np.sqrt((weeks**2).mean(axis=1)), LEAST_VOLATILITY)
    return np.column_stack((weeks[:, 0], weeks.sum(axis=1), spread))


def targets_of(data: Dataset) -> Floats:
    """Return what the torso is fitted to, shape (N, 3), each zero where the naive forecast is right."""
    day, week, spread = data.follows.T
    known = data.volatility
    return np.column_stack((day / known, week / (known * np.sqrt(HORIZON)), np.log(spread / known)))


def pretrain(
    tables: Sequence[PriceTable], net: str, folder: Path, *, until: int | None, epochs: int, seed: int
) -> list[Outcome]:
    """Fit a torso to tables; write its weights, torso.json and curve.png; return its skill, in validation and test.

    Args:
        tables: Of one or more tickers; those without a bar before `until` are to be left out.
        net: "cnn", "dnn" or "rnn", with all of its defaults, as in `agents.dqn`.
        folder: Made if need be.
        until: The first year that is not looked at; None: all years are. The last year that is looked at is the test,
            the two before it choose the epoch.
        epochs: At most.
        seed: Of weights, batches and the bootstrap.

    Raises:
        PriceError: If there is too little history.
    """
    if until is not None:
        tables = [table.until(f"{until - 1}-12-31") for table in tables]
    train, valid, test = split_by_years(Dataset.of(tables, WINDOW, follows, HORIZON), VALID_YEARS, TEST_YEARS)
    learnt, chosen = ((part.windows, targets_of(part)) for part in (train, valid))
    spec = build({"net": net, "window": WINDOW}).spec
    forecast, history = fit_forecast(spec, learnt, chosen, replace(FITTING, epochs=epochs), seed=seed, label=net)
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "torso": spec,
        "targets": TARGETS,
        "until": until,
        "trained_on": train.told(),
        "chosen_on": valid.told(),
        "tickers": [table.ticker for table in tables],
        "data_sha256": hashlib.sha256("".join(table.sha256 for table in tables).encode()).hexdigest(),
        "seed": seed,
    }
    files.save(folder, "torso", forecast.model.torso.state_dict(), settings)
    draw_curve([(net, history)], folder / "curve.png", "Pre-training")
    mean = targets_of(train).mean(axis=0)
    outcomes = []
    for name, part in (("validation", valid), ("test", test)):
        followed, told, none = targets_of(part), forecast(part.windows), np.zeros(len(part))
        for k, target in enumerate(TARGETS):
            baselines = {"zero": none, "mean in training": none + mean[k]}
            what = f"{net}, {name}", f"skill {target}", part
            outcome = judge(*what, followed[:, k], told[:, k], baselines, seed, history.seconds)
            outcomes.append(replace(outcome, note=told_of(outcome)))
    return outcomes


def add_command(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb `pretrain` to the parsers of `python -m etfgym.tasks`."""
    parser = verbs.add_parser(
        "pretrain",
        help="train a torso on pooled windows, for an agent to start from",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--net", choices=tuple(TORSOS), default="cnn", help="with all of its defaults")
    add("--prices", default="builtin", help="builtin, yahoo, world:NAME or a path (CSV, folder of them, Parquet)")
    add(
        "--universe",
        metavar="NAME|T1,T2,...",
        help="tickers, or a name in data/universes.toml; all there are if left out",
    )
    add("--until", type=int, metavar="YEAR", help="look at nothing of this year and later: an agent's test years")
    add("--epochs", type=int, default=FITTING.epochs, help="at most")
    add("--seed", type=int, default=0)
    add("--out", type=Path, default=Path("runs/pretrained"), help="folder of weights.safetensors and torso.json")
    parser.set_defaults(command=_pretrain)


def _pretrain(options: argparse.Namespace) -> int:
    tables = sources.load(options.prices, universe(options.universe) if options.universe else None)
    outcomes = pretrain(tables, options.net, options.out, until=options.until, epochs=options.epochs, seed=options.seed)
    print(text(outcomes))
    setup = Setup(
        folder=options.out, data=":".join(filter(None, (options.prices, options.universe))), seed=options.seed
    )
    write_json(options.out / "outcome.json", "pretrain", setup, outcomes)
    last = max(table.dates[-1] for table in tables) if options.until is None else f"{options.until - 1}-12-31"
    print(f"torso, curve and figures: {options.out}; an agent that starts from it is out of sample after {last} only")
    return 0
