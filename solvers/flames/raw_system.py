"""A system for the raw outputs of a network: their derivatives become those of a flame's fields, then its residuals.

Any training that knows systems trains any output map so, derivatives by jets included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.flames.systems import CounterflowSystem, FreeFlameSystem
from retrodict.physics.spaces import Space, Var
from retrodict.physics.system import Condition, Coords, Derivatives, Key, key
from retrodict.solvers.flames.outputs import Held, OutputMap, Ranges, Step

__all__ = ["FlamePDE", "RawSystem", "held", "ranges"]

FlamePDE = FreeFlameSystem | CounterflowSystem


def ranges(system: FlamePDE, T: tuple[float, float]) -> Ranges:
    """Return the map of the paper: temperatures in a range, mass fractions positive with sum one.

    Raises
    ------
    SolverError
        If the range is empty.

    Examples
    --------
    >>> ranges(None, (2.0, 1.0))
    Traceback (most recent call last):
    retrodict.physics.errors.SolverError: ranges.T: got (2.0, 1.0), expected a lower and a higher temperature in K
    """
    if not T[0] < T[1]:
        raise SolverError(expected("ranges.T", T, "a lower and a higher temperature in K"))
    return Ranges(system.scales, system.mechanism.species, T)


def held(system: FlamePDE, steepness: float = 4.0) -> Held:
    """Return the map that satisfies both ends, and of a free flame its anchor, for any weights.

    Parameters
    ----------
    system : FreeFlameSystem or CounterflowSystem
        The flame.
    steepness : float, optional
        Of the step before training, of a free flame, in 1/z.

    Returns
    -------
    Held
    """
    low, high = system.ends
    scales = system.scales
    ends = {k: (low[k] * scales[k], high[k] * scales[k]) for k in scales}
    species = system.mechanism.species
    bulk = max(species, key=lambda k: low[k] + high[k])
    if isinstance(system, CounterflowSystem):
        return Held(ends, scales, species, bulk)
    z, T = system.anchored
    step = Step(steepness, (z, (T - ends["T"][0]) / (ends["T"][1] - ends["T"][0])))
    return Held(ends, scales, species, bulk, step, {"T": (z,)})


@dataclass(frozen=True)
class RawSystem:
    """The system of the raw outputs of a network behind an output map; it has no conditions of its own.

    Parameters
    ----------
    base : FreeFlameSystem or CounterflowSystem
        The flame.
    output : OutputMap
        From raw outputs to its fields.
    """

    base: FlamePDE
    output: OutputMap

    @property
    def name(self) -> str:
        """For checkpoints."""
        return f"{self.base.name} {type(self.output).__name__.lower()}"

    @property
    def coords(self) -> Space:
        """Those of the flame."""
        return self.base.coords

    @property
    def fields(self) -> Space:
        """Raw outputs."""
        return Space({name: Var(long_name=f"raw output for {name}") for name in self.output.outputs})

    @property
    def params(self) -> Space:
        """Those of the flame."""
        return self.base.params

    @property
    def values(self) -> dict[str, float]:
        """Those of the flame."""
        return self.base.values

    @property
    def derivatives(self) -> tuple[Key, ...]:
        """Values, slopes and curvatures of all outputs."""
        return tuple(key(name, *("z",) * order) for name in self.output.outputs for order in range(3))

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """None."""
        return ()

    @property
    def prescribed(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def exact(self) -> None:
        """None."""
        return

    def mapped(self, d: Derivatives, coords: Coords) -> Derivatives:
        """Return the derivatives of the scaled fields."""
        raw = {n: (d[n,], d[n, "z"], d[n, "z", "z"]) for n in self.output.outputs}
        jets = self.output.fields(raw, coords["z"])
        return Derivatives({key(n, *("z",) * order): v for n, jet in jets.items() for order, v in enumerate(jet)})

    def residuals(self, d: Derivatives, coords: Coords, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the residuals of the flame, each (n,)."""
        return self.base.residuals(self.mapped(d, coords), coords, params)

    def values_of(self, raw: Mapping[str, Tensor], z: Tensor, names: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Return scaled fields of raw outputs, each (n,)."""
        none = torch.zeros_like(z)
        jets = self.output.fields({k: (v, none, none) for k, v in raw.items()}, z)
        return {k: jets[k][0] for k in names or jets}
