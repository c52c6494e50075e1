"""State equations and sensors for tracks of vehicles."""

from __future__ import annotations

import torch
from torch import Tensor

from retrodict.inverse.motion.filtering import Sensor, StateSpace

__all__ = ["constant_turn", "lidar", "pose_sensor", "radar", "relaxing_inputs"]


def _shape(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``sin(x)/x`` and ``(1 - cos(x))/x``, smooth through zero."""
    small = x.abs() < 1e-3
    safe = torch.where(small, torch.ones_like(x), x)
    sinc = torch.where(small, 1 - x**2 / 6, torch.sin(safe) / safe)
    return sinc, torch.where(small, x / 2 - x**3 / 24, (1 - torch.cos(safe)) / safe)


def constant_turn(std_acceleration: Tensor | float, std_yaw_acceleration: Tensor | float) -> StateSpace:
    """Constant turn rate and velocity, state (x, y, speed, yaw, yaw rate), driven by white accelerations.

    Parameters
    ----------
    std_acceleration, std_yaw_acceleration : float or Tensor
        Standard deviations [m/s2] and [rad/s2], held over each step.

    Returns
    -------
    StateSpace
        Exact hold of speed and yaw rate; continuous through zero yaw rate.

    Examples
    --------
    >>> model = constant_turn(1.0, 0.5)
    >>> model.transition(torch.tensor([0.0, 0, 2, 0, 0]), torch.zeros(2), torch.tensor(0.5))
    tensor([1., 0., 2., 0., 0.])
    """
    std = torch.stack([torch.as_tensor(s, dtype=torch.float64) for s in (std_acceleration, std_yaw_acceleration)])

    def transition(state: Tensor, w: Tensor, dt: Tensor) -> Tensor:
        x, y, v, yaw, rate = state.unbind(-1)
        a, b = w.unbind(-1)
        along, across = _shape(rate * dt)
        c, s = torch.cos(yaw), torch.sin(yaw)
        half = 0.5 * dt * dt * a
        return torch.stack(
            [
                x + v * dt * (c * along - s * across) + half * c,
                y + v * dt * (s * along + c * across) + half * s,
                v + dt * a,
                yaw + rate * dt + 0.5 * dt * dt * b,
                rate + dt * b,
            ],
            -1,
        )

    return StateSpace(transition, torch.diag(std**2), angles=(3,))


def relaxing_inputs(std: Tensor, time_constant: Tensor) -> StateSpace:
    """State (x, y, heading, speed, acceleration, yaw rate); the last two are Ornstein-Uhlenbeck processes.

    Parameters
    ----------
    std, time_constant : Tensor, shape (2,)
        Stationary standard deviation and correlation time [s] of acceleration and yaw rate.

    Returns
    -------
    StateSpace
        Inputs at the end of a step act over it, as in `retrodict.physics.motion.forecast.relaxing_path`.

    Examples
    --------
    >>> model = relaxing_inputs(torch.ones(2), torch.ones(2))
    >>> model.transition(torch.tensor([0.0, 0, 0, 2, 0, 0]), torch.zeros(2), torch.tensor(0.5))
    tensor([1., 0., 0., 2., 0., 0.])
    """

    def transition(state: Tensor, w: Tensor, dt: Tensor) -> Tensor:
        x, y, heading, v, a, rate = state.unbind(-1)
        decay = torch.exp(-dt / time_constant)
        a, rate = a * decay[0] + w[..., 0], rate * decay[1] + w[..., 1]
        middle, speed = heading + 0.5 * dt * rate, v + 0.5 * dt * a
        return torch.stack(
            [
                x + dt * speed * torch.cos(middle),
                y + dt * speed * torch.sin(middle),
                heading + dt * rate,
                v + dt * a,
                a,
                rate,
            ],
            -1,
        )

    def noise(dt: Tensor) -> Tensor:
        return torch.diag(-(std**2) * torch.expm1(-2 * dt / time_constant))

    return StateSpace(transition, noise, angles=(2,))


def lidar(std: float) -> Sensor:
    """Position x, y with one standard deviation [m].

    Examples
    --------
    >>> lidar(0.15).observe(torch.tensor([1.0, 2.0, 3.0, 0.0, 0.0]))
    tensor([1., 2.])
    """
    return Sensor(lambda s: s[..., :2], std**2 * torch.eye(2, dtype=torch.float64))


def radar(std_range: float, std_bearing: float, std_rate: float) -> Sensor:
    """Range [m], bearing [rad] and range rate [m/s] seen from the origin, of a state (x, y, speed, yaw, ...).

    Examples
    --------
    >>> radar(0.3, 0.03, 0.3).observe(torch.tensor([3.0, 4.0, 1.0, 0.0, 0.0]))
    tensor([5.0000, 0.9273, 0.6000])
    """

    def observe(state: Tensor) -> Tensor:
        x, y, v, yaw = state[..., :4].unbind(-1)
        distance = torch.sqrt(x * x + y * y).clamp(min=1e-6)
        return torch.stack([distance, torch.atan2(y, x), v * (x * torch.cos(yaw) + y * torch.sin(yaw)) / distance], -1)

    std = torch.tensor([std_range, std_bearing, std_rate], dtype=torch.float64)
    return Sensor(observe, torch.diag(std**2), angles=(1,))


def pose_sensor(std_position: Tensor, std_heading: Tensor) -> Sensor:
    """Position [m] and heading [rad] of a state (x, y, heading, ...).

    Examples
    --------
    >>> pose_sensor(torch.tensor(0.1), torch.tensor(0.01)).noise.diagonal()
    tensor([1.0000e-02, 1.0000e-02, 1.0000e-04])
    """
    return Sensor(
        lambda s: s[..., :3], torch.diag(torch.stack([std_position, std_position, std_heading]) ** 2), angles=(2,)
    )
