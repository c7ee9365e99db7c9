"""Small models of stable-baselines3 and sb3-contrib on a small market, each with a torso."""

from learners import WINDOW, market
from sb3_contrib import QRDQN, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO

from etfgym.nets.extractor import WindowExtractor
from etfgym.sb3 import EtfVecEnv

TORSOS = {
    "dnn": {"net": "dnn", "hidden": [8]},
    "cnn": {"net": "cnn", "channels": 4},
    "simple": {"net": "rnn", "cell": "simple", "hidden": 8},
    "lstm": {"net": "rnn", "cell": "lstm", "hidden": 8},
    "gru": {"net": "rnn", "cell": "gru", "hidden": 8},
}
OFF_POLICY = {"learning_starts": 8, "buffer_size": 100, "batch_size": 8, "train_freq": 2, "target_update_interval": 4}
ON_POLICY = {"n_steps": 8, "batch_size": 8, "n_epochs": 2}
ALGORITHMS = {
    "DQN": (DQN, OFF_POLICY | {"tau": 0.1}),
    "QRDQN": (QRDQN, OFF_POLICY | {"tau": 0.1}),
    "PPO": (PPO, ON_POLICY),
    "A2C": (A2C, {"n_steps": 4}),
    "RecurrentPPO": (RecurrentPPO, ON_POLICY),
}
STEPS = 32
"""After as many transitions, each algorithm has learned several times."""


def spec_of(torso):
    """Return the spec, from `TORSOS`, of a torso for the small market, with 6 features; few ReLUs may all be dead."""
    return {"window": WINDOW, "columns": 6, "features": 6, "activation": "tanh"} | TORSOS[torso]


def model_of(algorithm, torso="dnn", *, account=True, extractor=WindowExtractor, seed=0, settings=None, **policy):
    """Return a model on two accounts; `policy` goes into `policy_kwargs`."""
    make, defaults = ALGORITHMS[algorithm]
    kind = ("MultiInput" if account else "Mlp") + ("LstmPolicy" if algorithm == "RecurrentPPO" else "Policy")
    kwargs = {"features_extractor_class": extractor, "features_extractor_kwargs": {"torso": spec_of(torso)}}
    kwargs |= {"net_arch": [8]} | ({"lstm_hidden_size": 8} if algorithm == "RecurrentPPO" else {}) | policy
    envs = EtfVecEnv(market(2, autoreset_mode="SameStep", observe_account=account))
    return make(kind, envs, policy_kwargs=kwargs, seed=seed, device="cpu", **(defaults | (settings or {})))


def torsos_of(model):
    """Return every torso of a model, each once, a target network's too."""
    return [module.torso for module in model.policy.modules() if isinstance(module, WindowExtractor)]
