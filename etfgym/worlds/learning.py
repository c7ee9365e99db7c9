"""What the learnt worlds share of torch: seeded training of small dense networks on windows, on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from tqdm import trange

from etfgym.worlds.history import Floats

BATCH = 256


def dense(*widths: int) -> nn.Sequential:
    """Return dense layers with ReLU between, from the first width to the last.

    Example:
        >>> dense(100, 64, 8)
        Sequential(
          (0): Linear(in_features=100, out_features=64, bias=True)
          (1): ReLU()
          (2): Linear(in_features=64, out_features=8, bias=True)
        )
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def batches(windows: Floats, steps: int, what: str) -> Iterator[Tensor]:
    """Yield `steps` batches of windows (B, D), float32, drawn with torch's generator; shows a progress bar."""
    data = torch.as_tensor(windows, dtype=torch.float32)
    for _ in trange(steps, desc=what, leave=False, disable=None):  # None: no bar where nobody watches
        yield data[torch.randint(len(data), (BATCH,))]


def minimise(net: nn.Module, loss: Callable[[Tensor], Tensor], windows: Floats, steps: int, what: str) -> None:
    """Take `steps` steps of AdamW (Loshchilov and Hutter 2019) on the loss of batches (B, D), the rate falling to 0."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for batch in batches(windows, steps, what):
        optimizer.zero_grad()
        loss(batch).backward()
        optimizer.step()
        schedule.step()


@torch.no_grad()
def applied(net: nn.Module, values: Floats) -> Floats:
    """Return what `net` makes of `values` (n, inputs): (n, outputs), float64."""
    outputs: Floats = net(torch.as_tensor(values, dtype=torch.float32)).double().numpy()
    return outputs
