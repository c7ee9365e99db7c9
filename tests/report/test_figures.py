"""The figures: which there are, what they show, and that they are files written whole."""

import re
from contextlib import contextmanager
from types import SimpleNamespace
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest

from etfgym.report import curves, figures, style
from etfgym.report.figures import write_figures
from etfgym.report.results import load_results
from etfgym.report.style import look
from etfgym.report.tables import cell_table, compare, percent

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


@contextmanager
def keeping_figures():
    """Keep each figure that is saved, by the name of its file."""
    kept = {}
    real = mpl.figure.Figure.savefig

    def savefig(figure, path, **keywords):
        if keywords["format"] == "png":
            kept[path.name.split(".")[1]] = figure  # ".equity.png.XXXX.part" until it is whole
        real(figure, path, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mpl.figure.Figure, "savefig", savefig)
        yield kept


@pytest.fixture(scope="module")
def two(make_folder, tmp_path_factory):
    """Two tickers in one year, and everything that is drawn of them."""
    folder = make_folder(tmp_path_factory.mktemp("two"), some_returns(["SPY", "QQQ"], seeds=3))
    with keeping_figures() as kept:
        results, cells, comparisons = prepared(folder)
        drawings = {drawing.path.stem: drawing for drawing in write_figures(results, cells, comparisons)}
    return SimpleNamespace(results=results, cells=cells, drawings=drawings, figures=kept, folder=folder)


def texts(figure):
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text()]


def lines_of(figure):
    return {line.get_label(): line for line in figure.axes[0].get_lines()}


def test_every_figure_is_a_whole_png_with_a_caption_and_nothing_else_is_left(two):
    names = ["returns.png", "profile.png", "equity.png", "drawdown.png", "trades.png", "share.png", "costs.png"]
    assert [drawing.path.name for drawing in two.drawings.values()] == names
    assert sorted(path.name for path in (two.folder / "figures").iterdir()) == sorted(names)
    for drawing in two.drawings.values():
        assert drawing.path.read_bytes().startswith(PNG)
        assert drawing.caption.endswith(".")


def test_every_figure_carries_seeds_dates_costs_and_buy_and_hold(two):
    assert len(two.figures) == 7
    for name, figure in two.figures.items():
        said = " ".join(texts(figure))
        assert "out of sample 2019-01-11 to 2019-12-" in said, name
        assert "dqn 3" in said, name
        assert "commission 0.1 %" in said, name
        assert HOLD in said, name


@pytest.mark.parametrize(
    ("tickers", "years", "seeds"),
    [(["SPY"], [2018, 2019], 1), ([f"T{n}" for n in range(7)], [2019], 2)],
)
def test_any_size_is_drawn_without_a_warning(make_folder, tmp_path, tickers, years, seeds):
    returns = some_returns(tickers, years, seeds, ["dqn", HOLD, "hindsight"])
    assert len(write_figures(*prepared(make_folder(tmp_path, returns)))) == 7


def test_more_than_60_cells_are_drawn_one_row_a_ticker(make_folder, tmp_path):
    returns = some_returns([f"T{n}" for n in range(31)], [2017, 2018, 2019], 2, ["dqn", HOLD])
    results, cells, comparisons = prepared(make_folder(tmp_path, returns, days=5))
    drawn = figures._draw_returns(results, cells, figures._rows(results, cells), comparisons)
    assert "mean over the ticker's test years" in drawn.caption
    [axes] = drawn.figure.axes
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert len(rows) == 31 + 1
    assert rows[-1] == "mean of all"
    bars = [bar for bar in axes.collections if len(bar.get_segments()) == len(rows)]
    widths = [np.ptp(segment[:, 0]) for bar in bars for segment in bar.get_segments()]
    assert sum(width > 0 for width in widths) == len(rows)  # the learner's intervals; buy-and-hold's lines are upright


def test_buy_and_hold_alone_has_no_trades_and_no_share_to_show_and_older_figures_go(make_folder, tmp_path):
    folder = make_folder(tmp_path, some_returns(["SPY"], agents=[HOLD]))
    (folder / "figures").mkdir()
    (folder / "figures" / "trades.png").write_bytes(PNG)  # of an agent that is no more
    drawings = write_figures(*prepared(folder))
    assert [drawing.path.stem for drawing in drawings] == ["returns", "equity", "drawdown", "costs"]
    assert not (folder / "figures" / "trades.png").exists()


def test_a_ticker_with_dollar_signs_and_tags_is_drawn_as_it_is(make_folder, tmp_path):
    results = load_results(make_folder(tmp_path, some_returns(["$\\frac$", "<b>"], agents=["dqn", HOLD])))
    with mpl.rc_context(style.STYLE):
        drawn = curves.draw_growth(results, curves.daily_curves(results))
        assert "$\\frac$" in texts(drawn.figure)
        written = style.write_drawing(drawn, tmp_path / "a.png", "A")
    assert any(spot.text.startswith("<b>, 2019-") for spot in written.spots)


def test_growth_starts_at_zero_and_ends_at_the_return_of_the_table(make_folder, tmp_path):
    results = load_results(make_folder(tmp_path, {("dqn", "SPY", 2019): [0.1, 0.3], (HOLD, "SPY", 2019): [0.05]}))
    lines = lines_of(curves.draw_growth(results, curves.daily_curves(results)).figure)
    for agent, final in (("dqn", 20.0), (HOLD, 5.0)):
        growth = lines[agent].get_ydata()[~np.isnan(lines[agent].get_ydata())]
        assert (growth[0], growth[-1]) == (0.0, pytest.approx(final))


def test_the_interval_drawn_is_that_of_the_table(two):
    bars = two.figures["returns"].axes[0].collections
    ends = [tuple(segment[:, 0]) for bar in bars for segment in bar.get_segments() if segment.size]
    assert pytest.approx(tuple(100 * np.array(two.cells["dqn"][0].interval))) in ends


def test_the_trades_shown_are_those_of_the_median_seed(make_folder, tmp_path):
    returns = {("dqn", "SPY", 2019): [0.3, 0.1, 0.2], (HOLD, "SPY", 2019): [0.05]}
    results, cells, _ = prepared(make_folder(tmp_path, returns))
    figure = curves.draw_trades(results, cells, curves.daily_curves(results)).figure
    assert any("shown: seed 2, median of 3: +20.0 %" in text for text in texts(figure))
    own = results.equity[(results.equity["agent"] == "dqn") & (results.equity["seed"] == 2)]
    marks = {line.get_label(): len(line.get_xdata()) for line in figure.findobj(mpl.lines.Line2D)}
    assert marks["bought"] == (own["filled"] > 0).sum() > 0
    assert marks["sold"] == (own["filled"] < 0).sum() > 0


def test_of_many_cells_the_best_the_median_and_the_worst_against_buy_and_hold_are_shown(make_folder, tmp_path):
    returns = {(HOLD, f"T{n}", 2019): [0.1] for n in range(5)}
    returns |= {("dqn", f"T{n}", 2019): [0.1 * n, 0.1 * n] for n in range(5)}
    _, cells, _ = prepared(make_folder(tmp_path, returns))
    assert [(cell.ticker, why) for cell, why in curves.chosen_cells(cells["dqn"])] == [
        ("T4", " (best)"),
        ("T2", " (median)"),
        ("T0", " (worst)"),
    ]


def test_agents_differ_in_colour_or_else_in_marker_dashes_and_hatch(make_folder, tmp_path):
    learners = [f"learner{number}" for number in range(9)]
    results = load_results(make_folder(tmp_path, some_returns(["SPY"], agents=[*ALL[1:], *learners])))
    looks = [look(results, agent) for agent in ("learner0", *ALL[1:])]
    assert len({found.colour for found in looks}) == len({found.marker for found in looks}) == len(ALL)
    every = [look(results, agent) for agent in results.agents]
    assert len({(found.colour, found.marker) for found in every}) == len(every)
    assert len({(found.colour, found.hatch) for found in every}) == len(every)
    assert "#F0E442" not in {found.colour for found in every}  # Okabe and Ito's yellow can't be seen on white


# ------------------------------------------------------------------------------------------------ tooltips


def test_every_figure_tells_its_numbers_with_seeds_and_buy_and_hold_beside_them(two):
    drawn = two.drawings
    assert all(drawing.spots for drawing in drawn.values())
    [dot] = [spot for spot in drawn["returns"].spots if spot.text.startswith("QQQ\ndqn")]
    [cell] = [cell for cell in two.cells["dqn"] if cell.ticker == "QQQ"]
    assert percent(cell.mean) in dot.text
    assert f"95 % interval {cell.interval_text}, 3 seeds" in dot.text
    assert f"{HOLD} {percent(cell.hold)}\n2019-01-11 to 2019-12-" in dot.text
    assert all(HOLD in spot.text for name in ("equity", "drawdown", "profile", "trades") for spot in drawn[name].spots)
    assert any("trades, turnover" in spot.text for spot in drawn["costs"].spots)


def test_a_tooltip_lies_where_its_dot_is_drawn(two):
    figure, drawing = two.figures["returns"], two.drawings["returns"]
    axes = figure.axes[0]
    rows = [label.get_text() for label in axes.get_yticklabels()]
    x, y = axes.transData.transform(lines_of(figure)["dqn"].get_xydata()[rows.index("SPY")]) / figure.dpi * 72
    [spot] = [spot for spot in drawing.spots if spot.text.startswith("SPY\ndqn")]
    assert spot.left < x < spot.left + spot.width
    assert spot.top < drawing.height - y < spot.top + spot.height
    assert min(spot.width, spot.height) >= style.SMALLEST_TARGET


def test_the_last_tooltip_of_a_year_is_its_return(make_folder, tmp_path):
    returns = {("dqn", "SPY", 2018): [0.1, 0.3], (HOLD, "SPY", 2018): [0.05]}
    returns |= {("dqn", "SPY", 2019): [-0.1, 0.0], (HOLD, "SPY", 2019): [0.02]}
    results = load_results(make_folder(tmp_path, returns))
    marks = curves.draw_growth(results, curves.daily_curves(results)).marks
    last = [mark for mark in marks if mark.text.startswith("SPY, 2018-12-")][-1]
    assert f"dqn +20.0 % (seeds +10.0 to +30.0)\n{HOLD} +5.0 %" in last.text
    assert f"dqn -5.0 % (seeds -10.0 to +0.0)\n{HOLD} +2.0 %" in marks[-1].text


def test_the_tooltips_of_trades_add_up_to_the_orders(two):
    spots = [spot.text for spot in two.drawings["trades"].spots if "QQQ" in spot.text]
    seed = re.match(r"dqn, seed (\d), QQQ", spots[0])[1]
    run = two.results.equity.query(f"agent == 'dqn' and ticker == 'QQQ' and seed == {seed}")["filled"]
    said = [re.search(r"bought (\d+), sold (\d+) units", text).groups() for text in spots]
    assert sum(int(bought) for bought, _ in said) == run.clip(lower=0).sum() > 0
    assert sum(int(sold) for _, sold in said) == -run.clip(upper=0).sum() > 0


def test_the_svg_loads_nothing(two):
    for drawing in two.drawings.values():
        root = ElementTree.fromstring(drawing.svg)  # noqa: S314 (ours)
        links = [value for element in root.iter() for name, value in element.items() if name.endswith("href")]
        assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
        assert float(root.get("viewBox").split()[2]) == pytest.approx(drawing.width)


def test_the_profile_at_zero_is_the_share_of_runs_above_buy_and_hold(make_folder, tmp_path):
    returns = {("dqn", "SPY", 2019): [0.3, 0.0, 0.1, 0.2], (HOLD, "SPY", 2019): [0.15]}
    results, _, comparisons = prepared(make_folder(tmp_path, returns))
    drawn = figures._draw_profile(results, comparisons)
    line = lines_of(drawn.figure)["dqn"]
    assert np.interp(0.5, *line.get_data()) == pytest.approx(50)
    assert line.get_ydata()[-1] == 0
    [mark] = [mark for mark in drawn.marks if mark.x[0] <= 0.5 < mark.x[1]]
    assert "dqn 50 % of runs (95 % interval 0 to 100), 4 seeds" in mark.text
