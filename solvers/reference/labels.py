"""Where a value of Burgers' equation came from: labels, their primitive, and the search for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from retrodict.physics.errors import SolverError, expected
from retrodict.solvers.reference.periodic import Array, Interval, Profile

__all__ = ["Label", "labelled", "lowest_source", "monotone_root"]

_CELLS = 65536
_CANDIDATES = 4


@dataclass(frozen=True)
class Label:
    """An initial condition without its mean, and what bounds the search in it.

    Parameters
    ----------
    interval : Interval
        One period.
    mean : float
        What was taken out.
    value, primitive : Profile
        ``u0`` and its periodic primitive, for points of the interval.
    amplitude, steepness, fall : float
        The largest ``|u0|``, ``|u0'|`` and ``-u0'``.
    """

    interval: Interval
    mean: float
    value: Profile
    primitive: Profile
    amplitude: float
    steepness: float
    fall: float


def labelled(initial: Profile, interval: Interval, primitive: Profile | None = None) -> Label:
    """Prepare an initial condition.

    Parameters
    ----------
    initial : Profile
        The initial condition.
    interval : Interval
        One period.
    primitive : Profile, optional
        A primitive of it on the closed interval.

    Returns
    -------
    Label
        Slopes are right to about 1e-8; the primitive to round-off.

    Raises
    ------
    SolverError
        If a value is not finite.

    Examples
    --------
    >>> label = labelled(lambda x: 3 + np.sin(x), Interval(2 * np.pi))
    >>> round(label.mean, 12), round(label.fall, 7)
    (3.0, 1.0)
    """
    edges = interval.origin + interval.period * np.arange(_CELLS + 1) / _CELLS
    values = np.broadcast_to(np.asarray(initial(edges[:-1]), dtype=np.float64), (_CELLS,))
    if not np.isfinite(values).all():
        raise SolverError(expected("initial", "values that are not finite", "finite values on the interval"))
    if primitive is None:
        table = _table(initial, edges)
        mean = float(table[-1]) / interval.period
        # as a function of the index, so that both ends agree to the last bit
        table = (table - table[-1] * np.arange(_CELLS + 1) / _CELLS).astype(np.float64)
        periodic = _hermite(table, np.append(values, values[0]) - mean, interval)
    else:
        first, last = (float(primitive(np.asarray(e))) for e in (edges[0], edges[-1]))
        mean = (last - first) / interval.period
        periodic = _periodic(primitive, mean, interval.origin)
    slope = (np.roll(values, -1) - np.roll(values, 1)) * (_CELLS / (2 * interval.period))

    def value(x: Array) -> Array:
        return np.asarray(np.broadcast_to(initial(x), x.shape) - mean)

    amplitude = float(np.abs(values - mean).max())
    return Label(interval, mean, value, periodic, amplitude, float(np.abs(slope).max()), _peak(-slope))


def _peak(samples: Array) -> float:
    """Return the maximum between periodic samples, by the parabola through the largest."""
    i = int(np.argmax(samples))
    left, top, right = (float(samples[(i + j) % len(samples)]) for j in (-1, 0, 1))
    bend = 2 * top - left - right
    return top + (right - left) ** 2 / (8 * bend) if bend > 0 else top


def _periodic(primitive: Profile, mean: float, origin: float) -> Profile:
    def periodic(x: Array) -> Array:
        return np.asarray(primitive(x) - mean * (x - origin))

    return periodic


def _table(initial: Profile, edges: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.longdouble]]:
    """Return the integral of a function up to every edge, by Gauss-Legendre points in every cell."""
    nodes, weights = np.polynomial.legendre.leggauss(4)
    half, centre = np.diff(edges) / 2, (edges[1:] + edges[:-1]) / 2
    values = np.broadcast_to(initial(centre[:, None] + half[:, None] * nodes), (len(half), 4))
    # 65536 additions in double precision would cost three digits
    return np.concatenate([[0], np.cumsum(((values @ weights) * half).astype(np.longdouble))])


def _hermite(table: Array, slope: Array, interval: Interval) -> Profile:
    """Return the cubic through values and slopes at equidistant nodes: h^4 f''''/384 is far below round-off."""
    h = interval.period / _CELLS

    def primitive(x: Array) -> Array:
        place = (x - interval.origin) / h
        cell = np.minimum(place.astype(np.intp), _CELLS - 1)
        z = place - cell
        left, right = table[cell], table[cell + 1]
        rise = right - left
        low, high = h * slope[cell] - rise, rise - h * slope[cell + 1]
        return np.asarray(left + z * rise + z * (1 - z) * ((1 - z) * low + z * high))

    return primitive


def monotone_root(label: Label, x: Array, t: Array, low: Array, high: Array, steps: int = 100) -> Array:
    """Return the label ``X`` with ``X + t u0(X) = x`` where the left side rises through `x`.

    Parameters
    ----------
    label : Label
        The initial condition.
    x, t, low, high : ndarray, shape (P,)
        Points, times, and a bracket: the left side is below `x` at its lower end and above at its upper.
    steps : int, optional
        Most of them; every third halves the bracket, the others are Newton's.

    Returns
    -------
    ndarray, shape (P,)
        Labels; at a jump of the left side its place.

    Examples
    --------
    >>> label = labelled(np.sin, Interval(2 * np.pi))
    >>> x, t = np.array([1.0 + 0.5 * np.sin(1.0)]), np.array([0.5])
    >>> bool(abs(monotone_root(label, x, t, x - 0.5, x + 0.5) - 1)[0] < 1e-14)
    True
    """
    value = _wrapped(label)
    low, high, at = low.copy(), high.copy(), x - t * value(x)
    shift = 1e-6 * label.interval.period
    at = np.where((at > low) & (at < high), at, (low + high) / 2)
    for step in range(steps):
        gap = at + t * value(at) - x
        np.copyto(low, at, where=gap <= 0)
        np.copyto(high, at, where=gap >= 0)
        # a derivative by differences leaves Newton's method linear, at a rate of 1e-9
        slope = 1 + t * (value(at + shift) - value(at - shift)) / (2 * shift)
        ahead = at - np.divide(gap, slope, out=np.full_like(gap, np.inf), where=slope > 0)
        outside = ~((ahead > low) & (ahead < high))
        # a Newton step that rounding throws out of a bracket already found must not be replaced by half of it
        done = (np.abs(gap) <= 2 * np.finfo(float).eps * (np.abs(at) + label.interval.period)) & (slope > 1e-3)
        middle = outside if step % 3 != 2 else np.ones_like(outside)
        ahead = np.where(done, at, np.where(middle, (low + high) / 2, ahead))
        small = np.abs(ahead - at) <= np.finfo(float).eps * np.abs(at)
        at = ahead
        if (done | small).all():
            break
    return at


def _wrapped(label: Label) -> Callable[[Array], Array]:
    return lambda x: label.value(label.interval.wrap(x))


def lowest_source(label: Label, x: Array, t: Array, nodes: int) -> Array:
    """Return ``u = s / t`` at the distance `s` that minimises ``s^2 / (2 t) + U0(x - s)``.

    Parameters
    ----------
    label : Label
        The initial condition.
    x, t : ndarray, shape (P,)
        Points and positive times.
    nodes : int
        Where minima are looked for before they are refined.

    Returns
    -------
    ndarray, shape (P,)
        Velocities without the mean; the mean of two where two minima agree to round-off.

    Examples
    --------
    >>> label = labelled(np.sin, Interval(2 * np.pi))
    >>> x, t = np.array([1 + 2 * np.sin(1.0)]), np.array([2.0])
    >>> bool(abs(lowest_source(label, x, t, 64)[0] - np.sin(1.0)) < 1e-14)
    True
    """
    # the minimum lies within half a period and within the distance of the fastest value
    reach = np.minimum(label.interval.period / 2, 1.01 * t * label.amplitude + 1e-9 * label.interval.period * (t > 0))
    grid = np.linspace(-1, 1, nodes) * (1 + 3 / nodes)
    s = reach[:, None] * grid
    action = _action(label, x[:, None], s, t[:, None])
    inner = action[:, 1:-1]
    minimum = (inner <= action[:, :-2]) & (inner < action[:, 2:])
    height = np.where(minimum, inner, np.inf)
    best = np.argsort(height, axis=1)[:, :_CANDIDATES] + 1
    rough = np.take_along_axis(s, best, 1)
    step = reach * (grid[1] - grid[0])
    point, which = np.nonzero(np.isfinite(np.take_along_axis(height, best - 1, 1)))
    at, near, span, when = x[point], rough[point, which], step[point], t[point]
    source = monotone_root(label, at, when, at - near - span, at - near + span)
    heights, values = np.full(best.shape, np.inf), np.zeros(best.shape)
    heights[point, which] = _action(label, at, at - source, when)
    values[point, which] = _velocity(label, at, when, source)
    return _lowest(values.T, heights.T, label.amplitude**2 * t + 1e-300)


def _action(label: Label, x: Array, s: Array, t: Array) -> Array:
    return np.asarray(s**2 / (2 * t) + label.primitive(label.interval.wrap(x - s)))


def _velocity(label: Label, x: Array, t: Array, source: Array) -> Array:
    """Return the initial value at a label, or, inside a fan that leaves a jump, the slope of the ray."""
    carried, ray = label.value(label.interval.wrap(source)), (x - source) / t
    return np.where(np.abs(carried - ray) <= 1e-7 * label.amplitude + 1e-14 * np.abs(x) / t, carried, ray)


def _lowest(values: Array, heights: Array, scale: Array) -> Array:
    """Return the value of the lowest candidate, or the mean of the extremes among equally low ones."""
    equal = heights <= heights.min(0) + 8 * np.finfo(float).eps * scale
    low = np.where(equal, values, np.inf).min(0)
    high = np.where(equal, values, -np.inf).max(0)
    return np.asarray((low + high) / 2)
