"""Worlds of codes: windows squeezed through a few numbers, by principal components or by an autoencoder.

Both make new windows in one way: a code is drawn from a kernel density estimate of the real codes and decoded, and the
residual of a real window, drawn independently, is added: without it a path would be far too smooth, as a code of
a few numbers leaves most of the noise out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from etfgym.checks import whole_number
from etfgym.worlds.history import Floats, History
from etfgym.worlds.windows import Windows, space_and_windows


class Coder(Protocol):
    """Turns windows (n, D) into codes (n, latent) and back."""

    def encode(self, windows: Floats) -> Floats:
        """Return codes."""
        ...

    def decode(self, codes: Floats) -> Floats:
        """Return windows."""
        ...


@dataclass(frozen=True, eq=False)
class Principal:
    """Codes are the first principal components; `mean` (D,), `axes` (latent, D) with orthonormal rows."""

    mean: Floats
    axes: Floats

    def encode(self, windows: Floats) -> Floats:
        """Return codes (n, latent)."""
        return np.asarray((windows - self.mean) @ self.axes.T)

    def decode(self, codes: Floats) -> Floats:
        """Return windows (n, D)."""
        return np.asarray(codes @ self.axes + self.mean)


def principal_components(windows: Floats, latent: int) -> Principal:
    """Return the linear code of this width that loses least of `windows` (n, D) (Pearson 1901).

    Example:
        >>> line = np.outer(np.arange(5.0), [3.0, 4.0])
        >>> principal_components(line, 1).axes.round(1) ** 2
        array([[0.36, 0.64]])
    """
    mean = windows.mean(axis=0)
    spread = windows - mean
    _, vectors = np.linalg.eigh(spread.T @ spread)  # of the smaller matrix: far faster than the windows' own SVD
    return Principal(mean, vectors.T[::-1][:latent])


@dataclass(frozen=True, slots=True, kw_only=True)
class Pca:
    """The world of principal components, linear; it stands beside the autoencoder."""

    latent: int = 16
    """Numbers in a code."""

    def __post_init__(self) -> None:
        whole_number("latent", self.latent, 1)

    def fit(self, history: History, seed: int) -> Windows:
        """Return the model of `history`; nothing is left to the seed."""
        del seed
        space, windows = space_and_windows(history)
        return Windows.of(space, Resampled.of(principal_components(windows, self.latent), windows).sample, history)


@dataclass(frozen=True, eq=False)
class Resampled:
    """Decoded draws of codes (n, latent) plus draws of residuals (n, D)."""

    coder: Coder
    codes: Floats
    residuals: Floats
    bandwidth: float

    @classmethod
    def of(cls, coder: Coder, windows: Floats) -> Resampled:
        """Return what a coder makes of real windows (n, D).

        The kernel is normal, in each direction as wide as Scott's (1992) rule says: std * n^(-1 / (latent + 4)). Draws
        are then pulled to the mean, so that their variance is that of the codes (Silverman 1986).
        """
        codes = coder.encode(windows)
        bandwidth = float(len(codes) ** (-1 / (codes.shape[1] + 4)))
        return cls(coder, codes, windows - coder.decode(codes), bandwidth)

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        """Return n windows (n, D)."""
        mean, spread = self.codes.mean(axis=0), self.codes.std(axis=0)
        chosen, residual = rng.integers(len(self.codes), size=(2, n))
        noise = self.bandwidth * spread * rng.normal(size=(n, self.codes.shape[1]))
        drawn = mean + (self.codes[chosen] - mean + noise) / np.sqrt(1 + self.bandwidth**2)
        return np.asarray(self.coder.decode(drawn) + self.residuals[residual])


def reconstruction_loss(coder: Coder, windows: Floats) -> float:
    """Return the share of the variance of `windows` (n, D) about zero that coding loses: 0 nothing, 1 all."""
    return float(((windows - coder.decode(coder.encode(windows))) ** 2).mean() / (windows**2).mean())
