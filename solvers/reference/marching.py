"""Periodic equations without a closed solution: Fourier series in space, DOP853 in time.

The general form is ``u_t = sum_k m(k) u_k exp(i k x) + F_x + S`` with a flux `F` and a source `S` that are evaluated
point by point on a grid finer than the modes, so that products of degree ``2 padding - 1`` leave no aliases (Orszag,
J. Atmos. Sci. 28 (1971) 1074). The marching is adaptive with a relative tolerance of 1e-12, and a solution whose last
modes have not decayed is refused rather than returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import DOP853

from retrodict.physics.errors import SolverError, expected
from retrodict.solvers.reference.periodic import Array, Interval, Profile, Solution, elementwise
from retrodict.solvers.reference.spectral import coefficients, sum_series

__all__ = [
    "Equation",
    "allen_cahn",
    "burgers",
    "convection_diffusion_variable",
    "diffusion_variable",
    "march",
]

Complex = NDArray[np.complex128]
Field = Callable[[Array, Array], Array]
"""A coefficient ``f(x, t)``, of the shape of `x`; the time comes as an array without axes."""


@dataclass(frozen=True)
class Equation:
    """What `march` solves.

    Parameters
    ----------
    multiplier : callable, optional
        ``m(k)``, the constant linear part.
    flux : callable, optional
        ``F(u, u_x, x, t)``; its derivative enters.
    source : callable, optional
        ``S(u, u_x, u_xx, x, t)``.
    padding : float, optional
        Points of the fine grid a mode: 3/2 for products of two factors, 2 for three.

    Examples
    --------
    >>> Equation(flux=lambda u, u_x, x, t: -u * u / 2).padding
    1.5
    """

    multiplier: Callable[[Array], Array | Complex] | None = None
    flux: Callable[[Array, Array, Array, Array], Array] | None = None
    source: Callable[[Array, Array, Array, Array, Array], Array] | None = None
    padding: float = 1.5


def march(
    equation: Equation,
    initial: Profile,
    *,
    period: float,
    origin: float = 0.0,
    modes: int = 1024,
    tolerance: float = 1e-12,
    unresolved: float = 1e-8,
) -> Solution:
    """Return the solution of a periodic equation by pseudo-spectral marching.

    Parameters
    ----------
    equation : Equation
        The equation.
    initial : Profile
        ``u(x, 0)`` on the interval; its series is cut, not interpolated.
    period, origin : float
        The interval.
    modes : int, optional
        Even number of points that the modes correspond to; half as many wavenumbers.
    tolerance : float, optional
        Relative tolerance of DOP853; the absolute one is a tenth of it times the largest initial value.
    unresolved : float, optional
        Largest allowed coefficient among the last tenth of the modes, as a part of the largest of all.

    Returns
    -------
    Solution
        ``u(x, t)``; every call marches anew to the latest time it asks for. Raises SolverError if a solution is not
        resolved or the marching fails.

    Raises
    ------
    SolverError
        If the number of modes is odd or below 16.

    Examples
    --------
    >>> heat = Equation(multiplier=lambda k: -0.1 * k**2)
    >>> u = march(heat, np.sin, period=2 * np.pi, modes=16)
    >>> bool(abs(u(1.0, 2.0) - np.exp(-0.2) * np.sin(1.0)) < 1e-12)
    True
    """
    if modes < 16 or modes % 2:
        raise SolverError(expected("modes", modes, "an even number of at least 16"))
    interval = Interval(period, origin)
    k, c = coefficients(initial, interval, max(65536, modes))
    k, c = k[: modes // 2], c[: modes // 2]
    right = _right_hand_side(equation, interval, k, modes)
    scale = max(float(np.abs(c).max()), 1e-300)

    def solve(x: Array, t: Array) -> Array:
        times, of = np.unique(t, return_inverse=True)
        states = _states(right, c, times, tolerance, scale * tolerance / 10)
        u = np.empty_like(x)
        for i, state in enumerate(states):
            at = np.flatnonzero(of == i)
            if times[i] > 0:
                _check_resolved(state, unresolved)
                u[at] = sum_series(k, state, x[at] - origin)
            else:
                u[at] = initial(interval.wrap(x[at]))
        return u

    return elementwise("march", solve)


def _right_hand_side(
    equation: Equation, interval: Interval, k: Array, modes: int
) -> Callable[[float, Complex], Complex]:
    """Return the derivative of the coefficients."""
    fine = 2 * int(np.ceil(equation.padding * modes / 2))
    x, count = interval.nodes(fine), len(k)
    linear = np.zeros_like(k) if equation.multiplier is None else equation.multiplier(k)

    def values(c: Complex) -> Array:
        full = np.zeros(fine // 2 + 1, dtype=np.complex128)
        full[:count] = c * (fine / 2)
        full[0] *= 2
        return np.fft.irfft(full, fine)

    def series(u: Array) -> Complex:
        c = np.fft.rfft(u)[:count] * (2 / fine)
        c[0] /= 2
        return c

    def right(t: float, c: Complex) -> Complex:
        total, now = linear * c, np.asarray(t)
        if equation.flux is None and equation.source is None:
            return total
        u, u_x = values(c), values(1j * k * c)
        if equation.flux is not None:
            total = total + 1j * k * series(np.broadcast_to(equation.flux(u, u_x, x, now), x.shape))
        if equation.source is not None:
            u_xx = values(-(k**2) * c)
            total = total + series(np.broadcast_to(equation.source(u, u_x, u_xx, x, now), x.shape))
        return total

    return right


def _states(
    right: Callable[[float, Complex], Complex], c: Complex, times: Array, rtol: float, atol: float
) -> Iterator[Complex]:
    """Yield the coefficients at ascending times."""
    solver: Any = DOP853(right, 0.0, c, float(times[-1]), rtol=rtol, atol=atol)
    old, before = 0.0, c
    for time in map(float, times):
        while solver.t < time:
            old, before = solver.t, solver.y
            _step(solver)
        if time in (0.0, solver.t):
            yield c if time == 0 else solver.y
            continue
        # the interpolant of DOP853 is of order 7: two digits worse than a short step of its own
        short: Any = DOP853(right, old, before, time, first_step=time - old, rtol=rtol, atol=atol)
        while short.status == "running":
            _step(short)
        yield short.y


def _step(solver: Any) -> None:
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            message = solver.step()
    except ValueError as error:
        message = str(error)
    if message or not np.isfinite(solver.y).all():
        got = f"a failure after t = {solver.t:.6g} ({message or 'values that are not finite'})"
        raise SolverError(expected("march", got, "a solution that stays finite"))


def _check_resolved(state: Complex, unresolved: float) -> None:
    size = np.abs(state)
    tail = size[-max(len(size) // 10, 1) :].max() / max(float(size.max()), 1e-300)
    if tail > unresolved:
        raise SolverError(
            expected("march", f"last modes of {tail:.1e} of the largest", f"{unresolved:.0e}: more modes")
        )


def burgers(initial: Profile, diffusivity: float, *, period: float, origin: float = 0.0, modes: int = 1024) -> Solution:
    """Return the solution of ``u_t + u u_x = nu u_xx`` by `march`; it shares nothing with the Cole-Hopf formula.

    Examples
    --------
    >>> from retrodict.solvers.reference.burgers import cole_hopf
    >>> u, v = burgers(np.sin, 0.2, period=2 * np.pi, modes=128), cole_hopf(np.sin, 0.2, period=2 * np.pi)
    >>> bool(abs(u(1.0, 1.0) - v(1.0, 1.0)) < 1e-11)
    True
    """

    def flux(u: Array, u_x: Array, x: Array, t: Array) -> Array:  # noqa: ARG001 - the form of fluxes
        return -u * u / 2

    equation = Equation(lambda k: -diffusivity * k**2, flux)
    return march(equation, initial, period=period, origin=origin, modes=modes)


def convection_diffusion_variable(
    initial: Profile,
    speed: Field,
    diffusivity: Field | None = None,
    *,
    period: float,
    origin: float = 0.0,
    modes: int = 512,
) -> Solution:
    """Return the solution of ``u_t + f(x, t) u_x = g(x, t) u_xx`` by `march`; `f` and `g` periodic in `x`.

    Examples
    --------
    >>> u = convection_diffusion_variable(np.sin, lambda x, t: 1 + 0 * x, period=2 * np.pi, modes=16)
    >>> bool(abs(u(1.0, 2.0) - np.sin(-1.0)) < 1e-11)
    True
    """

    def source(u: Array, u_x: Array, u_xx: Array, x: Array, t: Array) -> Array:  # noqa: ARG001 - as above
        spread = 0.0 if diffusivity is None else diffusivity(x, t) * u_xx
        return np.asarray(spread - speed(x, t) * u_x)

    return march(Equation(source=source), initial, period=period, origin=origin, modes=modes)


def diffusion_variable(
    initial: Profile, conductivity: Field, *, period: float, origin: float = 0.0, modes: int = 256
) -> Solution:
    """Return the solution of ``u_t = (k(x, t) u_x)_x`` by `march`; `k` periodic in `x`.

    Examples
    --------
    >>> u = diffusion_variable(np.sin, lambda x, t: 0.1 + 0 * x, period=2 * np.pi, modes=16)
    >>> bool(abs(u(1.0, 2.0) - np.exp(-0.2) * np.sin(1.0)) < 1e-12)
    True
    """

    def flux(u: Array, u_x: Array, x: Array, t: Array) -> Array:  # noqa: ARG001 - as above
        return conductivity(x, t) * u_x

    return march(Equation(flux=flux), initial, period=period, origin=origin, modes=modes)


def allen_cahn(
    initial: Profile,
    diffusivity: float,
    rate: float = 5.0,
    *,
    period: float = 2.0,
    origin: float = -1.0,
    modes: int = 2048,
) -> Solution:
    """Return the solution of ``u_t = d u_xx + rate (u - u^3)`` by `march`.

    The initial condition ``x^2 cos(pi x)`` in general use on [-1, 1] has a kink at the ends: at early times it needs
    all of the default modes.

    Examples
    --------
    >>> u = allen_cahn(lambda x: 0.1 + 0 * x, 1e-3, modes=16)
    >>> bool(abs(u(0.3, 1.0) - 0.1 / np.sqrt(0.01 + 0.99 * np.exp(-10))) < 1e-12)
    True
    """

    def source(u: Array, u_x: Array, u_xx: Array, x: Array, t: Array) -> Array:  # noqa: ARG001 - as above
        return rate * (u - u**3)

    equation = Equation(lambda k: -diffusivity * k**2, source=source, padding=2.0)
    return march(equation, initial, period=period, origin=origin, modes=modes)
