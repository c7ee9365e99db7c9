"""GARCH: the parameters are found again, volatility comes and goes, and bars keep their shape."""

from __future__ import annotations

import numpy as np
import pytest

from etfgym.worlds.facts import stylised_facts
from etfgym.worlds.garch import Filtered, fit_garch
from etfgym.worlds.history import GAP, LOWER, MOVE, PAID, UPPER, VOLUME, History
from etfgym.worlds.world import fit_history


def simulated(seed: int, days: int) -> np.ndarray:
    """Returns of GARCH(1,1) with omega 2e-6, alpha 0.1, beta 0.88 and t-distributed shocks of 6 degrees."""
    rng = np.random.default_rng(seed)
    shocks = rng.standard_t(6, days) / np.sqrt(6 / 4)
    returns, variance = np.empty(days), 1e-4
    for t in range(days):
        returns[t] = 0.0003 + np.sqrt(variance) * shocks[t]
        variance = 2e-6 + 0.1 * (returns[t] - 0.0003) ** 2 + 0.88 * variance
    return returns


def test_known_parameters_are_found_again():
    mu, omega, alpha, beta = np.mean([fit_garch(simulated(seed, 5000))[0] for seed in range(3)], axis=0)
    assert mu == pytest.approx(0.0003, abs=2e-4)
    assert omega == pytest.approx(2e-6, rel=0.4)
    assert alpha == pytest.approx(0.1, abs=0.02)
    assert beta == pytest.approx(0.88, abs=0.025)


def test_the_variance_follows_its_equation(history):
    model = fit_history("garch", history).model
    made = model.draw(np.random.default_rng(0), 500)
    days = np.array([np.argmin(np.abs(history.steps[0, :, VOLUME] - bar)) for bar in made[0, :, VOLUME]])
    mu, omega, alpha, beta = model.parameters[:, 0]
    shock_part = (made[0, :, MOVE] - mu) ** 2
    variance = shock_part / model.shocks[0, days] ** 2
    assert variance[1:] == pytest.approx(omega + alpha * shock_part[:-1] + beta * variance[:-1], rel=1e-6)


def test_volatility_clusters_where_the_days_are_drawn_without_memory(history):
    model = fit_history("garch", history, mean_block=1).model
    made = model.draw(np.random.default_rng(1), 20_000)[:, :, MOVE]
    shuffled = np.random.default_rng(0).permutation(made, axis=1)
    assert stylised_facts(made).clustering > 0.1
    assert abs(stylised_facts(shuffled).clustering) < 0.02


def filtered(steps, parameters):
    """Return the model of days that all had a volatility of 0.01."""
    returns = steps[:, :, MOVE] + steps[:, :, PAID]
    return Filtered(steps, returns / 0.01, np.full(returns.shape, 0.01), parameters, 20)


def test_the_mean_return_is_the_real_one(history):
    model = fit_history("garch", history).model
    assert model.shocks.mean(axis=1) == pytest.approx(0, abs=1e-12)
    assert model.parameters[0] == pytest.approx(history.total_returns.mean(axis=1))


def test_a_path_as_volatile_as_the_days_drawn_is_those_days(paying):
    """With alpha = 0 and beta = 1 the volatility stays what it was; equal to that of every day, nothing is scaled."""
    steps = History.of(paying).steps
    parameters = np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    made = filtered(steps, parameters).draw(np.random.default_rng(0), 200)
    for bar in made[0]:
        assert np.abs(steps[0] - bar).max(axis=1).min() < 1e-12


def test_a_day_twice_as_volatile_has_a_bar_twice_as_large(paying):
    steps = History.of(paying).steps
    parameters = np.array([[0.0, 0.0], [4e-4, 4e-4], [0.0, 0.0], [0.0, 0.0]])  # the volatility is 0.02 from day 1 on
    made = filtered(steps, parameters).draw(np.random.default_rng(0), 200)[0, 1:]
    for bar in made:
        day = np.argmin(np.abs(steps[0, :, VOLUME] - bar[VOLUME]) + np.abs(2 * steps[0, :, UPPER] - bar[UPPER]))
        total = steps[0, day] + steps[0, day, PAID] * np.eye(6)[[GAP, MOVE]].sum(axis=0)
        assert bar[[UPPER, LOWER]] == pytest.approx(2 * total[[UPPER, LOWER]])
        assert bar[[GAP, MOVE]] + bar[PAID] == pytest.approx(2 * total[[GAP, MOVE]])
        assert bar[PAID] == steps[0, day, PAID]
