"""Neural networks, pure torch: torsos that turn windows (B, W, F) into features (B, D), and what they grow into."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from etfgym.checks import one_of
from etfgym.nets.cnn import CNN
from etfgym.nets.dnn import DNN
from etfgym.nets.rnn import RNN
from etfgym.nets.torso import Torso

TORSOS: dict[str, type[Torso]] = {"dnn": DNN, "cnn": CNN, "rnn": RNN}


def build(spec: Mapping[str, Any]) -> Torso:
    """Return the torso of a spec, such as `Torso.spec` gives; what a spec leaves out has its default.

    Args:
        spec: "net", one of "dnn", "cnn" and "rnn", and that class's arguments.

    Raises:
        ValueError: If a key is unknown, naming the nearest, or a value wrong.

    Example:
        >>> build({"net": "rnn", "cell": "gru", "features": 32}).spec["hidden"]
        64
        >>> build({"net": "cnn", "kernal": 5})
        Traceback (most recent call last):
        ValueError: key of a cnn must be one of ..., got 'kernal' (did you mean 'kernel'?)
    """
    net = one_of("net", spec.get("net"), TORSOS)
    known = inspect.signature(TORSOS[net]).parameters
    return TORSOS[net](**{one_of(f"key of a {net}", key, known): spec[key] for key in spec if key != "net"})
