"""The tables that people look at, the same for a page, a terminal, Markdown and LaTeX."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from etfgym.report.controls import WORLDS, Control
from etfgym.report.duels import Duel
from etfgym.report.evidence import Evidence, Together
from etfgym.report.results import HINDSIGHT, HOLD, NO_RANDOMNESS, Results
from etfgym.report.tables import FEWEST_CELLS, Cell, Comparison, compare, p_value, percent, points, span
from etfgym.stats import Interval


@dataclass(frozen=True, slots=True)
class Entry:
    """What one place of a table shows, and the number it is sorted by; None: sorted as text."""

    text: str
    order: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A caption, the names of its columns, its rows, and those below that sum up."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Entry]]
    foot: Sequence[Sequence[Entry]] = ()

    @property
    def frame(self) -> pd.DataFrame:
        """The texts, the first column as index; what sums up comes last."""
        texts = [[entry.text for entry in row] for row in (*self.rows, *self.foot)]
        return pd.DataFrame(texts, columns=list(self.columns)).set_index(self.columns[0])


def _number(value: float, form: str = "{:,.0f}") -> Entry:
    return Entry("-" if math.isnan(value) else form.format(value), value)


def _percent(value: float) -> Entry:
    return Entry(percent(value), value)


def _points(value: float) -> Entry:
    return Entry(points(value), value)


def summary_table(results: Results, comparisons: Mapping[str, Comparison]) -> Table:
    """Return every agent's comparison with buy-and-hold."""
    columns = [
        "Agent",
        "Seeds",
        "Mean return",
        "95 % interval",
        HOLD.capitalize(),
        "Difference, points",
        "95 % interval",
    ]
    columns += ["Wins", "Share of hindsight", "Sharpe", "Max drawdown", "Turnover", "Costs", "Trades"]
    rows = []
    for agent, found in comparisons.items():
        measures = found.measures
        against = [Entry("-", math.nan)] * 3
        if agent != HOLD:
            paired = Entry(found.difference_interval_text, found.difference_interval.low)
            against = [_points(found.difference), paired, Entry(f"{found.wins} of {found.cells}", found.wins)]
        low, high = found.share_interval
        share = "" if math.isnan(low) else f" ({100 * low:.0f} to {100 * high:.0f})"
        rows.append(
            [
                Entry(agent),
                _seeds(found),
                _percent(found.mean),
                Entry(found.interval_text, found.interval.low),
                _percent(found.hold_mean),
                *against,
                Entry("-" if math.isnan(found.share) else f"{100 * found.share:.0f} %{share}", found.share),
                _number(measures["sharpe"], "{:.2f}"),
                _number(100 * measures["max_drawdown"], "{:.1f} %"),
                _number(measures["turnover"], "{:.1f}"),
                _number(measures["costs"], "${:,.0f}"),
                _number(measures["trades"]),
            ]
        )
    over = "whole test years" if comparisons[HOLD].whole_years else f"{results.kind}-years"
    caption = (
        f"Every agent against buy-and-hold, {results.days_text}. Intervals of "
        f"returns and shares are over seeds, those of differences over seeds and {over}."
    )
    return Table(caption, columns, rows)


def evidence_table(results: Results, comparisons: Mapping[str, Comparison], found: Mapping[str, Evidence]) -> Table:
    """Return the middle, the odds, the Sharpe ratio and the tests of each agent but hindsight."""
    columns = ["Agent", "Seeds", "Interquartile mean", "95 % interval", "Above buy-and-hold", "95 % interval"]
    columns += ["Sharpe, mean account", "95 % interval", "SPA p", "Reality Check p", "Deflated Sharpe"]
    rows = [
        [
            Entry(agent),
            _seeds(comparisons[agent]),
            _percent(own.iqm),
            _interval(own.iqm_interval, f"{span(own.iqm_interval)} %", agent),
            _number(100 * own.improvement, "{:.0f} %"),
            _interval(own.improvement_interval, _in_percent(own.improvement_interval), agent),
            _number(own.sharpe, "{:.2f}"),
            _interval(own.sharpe_interval, "{:.2f} to {:.2f}".format(*own.sharpe_interval), ""),
            _p(own.spa),
            _p(own.reality_check),
            _number(own.deflated, "{:.2f}"),
        ]
        for agent, own in found.items()
    ]
    caption = (
        f"How sure that is, {results.days_text}. Tests and Sharpe ratios are of the mean account: daily "
        f"returns averaged over seeds, then tickers, test years one after the other."
    )
    return Table(caption, columns, rows)


def evidence_notes(results: Results, together: Together) -> list[str]:
    """Return what holds for the learners together, and what could not be computed and why."""
    if not together.learners:
        return ["No learner was run, so there is nothing to test for luck in choosing one."]
    one = len(together.learners) == 1
    who = f"{together.learners[0]} alone" if one else f"The {len(together.learners)} learners together"
    tests = (
        f"{who} against {HOLD}: SPA p {p_value(together.spa)}, Reality Check p {p_value(together.reality_check)}: how "
        f"likely {'its' if one else 'the best'} lead, or a larger one, is if in truth there is none."
    )
    notes = [tests]
    if together.no_overfitting:
        notes.append(f"Probability of backtest overfitting: not applicable, as {together.no_overfitting}.")
    else:
        notes.append(
            f"Probability of backtest overfitting: {100 * together.overfitting:.0f} %, the share of ways to halve the "
            f"days in which the best of {len(together.learners)} learners in one half lies below their median in the "
            f"other{'; with so few it is coarse' if len(together.learners) < 10 else ''}."
        )
    if results.trials is None:
        notes.append("Trials not recorded, so no deflated Sharpe ratio.")
    else:
        notes.append(f"Trials: {results.trials:,} trainings were run, tuning included.")
    return notes


def risk_table(results: Results, comparisons: Mapping[str, Comparison], measures: pd.DataFrame) -> Table:
    """Return each agent's measures of risk and trading."""
    forms = {
        "volatility": ("Volatility", "{:.1f} %"),
        "sharpe": ("Sharpe", "{:.2f}"),
        "sortino": ("Sortino", "{:.2f}"),
        "calmar": ("Calmar", "{:.2f}"),
        "max_drawdown": ("Max drawdown", "{:.1f} %"),
        "longest_drawdown": ("Longest drawdown, days", "{:.0f}"),
        "value_at_risk": ("VaR, 5 %", "{:.2f} %"),
        "conditional_value_at_risk": ("CVaR, 5 %", "{:.2f} %"),
        "exposure": ("Exposure", "{:.0f} %"),
        "hit_rate": ("Hit rate", "{:.0f} %"),
        "cost_share": ("Cost share", "{:.2f} %"),
    }
    rows = [
        [
            Entry(agent),
            _seeds(comparisons[agent]),
            *[
                _number(float(measures.loc[agent, name]) * (100 if "%" in form else 1), form)
                for name, (_, form) in forms.items()
            ],
        ]
        for agent in measures.index
    ]
    caption = (
        f"Risk and trading of one account in one test period, {results.days_text}; means over cells of "
        f"means over seeds."
    )
    return Table(caption, ["Agent", "Seeds", *(name for name, _ in forms.values())], rows)


def controls_table(controls: Sequence[Control]) -> Table:
    """Return what the agents did on the control worlds; "not run" where they were not put to one."""
    columns = ["Market", "Expected", "Agent", "Passed", "Mean return", HOLD.capitalize(), "Difference, points"]
    columns += ["95 % interval", "Seeds", "Cells", "Test days"]
    rows = [
        [
            Entry(found.world),
            Entry(WORLDS[found.world]),
            Entry(found.agent),
            Entry("yes" if found.passed else "NO"),
            _percent(found.mean),
            _percent(found.hold),
            _points(found.difference),
            _interval(found.interval, span(found.interval), ""),
            _number(found.seeds),
            _number(found.cells),
            Entry(f"{found.first} to {found.last}"),
        ]
        for found in controls
    ]
    missing = [world for world in WORLDS if world not in {found.world for found in controls}]
    rows += [[*map(Entry, (world, WORLDS[world], "-", "not run")), *[Entry("-")] * 7] for world in missing]
    return Table("The same training and trading on two markets where it is known what must come out.", columns, rows)


def duel_table(duels: Sequence[Duel]) -> Table:
    """Return agents against each other."""
    columns = ["Agent", "Other", "Cells", "Seeds", "Agent's mean", "Other's mean", HOLD.capitalize()]
    columns += ["Difference, points", "95 % interval", "Above the other", "95 % interval", "Test days"]
    rows = [
        [
            Entry(found.agent),
            Entry(found.other),
            _number(found.cells),
            _number(found.seeds),
            _percent(found.mean),
            _percent(found.other_mean),
            _percent(found.hold_mean),
            _points(found.mean - found.other_mean),
            _interval(found.interval, span(found.interval), ""),
            _number(100 * found.improvement, "{:.0f} %"),
            _interval(found.improvement_interval, _in_percent(found.improvement_interval), ""),
            Entry(f"{found.first} to {found.last}", found.first.toordinal()),
        ]
        for found in duels
    ]
    caption = "Agents against each other, on the tickers, test years and seeds that both have."
    return Table(caption, columns, rows)


def _seeds(found: Comparison) -> Entry:
    return Entry(found.seeds_text.split(" seed")[0], found.seeds[0])


def _p(p: float) -> Entry:
    return Entry("-" if math.isnan(p) else p_value(p).removeprefix("= "), p)


def _interval(interval: Interval, text: str, agent: str) -> Entry:
    """Return an interval, or why there is none; that is one seed, or no randomness in the agent."""
    if interval.available:
        return Entry(text, interval.low)
    return Entry("no randomness" if agent in NO_RANDOMNESS else "not available", math.nan)


def _in_percent(interval: Interval) -> str:
    return f"{100 * interval.low:.0f} to {100 * interval.high:.0f} %"


def cell_tables(results: Results, cells: Sequence[Cell], found: Comparison) -> tuple[str, list[Table]]:
    """Return the agent's name with its table by ticker, and the one by year where there are several."""
    agent, several = found.agent, len(results.years) > 1
    with_hindsight = HINDSIGHT in results.agents
    columns = [found.kind if found.kind == "ETF" else "Index", *["Year"] * several, "Test days", "Seeds"]
    columns += [agent, "95 % interval", HOLD, "Difference, points", "Winner", *[HINDSIGHT] * with_hindsight]
    winners = {"win": agent, "loss": HOLD, "tie": "tie"}
    rows = [
        [
            Entry(cell.ticker),
            *[Entry(str(cell.year), cell.year)] * several,
            Entry(f"{cell.first} to {cell.last}", cell.first.toordinal()),
            _number(cell.seeds),
            _percent(cell.mean),
            Entry(cell.interval_text, cell.interval.low),
            _percent(cell.hold),
            _points(cell.mean - cell.hold),
            Entry(winners[cell.verdict]),
            *[_percent(cell.hindsight)] * with_hindsight,
        ]
        for cell in cells
    ]
    blank, last = [Entry("")], [Entry("")] * with_hindsight
    lead = blank * (1 + several) + [_seeds(found)]
    difference = Entry(f"{points(found.difference)} ({found.difference_interval_text})")
    mean = [Entry(percent(found.mean)), Entry(found.interval_text), Entry(percent(found.hold_mean)), difference]
    median = [Entry(percent(found.median)), Entry(""), Entry(percent(found.hold_median)), Entry("")]
    foot = [
        [Entry("Mean"), *lead, *mean, Entry(f"won {found.wins} of {found.cells}"), *last],
        [Entry("Median"), *lead, *median, *blank, *last],
    ]
    caption = f"{agent} against {HOLD}, one row for each {found.kind}{' and year' * several}; means over seeds."
    tables = [Table(caption, columns, rows, foot)]
    return agent, [_year_table(results, agent), *tables] if several else tables


def _year_table(results: Results, agent: str) -> Table:
    own = [year for year in results.years if ((results.runs["agent"] == agent) & (results.runs["year"] == year)).any()]
    rows = []
    for year in own:
        found = compare(results, agent, year=year)
        rows.append(
            [
                Entry(str(year), year),
                Entry(f"{found.first} to {found.last}", found.first.toordinal()),
                _seeds(found),
                _percent(found.mean),
                Entry(found.interval_text, found.interval.low),
                _percent(found.hold_mean),
                _points(found.difference),
                Entry(found.difference_interval_text, found.difference_interval.low),
                Entry(f"{found.wins} of {found.cells}", found.wins),
            ]
        )
    columns = ["Year", "Test days", "Seeds", agent, "95 % interval", HOLD, "Difference, points", "95 % interval"]
    caption = f"{agent} against {HOLD}, year by year; means over tickers and seeds."
    if results.runs["ticker"].nunique() < FEWEST_CELLS:
        caption += f" With fewer than {FEWEST_CELLS} a year, the intervals of the differences promise too much."
    return Table(caption, [*columns, "Wins"], rows)
