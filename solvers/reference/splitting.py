"""Reaction and reaction-diffusion ``u_t = nu u_xx + rho u (1 - u)``: exact parts, split symmetrically (Strang).

Strang, SIAM J. Numer. Anal. 5 (1968) 506. The logistic flow is exact at every point and the diffusion exact for every
mode, so that the step's error is that of the splitting alone: even powers of the step, which Richardson's
extrapolation removes.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from retrodict.physics.errors import SolverError, expected
from retrodict.solvers.reference.periodic import Array, Interval, Profile, Solution, elementwise
from retrodict.solvers.reference.spectral import coefficients, sum_series

__all__ = ["logistic", "reaction", "reaction_diffusion"]


def logistic(u: Array, growth: Array | float) -> Array:
    """Return the exact flow of ``u' = rho u (1 - u)`` over ``growth = rho t``.

    Examples
    --------
    >>> float(logistic(np.array(0.5), np.log(3.0)))
    0.75
    """
    return np.asarray(u / (u + (1 - u) * np.exp(-np.asarray(growth))))


def reaction(initial: Profile, rate: float, *, period: float, origin: float = 0.0) -> Solution:
    """Return the solution of ``u_t = rho u (1 - u)``, exact.

    Parameters
    ----------
    initial : Profile
        ``u(x, 0)`` on the interval, not negative.
    rate : float
        `rho`.
    period, origin : float
        The interval.

    Returns
    -------
    Solution
        ``u(x, t)``.

    Raises
    ------
    SolverError
        If the rate is not finite.

    Examples
    --------
    >>> u = reaction(lambda x: 0.5 + 0 * x, 2.0, period=1.0)
    >>> round(float(u(0.1, np.log(3.0) / 2)), 15)
    0.75
    """
    interval = Interval(period, origin)
    if not np.isfinite(rate):
        raise SolverError(expected("reaction: rate", rate, "a finite number"))
    return elementwise("reaction", lambda x, t: logistic(initial(interval.wrap(x)), rate * t))


def reaction_diffusion(
    initial: Profile,
    diffusivity: float,
    rate: float,
    *,
    period: float,
    origin: float = 0.0,
    step: float = 1e-3,
    extrapolations: int = 2,
    modes: int = 512,
) -> Solution:
    """Return the periodic solution of ``u_t = nu u_xx + rho u (1 - u)`` by Strang splitting.

    Parameters
    ----------
    initial : Profile
        ``u(x, 0)`` on the interval, not negative.
    diffusivity, rate : float
        `nu` and `rho`.
    period, origin : float
        The interval.
    step : float, optional
        Largest time step; requested times are met exactly.
    extrapolations : int, optional
        How many powers of the step, from the second, are removed with steps halved as often.
    modes : int, optional
        Even number of points.

    Returns
    -------
    Solution
        ``u(x, t)``, of order ``2 + 2 extrapolations`` in the step; every call marches anew.

    Raises
    ------
    SolverError
        If a number is negative or not finite, or the number of modes is odd.

    Examples
    --------
    >>> u = reaction_diffusion(lambda x: 0.5 + 0 * x, 3.0, 2.0, period=1.0, step=0.1, modes=16)
    >>> round(float(u(0.1, np.log(3.0) / 2)), 14)
    0.75
    """
    interval = Interval(period, origin)
    if not (0 <= diffusivity < np.inf and np.isfinite(rate) and 0 < step < np.inf and 0 <= extrapolations <= 4):
        got = f"nu {diffusivity}, rho {rate}, step {step}, {extrapolations} extrapolations"
        raise SolverError(expected("reaction_diffusion", got, "nu >= 0, a positive step, at most 4 extrapolations"))
    if modes < 2 or modes % 2:
        raise SolverError(expected("reaction_diffusion: modes", modes, "a positive even number"))
    k, c = coefficients(initial, interval, max(65536, modes))
    k, start = k[: modes // 2], _values(c[: modes // 2], modes)

    def solve(x: Array, t: Array) -> Array:
        times, of = np.unique(t, return_inverse=True)
        u, state, now = np.empty_like(x), [start] * (extrapolations + 1), 0.0
        for i, time in enumerate(times):
            count = int(np.ceil((time - now) / step))
            state = [
                _strang(each, k, diffusivity, rate, time - now, count * 2**level) for level, each in enumerate(state)
            ]
            at, now = np.flatnonzero(of == i), time
            if time == 0:
                u[at] = initial(interval.wrap(x[at]))
            else:
                u[at] = sum_series(k, _series(_richardson(state)), x[at] - origin)
        return u

    return elementwise("reaction_diffusion", solve)


def _values(c: np.ndarray[tuple[int, ...], np.dtype[np.complex128]], modes: int) -> Array:
    full = np.append(c * (modes / 2), 0)
    full[0] *= 2
    return np.fft.irfft(full, modes)


def _series(u: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.complex128]]:
    c = np.fft.rfft(u)[:-1] * (2 / len(u))
    c[0] /= 2
    return c


def _strang(u: Array, k: Array, diffusivity: float, rate: float, span: float, count: int) -> Array:
    """Return the state after `count` steps: half a reaction, a diffusion, half a reaction."""
    if count == 0:
        return u
    dt = span / count
    damping = np.append(np.exp(-diffusivity * k**2 * dt), 0.0)
    half = rate * dt / 2
    u = logistic(u, half)
    for i in range(count):
        u = np.fft.irfft(damping * np.fft.rfft(u), len(u))
        # the halves of two neighbouring steps are one
        u = logistic(u, 2 * half if i < count - 1 else half)
    return u


def _richardson(levels: list[Array]) -> Array:
    """Return the limit of solutions at halved steps whose errors are even powers of the step."""
    order = 2
    while len(levels) > 1:
        levels = [(2**order * b - a) / (2**order - 1) for a, b in pairwise(levels)]
        order += 2
    return levels[0]
