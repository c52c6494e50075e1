"""Where a trajectory starts and what is known of it later: the first two moments."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from retrodict.physics.errors import SpaceError, expected

__all__ = ["Moments", "Start"]


@dataclass(frozen=True)
class Start:
    """State at time zero, certain or Gaussian.

    Parameters
    ----------
    mean : Tensor, shape (..., 4)
        x [m], y [m], heading [rad], speed [m/s] (negative: reverse) for the polar formulations; x, y and the velocity
        components [m/s] for the planar ones.
    covariance : Tensor, shape (..., 4, 4), optional
        Default: certain.

    Raises
    ------
    SpaceError
        If a shape is wrong.

    Examples
    --------
    >>> Start(torch.tensor([0.0, 0.0, 0.3, 10.0])).cov(2, 3)
    tensor(0.)
    """

    mean: Tensor
    covariance: Tensor | None = None

    def __post_init__(self) -> None:
        if self.mean.ndim < 1 or self.mean.shape[-1] != 4:
            raise SpaceError(expected("Start.mean", tuple(self.mean.shape), "shape (..., 4)"))
        if not self.mean.is_floating_point():
            raise SpaceError(expected("Start.mean", self.mean.dtype, "a floating-point tensor"))
        if self.covariance is not None and self.covariance.shape[-2:] != (4, 4):
            raise SpaceError(expected("Start.covariance", tuple(self.covariance.shape), "shape (..., 4, 4)"))

    def cov(self, i: int, j: int) -> Tensor:
        """Return one entry of the covariance, zero where the start is certain; shape (...)."""
        if self.covariance is None:
            return torch.zeros((), dtype=self.mean.dtype, device=self.mean.device)
        return self.covariance[..., i, j]


@dataclass(frozen=True)
class Moments:
    """Moments of the positions after each of T steps.

    Parameters
    ----------
    origin : Tensor, shape (..., 2)
        Mean position at time zero [m].
    displacement : Tensor, shape (..., T, 2)
        Mean position minus origin [m]; kept apart so that float32 loses nothing where coordinates are large.
    covariance : Tensor, shape (..., T, 2, 2)
        Of the position [m2].
    heading, speed : Tensor, shape (..., T, 2) or None
        Mean and variance of heading [rad] and speed [m/s] after each step, where the formulation has them.
    linear_bias : Tensor, shape (..., T) or None
        Upper bound of the distance [m] between the exact mean and that of linearised sinusoids (polar formulations).
    """

    origin: Tensor
    displacement: Tensor
    covariance: Tensor
    heading: Tensor | None = None
    speed: Tensor | None = None
    linear_bias: Tensor | None = None

    @property
    def mean(self) -> Tensor:
        """Mean position [m], shape (..., T, 2)."""
        return self.origin[..., None, :] + self.displacement
