"""GARCH(1,1)-t: volatility that comes and goes by a law, with the shocks that were."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from arch import arch_model

from etfgym.checks import whole_number
from etfgym.worlds.bootstrap import stationary_days
from etfgym.worlds.history import GAP, LOWER, MOVE, PAID, UPPER, Floats, History

PERCENT = 100.0
"""arch's optimiser wants returns near one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Garch:
    """GARCH(1,1) (Bollerslev 1986) with Student-t likelihood, an ETF at a time; shocks by filtered simulation.

    Total log returns r[t] = mu + s[t] z[t] with s[t + 1]^2 = omega + alpha (r[t] - mu)^2 + beta s[t]^2. The shocks z of
    a new path are not drawn from the t distribution but from the days that were (Barone-Adesi, Giannopoulos and Vosper
    1999, "VaR without correlations for portfolios of derivative securities"): the same day for all ETFs, which brings
    z, gap and wicks of its bars in units of the volatility of then. That is how tails, the ETFs' dependence and the
    shape of bars come in. Shocks are centred and mu of a path is the mean of the real returns: the t distribution's
    mu leaves out much of the losses. Volume and dividend are those of the day drawn.
    """

    mean_block: int = 20
    """The days are drawn in blocks of this mean length, as by `etfgym.worlds.bootstrap`, because volume and range have
    a memory that GARCH knows nothing of. 1 draws every day by itself, as the paper does."""

    def __post_init__(self) -> None:
        whole_number("mean_block", self.mean_block, 1)

    def fit(self, history: History, seed: int) -> Filtered:
        """Return the model of `history`; nothing is left to the seed.

        Raises:
            ValueError: If the likelihood of an ETF has no maximum that arch finds.
        """
        del seed
        returns = history.total_returns
        fits = [fit_garch(each) for each in returns]
        parameters = np.array([parameters for parameters, _ in fits]).T  # (4, tickers)
        volatility = np.stack([volatility for _, volatility in fits])
        shocks = (returns - parameters[0][:, None]) / volatility
        parameters[0] = returns.mean(axis=1)
        return Filtered(
            history.steps, shocks - shocks.mean(axis=1, keepdims=True), volatility, parameters, self.mean_block
        )


@dataclass(frozen=True, eq=False)
class Filtered:
    """What was fitted.

    `steps` (tickers, days, 6) with their shocks and conditional volatility (tickers, days); the mean return, omega,
    alpha and beta are the rows of `parameters` (4, tickers).
    """

    steps: Floats
    shocks: Floats
    volatility: Floats
    parameters: Floats
    mean_block: int

    def draw(self, rng: np.random.Generator, bars: int) -> Floats:
        """Return steps, shape (tickers, bars, 6); the volatility starts at that of a day drawn evenly."""
        mu, omega, alpha, beta = self.parameters
        now = self.volatility[:, rng.integers(self.steps.shape[1])] ** 2
        days = stationary_days(rng, self.steps.shape[1], bars, self.mean_block)
        steps, shocks, then = self.steps[:, days], self.shocks[:, days], self.volatility[:, days]
        paid = steps[:, :, PAID]
        variance = np.empty(shocks.shape)
        for t in range(bars):
            variance[:, t] = now
            now = omega + (alpha * shocks[:, t] ** 2 + beta) * now
        volatility = np.sqrt(variance)
        ratio = volatility / then
        steps[:, :, MOVE] = mu[:, None] + volatility * shocks - paid
        steps[:, :, GAP] = (steps[:, :, GAP] + paid) * ratio - paid
        steps[:, :, [UPPER, LOWER]] *= ratio[:, :, None]
        return steps


def fit_garch(returns: Floats) -> tuple[Floats, Floats]:
    """Return (mu, omega, alpha, beta) and the conditional volatility (T,) of daily log returns (T,).

    Raises:
        ValueError: As `Garch.fit`.
    """
    model = arch_model(PERCENT * returns, mean="Constant", vol="GARCH", p=1, q=1, dist="t", rescale=False)
    with warnings.catch_warnings():  # scipy's optimiser tells of its rounding; arch's own flag is looked at below
        warnings.simplefilter("ignore", RuntimeWarning)
        result = model.fit(disp="off", show_warning=False)
    if result.convergence_flag != 0:
        msg = "no GARCH(1,1) fits these returns; take a longer history, or another world"
        raise ValueError(msg)
    mu, omega, alpha, beta, _ = result.params
    return np.array([mu / PERCENT, omega / PERCENT**2, alpha, beta]), np.asarray(
        result.conditional_volatility
    ) / PERCENT
