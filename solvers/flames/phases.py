"""What a network of a flame is trained on, and in what order: fits of fields at places, and phases of optimisers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.system import Derivatives, key
from retrodict.solvers.flames.raw_system import RawSystem
from retrodict.solvers.pinn.parts import Part

__all__ = ["Fit", "Phase"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """Scaled fields at places, as a term of the loss.

    Parameters
    ----------
    name : str
        By which phases give it a weight.
    z : ndarray, shape (k,)
        Places, increasing.
    values : Mapping of str to ndarray, shape (k,)
        Scaled values by field.

    Raises
    ------
    SolverError
        If shapes differ, places do not increase, or a value is not finite.

    Examples
    --------
    >>> Fit("anchor", np.array([0.5]), {"T": np.array([2.0])}).name
    'anchor'
    """

    name: str
    z: Floats
    values: Mapping[str, Floats]

    def __post_init__(self) -> None:
        arrays = [np.asarray(self.z), *map(np.asarray, self.values.values())]
        fine = self.values and all(a.shape == (len(self.z),) and np.all(np.isfinite(a)) for a in arrays)
        if not fine or np.any(np.diff(self.z) <= 0) or self.name == "equations":
            raise SolverError(
                expected(f"Fit {self.name!r}", [a.shape for a in arrays], "finite values at increasing z")
            )

    def part(self, system: RawSystem, weight: float) -> Part:
        """Return the sum of the mean squares of all fields, as a part of a loss."""
        nodes, tables = torch.as_tensor(self.z), {k: torch.as_tensor(v) for k, v in self.values.items()}
        names, raw = tuple(self.values), system.output.outputs

        def residual(d: Derivatives, at: Mapping[str, Tensor], _: Mapping[str, Tensor]) -> dict[str, Tensor]:
            z = at["z"]
            row = torch.argmin((z[:, None] - nodes).abs(), 1)
            found = system.values_of({k: d[k,] for k in raw}, z, names)
            return {f"{self.name} {k}": found[k] - tables[k][row] for k in names}

        return Part(self.name, {"z": self.z}, tuple(key(k) for k in raw), residual, weight)


@dataclass(frozen=True)
class Phase:
    """One optimiser on one sum of terms.

    Parameters
    ----------
    method : str
        See `retrodict.solvers.pinn.optimizers.optimizer`.
    steps : int
        At most so many.
    weights : Mapping of str to float
        Of ``"equations"`` and of fits by name; terms without one are left out.
    refresh : int, optional
        Draw new points every so many steps; 0 keeps those of the first step.
    points : int, optional
        Collocation points; drawn at random where there is a refresh, evenly spread where not.
    options : Mapping, optional
        Of the optimiser.

    Raises
    ------
    SolverError
        If a number is out of range.
    """

    method: str
    steps: int
    weights: Mapping[str, float]
    refresh: int = 0
    points: int = 100
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sound = self.steps >= 1 and self.refresh >= 0 and self.points >= 2
        if not sound or not self.weights or not all(w > 0 for w in self.weights.values()):
            raise SolverError(expected("Phase", self, "steps >= 1, refresh >= 0, points >= 2, positive weights"))
