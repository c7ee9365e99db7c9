"""What notebooks show of a result folder: tables as frames, figures that are not written, and luck by trials."""

import numpy as np
import pytest

from etfgym.report.evidence import deflated_by_trials, weigh
from etfgym.report.figures import HEADINGS, draw
from etfgym.report.layout import Entry, Table, summary_table
from etfgym.report.results import load_results
from etfgym.report.tables import cell_table, compare


@pytest.fixture(scope="module")
def results(make_folder, tmp_path_factory):
    rng = np.random.default_rng(0)
    returns = {("dqn", ticker, 2018): rng.normal(0.2, 0.1, 4).tolist() for ticker in ("QQQ", "SPY")}
    returns |= {("buy-and-hold", ticker, 2018): [0.1] for ticker in ("QQQ", "SPY")}
    return load_results(make_folder(tmp_path_factory.mktemp("shown"), returns, more={"trials": 8}))


def test_a_table_is_a_frame_of_its_texts_and_ends_with_what_sums_up():
    table = Table("Two", ["Agent", "Return"], [[Entry("dqn"), Entry("+1.0 %", 0.01)]], [[Entry("Mean"), Entry("-")]])
    assert table.frame.to_dict() == {"Return": {"dqn": "+1.0 %", "Mean": "-"}}


def test_the_frame_of_the_summary_has_every_agent(results):
    comparisons = {agent: compare(results, agent) for agent in results.agents}
    assert summary_table(results, comparisons).frame.index.tolist() == results.agents


@pytest.mark.parametrize("name", ["profile", "drawdown"])
def test_a_figure_is_shown_without_being_written(results, name):
    cells = {agent: cell_table(results, agent) for agent in results.agents}
    drawn = draw(name, results, cells, {agent: compare(results, agent) for agent in results.agents})
    assert drawn._repr_png_().startswith(b"\x89PNG")
    assert "seeds: " in drawn.figure.get_supxlabel()
    assert len(repr(drawn)) < 1000  # without its figure and its marks, that stand in the notebook's file else
    assert not (results.folder / "figures").exists()


def test_a_figure_that_does_not_exist_is_refused_with_the_nearest(results):
    with pytest.raises(ValueError, match=r"figure must be one of .*did you mean 'profile'"):
        draw("profil", results, {}, {})
    assert "profile" in HEADINGS


def test_the_more_trainings_the_less_a_sharpe_ratio_is_worth(results):
    few, recorded, many = deflated_by_trials(results, "dqn", [2, 8, 1000])
    assert few > recorded > many
    assert recorded == pytest.approx(weigh(results)[0]["dqn"].deflated)
