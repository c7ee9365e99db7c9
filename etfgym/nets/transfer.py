"""transfer: pre-trained weights into an agent that is already made, ours or stable-baselines3's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from etfgym.nets import build, files
from etfgym.nets.torso import Torso


def transfer(agent: Any, weights: Path | str | Mapping[str, Tensor], *, freeze: bool = False) -> None:
    """Put a torso's weights and scaler into an agent, its target network too, after it is made.

    After, because PPO and A2C draw orthogonal weights (`ortho_init=True`) for every dense layer at the end of their
    constructors, also for those that came with weights of their own.

    Args:
        agent: An `agents.dqn.DQN` or a stable-baselines3 model with a `WindowExtractor`.
        weights: A folder that `etfgym.nets.files.save(folder, "torso", ...)` wrote, or a torso's `state_dict()`.
        freeze: Keep weights and scaler as they are, to the bit, whatever the agent learns. Our DQN stays frozen when
            it is saved, loaded and resumed; of a stable-baselines3 model only the weights come back, so that one that
            is to learn on has to be given them, and frozen, again.

    Raises:
        ValueError: If the agent has no torso, or one of another form, naming where they differ.

    Example:
        >>> from stable_baselines3 import A2C
        >>> from etfgym.envs.etf import EtfTradingEnv
        >>> from etfgym.nets.extractor import WindowExtractor
        >>> spec = {"net": "dnn", "features": 16}
        >>> kwargs = {"features_extractor_class": WindowExtractor, "features_extractor_kwargs": {"torso": spec}}
        >>> model, trained = A2C("MlpPolicy", EtfTradingEnv(), policy_kwargs=kwargs, device="cpu"), build(spec)
        >>> transfer(model, trained.state_dict())
        >>> bool((model.policy.features_extractor.torso.layers[0].weight == trained.layers[0].weight).all())
        True
    """
    # A model of stable-baselines3 has its networks in `policy`; our DQN speaks for all of its own.
    parts = agent.policy.modules() if hasattr(agent, "policy") else [agent]
    adopters = [part for part in parts if hasattr(part, "adopt") and isinstance(part.torso, Torso)]
    if not adopters:
        msg = (
            f"this {type(agent).__name__} has no torso to take weights over; let it observe windows (W, F), and make a "
            f"stable-baselines3 model with features_extractor_class=WindowExtractor"
        )
        raise ValueError(msg)
    spec = None
    if not isinstance(weights, Mapping):
        with files.refusing(Path(weights), "torso"):
            weights, settings = files.load(Path(weights), "torso")
            spec = build(settings["torso"]).spec
    for adopter in adopters:
        torso = adopter.torso
        if spec is not None:
            _compare(torso.spec, spec | {"dropout": torso.dropout.p})  # an agent's torso drops nothing out
        _compare(_shapes(torso.state_dict()), _shapes(weights))
    for adopter in adopters:
        adopter.adopt(weights, freeze=freeze)


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(part.shape) for name, part in weights.items()}


def _compare(wanted: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise ValueError, naming every key in which they differ, unless they are equal."""
    keys = [key for key in {**wanted, **given} if wanted.get(key) != given.get(key)]
    if keys:
        differences = ", ".join(f"{key} {given.get(key)} for {wanted.get(key)}" for key in keys)
        msg = f"the weights are of another torso than the agent's ({differences}); make the agent with the torso's spec"
        raise ValueError(msg)
