"""Burgers' equation ``u_t + u u_x = nu u_xx`` on a periodic interval, exactly: Cole-Hopf, characteristics, Lax-Oleinik.

Hopf, Comm. Pure Appl. Math. 3 (1950) 201; Cole, Quart. Appl. Math. 9 (1951) 225; Lax, Comm. Pure Appl. Math. 10 (1957)
537. All three read ``s^2 / (2 t) + U0(x - s)``, a function of the distance `s` from which a value came, with `U0` the
primitive of the initial condition: a mean with weights ``exp(-. / (2 nu))``, its only stationary point, or its global
minimum. The mean of the initial condition is a drift, taken out by a Galilean shift, so that the primitive is periodic
and a large drift costs no accuracy.
"""

from __future__ import annotations

import numpy as np

from retrodict.physics.errors import SolverError, expected
from retrodict.solvers.reference.labels import Label, labelled, lowest_source, monotone_root
from retrodict.solvers.reference.periodic import Array, Interval, Profile, Solution, elementwise

__all__ = ["cole_hopf", "entropy_solution", "inviscid", "shock_time"]

_BLOCK = 1 << 18
_POINTS = 16
_REACH = 6.5
"""Half-widths ``sqrt(4 nu t)`` beyond which the weights are below 1e-18."""


def cole_hopf(
    initial: Profile,
    diffusivity: float,
    *,
    period: float,
    origin: float = 0.0,
    offset: float = 0.0,
    primitive: Profile | None = None,
) -> Solution:
    """Return the solution of ``u_t + u u_x = nu u_xx`` by quadrature of the Cole-Hopf formula.

    Parameters
    ----------
    initial : Profile
        ``u(x, 0) - offset`` for `x` in ``[origin, origin + period)``; it is continued periodically.
    diffusivity : float
        `nu`, positive.
    period, origin : float
        The interval.
    offset : float, optional
        A constant to add to the initial condition; given apart, it costs no rounding at all.
    primitive : Profile, optional
        A primitive of `initial` on the closed interval. Without it a table is made, right to round-off.

    Returns
    -------
    Solution
        ``u(x, t)``; at ``t = 0`` the initial condition itself.

    Raises
    ------
    SolverError
        If the diffusivity is not positive, or the initial condition is not finite.

    Notes
    -----
    ``u = int u0(x - s) e^E ds / int e^E ds`` with ``E(s) = -s^2 / (4 nu t) - U0(x - s) / (2 nu)``, which integration by
    parts makes of the usual ``s / t`` in place of ``u0``; as a weighted mean it keeps the maximum principle and loses
    nothing at small times. A jump or a kink where the interval begins, which a bump that has not died out there makes,
    costs no accuracy; elsewhere the initial condition must be smooth.

    Examples
    --------
    >>> u = cole_hopf(np.sin, 0.1, period=2 * np.pi)
    >>> bool(abs(u(np.pi, 1.0)) < 1e-15), round(float(u(np.pi / 2, 1e-9)), 8)
    (True, 1.0)
    """
    if not (np.isfinite(diffusivity) and diffusivity > 0):
        raise SolverError(expected("cole_hopf: diffusivity", diffusivity, "a positive number"))
    label = labelled(initial, Interval(period, origin), primitive)
    drift = offset + label.mean

    def solve(x: Array, t: Array) -> Array:
        u, back = np.empty_like(x), label.interval.wrap(x - drift * t)
        late = t * diffusivity > np.finfo(float).tiny * label.interval.period**2
        u[~late] = label.value(back[~late])
        order = np.flatnonzero(late)[np.argsort(t[late], kind="stable")]
        while len(order):
            # one division into panels serves times up to twice the first
            block = order[: np.searchsorted(t[order], 2 * t[order[0]], side="right")]
            panels, count = _panels(label, diffusivity, float(t[block[0]]), float(t[block[-1]]))
            block = block[: max(_BLOCK // (count * _POINTS), 1)]
            u[block] = _mean(label, diffusivity, back[block], t[block], panels, count)
            order = order[len(block) :]
        return u + drift

    return elementwise("cole_hopf", solve)


def _reach(label: Label, diffusivity: float, t: Array) -> Array:
    """Return the largest distance from which a value comes: the minimum's bound and the width of the weights."""
    bound = np.minimum(label.interval.period / 2, t * label.amplitude)
    return np.asarray(bound + _REACH * np.sqrt(4 * diffusivity * t))


def _panels(label: Label, diffusivity: float, first: float, last: float) -> tuple[int, int]:
    """Return how many panels divide a period, and how many a value needs: three deviations of the narrowest peak."""
    narrowest = np.sqrt(2 * diffusivity * first / (1 + first * label.steepness))
    panels = max(int(np.ceil(label.interval.period / (3 * narrowest))), 4)
    reach = float(_reach(label, diffusivity, np.asarray(last)))
    return panels, int(np.ceil(2 * reach * panels / label.interval.period)) + 1


def _mean(label: Label, diffusivity: float, x: Array, t: Array, panels: int, count: int) -> Array:
    """Return the weighted mean of the initial condition by Gauss-Legendre panels that end at the seam."""
    nodes, gauss = np.polynomial.legendre.leggauss(_POINTS)
    width, origin = label.interval.period / panels, label.interval.origin
    first = np.floor((x - _reach(label, diffusivity, t) - origin) / width)
    panel = first[:, None] + np.arange(count)
    inside = (nodes + 1) / 2
    # the distance from a node to the point, and the node's equivalent in the interval
    s = ((x[:, None] - origin - panel * width)[:, :, None] - width * inside).reshape(len(x), -1)
    y = (origin + width * (np.mod(panel, panels)[:, :, None] + inside)).reshape(len(x), -1)
    exponent = -(s**2) / (4 * diffusivity * t[:, None]) - label.primitive(y) / (2 * diffusivity)
    weight = np.exp(exponent - exponent.max(1, keepdims=True)) * np.tile(gauss, count)
    return np.asarray((weight * label.value(y)).sum(1) / weight.sum(1))


def shock_time(initial: Profile, *, period: float, origin: float = 0.0) -> float:
    """Return when the inviscid solution first breaks, ``1 / max(-u0')``.

    Parameters
    ----------
    initial : Profile
        The initial condition, differentiable.
    period, origin : float
        The interval.

    Returns
    -------
    float
        The time, to about 1e-8 of itself; infinite for a constant.

    Raises
    ------
    SolverError
        If the initial condition is not finite.

    Examples
    --------
    >>> round(shock_time(np.sin, period=2 * np.pi), 7)
    1.0
    """
    fall = labelled(initial, Interval(period, origin)).fall
    return 1 / fall if fall > 0 else np.inf


def inviscid(initial: Profile, *, period: float, origin: float = 0.0, offset: float = 0.0) -> Solution:
    """Return the solution of ``u_t + u u_x = 0`` before its first shock, ``u = u0(x - u t)``.

    Parameters
    ----------
    initial : Profile
        ``u(x, 0) - offset`` for `x` in ``[origin, origin + period)``; it is continued periodically.
    period, origin : float
        The interval.
    offset : float, optional
        A constant to add to the initial condition.

    Returns
    -------
    Solution
        ``u(x, t)``; raises SolverError if a time is after `shock_time`.

    Raises
    ------
    SolverError
        If the initial condition is not finite.

    Notes
    -----
    The label ``X`` with ``X + t u0(X) = x`` is found by Newton's method inside a bracket.

    Examples
    --------
    >>> u = inviscid(np.sin, period=2 * np.pi, offset=5.0)
    >>> X = 2.0
    >>> bool(abs(u(X + 0.5 * (5 + np.sin(X)), 0.5) - 5 - np.sin(X)) < 1e-14)
    True
    """
    label = labelled(initial, Interval(period, origin))
    last = (1 + 1e-7) / label.fall if label.fall > 0 else np.inf
    drift = offset + label.mean

    def solve(x: Array, t: Array) -> Array:
        if t.max() > last:
            got = f"t = {t.max():.6g}, after the shock at {last:.6g}"
            raise SolverError(expected("inviscid", got, "earlier times, or entropy_solution"))
        back = label.interval.wrap(x - drift * t)
        # a little more than the bound on |u0|, which is sampled
        reach = 1.01 * t * label.amplitude
        source = monotone_root(label, back, t, back - reach, back + reach)
        return label.value(label.interval.wrap(source)) + drift

    return elementwise("inviscid", solve)


def entropy_solution(
    initial: Profile,
    *,
    period: float,
    origin: float = 0.0,
    offset: float = 0.0,
    primitive: Profile | None = None,
    nodes: int = 512,
) -> Solution:
    """Return the entropy solution of ``u_t + u u_x = 0``, before and after shocks, by Lax-Oleinik minimisation.

    Parameters
    ----------
    initial : Profile
        ``u(x, 0) - offset`` for `x` in ``[origin, origin + period)``; it is continued periodically, and may jump.
    period, origin : float
        The interval.
    offset : float, optional
        A constant to add to the initial condition.
    primitive : Profile, optional
        A primitive of `initial` on the closed interval. Without it a table is made.
    nodes : int, optional
        Labels among which the minima are first looked for, over the distance that a value can have come.

    Returns
    -------
    Solution
        ``u(x, t)``; at a shock, where two sources are equally good, the mean of both sides.

    Raises
    ------
    SolverError
        If the initial condition is not finite, or there are fewer than eight nodes.

    Examples
    --------
    >>> u = entropy_solution(lambda x: -np.sin(np.pi * x), period=2.0, origin=-1.0)
    >>> u([-1e-9, 0.0, 1e-9], 5.0).round(3).tolist()
    [0.188, 0.0, -0.188]
    """
    if nodes < 8:
        raise SolverError(expected("entropy_solution: nodes", nodes, "at least eight"))
    label = labelled(initial, Interval(period, origin), primitive)
    drift = offset + label.mean

    def solve(x: Array, t: Array) -> Array:
        u, back = np.empty_like(x), label.interval.wrap(x - drift * t)
        late = t > np.finfo(float).tiny * period
        u[~late] = label.value(back[~late])
        moving = np.flatnonzero(late)
        for block in np.array_split(moving, max(-(-len(moving) * nodes // _BLOCK), 1)):
            u[block] = lowest_source(label, back[block], t[block], nodes)
        return u + drift

    return elementwise("entropy_solution", solve)
