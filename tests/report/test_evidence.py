"""Tests against luck: what goes into them, what comes out where it can be known, and what is left out and why."""

import numpy as np
import pandas as pd
import pytest

from etfgym import metrics, stats
from etfgym.report import evidence as module
from etfgym.report.duels import duel
from etfgym.report.evidence import weigh
from etfgym.report.results import load_results
from etfgym.report.risk import risk_measures

HOLD = "buy-and-hold"


def folder_of(make_folder, path, **agents):
    """Return results of agents with the returns given, by seed, on two tickers in one year."""
    returns = {(HOLD, ticker, 2019): [0.1] for ticker in ("SPY", "QQQ")}
    returns |= {(name, ticker, 2019): seeds for name, seeds in agents.items() for ticker in ("SPY", "QQQ")}
    return load_results(make_folder(path, returns, days=60, more={"trials": 40}))


def test_the_mean_account_is_that_of_seeds_first_then_of_tickers(make_folder, tmp_path):
    results = load_results(
        make_folder(
            tmp_path,
            {(HOLD, t, 2019): [0.1] for t in ("SPY", "QQQ")}
            | {("dqn", "SPY", 2019): [0.1, 0.2, 0.3], ("dqn", "QQQ", 2019): [0.0]},
        )
    )
    own, _ = module._mean_accounts(module._cell_returns(results), "dqn")
    wide = results.equity.query("agent == 'dqn'").pivot(index="date", columns=["ticker", "seed"], values="equity")
    daily = wide.pct_change().dropna()
    by_hand = (daily["SPY"].mean(axis=1) + daily["QQQ"][0]) / 2
    np.testing.assert_allclose(own.to_numpy(), by_hand.to_numpy())
    found, _ = weigh(results)
    assert found["dqn"].sharpe == pytest.approx(252**0.5 * by_hand.mean() / by_hand.std())


def test_test_years_follow_each_other_without_the_step_between_them(make_folder, tmp_path):
    returns = {(agent, "SPY", year): [0.1] for agent in (HOLD, "dqn") for year in (2018, 2019)}
    results = load_results(make_folder(tmp_path, returns))
    own, hold = module._mean_accounts(module._cell_returns(results), "dqn")
    days = results.equity.query("agent == 'dqn'").groupby("year").size() - 1  # the eve has no return
    assert own.groupby("year").size().tolist() == hold.groupby("year").size().tolist() == days.tolist()


def test_buy_and_holds_account_is_made_of_the_cells_that_the_agent_traded(make_folder, tmp_path):
    returns = {(HOLD, "SPY", 2019): [0.1], (HOLD, "QQQ", 2019): [0.9], ("dqn", "SPY", 2019): [0.1, 0.2]}
    results = load_results(make_folder(tmp_path, returns))
    _, hold = module._mean_accounts(module._cell_returns(results), "dqn")
    spy = results.equity.query(f"agent == '{HOLD}' and ticker == 'SPY'")["equity"].pct_change().dropna()
    np.testing.assert_allclose(hold.to_numpy(), spy.to_numpy())


def test_an_agent_far_above_buy_and_hold_has_small_p_values_and_one_below_has_none(make_folder, tmp_path):
    found, together = weigh(folder_of(make_folder, tmp_path, good=[2.0, 2.1], bad=[-0.4, -0.5]))
    assert max(found["good"].spa, found["good"].reality_check) < 0.05
    assert min(found["bad"].spa, found["bad"].reality_check) > 0.5
    assert (found["good"].improvement, found["bad"].improvement) == (1.0, 0.0)
    assert together.learners == ["bad", "good"]
    assert together.spa < 0.05
    assert np.isnan(found[HOLD].spa)


def test_the_odds_count_runs_and_ties_half(make_folder, tmp_path):
    found, _ = weigh(folder_of(make_folder, tmp_path, dqn=[0.2, 0.1, 0.0, 0.3]))
    assert found["dqn"].improvement == pytest.approx(2.5 / 4)
    low, high = found["dqn"].improvement_interval
    assert low < 2.5 / 4 < high


def test_the_interquartile_mean_leaves_out_the_lucky_run(make_folder, tmp_path):
    found, _ = weigh(folder_of(make_folder, tmp_path, dqn=[0.1, 0.1, 0.1, 5.0]))
    assert found["dqn"].iqm == pytest.approx(0.1)


def test_the_deflated_sharpe_ratio_takes_trials_from_the_manifest_and_spread_from_the_seeds(make_folder, tmp_path):
    results = folder_of(make_folder, tmp_path, dqn=[0.03, 0.0, -0.02], ppo=[0.05, -0.01])
    found, _ = weigh(results)
    ratios = []
    for _, run in results.equity.query(f"agent != '{HOLD}'").groupby(["agent", "seed"]):
        daily = run.pivot(index="date", columns="ticker", values="equity").pct_change().mean(axis=1).dropna()
        ratios.append(daily.mean() / daily.std())
    own, _ = module._mean_accounts(module._cell_returns(results), "dqn")
    assert found["dqn"].deflated == pytest.approx(
        stats.deflated_sharpe(own.to_numpy(), 40, float(np.std(ratios, ddof=1)))
    )
    assert np.isnan(found[HOLD].deflated)


def test_without_recorded_trials_there_is_no_deflated_sharpe_ratio(make_folder, tmp_path):
    returns = {(HOLD, "SPY", 2019): [0.1], ("dqn", "SPY", 2019): [0.2, 0.3]}
    found, _ = weigh(load_results(make_folder(tmp_path, returns)))
    assert np.isnan(found["dqn"].deflated)


def test_overfitting_is_told_of_two_learners_and_enough_days_only(make_folder, tmp_path):
    _, alone = weigh(folder_of(make_folder, tmp_path / "a", dqn=[0.2, 0.3]))
    assert np.isnan(alone.overfitting)
    assert "one learner only" in alone.no_overfitting
    _, two = weigh(folder_of(make_folder, tmp_path / "b", dqn=[0.2, 0.3], ppo=[0.1, 0.0]))
    assert 0 <= two.overfitting <= 1
    assert two.no_overfitting == ""
    returns = {(agent, "SPY", 2019): [0.1] for agent in (HOLD, "dqn", "ppo")}
    _, short = weigh(load_results(make_folder(tmp_path / "c", returns, days=20)))
    assert "days are too few for 12 blocks" in short.no_overfitting


def test_measures_of_risk_are_means_over_cells_of_means_over_seeds(make_folder, tmp_path):
    returns = {(HOLD, t, 2019): [0.1] for t in ("SPY", "QQQ")}
    returns |= {("dqn", "SPY", 2019): [0.1, 0.2, 0.3], ("dqn", "QQQ", 2019): [0.0]}
    folder = make_folder(tmp_path, returns)
    equity = pd.read_parquet(folder / "equity.parquet")
    equity.assign(cash=0.25 * equity["equity"]).to_parquet(folder / "equity.parquet")
    results = load_results(folder)
    found = risk_measures(results).loc["dqn"]
    runs = {key: run["equity"].to_numpy() for key, run in results.equity.groupby(["agent", "ticker", "seed"])}
    for name, measure in (("sortino", metrics.sortino), ("value_at_risk", metrics.value_at_risk)):
        spy = np.mean([measure(runs["dqn", "SPY", seed]) for seed in range(3)])
        assert found[name] == pytest.approx((spy + measure(runs["dqn", "QQQ", 0])) / 2)
    assert found["exposure"] == pytest.approx(0.75)
    assert found["cost_share"] == pytest.approx((41 + 40) / 2 / 20_000)


def test_exposure_is_missing_where_cash_was_not_recorded(make_folder, tmp_path):
    assert risk_measures(folder_of(make_folder, tmp_path, dqn=[0.1]))["exposure"].isna().all()


# ------------------------------------------------------------------------------------------------ against each other


def test_a_duel_is_fought_on_shared_cells_and_seeds(make_folder, tmp_path):
    returns = {(HOLD, t, 2019): [0.1] for t in ("SPY", "QQQ")}
    returns |= {
        ("a", "SPY", 2019): [0.2, 0.4, 0.9],
        ("b", "SPY", 2019): [0.1, 0.3],
        ("a", "QQQ", 2019): [0.5, 0.5, 0.5],
    }
    results = load_results(make_folder(tmp_path, returns))
    found = duel(results, "a", results, "b")
    assert (found.cells, found.seeds) == (1, 2)
    assert (found.mean, found.other_mean, found.hold_mean) == pytest.approx((0.3, 0.2, 0.1))
    assert found.improvement == pytest.approx(3 / 4)
    assert not found.interval.available  # of one cell
    back = duel(results, "b", results, "a")
    assert back.improvement == pytest.approx(1 / 4)


def test_a_duel_with_an_agent_without_randomness_uses_each_seed_of_the_other(make_folder, tmp_path):
    returns = {(agent, t, 2019): [0.1] for t in ("SPY", "QQQ", "IWM") for agent in (HOLD, "ma-cross")}
    returns |= {("dqn", t, 2019): [0.2, 0.3, 0.1] for t in ("SPY", "QQQ", "IWM")}
    results = load_results(make_folder(tmp_path, returns))
    found = duel(results, "dqn", results, "ma-cross")
    assert (found.cells, found.seeds, found.mean - found.other_mean) == (3, 3, pytest.approx(0.1))
    assert found.improvement == pytest.approx(5 / 6)
    assert found.interval.available


def test_a_duel_between_folders_leaves_out_cells_where_buy_and_hold_differs(make_folder, tmp_path):
    one = {(HOLD, "SPY", 2019): [0.1], (HOLD, "QQQ", 2019): [0.1], ("a", "SPY", 2019): [0.2], ("a", "QQQ", 2019): [0.2]}
    other = {
        (HOLD, "SPY", 2019): [0.1],
        (HOLD, "QQQ", 2019): [0.3],
        ("b", "SPY", 2019): [0.0],
        ("b", "QQQ", 2019): [0.0],
    }
    first, second = (
        load_results(make_folder(tmp_path / name, returns)) for name, returns in (("one", one), ("other", other))
    )
    found = duel(first, "a", second, "b")
    assert (found.cells, found.left_out) == (1, 1)
    none = load_results(make_folder(tmp_path / "none", {(HOLD, "SPY", 2018): [0.1], ("b", "SPY", 2018): [0.0]}))
    assert duel(first, "a", none, "b") is None
