"""WindowExtractor: a torso's life inside a stable-baselines3 model; needs the extra `sb3`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from etfgym.nets import build


class WindowExtractor(BaseFeaturesExtractor):
    """Turn observations into features: a torso's of the window (B, D), then the account as it is.

    It is made from a spec: stable-baselines3 makes several extractors from the same keywords, a target network's for
    one, and a live module would be shared by them. The torso's scaler leaves windows as they are until `fit_scaler` or
    `etfgym.nets.transfer.transfer` sets it. Dropout is off: an agent's values are no matter of chance.

    Args:
        observation_space: A Box (W, F), or a Dict of `window` (W, F) and `account` (A,).
        torso: Spec, see `etfgym.nets.build`; window and columns follow from the space.

    Raises:
        ValueError: If the space is another, or the torso a live module.

    Example:
        >>> from stable_baselines3 import PPO
        >>> from etfgym.envs.etf import EtfTradingEnv
        >>> torso = {"net": "rnn", "cell": "gru", "features": 32}
        >>> kwargs = {"features_extractor_class": WindowExtractor, "features_extractor_kwargs": {"torso": torso}}
        >>> model = PPO("MultiInputPolicy", EtfTradingEnv(observe_account=True), policy_kwargs=kwargs, device="cpu")
        >>> model.policy.features_dim
        35
    """

    def __init__(self, observation_space: spaces.Space[Any], torso: Mapping[str, Any]) -> None:
        if isinstance(torso, nn.Module):
            msg = "torso is a spec such as {'net': 'cnn'}, never a live module: stable-baselines3 makes several of it"
            raise ValueError(msg)  # noqa: TRY004 (one kind of error for every wrong setting)
        days, columns, account = _sizes(observation_space)
        made = build({**torso, "window": days, "columns": columns})
        super().__init__(observation_space, made.features + account)
        self.torso = made
        self.train()

    def forward(self, observations: Tensor | dict[str, Tensor]) -> Tensor:
        """Return features (B, D), or with an account (B, D + A)."""
        if isinstance(observations, Tensor):
            return self.torso(observations)  # type: ignore[no-any-return]
        return torch.cat((self.torso(observations["window"]), observations["account"]), dim=1)

    def train(self, mode: bool = True) -> Self:
        """See torch; dropout stays off."""
        super().train(mode)
        self.torso.dropout.eval()
        return self

    def adopt(self, weights: Mapping[str, Tensor], *, freeze: bool) -> None:
        """Take a torso's weights and scaler over; see `etfgym.nets.transfer`.

        Frozen weights become buffers: neither an optimiser nor the slow average of a target network, which changes the
        last bit even where both sides are equal, touches what is no parameter.

        Raises:
            ValueError: If the torso is frozen and is not to stay so.
        """
        if not (freeze or any(True for _ in self.torso.parameters())):
            msg = "the torso of this model is frozen, and its optimiser has lost it; make a new model to train it"
            raise ValueError(msg)
        self.torso.load_state_dict(weights)
        if freeze:
            for module in self.torso.modules():
                for name, weight in list(module.named_parameters(recurse=False)):
                    delattr(module, name)
                    module.register_buffer(name, weight.detach())


def fit_scaler(model: BaseAlgorithm, windows: Tensor) -> None:
    """Fit the scaler of every `WindowExtractor` of a model, those of target networks too, to windows (N, W, F)."""
    for module in model.policy.modules():
        if isinstance(module, WindowExtractor):
            module.torso.fit_scaler(windows)


def _sizes(space: spaces.Space[Any]) -> tuple[int, int, int]:
    """Return W, F and A of an observation."""
    parts = dict(space) if isinstance(space, spaces.Dict) else {"window": space, "account": spaces.Box(0, 1, (0,))}
    match {name: part.shape for name, part in parts.items() if isinstance(part, spaces.Box)}:
        case {"window": (days, columns), "account": (account,)} if len(parts) == 2:
            return days, columns, account
    msg = f"a WindowExtractor takes a Box (W, F), or a Dict of window (W, F) and account (A,), got {space}"
    raise ValueError(msg)
