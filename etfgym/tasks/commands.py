"""The commands `etfgym tasks list | run | predict`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from etfgym.tasks import TASKS

GOOD, MISSED = 0, 1


def add_commands(subjects: Any) -> None:
    """Add the subject `tasks` to the parsers that `etfgym.cli` collects."""
    parser = subjects.add_parser("tasks", help="supervised tasks: train, test, predict")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    verbs.add_parser("list", help="each task, its data, and what predict takes").set_defaults(command=_list)

    run = verbs.add_parser("run", help="train, test, and write model, curve and figures")
    _add_common(run)
    run.add_argument("--data", help="your own source; `etfgym tasks list` says which kind")
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--json", type=Path, metavar="FILE", help="write task, metric, value, baselines, seconds to FILE")
    run.add_argument("--quick", action="store_true", help="seconds instead of minutes: only shows that it runs")
    run.set_defaults(command=_run)

    predict = verbs.add_parser("predict", help="let the trained model speak on your own input")
    _add_common(predict)
    predict.add_argument("input", help="`etfgym tasks list` says what")
    predict.set_defaults(command=_predict)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help=f"one of {', '.join(TASKS)}")
    parser.add_argument("--out", type=Path, help="folder of the model; default: runs/tasks/NAME")


def _list(options: argparse.Namespace) -> int:
    del options
    for name, info in TASKS.items():
        print(f"{name}\n  {info.about}\n  data: {info.data}\n  predict: {info.given}")
    return GOOD


def _run(options: argparse.Namespace) -> int:
    from etfgym.tasks import task
    from etfgym.tasks.outcome import Setup, text, write_json

    folder = _folder(options)
    setup = Setup(folder=folder, data=options.data, seed=options.seed, quick=options.quick)
    with _saying_what_to_install():
        module = task(options.name)
        folder.mkdir(parents=True, exist_ok=True)
        outcomes = module.run(setup)
    print(text(outcomes))
    if options.quick:
        print("Quick: the figures only show that it runs.")
    for file in {folder / "outcome.json", options.json or folder / "outcome.json"}:
        write_json(file, options.name, setup, outcomes)
    print(f"model, curve and figures: {folder}")
    missed = [f"{outcome.model} {outcome.metric}" for outcome in outcomes if outcome.reached is False]
    if missed and not options.quick:
        print(f"etfgym: missed its target: {', '.join(missed)}", file=sys.stderr)
        return MISSED
    return GOOD


def _predict(options: argparse.Namespace) -> int:
    from etfgym.tasks import task

    folder = _folder(options)
    with _saying_what_to_install():
        module = task(options.name)
        if not folder.exists():
            msg = f"{folder}: nothing is trained there; first run: etfgym tasks run {options.name}"
            raise ValueError(msg)
        print(module.predict(folder, options.input))
    return GOOD


@contextmanager
def _saying_what_to_install() -> Iterator[None]:
    """Add the cure where Python itself says that a package is missing; a task may have said it already."""
    try:
        yield
    except ModuleNotFoundError as error:
        if not str(error).startswith("No module named"):
            raise
        msg = f"{error.name} is not installed; run: pip install 'etfgym[tasks]'"
        raise ModuleNotFoundError(msg, name=error.name) from None


def _folder(options: argparse.Namespace) -> Path:
    return options.out or Path("runs") / "tasks" / str(options.name)
