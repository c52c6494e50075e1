"""Newton's method for the simplified flame: temperatures and burning velocity together, on nested uniform grids.

Second-order central differences; the derivative conditions at both ends by mirrored points. The equation at the cut has
no temperature of its own to determine, for that is given: it determines s_L, the border of a tridiagonal matrix. The
error is a series in even powers of the cell, and Richardson's extrapolation over three grids removes two of its terms.
Nothing is taken from a reference: Newton begins at the front of `retrodict.physics.flames.simplified_front`.

At the end of the domain ``T' = 0``. That has false solutions too, slow flames that are still rising at the end: where
fuel is left there, the solution is refused as ``invalid``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.flames.simplified import SimplifiedMixture
from retrodict.physics.flames.simplified_front import balanced_speed, front
from retrodict.solvers.base import Status

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["GridFlame", "SimplifiedSolution", "discrete_residual", "grid_flame", "solve_bordered", "solve_simplified"]

Floats = NDArray[np.float64]
_STEPS = 80


@dataclass(frozen=True, eq=False)
class GridFlame:
    """The solution of the difference equations on one grid.

    Parameters
    ----------
    T : ndarray, shape (cells + 1,)
        Temperatures in K.
    speed : float
        Burning velocity in m/s.
    steps : int
        Of Newton's method.
    status : Status
        ``converged``, ``invalid`` where fuel is left at the end, ``failed``.
    """

    T: Floats
    speed: float
    steps: int
    status: Status


@dataclass(frozen=True, eq=False)
class SimplifiedSolution:
    """A flame, extrapolated to cells of no size.

    Parameters
    ----------
    mixture : SimplifiedMixture
        Gas, reaction, conditions.
    speed : float
        Burning velocity in m/s.
    error : float
        Estimate of its relative error.
    x, T : ndarray
        Places in m and temperatures in K.
    grids : tuple of float
        Burning velocities on the three grids, coarse to fine.
    steps : int
        Of Newton's method, all grids together.
    status : Status
        The worst of the three grids.
    """

    mixture: SimplifiedMixture
    speed: float
    error: float
    x: Floats
    T: Floats
    grids: tuple[float, ...]
    steps: int
    status: Status

    def to_dataset(self) -> xr.Dataset:
        """Return burning velocity, its estimated error and the temperature, with units."""
        import xarray as xr

        return xr.Dataset(
            {
                "s_L": ((), self.speed, {"units": "m s-1", "long_name": "burning velocity"}),
                "error": ((), self.error, {"units": "1", "long_name": "estimated relative error of s_L"}),
                "T": ("x", self.T, {"units": "K", "long_name": "temperature"}),
            },
            {"x": ("x", self.x, {"units": "m", "long_name": "distance from the cut"})},
            {"status": self.status.value, "steps": self.steps},
        )


def discrete_residual(mixture: SimplifiedMixture, T: Tensor, s_L: Tensor, q: Mapping[str, Any] | None = None) -> Tensor:
    """Return the difference equations, shape (cells + 1,), W/m^3; ``T[0]`` is the temperature of the fresh gas.

    Parameters
    ----------
    mixture : SimplifiedMixture
        Gas, reaction, conditions.
    T : Tensor, shape (cells + 1,)
        Temperatures in K.
    s_L : Tensor
        Burning velocity in m/s, a number or one a point.
    q : Mapping of str to Tensor or float, optional
        As in `SimplifiedMixture.mass_flux`; ``slope`` among them.

    Returns
    -------
    Tensor
        Residuals.

    Examples
    --------
    >>> burnt = torch.full((5,), 4843.454545454545, dtype=torch.float64)
    >>> r = discrete_residual(SimplifiedMixture(slope=1.0), burnt, torch.tensor(0.3))
    >>> bool((r[1:].abs() < 1e-3).all())
    True
    """
    h = mixture.length / (len(T) - 1)
    slope = q["slope"] if q is not None and "slope" in q else mixture.slope
    before = torch.cat([(T[1] - 2 * h * slope).reshape(1), T[:-1]])
    behind = torch.cat([T[1:], T[-2:-1]])
    return mixture.residual(T, (behind - before) / (2 * h), (behind - 2 * T + before) / h**2, s_L, q)


def solve_bordered(mixture: SimplifiedMixture, T: Floats, s_L: float, right: Floats) -> tuple[Floats, Floats]:
    """Solve the linearised difference equations.

    Parameters
    ----------
    mixture : SimplifiedMixture
        Gas, reaction, conditions.
    T : ndarray, shape (cells + 1,)
        Where to linearise.
    s_L : float
        Where to linearise.
    right : ndarray, shape (cells + 1, k)
        Right sides.

    Returns
    -------
    tuple of ndarray
        Changes of the temperatures behind the cut, shape (cells, k), and of s_L, shape (k,).
    """
    from scipy.linalg import solve_banded

    count, h = len(T), mixture.length / (len(T) - 1)
    t, s = torch.from_numpy(T).requires_grad_(), torch.full((count,), s_L, dtype=torch.float64, requires_grad=True)
    total = discrete_residual(mixture, t, s).sum()
    by_speed = torch.autograd.grad(total, s, retain_graph=True)[0].numpy()
    by_rate = torch.autograd.grad(mixture.rate(t, s).sum(), t)[0].numpy()
    carried, spread = mixture.mass_flux(s_L) * mixture.heat_capacity / (2 * h), mixture.conductivity / h**2
    bands = np.zeros((3, count - 1))
    bands[0, 1:], bands[2, :-1] = carried - spread, -carried - spread
    bands[2, -2] = -2 * spread
    bands[1] = 2 * spread - mixture.heat_release * by_rate[1:]
    sides = np.column_stack([right[1:], by_speed[1:]])
    found: Floats = np.asarray(solve_banded((1, 1), bands, sides, check_finite=False), dtype=np.float64)
    inner, border = found[:, :-1], found[:, -1]
    # the equation at the cut knows the first temperature behind it, and s_L
    speed = (right[0] + 2 * spread * inner[0]) / (by_speed[0] + 2 * spread * border[0])
    return inner - border[:, None] * speed, speed


def grid_flame(mixture: SimplifiedMixture, T: Floats, s_L: float) -> GridFlame:
    """Return the solution on the grid of the temperatures that are given to start from.

    Parameters
    ----------
    mixture : SimplifiedMixture
        Gas, reaction, conditions.
    T : ndarray, shape (cells + 1,)
        Temperatures on a uniform grid.
    s_L : float
        Burning velocity.

    Returns
    -------
    GridFlame
        With a status.

    Examples
    --------
    >>> mixture = SimplifiedMixture()
    >>> start = front(mixture, 0.3, np.linspace(0, mixture.length, 401))
    >>> round(grid_flame(mixture, start, 0.3).speed, 6)
    0.267812
    """
    T, rise = np.array(T, float), mixture.burnt_temperature - mixture.inlet_temperature
    T[0] = mixture.inlet_temperature
    for step in range(1, _STEPS + 1):
        with torch.no_grad():
            r = discrete_residual(mixture, torch.from_numpy(T), torch.tensor(s_L, dtype=torch.float64)).numpy()
        try:
            inner, speed = solve_bordered(mixture, T, s_L, -r[:, None])
        except (np.linalg.LinAlgError, ValueError):
            return GridFlame(T, s_L, step, Status.FAILED)
        change, faster = inner[:, 0], float(speed[0])
        if not (np.isfinite(faster) and np.isfinite(change).all()):
            return GridFlame(T, s_L, step, Status.FAILED)
        size = max(float(np.abs(change).max()) / rise, abs(faster) / s_L)
        share = min(1.0, 0.3 / max(size, 1e-300))
        s_L += share * faster
        # far from the solution Newton overshoots; none is out of these bounds
        T[1:] = np.clip(T[1:] + share * change, 0.5 * mixture.inlet_temperature, 1.05 * mixture.burnt_temperature)
        if size < 1e-10:
            left = (mixture.burnt_temperature - T[-1]) / rise
            return GridFlame(T, s_L, step, Status.CONVERGED if left < 0.1 else Status.INVALID)
    return GridFlame(T, s_L, _STEPS, Status.FAILED)


def solve_simplified(mixture: SimplifiedMixture, *, cells: int = 400, start: float | None = None) -> SimplifiedSolution:
    """Return the flame of a mixture by Newton's method on three nested grids.

    Parameters
    ----------
    mixture : SimplifiedMixture
        Gas, reaction, conditions.
    cells : int, optional
        Of the coarsest grid; the others have twice and four times as many. Where that is too coarse for a thin flame,
        so many more are taken as it needs, up to eight times.
    start : float, optional
        Burning velocity in m/s from which that of the start is sought, see `balanced_speed`.

    Returns
    -------
    SimplifiedSolution
        With an error estimate and a status.

    Raises
    ------
    SolverError
        If there are fewer than 8 cells, or the gas would have to flow faster than sound.

    Examples
    --------
    >>> found = solve_simplified(SimplifiedMixture(phi=0.5))
    >>> round(found.speed, 8), found.error < 1e-8, found.status.value
    (0.39434991, True, 'converged')
    """
    if cells < 8:
        raise SolverError(expected("solve_simplified.cells", cells, "at least 8"))
    s = balanced_speed(mixture, start if start is not None else 0.4)
    mixture.check_subsonic(s)
    for finer in (1, 2, 4, 8):
        solution = _extrapolated(mixture, finer * cells, s)
        if solution.status.ok:
            break
    return solution


def _extrapolated(mixture: SimplifiedMixture, cells: int, s_L: float) -> SimplifiedSolution:
    """Return what three grids say together."""
    found = [grid_flame(mixture, front(mixture, s_L, np.linspace(0.0, mixture.length, cells + 1)), s_L)]
    for k in (2, 4):
        last = found[-1]
        finer = np.interp(np.linspace(0.0, 1.0, k * cells + 1), np.linspace(0.0, 1.0, len(last.T)), last.T)
        found.append(grid_flame(mixture, finer, last.speed) if last.status.ok else replace(last, T=finer))
    a, b, c = (f.speed for f in found)
    once = (4 * b - a) / 3, (4 * c - b) / 3
    twice = (16 * once[1] - once[0]) / 15
    T = (4 * found[2].T[::2] - found[1].T) / 3
    worst = next((f.status for f in found if not f.status.ok), Status.CONVERGED)
    x = np.linspace(0.0, mixture.length, 2 * cells + 1)
    error = abs(twice / once[1] - 1) if worst.ok else np.inf
    return SimplifiedSolution(mixture, twice, error, x, T, (a, b, c), sum(f.steps for f in found), worst)
