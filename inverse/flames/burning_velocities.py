"""Measured burning velocities: of which gas, how large, how well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from retrodict.inverse.noise import Gaussian
from retrodict.inverse.observation import Observation
from retrodict.physics.errors import DataError, expected
from retrodict.physics.spaces import Space, Var

__all__ = ["BurningVelocities", "BurningVelocity"]

# amounts are printed with three or four digits
_SUM_TOLERANCE = 2e-3


@dataclass(frozen=True)
class BurningVelocity:
    """One measured burning velocity.

    Parameters
    ----------
    composition : Mapping of str to float
        Fractions of the unburnt gas by species name; they are brought to the sum 1 if they miss it by less than 2e-3.
    temperature : float
        Of the unburnt gas [K].
    pressure : float
        [Pa].
    value : float
        Burning velocity [m/s].
    deviation : float
        Its standard deviation [m/s].
    basis : {"mole", "mass"}, optional
        What the fractions are of.
    equivalence_ratio : float, optional
        As the file states it; the composition is what counts.
    where : str, optional
        Origin, for errors.

    Raises
    ------
    DataError
        If a number is not finite and positive, or the fractions are negative or do not sum to 1.

    Examples
    --------
    >>> BurningVelocity({"H2": 0.3, "N2O": 0.7}, 298.0, 2e4, 1.4, 0.04).deviation
    0.04
    """

    composition: Mapping[str, float]
    temperature: float
    pressure: float
    value: float
    deviation: float
    basis: Literal["mole", "mass"] = "mole"
    equivalence_ratio: float | None = None
    where: str = field(default="BurningVelocity", compare=False)

    def __post_init__(self) -> None:
        for name in ("temperature", "pressure", "value", "deviation"):
            number = getattr(self, name)
            if not (np.isfinite(number) and number > 0):
                raise DataError(expected(f"{self.where}.{name}", number, "a finite positive number in SI units"))
        bad = {k: v for k, v in self.composition.items() if not (np.isfinite(v) and v >= 0)}
        if bad:
            raise DataError(expected(f"{self.where}.composition", bad, "finite fractions, none negative"))
        total = float(sum(self.composition.values()))
        if not abs(total - 1) < _SUM_TOLERANCE:
            raise DataError(expected(f"{self.where}.composition", f"a sum of {total:.6g}", "1"))
        scale = total if abs(total - 1) > 1e-12 else 1.0
        object.__setattr__(self, "composition", {k: float(v) / scale for k, v in self.composition.items()})


@dataclass(frozen=True)
class BurningVelocities:
    """The burning velocities of one file.

    Parameters
    ----------
    points : tuple of BurningVelocity
        In the order of the file.
    apparatus, reference, doi : str
        As the file states them; empty where it does not.
    source : str
        Name of the file.
    sha256 : str
        Of the file; empty for points that were not read from one.

    Raises
    ------
    DataError
        If there is no point.

    Examples
    --------
    >>> point = BurningVelocity({"CH4": 0.1, "O2": 0.9}, 300.0, 1e5, 0.4, 0.02)
    >>> len(BurningVelocities((point, point)).points)
    2
    """

    points: tuple[BurningVelocity, ...]
    apparatus: str = ""
    reference: str = ""
    doi: str = ""
    source: str = "burning velocities"
    sha256: str = ""

    def __post_init__(self) -> None:
        if not self.points:
            raise DataError(expected(f"{self.source}: datapoints", "none", "at least one"))

    def to_observation(self, name: str = "s_L", dim: str = "flame") -> Observation:
        """Return the values with Gaussian noise, one standard deviation a point.

        Parameters
        ----------
        name, dim : str, optional
            Variable and dimension of the space of the data.

        Returns
        -------
        Observation
            Shape (points,), units m s-1.

        Examples
        --------
        >>> point = BurningVelocity({"CH4": 0.1, "O2": 0.9}, 300.0, 1e5, 0.4, 0.02)
        >>> BurningVelocities((point, point)).to_observation().count
        2
        """
        space = Space({name: Var((dim,), (len(self.points),), units="m s-1", long_name="burning velocity")})
        noise = Gaussian(np.array([p.deviation for p in self.points]))
        about = {"source": self.source, "sha256": self.sha256, "doi": self.doi, "reference": self.reference}
        return Observation(space, {name: np.array([p.value for p in self.points])}, {name: noise}, provenance=about)
