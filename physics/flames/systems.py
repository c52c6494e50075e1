"""Detailed flames as residuals and conditions, for networks: thin-layer coordinates, every quantity of order one.

Along ``z = 4 x / L - 2`` all fields are ``# = value scale`` with largest value 5, and every residual is that of the
scaled variables: energy times ``scale_T / (1000 scale_x)``, species times ``scale_Y / scale_x``, in the counterflow
also times ``scale_u``; continuity times ``scale_u / scale_x``, momentum times ``scale_u scale_V / scale_x``.

Source: normalisation and equations of Wu et al. (2025), Combustion and Flame, 113964.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrodict.physics.errors import SpaceError, expected
from retrodict.physics.flames.mixture import GAS_CONSTANT, density
from retrodict.physics.flames.strong_form import density_slope, energy_and_species, shear_slope
from retrodict.physics.flames.thin_layer import LARGEST, LEAST, UNITS, ThinLayer
from retrodict.physics.spaces import Space, Var
from retrodict.physics.system import Coords, Derivatives

__all__ = ["CounterflowSystem", "FreeFlameSystem"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FreeFlameSystem(ThinLayer):
    """A freely propagating flame between the inlet and the burnt equilibrium, both imposed; coefficient ``s_L``.

    Parameters
    ----------
    mechanism : Mechanism
        Properties and kinetics.
    Y_in, Y_b : ndarray, shape (K,)
        Mass fractions of unburnt and burnt gas.
    T_in, T_b : float
        Their temperatures, K.
    p : float
        Pressure, Pa.
    length : float
        Of the domain, m.
    anchor : (float, float)
        Position, m, and temperature, K, that fix the translation; no condition of the system, see `anchored`.
    speed : float
        Burning velocity, m/s, where a search for it begins.

    Raises
    ------
    SpaceError
        If a number is out of range.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> gas = load_mechanism("h2o2.yaml")
    >>> Y = np.asarray(gas.composition("H2", "O2:1, N2:3.76", 1.0))
    >>> flame = FreeFlameSystem(gas, Y, Y, 300.0, 2400.0, 1e5, 2e-3, (7e-4, 800.0))
    >>> flame.scales["T"] * 2400.0, flame.coordinate(np.array([0.0, 2e-3])).tolist()
    (5.0, [-2.0, 2.0])
    """

    Y_in: Floats
    Y_b: Floats
    T_in: float
    T_b: float
    p: float
    length: float
    anchor: tuple[float, float]
    speed: float = 0.6

    def __post_init__(self) -> None:
        numbers = {
            "p": self.p,
            "length": self.length,
            "speed": self.speed,
            "T_in": self.T_in,
            "T_b - T_in": self.T_b - self.T_in,
        }
        if bad := {k: v for k, v in numbers.items() if not 0 < v < math.inf}:
            raise SpaceError(expected("FreeFlameSystem", bad, "positive numbers"))
        x, T = self.anchor
        if not (0 < x < self.length and self.T_in < T < self.T_b):
            raise SpaceError(expected("FreeFlameSystem.anchor", self.anchor, "a point inside, a temperature between"))

    @property
    def name(self) -> str:
        """For checkpoints."""
        return f"free flame {self.mechanism.name}"

    @property
    def width(self) -> float:
        """Length of the domain, m."""
        return self.length

    @property
    def scales(self) -> dict[str, float]:
        """``5 / T_b``, and five over the larger mass fraction of the two ends."""
        largest = np.maximum(np.maximum(self.Y_in, self.Y_b), LEAST)
        return {
            "T": LARGEST / self.T_b,
            **{n: LARGEST / float(v) for n, v in zip(self.mechanism.species, largest, strict=True)},
        }

    @property
    def ends(self) -> tuple[dict[str, float], dict[str, float]]:
        """Inlet and burnt gas."""
        names = ("T", *self.mechanism.species)
        cold, hot = ([T, *map(float, Y)] for T, Y in ((self.T_in, self.Y_in), (self.T_b, self.Y_b)))
        return dict(zip(names, cold, strict=True)), dict(zip(names, hot, strict=True))

    @property
    def anchored(self) -> tuple[float, float]:
        """The anchor as z and scaled temperature."""
        return float(self.coordinate(np.array(self.anchor[0]))), self.anchor[1] * self.scales["T"]

    @property
    def params(self) -> Space:
        """``s_L``."""
        return Space({"s_L": Var(units="m s-1", bounds=(1e-4, 50.0))})

    @property
    def values(self) -> dict[str, float]:
        """Where a search begins."""
        return {"s_L": self.speed}

    @cached_property
    def unburnt_density(self) -> float:
        """Density of the unburnt gas, kg/m3."""
        T, Y = torch.tensor([self.T_in], dtype=torch.float64), torch.as_tensor(self.Y_in)[None]
        return float(density(self.mechanism, T, self.p, Y)[0])

    def residuals(self, d: Derivatives, coords: Coords, params: Mapping[str, Tensor]) -> dict[str, Tensor]:  # noqa: ARG002
        """Return the scaled residuals of energy and species, each (n,)."""
        m = params["s_L"] * (self.unburnt_density / UNITS["s_L"])
        p = torch.tensor(self.p, dtype=torch.float64)
        return self._scaled(*energy_and_species(self._nominal, self.mechanism, p, m, self._state(d)))


@dataclass(frozen=True)
class CounterflowSystem(ThinLayer):
    """A premixed stream from the left against another from the right; coefficients ``Lambda`` and ``E_a``.

    Parameters
    ----------
    mechanism : Mechanism
        Properties and kinetics.
    Y_u, Y_b : ndarray, shape (K,)
        Mass fractions of the left and the right stream.
    m_u, m_b : float
        Mass fluxes of both, towards each other, kg/m2/s.
    T_u, T_b : float
        Their temperatures, K.
    p : float
        Pressure, Pa.
    length : float
        Distance of the nozzles, m.
    largest : Mapping of str to float
        Largest size of ``u``, ``V``, ``T`` and every species, SI: of the data that are fitted.
    Lambda : float
        Radial pressure gradient over radius, Pa/m2, where a search begins.
    E_a : float, optional
        Activation energy of a reaction, J/kmol, where a search begins; that of the mechanism unless given.
    reaction : int, optional
        Which one.

    Raises
    ------
    SpaceError
        If a number is out of range or a size is missing.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> gas = load_mechanism("h2o2.yaml")
    >>> Y = np.asarray(gas.mass_fractions("N2:1"))
    >>> sizes = {"u": 1.0, "V": 200.0, "T": 2000.0, **dict.fromkeys(gas.species, 1.0)}
    >>> flame = CounterflowSystem(gas, Y, Y, 1.0, 1.0, 300.0, 300.0, 1e5, 0.02, sizes, -1e4)
    >>> [round(end["u"], 3) for end in flame.ends]
    [0.89, -0.89]
    """

    Y_u: Floats
    Y_b: Floats
    m_u: float
    m_b: float
    T_u: float
    T_b: float
    p: float
    length: float
    largest: Mapping[str, float]
    Lambda: float
    E_a: float | None = None
    reaction: int = 0

    def __post_init__(self) -> None:
        numbers = {k: getattr(self, k) for k in ("m_u", "m_b", "T_u", "T_b", "p", "length")}
        sizes = {k: self.largest.get(k, 0.0) for k in ("u", "V", "T", *self.mechanism.species)}
        if bad := {k: v for k, v in {**numbers, **sizes}.items() if not 0 < v < math.inf}:
            raise SpaceError(expected("CounterflowSystem", bad, "positive numbers"))

    @property
    def name(self) -> str:
        """For checkpoints."""
        return f"counterflow {self.mechanism.name}"

    @property
    def width(self) -> float:
        """Length of the domain, m."""
        return self.length

    @property
    def scales(self) -> dict[str, float]:
        """Five over the largest size."""
        return {k: LARGEST / max(self.largest[k], LEAST) for k in ("u", "V", "T", *self.mechanism.species)}

    @property
    def ends(self) -> tuple[dict[str, float], dict[str, float]]:
        """Both streams."""
        found = []
        for m, T, Y in ((self.m_u, self.T_u, self.Y_u), (-self.m_b, self.T_b, self.Y_b)):
            rho = density(self.mechanism, torch.tensor([T], dtype=torch.float64), self.p, torch.as_tensor(Y)[None])
            species = dict(zip(self.mechanism.species, map(float, Y), strict=True))
            found.append({"u": m / float(rho[0]), "V": 0.0, "T": T, **species})
        return found[0], found[1]

    @property
    def params(self) -> Space:
        """``Lambda`` in 1e5 Pa/m2 and ``E_a`` in 1e8 J/kmol."""
        units = {"Lambda": "1e5 Pa m-2", "E_a": "1e8 J kmol-1"}
        return Space({k: Var(units=v) for k, v in units.items()})

    @property
    def values(self) -> dict[str, float]:
        """Where a search begins."""
        nominal = float(self.mechanism.parameters["T_a"][self.reaction]) * GAS_CONSTANT
        E_a = nominal if self.E_a is None else self.E_a
        return {"Lambda": self.Lambda * UNITS["Lambda"], "E_a": E_a * UNITS["E_a"]}

    def residuals(self, d: Derivatives, coords: Coords, params: Mapping[str, Tensor]) -> dict[str, Tensor]:  # noqa: ARG002
        """Return the scaled residuals of continuity, momentum, energy and species, each (n,)."""
        at, p = self._state(d), torch.tensor(self.p, dtype=torch.float64)
        u, u1, V, V1, V2 = (self._si(d, *k) for k in (("u", 0), ("u", 1), ("V", 0), ("V", 1), ("V", 2)))
        T_a = params["E_a"] / (UNITS["E_a"] * GAS_CONSTANT)
        chosen = torch.arange(self.mechanism.R) == self.reaction
        tensors = {**self._nominal, "T_a": torch.where(chosen, T_a, self._nominal["T_a"])}
        rho, rho1 = density_slope(self.mechanism, p, at)
        energy, species = energy_and_species(tensors, self.mechanism, p, rho * u, at)
        radial = (
            rho * (u * V1 + V**2)
            + params["Lambda"] / UNITS["Lambda"]
            - shear_slope(tensors, self.mechanism, at, V1, V2)
        )
        flow, sideways = (self.scales[k] for k in ("u", "V"))
        rows = {
            "continuity": (rho1 * u + rho * u1 + 2 * rho * V) * (flow / self.slope),
            "momentum": radial * (flow * sideways / self.slope),
        }
        return rows | {k: v * flow for k, v in self._scaled(energy, species).items()}
