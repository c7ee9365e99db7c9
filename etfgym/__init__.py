"""etfgym: a Gymnasium environment for trading one ETF, with dividends, honest baselines and out-of-sample reports."""

from gymnasium.envs.registration import register

__version__ = "0.1.0"

register(
    id="etfgym/EtfTrading-v0",
    entry_point="etfgym.envs.etf:EtfTradingEnv",
    vector_entry_point="etfgym.envs.etf_vector:EtfTradingVectorEnv",
)
