"""What an optimiser asks of a function over a space of named unknowns."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.spaces import Array, Space, Tree

__all__ = ["LeastSquaresObjective", "Objective"]

Floats = NDArray[np.float64]


@runtime_checkable
class Objective(Protocol):
    """A differentiable function over a bounded space."""

    @property
    def name(self) -> str:
        """Identifies the problem in checkpoints."""
        ...

    @property
    def space(self) -> Space:
        """The unknowns with their bounds."""
        ...

    @property
    def start(self) -> Tree:
        """Where to begin."""
        ...

    def value(self, x: Tree) -> float:
        """Return the value."""
        ...

    def gradient(self, x: Tree) -> dict[str, Array]:
        """Return the gradient."""
        ...


@runtime_checkable
class LeastSquaresObjective(Objective, Protocol):
    """An objective whose gradient is ``J' r`` and whose curvature is described by ``J' J``."""

    def jacobian(self, x: Tree) -> tuple[Floats, Floats]:
        """Return the residual, shape (m,), and its derivative, shape (m, n)."""
        ...
