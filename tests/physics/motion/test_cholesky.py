import math

import torch
from torch import Tensor

from retrodict.physics.motion.cholesky import cholesky_2x2
from retrodict.physics.motion.mixtures import GaussianMixture


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def narrow_ellipses(count=200) -> tuple[Tensor, Tensor]:
    # s = 5 m and 0.035 m turned by any angle: rho up to 0.9999 in the fixed axes
    generator = seeded(3)
    angle = math.pi * torch.rand(count, generator=generator, dtype=torch.float64)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=-1).view(-1, 2, 2)
    std = torch.tensor([5.0, 0.035], dtype=torch.float64)
    matrix = (turn * std**2) @ turn.mT
    residual = (turn @ (std * torch.randn((count, 2), generator=generator, dtype=torch.float64)).unsqueeze(-1))[..., 0]
    return (0.5 * (matrix + matrix.mT)).float(), residual.float()


def test_single_precision_survives_narrow_turned_ellipses():
    covariance, residual = narrow_ellipses()
    rho = covariance[:, 0, 1] / (covariance[:, 0, 0] * covariance[:, 1, 1]).sqrt()
    assert rho.abs().max() > 0.9998
    wide = covariance.double()
    good = wide[:, 0, 0] * wide[:, 1, 1] - wide[:, 0, 1] ** 2 > 0.25 * 0.035**2 * 25  # rounding S itself moves det
    covariance, residual, wide = covariance[good], residual[good], wide[good]
    assert good.sum() > 150
    exact, short = cholesky_2x2(wide, 0.01), cholesky_2x2(covariance, 0.01)
    for one, other in zip(exact, short, strict=True):
        torch.testing.assert_close(other.double(), one, rtol=1e-6, atol=0)
    naive = covariance[:, 0, 0] * covariance[:, 1, 1] - covariance[:, 0, 1] ** 2
    true = wide[:, 0, 0] * wide[:, 1, 1] - wide[:, 0, 1] ** 2
    assert ((naive.double() - true) / true).abs().max() > 3e-4  # what the compensated product repairs
    losses = []
    for matrix, point in ((covariance, residual), (wide, residual.double())):
        zeros = torch.zeros((len(matrix), 1, 1, 2), dtype=matrix.dtype)
        mixture = GaussianMixture(zeros[:, :, 0, 0], zeros, matrix.view(-1, 1, 1, 2, 2), noise=0.01)
        losses.append(mixture.nll_joint(point.unsqueeze(-2)).double())
    assert (losses[0] - losses[1]).abs().max() < 5e-5
    assert (losses[0] - losses[1]).abs().mean() < 5e-6
