"""Probability integral transforms of Gaussian mixtures: uniform if the forecast is the truth.

Arguments are those of `retrodict.physics.motion.mixtures.GaussianMixture`: ``target`` of shape (..., T, 2) in m and an
optional boolean ``mask`` of shape (..., T), True where a step counts; masked steps yield zero. Wrong input raises as
there.
"""

import torch
from torch import Tensor

from retrodict.physics.errors import SpaceError, expected
from retrodict.physics.motion.cholesky import whiten_2x2
from retrodict.physics.motion.masks import checked_mask
from retrodict.physics.motion.mixtures import GaussianMixture

__all__ = ["content_pit", "coordinate_pit", "radius_pit"]


def coordinate_pit(mixture: GaussianMixture, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Cumulative probability of each coordinate, shape (..., T, 2).

    Examples
    --------
    >>> mixture = GaussianMixture(torch.zeros(1), torch.zeros(1, 1, 2), torch.eye(2).expand(1, 1, 2, 2))
    >>> coordinate_pit(mixture, torch.tensor([[0.0, 1.96]]))
    tensor([[0.5000, 0.9750]])
    """
    residual, mask = mixture.residuals(target, mask)
    std = torch.sqrt(torch.diagonal(mixture.covariance, dim1=-2, dim2=-1) + mixture.noise**2)
    weights = mixture.log_weights.exp()[..., None, None]
    return torch.where(mask.unsqueeze(-1), (weights * torch.special.ndtr(residual / std)).sum(-3), 0.0)


def radius_pit(mixture: GaussianMixture, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Probability inside each mode's ellipse through the target, 1 - exp(-d^2 / 2), shape (..., K, T).

    d is the Mahalanobis distance; d^2 is chi-squared with two degrees of freedom if the mode is the truth.

    Examples
    --------
    >>> mixture = GaussianMixture(torch.zeros(1), torch.zeros(1, 1, 2), torch.eye(2).expand(1, 1, 2, 2))
    >>> radius_pit(mixture, torch.tensor([[2.0 * torch.tensor(10.0).log(), 0.0]]).sqrt())
    tensor([[0.9000]])
    """
    residual, mask = mixture.residuals(target, mask)
    squared, _ = whiten_2x2(residual, mixture.covariance, mixture.noise)
    return torch.where(mask.unsqueeze(-2), -torch.expm1(-0.5 * squared), 0.0)


def content_pit(
    mixture: GaussianMixture,
    target: Tensor,
    generator: torch.Generator,
    mask: Tensor | None = None,
    count: int = 1000,
    joint: bool = False,
) -> Tensor:
    """Probability content of the highest-density region that ends at the target, by sampling, without gradient.

    Per step, shape (..., T), or of whole trajectories if `joint`, shape (...); the target has the mixture's batch
    shape. Randomised rank of the target's density among `count` samples (regions: Hyndman, Am. Stat. 50, 1996):
    exactly uniform for any count if the mixture is the truth; standard error at most 1 / (2 sqrt(count)).

    Examples
    --------
    >>> mixture = GaussianMixture(torch.zeros(1), torch.zeros(1, 1, 2), torch.eye(2).expand(1, 1, 2, 2))
    >>> pit = content_pit(mixture, torch.tensor([[1.1774, 0.0]]), torch.Generator().manual_seed(1))
    >>> abs(float(pit) - 0.5) < 0.05
    True
    """
    if target.ndim != mixture.mean.ndim - 1:
        raise SpaceError(expected("target", tuple(target.shape), "the mixture's batch shape, no sample dimension"))
    kept = checked_mask(mask, target.shape[:-1], target)
    nll = mixture.nll_joint if joint else mixture.nll_per_step
    with torch.no_grad():
        level = nll(target, kept)
        rank = torch.rand(level.shape, generator=generator, dtype=level.dtype, device=level.device)
        for start in range(0, count, 64):  # in parts: count x K x T densities at once would not fit
            drawn = mixture.sample(min(64, count - start), generator)
            rank += (nll(drawn, kept.expand(drawn.shape[:-1])) < level).sum(0)
    return torch.where(kept.any(-1) if joint else kept, rank / (count + 1), 0.0)
