"""Error of a flame's observable by Richardson's extrapolation: the same flame on its nodes and on these halved.

With an error ``C h^k``, where ``k`` is 1 for upwind convection and 2 for central, values ``a`` on the nodes and ``b``
on the halved ones give the limit ``b + (b - a) / (2^k - 1)`` [Roache, Annu. Rev. Fluid Mech. 29 (1997) 123]. The two
grids must be nested: how the error changes between grids placed anew follows no such law.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from retrodict.physics.errors import SolverError, SpaceError, expected
from retrodict.solvers.flames.grid import halved
from retrodict.solvers.flames.refinement import solved_on
from retrodict.solvers.flames.solution import FlameSolution
from retrodict.solvers.newton import NewtonSettings

__all__ = ["Extrapolation", "extrapolated", "on_halved"]

_SETTINGS = NewtonSettings(relative=1e-11, attempts=6)
_ORDERS = {"upwind": 1, "central": 2}


@dataclass(frozen=True)
class Extrapolation:
    """An observable on two nested grids, and its limit.

    Parameters
    ----------
    coarse, fine : float
        Values on the nodes and on the halved ones.
    order : int
        Order of the scheme.
    nodes : tuple of (int, int)
        Numbers of nodes of both.
    """

    coarse: float
    fine: float
    order: int
    nodes: tuple[int, int]

    @property
    def limit(self) -> float:
        """The value extrapolated to a grid of no width."""
        return self.fine + (self.fine - self.coarse) / (2.0**self.order - 1)

    @property
    def error_coarse(self) -> float:
        """Estimate of ``coarse`` minus the limit."""
        return self.coarse - self.limit

    @property
    def error_fine(self) -> float:
        """Estimate of ``fine`` minus the limit."""
        return self.fine - self.limit


def on_halved(solved: FlameSolution) -> FlameSolution:
    """Solve a flame again with a new node in the middle of every cell.

    Parameters
    ----------
    solved : FlameSolution
        A converged flame.

    Returns
    -------
    FlameSolution
        Failure is a status with a reason.

    Raises
    ------
    SolverError
        If the flame did not converge.
    """
    return solved_on(solved.required("on_halved"), halved(solved.equations.x.numpy()), _SETTINGS)


def extrapolated(solved: FlameSolution, observable: str = "s_L", finer: FlameSolution | None = None) -> Extrapolation:
    """Estimate the discretisation error of a scalar observable.

    Parameters
    ----------
    solved : FlameSolution
        A converged flame.
    observable : str
        Name of a scalar: ``"s_L"``, ``"m"``, ``"Lambda"``.
    finer : FlameSolution, optional
        The flame on the halved nodes where it is already there, from `on_halved`.

    Returns
    -------
    Extrapolation

    Raises
    ------
    SpaceError
        If the observable is not a scalar of the flame.
    SolverError
        If the flame did not converge on one of the grids, or the second one is not the first one halved.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> from retrodict.solvers.flames.premixed import FreeFlame
    >>> gas = load_mechanism("h2o2.yaml")
    >>> Y = gas.composition("H2", "O2:1, AR:3.76", 1.0).numpy()
    >>> flame = FreeFlame(gas, Y, 300.0, 101325.0, points=60).solve()
    >>> found = extrapolated(flame)
    >>> found.nodes, abs(found.error_fine) < abs(found.error_coarse)
    ((60, 119), True)
    """
    seen = solved.observables()
    scalars = sorted(n for n, v in seen.items() if v.ndim == 0)
    if observable not in scalars:
        raise SpaceError(expected("extrapolated", repr(observable), f"one of {scalars}"))
    finer = on_halved(solved) if finer is None else finer
    coarse_x, fine_x = solved.equations.x, finer.equations.x
    if fine_x.numel() != 2 * coarse_x.numel() - 1 or not torch.equal(fine_x[::2], coarse_x):
        raise SolverError(expected("extrapolated", f"{fine_x.numel()} nodes", "the nodes of the first flame halved"))
    finest = finer.required("extrapolated, halved nodes").observables()
    values = float(seen[observable]), float(finest[observable])
    return Extrapolation(*values, _ORDERS[solved.equations.scheme], (coarse_x.numel(), fine_x.numel()))
