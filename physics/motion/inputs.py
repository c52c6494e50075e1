"""Inputs of a kinematic model: two channels with a mean path and a Gaussian law of the deviations over time.

Independent deviations at every step are false for real traffic: in the tracks that the suite is tested on, the
acceleration of one tenth of a second later correlates at 0.8 to 0.9 with that of now. Hence four laws.
White noise scales with the step: halving the step at equal density multiplies the standard deviation by sqrt(2).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from retrodict.physics.errors import SpaceError, expected

__all__ = ["Autoregressive", "Blocks", "Constant", "Dense", "Inputs", "Law", "White", "decay_to_time_constant"]

Blocks = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class White:
    """Deviations independent from step to step.

    Parameters
    ----------
    std : Tensor, shape (..., T, 2)
        Standard deviation of each channel in each step.
    correlation : Tensor, shape (..., T), optional
        Between the two channels within a step; default none.
    """

    std: Tensor
    correlation: Tensor | None = None

    def variances(self) -> Blocks:
        """Return the variance of channel 0, the covariance, and the variance of channel 1; each (..., T)."""
        a, b = self.std.unbind(-1)
        cross = torch.zeros_like(a) if self.correlation is None else self.correlation * a * b
        return a * a, cross, b * b

    def blocks(self, dt: Tensor) -> Blocks:
        """Return the covariances over the steps ``dt`` (T,): channel 0, cross, channel 1; each (..., T, T)."""
        del dt
        first, cross, second = (torch.diag_embed(v) for v in self.variances())
        return first, cross, second


@dataclass(frozen=True)
class Autoregressive:
    """First-order autoregressive deviations (Ornstein-Uhlenbeck): ``std^2 exp(-|t - s| / time_constant)``.

    Parameters
    ----------
    std : Tensor, shape (..., 2)
        Stationary standard deviation of each channel.
    time_constant : Tensor, shape (..., 2)
        Correlation time [s]; see `decay_to_time_constant` for a coefficient per step.
    known_start : bool, optional
        The deviation one step before the first input is known (it then belongs in the mean path, where it decays):
        the variance grows from zero, ``std^2 (exp(-|t - s|/tau) - exp(-(t + s + 2 dt)/tau))``.
    """

    std: Tensor
    time_constant: Tensor
    known_start: bool = False

    def variances(self) -> Blocks:
        """Return the stationary variances as if every step were independent; each (..., 1)."""
        a, b = self.std.unbind(-1)
        return (a * a)[..., None], torch.zeros_like(a)[..., None], (b * b)[..., None]

    def blocks(self, dt: Tensor) -> Blocks:
        """Return the covariances over time; see `White.blocks`."""
        times = torch.cumsum(dt, 0) - dt
        gap = (times[:, None] - times[None, :]).abs()
        total = times[:, None] + times[None, :] + 2 * dt[0]
        out = []
        for channel in (0, 1):
            tau = self.time_constant[..., channel, None, None]
            r = torch.exp(-gap / tau)
            if self.known_start:
                r = r - torch.exp(-total / tau)
            out.append(self.std[..., channel, None, None] ** 2 * r)
        return out[0], torch.zeros_like(out[0]), out[1]


@dataclass(frozen=True)
class Constant:
    """One unknown deviation that holds over the whole horizon.

    Parameters
    ----------
    std : Tensor, shape (..., 2)
        Standard deviation of each channel.
    correlation : Tensor, shape (...), optional
        Between the two channels; default none.
    """

    std: Tensor
    correlation: Tensor | None = None

    def variances(self) -> Blocks:
        """Return the variances of a step; each (..., 1)."""
        a, b = self.std.unbind(-1)
        cross = torch.zeros_like(a) if self.correlation is None else self.correlation * a * b
        return (a * a)[..., None], cross[..., None], (b * b)[..., None]

    def blocks(self, dt: Tensor) -> Blocks:
        """Return the covariances over time; see `White.blocks`."""
        ones = torch.ones((dt.numel(), dt.numel()), dtype=dt.dtype, device=dt.device)
        first, cross, second = (v[..., None] * ones for v in self.variances())
        return first, cross, second


@dataclass(frozen=True)
class Dense:
    """Deviations with any covariance.

    Parameters
    ----------
    covariance : Tensor, shape (..., 2, 2, T, T)
        ``[i, j, t, s]`` is the covariance of channel i in step t with channel j in step s.
    """

    covariance: Tensor

    def variances(self) -> Blocks:
        """Return the variances of each step; each (..., T)."""
        diagonal = torch.diagonal(self.covariance, dim1=-2, dim2=-1)
        return diagonal[..., 0, 0, :], diagonal[..., 0, 1, :], diagonal[..., 1, 1, :]

    def blocks(self, dt: Tensor) -> Blocks:
        """Return the covariances over time; see `White.blocks`."""
        if self.covariance.shape[-4:] != (2, 2, dt.numel(), dt.numel()):
            n = dt.numel()
            raise SpaceError(expected("Dense.covariance", tuple(self.covariance.shape), f"shape (..., 2, 2, {n}, {n})"))
        c = self.covariance
        return c[..., 0, 0, :, :], c[..., 0, 1, :, :], c[..., 1, 1, :, :]


Law = White | Autoregressive | Constant | Dense


@dataclass(frozen=True)
class Inputs:
    """The two input channels of a formulation.

    Parameters
    ----------
    mean : Tensor, shape (..., T, 2)
        Mean of each channel in each step, SI units.
    law : White, Autoregressive, Constant or Dense
        Law of the deviations.

    Raises
    ------
    SpaceError
        If a shape is wrong.

    Examples
    --------
    >>> Inputs(torch.zeros(80, 2), Constant(torch.tensor([0.5, 0.05]))).steps
    80
    """

    mean: Tensor
    law: Law

    def __post_init__(self) -> None:
        if self.mean.ndim < 2 or self.mean.shape[-1] != 2 or self.mean.shape[-2] < 1:
            raise SpaceError(expected("Inputs.mean", tuple(self.mean.shape), "shape (..., T, 2) with T >= 1"))
        if not self.mean.is_floating_point():
            raise SpaceError(expected("Inputs.mean", self.mean.dtype, "a floating-point tensor"))
        law = self.law
        shape = law.std.shape if not isinstance(law, Dense) else None
        wanted = (self.steps, 2) if isinstance(law, White) else (2,)
        if shape is not None and tuple(shape[-len(wanted) :]) != wanted:
            raise SpaceError(
                expected(f"{type(law).__name__}.std", tuple(shape), f"shape (..., {', '.join(map(str, wanted))})")
            )

    @property
    def steps(self) -> int:
        """Number of steps T."""
        return int(self.mean.shape[-2])


def decay_to_time_constant(rho: Tensor, step: float) -> Tensor:
    """Return the correlation time [s] of an autoregressive coefficient per step of ``step`` seconds.

    Raises
    ------
    SpaceError
        If a coefficient is not in (0, 1).

    Examples
    --------
    >>> round(float(decay_to_time_constant(torch.tensor(0.95), 0.1)), 3)
    1.95
    """
    if not bool(((rho > 0) & (rho < 1)).all()):
        raise SpaceError(expected("rho", rho, "coefficients in (0, 1)"))
    return -step / torch.log(rho)
