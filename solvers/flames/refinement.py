"""From a crude start to a resolved flame.

On a coarse grid with upwind differences a numerically thickened free flame always stands. Solving, moving the nodes to
where it is steep, and solving again walks it to its true thickness; the last grids use the scheme that was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from retrodict.physics.flames.equations import FlameEquations, Params
from retrodict.physics.flames.finite_volume import Scheme
from retrodict.solvers.base import Status
from retrodict.solvers.flames.grid import equidistributed
from retrodict.solvers.flames.solution import FlameSolution
from retrodict.solvers.flames.system import FlameSystem
from retrodict.solvers.newton import NewtonSettings, Steady, solve_steady

__all__ = ["Progress", "refined", "solved_on"]

Floats = NDArray[np.float64]
Progress = Callable[[str], None]
_ROUGH = NewtonSettings(relative=1e-4)
_EXACT = NewtonSettings(relative=1e-10)


def refined(
    start: FlameEquations,
    params: Params,
    U: Floats,
    z: Floats,
    points: int,
    scheme: Scheme,
    progress: Progress | None = None,
    plan: Sequence[tuple[int, Scheme]] | None = None,
    rough: NewtonSettings | None = None,
) -> FlameSolution:
    """Solve on coarse grids, upwind, then on finer ones up to ``points`` nodes with the scheme that is wanted.

    Parameters
    ----------
    start : FlameEquations
        On a coarse grid.
    params : dict of str to Tensor
        Of the mechanism and the conditions.
    U, z : ndarray, shapes (n, M) and (q,)
        A start on that grid.
    points : int
        Nodes of the last grid.
    scheme : {"central", "upwind"}
        Of the last grids.
    progress : callable, optional
        Told a line at every grid.
    plan : sequence of (int, {"central", "upwind"}), optional
        Nodes and scheme of every grid, the first being that of the start; five to eight grids, coarse to fine, unless
        told. A strained flame needs it: thickened on a coarse grid it goes out.
    rough : NewtonSettings, optional
        On all grids but the last; a flame that stands far from its start needs more time.

    Returns
    -------
    FlameSolution
    """
    equations = start
    steps = np.zeros(2, dtype=int)
    plan = plan or _plan(start.x.numel(), points, scheme)
    for at, (nodes, kind) in enumerate(plan):
        if at:
            x = torch.as_tensor(equidistributed(equations.x.numpy(), U, nodes, keep=equations.kept))
            equations, state = equations.on(x, torch.as_tensor(U), kind)
            U = state.numpy()
        ended = solve_steady(FlameSystem(equations, params), U, z, _EXACT if at == len(plan) - 1 else rough or _ROUGH)
        U, z = ended.U, ended.z
        steps += ended.newton_steps, ended.time_steps
        if progress is not None:
            progress(f"{nodes} nodes, {kind}: {ended.reason}")
        if ended.status is not Status.CONVERGED:
            return _solution(equations, params, ended, steps, f"on {nodes} nodes: {ended.reason}")
    return _solution(equations, params, ended, steps, ended.reason)


def solved_on(solved: FlameSolution, x: Floats, settings: NewtonSettings | None = None) -> FlameSolution:
    """Solve a flame again, with its scheme and parameters, on other nodes.

    Parameters
    ----------
    solved : FlameSolution
        Where the solve begins.
    x : ndarray, shape (n,)
        Nodes, m.
    settings : NewtonSettings, optional
        Tolerances and numbers of steps.

    Returns
    -------
    FlameSolution
        Failure is a status with a reason; steps taken before are kept.
    """
    equations, state = solved.equations.on(torch.as_tensor(x), torch.as_tensor(solved.U), solved.equations.scheme)
    ended = solve_steady(FlameSystem(equations, solved.params), state.numpy(), solved.z, settings)
    return replace(solved, equations=equations, U=ended.U, z=ended.z, status=ended.status, reason=ended.reason)


def _solution(
    equations: FlameEquations, params: Params, ended: Steady, steps: NDArray[np.int_], reason: str
) -> FlameSolution:
    return FlameSolution(equations, params, ended.U, ended.z, ended.status, reason, int(steps[0]), int(steps[1]))


def _plan(first: int, points: int, scheme: Scheme) -> list[tuple[int, Scheme]]:
    """Return numbers of nodes and schemes, coarse to fine: the flame must first find its thickness."""
    coarse: list[tuple[int, Scheme]] = [(first, "upwind"), (40, "upwind"), (50, "upwind"), (60, "upwind")]
    middle: list[tuple[int, Scheme]] = [(n, scheme) for n in (100,) if n < points]
    return [*coarse, *middle, (points, scheme), (points, scheme)]
