"""One thread, as in a training; and the module of small decision processes."""

import importlib.util
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def mdp():
    spec = importlib.util.spec_from_file_location("mdp", Path(__file__).with_name("mdp.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
