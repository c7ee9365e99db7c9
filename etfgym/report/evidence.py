"""What can be said about an agent beside its mean: middle, odds, Sharpe ratio, and tests against buy-and-hold.

Tests look at daily returns of the mean account: each day's returns averaged over seeds, then over tickers, test years
one after the other. Buy-and-hold's is made in the same way, from the cells that the agent traded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
import numpy.typing as npt
import pandas as pd

from etfgym import metrics, stats
from etfgym.report.results import BASELINES, HINDSIGHT, HOLD, Results
from etfgym.report.scores import agent_scores, new_rng, shared_luck
from etfgym.stats import NO_INTERVAL, Interval

Floats = npt.NDArray[np.float64]

PBO_BLOCKS = 12
PROFILE_POINTS = 41


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Of one agent; NaN and `NO_INTERVAL` stand for what the results can't give. Sharpe ratios are of a year."""

    agent: str
    iqm: float
    """Interquartile mean of the returns of all runs, a fraction."""
    iqm_interval: Interval
    improvement: float
    """Probability that a run ends above buy-and-hold on the same cell, ties half."""
    improvement_interval: Interval
    sharpe: float
    """Of the mean account."""
    sharpe_interval: Interval
    spa: float
    """p-value of Hansen's test that the mean account is no better than buy-and-hold's."""
    reality_check: float
    """p-value of White's."""
    deflated: float
    """Probability that the true Sharpe ratio is above what the best of all trials has by luck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Of all learners at once: the best of several is found good by luck more easily than one."""

    learners: Sequence[str]
    spa: float
    reality_check: float
    overfitting: float
    """Probability of backtest overfitting; NaN where `no_overfitting` says why it can't be told."""
    no_overfitting: str


def weigh(results: Results) -> tuple[dict[str, Evidence], Together]:
    """Return the evidence for each agent but hindsight, and for the learners together."""
    cells = _cell_returns(results)
    accounts = {agent: _mean_accounts(cells, agent) for agent in results.agents if agent != HINDSIGHT}
    spread = _spread_of_trials(results)
    return (
        {agent: _evidence(results, agent, *accounts[agent], spread) for agent in accounts},
        _together(results, accounts),
    )


def _evidence(results: Results, agent: str, own: pd.Series[float], hold: pd.Series[float], spread: float) -> Evidence:
    scores, baseline, _ = agent_scores(results, agent)
    groups = shared_luck(results, agent, scores.index)
    matrix = np.asarray(scores, np.float64)
    others = np.repeat(np.asarray(baseline, np.float64)[:, None], 2, axis=1)  # runs that agree, as they have no chance
    returns, year = np.asarray(own, np.float64), sqrt(metrics.PERIODS_PER_YEAR)
    low, high = stats.sharpe_interval(returns, new_rng())
    tests = stats.Outperformance(nan, nan)
    improvement, improvement_interval = nan, NO_INTERVAL
    if agent != HOLD:
        tests = stats.outperformance(returns[None], np.asarray(hold, np.float64), new_rng())
        improvement = stats.probability_of_improvement(matrix, others)
        improvement_interval = stats.probability_of_improvement_interval(matrix, others, new_rng(), groups)
    deflated = nan
    if agent not in BASELINES and results.trials is not None and spread > 0 and not np.isnan(low):
        deflated = stats.deflated_sharpe(returns, results.trials, spread)
    return Evidence(
        agent=agent,
        iqm=stats.iqm(matrix),
        iqm_interval=stats.iqm_interval(matrix, new_rng(), groups),
        improvement=improvement,
        improvement_interval=improvement_interval,
        sharpe=float(metrics.sharpe(np.cumprod(np.append(1.0, 1.0 + returns)))),
        sharpe_interval=Interval(low * year, high * year),
        spa=tests.spa,
        reality_check=tests.reality_check,
        deflated=deflated,
    )


def _together(results: Results, accounts: Mapping[str, tuple[pd.Series[float], pd.Series[float]]]) -> Together:
    learners = [agent for agent in results.contenders if agent not in BASELINES]
    if not learners:
        return Together(learners=[], spa=nan, reality_check=nan, overfitting=nan, no_overfitting="no learner was run")
    table = pd.DataFrame({agent: accounts[agent][0] for agent in learners} | {HOLD: accounts[HOLD][0]}).dropna()
    returns = table[learners].to_numpy().T  # (learners, days that all of them traded)
    tests, overfitting, why = stats.Outperformance(nan, nan), nan, ""
    if table.empty:
        return Together(
            learners=learners, spa=nan, reality_check=nan, overfitting=nan, no_overfitting="no day is shared by all"
        )
    tests = stats.outperformance(returns, table[HOLD].to_numpy(), new_rng())
    if len(learners) < 2:
        why = "there is one learner only, so nothing was chosen among several here"
    elif len(table) < 2 * PBO_BLOCKS:
        why = f"{len(table)} days are too few for {PBO_BLOCKS} blocks"
    else:
        overfitting = stats.probability_of_overfitting(returns, PBO_BLOCKS)
    return Together(
        learners=learners,
        spa=tests.spa,
        reality_check=tests.reality_check,
        overfitting=overfitting,
        no_overfitting=why,
    )


def deflated_by_trials(results: Results, agent: str, trials: Sequence[int]) -> Floats:
    """Return the agent's deflated Sharpe ratio, had there been so many trials; NaN as in `Evidence`.

    Args:
        results: Of `load_results`.
        agent: A learner.
        trials: Numbers of trainings, shape (n,).

    Returns:
        Probabilities, shape (n,).
    """
    returns, spread = (
        np.asarray(_mean_accounts(_cell_returns(results), agent)[0], np.float64),
        _spread_of_trials(results),
    )
    return np.array([stats.deflated_sharpe(returns, number, spread) if spread > 0 else nan for number in trials])


def profiles(results: Results) -> tuple[Floats, dict[str, tuple[Floats, Floats, Floats]]]:
    """Return a grid of differences to buy-and-hold, and for each contender the share of runs above each of them.

    The share is the mean over cells; with it come the ends of its interval over seeds, NaN where there is none.
    """
    above, grid = {}, np.zeros(0)
    for agent in results.contenders:
        scores, hold, _ = agent_scores(results, agent)
        above[agent] = scores.sub(hold, axis=0)
        grid = np.append(grid, above[agent].to_numpy().ravel())
    low, high = np.nanquantile(grid, [0.005, 0.995])  # a few runs far out would leave no room for the others
    margin = 0.02 * (high - low)
    grid = np.linspace(min(-0.01, low - margin), max(0.01, high + margin), PROFILE_POINTS)
    shares = {}
    for agent, scores in above.items():
        matrix, groups = scores.to_numpy(np.float64), shared_luck(results, agent, scores.index)
        band = stats.performance_profile_band(matrix, grid, new_rng(), groups)
        shares[agent] = stats.performance_profile(matrix, grid), *band
    return grid, shares


# ------------------------------------------------------------------------------------------------ daily returns


def _cell_returns(results: Results) -> pd.Series[float]:
    """Return each day's return by agent, ticker, year and date, the mean over seeds."""
    table = _daily_returns(results)
    return table.groupby(["agent", "ticker", "year", "date"], observed=True)["return"].mean()


def _daily_returns(results: Results) -> pd.DataFrame:
    equity = results.equity["equity"].to_numpy(np.float64)
    returns = np.full(equity.size, np.nan)
    for _, days in results.days_of_runs:
        returns[days[:, 1:]] = equity[days[:, 1:]] / equity[days[:, :-1]] - 1.0
    table = results.equity[["agent", "ticker", "year", "seed", "date"]].assign(**{"return": returns})
    return table.dropna().query("agent != @HINDSIGHT")


def _mean_accounts(cells: pd.Series[float], agent: str) -> tuple[pd.Series[float], pd.Series[float]]:
    """Return the daily returns of the agent's mean account and of buy-and-hold's, by year and date."""
    own, hold = cells.loc[agent], cells.loc[HOLD]
    both = pd.DataFrame({"own": own, "hold": hold}).dropna().groupby(["year", "date"]).mean()
    return both["own"], both["hold"]


def _spread_of_trials(results: Results) -> float:
    """Return the standard deviation (ddof=1) of the learners' daily Sharpe ratios, one for each agent and seed."""
    table = _daily_returns(results)
    learners = table[~table["agent"].isin(BASELINES)]
    by_seed = learners.groupby(["agent", "seed", "year", "date"], observed=True)["return"].mean()
    of_days = by_seed.groupby(["agent", "seed"], observed=True)
    ratios = (of_days.mean() / of_days.std()).to_numpy(np.float64)
    ratios = ratios[np.isfinite(ratios)]
    return float(ratios.std(ddof=1)) if ratios.size > 1 else nan
