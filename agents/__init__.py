"""etfgym learners: a convolutional DQN in PyTorch."""
