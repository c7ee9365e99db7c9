"""What a DQN expects of each action, evening by evening, while it trades."""

from __future__ import annotations

from typing import Any

import pandas as pd

from agents.dqn import DQN
from etfgym.envs.etf import EtfTradingEnv
from etfgym.prices import PriceTable
from etfgym.splits import Period


def watch(agent: DQN, table: PriceTable, period: Period, **keywords: Any) -> pd.DataFrame:
    """Trade `period` as `etfgym.backtest.backtest` does, and return what the agent saw in each action: a row a day.

    The index is the evening of the decision. Columns: `price`, the close; `invested`, the share of the account that is
    in units; one for each action, such as "buy 20", "hold", "sell 10", the discounted rewards expected from it on;
    `action`, the name of that which was chosen; then what came of it the next day: `filled`, units, and `equity`.

    Args:
        agent: Trained with these keywords.
        table: Prices, with at least a window before the period.
        period: From `etfgym.splits`.
        **keywords: Of the environment, see `etfgym.envs.settings.Settings`.
    """
    env = EtfTradingEnv(prices=table, start=period.eve, length=period.days, **keywords)
    names = [f"{'buy' if order > 0 else 'sell'} {abs(order)}" if order else "hold" for order in env.settings.orders]
    observation, info = env.reset(seed=0)  # ticker and start are fixed: nothing is left to chance
    days: list[dict[str, Any]] = []
    over = False
    while not over:
        action = int(agent.predict(observation, action_masks=info["action_mask"])[0])
        evening = {"date": info["date"], "price": info["price"], "invested": 1 - info["cash"] / info["equity"]}
        expected = dict(zip(names, agent.values(observation).tolist(), strict=True))
        observation, _, over, _, info = env.step(action)
        came = {"action": names[action], "filled": info["filled"], "equity": info["equity"]}
        days.append(evening | expected | came)
    return pd.DataFrame(days).set_index("date")
