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
# # The environment in other code
#
# `import etfgym` registers `etfgym/EtfTrading-v0` with Gymnasium, and whatever speaks Gymnasium can take it from there.
# This notebook makes it, checks it, steps it in a plain loop, hands it to stable-baselines3, and shows Tianshou.
#
# No returns are shown: nothing here has learned anything, but for one agent that is read from a result folder to show
# how it is asked. What agents earned, and how sure that is, stands in `compare_agents`.

# %%
# ruff: noqa: B018, D100, ERA001, RUF100 (a notebook)
from collections import defaultdict
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pandas as pd
from gymnasium.utils.env_checker import check_env
from stable_baselines3 import PPO
from stable_baselines3.common import env_checker

import backtests
import etfgym  # noqa: F401 (registers the environments)
from agents.registry import learner
from etfgym.ledger import Costs
from etfgym.sb3 import EtfVecEnv

# %% tags=["parameters"]
folder = "backtests/results/example"
agent = "dqn-counterfactual"

# %% [markdown]
# ## Make and check
#
# Without keywords it runs on two stock indices that need no network. Prices, costs, window, reward and the dates of an
# episode are keywords; `docs/environment.md` has them all. The checkers of Gymnasium and of stable-baselines3 say
# nothing, which is their praise; `warn=False` leaves out the advice to flatten the window of 20 days x 6 columns.

# %%
year: dict[str, Any] = {"tickers": "SP500", "start": "2017-12-29", "length": 251}  # all of 2018
env = gym.make("etfgym/EtfTrading-v0", costs=Costs(commission=0.001), observe_account=True, **year)
check_env(env.unwrapped, skip_render_check=True)
env_checker.check_env(env, warn=False)
env.action_space.seed(0)
print("observation:", ", ".join(f"{name} {part.shape}" for name, part in env.reset(seed=0)[0].items()))
print(env.action_space, "buy 20, buy 10, hold, sell 10, sell 20 units")

# %% [markdown]
# ## A plain loop
#
# Five lines. The order decided at a close fills at the next open; the reward is known after that day's close. The
# account is sold out on the last day, so the episode is `terminated`, never `truncated`; the rewards add up to profit
# over initial cash.

# %%
observation, info = env.reset(seed=0)
steps, rewards, over = [], 0.0, False
while not over:
    observation, reward, over, cut, info = env.step(env.action_space.sample(info["action_mask"]))
    steps.append({name: info[name] for name in ("date", "price", "requested", "filled", "units", "cash", "equity")})
    rewards += float(reward)
print("rewards add up to the profit:", np.isclose(rewards, info["equity"] / 20_000 - 1))
pd.DataFrame(steps).set_index("date").head(5).round(2)

# %% [markdown]
# ## A learner of your own
#
# Tabular Q-learning in a plain loop, to show where the parts go. The state is whether the last five days rose, and
# whether anything is held. One year shows that it runs; it is far too little to learn anything, and nothing is claimed.


# %%
def state(observation: Any) -> tuple[bool, bool]:
    """Return what the table distinguishes."""
    close = observation["window"][:, 3]
    return bool(close[-1] > close[-6]), bool(observation["account"][0] > 0)


values: defaultdict[tuple[bool, bool], Any] = defaultdict(lambda: np.zeros(5))
rng, over = np.random.default_rng(0), False
observation, info = env.reset(seed=0)
while not over:
    before = state(observation)
    action = int(rng.integers(5) if rng.random() < 0.2 else values[before].argmax())
    observation, reward, over, cut, info = env.step(action)
    ahead = 0.0 if over else 0.95 * values[state(observation)].max()  # nothing comes after the last day
    values[before][action] += 0.1 * (float(reward) + ahead - values[before][action])
print("updated", len(values), "of 4 states, last day", info["date"])

# %% [markdown]
# ## stable-baselines3
#
# `EtfVecEnv` hands over many accounts, all stepped by one compiled kernel; a single environment works as well, as in
# `PPO("MultiInputPolicy", env)`. The 128 transitions of `learn` are there to show the call: a toy, not a training.

# %%
mode: dict[str, Any] = {"vectorization_mode": "vector_entry_point", "autoreset_mode": "SameStep"}
accounts = EtfVecEnv(gym.make_vec("etfgym/EtfTrading-v0", num_envs=4, observe_account=True, **mode))
ppo = PPO("MultiInputPolicy", accounts, n_steps=32, seed=0, device="cpu").learn(128)
actions, memory = ppo.predict(accounts.reset(), deterministic=True)  # type: ignore[arg-type]
print(ppo.num_timesteps, "transitions; an action for each account:", actions.shape)

# %% [markdown]
# ## An agent from a result folder
#
# Every agent has stable-baselines3's `predict`, ours and theirs. Here is one that a result folder kept, asked once a
# day in a plain loop. Nothing in the folder is executed: weights are safetensors, settings JSON.

# %%
known = learner(agent)
policy = known.module.load(Path(backtests.__file__).parents[1] / folder / "agents" / agent)
env = gym.make("etfgym/EtfTrading-v0", **year, **known.environment)
observation, info = env.reset(seed=0)
orders, memory, over = [], None, False
while not over:
    action, memory = policy.predict(observation, state=memory, deterministic=True)
    observation, reward, over, cut, info = env.step(int(action))
    orders.append(info["requested"])
pd.Series(orders, name="days").value_counts().rename_axis("units ordered").to_frame().T

# %% [markdown]
# ## Tianshou
#
# **Not run here**: Tianshou is no dependency of ours. The code below ran once with Tianshou 2.0.1 beside Gymnasium
# 1.4.0, NumPy 2.4.6 and torch 2.13.0, in an environment of its own, as Tianshou wants pandas below 3 and
# `constraints.txt` has a later one (etfgym itself takes pandas from 2.2). The 400 transitions show the calls, no more.
#
# ```python
# import etfgym, gymnasium as gym
# from tianshou.algorithm import DQN
# from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
# from tianshou.algorithm.optim import AdamOptimizerFactory
# from tianshou.data import Collector, VectorReplayBuffer
# from tianshou.env import DummyVectorEnv
# from tianshou.trainer import OffPolicyTrainerParams
# from tianshou.utils.net.common import Net
#
# env = gym.make("etfgym/EtfTrading-v0")
# envs = DummyVectorEnv([lambda: gym.make("etfgym/EtfTrading-v0") for _ in range(4)])
# net = Net(state_shape=env.observation_space.shape, action_shape=env.action_space.n, hidden_sizes=[64])
# policy = DiscreteQLearningPolicy(model=net, action_space=env.action_space, eps_training=0.1)
# dqn = DQN(policy=policy, optim=AdamOptimizerFactory(lr=1e-3), gamma=0.95, target_update_freq=100)
# collector = Collector(dqn, envs, VectorReplayBuffer(1_000, 4))
# collector.reset()
# dqn.run_training(
#     OffPolicyTrainerParams(
#         training_collector=collector,
#         max_epochs=1,
#         epoch_num_steps=400,
#         collection_step_num_env_steps=40,
#         update_step_num_gradient_steps_per_sample=0.1,
#     )
# )
# ```
