"""The figures: which there are, what they show, and that they are files written whole."""

import matplotlib as mpl
import numpy as np
import pytest

from etfgym.report import figures
from etfgym.report.figures import write_figures
from etfgym.report.results import load_results
from etfgym.report.tables import cell_table, compare

HOLD = "buy-and-hold"
ALL = ("dqn", HOLD, "ramped-buy-and-hold", "ma-cross", "random", "hindsight")
PNG = b"\x89PNG\r\n\x1a\n"


def some_returns(tickers, years=(2019,), seeds=2, agents=ALL):
    rng = np.random.default_rng(0)
    return {
        (agent, ticker, year): list(rng.normal(0.1, 0.05, seeds if agent in {"dqn", "random"} else 1))
        for agent in agents
        for ticker in tickers
        for year in years
    }


def prepared(folder):
    results = load_results(folder)
    cells = {agent: cell_table(results, agent) for agent in results.agents}
    return results, cells, {agent: compare(results, agent) for agent in results.agents}


@pytest.fixture
def drawn(monkeypatch):
    """Keep each figure that is saved, by the name of its file."""
    kept = {}
    real = mpl.figure.Figure.savefig

    def savefig(figure, path, **keywords):
        kept[path.name.split(".")[1]] = figure  # ".equity.png.XXXX.part" until it is whole
        real(figure, path, **keywords)

    monkeypatch.setattr(mpl.figure.Figure, "savefig", savefig)
    return kept


def texts(figure):
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text()]


def test_every_figure_is_a_whole_png_with_a_caption_and_nothing_else_is_left(make_folder, tmp_path):
    drawings = write_figures(*prepared(make_folder(tmp_path, some_returns(["SPY", "QQQ"]))))
    names = ["returns.png", "equity.png", "drawdown.png", "trades.png", "share.png", "costs.png"]
    assert [drawing.path.name for drawing in drawings] == names
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == sorted(names)
    for drawing in drawings:
        assert drawing.path.read_bytes().startswith(PNG)
        assert drawing.caption.endswith(".")


def test_every_figure_carries_seeds_dates_costs_and_buy_and_hold(make_folder, tmp_path, drawn):
    write_figures(*prepared(make_folder(tmp_path, some_returns(["SPY", "QQQ"]))))
    assert len(drawn) == 6
    for name, figure in drawn.items():
        said = " ".join(texts(figure))
        assert "out of sample 2019-01-11 to 2019-12-" in said, name
        assert "dqn 2" in said, name
        assert "commission 0.1 %" in said, name
        assert HOLD in said, name


@pytest.mark.parametrize(
    ("tickers", "years", "seeds"),
    [(["SPY"], [2019], 1), (["SPY"], [2018, 2019], 3), ([f"T{n}" for n in range(9)], [2019], 2)],
)
def test_any_size_is_drawn_without_a_warning(make_folder, tmp_path, tickers, years, seeds):
    assert len(write_figures(*prepared(make_folder(tmp_path, some_returns(tickers, years, seeds))))) == 6


def test_more_than_60_cells_are_drawn_one_row_a_ticker(make_folder, tmp_path, drawn):
    returns = some_returns([f"T{n}" for n in range(31)], [2017, 2018, 2019], 2, ["dqn", HOLD])
    drawings = write_figures(*prepared(make_folder(tmp_path, returns, days=5)))
    assert "mean over the ticker's test years" in drawings[0].caption
    rows = [label.get_text() for label in drawn["returns"].axes[0].get_yticklabels()]
    assert len(rows) == 31 + 1
    assert rows[-1] == "mean of all"
    bars = [bar for bar in drawn["returns"].axes[0].collections if len(bar.get_segments()) == len(rows)]
    widths = [np.ptp(segment[:, 0]) for bar in bars for segment in bar.get_segments()]
    assert sum(width > 0 for width in widths) == len(rows)  # the learner's intervals; buy-and-hold's lines are upright


def test_buy_and_hold_alone_has_no_trades_and_no_share_to_show(make_folder, tmp_path):
    folder = make_folder(tmp_path, some_returns(["SPY"], agents=[HOLD]))
    assert [drawing.path.stem for drawing in write_figures(*prepared(folder))] == [
        "returns",
        "equity",
        "drawdown",
        "costs",
    ]


def test_figures_of_agents_that_are_no_more_are_removed(make_folder, tmp_path):
    write_figures(*prepared(make_folder(tmp_path, some_returns(["SPY"]))))
    write_figures(*prepared(make_folder(tmp_path, some_returns(["SPY"], agents=[HOLD]))))
    assert not (tmp_path / "figures" / "trades.png").exists()


def test_a_ticker_with_dollar_signs_is_drawn_as_it_is(make_folder, tmp_path, drawn):
    write_figures(*prepared(make_folder(tmp_path, some_returns(["$\\frac$", "<b>"]))))
    assert "$\\frac$" in texts(drawn["equity"])


def test_growth_starts_at_zero_and_ends_at_the_return_of_the_table(make_folder, tmp_path, drawn):
    write_figures(*prepared(make_folder(tmp_path, {("dqn", "SPY", 2019): [0.1, 0.3], (HOLD, "SPY", 2019): [0.05]})))
    lines = {line.get_label(): line.get_ydata() for line in drawn["equity"].axes[0].get_lines()}
    for agent, percent in (("dqn", 20.0), (HOLD, 5.0)):
        growth = lines[agent][~np.isnan(lines[agent])]
        assert (growth[0], growth[-1]) == (0.0, pytest.approx(percent))


def test_the_interval_drawn_is_that_of_the_table(make_folder, tmp_path, drawn):
    results, cells, comparisons = prepared(make_folder(tmp_path, some_returns(["SPY"], agents=["dqn", HOLD])))
    write_figures(results, cells, comparisons)
    bars = drawn["returns"].axes[0].collections
    ends = [tuple(segment[:, 0]) for bar in bars for segment in bar.get_segments()]
    assert pytest.approx(tuple(100 * np.array(cells["dqn"][0].interval))) in ends


def test_the_trades_shown_are_those_of_the_median_seed(make_folder, tmp_path, drawn):
    returns = {("dqn", "SPY", 2019): [0.3, 0.1, 0.2], (HOLD, "SPY", 2019): [0.05]}
    results, cells, comparisons = prepared(make_folder(tmp_path, returns))
    write_figures(results, cells, comparisons)
    assert any("shown: seed 2, median of 3: +20.0 %" in text for text in texts(drawn["trades"]))
    own = results.equity[(results.equity["agent"] == "dqn") & (results.equity["seed"] == 2)]
    marks = {line.get_label(): len(line.get_xdata()) for line in drawn["trades"].findobj(mpl.lines.Line2D)}
    assert marks["bought"] == (own["filled"] > 0).sum() > 0
    assert marks["sold"] == (own["filled"] < 0).sum() > 0


def test_of_many_cells_the_best_the_median_and_the_worst_against_buy_and_hold_are_shown(make_folder, tmp_path):
    returns = {(HOLD, f"T{n}", 2019): [0.1] for n in range(5)}
    returns |= {("dqn", f"T{n}", 2019): [0.1 * n, 0.1 * n] for n in range(5)}
    _, cells, _ = prepared(make_folder(tmp_path, returns))
    assert [(cell.ticker, why) for cell, why in figures._chosen(cells["dqn"])] == [
        ("T4", " (best)"),
        ("T2", " (median)"),
        ("T0", " (worst)"),
    ]


def test_every_agent_has_its_own_colour(make_folder, tmp_path):
    results, _, _ = prepared(make_folder(tmp_path, some_returns(["SPY"])))
    assert len({figures._colour(results, agent) for agent in ALL}) == len(ALL)
