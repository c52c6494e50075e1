"""Paths of given inputs: the deterministic kinematics under every formulation, without a loop over time."""

from __future__ import annotations

import torch
from torch import Tensor

from retrodict.physics.errors import ConfigError, expected
from retrodict.physics.motion.integrators import rule

__all__ = ["unroll"]


def unroll(
    formulation: str,
    start: Tensor,
    inputs: Tensor,
    dt: Tensor,
    *,
    integrator: str = "midpoint",
    lever: float = 0.0,
    wheelbase: float | None = None,
) -> Tensor:
    """Return the states after every step.

    Parameters
    ----------
    formulation : str
        One of `retrodict.physics.motion.moments.FORMULATIONS`.
    start : Tensor, shape (..., 4)
        x, y [m], heading [rad], speed [m/s]; or x, y, vx, vy for the planar formulations.
    inputs : Tensor, shape (..., T, 2)
        The two channels of the formulation.
    dt : Tensor, shape (T,)
        Steps [s].
    integrator : str, optional
        ``euler``, ``midpoint`` or ``hold``.
    lever : float, optional
        Distance [m] of the reference point of the positions ahead of the rear axle.
    wheelbase : float, optional
        Distance between the axles [m], for steering.

    Returns
    -------
    Tensor, shape (..., T, 4)
        x, y, heading, speed (or vx, vy) after each step.

    Raises
    ------
    ConfigError
        If the formulation or integrator is unknown, or steering comes without a wheelbase.

    Examples
    --------
    Half a turn on a circle of radius 1:

    >>> inputs = torch.tensor([[0.0, 1.0]]).expand(100, 2)
    >>> end = unroll("acceleration-curvature", torch.tensor([0.0, 0, 0, 1]), inputs, torch.full((100,), torch.pi / 100))
    >>> [round(abs(float(v)), 2) for v in end[-1, :2]]
    [0.0, 2.0]
    """
    first, second = inputs.unbind(-1)
    scheme = rule(integrator)
    if formulation == "velocity":
        path = start[..., None, :2] + torch.cumsum(inputs * dt[:, None], -2)
        return torch.cat([path, inputs.expand(path.shape)], -1)
    if formulation == "acceleration":
        velocity = start[..., None, 2:] + torch.cumsum(inputs * dt[:, None], -2)
        before = velocity - inputs * dt[:, None]
        moved = before * dt[:, None] + (0.5 * inputs * dt[:, None] ** 2 if scheme.curved else 0.0)
        return torch.cat([start[..., None, :2] + torch.cumsum(moved, -2), velocity], -1)
    if formulation == "speed-heading":
        x = start[..., 0:1] + torch.cumsum(first * torch.cos(second) * dt, -1)
        y = start[..., 1:2] + torch.cumsum(first * torch.sin(second) * dt, -1)
        return torch.stack(torch.broadcast_tensors(x, y, second, first), -1)
    if formulation == "acceleration-steering":
        if wheelbase is None:
            raise ConfigError(expected("wheelbase", None, "the distance between the axles, for steering inputs"))
        second, formulation = torch.tan(second) / wheelbase, "acceleration-curvature"
    if formulation not in ("acceleration-yaw-rate", "acceleration-curvature"):
        raise ConfigError(
            expected("formulation", repr(formulation), "one of retrodict.physics.motion.moments.FORMULATIONS")
        )
    v_end = start[..., 3:4] + torch.cumsum(first * dt, -1)
    v = v_end - first * dt

    def turned(c: float) -> Tensor:
        """Return the heading gained after a fraction c of each step."""
        if formulation == "acceleration-yaw-rate":
            return second * (c * dt)
        return second * (v * (c * dt) + (0.5 * first * (c * dt) ** 2 if scheme.curved else 0.0))

    heading_end = start[..., 2:3] + torch.cumsum(turned(1.0), -1)
    heading = heading_end - turned(1.0)
    x, y = torch.zeros_like(v), torch.zeros_like(v)
    for c, weight in zip(scheme.fractions, scheme.weights, strict=True):
        speed, angle = v + first * (c * dt), heading + turned(c)
        x, y = x + weight * dt * speed * torch.cos(angle), y + weight * dt * speed * torch.sin(angle)
    x, y = start[..., 0:1] + torch.cumsum(x, -1), start[..., 1:2] + torch.cumsum(y, -1)
    if lever:
        x = x + lever * (torch.cos(heading_end) - torch.cos(start[..., 2:3]))
        y = y + lever * (torch.sin(heading_end) - torch.sin(start[..., 2:3]))
    # components apart in memory: written, and read one by one, several times faster than interleaved
    return torch.stack(torch.broadcast_tensors(x, y, heading_end, v_end)).movedim(0, -1)
