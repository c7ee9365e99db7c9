"""The discriminative score: how well a network that was told which windows are real can tell it of others.

Yoon, Jarrett and van der Schaar (2019), "Time-series Generative Adversarial Networks", NeurIPS 32: train a classifier
to tell real windows from generated ones, and report abs(accuracy - 0.5) on windows held out: 0 if it never can, 0.5 if
it always can. As there, it is a GRU of two layers.

A resampled path consists of real bars, so a careless split tells the classifier about its test: a bar it has learnt
to call generated turns up as a real one, and the score drops below chance. So the history is cut into years, half of
them drawn for training and half for the test, and the world is fitted on each half anew. What the classifier is tested
on, real and generated, comes from years of which it has seen no bar, either way; to do well it must have learnt what
the world does to a market, not what happened. No real window reaches over a cut.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from etfgym.worlds.history import YEAR, Floats, History, day_columns, windows_of

HIDDEN = 32
EPOCHS = 10
BATCH = 128

Fit = Callable[[History], Callable[[np.random.Generator, int], Floats]]
"""From a history to what draws steps (tickers, bars, 6)."""


def halves(days: int, rng: np.random.Generator) -> tuple[list[npt.NDArray[np.int64]], list[npt.NDArray[np.int64]]]:
    """Return the days of the years for training and of those for the test, each a list of years in order.

    Example:
        >>> train, test = halves(6 * 252, np.random.default_rng(0))
        >>> [int(year[0]) // 252 for year in train], [int(year[0]) // 252 for year in test]
        ([1, 4, 5], [0, 2, 3])
    """
    years = np.array_split(np.arange(days), max(2, round(days / YEAR)))
    chosen = rng.permutation(len(years)) < len(years) // 2
    return (
        [year for year, train in zip(years, chosen, strict=True) if train],
        [year for year, train in zip(years, chosen, strict=True) if not train],
    )


def discriminative_score(fit: Fit, history: History, seed: int) -> float:
    """Return the score of one split into halves, one path of each, and one training, all drawn with `seed`.

    Args:
        fit: Fits the world.
        history: Real steps.
        seed: Whole number.
    """
    rng = np.random.default_rng(seed)
    halved = []
    for years in halves(history.steps.shape[1], rng):
        real = np.concatenate([windows_of(day_columns(history.steps[:, year])) for year in years])
        part = history.part(np.concatenate(years))
        made = windows_of(day_columns(fit(part)(rng, part.steps.shape[1])))
        halved.append((real, made[rng.choice(len(made), len(real), replace=False)]))
    (real, made), (real_test, made_test) = halved
    return abs(accuracy(real, made, real_test, made_test, seed) - 0.5)


def accuracy(real: Floats, made: Floats, real_test: Floats, made_test: Floats, seed: int) -> float:
    """Return how many of the test's windows a GRU tells rightly after training on the others.

    Args:
        real: Shape (n, WINDOW, columns), like `made`, with as many windows.
        made: See there.
        real_test: Shape (m, WINDOW, columns), like `made_test`, with as many windows.
        made_test: See there.
        seed: Of weights and batches.
    """
    mean, spread = real.mean(axis=(0, 1)), real.std(axis=(0, 1)) + 1e-9

    def as_input(*windows: Floats) -> Tensor:
        return torch.as_tensor(((np.concatenate(windows) - mean) / spread).clip(-10, 10), dtype=torch.float32)

    x, y = as_input(real, made), torch.cat((torch.ones(len(real)), torch.zeros(len(made))))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Discriminator(real.shape[2])
        optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
        for _ in range(EPOCHS):
            for batch in torch.randperm(len(x)).split(BATCH):
                optimizer.zero_grad()
                nn.functional.binary_cross_entropy_with_logits(net(x[batch]), y[batch]).backward()
                optimizer.step()
    with torch.no_grad():
        said_real = net(as_input(real_test, made_test)) > 0
    truly = torch.arange(len(said_real)) < len(real_test)
    return float((said_real == truly).double().mean())


class Discriminator(nn.Module):
    """Windows (B, WINDOW, columns) to the logit (B,) of being real."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.read = nn.GRU(columns, HIDDEN, num_layers=2, batch_first=True)
        self.judge = nn.Linear(HIDDEN, 1)

    def forward(self, windows: Tensor) -> Tensor:
        """Return logits (B,)."""
        days, _ = self.read(windows)
        logits: Tensor = self.judge(days[:, -1]).squeeze(1)
        return logits
