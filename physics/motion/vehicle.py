"""The kinematic single-track vehicle with limits on steering, speed and acceleration, and three cars.

Equations, limits and parameters are those of CommonRoad: Althoff, Koschi and Manzinger (2017), "CommonRoad: Composable
benchmarks for motion planning on roads"; Althoff and Würsching (2020), "CommonRoad: Vehicle Models", table 6.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from retrodict.physics.errors import ConfigError, SpaceError, expected

__all__ = ["VEHICLES", "Vehicle", "limited_acceleration", "limited_steering_rate", "single_track"]

REFERENCE_POINTS = ("rear axle", "centre of gravity")


@dataclass(frozen=True)
class Vehicle:
    """Geometry and limits of a car.

    Parameters
    ----------
    front, rear : float
        Distance [m] of the front and of the rear axle from the centre of gravity.
    steering_limit : float
        Largest road-wheel angle [rad], to both sides.
    steering_rate_limit : float
        Largest rate of it [rad/s].
    v_min, v_max : float
        Speed in reverse, negative, and forward [m/s].
    v_switch : float
        Speed [m/s] above which the engine's power and not the tyres limit the acceleration.
    a_max : float
        Largest acceleration and braking [m/s2].

    Raises
    ------
    ConfigError
        If a length or a limit is not positive, or ``v_min`` not negative.

    Examples
    --------
    >>> VEHICLES["BMW 320i"].wheelbase
    2.5789128
    """

    front: float
    rear: float
    steering_limit: float
    steering_rate_limit: float
    v_min: float
    v_max: float
    v_switch: float
    a_max: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (value < 0 if name == "v_min" else value > 0):
                raise ConfigError(
                    expected(f"Vehicle.{name}", value, "a negative speed" if name == "v_min" else "a positive number")
                )

    @property
    def wheelbase(self) -> float:
        """Distance between the axles [m]."""
        return self.front + self.rear


VEHICLES = {
    "Ford Escort": Vehicle(0.88392, 1.50876, 0.91, 0.4, -13.9, 45.8, 4.755, 11.5),
    "BMW 320i": Vehicle(1.1561957064, 1.4227170936, 1.066, 0.4, -13.9, 50.8, 7.319, 11.5),
    "VW Vanagon": Vehicle(1.1507916024, 1.3211363976, 1.023, 0.4, -11.2, 41.7, 7.824, 11.5),
}


def limited_steering_rate(angle: Tensor, rate: Tensor, vehicle: Vehicle) -> Tensor:
    """Return the steering rate that the vehicle follows: bounded, and zero against the stops.

    Parameters
    ----------
    angle, rate : Tensor, shape (...)
        Road-wheel angle [rad] and the rate asked for [rad/s].
    vehicle : Vehicle
        Whose limits.

    Examples
    --------
    >>> limited_steering_rate(torch.tensor([0.0, 1.1]), torch.tensor([0.5, 0.1]), VEHICLES["BMW 320i"])
    tensor([0.4000, 0.0000])
    """
    limit, fastest = vehicle.steering_limit, vehicle.steering_rate_limit
    stopped = ((angle <= -limit) & (rate <= 0)) | ((angle >= limit) & (rate >= 0))
    return torch.where(stopped, torch.zeros_like(rate), rate.clamp(-fastest, fastest))


def limited_acceleration(speed: Tensor, acceleration: Tensor, vehicle: Vehicle) -> Tensor:
    """Return the acceleration that the vehicle follows.

    Braking and accelerating are bounded by ``a_max``, accelerating above ``v_switch`` by ``a_max v_switch / v``, and
    nothing drives the speed out of ``[v_min, v_max]``.

    Parameters
    ----------
    speed, acceleration : Tensor, shape (...)
        Speed [m/s] and the acceleration asked for [m/s2].
    vehicle : Vehicle
        Whose limits.

    Examples
    --------
    >>> limited_acceleration(torch.tensor([5.0, 14.638]), torch.tensor([20.0, 20.0]), VEHICLES["BMW 320i"])
    tensor([11.5000,  5.7500])
    """
    strongest = vehicle.a_max * vehicle.v_switch / speed.clamp(min=vehicle.v_switch)
    stopped = ((speed <= vehicle.v_min) & (acceleration <= 0)) | ((speed >= vehicle.v_max) & (acceleration >= 0))
    bounded = torch.minimum(acceleration.clamp(min=-vehicle.a_max), strongest)
    return torch.where(stopped, torch.zeros_like(bounded), bounded)


def single_track(state: Tensor, control: Tensor, vehicle: Vehicle, *, reference: str = "rear axle") -> Tensor:
    """Return the time derivative of the state of a kinematic single-track vehicle.

    With the rear axle as reference point, ``x' = v cos(psi)``, ``y' = v sin(psi)``, ``psi' = v tan(delta) / L``. With
    the centre of gravity, ``beta = atan(tan(delta) rear / L)`` is added to the direction of travel, v is the speed of
    that point, and ``psi' = v cos(beta) tan(delta) / L``.

    Parameters
    ----------
    state : Tensor, shape (..., 5)
        x, y [m], road-wheel angle delta [rad], speed v [m/s], heading psi [rad].
    control : Tensor, shape (..., 2)
        Steering rate [rad/s] and acceleration [m/s2]; cut to the vehicle's limits.
    vehicle : Vehicle
        Geometry and limits.
    reference : str, optional
        ``rear axle`` or ``centre of gravity``.

    Returns
    -------
    Tensor, shape (..., 5)
        Rates in the order of the state.

    Raises
    ------
    SpaceError
        If a shape is wrong.
    ConfigError
        If the reference point is unknown.

    Examples
    --------
    >>> state = torch.tensor([0.0, 0.0, 0.0, 7.0, 0.0])
    >>> single_track(state, torch.tensor([0.1, 1.0]), VEHICLES["Ford Escort"])
    tensor([7.0000, 0.0000, 0.1000, 1.0000, 0.0000])
    """
    if state.shape[-1:] != (5,) or control.shape[-1:] != (2,):
        got = f"state {tuple(state.shape)}, control {tuple(control.shape)}"
        raise SpaceError(expected("single_track", got, "shapes (..., 5) and (..., 2)"))
    if reference not in REFERENCE_POINTS:
        raise ConfigError(expected("reference", repr(reference), f"one of {REFERENCE_POINTS}"))
    _, _, angle, speed, heading = state.unbind(-1)
    turn = torch.tan(angle) / vehicle.wheelbase
    slip = torch.atan(turn * vehicle.rear) if reference == "centre of gravity" else torch.zeros_like(turn)
    rates = (
        speed * torch.cos(heading + slip),
        speed * torch.sin(heading + slip),
        limited_steering_rate(angle, control[..., 0], vehicle),
        limited_acceleration(speed, control[..., 1], vehicle),
        speed * torch.cos(slip) * turn,
    )
    return torch.stack(torch.broadcast_tensors(*rates), -1)
