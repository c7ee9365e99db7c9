"""The variational autoencoder's world: codes and noise have densities that are learnt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from etfgym.checks import whole_number
from etfgym.worlds.history import Floats, History
from etfgym.worlds.learning import applied, dense, minimise
from etfgym.worlds.windows import Windows, space_and_windows

NOISE = (-4.0, 2.0)
"""Bounds of the log of the decoder's standard deviation; windows have variance 1."""


class Vae(nn.Module):
    """Encoder to a normal code, decoder to normal windows of learnt mean and variance (Kingma and Welling 2014)."""

    def __init__(self, width: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.latent = latent
        self.encoder = dense(width, hidden, 2 * latent)
        self.decoder = dense(latent, hidden, 2 * width)

    def loss(self, windows: Tensor) -> Tensor:
        """Return minus the evidence lower bound of windows (B, D), a number, without constants."""
        mean, log_spread = self.encoder(windows).chunk(2, dim=1)
        code = mean + log_spread.exp() * torch.randn_like(mean)
        centre, log_noise = self.decoder(code).chunk(2, dim=1)
        log_noise = log_noise.clamp(*NOISE)
        surprise = (log_noise + 0.5 * ((windows - centre) / log_noise.exp()) ** 2).sum(dim=1)
        divergence = (0.5 * (mean**2 + (2 * log_spread).exp() - 1) - log_spread).sum(dim=1)
        bound: Tensor = (surprise + divergence).mean()
        return bound

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        """Return n windows (n, D): a code of the prior, and noise around what it decodes to."""
        centre, log_noise = np.split(applied(self.decoder, rng.normal(size=(n, self.latent))), 2, axis=1)
        return np.asarray(centre + np.exp(log_noise.clip(*NOISE)) * rng.normal(size=centre.shape))


@dataclass(frozen=True, slots=True, kw_only=True)
class VaeWorld:
    """How the VAE is made and trained."""

    latent: int = 16
    """Numbers in a code."""
    hidden: int = 128
    """Width of the one hidden layer on each side."""
    steps: int = 1000
    """Batches of 256 windows."""

    def __post_init__(self) -> None:
        for name in ("latent", "hidden", "steps"):
            whole_number(name, getattr(self, name), 1)

    def fit(self, history: History, seed: int) -> Windows:
        """Return the model of `history`, trained with `seed`."""
        space, windows = space_and_windows(history)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = Vae(windows.shape[1], self.hidden, self.latent)
            minimise(net, net.loss, windows, self.steps, "VAE")
        return Windows.of(space, net.sample, history)
