"""What tests of the DQN share: small markets, what an agent's weights are, two replays filled from one loop."""

import numpy as np
import torch

from agents.dqn import DQN, DQNConfig
from agents.market_replay import MarketReplay
from agents.replay import Replay
from etfgym.envs.etf_vector import EtfTradingVectorEnv
from etfgym.ledger import Costs
from etfgym.prices import ADJ_CLOSE, PriceTable
from etfgym.sources.worlds import make_world

WINDOW = 5
SMALL = {"features": 16, "head": (16,), "learning_starts": 50, "batch_size": 16, "target_every": 20}
"""Settings under which something happens within 200 transitions."""


def paying_table(seed, ticker="TOY"):
    """Return 80 bars of a random walk that pays 1 % on every tenth day."""
    world = make_world("random-walk", seed, bars=80, min_bars=1)
    bars = world.bars.copy()
    bars[:, ADJ_CLOSE] *= 0.99 ** ((79 - np.arange(80)) // 10)
    return PriceTable(ticker, world.dates, bars, source="by hand", min_bars=1)


def market(num_envs=3, **keywords):
    """Return a small market of two tables with dividends, costs, and cash for few orders, so that masks say no."""
    settings = {
        "prices": [paying_table(1), paying_table(2, "TOO")],
        "window": WINDOW,
        "length": 12,
        "observe_account": True,
        "initial_cash": 9_000.0,
        "costs": Costs(commission=0.001, fixed_fee=1.0, slippage_bps=2.0),
    }
    return EtfTradingVectorEnv(num_envs, **(settings | keywords))


def weights(agent):
    """Return every number of the online and the target network, buffers included, one after the other."""
    networks = agent.online, agent.target
    return torch.cat([part.flatten().double() for network in networks for part in network.state_dict().values()])


class Both:
    """Passes on what the loop tells a replay to a MarketReplay and to a Replay of full copies."""

    def __init__(self, envs, capacity, **rings):
        self.num_envs = envs.num_envs
        size = int(np.prod([WINDOW, 6])) + 3 * envs.settings.observe_account
        self.market = MarketReplay(envs.accounts, capacity, **rings)
        self.copies = Replay(capacity, envs.num_envs, size, actions=envs.single_action_space.n, **rings)

    def begin(self, *arguments):
        self.market.begin(*arguments)
        self.copies.begin(*arguments)

    def add(self, *arguments):
        self.market.add(*arguments)
        self.copies.add(*arguments)


def fill_both(envs, transitions, capacity, **rings):
    """Return the replays that an agent with random actions has filled."""
    agent = DQN(envs.single_observation_space, envs.single_action_space.n, DQNConfig(learning_starts=10**9), 1)
    agent.replay = Both(envs, capacity, **rings)
    agent.learn(envs, transitions)
    return agent.replay
