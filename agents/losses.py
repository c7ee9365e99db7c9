"""What values are fitted to, and by which loss."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from agents.replay import Batch

Floats = npt.NDArray[np.float32]


def huber(values: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return each value's loss and error (target less value), both (B, K).

    For values, the Huber loss (Mnih et al. 2015, "error clipping"; torch's `smooth_l1_loss`). For quantiles, the
    quantile Huber loss, a sum over the N quantiles of means over the target's (Dabney et al. 2018, eq. 10).

    Args:
        values: Shape (B, K), or quantiles (B, K, N).
        targets: The same shape, or (B, K, N').

    Example:
        >>> huber(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.5, -3.0]]))[0].tolist()
        [[0.125, 2.5]]
    """
    if values.dim() == 2:
        return functional.smooth_l1_loss(values, targets, reduction="none"), (targets - values).detach()
    errors = targets[:, :, None, :] - values[..., None]  # (B, K, N, N')
    count = values.shape[2]
    levels = (torch.arange(count, device=values.device) + 0.5) / count
    weights = (levels[:, None] - (errors.detach() < 0).float()).abs()
    losses = weights * functional.smooth_l1_loss(errors, torch.zeros_like(errors), reduction="none")
    return losses.mean(dim=3).sum(dim=2), errors.detach().mean(dim=(2, 3))


def bootstrap(values: Tensor, choosers: Tensor, batch: Batch, scale: float) -> Tensor:
    """Return r + gamma^k Q(s', a'), where a' is the best allowed action, shape (B, K), or of quantiles (B, K, N).

    Args:
        values: Of the target network: of what follows (B, actions), or follows each action (B, K, actions); of
            quantiles one axis more.
        choosers: Of the network that chooses a', the same shape.
        batch: Rewards (B, K), discounts and masks.
        scale: Of the rewards.
    """
    quantiles = values.dim() > (2 if batch.next_rests is None else 3)
    if batch.next_rests is None:
        values, choosers = values[:, None], choosers[:, None]
    if values.device.type == "cpu" and not quantiles:
        masks = np.ones((0, 1, 1), np.bool_) if batch.next_masks is None else batch.next_masks.numpy()
        parts = values.numpy(), choosers.numpy(), masks, batch.rewards.numpy(), batch.discounts.numpy()
        return torch.from_numpy(_bootstrap(*parts, np.float32(scale)))
    shape = (*batch.rewards.shape, *values.shape[2:])
    means = (choosers.mean(dim=-1) if quantiles else choosers).expand(shape[:3])
    if batch.next_masks is not None:
        means = means.masked_fill(~batch.next_masks, -torch.inf)
    best = means.argmax(dim=2, keepdim=True)
    rewards, discounts = scale * batch.rewards, batch.discounts
    if quantiles:
        best = best[..., None].expand(*best.shape, shape[3])
        rewards, discounts = rewards[..., None], discounts[..., None]
    return rewards + discounts * values.expand(shape).gather(2, best).squeeze(2)


@numba.njit(cache=True)
def _bootstrap(
    values: Floats, choosers: Floats, masks: npt.NDArray[np.bool_], rewards: Floats, discounts: Floats, scale: Any
) -> Floats:
    """The same in one loop: on batches this small, each of torch's ten calls takes longer than this."""
    targets = np.empty_like(rewards)
    for i in range(rewards.shape[0]):
        for k in range(rewards.shape[1]):
            follows = k % values.shape[1]
            best, highest = 0, np.float32(-np.inf)
            for action in range(values.shape[2]):
                allowed = masks.shape[0] == 0 or masks[i, k, action]
                if allowed and choosers[i, follows, action] > highest:
                    best, highest = action, choosers[i, follows, action]
            targets[i, k] = scale * rewards[i, k] + discounts[i, 0] * values[i, follows, best]
    return targets
