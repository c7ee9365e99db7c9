"""The environments: `EtfTradingEnv` (one account) and `EtfTradingVectorEnv` (many), on the same kernel."""
