"""Formulations in Cartesian components, linear in their inputs: velocities, and accelerations."""

from __future__ import annotations

import torch
from torch import Tensor

from retrodict.physics.motion.inputs import Inputs
from retrodict.physics.motion.integrators import Rule
from retrodict.physics.motion.state import Moments, Start

__all__ = ["acceleration_moments", "velocity_moments"]


def velocity_moments(start: Start, inputs: Inputs, dt: Tensor) -> Moments:
    """Moments for velocity components given at every step: ``p += dt v``, exact under any law.

    Parameters
    ----------
    start : Start
        x, y, and velocity components that are not used.
    inputs : Inputs
        vx, vy [m/s].
    dt : Tensor, shape (T,)
        Steps [s].

    Examples
    --------
    >>> from retrodict.physics.motion.inputs import White
    >>> inputs = Inputs(torch.ones(4, 2), White(torch.ones(4, 2)))
    >>> velocity_moments(Start(torch.zeros(4)), inputs, torch.ones(4)).covariance[-1, 0, 0]
    tensor(4.)
    """
    gain = torch.tril(dt.expand(dt.numel(), dt.numel()))
    return _linear(start, inputs, dt, gain, carry=False)


def acceleration_moments(start: Start, inputs: Inputs, dt: Tensor, rule: Rule) -> Moments:
    """Moments for acceleration components: exact under any law.

    With ``euler`` the position moves with the old velocity; the other rules add ``dt^2 a / 2``, which is exact for
    inputs held over a step. For one standard deviation s of white inputs on T equal Euler steps from a certain start,
    ``Var x = dt^4 s^2 (T-1) T (2T-1) / 6``.

    Parameters
    ----------
    start : Start
        x, y, vx, vy.
    inputs : Inputs
        ax, ay [m/s2].
    dt : Tensor, shape (T,)
        Steps [s].
    rule : Rule
        Integrator.

    Examples
    --------
    >>> from retrodict.physics.motion.inputs import White
    >>> from retrodict.physics.motion.integrators import rule
    >>> inputs = Inputs(torch.zeros(4, 2), White(torch.ones(4, 2)))
    >>> acceleration_moments(Start(torch.zeros(4)), inputs, torch.ones(4), rule("euler")).covariance[-1, 0, 0]
    tensor(14.)
    """
    n = dt.numel()
    # row T, column t: seconds that the velocity gained in step t lasts until the end of step T
    elapsed = torch.cumsum(dt, 0)
    lasting = (elapsed[:, None] - elapsed[None, :]).clamp(min=0.0)
    within = 0.5 * torch.tril(dt.expand(n, n)) if rule.curved else torch.zeros_like(lasting)
    return _linear(start, inputs, dt, (lasting + within) * dt, carry=True)


def _linear(start: Start, inputs: Inputs, dt: Tensor, gain: Tensor, *, carry: bool) -> Moments:
    """Moments of ``p_T = p_0 + t_T v_0 + sum gain[T, t] u_t``; without ``carry`` the start's velocity plays no part."""
    elapsed = torch.cumsum(dt, 0) if carry else torch.zeros_like(dt)
    blocks = inputs.law.blocks(dt)
    path = torch.stack([inputs.mean[..., i] @ gain.T + elapsed * start.mean[..., 2 + i, None] for i in (0, 1)], -1)
    entries = []
    for i, j, block in ((0, 0, blocks[0]), (0, 1, blocks[1]), (1, 1, blocks[2])):
        own = ((gain @ block) * gain).sum(-1)
        begin = start.cov(i, j)[..., None] + elapsed**2 * start.cov(2 + i, 2 + j)[..., None]
        cross = elapsed * (start.cov(i, 2 + j) + start.cov(j, 2 + i))[..., None]
        entries.append(own + begin + cross)
    xx, xy, yy = torch.broadcast_tensors(*entries)
    covariance = torch.stack([xx, xy, xy, yy], -1).unflatten(-1, (2, 2))
    return Moments(start.mean[..., :2], path, covariance)
