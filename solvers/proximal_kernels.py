"""Compiled ascent of the dual of a sparse prior: box, duality gap and momentum in one pass over memory."""

from __future__ import annotations

from typing import Any

from numba import njit
from numpy.typing import NDArray

__all__ = ["ascend", "climb"]

Reals = NDArray[Any]


@njit(cache=True, nogil=True, fastmath=True)
def climb(a: Reals, v: Reals, weights: Reals, step: float) -> tuple[float, float]:
    """Take one projected gradient step of the dual in place.

    Parameters
    ----------
    a : ndarray, shape (row, column)
        Gradient, the coefficients of the primal point.
    v : ndarray, shape (row, column)
        Dual; becomes ``clip(v + a, -step weights, step weights)``.
    weights : ndarray, shape (row, column)
        Weights.
    step : float
        Of the kind of the arrays.

    Returns
    -------
    tuple of float
        Duality gap of the dual that came, and ``sum step weights |a|``.
    """
    gap, norm = 0.0, 0.0
    for i in range(a.shape[0]):
        # sums of one row stay in the precision of the arrays, so that loops over them vectorise
        slack, size = a[i, 0] * 0, a[i, 0] * 0
        for j in range(a.shape[1]):
            box, g, old = weights[i, j] * step, a[i, j], v[i, j]
            size += box * abs(g)
            slack += box * abs(g) - old * g
            v[i, j] = max(-box, min(box, old + g))
        gap += slack
        norm += size
    return gap, norm


@njit(cache=True, nogil=True, fastmath=True)
def ascend(a: Reals, y: Reals, v: Reals, weights: Reals, step: float, beta: float) -> tuple[float, float, float]:
    """Take one accelerated step in place: from ``y``, whose gradient is ``a``, to the next ``v`` and ``y``.

    Returns
    -------
    tuple of float
        Duality gap of the ``y`` that came, ``sum step weights |a|``, and the product of the gradient step with the
        change of ``v``: momentum points downhill where it is negative.
    """
    gap, norm, turn = 0.0, 0.0, 0.0
    for i in range(a.shape[0]):
        slack, size, along = a[i, 0] * 0, a[i, 0] * 0, a[i, 0] * 0
        for j in range(a.shape[1]):
            box, g, old = weights[i, j] * step, a[i, j], y[i, j]
            size += box * abs(g)
            slack += box * abs(g) - old * g
            new = max(-box, min(box, old + g))
            change = new - v[i, j]
            along += (new - old) * change
            v[i, j] = new
            y[i, j] = max(-box, min(box, new + beta * change))
        gap += slack
        norm += size
        turn += along
    return gap, norm, turn
