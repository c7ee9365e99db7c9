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
# # One agent in depth
#
# A result folder keeps one trained agent of each learner. Here a DQN trades its test year again, and says each day what
# it expects of every action: where it traded, what it saw in it, in what kind of market it earned and lost.
#
# One agent is one seed, and a story can be told about any account. So the figures of all seeds stand beside it, with
# their interval and buy-and-hold. Another one, from the checkout's root:
#
# `papermill backtests/reports/agent_in_depth.ipynb mine.ipynb -p folder runs/backtest -p agent dqn -p ticker NASDAQ`

# %%
# ruff: noqa: B018, D100, ERA001, RUF100 (a notebook)
from pathlib import Path

import matplotlib.pyplot as plt

import backtests
from agents.dqn import DQN
from agents.watch import watch
from etfgym.ledger import Costs
from etfgym.report.figures import draw
from etfgym.report.layout import summary_table
from etfgym.report.regimes import regime_table, regimes
from etfgym.report.results import load_results
from etfgym.report.style import STYLE, look
from etfgym.report.tables import cell_table, compare, percent
from etfgym.sources import load
from etfgym.splits import Fold, split_by_fold

plt.style.use(STYLE | {"date.converter": "concise", "figure.constrained_layout.use": True})

# %% tags=["parameters"]
folder = "backtests/results/example"
agent = "dqn-counterfactual"
ticker = "SP500"

# %%
results = load_results(Path(backtests.__file__).parents[1] / folder)  # a relative path starts at the checkout's root
settings, kept = results.manifest["settings"], results.manifest["agents"][agent]
year, seed = kept["test_year"], kept["seed"]
comparisons = {name: compare(results, name, ticker=ticker, year=year) for name in results.agents}
own = comparisons[agent]
print(f"{ticker} in {year}, {results.costs_text}; all of the folder: {results.days_text}")
summary_table(results, comparisons).frame.iloc[:, [0, 1, 2, 3, 4, 7, 9, 12]]

# %% [markdown]
# ## The test year again
#
# The same weights, prices and costs give the same account as in `results.parquet`. Each evening the network says what
# discounted profit it expects from each action on.

# %%
prices = load(settings["prices"], ticker)[0]
period = split_by_fold(prices, Fold(year)).test
keywords = settings["agents"][agent]["environment"] | {"initial_cash": settings["initial_cash"], "reward": "pnl"}
keywords["costs"] = Costs(**settings["environment"]["costs"])
policy = DQN.load(results.folder / "agents" / agent)
traded = watch(policy, prices, period, **keywords).join(regimes(prices))
run = results.runs.query("agent == @agent and ticker == @ticker and year == @year and seed == @seed").iloc[0]
growth = traded["equity"].iloc[-1] / settings["initial_cash"] - 1
print(f"seed {seed}: {percent(growth)}, as in results.parquet: {abs(growth - run['total_return']) < 1e-9}")

# %% [markdown]
# ## Where it traded, and what it saw in it
#
# Above, the price with what was bought and sold the next morning, grey where the last 20 days fell. In the middle, what
# it expects of the two large orders beyond holding: a line above zero is a wish to act, small beside a day's luck.
# Below, the share of the account that is invested. Orders that cash or units can't cover are filled as far as they go.

# %%
figure, (top, middle, bottom) = plt.subplots(3, 1, figsize=(10, 7), sharex=True, height_ratios=[3, 3, 1])
top.plot(traded["price"], color="black", linewidth=1)
falling = {"where": traded["trend"] == "falling", "transform": top.get_xaxis_transform(), "step": "post"}
top.fill_between(traded.index, 0, 1, color="#e6e9ed", **falling)
for label, marker, colour, filled in (("bought", "^", "#0072B2", 1), ("sold", "v", "#D55E00", -1)):
    top.plot(traded["price"][traded["filled"] * filled > 0], marker, color=colour, markersize=4, label=label)
for name, colour in (("buy 20", "#0072B2"), ("sell 20", "#D55E00")):
    middle.plot(100 * (traded[name] - traded["hold"]), color=colour, linewidth=1, label=name)
middle.axhline(0, color="black", linewidth=1)
bottom.fill_between(traded.index, 100 * traded["invested"], color=look(results, agent).colour, alpha=0.35, step="post")
top.set_title(
    f"{agent} on {ticker}, {own.first} to {own.last}, shown: seed {seed}, {percent(growth)}\nmean of {own.seeds_text} "
    f"{percent(own.mean)}, 95 % interval {own.interval_text}; buy-and-hold {percent(own.hold_mean)}"
)
top.set_ylabel("close")
middle.set_ylabel("more than hold,\n% of initial cash")
bottom.set_ylabel("invested, %")
top.legend(ncols=2, loc="upper left")
middle.legend(ncols=2, loc="upper left")
figure.align_ylabels()

# %% [markdown]
# ## What it did in which market
#
# The regime is what could be known on the evening: whether the last 20 days rose, and whether they moved more than the
# median such window of the year before. Shares of evenings on which each action was chosen, in percent.

# %%
chosen = traded.groupby(["trend", "volatility"])["action"].value_counts(normalize=True).mul(100).round().astype(int)
chosen.unstack(fill_value=0)

# %% [markdown]
# Profits of those next days in percent of the initial cash, per test year, over **all** seeds and test years; the rows
# add up to the mean return. `low` and `high` are the 95 % interval over seeds, `hold` is buy-and-hold's profit on the
# same days, `invested` the share of the account that was in units. Four regimes are four chances to find a
# pattern, so a difference in one of them is a question for other years, no finding.

# %%
print(f"{agent} on {ticker}, test years {', '.join(map(str, results.years))}, {compare(results, agent).seeds_text}")
regime_table(results, agent, prices).round({"own": 1, "low": 1, "high": 1, "hold": 1, "invested": 2})

# %% [markdown]
# ## What had to be sat through
#
# How far each account stood below its highest value so far: line and band are the mean over seeds and their range.

# %%
cells = {name: cell_table(results, name) for name in results.agents}
draw("drawdown", results, cells, {name: compare(results, name) for name in results.agents})
