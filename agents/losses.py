"""The losses of Q-values and of quantiles."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


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
