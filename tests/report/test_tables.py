"""The tables and the sentence: what is said, and what is not said without its doubt."""

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etfgym.report.evidence import Evidence, Together, weigh
from etfgym.report.results import load_results
from etfgym.report.tables import (
    PROVISO,
    PROVISO_OF_YEARS,
    Comparison,
    cell_table,
    compare,
    conclude,
    p_value,
    percent,
    points,
    summary_text,
)
from etfgym.stats import NO_INTERVAL, Interval, paired_difference_interval

HOLD = "buy-and-hold"
SIX = ("SPY", "QQQ", "IWM", "EFA", "TLT", "GLD")


def against(hold, dqn, year=2019):
    """Return the returns of buy-and-hold and dqn on as many tickers as there are."""
    tickers = SIX[: len(hold)]
    held = {(HOLD, ticker, year): [value] for ticker, value in zip(tickers, hold, strict=True)}
    return held | {("dqn", ticker, year): values for ticker, values in zip(tickers, dqn, strict=True)}


def said(folder, agent="dqn"):
    results = load_results(folder)
    evidence, together = weigh(results)
    return conclude(compare(results, agent), evidence[agent], together)


# ------------------------------------------------------------------------------------------------ the numbers


def test_two_tickers_and_two_seeds_come_out_as_by_hand(make_folder, tmp_path):
    returns = against(hold=[0.10, 0.02], dqn=[[0.12, 0.16], [0.00, 0.02]])
    returns |= {("hindsight", "SPY", 2019): [0.50], ("hindsight", "QQQ", 2019): [-0.10]}
    results = load_results(make_folder(tmp_path, returns))
    found = compare(results, "dqn")
    assert found.mean == pytest.approx(0.075)  # of 14 % and 1 %
    assert found.median == pytest.approx(0.075)
    assert (found.hold_mean, found.hold_median) == pytest.approx((0.06, 0.06))
    assert found.difference == pytest.approx(0.015)
    assert (found.wins, found.cells, found.seeds) == (1, 2, (2, 2))
    assert found.share == pytest.approx(0.14 / 0.50)  # QQQ is left out: hindsight made no profit there
    assert found.measures["costs"] == pytest.approx(40.5)
    qqq, spy = cell_table(results, "dqn")
    assert (spy.ticker, spy.mean, spy.hold, spy.hindsight, spy.verdict) == ("SPY", pytest.approx(0.14), 0.1, 0.5, "win")
    assert (qqq.seeds, qqq.verdict) == (2, "loss")
    assert str(spy.first) == "2019-01-11"


def test_an_equal_return_is_a_tie_and_no_win(make_folder, tmp_path):
    results = load_results(make_folder(tmp_path, against(hold=[0.3], dqn=[[0.1 + 0.2, 0.3]])))
    assert cell_table(results, "dqn")[0].verdict == "tie"
    assert compare(results, "dqn").wins == 0


def test_every_cell_weighs_the_same_however_many_seeds_it_has(make_folder, tmp_path):
    results = load_results(make_folder(tmp_path, against(hold=[0.0, 0.0], dqn=[[0.1] * 4, [0.3] * 2])))
    found = compare(results, "dqn")
    assert found.mean == pytest.approx(0.2)
    assert found.seeds_text == "2 to 4 seeds"


def test_an_agent_is_compared_on_the_tickers_it_traded(make_folder, tmp_path):
    returns = against(hold=[0.1, 0.9], dqn=[[0.2, 0.2], [0.0, 0.0]])
    del returns["dqn", "QQQ", 2019]
    found = compare(load_results(make_folder(tmp_path, returns)), "dqn")
    assert (found.cells, found.hold_mean, found.wins) == (1, pytest.approx(0.1), 1)


def test_one_year_of_several_can_be_looked_at_alone(make_folder, tmp_path):
    returns = against([0.1], [[0.2, 0.3]], 2018) | against([0.1], [[0.0, 0.0]], 2019)
    results = load_results(make_folder(tmp_path, returns))
    assert compare(results, "dqn").things(2) == "2 ETF-years"
    assert compare(results, "dqn", year=2018).mean == pytest.approx(0.25)
    assert compare(results, "dqn", year=2019).wins == 0


def test_seeds_are_drawn_together_where_one_network_trades_all_tickers(make_folder, tmp_path):
    luck = np.random.default_rng(0).normal(0, 0.1, 10)
    returns = against(hold=[0.0] * 6, dqn=[list(luck + 0.001 * place) for place in range(6)])
    apart = compare(load_results(make_folder(tmp_path / "a", returns)), "dqn")
    pooled = compare(load_results(make_folder(tmp_path / "b", returns, train="pooled")), "dqn")
    for name in ("interval", "difference_interval"):
        width = [np.diff(getattr(found, name))[0] for found in (apart, pooled)]
        assert width[1] > 1.5 * width[0], name


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(make_folder, tmp_path, random):
    folder = make_folder(tmp_path, against(hold=[0.1, 0.2], dqn=[[0.12, 0.16, 0.1], [0.3, 0.1, 0.2]]))
    before = summary_text(load_results(folder))
    for name in ("results.parquet", "equity.parquet"):
        frame = pd.read_parquet(folder / name)
        frame.iloc[random.sample(range(len(frame)), len(frame))].to_parquet(folder / name)
    assert summary_text(load_results(folder)) == before


# ------------------------------------------------------------------------------------------------ the sentence


def test_an_interval_that_holds_zero_is_no_evidence(make_folder, tmp_path):
    dqn = [[0.3, 0.2], [-0.1, 0.0], [0.2, 0.3], [0.0, -0.1], [0.1, 0.1], [0.0, 0.1]]
    sentence = said(make_folder(tmp_path, against(hold=[0.1] * 6, dqn=dqn)))
    assert sentence.startswith("No evidence that dqn beats buy-and-hold: it won 2 of 6 ETFs, mean return +9.2 % (95 %")
    assert "against +10.0 %, mean difference -0.8 points (95 % interval -1" in sentence
    assert "2 seeds, 2019-01-11 to 2019-12-" in sentence


@pytest.mark.parametrize(("sign", "won"), [(1, 2), (-1, 4)])
def test_a_mean_difference_of_either_sign_is_no_evidence_while_the_interval_holds_zero(
    make_folder, tmp_path, sign, won
):
    differences = [0.4, 0.3, -0.05, -0.05, -0.05, -0.05]
    dqn = [[0.1 + sign * difference, 0.1 + sign * difference] for difference in differences]
    sentence = said(make_folder(tmp_path, against(hold=[0.1] * 6, dqn=dqn)))
    assert sentence.startswith(f"No evidence that dqn beats buy-and-hold: it won {won} of 6 ETFs")


def test_a_win_is_called_one_only_where_the_interval_lies_above_zero(make_folder, tmp_path):
    sentence = said(make_folder(tmp_path, against(hold=[0.1] * 6, dqn=[[0.2, 0.25]] * 6)))
    assert sentence.startswith("dqn beat buy-and-hold here: it won 6 of 6 ETFs")


def test_a_loss_is_called_one(make_folder, tmp_path):
    sentence = said(make_folder(tmp_path, against(hold=[0.1] * 6, dqn=[[0.0, 0.05]] * 6)))
    assert sentence.startswith("dqn did worse than buy-and-hold: it won 0 of 6 ETFs")


def test_five_wins_of_five_are_too_few_for_a_claim(make_folder, tmp_path):
    sentence = said(make_folder(tmp_path, against(hold=[0.1] * 5, dqn=[[0.2, 0.25]] * 5)))
    assert sentence.startswith("No evidence that dqn beats buy-and-hold: it won 5 of 5 ETFs")
    assert "5 ETFs are too few for any: a 95 % claim takes 6 or more." in sentence


def test_one_seed_has_no_interval_and_says_so(make_folder, tmp_path):
    sentence = said(make_folder(tmp_path, against(hold=[0.1] * 6, dqn=[[0.2]] * 6)))
    assert sentence.startswith("No evidence that dqn beats buy-and-hold, as one seed can't show it: it won 6 of 6 ETFs")
    assert "(95 % interval not available with one seed), SPA p " in sentence


def test_one_ticker_shows_the_interval_over_seeds_but_none_of_the_difference(make_folder, tmp_path):
    sentence = said(make_folder(tmp_path, against(hold=[0.1], dqn=[[0.2, 0.3]]), prices="builtin"))
    assert "as one index in one year can't show it: it won 1 of 1 index, mean return +25.0 % (95 % interval" in sentence
    assert "not available with one index" in sentence


def test_an_agent_without_randomness_needs_no_seeds(make_folder, tmp_path):
    returns = against(hold=[0.1] * 6, dqn=[[0.1, 0.1]] * 6) | {("ma-cross", t, 2019): [0.05] for t in SIX}
    folder = make_folder(tmp_path, returns)
    assert compare(load_results(folder), "ma-cross").interval_text == "no randomness"
    assert said(folder, "ma-cross").startswith("ma-cross did worse than buy-and-hold")


def judged(interval=(0.01, 0.05), spa=0.01, *, together=None, learners=("dqn",), fooled=False, **changes):
    """Return the sentence on a comparison of six ETFs and ten seeds with these figures."""
    found = Comparison(
        agent="dqn", kind="ETF", in_sample=False, cells=6, years=1, seeds=(10, 10), first=date(2019, 1, 2),
        last=date(2019, 12, 31), mean=0.13, interval=Interval(0.1, 0.16), median=0.13, hold_mean=0.1, hold_median=0.1,
        difference=0.03, difference_interval=Interval(*interval), whole_years=False, wins=4, share=float("nan"),
        share_interval=NO_INTERVAL, measures={},
    )  # fmt: skip
    nothing = {"iqm": 0.0, "iqm_interval": NO_INTERVAL, "improvement": 0.5, "improvement_interval": NO_INTERVAL}
    nothing |= {"sharpe": 0.0, "sharpe_interval": NO_INTERVAL, "reality_check": 0.5, "deflated": 0.5}
    evidence = Evidence(agent="dqn", spa=spa, **nothing)
    all_learners = Together(
        learners=learners, spa=spa if together is None else together, reality_check=0.5, overfitting=0.5,
        no_overfitting="",
    )  # fmt: skip
    return conclude(replace(found, **changes), evidence, all_learners, fooled=fooled)


def test_a_win_needs_the_interval_and_the_test_of_daily_returns():
    assert judged().startswith("dqn beat buy-and-hold here: it won 4 of 6 ETFs, mean return +13.0 %")
    assert (
        "mean difference +3.0 points (95 % interval +1.0 to +5.0), SPA p = 0.010, 10 seeds, 2019-01-02 to" in judged()
    )
    doubtful = judged(spa=0.41)
    assert doubtful.startswith("No evidence that dqn beats buy-and-hold: it won")
    assert "SPA p = 0.41" in doubtful
    assert "above zero, but the SPA test of the daily returns does not rule out luck" in doubtful
    assert judged(spa=float("nan")).startswith("No evidence")
    assert "SPA p not available" in judged(spa=float("nan"))


def test_of_several_learners_the_win_must_hold_for_all_of_them_together():
    two = ("dqn", "ppo")
    assert judged(together=0.02, learners=two).startswith("dqn beat buy-and-hold here")
    luck = judged(together=0.2, learners=two)
    assert luck.startswith("No evidence that dqn beats buy-and-hold: ")
    assert "SPA p = 0.010, p = 0.20 for the 2 learners together" in luck
    assert "learners" not in judged(together=0.2)


def test_a_win_on_shuffled_returns_takes_back_the_win_on_real_ones_and_nothing_else():
    assert judged(fooled=True).startswith("No evidence that dqn beats buy-and-hold, as it beats it on shuffled returns")
    assert judged((-0.05, -0.01), fooled=True).startswith("dqn did worse than buy-and-hold: ")
    assert "shuffled" not in judged((-0.01, 0.01), fooled=True)


def test_a_loss_needs_the_interval_alone():
    assert judged((-0.05, -0.01), spa=1.0).startswith("dqn did worse than buy-and-hold: ")
    assert judged((-0.05, 0.01)).startswith("No evidence that dqn beats buy-and-hold: ")


def test_few_cells_or_one_seed_carry_no_claim_whatever_the_test_says():
    few = judged(cells=5)
    assert few.startswith("No evidence that dqn beats buy-and-hold: ")
    assert "5 ETFs are too few for any" in few
    assert judged(NO_INTERVAL, seeds=(1, 1)).startswith("No evidence that dqn beats buy-and-hold, as one seed can't")


@pytest.mark.parametrize("interval", [(0.01, 0.05), (-0.05, -0.01), (-0.01, 0.01)])
def test_nothing_is_said_of_days_that_were_trained_on(interval):
    assert judged(interval, in_sample=True).startswith("Nothing can be said of dqn, as it was trained on the days")


def test_whole_years_are_drawn_where_there_are_six_and_the_sentence_says_so(make_folder, tmp_path):
    years = range(2014, 2020)
    returns = {(HOLD, ticker, year): [0.1] for ticker in SIX[:3] for year in years}
    luck = np.random.default_rng(0).normal(0, 0.1, 6)
    returns |= {
        ("dqn", t, year): [0.1 + luck[year - 2014], 0.101 + luck[year - 2014]] for t in SIX[:3] for year in years
    }
    results = load_results(make_folder(tmp_path, returns, days=5))
    whole = compare(results, "dqn")
    assert whole.whole_years
    assert not compare(results, "dqn", year=2014).whole_years
    apart = paired_difference_interval(
        results.scores["dqn"].to_numpy(), np.full(18, 0.1), np.random.default_rng(0), clusters=None
    )
    assert np.diff(whole.difference_interval) > 1.3 * np.diff(apart)  # what moves together is not 18 independent cells
    assert judged(whole_years=True).endswith(PROVISO_OF_YEARS)
    assert judged().endswith(PROVISO)


def test_a_p_value_is_never_zero():
    assert [p_value(p) for p in (0.0, 0.0123, 0.4142, float("nan"))] == [
        "< 0.001",
        "= 0.012",
        "= 0.41",
        "not available",
    ]


@pytest.mark.parametrize("dqn", [0.0, 0.1, 0.2])
def test_every_sentence_warns_of_other_periods_and_of_etfs_that_move_together(make_folder, tmp_path, dqn):
    sentence = said(make_folder(tmp_path, against(hold=[0.1] * 6, dqn=[[dqn, dqn + 0.01]] * 6)))
    assert sentence.endswith(
        "One test period says nothing of another, and ETFs of one year move together, so the true doubt is larger "
        "than any interval here."
    )


# ------------------------------------------------------------------------------------------------ the terminal


def test_the_terminal_table_has_dates_costs_seeds_intervals_and_buy_and_hold_in_110_columns(make_folder, tmp_path):
    returns = against(hold=[-0.111] * 6, dqn=[[10.5, -0.9]] * 6)
    returns |= {("ramped-buy-and-hold", ticker, 2019): [-0.1] for ticker in SIX}
    text = summary_text(load_results(make_folder(tmp_path, returns)))
    lines = text.splitlines()
    assert lines[0].startswith("Out of sample 2019-01-11 to 2019-12-")
    assert "commission 0.1 %, fixed fee $0" in text
    assert max(map(len, lines)) <= 110
    [row] = [line for line in lines if line.startswith("dqn  ")]
    assert "-11.1 %" in row
    assert " 2  " in row
    assert row.count(" to ") == 2


def test_the_terminal_says_so_where_there_is_nobody_to_compare(make_folder, tmp_path):
    folder = make_folder(tmp_path, {(HOLD, "SPY", 2019): [0.1]})
    assert "Only buy-and-hold was run" in summary_text(load_results(folder))


def test_percentages_have_a_sign_one_decimal_and_no_negative_zero():
    assert [percent(value) for value in (0.0538, -0.0304, -0.00001, float("nan"))] == [
        "+5.4 %",
        "-3.0 %",
        "+0.0 %",
        "-",
    ]
    assert points(-0.012) == "-1.2"


# ------------------------------------------------------------------------------------------------ faulty folders


@pytest.fixture
def folder(make_folder, tmp_path):
    return make_folder(tmp_path, against(hold=[0.1], dqn=[[0.2, 0.3]]))


def change(folder, name, function):
    frame = function(pd.read_parquet(folder / name))
    frame.to_parquet(folder / name)


@pytest.mark.parametrize("name", ["results.parquet", "equity.parquet", "manifest.json"])
def test_a_missing_file_is_named_with_the_cure(folder, name):
    (folder / name).unlink()
    with pytest.raises(ValueError, match=rf"{name}: .*no such file.*write the folder again with: python -m"):
        load_results(folder)


@pytest.mark.parametrize(("name", "column"), [("results.parquet", "sharpe"), ("equity.parquet", "filled")])
def test_a_missing_column_is_named_with_the_cure(folder, name, column):
    change(folder, name, lambda frame: frame.drop(columns=column))
    with pytest.raises(ValueError, match=f"{name}: lacks '{column}'; write the folder again"):
        load_results(folder)


def test_a_file_that_is_no_parquet_is_refused_in_one_line(folder):
    (folder / "results.parquet").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ValueError, match=r"results.parquet: can't be read as Parquet") as caught:
        load_results(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "value", "wanted"),
    [
        ("total_return", float("nan"), "a finite number"),
        ("costs", float("inf"), "a finite number"),
        ("trades", "many", "a finite number"),
        ("sharpe", float("inf"), "a finite number or NaN"),
        ("test_start", "2019-01-02", "a date"),
    ],
)
def test_values_of_the_wrong_kind_are_refused(folder, column, value, wanted):
    change(folder, "results.parquet", lambda frame: frame.assign(**{column: value}))
    with pytest.raises(ValueError, match=f"'{column}' must have {wanted} in every row"):
        load_results(folder)


def test_a_sharpe_ratio_may_be_nan(folder):
    change(folder, "results.parquet", lambda frame: frame.assign(sharpe=float("nan")))
    assert np.isnan(compare(load_results(folder), "dqn").measures["sharpe"])


def test_nothing_is_shown_without_buy_and_hold(folder):
    for name in ("results.parquet", "equity.parquet"):
        change(folder, name, lambda frame: frame[frame["agent"] != HOLD])
    with pytest.raises(ValueError, match=r"buy-and-hold is missing for .*SPY"):
        load_results(folder)


def test_a_run_twice_is_refused(folder):
    change(folder, "results.parquet", lambda frame: pd.concat([frame, frame.tail(1)]))
    with pytest.raises(ValueError, match="has a run twice"):
        load_results(folder)


def test_a_run_without_its_curve_is_refused(folder):
    change(folder, "equity.parquet", lambda frame: frame[frame["seed"] == 0])
    with pytest.raises(ValueError, match="hold different runs, such as"):
        load_results(folder)


def test_no_rows_are_refused(folder):
    for name in ("results.parquet", "equity.parquet"):
        change(folder, name, lambda frame: frame.head(0))
    with pytest.raises(ValueError, match="has no rows"):
        load_results(folder)


def test_a_key_missing_in_the_manifest_is_named(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["data_sha256"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"manifest.json: lacks 'data_sha256'"):
        load_results(folder)
