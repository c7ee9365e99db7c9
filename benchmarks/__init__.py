"""Speed and quality side by side with the peers: one command each, such as `python -m benchmarks.dqn`."""
