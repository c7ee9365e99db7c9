"""The autoencoder's world: the code of `etfgym.worlds.codes`, made by a small network in place of a projection."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from etfgym.checks import whole_number
from etfgym.worlds.codes import Resampled
from etfgym.worlds.history import Floats, History
from etfgym.worlds.learning import applied, dense, minimise
from etfgym.worlds.windows import Windows, space_and_windows


class Autoencoder(nn.Module):
    """Two dense networks, from windows (n, D) to codes (n, latent) and back (Hinton and Salakhutdinov 2006)."""

    def __init__(self, width: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.encoder = dense(width, hidden, latent)
        self.decoder = dense(latent, hidden, width)

    def encode(self, windows: Floats) -> Floats:
        """Return codes (n, latent)."""
        return applied(self.encoder, windows)

    def decode(self, codes: Floats) -> Floats:
        """Return windows (n, D)."""
        return applied(self.decoder, codes)


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoencoderWorld:
    """How the autoencoder is made and trained: mean squared error of windows in `etfgym.worlds.windows.Space`."""

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
        return Windows.of(space, Resampled.of(self.train(windows, seed), windows).sample, history)

    def train(self, windows: Floats, seed: int) -> Autoencoder:
        """Return the autoencoder of windows (n, D)."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = Autoencoder(windows.shape[1], self.hidden, self.latent)
            minimise(
                net,
                lambda batch: nn.functional.mse_loss(net.decoder(net.encoder(batch)), batch),
                windows,
                self.steps,
                "autoencoder",
            )
        return net
