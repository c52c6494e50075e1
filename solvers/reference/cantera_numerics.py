"""Grid and accuracy of a reference flame, checked before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import ConfigError, SpaceError, expected
from retrodict.solvers.reference.cantera_changes import positive

__all__ = ["USUAL", "Grid", "Numerics", "Refine", "anchor_of", "numerics_of", "tight"]

_CANTERAS = (1e-4, 1e-9)
Grid = int | Sequence[float] | NDArray[np.float64]
Refine = Sequence[float]
USUAL = (3.0, 0.06, 0.12, 0.0)
"""Cantera's usual refinement: ratio, slope, curve, prune. One-step burning velocities are 1.5 % too high with it."""


@dataclass(frozen=True)
class Numerics:
    """Grid and accuracy.

    Parameters
    ----------
    width : float
        [m].
    points : tuple of float or None
        Grid [m]; None leaves it to Cantera.
    refine : tuple of float or None
        Ratio, slope, curve and prune; None keeps the grid.
    tolerances : (float, float) or None
        Relative and absolute; None leaves Cantera's.
    """

    width: float
    points: tuple[float, ...] | None
    refine: tuple[float, ...] | None
    tolerances: tuple[float, float] | None

    @property
    def place(self) -> dict[str, Any]:
        """Arguments of a Cantera flame."""
        return {"width": self.width} if self.points is None else {"grid": np.array(self.points)}

    def run(self, flame: Any, *, auto: bool = False) -> None:
        """Solve with Cantera's tolerances, then with those wanted: at once, tight ones often fail."""
        if self.refine is not None:
            flame.set_refine_criteria(*self.refine)
        flame.solve(0, refine_grid=self.refine is not None, auto=auto)
        if self.tolerances is not None and self.tolerances != _CANTERAS:
            flame.flame.set_steady_tolerances(default=self.tolerances)
            flame.solve(0, refine_grid=self.refine is not None)


def tight(grid: Grid | None, refine: Refine | None) -> tuple[float, float] | None:
    """Return tolerances for a fixed grid, where a difference of two flames means something, None otherwise.

    Examples
    --------
    >>> tight(101, None), tight(101, USUAL)
    ((1e-09, 1e-13), None)
    """
    return (1e-9, 1e-13) if grid is not None and refine is None else None


def numerics_of(
    width: float | None, grid: Grid | None, refine: Refine | None, tolerances: tuple[float, float] | None
) -> Numerics:
    """Check grid and accuracy.

    Raises
    ------
    SpaceError
        If a number is not positive, or the grid is too short or does not ascend.
    ConfigError
        If width and grid say nothing or too much, or a criterion of refinement is out of range.

    Examples
    --------
    >>> numerics_of(0.01, None, None, None).refine
    (3.0, 0.06, 0.12, 0.0)
    """
    points: tuple[float, ...] | None = None
    if grid is None or isinstance(grid, int):
        if width is None:
            raise ConfigError(expected("width", "none", "a width in m, or the points of a grid"))
        span = positive("width", width)
        if isinstance(grid, int):
            points = tuple(np.linspace(0.0, span, grid)) if grid > 1 else ()
    elif width is not None:
        raise ConfigError(expected("width", f"{width} beside the points of a grid", "one of the two"))
    else:
        points = tuple(np.asarray(grid, float).ravel())
        span = points[-1] - points[0] if points else 0.0
    if points is not None and (len(points) < 6 or not np.all(np.diff(points) > 0) or not np.isfinite(span)):
        raise SpaceError(expected("grid", f"{len(points)} points", "at least 6, finite and strictly ascending"))
    if refine is None and points is None:
        refine = USUAL
    if refine is not None:
        refine = tuple(float(r) for r in refine)
        limits = len(refine) in (3, 4) and refine[0] >= 2 and min(refine[1:3]) > 0 and max(refine[1:3]) <= 1
        if not limits:
            raise ConfigError(expected("refine", refine, "ratio >= 2, slope and curve in (0, 1], and prune"))
    if tolerances is not None:
        tolerances = positive("tolerances[0]", tolerances[0]), positive("tolerances[1]", tolerances[1])
    return Numerics(span, points, refine, tolerances)


def anchor_of(anchor: tuple[float, float] | None, numerics: Numerics, T_in: float) -> tuple[int, float] | None:
    """Return the point of a fixed grid, by its index, and the temperature [K] that hold a flame in place.

    Raises
    ------
    SpaceError
        If it is no inner point of the grid, or not hotter than the unburnt gas.
    ConfigError
        If the grid is not fixed.

    Examples
    --------
    >>> anchor_of((0.004, 700.0), numerics_of(0.01, 11, None, None), 300.0)
    (4, 700.0)
    """
    if anchor is None:
        return None
    if numerics.points is None or numerics.refine is not None:
        raise ConfigError(expected("anchor", anchor, "none, unless the grid is fixed"))
    x, T = anchor
    near = int(np.argmin(np.abs(np.asarray(numerics.points) - x)))
    inside = near not in (0, len(numerics.points) - 1) and abs(numerics.points[near] - x) <= 1e-9 * numerics.width
    if not (inside and T_in < T):
        raise SpaceError(expected("anchor", anchor, f"an inner point of the grid and a temperature above {T_in} K"))
    return near, float(T)
