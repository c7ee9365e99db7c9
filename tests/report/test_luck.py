"""What single seeds would have claimed."""

import itertools

import numpy as np
import pytest

from etfgym.report.luck import best_of, claims, widths
from etfgym.report.results import load_results


@pytest.fixture(scope="module")
def results(make_folder, tmp_path_factory):
    rng = np.random.default_rng(0)
    returns = {("dqn", ticker, 2018): (0.05 + rng.normal(0, 0.05, 8)).tolist() for ticker in ("IWM", "QQQ")}
    returns[("dqn", "SPY", 2018)] = [0.0, 0.2, *rng.normal(0.1, 0.05, 6)]
    returns |= {("buy-and-hold", ticker, 2018): [0.1] for ticker in ("IWM", "QQQ", "SPY")}
    return load_results(make_folder(tmp_path_factory.mktemp("luck"), returns))


def test_each_seed_claims_its_own_mean_beside_that_of_buy_and_hold(results):
    found = claims(results, "dqn")
    first = results.runs[(results.runs["agent"] == "dqn") & (results.runs["seed"] == 0)]["total_return"]
    assert found.loc[0, "own"] == pytest.approx(first.mean())
    assert found.loc[0, "difference"] == pytest.approx(first.mean() - 0.1)
    assert found.loc[0, "won"] == pytest.approx((first > 0.1).mean())
    assert found["hold"].to_numpy() == pytest.approx(0.1)
    assert len(found) == 8


def test_one_year_can_be_looked_at_alone(make_folder, tmp_path):
    returns = {("dqn", "SPY", 2018): [0.1, 0.3], ("dqn", "SPY", 2019): [0.2, 0.4]}
    returns |= {("buy-and-hold", "SPY", year): [0.1] for year in (2018, 2019)}
    results = load_results(make_folder(tmp_path, returns))
    assert claims(results, "dqn")["difference"].tolist() == pytest.approx([0.05, 0.25])
    assert claims(results, "dqn", year=2019)["difference"].tolist() == pytest.approx([0.1, 0.3])


def test_a_seed_that_lacks_a_cell_claims_nothing(make_folder, tmp_path):
    returns = {("dqn", "QQQ", 2018): [0.1, 0.2, 0.3], ("dqn", "SPY", 2018): [0.1, 0.2]}
    returns |= {("buy-and-hold", ticker, 2018): [0.1] for ticker in ("QQQ", "SPY")}
    assert claims(load_results(make_folder(tmp_path, returns)), "dqn").index.tolist() == [0, 1]


def test_the_best_of_some_is_the_mean_over_all_choices_of_them():
    values = np.random.default_rng(1).normal(size=6)
    for number in range(1, 7):
        every = [max(chosen) for chosen in itertools.combinations(values, number)]
        assert best_of(values, number) == pytest.approx(np.mean(every))


@pytest.mark.parametrize("number", [0, 7])
def test_more_than_there_are_or_none_can_not_be_chosen(number):
    with pytest.raises(ValueError, match=f"number must be from 1 to the 6 values, got {number}"):
        best_of(np.zeros(6), number)


def test_intervals_become_narrower_with_more_seeds(results):
    two, four, eight = widths(results, "dqn", [2, 4, 8])
    assert two > four > eight > 0
