"""Choose an agent's settings on validation years: `python -m agents.tune NAME`.

    python -m agents.tune dqn --n-trials 30
    python -m agents.tune sb3-ppo --prices prices.parquet --universe seed20 --test-years 2008-2011 --seeds 2

Each trial trains the agent for every test year and seed, and scores the mean return in the years before the test years,
which are for validation; a test year is never traded. What is tried is in `agents/configs/tune.toml`. Trials are kept
in a journal: a search that was stopped goes on with the same command and ends as if it never had been.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from joblib import Parallel, delayed
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from tqdm import tqdm

from agents.market import environment, observation, train
from agents.registry import Agent, learner, learners
from agents.train import add_market_options
from agents.train_folder import claim
from agents.train_market import last_year, load
from etfgym.atomic import write_atomically
from etfgym.backtest import backtest, backtest_together
from etfgym.checks import one_of, parse_years, positive
from etfgym.ledger import Costs
from etfgym.policies import BuyAndHold
from etfgym.prices import PriceTable
from etfgym.splits import Fold, split_by_fold

SPACE = Path(__file__).parent / "configs" / "tune.toml"


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched: an agent, and the trainings that score each of its settings."""

    agent: Agent
    tables: Sequence[PriceTable]
    folds: Sequence[Fold]
    seeds: int
    steps: int

    def score(self, settings: Mapping[str, Any], processes: int) -> float:
        """Return the mean return in the validation years, over folds and seeds."""
        made = replace(self.agent, settings={**self.agent.settings, **settings})
        runs = [(made, self.tables, fold, seed, self.steps) for fold in self.folds for seed in range(self.seeds)]
        return float(np.mean(Parallel(n_jobs=processes)(delayed(validation_return)(*run) for run in runs)))

    def hold(self) -> float:
        """Return that of buy-and-hold."""
        return float(
            np.mean(
                [
                    backtest(BuyAndHold(), table, split_by_fold(table, fold).valid, **environment(Costs())).total_return
                    for fold in self.folds
                    for table in self.tables
                ]
            )
        )


def validation_return(agent: Agent, tables: Sequence[PriceTable], fold: Fold, seed: int, steps: int) -> float:
    """Train, and return the mean return in the validation year."""
    policy = train(agent, tables, fold, seed, steps, costs=Costs())
    periods = [split_by_fold(table, fold).valid for table in tables]
    results = backtest_together(policy, tables, periods, **environment(Costs()), **observation(agent))
    return float(np.mean([result.total_return for result in results]))


def space(agent: Agent, file: Path = SPACE) -> dict[str, dict[str, Any]]:
    """Return what is tried for an agent: a range or choices by setting.

    Raises:
        ValueError: If there is nothing, or a setting is neither.
    """
    tables = tomllib.loads(file.read_text(encoding="utf-8"))
    kind = f"sb3-{agent.settings['algorithm']}" if agent.learner == "sb3" else agent.learner
    settings: dict[str, dict[str, Any]] = tables[one_of(f"table of {file}", kind, tables)]
    for name, drawn in settings.items():
        if set(drawn) not in ({"choices"}, {"low", "high"}, {"low", "high", "log"}):
            msg = f"{file}: [{kind}] {name} must have low and high, with log or without, or choices, got {drawn}"
            raise ValueError(msg)
    return settings


def suggest(trial: optuna.Trial, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a trial's value of each setting."""
    values: dict[str, Any] = {}
    for name, drawn in settings.items():
        if "choices" in drawn:
            values[name] = trial.suggest_categorical(name, drawn["choices"])
        elif isinstance(drawn["low"], int):
            values[name] = trial.suggest_int(name, **drawn)
        else:
            values[name] = trial.suggest_float(name, **drawn)
    return values


def tune(search: Search, folder: Path, trials: int, seed: int, processes: int) -> optuna.Study:
    """Return the study after `trials` whole trials, those of the journal in `folder` included.

    Each trial has a sampler of its own, seeded by the number of whole trials before it, so that a search that was
    stopped goes on to the same end.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(folder / "journal.log")))
    study = optuna.create_study(study_name="tune", storage=storage, direction="maximize", load_if_exists=True)
    for left in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):  # of a process that was killed
        study.tell(left.number, state=TrialState.FAIL)
    drawn = space(search.agent)
    done = len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    for number in tqdm(range(done, trials), initial=done, total=trials, desc="trials"):
        study.sampler = optuna.samplers.TPESampler(seed=np.random.SeedSequence((seed, number)).generate_state(1)[0])
        trial = study.ask()
        study.tell(trial, search.score(suggest(trial, drawn), processes))
    return study


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    made = parser()
    given = made.parse_args(arguments)
    try:
        agent = learner(given.agent)
        tables = load(given.prices, given.universe)
        years = parse_years(given.test_years) if given.test_years else [last_year(tables)]
        folds = [Fold(year, given.train_years) for year in years]
        for fold in folds:
            for table in tables:
                split_by_fold(table, fold)
        search = Search(agent, tables, folds, given.seeds, given.n_timesteps or agent.n_timesteps)
        folder = given.log_folder or Path("runs") / "tune" / given.agent
        told = {"agent": agent.spec(), "space": space(agent), "seed": given.seed, "seeds": given.seeds}
        data = {table.ticker: table.sha256 for table in tables}
        claim(folder, told | {"steps": search.steps, "folds": list(map(str, folds)), "data": data})
    except (ValueError, OSError, ImportError) as error:
        made.error(str(error))
    try:
        study = tune(search, folder, given.n_trials, given.seed, given.jobs)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    trainings = given.n_trials * len(folds) * given.seeds
    best = table_of(given.agent, study.best_params, agent.tuned + trainings)
    write_atomically(folder / "best.toml", lambda path: path.write_text(best))
    valid = [split_by_fold(table, fold).valid for table in tables for fold in folds]
    print(
        f"best of {given.n_trials} settings in the validation years {min(part.first for part in valid)} to "
        f"{max(part.last for part in valid)}: mean return {100 * study.best_value:+.1f} %, buy-and-hold "
        f"{100 * search.hold():+.1f} %, {len(tables)} tickers, {given.seeds} seeds. The best of many is too good to be "
        f"true: python -m backtests.run trades test years.\n\n{best}\nThis table: {folder / 'best.toml'}; add it to "
        f"agents/configs/market.toml"
    )
    return 0


def table_of(name: str, settings: Mapping[str, Any], tuned: int) -> str:
    """Return the table for `agents/configs/market.toml`.

    Example:
        >>> print(table_of("dqn", {"gamma": 0.9}, 20))
        [dqn-tuned]
        like = "dqn"
        tuned = 20
        settings = { gamma = 0.9 }
        <BLANKLINE>
    """
    values = ", ".join(f"{setting} = {json.dumps(value)}" for setting, value in settings.items())
    return f'[{name}-tuned]\nlike = "{name}"\ntuned = {tuned}\nsettings = {{ {values} }}\n'


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(
        prog="python -m agents.tune", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("agent", help=f"one of {', '.join(learners())}")
    add("--n-trials", type=positive, default=20, help="settings to try in all, those of a stopped search included")
    add("-n", "--n-timesteps", type=positive, help="transitions of a training; default: the settings'")
    add("--seeds", type=positive, default=2, help="trainings for each test year")
    add("--seed", type=int, default=0, help="of the search")
    add(
        "--test-years",
        help="2018, 2016-2020 or 2012,2018: the years before them score (default: the last of the prices)",
    )
    add("--jobs", type=positive, default=1, help="trainings at a time")
    add("-f", "--log-folder", type=Path, help="default: runs/tune/AGENT")
    add_market_options(made)
    return made


if __name__ == "__main__":
    sys.exit(main())
