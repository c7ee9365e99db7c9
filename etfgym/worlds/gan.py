"""The adversarial world, opt-in: a generator learns to fool a critic. It takes longest, and its path is its seed's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from etfgym.checks import whole_number
from etfgym.worlds.history import Floats, History
from etfgym.worlds.learning import BATCH, applied, batches, dense
from etfgym.worlds.windows import Windows, space_and_windows

CRITIC_STEPS = 3
RATE = 1e-3
PENALTY = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GanWorld:
    """A Wasserstein GAN with gradient penalty (Gulrajani et al. 2017).

    Dense networks want a rate ten times that paper's, and three steps of the critic for one of the generator do.
    """

    latent: int = 128
    """Normal numbers that a window is made of."""
    hidden: int = 128
    """Width of the two hidden layers on each side."""
    steps: int = 1000
    """Steps of the generator; each follows three of the critic, on batches of 256 windows."""

    def __post_init__(self) -> None:
        for name in ("latent", "hidden", "steps"):
            whole_number(name, getattr(self, name), 1)

    def fit(self, history: History, seed: int) -> Windows:
        """Return the model of `history`, trained with `seed`."""
        space, windows = space_and_windows(history)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            generator = dense(self.latent, self.hidden, self.hidden, windows.shape[1])
            self._train(generator, windows)

        def sample(rng: np.random.Generator, n: int) -> Floats:
            return applied(generator, rng.normal(size=(n, self.latent)))

        return Windows.of(space, sample, history)

    def _train(self, generator: nn.Module, windows: Floats) -> None:
        critic = dense(windows.shape[1], self.hidden, self.hidden, 1)
        to_fool = torch.optim.Adam(generator.parameters(), lr=RATE, betas=(0.0, 0.9))
        to_judge = torch.optim.Adam(critic.parameters(), lr=RATE, betas=(0.0, 0.9))
        for step, real in enumerate(batches(windows, self.steps * CRITIC_STEPS, "GAN")):
            made = generator(torch.randn(BATCH, self.latent))
            to_judge.zero_grad()
            _critic_loss(critic, real, made.detach()).backward()
            to_judge.step()
            if step % CRITIC_STEPS == CRITIC_STEPS - 1:
                to_fool.zero_grad()
                (-critic(made).mean()).backward()
                to_fool.step()


def _critic_loss(critic: nn.Module, real: Tensor, made: Tensor) -> Tensor:
    """Return how far the critic is from telling real from made with slope one everywhere between."""
    share = torch.rand(len(real), 1)
    between = (share * real + (1 - share) * made).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    loss: Tensor = critic(made).mean() - critic(real).mean() + PENALTY * ((slope.norm(dim=1) - 1) ** 2).mean()
    return loss
