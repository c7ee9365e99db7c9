# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Seeds and luck
#
# The same code, the same prices, another seed: another agent. What would a report of one seed have claimed, and what
# one of the best of several? How many seeds make an interval narrow, and what is left of a Sharpe ratio that is the
# best of many trainings? Another folder, from the checkout's root:
#
# `papermill backtests/reports/seeds_and_luck.ipynb mine.ipynb -p folder runs/backtest -p agent dqn`

# %%
# ruff: noqa: B018, D100, ERA001, RUF100 (a notebook)
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

import backtests
from etfgym.report.evidence import deflated_by_trials
from etfgym.report.layout import controls_table, summary_table
from etfgym.report.luck import best_of, claims, widths
from etfgym.report.results import load_results
from etfgym.report.style import STYLE, look
from etfgym.report.tables import compare

plt.style.use(STYLE | {"figure.constrained_layout.use": True})

# %% tags=["parameters"]
folder = "backtests/results/with-costs"
agent = "dqn-counterfactual"

# %%
results = load_results(Path(backtests.__file__).parents[1] / folder)  # a relative path starts at the checkout's root
colour = look(results, agent).colour
found = compare(results, agent)
what = f"{agent}, {results.days_text}, {found.seeds_text}"
print(f"{what}, {found.things(found.cells)}; {results.costs_text}")
summary_table(results, {name: compare(results, name) for name in (agent, "buy-and-hold")}).frame.iloc[:, :7]

# %% [markdown]
# ## What each seed alone would have claimed
#
# Mean return in percent over all ETFs and years, with the share of these cells in which that seed ended above
# buy-and-hold. A seed has no interval of its own: that is the point.

# %%
alone = claims(results, agent)
beaten = int((alone["difference"] > 0).sum())
print(f"{beaten} of {len(alone)} seeds would have claimed to beat buy-and-hold, over all test years")
(100 * alone).rename(columns={"hold": "buy-and-hold", "won": "cells won"}).round(1).T

# %% [markdown]
# Few reports test ten years. A dot is a seed in one year, its mean over ETFs less buy-and-hold's; the line is the mean
# of the seeds. How far the dots of one year lie apart is the luck of training; how far the years lie apart is that of
# the market, and no number of seeds takes it away.

# %%
by_year = pd.DataFrame({year: 100 * claims(results, agent, year=year)["difference"] for year in results.years})
figure, axes = plt.subplots(figsize=(9, 3.6))
for place, year in enumerate(by_year):
    axes.plot([place] * len(by_year), by_year[year], "o", color=colour, alpha=0.5, markersize=5, markeredgewidth=0)
    axes.hlines(by_year[year].mean(), place - 0.3, place + 0.3, color=colour, linewidth=2)
axes.axhline(0, color="black", linewidth=2)
axes.set_xticks(range(len(by_year.columns)), map(str, by_year))
axes.set_ylabel("points above buy-and-hold (black)")
axes.set_title(f"{what}; mean difference 95 % interval {found.difference_interval_text}")
above = (by_year > 0).to_numpy().mean()
print(
    f"{100 * above:.0f} % of claims from one seed and one year would have been a win; seeds spread by "
    f"{by_year.std().mean():.1f} points in a year, years by {by_year.mean().std():.1f}"
)

# %% [markdown]
# ## The best of several, and how many are enough
#
# Left: who trains some seeds and shows the best one shows this, on average, without any better agent. Right: how wide
# the interval of the mean return over seeds is; it shrinks with the root of their number, and is silent on other years.

# %%
numbers = range(1, len(alone) + 1)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4))
best = [100 * best_of(alone["difference"].to_numpy(), number) for number in numbers]
left.plot(numbers, best, "o-", color=colour)
left.axhline(0, color="black", linewidth=2)
left.set(xlabel="seeds, of which the best is shown", ylabel="points above buy-and-hold (black)")
right.plot(numbers[1:], 100 * widths(results, agent, numbers[1:]), "o-", color=colour)
right.set(xlabel="seeds", ylabel="width of the 95 % interval, points", ylim=(0, None))
left.set_title(what)
figure.align_ylabels()

# %% [markdown]
# ## The best of many trainings
#
# The deflated Sharpe ratio: the probability that the true Sharpe ratio of the mean account is above what the best of so
# many trainings without any skill would show. It asks for more than zero, not for more than buy-and-hold: in rising
# years whoever holds has a good one. And it takes the trainings' own spread for the size of luck: seeds that resemble
# one another leave the best of them little. How many were run, tuning included, comes from the manifest.

# %%
trials = sorted({2, 10, 100, 1000, 10_000, results.trials or 2})
deflated = deflated_by_trials(results, agent, trials)
table = pd.DataFrame({"trainings": trials, "deflated Sharpe": deflated.round(2)}).set_index("trainings")
table.assign(run=["these were run" if number == results.trials else "" for number in trials])

# %% [markdown]
# ## Where nothing can be learned
#
# The same training and trading on shuffled returns, on which no agent may beat buy-and-hold, and on a planted signal,
# on which it must. A method that wins on the first makes its own luck.

# %%
controls_table(results.controls).frame.drop(columns=["Seeds", "Cells"])
