"""A policy on a thousand years that never were: what is its luck, and how often does it beat buy-and-hold?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from statsmodels.stats.proportion import proportion_confint
from tqdm import trange

from etfgym.backtest import backtest
from etfgym.envs.settings import Settings
from etfgym.policies import BuyAndHold, make_policy
from etfgym.splits import Period
from etfgym.stats import Interval, mean_interval
from etfgym.worlds.history import WINDOW, YEAR, Floats
from etfgym.worlds.world import World

PERCENTILES = (5, 50, 95)


@dataclass(frozen=True, eq=False)
class Years:
    """Total returns of alternative years, fractions, shape (years,), of a policy and of buy-and-hold on the same."""

    ticker: str
    policy: Floats
    hold: Floats

    @property
    def beats(self) -> tuple[float, Interval]:
        """Share of the years in which the policy earned more, with Wilson's (1927) 95 % interval."""
        wins = int((self.policy > self.hold).sum())
        low, high = proportion_confint(wins, self.policy.size, method="wilson")
        return wins / self.policy.size, Interval(float(low), float(high))


def judge(policy: str, world: World, years: int, seed: int = 0) -> list[Years]:
    """Return what a policy earned in alternative years of 252 days, for each ticker of a world.

    Year k is the world's path of `seed` + k: 20 days to look at, and the year.

    Args:
        policy: A name in `etfgym.policies.POLICIES`; one with chance in it gets the seed of the year.
        world: Of `etfgym.worlds.fit`.
        years: How many.
        seed: Of the first.
    """
    returns = np.empty((2, len(world.history.tickers), years))
    for year in trange(years, unit="year", disable=None):
        for i, table in enumerate(world.generate(seed + year, WINDOW + YEAR)):
            period = Period(table.dates[WINDOW - 1], table.dates[WINDOW], table.dates[-1], YEAR)
            returns[0, i, year] = backtest(make_policy(policy, seed + year), table, period).total_return
            returns[1, i, year] = backtest(BuyAndHold(), table, period).total_return
    return [Years(ticker, *returns[:, i]) for i, ticker in enumerate(world.history.tickers)]


def as_text(judged: list[Years], policy: str, world: World, seed: int = 0) -> str:
    """Return the table of a judgement, with what must stand beside it."""
    years = judged[0].hold.size
    lines = [
        f"{years} artificial years of {YEAR} days (seeds {seed} to {seed + years - 1}), none of which happened:",
        f"the world {world.name!r}, made of {', '.join(world.history.tickers)} from {world.history.span}.",
        _terms(),
        "",
        f"{'ticker':<8} {'policy':<20} {'mean return':>11} {'95 %':>16}"
        + "".join(f"{f'{percentile}th':>9}" for percentile in PERCENTILES)
        + "   beats buy-and-hold",
    ]
    for of_ticker in judged:
        share, (low, high) = of_ticker.beats
        beats = f"{100 * share:.1f} % of years, 95 % {100 * low:.1f} to {100 * high:.1f}"
        lines.append(_line(of_ticker.ticker, policy, of_ticker.policy) + f"   {beats}")
        lines.append(_line("", "buy-and-hold", of_ticker.hold))
    return "\n".join(
        [
            *lines,
            "",
            "The intervals tell of the chance in drawing these years, not of how far a world is from the days to come.",
        ]
    )


def _terms() -> str:
    """Return what the accounts begin with and what trades cost them."""
    settings = Settings()
    costs = settings.costs
    return (
        f"${settings.initial_cash:,.0f} at the start; commission {100 * costs.commission:g} %, fixed fee "
        f"${costs.fixed_fee:g}, slippage {costs.slippage_bps:g} basis points."
    )


def _line(ticker: str, policy: str, returns: Floats) -> str:
    low, high = mean_interval(returns[None, :], np.random.default_rng(0))
    percentiles = "".join(f"{100 * value:>+7.1f} %" for value in np.percentile(returns, PERCENTILES))
    interval = f"{100 * low:+.1f} to {100 * high:+.1f}"
    return f"{ticker:<8} {policy:<20} {100 * returns.mean():>+9.1f} % {interval:>16}{percentiles}"
