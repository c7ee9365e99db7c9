"""Does a torso that was trained before help a DQN? The same agent with and without it, seed by seed, out of sample.

python -m backtests.pretraining                                   # two stock indices that need no network
python -m backtests.pretraining --prices prices.parquet --universe SPY,QQQ --test-year 2019 --freeze
python -m backtests.pretraining --weights runs/pretrained         # of `python -m etfgym.tasks pretrain --until ...`

The torso is pre-trained on the years before the validation year, on the prices that the agent trades. Then two DQNs a
seed learn on those years, as in `backtests.protocol`, one agent for all tickers: one from random weights, one from the
torso's. All else is the same, the seed included, so their returns in the test year are compared in pairs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from joblib import Parallel, delayed
from tqdm import tqdm

from agents import dqn_market, registry
from agents.dqn import DQN
from agents.market import environment, observation, training
from backtests.jobs import SETTINGS
from etfgym import sources
from etfgym.atomic import write_atomically
from etfgym.backtest import backtest, backtest_together
from etfgym.checks import positive
from etfgym.ledger import Costs
from etfgym.nets import TORSOS, build, files
from etfgym.nets.transfer import transfer
from etfgym.policies import BuyAndHold
from etfgym.prices import PriceTable
from etfgym.report.tables import FEWEST_SEEDS, PROVISO, percent, points, span
from etfgym.sources.universes import universe
from etfgym.splits import Fold, split_by_fold
from etfgym.stats import Interval, mean_interval
from etfgym.tasks.pretrain import FITTING, pretrain

Floats = npt.NDArray[np.float64]
BOOTSTRAP_SEED = 0
CODE = Path(__file__).read_text()
COSTS = Costs()
AGENT = registry.learner("dqn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One DQN, trained and traded with one seed."""

    torso: Mapping[str, Any]
    """Its spec."""
    weights: str
    """SHA-256 of the torso's weights; empty: random ones."""
    freeze: bool
    tickers: tuple[str, ...]
    data: tuple[str, ...]
    """SHA-256 of each ticker's table."""
    test_year: int
    seed: int
    steps: int
    """Transitions."""

    @property
    def file(self) -> str:
        """The name of its result's file, by the hash of all that the result depends on."""
        spec = json.dumps([asdict(self), SETTINGS, CODE], sort_keys=True)
        return f"{hashlib.sha256(spec.encode()).hexdigest()[:16]}.json"


# ------------------------------------------------------------------------------------------------ train and trade


def run(
    trainings: Sequence[Training], tables: Sequence[PriceTable], weights: Path, folder: Path, processes: int
) -> Floats:
    """Run the trainings that `folder` has no result of; return all returns, shape (trainings, tables)."""
    folder.mkdir(parents=True, exist_ok=True)
    left = [training for training in trainings if not (folder / training.file).exists()]
    done = Parallel(n_jobs=processes, return_as="generator_unordered")(
        delayed(_run)(training, tables, weights, folder / training.file) for training in left
    )
    with tqdm(total=len(trainings), initial=len(trainings) - len(left), desc="trainings") as bar:
        for _ in done:
            bar.update()
    return np.array([json.loads((folder / training.file).read_text())["returns"] for training in trainings])


def _run(spec: Training, tables: Sequence[PriceTable], weights: Path, file: Path) -> None:
    agent = train(spec, tables, weights)
    periods = [split_by_fold(table, Fold(spec.test_year)).test for table in tables]
    results = backtest_together(agent, tables, periods, **environment(COSTS), **observation(AGENT))
    returns = [result.total_return for result in results]
    content = json.dumps({"training": asdict(spec), "returns": returns}, indent=1)
    write_atomically(file, lambda path: path.write_text(content))


def train(spec: Training, tables: Sequence[PriceTable], weights: Path) -> DQN:
    """Return the agent, with the weights that did best in the validation year; see `backtests.protocol`."""

    def prepare(agent: DQN) -> None:
        if spec.weights:
            transfer(agent, weights, freeze=spec.freeze)

    settings = {**AGENT.settings, "torso": spec.torso, "features": spec.torso["features"]}
    task = training(AGENT, tables, Fold(spec.test_year), spec.seed, spec.steps, costs=COSTS)
    return dqn_market.learn(settings, task, prepare)


# ------------------------------------------------------------------------------------------------ report


def summary(without: Floats, pretrained: Floats, hold: Floats) -> str:
    """Return the table of returns and the sentence that they allow.

    Args:
        without: Returns from random weights, shape (tables, seeds).
        pretrained: Returns from the torso's weights, likewise; column by column with the same seed.
        hold: Those of buy-and-hold, shape (tables,).
    """
    seeds = without.shape[1]
    rows = [("agent", "seeds", "return", "95 % interval")]
    for name, returns in (("DQN", without), ("DQN, torso pre-trained", pretrained)):
        rows.append((name, str(seeds), percent(returns.mean()), _told(_interval(returns))))
    rows.append(("buy-and-hold", "-", percent(hold.mean()), "no randomness"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    form = f"{{:<{widths[0]}}}  {{:>{widths[1]}}}  {{:>{widths[2]}}}  {{:>{widths[3]}}}"
    lines = [form.format(*row) for row in rows]
    claim = conclude(pretrained - without)
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], "", *textwrap.wrap(claim, 100)])


def conclude(differences: Floats) -> str:
    """Return what differences of returns, pre-trained less without, shape (tables, seeds), allow to say.

    Example:
        >>> conclude(np.full((1, 10), 0.02) + np.linspace(-0.01, 0.01, 10)).split(":")[0]
        'The pre-trained torso helped here'
        >>> conclude(np.linspace(-0.01, 0.01, 10)[None]).split(":")[0]
        'No evidence that the pre-trained torso helps or harms'
    """
    interval, seeds = _interval(differences), differences.shape[1]
    claim = "No evidence that the pre-trained torso helps or harms"
    if seeds >= FEWEST_SEEDS and interval.low > 0:
        claim = "The pre-trained torso helped here"
    elif seeds >= FEWEST_SEEDS and interval.high < 0:
        claim = "The pre-trained torso did harm here"
    few = "" if seeds >= FEWEST_SEEDS else f" It takes {FEWEST_SEEDS} pairs or more to say anything else."
    return (
        f"{claim}: the difference of the returns, seed by seed, was {points(differences.mean())} points on average "
        f"(95 % interval over seeds {_told(interval)}, {seeds} pair{'s' * (seeds != 1)}).{few} The interval is of "
        f"these tickers in this year. {PROVISO}"
    )


def _interval(returns: Floats) -> Interval:
    """Return the interval of the mean over seeds; one agent trades all tables, so that its luck is shared."""
    return mean_interval(returns, np.random.default_rng(BOOTSTRAP_SEED), groups=np.zeros(len(returns)))


def _told(interval: Interval) -> str:
    return span(interval) if interval.available else "not available with one seed"


# ------------------------------------------------------------------------------------------------ command


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare as the command line asks; return the exit status."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    try:
        tables = sources.load(asked.prices, universe(asked.universe) if asked.universe else None)
        tests = [split_by_fold(table, Fold(asked.test_year)).test for table in tables]
        weights = asked.weights or _pretrained(tables, asked)
        spec, sha256 = _read(weights, asked.test_year)
    except (ValueError, OSError, ImportError) as error:
        parser.error(str(error))
    made = {
        "torso": spec,
        "tickers": tuple(table.ticker for table in tables),
        "data": tuple(table.sha256 for table in tables),
        "test_year": asked.test_year,
        "steps": asked.steps,
    }
    arms = ({"weights": "", "freeze": False}, {"weights": sha256, "freeze": asked.freeze})
    trainings = [Training(**made, **arm, seed=seed) for seed in range(asked.seeds) for arm in arms]
    try:
        returns = run(trainings, tables, weights, asked.out / "trainings", os.cpu_count() or 1)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    without, pretrained = returns.reshape(asked.seeds, 2, len(tables)).transpose(1, 2, 0)
    held = [
        backtest(BuyAndHold(), table, test, **environment(COSTS)) for table, test in zip(tables, tests, strict=True)
    ]
    hold = np.array([result.total_return for result in held])
    first, last = min(test.first for test in tests), max(test.last for test in tests)
    head = (
        f"Out of sample {first} to {last} on {', '.join(made['tickers'])}; {asked.steps:,} transitions a training; "
        f"torso {spec['net']}{', frozen' if asked.freeze else ''}; "
        f"costs {10_000 * COSTS.commission:g} basis points a trade"
    )
    text = "\n".join([*textwrap.wrap(head, 100), "", summary(without, pretrained, hold)])
    write_atomically(asked.out / "summary.txt", lambda path: path.write_text(f"{text}\n"))
    print(f"\n{text}")
    return 0


def _pretrained(tables: Sequence[PriceTable], asked: argparse.Namespace) -> Path:
    """Return the folder of a torso that has seen nothing of the validation year and after."""
    torch.set_num_threads(1)  # the same weights every time, or no finished training would be found again
    folder: Path = asked.out / "torso"
    pretrain(tables, asked.net, folder, until=asked.test_year - 1, epochs=FITTING.epochs, seed=0)
    return folder


def _read(folder: Path, test_year: int) -> tuple[dict[str, Any], str]:
    """Return the spec of a torso and the SHA-256 of its weights.

    Raises:
        ValueError: If there is none, or if it has seen the test year.
    """
    with files.refusing(folder, "torso"):
        _, settings = files.load(folder, "torso")
        spec, until = build(settings["torso"]).spec, settings["until"]
    if until is None or until > test_year:
        msg = (
            f"{folder}: the torso has seen the test year {test_year}, or may have; pre-train it again with "
            f"--until {test_year - 1}"
        )
        raise ValueError(msg)
    return spec, hashlib.sha256((folder / files.WEIGHTS).read_bytes()).hexdigest()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m backtests.pretraining",
        description="A DQN with and without a pre-trained torso, seed by seed, out of sample.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--prices", default="builtin", help="builtin, yahoo, world:NAME or a path (CSV, folder of them, Parquet)")
    add("--universe", metavar="NAME|T1,T2,...", help="tickers, or a name in data/universes.toml; all if left out")
    add("--test-year", type=int, default=2018, help="traded once; the year before chooses, those before it are learned")
    add("--net", choices=tuple(TORSOS), default="cnn", help="the torso, with all of its defaults")
    add("--weights", type=Path, metavar="FOLDER", help="a torso of `python -m etfgym.tasks pretrain`, instead of --net")
    add("--freeze", action="store_true", help="the torso stays as it came; only what follows it learns")
    add("--seeds", type=positive, default=10, help="pairs of trainings; fewer than ten are no evidence")
    add("--steps", type=positive, default=20_000, help="transitions of a training")
    add("--out", type=Path, default=Path("runs/pretraining"), help="result folder; a stopped run goes on there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
