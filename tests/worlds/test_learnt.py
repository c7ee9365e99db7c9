"""The learnt worlds, in their smallest form: they run, are seeded, and what can be checked exactly is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from etfgym import worlds
from etfgym.worlds.autoencoder import AutoencoderWorld
from etfgym.worlds.codes import Pca, Principal, Resampled, principal_components, reconstruction_loss
from etfgym.worlds.history import GAP, MOVE, PAID, STEPS, History, day_columns
from etfgym.worlds.vae import Vae
from etfgym.worlds.windows import Space, Windows
from etfgym.worlds.world import fit_history

TINY = {
    "pca": {"latent": 3},
    "autoencoder": {"latent": 3, "hidden": 8, "steps": 5},
    "vae": {"latent": 3, "hidden": 8, "steps": 5},
    "gan": {"latent": 3, "hidden": 8, "steps": 2},
}


@pytest.mark.parametrize("name", TINY)
def test_a_learnt_world_gives_valid_tables_without_dividends_the_same_for_the_same_seed(paying, name):
    torch_before = torch.random.get_rng_state()
    one, same = (worlds.fit(name, paying, seed=2, **TINY[name]).generate(5, 1050) for _ in range(2))
    assert [table.sha256 for table in one] == [table.sha256 for table in same]
    assert torch.equal(torch.random.get_rng_state(), torch_before)
    for table in one:
        assert len(table) == 1050
        assert np.array_equal(table.close, table.adj_close)
        assert not np.array_equal(
            one[0].close, worlds.fit(name, paying, seed=2, **TINY[name]).generate(6, 1050)[0].close
        )


@pytest.mark.parametrize("name", ["autoencoder", "vae", "gan"])
def test_another_training_seed_gives_another_world(paying, name):
    one, other = (worlds.fit(name, paying, seed=seed, **TINY[name]).generate(5, 300)[0] for seed in (1, 2))
    assert not np.array_equal(one.close, other.close)


def test_the_way_into_the_space_and_back_changes_nothing_but_where_dividends_stand(paying):
    steps = History.of(paying).steps[:, :1000]
    space = Space.of(steps)
    back = space.steps(space.windows(steps)[::20])
    assert back.shape == steps.shape
    assert np.allclose(day_columns(back), day_columns(steps), atol=1e-9)
    assert not back[:, :, PAID].any()


def test_the_space_is_white(history):
    days = Space.of(history.steps).windows(history.steps)[:, :10]
    assert days.mean(axis=0) == pytest.approx(0, abs=0.05)
    assert np.cov(days.T) == pytest.approx(np.eye(10), abs=0.05)


def test_what_was_never_seen_is_cut_to_what_was(history):
    space = Space.of(history.steps)
    far = space.steps(np.full((3, 200), 100.0))
    columns = day_columns(far)
    assert (columns <= space.most).all()
    assert (columns >= space.least).all()
    assert (far[:, :, MOVE + 1 : MOVE + 3] >= 0).all()


def test_principal_components_are_those_of_the_singular_value_decomposition():
    windows = np.random.default_rng(0).normal(size=(200, 30)) @ np.random.default_rng(1).normal(size=(30, 30))
    ours, spread = principal_components(windows, 4), windows - windows.mean(axis=0)
    left, sizes, axes = np.linalg.svd(spread, full_matrices=False)
    assert np.abs(np.sum(ours.axes * axes[:4], axis=1)) == pytest.approx(1)
    nearest = left[:, :4] * sizes[:4] @ axes[:4] + windows.mean(axis=0)  # of rank 4 (Eckart and Young 1936)
    assert np.allclose(ours.decode(ours.encode(windows)), nearest)


def test_reconstruction_loses_what_the_code_leaves_out():
    windows = np.random.default_rng(0).normal(size=(50, 4)) * [2, 1, 1, 1]
    windows -= windows.mean(axis=0)
    assert reconstruction_loss(principal_components(windows, 4), windows) == pytest.approx(0, abs=1e-12)
    values = np.linalg.eigvalsh(windows.T @ windows)
    assert reconstruction_loss(principal_components(windows, 1), windows) == pytest.approx(
        values[:3].sum() / values.sum()
    )


def test_drawn_codes_and_residuals_have_the_variance_of_the_real_windows():
    windows = np.random.default_rng(0).normal(size=(3000, 6)) @ np.random.default_rng(1).normal(size=(6, 6))
    coder = principal_components(windows, 3)
    drawn = Resampled.of(coder, windows).sample(np.random.default_rng(2), 30_000)
    assert drawn.mean(axis=0) == pytest.approx(windows.mean(axis=0), abs=0.1)
    assert np.cov(drawn.T) == pytest.approx(np.cov(windows.T), abs=0.25)


def test_a_window_is_drawn_with_a_code_and_a_residual_of_different_days():
    one_number = Principal(np.zeros(2), np.array([[1.0, 0.0]]))
    windows = np.array([[0.0, 5.0], [10.0, 7.0]])
    drawn = Resampled(one_number, windows[:, :1], windows * [0, 1], 0.0).sample(np.random.default_rng(0), 100)
    assert {tuple(pair) for pair in drawn.round(9).tolist()} == {(0, 5), (0, 7), (10, 5), (10, 7)}


def test_the_autoencoder_learns_what_lies_on_a_curve():
    place = np.random.default_rng(0).uniform(-1, 1, (2000, 1))
    windows = np.hstack([place, place**2 - 1 / 3])
    net = AutoencoderWorld(latent=1, hidden=16, steps=600).train(windows, seed=0)
    linear = reconstruction_loss(principal_components(windows, 1), windows)
    assert reconstruction_loss(net, windows) < linear / 3


def test_the_vae_bound_is_the_one_torch_gives():
    torch.manual_seed(0)
    net, windows = Vae(4, 8, 2), torch.randn(16, 4)
    torch.manual_seed(1)
    ours = net.loss(windows)
    torch.manual_seed(1)
    mean, log_spread = net.encoder(windows).chunk(2, dim=1)
    posterior = Normal(mean, log_spread.exp())
    centre, log_noise = net.decoder(mean + log_spread.exp() * torch.randn_like(mean)).chunk(2, dim=1)
    likelihood = Normal(centre, log_noise.clamp(-4, 2).exp()).log_prob(windows).sum(1) + 2 * np.log(2 * np.pi)
    bound = likelihood - kl_divergence(posterior, Normal(0.0, 1.0)).sum(1)
    assert ours.item() == pytest.approx(-bound.mean().item(), rel=1e-5)


def test_a_path_is_windows_one_after_the_other_cut_to_length(paying):
    space = Space.of(History.of(paying).steps)
    asked = []

    def sample(_, n):
        asked.append(n)
        return np.repeat(np.arange(n)[:, None] / 10, 200, axis=1)

    steps = Windows(space, sample, np.zeros((2, 1, 2))).draw(np.random.default_rng(0), 45)
    assert asked == [3]
    assert steps.shape == (2, 45, STEPS)
    assert np.array_equal(steps[:, :20], steps[:, [0] * 20])
    assert not np.array_equal(steps[:, 19], steps[:, 20])


def test_long_paths_have_the_mean_return_of_the_history(paying):
    for name in ("pca", "vae"):
        history = History.of(paying)
        made = fit_history(name, history, **TINY[name]).model.draw(np.random.default_rng(1), 100_000)
        deviation = made[:, :, MOVE].mean(axis=1) - history.total_returns.mean(axis=1)
        assert np.abs(deviation).max() < 5 * 0.01 / np.sqrt(60_000)  # of two samples, 100,000 and 200,000 days
        assert np.allclose(
            made[:, :, GAP].mean(axis=1), (history.steps[:, :, [GAP, PAID]].sum(axis=2)).mean(axis=1), atol=1e-4
        )


def test_settings_out_of_range_are_refused(paying):
    with pytest.raises(ValueError, match=r"^latent must be a whole number of at least 1, got 0$"):
        Pca(latent=0)
    with pytest.raises(ValueError, match=r"^steps must be a whole number of at least 1, got 0$"):
        worlds.fit("vae", paying, steps=0)
