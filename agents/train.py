"""Train one agent, on the market or on a game.

    python -m agents.train dqn-counterfactual --prices prices.parquet --universe seed20 --test-year 2019
    python -m agents.train sb3-ppo-rnn -n 50000 -params n_steps:256
    python -m agents.train dqn --env paddle --video paddle.gif

Flags mean what they mean in rl-baselines3-zoo. On the market the agent learns on the years before the validation year
and is not tested: `python -m backtests.run` does that, with more than one seed. A training that was stopped goes on
with the same command, and ends as if it never had been.
"""

from __future__ import annotations

import argparse
import ast
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym

from agents import train_game, train_market
from agents.registry import learners

MARKET = "etf"
"""The environment that is not a game."""


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(
        prog="python -m agents.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("agent", help=f"one of {', '.join(learners())}, with -dnn, -cnn or -rnn for another torso")
    games = ", ".join(train_game.tasks())
    made.add_argument("--env", default=MARKET, help=f"{MARKET}, the market, or a game for dqn: {games}")
    made.add_argument("-n", "--n-timesteps", type=int, help="transitions in all; default: the settings'")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--device", default="cpu", help="cpu or cuda")
    made.add_argument("-f", "--log-folder", type=Path, help="default: one of its own under runs/train")
    made.add_argument("--eval-freq", type=int, help="transitions from one evaluation to the next; default: -n / 10")
    made.add_argument("--eval-episodes", type=int, default=50, help="whole episodes in the last evaluation")
    made.add_argument("--save-freq", type=int, help="transitions from one checkpoint to the next; default: -n / 10")
    made.add_argument("--tensorboard-log", type=Path)
    made.add_argument("-params", "--hyperparams", nargs="+", default=[], metavar="NAME:VALUE", help="e.g. gamma:0.97")
    made.add_argument("--video", type=Path, help="GIF of an episode with what was learned")
    market = made.add_argument_group("on the market")
    add_market_options(market)
    market.add_argument("--test-year", type=int, help="learn for this year (default: the last of the prices)")
    return made


def add_market_options(to: argparse._ArgumentGroup | argparse.ArgumentParser) -> None:
    """Add the options that say which prices."""
    to.add_argument("--prices", default="builtin", help="builtin, yahoo, world:NAME or a path (CSV, folder, Parquet)")
    to.add_argument("--universe", metavar="NAME|T1,T2,...", help="tickers, or a name in data/universes.toml")
    to.add_argument("--train-years", type=int, help="years to train on, a rolling window (default: all there are)")


def hyperparams(pairs: list[str]) -> dict[str, Any]:
    """Return the settings of "name:value" pairs; values are written as in Python, and nothing in them is run.

    Raises:
        ValueError: If a pair is not of that form.

    Example:
        >>> hyperparams(["gamma:0.97", "head:[64, 64]", "dueling:True"])
        {'gamma': 0.97, 'head': [64, 64], 'dueling': True}
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, _, value = pair.partition(":")
        try:
            settings[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            msg = f"--hyperparams takes NAME:VALUE such as gamma:0.97 or dueling:True, got {pair!r}"
            raise ValueError(msg) from None
    return settings


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    given = parser().parse_args(arguments)
    try:
        changes = hyperparams(given.hyperparams)
        (train_market if given.env == MARKET else train_game).run(given, changes)
    except (ValueError, OSError, gym.error.Error, ImportError) as error:
        print(f"agents.train: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("agents.train: stopped; the same command goes on from the last checkpoint (--save-freq)", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
