"""Linear equations with constant coefficients on periodic intervals, exactly, by Fourier multipliers.

A mode ``exp(i k x)`` of ``u_t + c u_x = nu u_xx + r u`` is multiplied by ``exp((r - nu k^2 - i c k) t)``; the series is
summed at the points themselves, so that no grid stands between the solution and its reader. Without diffusion the
initial condition is shifted instead, which is exact for discontinuous ones too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.solvers.reference.periodic import Array, Interval, Profile, Solution, elementwise

__all__ = ["coefficients", "convection_diffusion", "convection_diffusion_2d", "sum_series"]

_BLOCK = 1 << 20


def coefficients(initial: Profile, interval: Interval, samples: int) -> tuple[Array, NDArray[np.complex128]]:
    """Return the Fourier coefficients of a periodic function, from samples.

    Parameters
    ----------
    initial : Profile
        The function on `interval`.
    interval : Interval
        One period.
    samples : int
        Even number of samples. A function whose slope jumps by `s` where the interval begins gets coefficients
        wrong by ``s h^2 / (6 period)``, with `h` the distance of samples; smooth functions are right to round-off.

    Returns
    -------
    k : ndarray, shape (samples // 2,)
        Wavenumbers from zero, below the Nyquist one.
    c : ndarray of complex, shape (samples // 2,)
        With ``u(x) = Re sum c_k exp(i k (x - origin))``.

    Raises
    ------
    SolverError
        If the number of samples is odd or not positive, or a value is not finite.

    Examples
    --------
    >>> k, c = coefficients(np.cos, Interval(2 * np.pi), 8)
    >>> k.tolist(), bool(abs(c[1] - 1) < 1e-15)
    ([0.0, 1.0, 2.0, 3.0], True)
    """
    if samples < 2 or samples % 2:
        raise SolverError(expected("samples", samples, "a positive even number"))
    x = interval.nodes(samples)
    values = np.array(np.broadcast_to(initial(x), x.shape), dtype=np.float64)
    end = np.broadcast_to(initial(np.nextafter(x[:1] + interval.period, x[:1])), (1,))
    if not (np.isfinite(values).all() and np.isfinite(end).all()):
        raise SolverError(expected("initial", "values that are not finite", "finite values on the interval"))
    # at a jump where the interval begins a series takes the mean of both sides
    values[0] = (values[0] + end[0]) / 2
    c = np.fft.rfft(values)[:-1] * (2 / samples)
    c[0] /= 2
    return np.asarray(2 * np.pi / interval.period * np.arange(samples // 2), dtype=np.float64), c


def _check(where: str, diffusivity: float, *others: float) -> None:
    if not (np.isfinite(diffusivity) and diffusivity >= 0 and np.isfinite(others).all()):
        raise SolverError(expected(where, f"diffusivity {diffusivity} with {others}", "finite numbers, nu >= 0"))


def _blocks(t: Array, width: Callable[[float], int]) -> Iterator[tuple[NDArray[np.intp], int]]:
    """Yield points in the order of time, in blocks of a bounded number of terms, and how many modes each needs."""
    order, at = np.argsort(t, kind="stable"), 0
    while at < len(order):
        # later points need fewer modes than the first of a block
        modes = max(width(float(t[order[at]])), 1)
        size = max(_BLOCK // modes, 1)
        yield order[at : at + size], modes
        at += size


def sum_series(k: Array, c: NDArray[np.complex128], x: Array) -> Array:
    """Return ``Re sum c_k exp(i k x)`` at points.

    Parameters
    ----------
    k : ndarray, shape (K,)
        Wavenumbers.
    c : ndarray of complex, shape (K,)
        Coefficients.
    x : ndarray, shape (P,)
        Points, measured from the origin.

    Returns
    -------
    ndarray, shape (P,)
        The sums.

    Examples
    --------
    >>> sum_series(np.array([0.0, 1.0]), np.array([1.0, 2.0j]), np.array([0.0])).tolist()
    [1.0]
    """
    total = np.empty(len(x))
    size = max(_BLOCK // max(len(k), 1), 1)
    for at in range(0, len(x), size):
        total[at : at + size] = (np.exp(1j * np.multiply.outer(x[at : at + size], k)) @ c).real
    return total


def convection_diffusion(
    initial: Profile,
    *,
    period: float,
    origin: float = 0.0,
    speed: float = 0.0,
    diffusivity: float = 0.0,
    reaction: float = 0.0,
    samples: int = 65536,
) -> Solution:
    """Return the periodic solution of ``u_t + c u_x = nu u_xx + r u`` to round-off.

    Parameters
    ----------
    initial : Profile
        ``u(x, 0)`` for `x` in ``[origin, origin + period)``; it is continued periodically.
    period, origin : float
        The interval.
    speed, diffusivity, reaction : float, optional
        `c`, `nu` and `r`, in the units of `x` and `t`.
    samples : int, optional
        Of the initial condition; see `coefficients` for one with a kink.

    Returns
    -------
    Solution
        ``u(x, t)``; at ``t = 0`` the initial condition itself.

    Raises
    ------
    SolverError
        If the diffusivity is negative, a number is not finite, or the samples are.

    Notes
    -----
    The error beyond round-off of ``x - c t`` is that of the coefficients: if the slope jumps by `s` at the seam,
    ``s h^2 / 12 / sqrt(4 pi nu t)`` with `h` the distance of samples. The cost is one complex exponential a point and
    a mode above 1e-16 of the largest, after damping.

    Examples
    --------
    >>> u = convection_diffusion(np.sin, period=2 * np.pi, speed=50.0, diffusivity=0.1)
    >>> bool(abs(u(1.0, 0.5) - np.exp(-0.05) * np.sin(1.0 - 25.0)) < 1e-14)
    True
    """
    interval = Interval(period, origin)
    _check("convection_diffusion", diffusivity, speed, reaction)
    k, c = coefficients(initial, interval, samples)
    size = np.abs(c)
    # FFT noise would be summed for nothing
    keep = size > np.finfo(float).eps * size.max()
    keep[0] = True
    k, c, size = k[keep], c[keep], size[keep]

    def solve(x: Array, t: Array) -> Array:
        back = interval.wrap(x - speed * t)
        still = np.ones_like(t, dtype=bool) if diffusivity == 0 else t == 0
        u = np.empty_like(x)
        u[still] = np.broadcast_to(initial(back[still]), back[still].shape)
        moving = np.flatnonzero(~still)
        for block, modes in _blocks(t[moving], width):
            at = moving[block]
            wave = 1j * np.multiply.outer(back[at] - origin, k[:modes])
            u[at] = (np.exp(wave - np.multiply.outer(diffusivity * t[at], k[:modes] ** 2)) @ c[:modes]).real
        return np.asarray(np.exp(reaction * t) * u)

    def width(t: float) -> int:
        damped = size * np.exp(-diffusivity * k**2 * t)
        return 1 + int(np.flatnonzero(damped >= 1e-17 * damped.max())[-1]) if damped.max() > 0 else 1

    return elementwise("convection_diffusion", solve)


def convection_diffusion_2d(
    initial: Callable[[Array, Array], Array],
    *,
    period: tuple[float, float],
    origin: tuple[float, float] = (0.0, 0.0),
    speed: tuple[float, float] = (0.0, 0.0),
    diffusivity: float = 0.0,
    reaction: float = 0.0,
    samples: int = 256,
) -> Callable[[ArrayLike, ArrayLike, ArrayLike], Array]:
    """Return the doubly periodic solution of ``u_t + c . grad u = nu lap u + r u`` to round-off.

    Parameters
    ----------
    initial : callable
        ``u(x, y, 0)`` in the box, smooth enough for the samples; continued periodically.
    period, origin : tuple of float
        The box.
    speed : tuple of float, optional
        ``(c_x, c_y)``.
    diffusivity, reaction : float, optional
        `nu` and `r`.
    samples : int, optional
        Along each axis.

    Returns
    -------
    callable
        ``u(x, y, t)``, arguments broadcast against each other.

    Raises
    ------
    SolverError
        As `convection_diffusion`.

    Examples
    --------
    >>> wave = lambda x, y: np.sin(x) * np.cos(2 * y)
    >>> u = convection_diffusion_2d(wave, period=(2 * np.pi, 2 * np.pi), speed=(3.0, 1.0), diffusivity=0.1)
    >>> bool(abs(u(1.0, 2.0, 0.5) - np.exp(-0.25) * np.sin(1 - 1.5) * np.cos(2 * 1.5)) < 1e-14)
    True
    """
    axes = [Interval(p, o) for p, o in zip(period, origin, strict=True)]
    _check("convection_diffusion_2d", diffusivity, *speed, reaction)
    if samples < 2 or samples % 2:
        raise SolverError(expected("samples", samples, "a positive even number"))
    x, y = (axis.nodes(samples) for axis in axes)
    values = np.broadcast_to(np.asarray(initial(x[:, None], y[None, :]), np.float64), (samples, samples))
    c = np.fft.fft2(values) / samples**2
    # the Nyquist modes have no direction to travel in
    c[samples // 2, :] = c[:, samples // 2] = 0
    kx, ky = (2 * np.pi / p * np.fft.fftfreq(samples, 1 / samples) for p in period)
    size = max(_BLOCK // samples, 1)

    def solve(x: Array, y: Array, t: Array) -> Array:
        back = [axis.wrap(z - s * t) - axis.origin for axis, z, s in zip(axes, (x, y), speed, strict=True)]
        u = np.empty_like(x)
        for at in (slice(i, i + size) for i in range(0, len(x), size)):
            first, second = (
                np.exp(1j * np.multiply.outer(z[at], k) - np.multiply.outer(diffusivity * t[at], k**2))
                for z, k in zip(back, (kx, ky), strict=True)
            )
            u[at] = np.einsum("pk,pk->p", first @ c, second).real
        return np.asarray(np.exp(reaction * t) * u)

    def solution(x: ArrayLike, y: ArrayLike, t: ArrayLike) -> Array:
        wide = np.broadcast_arrays(*(np.asarray(z, dtype=np.float64) for z in (x, y, t)))
        if not all(np.isfinite(z).all() for z in wide) or (wide[2] < 0).any():
            raise SolverError(expected("convection_diffusion_2d", "a bad point", "finite points with t >= 0"))
        return solve(*(z.ravel() for z in wide)).reshape(wide[0].shape)

    return solution
