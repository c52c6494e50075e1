"""The shape of a discretised flame: equations on nodes with a few scalars, differentiable in state and parameters.

A flame is an unknown array ``U`` (n nodes, M unknowns each) and ``q`` scalars ``z`` (the mass flux of a free flame, the
pressure curvature of a counterflow). It leaves over ``F`` (n, M) and ``f`` (q,). How the equations are solved is not
physics: see `retrodict.solvers.flames`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from retrodict.physics.flames.finite_volume import Scheme
from retrodict.physics.flames.mechanism import Mechanism
from retrodict.physics.spaces import Space

__all__ = ["FlameEquations", "Limits", "Linearised", "Params"]

Params = dict[str, Tensor]


@dataclass(frozen=True)
class Linearised:
    """Residual and derivatives by the state.

    Parameters
    ----------
    F : Tensor, shape (n, M)
        What the nodal equations leave over.
    f : Tensor, shape (q,)
        What the scalars' equations leave over.
    lower, diagonal, upper : Tensor, shape (n, M, M)
        Derivatives of ``F`` at a node by the unknowns of the node before, itself and the node behind.
    columns : Tensor, shape (n, M, q)
        Derivatives of ``F`` by the scalars.
    rows : Tensor, shape (q, n, M)
        Derivatives of ``f`` by the unknowns.
    corner : Tensor, shape (q, q)
        Derivatives of ``f`` by the scalars.
    """

    F: Tensor
    f: Tensor
    lower: Tensor
    diagonal: Tensor
    upper: Tensor
    columns: Tensor
    rows: Tensor
    corner: Tensor


@dataclass(frozen=True)
class Limits:
    """Where a Newton step must stay, and what counts as small, for every unknown of a node and every scalar.

    Parameters
    ----------
    lower, upper : tuple of float, length M
        Admissible values.
    change : tuple of float, length M
        Largest change in one step.
    small : tuple of float, length M
        Absolute size below which a change does not matter.
    scalar_change : tuple of float, length q
        Largest relative change of a scalar in one step.
    scalar_small : tuple of float, length q
        Absolute size below which a change of a scalar does not matter.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    change: tuple[float, ...]
    small: tuple[float, ...]
    scalar_change: tuple[float, ...] = ()
    scalar_small: tuple[float, ...] = ()


@runtime_checkable
class FlameEquations(Protocol):
    """Equations of a flame on given nodes; parameters are those of the mechanism and the conditions."""

    @property
    def mechanism(self) -> Mechanism:
        """The mechanism."""
        ...

    @property
    def x(self) -> Tensor:
        """Nodes, m, shape (n,)."""
        ...

    @property
    def scheme(self) -> Scheme:
        """Convection of first order (``"upwind"``) or second (``"central"``)."""
        ...

    @property
    def unknowns(self) -> tuple[str, ...]:
        """Names of the M unknowns of a node."""
        ...

    @property
    def scalars(self) -> tuple[str, ...]:
        """Names of the q scalars."""
        ...

    @property
    def conditions(self) -> Space:
        """What is imposed from outside: temperatures, pressure, compositions, mass fluxes."""
        ...

    @property
    def limits(self) -> Limits:
        """Bounds and sizes of the unknowns."""
        ...

    def residual(self, params: Params, U: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``F`` and ``f``."""
        ...

    def linearised(self, params: Params, U: Tensor, z: Tensor) -> Linearised:
        """Return ``F``, ``f`` and their derivatives by ``U`` and ``z``."""
        ...

    def inertia(self, params: Params, U: Tensor) -> Tensor:
        """Return what multiplies the rate of change of every unknown, shape (n, M); zero in algebraic rows."""
        ...

    def observables(self, params: Params, U: Tensor, z: Tensor) -> dict[str, Tensor]:
        """Return what an experiment or a figure shows: speeds, and profiles on the nodes."""
        ...

    @property
    def kept(self) -> float | None:
        """Position that must remain a node, m."""
        ...

    def on(self, x: Tensor, U: Tensor, scheme: Scheme) -> tuple[FlameEquations, Tensor]:
        """Return the same flame on other nodes with a scheme, and ``U`` interpolated to them."""
        ...
