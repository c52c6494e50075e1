"""Minimise a smooth function plus one with a proximity operator: forward-backward splitting, plain and accelerated.

    F(x) = f(x) + g(x),     x <- prox_{s g}(x - s grad f(x)),     0 < s < 2 / L,

``L`` a Lipschitz constant of the gradient (Combettes and Wajs 2005). The accelerated form steps by ``1 / L`` from a
point extrapolated along the last change (Beck and Teboulle 2009) and forgets its momentum where that points uphill
(O'Donoghue and Candes 2015). Operators that iterate hand their dual from step to step: one or two iterations a step
serve the plain form; momentum wants more, or it may circle about the minimum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.solvers.base import Status
from retrodict.solvers.proximal import Dual, Prox

__all__ = ["Minimum", "Proximal", "fista", "forward_backward", "lipschitz"]

Reals = NDArray[Any]
Smooth = Callable[[Reals], tuple[float, Reals]]

_ROUNDING = 1e-12


class Proximal(Protocol):
    """The part that is not smooth, for example `retrodict.solvers.proximal.SparseProx`."""

    def __call__(self, z: Reals, step: float, dual: Dual | None = None, /) -> Prox:
        """Return the minimiser of ``1/2 |x - z|^2 + step g(x)``, beginning at a dual, and ``g`` there as `penalty`."""
        ...


class Minimum(NamedTuple):
    """What a minimisation returns.

    Parameters
    ----------
    x : ndarray
        Last point; the one before a step that failed.
    dual : Dual or None
        Warm start of the next proximity operator.
    values : ndarray, shape (step,)
        ``F`` after each step; `fista`, which meets ``f`` between its points only, gives the last alone.
    steps : int
        Steps taken.
    status : Status
        `CONVERGED`, `MAX_STEPS`, `NON_FINITE`, or `DIVERGED`: a plain step raised ``F``, so that ``L`` is too small.
    """

    x: Reals
    dual: Dual | None
    values: NDArray[np.float64]
    steps: int
    status: Status


def forward_backward(
    smooth: Smooth,
    prox: Proximal,
    start: Reals,
    lipschitz: float,
    steps: int,
    *,
    tolerance: float = 0.0,
    relaxation: float = 1.9,
    dual: Dual | None = None,
) -> Minimum:
    """Minimise by plain steps of ``relaxation / lipschitz``, each of which must descend.

    A duality gap ``e`` of the proximity operator may raise ``F`` by ``e / (s (2 - relaxation))``; this much is allowed.

    Parameters
    ----------
    smooth : callable
        From a point to ``f`` and its gradient.
    prox : Proximal
        Proximity operator of ``g``.
    start : ndarray
        First point.
    lipschitz : float
        ``L``, as from `lipschitz`.
    steps : int
        Largest number of steps.
    tolerance : float, optional
        Stop where a step changes ``x`` by at most this fraction of its norm.
    relaxation : float, optional
        Step times ``L``, between 0 and 2.
    dual : Dual, optional
        Where the first proximity operator begins.

    Returns
    -------
    Minimum
        Point, dual, values, steps, status.

    Raises
    ------
    SolverError
        If the start is not finite, or a number is out of range.

    Examples
    --------
    >>> from retrodict.solvers.proximal import prox_nonnegative_l1
    >>> def prox(z, step, dual=None):
    ...     x = prox_nonnegative_l1(z, step)
    ...     return Prox(x, None, 0.0, 0, float(x.sum()))
    >>> def smooth(x):
    ...     return 0.5 * float(np.sum((x - 3) ** 2)), x - 3
    >>> forward_backward(smooth, prox, np.zeros(2), 1.0, 500, tolerance=1e-12).x.round(6)
    array([2., 2.])
    """
    _check(start, lipschitz, steps, tolerance)
    if not 0 < relaxation < 2:
        raise SolverError(expected("forward_backward: relaxation", relaxation, "a number between 0 and 2"))
    step, values = relaxation / lipschitz, list[float]()
    x, (value, gradient) = start, smooth(start)
    for count in range(1, steps + 1):
        found = prox(x - step * gradient, step, dual)
        change = float(np.linalg.norm(found.x - x))
        value, gradient = smooth(found.x)
        total = value + found.penalty
        if not np.isfinite(total + change):
            return Minimum(x, dual, np.array(values), count, Status.NON_FINITE)
        slack = found.gap / (step * (2 - relaxation))
        if values and total > values[-1] + _ROUNDING * abs(values[-1]) + slack:
            return Minimum(x, dual, np.array(values), count, Status.DIVERGED)
        x, dual = found.x, found.dual
        values.append(total)
        if change <= tolerance * float(np.linalg.norm(x)):
            return Minimum(x, dual, np.array(values), count, Status.CONVERGED)
    return Minimum(x, dual, np.array(values), steps, Status.MAX_STEPS)


def fista(
    smooth: Smooth,
    prox: Proximal,
    start: Reals,
    lipschitz: float,
    steps: int,
    *,
    tolerance: float = 0.0,
    restart: bool = True,
    dual: Dual | None = None,
) -> Minimum:
    """Minimise by accelerated steps of ``1 / lipschitz``.

    Parameters
    ----------
    smooth : callable
        From a point to ``f`` and its gradient.
    prox : Proximal
        Proximity operator of ``g``.
    start : ndarray
        First point.
    lipschitz : float
        ``L``, as from `lipschitz`.
    steps : int
        Largest number of steps.
    tolerance : float, optional
        Stop where a step changes ``x`` by at most this fraction of its norm.
    restart : bool, optional
        Whether momentum that points uphill is forgotten.
    dual : Dual, optional
        Where the first proximity operator begins.

    Returns
    -------
    Minimum
        Point, dual, last value, steps, status.

    Raises
    ------
    SolverError
        If the start is not finite, or a number is out of range.

    Examples
    --------
    >>> from retrodict.solvers.proximal import prox_nonnegative_l1
    >>> def prox(z, step, dual=None):
    ...     x = prox_nonnegative_l1(z, step)
    ...     return Prox(x, None, 0.0, 0, float(x.sum()))
    >>> def smooth(x):
    ...     return 0.5 * float(np.sum((x - 3) ** 2)), x - 3
    >>> found = fista(smooth, prox, np.zeros(2), 1.0, 50)
    >>> found.x, found.values, found.steps
    (array([2., 2.]), array([5.]), 2)
    """
    _check(start, lipschitz, steps, tolerance)
    x, z, t, penalty, status, count = start, start, 1.0, np.nan, Status.MAX_STEPS, 0
    while count < steps and status is Status.MAX_STEPS:
        count += 1
        value, gradient = smooth(z)
        found = prox(z - gradient / lipschitz, 1 / lipschitz, dual)
        move = found.x - x
        change = float(np.linalg.norm(move))
        if not np.isfinite(value + found.penalty + change):
            status = Status.NON_FINITE
            break
        if restart and float(np.vdot(z - found.x, move).real) > 0:
            z, t = found.x, 1.0
        else:
            following = 0.5 * (1 + (1 + 4 * t * t) ** 0.5)
            z, t = found.x + ((t - 1) / following) * move, following
        x, dual, penalty = found.x, found.dual, found.penalty
        if change <= tolerance * float(np.linalg.norm(x)):
            status = Status.CONVERGED
    return Minimum(x, dual, np.array([smooth(x)[0] + penalty]), count, status)


def lipschitz(
    normal: Callable[[Reals], Reals], start: Reals, iterations: int = 20, *, safety: float = 1.02
) -> tuple[float, Reals]:
    """Return the largest eigenvalue of a positive semidefinite operator, a little raised, by power iteration.

    The iteration approaches from below, hence the safety.

    Parameters
    ----------
    normal : callable
        From ``v`` to ``A' A v``.
    start : ndarray
        First vector, not zero: that of an earlier call, or random numbers.
    iterations : int, optional
        How often the operator is applied.
    safety : float, optional
        Factor of at least one.

    Returns
    -------
    tuple of float and ndarray
        Safety times the eigenvalue, and its unit vector, from which the next call may begin.

    Raises
    ------
    SolverError
        If the start is zero or not finite, or a number is out of range.

    Examples
    --------
    >>> largest, vector = lipschitz(lambda v: np.array([4.0, 1.0]) * v, np.ones(2), safety=1.0)
    >>> round(largest, 9), vector.round(6)
    (4.0, array([1., 0.]))
    """
    size = float(np.linalg.norm(start))
    if not (np.isfinite(size) and size > 0):
        raise SolverError(expected("lipschitz: start", f"norm {size}", "a finite vector that is not zero"))
    if iterations < 1 or not 1 <= safety < np.inf:
        raise SolverError(expected("lipschitz", f"{iterations} iterations, safety {safety}", "both at least 1"))
    vector, largest = start / size, 0.0
    for _ in range(iterations):
        image = normal(vector)
        largest = float(np.linalg.norm(image))
        if largest == 0:
            break
        vector = image / largest
    return safety * largest, vector


def _check(start: Reals, constant: float, steps: int, tolerance: float) -> None:
    if not np.all(np.isfinite(start)):
        raise SolverError(expected("forward-backward: start", "numbers that are not finite", "a finite point"))
    if not (np.isfinite(constant) and constant > 0):
        raise SolverError(expected("forward-backward: lipschitz", constant, "a finite number above zero"))
    if steps < 1 or not tolerance >= 0:
        got = f"{steps} steps, tolerance {tolerance}"
        raise SolverError(expected("forward-backward", got, "at least one step, tolerance >= 0"))
