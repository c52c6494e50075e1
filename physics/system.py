"""Contract of a PDE as a set of residuals and conditions: what a PINN solves.

Equations and maps are different things. A `PDESystem` is what a network is trained on; a `ForwardModel` maps
parameters to data and is what an estimator inverts. A trained network is not a forward model of the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from retrodict.physics.spaces import Space

__all__ = ["Condition", "PDESystem"]

Field = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Condition:
    """An initial, boundary or interior condition.

    Parameters
    ----------
    name : str
        For messages and losses.
    where : callable
        Coordinates to a boolean mask: whether a point belongs to the condition.
    residual : callable
        ``(fields, coords, params) -> Tensor``; zero where the condition holds.
    """

    name: str
    where: Callable[[Mapping[str, Tensor]], Tensor]
    residual: Callable[[Field, Mapping[str, Tensor], Mapping[str, Tensor]], Tensor]


@runtime_checkable
class PDESystem(Protocol):
    """Residuals and conditions of a system of partial differential equations."""

    @property
    def coords(self) -> Space:
        """Coordinates with their units and bounds."""
        ...

    @property
    def fields(self) -> Space:
        """Unknown fields."""
        ...

    @property
    def params(self) -> Space:
        """Coefficients."""
        ...

    def residuals(
        self, fields: Field, coords: Mapping[str, Tensor], params: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Return the residual of every equation at the points ``coords``."""
        ...

    def conditions(self) -> Sequence[Condition]:
        """Return the initial and boundary conditions."""
        ...

    @property
    def exact(self) -> Field | None:
        """Exact or reference solution, where there is one."""
        ...
