"""Observations: values, their noise, and an explicit mask. NaN never means zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrodict.inverse.noise import NoiseModel
from retrodict.physics.errors import DataError, expected
from retrodict.physics.spaces import Array, Space, Tree

__all__ = ["Observation"]


@dataclass(frozen=True)
class Observation:
    """Data of an inverse problem.

    Parameters
    ----------
    space : Space
        Space of the data: the range of the forward model.
    values : Tree
        Observed values; anything may stand where the mask is False.
    noise : Mapping of str to NoiseModel
        One model for each variable.
    mask : Mapping of str to ndarray of bool, optional
        True where a value is valid; variables not named are valid everywhere.
    provenance : Mapping, optional
        Where the data came from; stored with results.

    Raises
    ------
    DataError
        If names or shapes differ, a noise model lacks a method, values are complex or where valid not finite, or no
        value is valid.

    Examples
    --------
    >>> from retrodict.inverse.noise import Gaussian
    >>> from retrodict.physics.spaces import Var
    >>> space = Space({"speed": Var(("time",), (3,), units="m s-1")})
    >>> data = {"speed": np.array([1.0, np.nan, 3.0])}
    >>> Observation(space, data, {"speed": Gaussian(0.1)}, {"speed": ~np.isnan(data["speed"])}).count
    2
    """

    space: Space
    values: Tree
    noise: Mapping[str, NoiseModel]
    mask: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what, names in (("values", set(self.values)), ("noise", set(self.noise))):
            if names != set(self.space):
                raise DataError(expected(f"Observation.{what}", sorted(names), f"exactly {sorted(self.space)}"))
        if not set(self.mask) <= set(self.space):
            raise DataError(expected("Observation.mask", sorted(self.mask), f"names among {sorted(self.space)}"))
        for name, model in self.noise.items():
            if not isinstance(model, NoiseModel):
                wanted = "a noise model with nll, whiten, standardise and sample"
                raise DataError(expected(f"Observation.noise[{name!r}]", type(model).__name__, wanted))
        masks: dict[str, NDArray[np.bool_]] = {}
        values: dict[str, Array] = {}
        for name, var in self.space.items():
            where = f"Observation[{name!r}]"
            if var.is_complex or np.iscomplexobj(self.values[name]):
                raise DataError(expected(where, f"complex values of {var.dtype}", "real ones: give the parts apart"))
            value = np.asarray(self.values[name], dtype=float)
            mask = np.asarray(self.mask.get(name, np.ones(var.shape, bool)))
            if value.shape != var.shape or mask.shape != var.shape or mask.dtype != bool:
                raise DataError(
                    expected(where, f"{value.shape} values, {mask.dtype} mask {mask.shape}", f"{var.shape}")
                )
            bad = mask & ~np.isfinite(value)
            if bad.any():
                first = tuple(int(i) for i in np.argwhere(bad)[0])
                raise DataError(
                    expected(f"{where}{list(first)}", value[first], "a finite number, or a False in the mask")
                )
            masks[name], values[name] = mask, np.where(mask, value, 0.0)
        object.__setattr__(self, "mask", masks)
        object.__setattr__(self, "values", values)
        if self.count == 0:
            raise DataError(expected("Observation", "no valid value", "at least one"))

    @property
    def count(self) -> int:
        """Number of valid values."""
        return int(sum(m.sum() for m in self.mask.values()))
