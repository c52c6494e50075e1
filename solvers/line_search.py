"""A strong Wolfe line search that goes on working at the rounding floor of the function.

Bracketing and zooming after Nocedal and Wright (2006), algorithms 3.5 and 3.6, with cubic interpolation. Where two
values differ by no more than their rounding, slopes decide: the sufficient decrease of Armijo is replaced by the
approximate Wolfe condition of Hager and Zhang (2005), and cubic interpolation by the secant of the slopes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LinePoint", "Searched", "strong_wolfe"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LinePoint:
    """A point on a line.

    Parameters
    ----------
    length : float
        Steps along the direction.
    x, gradient : ndarray, shape (n,)
        The point and the gradient there.
    value : float
        The function.
    slope : float
        Derivative along the direction.
    """

    length: float
    x: Floats
    value: float
    gradient: Floats
    slope: float


@dataclass(frozen=True)
class Searched:
    """What a line search found.

    Parameters
    ----------
    point : LinePoint
        The best point; that of ``length`` 0 if none was better than the start.
    evaluations : int
        How often the function was evaluated.
    wolfe : bool
        Whether the point satisfies the conditions.
    """

    point: LinePoint
    evaluations: int
    wolfe: bool


@dataclass(frozen=True)
class _Conditions:
    """The two conditions of a line search from ``origin``."""

    origin: LinePoint
    decrease: float
    curvature: float
    noise: float

    def falls(self, trial: LinePoint) -> bool:
        """Return whether the value is low enough, or as low as rounding lets one tell and the slope agrees."""
        value, slope = self.origin.value, self.origin.slope
        if trial.value <= value + self.decrease * trial.length * slope:
            return True
        return trial.value <= value + self.noise and trial.slope <= (2 * self.decrease - 1) * slope

    def flat(self, trial: LinePoint) -> bool:
        """Return whether the slope has shrunk enough."""
        return abs(trial.slope) <= -self.curvature * self.origin.slope


def strong_wolfe(
    function: Callable[[Floats], tuple[float, Floats]],
    x: Floats,
    value: float,
    gradient: Floats,
    direction: Floats,
    *,
    first: float = 1.0,
    decrease: float = 1e-4,
    curvature: float = 0.9,
    noise: float = 1e-6,
    shortest: float = 1e-100,
    trials: int = 30,
) -> Searched:
    """Find a step that satisfies the strong Wolfe conditions.

    A trial whose value is not finite counts as too long.

    Parameters
    ----------
    function : callable
        Returns value and gradient at a point.
    x, gradient, direction : ndarray, shape (n,)
        Start, gradient there, and where to go.
    value : float
        The function at the start.
    first : float, optional
        Length of the first trial.
    decrease, curvature : float, optional
        The constants c1 and c2 of the conditions, ``0 < c1 < c2 < 1``.
    noise : float, optional
        Rounding of the value, relative to the value at the start.
    shortest : float, optional
        Length at which the search gives up.
    trials : int, optional
        Largest number of evaluations.

    Returns
    -------
    Searched
        The point, whether it satisfies the conditions, and what it cost.

    Notes
    -----
    Nocedal and Wright (2006), Numerical optimization; Hager and Zhang (2005), SIAM J. Optim. 16, 170.

    Examples
    --------
    >>> bowl = lambda x: (float(x @ x), 2 * x)
    >>> found = strong_wolfe(bowl, np.array([1.0]), 1.0, np.array([2.0]), np.array([-2.0]))
    >>> found.point.length, found.wolfe
    (0.5, True)
    """
    low = origin = LinePoint(0.0, x, value, gradient, float(gradient @ direction))
    if not (math.isfinite(value) and origin.slope < 0):
        return Searched(origin, 0, wolfe=False)
    rules = _Conditions(origin, decrease, curvature, noise * abs(value))
    high: LinePoint | None = None
    length, widths, count = first, [math.inf, math.inf], 0
    while count < trials and length >= shortest:
        count += 1
        at = x + length * direction
        reached, slopes = function(at)
        trial = LinePoint(
            length, at, reached, slopes, float(slopes @ direction) if math.isfinite(reached) else math.nan
        )
        before = low
        if not math.isfinite(reached) or not rules.falls(trial) or trial.value > low.value + rules.noise:
            high = trial
        elif rules.flat(trial):
            return Searched(trial, count, wolfe=True)
        else:
            beyond = math.inf if high is None else high.length
            high, low = (low if trial.slope * (beyond - low.length) >= 0 else high), trial
        if high is None:
            length = _farther(before, low)
            if not math.isfinite(length):
                break
            continue
        widths = [*widths[-1:], abs(high.length - low.length)]
        length = _between(low, high, rules.noise, halve=widths[1] > 0.66 * widths[0])
        if length in (low.length, high.length):
            break
    return Searched(low if low.value < value else origin, count, wolfe=False)


def _farther(a: LinePoint, b: LinePoint) -> float:
    """Return a trial beyond ``b``, by the secant of the slopes, between twice and ten times as far."""
    secant = b.length + (b.length - a.length) * b.slope / (a.slope - b.slope) if a.slope < b.slope else math.inf
    return min(max(secant, 2 * b.length), 10 * b.length)


def _between(low: LinePoint, high: LinePoint, noise: float, *, halve: bool) -> float:
    """Return a trial between two points, nearer to where the function is lowest."""
    width = high.length - low.length
    if not math.isfinite(high.value):
        return low.length + 0.1 * width
    share = math.nan
    if not halve:
        share = _secant(low, high) if abs(high.value - low.value) <= noise else _cubic(low, high, width)
    if not math.isfinite(share) or not 0 < share < 1:
        share = 0.5
    return low.length + min(max(share, 1e-3), 0.9) * width


def _secant(low: LinePoint, high: LinePoint) -> float:
    """Return where the slope vanishes, as a share of the interval."""
    return low.slope / (low.slope - high.slope) if low.slope * high.slope < 0 else math.nan


def _cubic(low: LinePoint, high: LinePoint, width: float) -> float:
    """Return the minimum of the cubic through two values and slopes, as a share of the interval."""
    a, b, rise = low.slope * width, high.slope * width, high.value - low.value
    second, third = 3 * rise - 2 * a - b, a + b - 2 * rise
    inside = second * second - 3 * a * third
    if not 0 <= inside < math.inf:
        return math.nan
    root = math.sqrt(inside)
    # of the two forms of the root, the one without cancellation
    top, bottom = (-a, second + root) if second > 0 else (root - second, 3 * third)
    return top / bottom if bottom else math.nan
