"""Step-by-step propagation of trajectory moments: what an extended and a sigma-point Kalman filter do.

The peers of the closed forms, batched in torch and differentiable like them, over the state (x, y, heading, speed)
with acceleration and yaw rate (or curvature) as white inputs and Euler steps.
"""

from __future__ import annotations

import torch
from torch import Tensor

from retrodict.physics.motion.inputs import Inputs
from retrodict.physics.motion.state import Moments, Start

__all__ = ["cubature_loop", "extended_kalman_loop"]


def _begin(start: Start, inputs: Inputs) -> tuple[Tensor, Tensor, Tensor]:
    """Return the state, its covariance, and those of the inputs, shape (..., T, 2, 2)."""
    va, cross, vb = torch.broadcast_tensors(*inputs.law.variances())
    noise = torch.stack([va, cross, cross, vb], -1).unflatten(-1, (2, 2))
    batch = torch.broadcast_shapes(start.mean.shape[:-1], inputs.mean.shape[:-2])
    state = start.mean.expand(*batch, 4)
    covariance = torch.zeros((), dtype=state.dtype) if start.covariance is None else start.covariance
    return state, covariance.expand(*batch, 4, 4), noise.expand(*batch, inputs.steps, 2, 2)


def extended_kalman_loop(start: Start, inputs: Inputs, dt: Tensor, *, curvature: bool = False) -> Moments:
    """Linearise at every step: ``P <- A P A' + B U B'``.

    Parameters
    ----------
    start : Start
        x, y, heading, speed.
    inputs : Inputs
        Acceleration and yaw rate, or curvature, with a white law.
    dt : Tensor, shape (T,)
        Steps [s].
    curvature : bool, optional
        The second input is a curvature.

    Examples
    --------
    >>> from retrodict.physics.motion.inputs import White
    >>> inputs = Inputs(torch.zeros(2, 2), White(torch.tensor([0.0, 0.1]).expand(2, 2)))
    >>> start = Start(torch.tensor([0.0, 0.0, 0.0, 2.0]))
    >>> round(float(extended_kalman_loop(start, inputs, torch.ones(2)).covariance[-1, 1, 1]), 4)
    0.04
    """
    state, P, noise = _begin(start, inputs)
    x, y, n, v = state.unbind(-1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    means, covariances = [], []
    for t in range(inputs.steps):
        h = dt[t]
        a, w = inputs.mean[..., t, 0], inputs.mean[..., t, 1]
        c, s = torch.cos(n), torch.sin(n)
        A = torch.stack(
            [
                one,
                zero,
                -h * v * s,
                h * c,
                zero,
                one,
                h * v * c,
                h * s,
                zero,
                zero,
                one,
                h * w if curvature else zero,
                zero,
                zero,
                zero,
                one,
            ],
            -1,
        ).unflatten(-1, (4, 4))
        B = torch.stack([zero, zero, zero, zero, zero, h * v if curvature else h * one, h * one, zero], -1).unflatten(
            -1, (4, 2)
        )
        P = A @ P @ A.mT + B @ noise[..., t, :, :] @ B.mT
        x, y, n, v = x + h * v * c, y + h * v * s, n + h * (v * w if curvature else w), v + h * a
        means.append(torch.stack([x, y], -1))
        covariances.append(P[..., :2, :2])
    origin = start.mean[..., :2]
    return Moments(origin, torch.stack(means, -2) - origin[..., None, :], torch.stack(covariances, -3))


def cubature_loop(start: Start, inputs: Inputs, dt: Tensor, *, curvature: bool = False) -> Moments:
    """Propagate 12 sigma points of state and inputs through every step and fit a Gaussian again.

    Parameters
    ----------
    start, inputs, dt, curvature
        As in `extended_kalman_loop`.

    Notes
    -----
    Third-degree spherical-radial cubature, Arasaratnam and Haykin (2009).

    Examples
    --------
    >>> from retrodict.physics.motion.inputs import White
    >>> inputs = Inputs(torch.zeros(2, 2), White(torch.tensor([0.0, 0.1]).expand(2, 2)))
    >>> start = Start(torch.tensor([0.0, 0.0, 0.0, 2.0]), 1e-6 * torch.eye(4))
    >>> round(float(cubature_loop(start, inputs, torch.ones(2)).covariance[-1, 1, 1]), 4)
    0.0392
    """
    state, P, noise = _begin(start, inputs)
    eye = torch.eye(4, dtype=state.dtype)
    unit = torch.cat([torch.eye(6, dtype=state.dtype), -torch.eye(6, dtype=state.dtype)]) * 6**0.5
    means, covariances = [], []
    for t in range(inputs.steps):
        h = dt[t]
        root = torch.linalg.cholesky(P + 1e-12 * eye)
        gain = torch.linalg.cholesky(noise[..., t, :, :] + 1e-12 * torch.eye(2, dtype=state.dtype))
        points = state[..., None, :] + unit[:, :4] @ root.mT
        driven = inputs.mean[..., t, None, :] + unit[:, 4:] @ gain.mT
        x, y, n, v = points.unbind(-1)
        turn = v * driven[..., 1] if curvature else driven[..., 1]
        moved = torch.stack(
            [x + h * v * torch.cos(n), y + h * v * torch.sin(n), n + h * turn, v + h * driven[..., 0]], -1
        )
        state = moved.mean(-2)
        gap = moved - state[..., None, :]
        P = gap.mT @ gap / 12
        means.append(state[..., :2])
        covariances.append(P[..., :2, :2])
    origin = start.mean[..., :2]
    return Moments(origin, torch.stack(means, -2) - origin[..., None, :], torch.stack(covariances, -3))
