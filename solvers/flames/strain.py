"""Counterflow flames over strain: from a flame that burns to larger mass fluxes, up to extinction.

Both mass fluxes are scaled by one factor. The last flame is scaled along, ``m`` and ``V`` by the ratio and ``Lambda``
by its square, then Newton's method solves; where no flame is found the step is cut. The last flame found bounds
extinction from below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from retrodict.physics.errors import SolverError, expected
from retrodict.solvers.flames.grid import equidistributed
from retrodict.solvers.flames.refinement import Progress, solved_on
from retrodict.solvers.flames.solution import FlameSolution
from retrodict.solvers.flames.system import FlameSystem
from retrodict.solvers.newton import NewtonSettings, solve_steady

if TYPE_CHECKING:
    from retrodict.solvers.flames.counterflow import CounterflowPremixedFlame

__all__ = ["Strained", "from_weaker_strain", "raised"]

_POINTS = 120
_ROUGH = NewtonSettings(relative=1e-6, attempts=3)
_EXACT = NewtonSettings(relative=1e-10)


@dataclass(frozen=True)
class Strained:
    """A flame and the factor on both mass fluxes at which it burns.

    Parameters
    ----------
    factor : float
        On the mass fluxes of the flame that was asked for.
    flame : FlameSolution
        The flame.
    """

    factor: float
    flame: FlameSolution


def raised(
    flame: CounterflowPremixedFlame,
    start: Strained,
    end: float,
    *,
    first_step: float = 1.3,
    finest_step: float = 1.01,
    progress: Progress | None = None,
) -> list[Strained]:
    """Follow a burning flame to larger or smaller mass fluxes.

    Parameters
    ----------
    flame : CounterflowPremixedFlame
        Conditions at factor one.
    start : Strained
        A flame that burns.
    end : float
        Factor at which to stop.
    first_step : float
        Ratio of two factors at first.
    finest_step : float
        Smallest ratio that is tried before the flame is given up.
    progress : callable, optional
        Told a line at every flame.

    Returns
    -------
    list of Strained
        The start and what was found, in order; the last one has the factor ``end`` unless the flame went out.

    Raises
    ------
    SolverError
        If the steps are not above one.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> from retrodict.physics.flames.counterflow import CounterflowEquations
    >>> from retrodict.solvers.base import Status
    >>> from retrodict.solvers.flames.counterflow import CounterflowPremixedFlame
    >>> gas = load_mechanism("h2o2.yaml")
    >>> fuel = gas.composition("H2", "O2:1, AR:3.76", 0.6).numpy()
    >>> flame = CounterflowPremixedFlame(gas, fuel, fuel, 1.0, 1.0)
    >>> nodes = CounterflowEquations(gas, torch.linspace(0, 0.02, 3, dtype=torch.float64))
    >>> U = np.tile([1.0, 0.0, 300.0, *fuel], (3, 1))
    >>> start = Strained(1.0, FlameSolution(nodes, flame.params(), U, np.zeros(1), Status.CONVERGED, ""))
    >>> raised(flame, start, 1.5, first_step=1.0)
    Traceback (most recent call last):
    retrodict.physics.errors.SolverError: raised: got steps 1.0 and 1.01, expected 1 < finest <= first
    """
    if not 1 < finest_step <= first_step:
        raise SolverError(expected("raised", f"steps {first_step} and {finest_step}", "1 < finest <= first"))
    found, step, up = [start], first_step, end > start.factor
    while found[-1].factor != end:
        last = found[-1]
        factor = min(end, last.factor * step) if up else max(end, last.factor / step)
        solved = _scaled(flame, last, factor)
        burns = flame.burns(solved)
        if progress is not None:
            progress(f"{factor:.4g} of the mass fluxes: {'burning' if burns else 'no flame found'}")
        if burns:
            found.append(Strained(factor, solved))
            step = min(first_step, step**1.5)
        elif step <= finest_step:
            break
        else:
            step = max(finest_step, step**0.4)
    return found


def from_weaker_strain(
    flame: CounterflowPremixedFlame, fractions: Sequence[float], progress: Progress | None = None
) -> tuple[FlameSolution | None, float]:
    """Look for a flame at smaller mass fluxes and raise them as far as it burns, at most to those wanted.

    Parameters
    ----------
    flame : CounterflowPremixedFlame
        What is wanted.
    fractions : sequence of float
        Of the mass fluxes, in the order in which to try; the first that burns is followed.
    progress : callable, optional
        Told a line at every flame.

    Returns
    -------
    FlameSolution or None
        At the largest fraction; None where none burns.
    float
        Its fraction of the mass fluxes; zero where there is none.
    """
    for factor in fractions:
        points = min(flame.points, _POINTS)
        other = replace(flame, m_u=flame.m_u * factor, m_b=flame.m_b * factor, points=points)
        solved = other.from_cold(progress=progress)
        if progress is not None:
            progress(f"{factor:.4g} of the mass fluxes: {'burning' if flame.burns(solved) else 'no flame found'}")
        if flame.burns(solved):
            last = raised(flame, Strained(factor, solved), 1.0, progress=progress)[-1]
            return (_final(flame, last) if last.factor == 1 else last.flame), last.factor
    return None, 0.0


def _scaled(flame: CounterflowPremixedFlame, last: Strained, factor: float) -> FlameSolution:
    """Return the flame of another factor, with nodes where the last one has them."""
    ratio = factor / last.factor
    U = last.flame.U.copy()
    U[:, :2] *= ratio
    params = replace(flame, m_u=flame.m_u * factor, m_b=flame.m_b * factor).params()
    ended = solve_steady(FlameSystem(last.flame.equations, params), U, last.flame.z * ratio**2, _ROUGH)
    solved = replace(last.flame, params=params, U=ended.U, z=ended.z, status=ended.status, reason=ended.reason)
    return _regridded(solved, U.shape[0], _ROUGH) if flame.burns(solved) else solved


def _final(flame: CounterflowPremixedFlame, last: Strained) -> FlameSolution:
    return _regridded(_regridded(last.flame, flame.points, _ROUGH), flame.points, _EXACT)


def _regridded(solved: FlameSolution, nodes: int, settings: NewtonSettings) -> FlameSolution:
    return solved_on(solved, equidistributed(solved.equations.x.numpy(), solved.U, nodes), settings)
