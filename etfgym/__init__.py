"""etfgym: a Gymnasium environment for trading one ETF, with dividends, honest baselines and out-of-sample reports."""

from gymnasium.envs.registration import register

__version__ = "0.1.0"

register(
    id="etfgym/EtfTrading-v0",
    entry_point="etfgym.envs.etf:EtfTradingEnv",
    vector_entry_point="etfgym.envs.etf_vector:EtfTradingVectorEnv",
)
register(
    id="etfgym/Breakout-v0",
    entry_point="etfgym.envs.atari:AtariEnv",
    vector_entry_point="etfgym.envs.atari:AtariVectorEnv",
)
register(
    id="etfgym/Paddle-v0",
    entry_point="etfgym.envs.paddle:PaddleEnv",
    vector_entry_point="etfgym.envs.paddle:PaddleVectorEnv",
)
