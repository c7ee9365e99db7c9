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
# # Agents against buy-and-hold, and against each other
#
# One result folder, read from top to bottom: what was traded, what each agent earned beside buy-and-hold, how sure that
# is, and one sentence at the end that says what may be concluded. Another folder, from the checkout's root:
#
# `papermill backtests/reports/compare_agents.ipynb mine.ipynb -p folder runs/backtest`

# %%
# ruff: noqa: B018, D100, ERA001, RUF100 (a notebook)
import itertools
import textwrap
from pathlib import Path

import backtests
from etfgym.report.duels import duel
from etfgym.report.evidence import weigh
from etfgym.report.figures import draw
from etfgym.report.layout import (
    controls_table,
    duel_table,
    evidence_notes,
    evidence_table,
    risk_table,
    summary_table,
)
from etfgym.report.results import load_results
from etfgym.report.risk import risk_measures
from etfgym.report.tables import cell_table, compare, conclusions

# %% tags=["parameters"]
folder = "backtests/results/with-costs"

# %% [markdown]
# ## What was traded

# %%
results = load_results(Path(backtests.__file__).parents[1] / folder)  # a relative path starts at the checkout's root
comparisons = {agent: compare(results, agent) for agent in results.agents}
traded = comparisons["buy-and-hold"]
print(f"{results.days_text}: {traded.things(traded.cells)}, trained {results.manifest['settings']['train']}")
print(f"costs: {results.costs_text}")
print(f"notes: {' '.join(results.manifest['notes']) or 'none'}")
print(f"again: {results.manifest['command']}")

# %% [markdown]
# ## What each agent earned
#
# Returns are means over seeds, then over ETFs and years. The first interval is over seeds: what another training would
# have brought on these very days. That of the difference is over years as well (or over ETFs, where there are few
# years): the one that counts. Hindsight is no strategy but a ceiling.

# %%
summary_table(results, comparisons).frame.iloc[:, :9]

# %% [markdown]
# ## How sure that is
#
# Interquartile mean and the chance that a run ends above buy-and-hold (Agarwal et al. 2021); Sharpe ratio of the mean
# account; SPA (Hansen 2005) and Reality Check (White 2000) ask how likely a lead like this is where there is none; the
# deflated Sharpe ratio (Bailey and Lopez de Prado 2014) takes off what the best of all trainings has by luck.

# %%
evidence, together = weigh(results)
print("\n".join(textwrap.wrap(" ".join(evidence_notes(results, together)), 110)))
evidence_table(results, comparisons, evidence).frame

# %% [markdown]
# The share of runs that end more than so far above buy-and-hold. Read it at the black line: above one half there, more
# runs win than lose; a curve that lies above another everywhere is the better one.

# %%
cells = {agent: cell_table(results, agent) for agent in results.agents}
draw("profile", results, cells, comparisons)

# %% [markdown]
# ## Where it came from
#
# Dots are means over seeds, bars their 95 % intervals, the black line is buy-and-hold.

# %%
draw("returns", results, cells, comparisons)

# %% [markdown]
# ## What had to be sat through

# %%
risk_table(results, comparisons, risk_measures(results)).frame

# %% [markdown]
# ## Each other
#
# Learners and the rules that could stand in for them, on the ETFs, years and seeds that both have.

# %%
rivals = list(dict.fromkeys([*results.headliners, *results.contenders]))[:4]
pairs = [duel(results, agent, results, other) for agent, other in itertools.combinations(rivals, 2)]
duel_table([found for found in pairs if found]).frame.iloc[:, :10]

# %% [markdown]
# ## Two standing controls
#
# The same training and trading where it is known what must come out: a planted signal has to be found, and shuffled
# returns hold nothing that could be.

# %%
controls_table(results.controls).frame

# %% [markdown]
# ## What may be concluded

# %%
for sentence in conclusions(results, comparisons, evidence, together):
    print("\n".join(textwrap.wrap(sentence, 110)))
