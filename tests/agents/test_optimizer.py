"""Adam over a flat vector takes the steps that torch's takes."""

import pytest
import torch

from agents.optimizer import Adam


@pytest.mark.parametrize("max_norm", [0.5, 1e9])
def test_two_hundred_steps_are_those_of_torch_with_clipped_gradients(max_norm):
    torch.manual_seed(0)
    flat, gradient = torch.randn(500), torch.zeros(500)
    ours, parameter = Adam(flat, gradient), torch.nn.Parameter(flat.clone())
    theirs, clipped = torch.optim.Adam([parameter], lr=1e-2), 0
    for step in range(200):
        rate = 1e-2 * (1 - step / 400)
        drawn = torch.randn(500) * 10.0 ** (step % 4 - 3)  # some are longer than the norm, some shorter
        gradient.copy_(drawn)
        ours.step(rate, max_norm)
        parameter.grad = drawn.clone()
        clipped += float(torch.nn.utils.clip_grad_norm_([parameter], max_norm)) > max_norm
        theirs.param_groups[0]["lr"] = rate
        theirs.step()
        assert torch.allclose(flat, parameter.detach(), rtol=1e-5, atol=1e-6)
    assert clipped == (100 if max_norm < 1 else 0)
    assert ours.steps == 200
    assert torch.isfinite(flat).all()


def test_the_first_step_goes_one_learning_rate_against_the_gradients_sign():
    flat, gradient = torch.zeros(3), torch.tensor([2.0, -0.1, 0.0])
    Adam(flat, gradient).step(0.1, 100.0)  # m / sqrt(v) is the gradient's sign
    assert flat.tolist() == pytest.approx([-0.1, 0.1, 0.0])
