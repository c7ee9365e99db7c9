"""`etfgym worlds`: what can be asked of the artificial markets in a shell.

make NAME writes a path of a world as a Parquet table that every `--prices` takes; report says how like the real market
each world is; judge tries a policy on alternative years.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etfgym.worlds import WORLDS

if TYPE_CHECKING:
    from etfgym.worlds.history import History

GOOD = 0


def add_commands(subjects: Any) -> None:
    """Add the subject `worlds` to the subparsers of `etfgym`; each verb sets `command`, from options to exit status.

    Args:
        subjects: Of `argparse.ArgumentParser.add_subparsers`.
    """
    worlds = subjects.add_parser("worlds", help="artificial markets made from real bars")
    verbs = worlds.add_subparsers(required=True, metavar="VERB")

    make = verbs.add_parser("make", help="write one path of a world as a Parquet table of prices")
    make.add_argument("name", help=", ".join(WORLDS))
    _add_prices(make)
    make.add_argument("--seed", type=int, default=0, help="equal seeds, equal paths (default: 0)")
    make.add_argument("--bars", type=int, help="length of the path; that of the history if left out")
    make.add_argument("--out", type=Path, required=True, help="FILE.parquet, which any --prices takes")
    make.set_defaults(command=_make)

    report = verbs.add_parser("report", help="say how like the real market each world is, and who fails the bar")
    _add_prices(report)
    report.add_argument("--seeds", type=int, default=5, help="splits and trainings of each score (default: 5)")
    report.add_argument("--gan", action="store_true", help="include the GAN, which takes longest")
    report.add_argument("--out", type=Path, required=True, help="folder for worlds.json and worlds.png")
    report.set_defaults(command=_report)

    judge = verbs.add_parser("judge", help="try a policy on alternative years")
    judge.add_argument("--policy", required=True, help="such as ma-cross; see etfgym.policies")
    judge.add_argument("--world", default="bootstrap", help="default: bootstrap; one of those of make")
    _add_prices(judge)
    judge.add_argument("--years", type=int, default=1000, help="default: 1000")
    judge.add_argument("--seed", type=int, default=0, help="of the first year (default: 0)")
    judge.set_defaults(command=_judge)


def _add_prices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prices", default="builtin", help="real bars: builtin, yahoo or a path (default: builtin)")
    parser.add_argument("--tickers", help="SPY,QQQ or a universe; all there are if left out")


def _make(options: argparse.Namespace) -> int:
    import pandas as pd

    from etfgym.atomic import write_atomically
    from etfgym.worlds.world import fit_history

    if options.out.suffix != ".parquet" or not options.out.parent.is_dir():
        msg = f"--out must be a file in a folder that exists, named like years.parquet, got {options.out}"
        raise ValueError(msg)
    tables = fit_history(options.name, _history(options), seed=options.seed).generate(options.seed, options.bars)
    frames = [table.to_frame().reset_index().assign(ticker=table.ticker) for table in tables]
    frame = pd.concat(frames, ignore_index=True)
    write_atomically(options.out, lambda part: frame.to_parquet(part, index=False))
    for table in tables:
        print(table)
    print(f"written to {options.out}; none of it happened")
    return GOOD


def _report(options: argparse.Namespace) -> int:
    from etfgym.checks import whole_number

    whole_number("--seeds", options.seeds, 2)
    try:
        from etfgym.worlds.report import as_text, make_report, write_report
    except ModuleNotFoundError as error:
        msg = f'{error.name} is not installed; pip install "etfgym[torch,report]"'
        raise ModuleNotFoundError(msg) from None
    report = make_report(_history(options), options.seeds, gan=options.gan)
    write_report(report, options.out)
    print(as_text(report))
    print(f"written to {options.out / 'worlds.json'} and {options.out / 'worlds.png'}")
    return GOOD


def _judge(options: argparse.Namespace) -> int:
    from etfgym.checks import one_of, whole_number
    from etfgym.policies import POLICIES
    from etfgym.worlds.judge import as_text, judge
    from etfgym.worlds.world import fit_history

    one_of("--policy", options.policy, POLICIES)
    whole_number("--years", options.years, 2)
    world = fit_history(options.world, _history(options), seed=options.seed)
    judged = judge(options.policy, world, options.years, options.seed)
    print(as_text(judged, options.policy, world, options.seed))
    return GOOD


def _history(options: argparse.Namespace) -> History:
    from etfgym import sources
    from etfgym.sources.universes import universe
    from etfgym.worlds.history import History

    names = None if options.tickers is None else universe(options.tickers)
    return History.of(sources.load(options.prices, names))
