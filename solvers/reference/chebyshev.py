"""Allen-Cahn between walls: Chebyshev polynomials in space, exact parts split symmetrically in time.

The reaction's flow is exact at every point, and ``-1`` and ``1`` are at rest in it, so that walls held there stay
compatible with it. Diffusion is exact for the polynomial: an exponential of its matrix, by eigenvectors. What is left
is the error of the splitting, in even powers of the step, which Richardson's extrapolation removes, and that of the
polynomial, whose last coefficients are checked.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.solvers.reference.periodic import Array, Profile, Solution, elementwise

__all__ = ["allen_cahn_walls", "derivative_matrix", "nodes"]


def nodes(count: int) -> Array:
    """Return the extrema of a Chebyshev polynomial on [-1, 1], ascending, shape (count,).

    Examples
    --------
    >>> nodes(2).tolist()
    [-1.0, 1.0]
    """
    return np.asarray(-np.cos(np.pi * np.arange(count) / (count - 1)))


def derivative_matrix(count: int) -> Array:
    """Return the matrix that differentiates polynomials given at `nodes`, shape (count, count).

    Parameters
    ----------
    count : int
        Number of nodes.

    Returns
    -------
    ndarray
        With rows that sum to zero exactly, as derivatives of constants.

    Examples
    --------
    >>> bool(np.allclose(derivative_matrix(5) @ nodes(5) ** 4, 4 * nodes(5) ** 3))
    True
    """
    angle = np.pi * np.arange(count) / (count - 1)
    # differences of cosines as products of sines, without cancellation
    gap = 2 * np.sin(0.5 * np.add.outer(angle, angle)) * np.sin(0.5 * np.subtract.outer(angle, angle))
    np.fill_diagonal(gap, 1.0)
    weight = np.where(np.isin(np.arange(count), (0, count - 1)), 2.0, 1.0) * (-1.0) ** np.arange(count)
    matrix = np.divide.outer(weight, weight) / gap
    np.fill_diagonal(matrix, 0.0)
    np.fill_diagonal(matrix, -matrix.sum(1))
    return np.asarray(matrix)


@cache
def _diffusion(count: int) -> tuple[Array, Array, Array]:
    """Return eigenvalues, eigenvectors and their inverse of the second derivative with zeros on both walls."""
    first = derivative_matrix(count)
    found = np.linalg.eig((first @ first)[1:-1, 1:-1])
    values, vectors = (np.asarray(np.real(part), dtype=np.float64) for part in found)
    return values, vectors, np.asarray(np.linalg.inv(vectors), dtype=np.float64)


def _react(u: Array, growth: float) -> Array:
    """Return the flow of ``u' = r (u - u^3)`` over ``growth = r t``."""
    return np.asarray(u / np.sqrt(u**2 + (1 - u**2) * np.exp(-2 * growth)))


def allen_cahn_walls(
    initial: Profile,
    diffusivity: float,
    rate: float = 5.0,
    *,
    wall: float = -1.0,
    modes: int = 640,
    step: float = 5e-3,
    extrapolations: int = 2,
    unresolved: float = 1e-9,
) -> Solution:
    """Return the solution of ``u_t = d u_xx + rate (u - u^3)`` on [-1, 1] with ``u = wall`` at both ends.

    Parameters
    ----------
    initial : Profile
        ``u(x, 0)``, with the walls' value at the ends.
    diffusivity, rate : float
        `d` and the rate.
    wall : float, optional
        -1, 0 or 1: where the reaction rests.
    modes : int, optional
        Chebyshev polynomials.
    step : float, optional
        Largest time step; requested times are met exactly.
    extrapolations : int, optional
        How many powers of the step, from the second, are removed with steps halved as often.
    unresolved : float, optional
        Largest allowed coefficient among the last tenth, as a part of the largest of all.

    Returns
    -------
    Solution
        ``u(x, t)`` for x in [-1, 1]; every call marches anew. Raises SolverError if it is not resolved, or a point is
        outside.

    Raises
    ------
    SolverError
        If a number is out of range, or the initial field is not the walls' at the ends.

    Examples
    --------
    >>> u = allen_cahn_walls(lambda x: x**2 * np.cos(np.pi * x), 1e-3, modes=128, unresolved=1e-2)
    >>> bool(abs(u(1.0, 0.5) + 1.0) < 1e-12)
    True
    """
    fine = 0 < diffusivity < np.inf and np.isfinite(rate) and 0 < step < np.inf and 0 <= extrapolations <= 4
    if not fine or modes < 8 or wall not in (-1.0, 0.0, 1.0):
        got = f"d {diffusivity}, rate {rate}, wall {wall}, {modes} modes, step {step}, {extrapolations} extrapolations"
        raise SolverError(expected("allen_cahn_walls", got, "d > 0, a step, at least 8 modes, a wall at rest"))
    x = nodes(modes)
    start = np.array(np.broadcast_to(initial(x), x.shape), dtype=np.float64)
    if not np.isfinite(start).all() or np.abs(start[[0, -1]] - wall).max() > 1e-12:
        raise SolverError(expected("allen_cahn_walls: initial", start[[0, -1]].tolist(), f"{wall} at both ends"))

    def solve(at: Array, t: Array) -> Array:
        if np.abs(at).max() > 1 + 1e-12:
            raise SolverError(expected("allen_cahn_walls", float(np.abs(at).max()), "points in [-1, 1]"))
        times, of = np.unique(t, return_inverse=True)
        out, state, now = np.empty_like(at), [start] * (extrapolations + 1), 0.0
        for i, time in enumerate(times):
            count = int(np.ceil((time - now) / step - 1e-9))
            state = [
                _strang(each, diffusivity, rate, wall, time - now, count * 2**level) for level, each in enumerate(state)
            ]
            now, mine = time, np.flatnonzero(of == i)
            out[mine] = _values(_richardson(state), at[mine], unresolved) if time > 0 else initial(at[mine])
        return out

    return elementwise("allen_cahn_walls", solve)


def _strang(u: Array, diffusivity: float, rate: float, wall: float, span: float, count: int) -> Array:
    """Return the state after `count` steps: half a reaction, a diffusion, half a reaction."""
    if count == 0:
        return u
    values, vectors, inverse = _diffusion(len(u))
    dt = span / count
    propagator = (vectors * np.exp(diffusivity * values * dt)) @ inverse
    u = _react(u, 0.5 * rate * dt)
    for i in range(count):
        u = np.concatenate([[wall], wall + propagator @ (u[1:-1] - wall), [wall]])
        # the halves of two neighbouring steps are one
        u = _react(u, rate * dt if i < count - 1 else 0.5 * rate * dt)
    return u


def _richardson(levels: list[Array]) -> Array:
    """Return the limit of solutions at halved steps whose errors are even powers of the step."""
    order = 2
    while len(levels) > 1:
        levels = [(2**order * b - a) / (2**order - 1) for a, b in pairwise(levels)]
        order += 2
    return levels[0]


def _values(u: Array, at: Array, unresolved: float) -> Array:
    """Return the polynomial through values at nodes, elsewhere."""
    coefficients = _coefficients(u)
    size = np.abs(coefficients)
    tail = float(size[-max(len(size) // 10, 1) :].max() / max(float(size.max()), 1e-300))
    if tail > unresolved:
        got = f"last coefficients of {tail:.1e} of the largest"
        raise SolverError(expected("allen_cahn_walls", got, f"{unresolved:.0e}: more modes"))
    inner = np.clip(at, -1.0, 1.0)
    return np.asarray(np.polynomial.chebyshev.chebval(inner, coefficients), dtype=np.float64)


def _coefficients(u: Array) -> NDArray[np.float64]:
    from scipy.fft import dct

    c = dct(u[::-1], type=1) / (len(u) - 1)
    c[[0, -1]] *= 0.5
    return np.asarray(c)
