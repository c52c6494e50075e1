"""Derivatives of forward models that have none: central differences, as a `Differentiable`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from retrodict.physics.errors import SpaceError, expected
from retrodict.physics.model import ForwardModel, Operator
from retrodict.physics.spaces import Array, Space, Tree

__all__ = ["Differenced", "typical_sizes"]


@dataclass(frozen=True, eq=False)
class Differenced:
    """A forward model with the derivative that central differences give it.

    A linearisation costs two solves of the model for each real unknown, and its derivative is right to about the
    two-thirds power of the model's own accuracy. Within ``scales`` of a bound the differences are one-sided, of second
    order.

    Parameters
    ----------
    model : ForwardModel
        The model; deterministic.
    accuracy : float, optional
        Relative accuracy of what it returns: the rounding unit for closed forms, the tolerance of an iterative solver.
    scales : Mapping of str to float, optional
        Typical size of a variable; by default that of its largest entry at hand, or one where all are zero.

    Raises
    ------
    SpaceError
        If the accuracy is not between zero and one, or a scale is not positive or belongs to no variable.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from retrodict.physics.spaces import Var
    >>> line = Space({"x": Var()})
    >>> plain = SimpleNamespace(domain=line, range=line, apply=lambda p: {"x": p["x"] ** 2})
    >>> value, slope = Differenced(plain).linearize({"x": np.array(3.0)})
    >>> round(float(slope.apply({"x": np.array(1.0)})["x"]), 6)
    6.0
    """

    model: ForwardModel
    accuracy: float = float(np.finfo(float).eps)
    scales: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.accuracy < 1:
            raise SpaceError(expected("Differenced.accuracy", self.accuracy, "a number between 0 and 1"))
        if strange := {k: v for k, v in self.scales.items() if k not in self.model.domain or not v > 0}:
            wanted = f"positive numbers for names among {sorted(self.model.domain)}"
            raise SpaceError(expected("Differenced.scales", strange, wanted))

    @property
    def domain(self) -> Space:
        """Space of the parameters."""
        return self.model.domain

    @property
    def range(self) -> Space:
        """Space of the data."""
        return self.model.range

    def apply(self, params: Tree) -> Tree:
        """Return the data that the parameters cause."""
        return self.model.apply(params)

    def linearize(self, params: Tree) -> tuple[Tree, Operator]:
        """Return the data and their differences by every unknown."""
        at = self.domain.check(params, "params")
        x, value = self.domain.pack(at), self.model.apply(at)
        base = self.range.pack(value)
        lower, upper = self.domain.bounds()
        matrix = np.empty((base.size, x.size))
        for j, size in enumerate(self.domain.pack(self._sizes(at))):
            # the two errors of a difference are balanced at the cube root of the accuracy
            h = min(np.cbrt(self.accuracy) * size, 0.25 * (upper[j] - lower[j]))

            def moved(by: float, j: int = j) -> Array:
                point = x.copy()
                point[j] += by
                return self.range.pack(self.model.apply(self.domain.unpack(point)))

            if lower[j] <= x[j] - h and x[j] + h <= upper[j]:
                matrix[:, j] = (moved(h) - moved(-h)) / (2 * h)
                continue
            side = h if x[j] + 2 * h <= upper[j] else -h
            matrix[:, j] = (4 * moved(side) - moved(2 * side) - 3 * base) / (2 * side)
        return value, Operator(
            self.domain,
            self.range,
            lambda dx: self.range.unpack(matrix @ self.domain.pack(dx)),
            lambda dy: self.domain.unpack(matrix.T @ self.range.pack(dy)),
        )

    def _sizes(self, at: Tree) -> dict[str, Array]:
        found = typical_sizes(self.domain, at)
        own = {k: np.full(var.shape, self.scales.get(k, found[k])) for k, var in self.domain.items()}
        # of a complex variable the imaginary part moves as far as the real one
        return {k: v * (1 + 1j) if self.domain[k].is_complex else v for k, v in own.items()}


def typical_sizes(space: Space, at: Tree) -> dict[str, float]:
    """Return the size of a change of every variable: that of its largest entry, and one where all are zero.

    Examples
    --------
    >>> from retrodict.physics.spaces import Var
    >>> typical_sizes(Space({"x": Var(("i",), (2,)), "y": Var()}), {"x": np.array([1e-9, -3.0]), "y": np.array(0.0)})
    {'x': 3.0, 'y': 1.0}
    """
    return {k: float(np.abs(np.asarray(at[k])).max(initial=0.0)) or 1.0 for k in space}
