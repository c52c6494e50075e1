"""Forecast of a vehicle whose acceleration and yaw rate are known now and relax: a Gaussian state of six, any lag.

A filter ends with a joint Gaussian over (x, y, heading, speed, acceleration, yaw rate). From there the two inputs
follow Ornstein-Uhlenbeck processes; speed and heading stay jointly Gaussian, so that the exact moments of the
positions follow from `retrodict.physics.motion.gaussian_path.dense_moments`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from retrodict.physics.errors import SpaceError, expected
from retrodict.physics.motion.gaussian_path import GaussianPath, dense_moments, integrals
from retrodict.physics.motion.integrators import rule
from retrodict.physics.motion.moments import time_steps
from retrodict.physics.motion.polar import Ends
from retrodict.physics.motion.state import Moments, Start

__all__ = ["forecast", "relaxing_path"]


def relaxing_path(
    mean: Tensor, covariance: Tensor, std: Tensor, time_constant: Tensor, dt: Tensor, integrator: str = "midpoint"
) -> GaussianPath:
    """Return speed and heading of a state of six as a Gaussian process.

    The input of step t is the process at the end of the step, as a filter with the same step carries it.

    Parameters
    ----------
    mean : Tensor, shape (..., 6)
        x, y [m], heading [rad], speed [m/s], acceleration [m/s2], yaw rate [rad/s].
    covariance : Tensor, shape (..., 6, 6)
        Of the state.
    std, time_constant : Tensor, shape (2,)
        Stationary standard deviation and correlation time [s] of acceleration and yaw rate.
    dt : Tensor, shape (T,)
        Steps [s].
    integrator : str, optional
        ``euler``, ``midpoint`` or ``hold``.

    Examples
    --------
    >>> path = relaxing_path(torch.zeros(6), torch.zeros(6, 6), torch.ones(2), torch.ones(2), torch.ones(2), "euler")
    >>> round(float(path.ends.w[0]), 4)
    0.8647
    """
    node, end = integrals(dt, rule(integrator))
    elapsed = torch.cumsum(dt, 0)
    gap = (elapsed[:, None] - elapsed).abs()
    total = elapsed[:, None] + elapsed

    def channel(i: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return decay of the known value and covariance of what is new, (T,) and (T, T); and the mean's sum."""
        tau = time_constant[i]
        fresh = std[i] ** 2 * (torch.exp(-gap / tau) - torch.exp(-total / tau))
        return torch.exp(-elapsed / tau), fresh, mean[..., 4 + i, None]

    decay_a, fresh_a, a0 = channel(0)
    decay_w, fresh_w, w0 = channel(1)
    gains = {"v": (node @ decay_a, end @ decay_a), "h": (node @ decay_w, end @ decay_w)}
    # rows of the map from the state to speed and heading: 1 on the first value, the gain on the input
    p = covariance

    def cov(i: tuple[int, int, Tensor], j: tuple[int, int, Tensor]) -> Tensor:
        first, second = i[2][:, None], j[2][None, :]
        at = p[..., i[0], j[0], None, None] + p[..., i[1], j[0], None, None] * first
        return at + p[..., i[0], j[1], None, None] * second + p[..., i[1], j[1], None, None] * first * second

    v, h = (3, 4, gains["v"][0]), (2, 5, gains["h"][0])
    v_end, h_end = (3, 4, gains["v"][1]), (2, 5, gains["h"][1])

    def linked(heading: Tensor, speed: Tensor) -> Tensor:
        rows = [
            [p[..., i, 2, None] + p[..., i, 5, None] * heading, p[..., i, 3, None] + p[..., i, 4, None] * speed]
            for i in (0, 1)
        ]
        return torch.stack([torch.stack(row, -2) for row in rows], -3)

    first = (2, 5, torch.zeros_like(dt[:1]))
    return GaussianPath(
        mean[..., 3:4] + a0 * gains["v"][0],
        mean[..., 2:3] + w0 * gains["h"][0],
        cov(v, v) + node @ fresh_a @ node.T,
        cov(h, h) + node @ fresh_w @ node.T,
        cov(v, h),
        (dt[:, None] * dt.new_tensor(rule(integrator).weights)).flatten(),
        Ends(
            mean[..., 2:3] + w0 * gains["h"][1],
            torch.diagonal(cov(h_end, h_end) + end @ fresh_w @ end.T, dim1=-2, dim2=-1),
            mean[..., 3:4] + a0 * gains["v"][1],
            torch.diagonal(cov(v_end, v_end) + end @ fresh_a @ end.T, dim1=-2, dim2=-1),
        ),
        cov(h_end, h) + end @ fresh_w @ node.T,
        cov(h_end, v),
        cov(first, h)[..., 0, :],
        cov(first, v)[..., 0, :],
        linked(gains["h"][0], gains["v"][0]),
        linked(gains["h"][1], gains["v"][1]),
        cov(first, h_end)[..., 0, :],
    )


def forecast(
    mean: Tensor,
    covariance: Tensor,
    std: Tensor,
    time_constant: Tensor,
    steps: int,
    time_step: float | Tensor,
    *,
    integrator: str = "midpoint",
    exact: bool = True,
    lever: float = 0.0,
) -> Moments:
    """Return the moments of the positions from a Gaussian state of six on.

    Parameters
    ----------
    mean, covariance, std, time_constant, integrator
        As in `relaxing_path`.
    steps : int
        Number of steps T.
    time_step : float or Tensor, shape (T,)
        Steps [s].
    exact : bool, optional
        Exact moments, or linearised.
    lever : float, optional
        Distance [m] of the reference point ahead of the rear axle.

    Returns
    -------
    Moments
        Over T steps.

    Raises
    ------
    SpaceError
        If a shape is wrong or a time constant not positive.

    Examples
    --------
    >>> state = torch.tensor([0.0, 0.0, 0.0, 10.0, 1.0, 0.0])
    >>> std, tau = torch.tensor([1.0, 0.1]), torch.tensor([1.0, 1.0])
    >>> moments = forecast(state, 1e-4 * torch.eye(6), std, tau, 10, 0.1)
    >>> bool(moments.mean[-1, 0] > 10)
    True
    """
    if mean.shape[-1] != 6 or covariance.shape[-2:] != (6, 6):
        got = f"mean {tuple(mean.shape)}, covariance {tuple(covariance.shape)}"
        raise SpaceError(expected("forecast", got, "shapes (..., 6) and (..., 6, 6)"))
    if std.shape != (2,) or time_constant.shape != (2,) or bool((time_constant <= 0).any()):
        raise SpaceError(expected("time_constant", time_constant, "two positive times, with two standard deviations"))
    dt = time_steps(time_step, steps, mean)
    start = Start(mean[..., :4], covariance[..., :4, :4])
    path = relaxing_path(mean, covariance, std, time_constant, dt, integrator)
    return dense_moments(start, path, exact=exact, lever=lever)
