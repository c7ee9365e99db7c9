"""Stylised facts, beside scipy, pandas, and cases by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kurtosis
from statsmodels.tsa.stattools import acf

from etfgym.worlds.facts import stylised_facts, tail_index


@pytest.fixture(scope="module")
def returns(history):
    return history.total_returns


def test_the_moments_are_those_of_scipy_and_pandas(returns):
    facts = stylised_facts(returns)
    frame = pd.DataFrame(returns.T)
    assert facts.drift == pytest.approx(252 * frame.mean().mean())
    assert facts.volatility == pytest.approx(np.sqrt(252) * frame.std().mean())
    assert facts.kurtosis == pytest.approx(np.mean(kurtosis(returns, axis=1)))
    assert facts.correlation == pytest.approx(frame.corr().iloc[0, 1])


def test_clustering_is_the_autocorrelation_of_statsmodels(returns):
    expected = np.mean([acf(np.abs(each), nlags=20)[1:] for each in returns])
    assert stylised_facts(returns).clustering == pytest.approx(expected)


def test_leverage_is_the_correlation_of_pandas_up_to_the_ends(returns):
    frame = pd.Series(returns[0])
    expected = np.mean([frame.corr(frame.abs().shift(-lag)) for lag in range(1, 11)])
    assert stylised_facts(returns[:1]).leverage == pytest.approx(expected, abs=1e-3)
    assert expected < -0.05


def test_losses_that_raise_the_size_of_what_comes_give_a_negative_leverage():
    rng = np.random.default_rng(0)
    returns = np.zeros((1, 5000))
    for t in range(5000):
        returns[0, t] = rng.normal() * (2 if t and returns[0, t - 1] < 0 else 1)
    assert stylised_facts(returns).leverage < -0.02
    assert stylised_facts(-returns).leverage == pytest.approx(-stylised_facts(returns).leverage)


def test_hills_estimate_by_hand():
    """Of 40 values the largest two are e and e^2 times the third: the mean excess of the log is 1.5."""
    values = np.concatenate((np.linspace(-1, 1, 38), [np.e, -np.exp(2)]))
    assert tail_index(values) == pytest.approx(2 / 3)


@pytest.mark.parametrize("index", [2.0, 4.0])
def test_hills_estimate_finds_the_exponent_of_a_pareto_law(index):
    values = (1 + np.random.default_rng(0).pareto(index, 100_000)) * np.random.default_rng(1).choice([-1, 1], 100_000)
    assert tail_index(values) == pytest.approx(index, rel=0.03)


def test_a_single_etf_has_no_correlation(returns):
    assert np.isnan(stylised_facts(returns[:1]).correlation)


@pytest.mark.parametrize("returns", [np.ones((1, 200)), np.ones(200), np.full((1, 200), np.nan), np.eye(1, 99)])
def test_returns_without_facts_are_refused(returns):
    with pytest.raises(ValueError, match=r"^returns must be finite and vary, shape \(ETFs, T\), T >= 100; got shape "):
        stylised_facts(returns)
