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
# # Three lives of a torso
#
# A torso turns the last 20 days (20 x 6 numbers) into features. The same DNN, CNN and RNN live as a supervised model,
# as the lower part of our DQN, and inside a model of stable-baselines3; `transfer` carries weights from the first life
# to the others.
#
# Everything is tiny here, to run in seconds. The losses are toy figures, in sample, and nothing below says anything
# about how well an agent trades; `python -m backtests.pretraining` asks that, out of sample and with its doubt.

# %%
# ruff: noqa: D100, ERA001, RUF100 (a notebook)
from typing import Any

import torch
from stable_baselines3 import PPO

from agents.dqn import DQN
from agents.settings import DQNConfig
from etfgym.envs.etf_vector import EtfTradingVectorEnv
from etfgym.nets.extractor import WindowExtractor
from etfgym.nets.headed import Headed
from etfgym.nets.transfer import transfer
from etfgym.sb3 import EtfVecEnv
from etfgym.sources import load
from etfgym.tasks.fit import Examples, Fitting, fit
from etfgym.tasks.windows import Dataset, overnight, split_by_years

torch.set_num_threads(1)
SPECS: dict[str, dict[str, Any]] = {
    "DNN": {"net": "dnn", "hidden": [32], "features": 16},
    "CNN": {"net": "cnn", "channels": 8, "features": 16},
    "RNN": {"net": "rnn", "cell": "gru", "hidden": 16, "features": 16},
}

# %% [markdown]
# ## First life: supervised
#
# A head of one output tells the next open, in multiples of the window's volatility. The scaler of its input is a part
# of the torso.


# %%
def examples(part: Dataset, every: int = 10) -> Examples:
    """Return every tenth window and what followed it."""
    told = torch.from_numpy(part.follows / part.volatility[:, None]).float()
    return Examples((torch.from_numpy(part.windows[::every]),), told[::every])


learnt, chosen, _ = map(examples, split_by_years(Dataset.of(load("builtin"), 20, overnight), 2, 3))
torsos = {}
for name, spec in SPECS.items():
    torch.manual_seed(0)
    model = Headed(spec, outputs=1)
    model.torso.fit_scaler(learnt.inputs[0])
    history = fit(model, learnt, chosen, torch.nn.functional.mse_loss, Fitting(epochs=3), seed=0)
    torsos[name] = model.torso
    losses = ", ".join(f"{loss:.3f}" for loss in history.train_losses)
    print(f"{name}: windows {tuple(learnt.inputs[0].shape)}, training loss epoch by epoch {losses}")

# %% [markdown]
# ## Second life: our DQN
#
# The account (units, cash, time left) joins after the torso. Frozen, the torso stays what it was, to the bit, while the
# layers above it learn.

# %%
for name, torso in torsos.items():
    envs = EtfTradingVectorEnv(4, observe_account=True)
    agent = DQN(envs.single_observation_space, 5, DQNConfig(torso=SPECS[name], features=16, learning_starts=100))
    transfer(agent, torso.state_dict(), freeze=True)
    agent.learn(envs, 300)
    now = agent.online.state_dict()
    stayed = all(torch.equal(now[f"torso.{part}"], given) for part, given in torso.state_dict().items())
    print(f"{name}: {agent.updates} updates of {agent.online.flat.numel():,} parameters, torso as it was: {stayed}")

# %% [markdown]
# ## Third life: stable-baselines3
#
# A `WindowExtractor` is made from the spec. The weights come after the model is made: PPO overwrites what a constructor
# is handed. Free, the torso learns on.

# %%
for name, torso in torsos.items():
    accounts = EtfVecEnv(EtfTradingVectorEnv(4, observe_account=True, autoreset_mode="SameStep"))
    extractor = {"features_extractor_class": WindowExtractor, "features_extractor_kwargs": {"torso": SPECS[name]}}
    ppo = PPO("MultiInputPolicy", accounts, n_steps=32, seed=0, device="cpu", policy_kwargs=extractor)
    transfer(ppo, torso.state_dict())
    ppo.learn(128)
    learned = ppo.policy.get_submodule("features_extractor.torso")
    pairs = zip(learned.parameters(), torso.parameters(), strict=True)
    moved = max(float((mine - given).abs().max().detach()) for mine, given in pairs)
    print(f"{name}: {ppo.num_timesteps} transitions, no weight of the torso moved more than {moved:.3f}")
