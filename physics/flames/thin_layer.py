"""Scaled coordinates and fields of detailed flames: the layer is thin, and networks want numbers of order one.

Along ``z = 4 x / L - 2`` all fields are ``# = value scale`` with largest value 5.

Source: normalisation of Wu et al. (2025), Combustion and Flame, 113964.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrodict.physics.flames.mechanism import Mechanism
from retrodict.physics.flames.strong_form import PointState
from retrodict.physics.spaces import Space, Var
from retrodict.physics.system import Condition, Coords, Derivatives, Dirichlet, Key, key

__all__ = ["HALF", "LARGEST", "LEAST", "UNITS", "ThinLayer"]

Floats = NDArray[np.float64]

HALF = 2.0
"""Bounds of z are plus and minus this."""

LARGEST = 5.0
"""Largest value of a scaled field."""

LEAST = 1e-4
"""Least size of a mass fraction that scales it."""

UNITS: Mapping[str, float] = {"s_L": 1.0, "Lambda": 1e-5, "E_a": 1e-8}
"""Factor from SI units (m/s, Pa/m2, J/kmol) to those in which a network learns a scalar."""

_HEAT = 1000.0


def _value_at(value: float, at: Coords) -> Tensor:
    return torch.full_like(at["z"], value)


@dataclass(frozen=True)
class ThinLayer(ABC):
    """What flames share: a mechanism on a line and scaled fields; `scales`, `width` and `ends` are those of a flame.

    Parameters
    ----------
    mechanism : Mechanism
        Properties and kinetics.
    """

    mechanism: Mechanism

    @property
    @abstractmethod
    def scales(self) -> dict[str, float]:
        """Factor from SI units to scaled ones, by field."""

    @property
    @abstractmethod
    def width(self) -> float:
        """Length of the domain, m."""

    @property
    @abstractmethod
    def ends(self) -> tuple[dict[str, float], dict[str, float]]:
        """Values of the fields at the lower and the upper end, SI."""

    @property
    def slope(self) -> float:
        """Units of z in a metre."""
        return 2 * HALF / self.width

    @property
    def coords(self) -> Space:
        """``z`` in [-2, 2]."""
        return Space({"z": Var(bounds=(-HALF, HALF), long_name="position in the thin layer")})

    @property
    def fields(self) -> Space:
        """The scaled fields."""
        return Space({name: Var(long_name=f"scaled {name}") for name in self.scales})

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Every field at both ends."""
        found: list[Condition] = []
        for side, values in zip(("lower", "upper"), self.ends, strict=True):
            for name, value in values.items():
                found.append(Dirichlet(name, "z", side, partial(_value_at, value * self.scales[name])))
        return tuple(found)

    @property
    def prescribed(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def exact(self) -> None:
        """None: see `retrodict.solvers.flames`."""
        return

    @property
    def derivatives(self) -> tuple[Key, ...]:
        """Values, slopes and curvatures of all fields."""
        return tuple(key(name, *("z",) * order) for name in self.scales for order in range(3))

    def position(self, z: Floats) -> Floats:
        """Return x in m."""
        return np.asarray((np.asarray(z) + HALF) / self.slope)

    def coordinate(self, x: Floats) -> Floats:
        """Return z of positions in m."""
        return np.asarray(np.asarray(x) * self.slope - HALF)

    def _si(self, d: Derivatives, name: str, order: int) -> Tensor:
        return d[(name, *("z",) * order)] * (self.slope**order / self.scales[name])

    def _state(self, d: Derivatives) -> PointState:
        T = [self._si(d, "T", order) for order in range(3)]
        Y = [torch.stack([self._si(d, k, order) for k in self.mechanism.species], 1) for order in range(3)]
        return PointState(T[0], T[1], T[2], Y[0], Y[1], Y[2])

    @cached_property
    def _nominal(self) -> dict[str, Tensor]:
        return self.mechanism.tensors()

    def _scaled(self, energy: Tensor, species: Tensor) -> dict[str, Tensor]:
        """Return the residuals of the scaled variables."""
        rows = {"energy": energy * (self.scales["T"] / (_HEAT * self.slope))}
        for k, name in enumerate(self.mechanism.species):
            rows[name] = species[:, k] * (self.scales[name] / self.slope)
        return rows
