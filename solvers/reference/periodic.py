"""What the references of periodic equations share: the interval, and solutions called at points."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrodict.physics.errors import SolverError, expected

__all__ = ["Array", "Interval", "Profile", "Solution", "elementwise"]

Array = NDArray[np.float64]
Profile = Callable[[Array], Array]
"""An initial condition: values at points of any shape."""
Solution = Callable[[ArrayLike, ArrayLike], Array]
"""A solution ``u(x, t)`` at points; `x` and `t` broadcast against each other and the result has their shape."""


@dataclass(frozen=True)
class Interval:
    """One period of the x-axis.

    Parameters
    ----------
    period : float
        Its length.
    origin : float, optional
        Where it begins.

    Raises
    ------
    SolverError
        If the period is not positive or a number is not finite.

    Examples
    --------
    >>> Interval(2.0, -1.0).wrap(np.array([1.0, 1.5]))
    array([-1. , -0.5])
    """

    period: float
    origin: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.period) and math.isfinite(self.origin) and self.period > 0):
            got = f"period {self.period} from {self.origin}"
            raise SolverError(expected("Interval", got, "a positive period from a finite origin"))

    def wrap(self, x: Array) -> Array:
        """Return the equivalent points in ``[origin, origin + period)``."""
        # a remainder of minus 1e-17 would round to the period itself
        rest = np.mod(x - self.origin, self.period)
        return self.origin + np.where(rest < self.period, rest, 0.0)

    def nodes(self, count: int) -> Array:
        """Return equidistant points, shape (count,), the first at the origin, the end left out."""
        return self.origin + self.period * np.arange(count) / count


def elementwise(where: str, solve: Callable[[Array, Array], Array]) -> Solution:
    """Turn a solver of flat arrays of points into a `Solution`.

    Parameters
    ----------
    where : str
        Its name in errors.
    solve : callable
        From ``x, t``, both of shape (P,), to values of shape (P,).

    Returns
    -------
    Solution
        Raises SolverError if a coordinate is not finite or a time negative.

    Examples
    --------
    >>> elementwise("sum", lambda x, t: x + t)([[0.0], [1.0]], [0.0, 2.0])
    array([[0., 2.],
           [1., 3.]])
    """

    def solution(x: ArrayLike, t: ArrayLike) -> Array:
        try:
            wide_x, wide_t = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(t, dtype=np.float64))
        except (TypeError, ValueError) as error:
            raise SolverError(expected(where, error, "x and t that broadcast against each other")) from error
        if not (np.isfinite(wide_x).all() and np.isfinite(wide_t).all() and (wide_t >= 0).all()):
            raise SolverError(expected(where, "a coordinate that is not finite or before t = 0", "points with t >= 0"))
        if wide_x.size == 0:
            return np.zeros(wide_x.shape)
        return solve(wide_x.ravel(), wide_t.ravel()).reshape(wide_x.shape)

    return solution
