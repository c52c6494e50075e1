"""Plans of training: legs through time or coefficients, each of some stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.system import PDESystem
from retrodict.solvers.pinn.windows import Piece

__all__ = ["Leg", "Stage", "curriculum", "marching"]

Start = Callable[[Piece], Mapping[str, Any]]


@dataclass(frozen=True)
class Stage:
    """One optimiser for some steps.

    Parameters
    ----------
    method : str
        See `retrodict.solvers.pinn.optimizers.optimizer`.
    steps : int
        At most so many.
    refresh : int, optional
        Draw new points, and new causal weights, every so many steps; 0 keeps those of the stage's first step.
    options : Mapping, optional
        Of the optimiser.

    Raises
    ------
    SolverError
        If a number is out of range.
    """

    method: str
    steps: int
    refresh: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.steps < 1 or self.refresh < 0:
            raise SolverError(
                expected("Stage", f"steps {self.steps}, refresh {self.refresh}", "steps >= 1, refresh >= 0")
            )


@dataclass(frozen=True)
class Leg:
    """One system on one window.

    Parameters
    ----------
    system : PDESystem
        What to solve.
    since, until : float
        The window.
    stages : tuple of Stage
        How.
    kept : bool, optional
        Whether the result is part of the solution; a leg that only warms up the next one is not.
    start : callable, optional
        Turns the last kept piece into initial values; `continued` unless given.
    """

    system: PDESystem
    since: float
    until: float
    stages: tuple[Stage, ...]
    kept: bool = True
    start: Start | None = None


def marching(system: PDESystem, edges: Sequence[float], stages: Sequence[Stage]) -> tuple[Leg, ...]:
    """Return the legs of a time march with hard continuity.

    Parameters
    ----------
    system : PDESystem
        What to solve.
    edges : sequence of float
        Beginning, seams and end.
    stages : sequence of Stage
        For each window.

    Returns
    -------
    tuple of Leg
        One a window.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> [(leg.since, leg.until) for leg in marching(convection(1.0), [0, 0.5, 1], [Stage("ssbroyden", 9)])]
    [(0, 0.5), (0.5, 1)]
    """
    return tuple(Leg(system, a, b, tuple(stages)) for a, b in pairwise(edges))


def curriculum(systems: Sequence[PDESystem], stages: Sequence[Stage]) -> tuple[Leg, ...]:
    """Return legs of harder and harder systems on the whole time; the last is the solution.

    Parameters
    ----------
    systems : sequence of PDESystem
        Easy ones first.
    stages : sequence of Stage
        For each of them.

    Returns
    -------
    tuple of Leg
        One a system.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> legs = curriculum([convection(c) for c in (10.0, 20.0, 30.0)], [Stage("ssbroyden", 9)])
    >>> [leg.kept for leg in legs]
    [False, False, True]
    """
    legs = tuple(Leg(s, *s.coords["t"].bounds, tuple(stages), kept=False) for s in systems)
    return (*legs[:-1], replace(legs[-1], kept=True))
