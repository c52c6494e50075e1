"""What an optimiser asks of a function over a space of named unknowns."""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.spaces import Array, Space, Tree

__all__ = ["LeastSquaresObjective", "Objective", "ValueAndGradient", "evaluate"]

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


@runtime_checkable
class ValueAndGradient(Objective, Protocol):
    """An objective that computes value and gradient together for less than the two apart."""

    def value_and_gradient(self, x: Tree) -> tuple[float, dict[str, Array]]:
        """Return the value and the gradient."""
        ...


def evaluate(objective: Objective, x: Floats) -> tuple[float, Floats]:
    """Return value and gradient at a packed point, in one pass where the objective offers that.

    A value that is not finite, or a gradient that is not, makes the point inadmissible: the value returned is then
    infinite or NaN. Without `ValueAndGradient` the two are asked of the same tree, value first, so that an objective
    may keep what the value took; no gradient is asked where there is no value.

    Parameters
    ----------
    objective : Objective
        The function.
    x : ndarray, shape (n,)
        Packed unknowns.

    Returns
    -------
    float
        The value.
    ndarray, shape (n,)
        The packed gradient, NaN where the value is not finite.

    Examples
    --------
    >>> from retrodict.physics.spaces import Space, Var
    >>> class Bowl:
    ...     name, space, start = "bowl", Space({"x": Var()}), {"x": np.array(4.0)}
    ...     def value(self, x): return float((x["x"] - 1) ** 2)
    ...     def gradient(self, x): return {"x": 2 * (x["x"] - 1)}
    >>> evaluate(Bowl(), np.array([3.0]))
    (4.0, array([4.]))
    """
    tree = objective.space.unpack(x)
    if isinstance(objective, ValueAndGradient):
        value, slopes = objective.value_and_gradient(tree)
        gradient = objective.space.pack(slopes)
        value = float(value)
    else:
        value = float(objective.value(tree))
        if not math.isfinite(value):
            return value, np.full(x.shape, np.nan)
        gradient = objective.space.pack(objective.gradient(tree))
    if math.isfinite(value) and not np.all(np.isfinite(gradient)):
        return math.nan, gradient
    return value, gradient
