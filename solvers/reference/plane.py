"""Fields in the plane: blobs that rotate, drift and spread, exactly; what periodic flows stir, by Fourier series."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.solvers.reference.periodic import Array, Interval

__all__ = ["PlaneSolution", "moving_gaussian", "rotation", "stirred"]

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


Complex = NDArray[np.complex128]
Flow = Callable[[Array, Array, float], tuple[Array, Array]]
"""A velocity ``(x, y, t) -> (along x, along y)``, of the shape of x."""


def stirred(
    initial: Callable[[Array, Array], Array],
    velocity: Flow,
    *,
    period: float,
    origin: float = 0.0,
    diffusivity: float = 0.0,
    modes: int = 64,
    tolerance: float = 1e-11,
    unresolved: float = 1e-8,
) -> PlaneSolution:
    """Return the solution of ``u_t + v(x, y, t) . grad u = nu lap u`` in a periodic square.

    Parameters
    ----------
    initial : callable
        ``u(x, y, 0)``.
    velocity : callable
        ``(x, y, t) -> (v_x, v_y)``, periodic.
    period, origin : float
        The square, alike along both axes.
    diffusivity : float, optional
        `nu`.
    modes : int, optional
        Even number of points along each axis that the modes correspond to; products are taken on half as many again,
        so that they leave no aliases (Orszag 1971).
    tolerance : float, optional
        Relative tolerance of DOP853.
    unresolved : float, optional
        Largest allowed coefficient among the outermost tenth of the modes, as a part of the largest of all.

    Returns
    -------
    PlaneSolution
        ``u(x, y, t)`` for t >= 0; every call marches anew. Raises SolverError if it is not resolved.

    Raises
    ------
    SolverError
        If the number of modes is odd or below 8, or the diffusivity negative.

    Examples
    --------
    >>> flow = lambda x, y, t: (1.0 + 0 * x, 2.0 + 0 * y)
    >>> u = stirred(lambda x, y: np.sin(x + y), flow, period=2 * np.pi, diffusivity=0.1, modes=8)
    >>> bool(abs(u(1.0, 0.5, 0.5) - np.exp(-0.1) * np.sin(0.0)) < 1e-10)
    True
    """
    if modes < 8 or modes % 2 or not 0 <= diffusivity < np.inf:
        got = f"{modes} modes, nu {diffusivity}"
        raise SolverError(expected("stirred", got, "an even number of at least 8 modes, nu >= 0"))
    axis = Interval(period, origin)
    x = axis.nodes(modes)
    start = _cut(np.fft.fft2(np.broadcast_to(initial(x[:, None], x[None, :]), (modes, modes))) / modes**2)
    k = np.asarray(2 * np.pi / period * np.fft.fftfreq(modes, 1 / modes), dtype=np.float64)
    right = _stirring(velocity, axis, k, diffusivity)

    def solution(x: ArrayLike, y: ArrayLike, t: ArrayLike) -> Array:
        wide = np.broadcast_arrays(*(np.asarray(z, dtype=np.float64) for z in (x, y, t)))
        if not all(np.isfinite(z).all() for z in wide) or (wide[2] < 0).any():
            raise SolverError(expected("stirred", "a bad point", "finite points with t >= 0"))
        at, to, when = (z.ravel() for z in wide)
        times, of = np.unique(when, return_inverse=True)
        out, state, now = np.empty(at.shape), start, 0.0
        for i, time in enumerate(times):
            state, now = _advance(right, state, now, float(time), tolerance), float(time)
            _check_outermost(state, unresolved)
            mine = np.flatnonzero(of == i)
            first, second = (np.exp(1j * np.multiply.outer(z[mine] - origin, k)) for z in (at, to))
            out[mine] = np.einsum("pk,pk->p", first @ state, second).real
        return out.reshape(wide[0].shape)

    return solution


def _cut(c: Complex) -> Complex:
    """Take out the modes at half the sampling rate, which have no direction."""
    half, out = len(c) // 2, np.array(c)
    out[half, :] = out[:, half] = 0
    return out


def _stirring(velocity: Flow, axis: Interval, k: Array, diffusivity: float) -> Callable[[float, Complex], Complex]:
    """Return the derivative of the coefficients, flattened."""
    modes, fine = len(k), 3 * len(k) // 2
    low = np.r_[0 : modes // 2, fine - modes // 2 : fine]
    x = axis.nodes(fine)
    mesh = np.broadcast_arrays(x[:, None], x[None, :])
    damping = -diffusivity * (k[:, None] ** 2 + k[None, :] ** 2)

    def values(c: Complex) -> Array:
        full = np.zeros((fine, fine), dtype=np.complex128)
        full[np.ix_(low, low)] = c
        return np.asarray(np.fft.ifft2(full).real * fine**2)

    def right(t: float, flat: Complex) -> Complex:
        c = flat.reshape(modes, modes)
        along, across = velocity(mesh[0], mesh[1], t)
        carried = along * values(1j * k[:, None] * c) + across * values(1j * k[None, :] * c)
        product = np.fft.fft2(carried)[np.ix_(low, low)] / fine**2
        return np.asarray((damping * c - _cut(product)).ravel())

    return right


def _advance(
    right: Callable[[float, Complex], Complex], state: Complex, now: float, until: float, rtol: float
) -> Complex:
    from scipy.integrate import solve_ivp

    if until == now:
        return state
    run = solve_ivp(
        right, (now, until), state.ravel(), "DOP853", rtol=rtol, atol=0.1 * rtol * float(np.abs(state).max())
    )
    if not run.success or not np.isfinite(run.y[:, -1]).all():
        raise SolverError(expected("stirred", run.message, "a solution that stays finite"))
    return np.asarray(run.y[:, -1].reshape(state.shape))


def _check_outermost(state: Complex, unresolved: float) -> None:
    modes = len(state)
    far = np.abs(np.fft.fftfreq(modes, 1 / modes)) >= np.floor(0.45 * modes)
    size = np.abs(state)
    tail = float(max(size[far].max(), size[:, far].max()) / max(float(size.max()), 1e-300))
    if tail > unresolved:
        raise SolverError(expected("stirred", f"last modes of {tail:.1e} of the largest", f"{unresolved:.0e}"))
