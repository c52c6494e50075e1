"""Blobs in the plane that rotate, drift and spread, exactly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from retrodict.physics.errors import SolverError, expected
from retrodict.solvers.reference.periodic import Array

__all__ = ["PlaneSolution", "moving_gaussian", "rotation"]

PlaneSolution = Callable[[ArrayLike, ArrayLike, ArrayLike], Array]
"""A solution ``u(x, y, t)`` at points; the arguments broadcast against each other."""


def _turn(x: Array, y: Array, angle: Array, centre: tuple[float, float]) -> tuple[Array, Array]:
    cos, sin = np.cos(angle), np.sin(angle)
    dx, dy = x - centre[0], y - centre[1]
    return centre[0] + cos * dx - sin * dy, centre[1] + sin * dx + cos * dy


def rotation(
    initial: Callable[[Array, Array], Array], angular_velocity: float, *, centre: tuple[float, float] = (0.0, 0.0)
) -> PlaneSolution:
    """Return the solution of ``u_t + v . grad u = 0`` for solid-body rotation ``v = omega (-(y - y0), x - x0)``.

    Parameters
    ----------
    initial : callable
        ``u(x, y, 0)`` in the whole plane.
    angular_velocity : float
        `omega` [rad per unit of time], counter-clockwise.
    centre : tuple of float, optional
        ``(x0, y0)``.

    Returns
    -------
    PlaneSolution
        ``u(x, y, t)``, exact: the initial condition turned back.

    Raises
    ------
    SolverError
        If a number is not finite.

    Examples
    --------
    >>> u = rotation(lambda x, y: x, np.pi / 2)
    >>> round(float(u(0.0, 1.0, 1.0)), 15)
    1.0
    """
    if not np.isfinite([angular_velocity, *centre]).all():
        raise SolverError(expected("rotation", f"{angular_velocity} about {centre}", "finite numbers"))

    def solution(x: ArrayLike, y: ArrayLike, t: ArrayLike) -> Array:
        x, y, t = (np.asarray(z, dtype=np.float64) for z in np.broadcast_arrays(x, y, t))
        return np.asarray(initial(*_turn(x, y, -angular_velocity * t, centre)), dtype=np.float64)

    return solution


def moving_gaussian(
    width: float,
    *,
    start: tuple[float, float],
    diffusivity: float = 0.0,
    speed: tuple[float, float] = (0.0, 0.0),
    angular_velocity: float = 0.0,
    centre: tuple[float, float] = (0.0, 0.0),
) -> PlaneSolution:
    """Return the solution of ``u_t + v . grad u = nu lap u`` that starts as a round Gaussian of height one.

    Parameters
    ----------
    width : float
        Its standard deviation at ``t = 0``.
    start : tuple of float
        Where it begins.
    diffusivity : float, optional
        `nu`.
    speed : tuple of float, optional
        A uniform velocity; exclusive with rotation.
    angular_velocity, centre : optional
        A solid-body rotation ``v = omega (-(y - y0), x - x0)``; the Laplacian does not see it.

    Returns
    -------
    PlaneSolution
        ``u = s0^2 / s^2 exp(-r^2 / (2 s^2))`` with ``s^2 = s0^2 + 2 nu t``, in the unbounded plane.

    Raises
    ------
    SolverError
        If the width is not positive, the diffusivity negative, or both motions are given.

    Examples
    --------
    >>> u = moving_gaussian(1.0, start=(2.0, 0.0), diffusivity=0.5, angular_velocity=np.pi)
    >>> round(float(u(-2.0, 0.0, 1.0)), 15)
    0.5
    """
    numbers = [width, *start, diffusivity, *speed, angular_velocity, *centre]
    if not (np.isfinite(numbers).all() and width > 0 and diffusivity >= 0):
        raise SolverError(expected("moving_gaussian", f"{numbers}", "finite numbers, width > 0, nu >= 0"))
    if angular_velocity != 0 and any(speed):
        raise SolverError(expected("moving_gaussian", "a speed and a rotation", "one of them"))

    def solution(x: ArrayLike, y: ArrayLike, t: ArrayLike) -> Array:
        x, y, t = (np.asarray(z, dtype=np.float64) for z in np.broadcast_arrays(x, y, t))
        at = _turn(start[0] + speed[0] * t, start[1] + speed[1] * t, angular_velocity * t, centre)
        variance = width**2 + 2 * diffusivity * t
        return np.asarray(width**2 / variance * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * variance)))

    return solution
