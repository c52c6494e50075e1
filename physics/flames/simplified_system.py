"""The simplified flame as residual and conditions, for networks: thin-layer coordinates of order one.

The flame is thinner than a millimetre. Along ``z = 10 x / L`` and for ``theta = (T - T_in) / (T_max - T_in)``
everything is of order one; the residual is that of the energy equation, divided by ``m_0 c_p (T_max - T_in) 10 / L``
with a mass flux m_0 that does not move, so that no network makes it small by driving s_L to infinity.

Source: normalisation after Wu et al. (2025), Combustion and Flame, 113964, whose own residual divides by s_L.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from retrodict.physics.errors import ConfigError, expected
from retrodict.physics.flames.simplified import PARAMETERS, SimplifiedMixture
from retrodict.physics.spaces import Space, Var
from retrodict.physics.system import Condition, Coords, Derivatives, Dirichlet, Key, Neumann, key

__all__ = ["SPEED", "UNITS", "SimplifiedSystem"]

SPEED = 0.4
"""Burning velocity in m/s at which a search begins unless told otherwise, and that scales residuals."""

UNITS: Mapping[str, float] = {"s_L": 1.0, "lambda": 10.0, "E_a": 1e-6}
"""Factor from SI units to those in which a network learns a coefficient: m/s, dW/m/K, MJ/mol."""

_NAMES = {"s_L": "m s-1", "lambda": "dW m-1 K-1", "E_a": "MJ mol-1"}
_WIDTH = 10.0


@dataclass(frozen=True)
class SimplifiedSystem:
    """Energy equation of a `SimplifiedMixture` along z; coefficients ``s_L``, ``lambda`` and ``E_a``.

    Parameters
    ----------
    mixture : SimplifiedMixture
        Gas, reaction, conditions.
    speed : float, optional
        Burning velocity in m/s, or where a search for it begins.
    burnt : bool, optional
        Ask for ``T'(L) = 0``: the flame has burnt out before the end of the domain.
    anchored : bool, optional
        State ``T(0) = T_in`` and ``T'(0) = g_0``; data can take their place.

    Raises
    ------
    ConfigError
        If the speed is not positive.

    Examples
    --------
    >>> system = SimplifiedSystem(SimplifiedMixture())
    >>> [c.name for c in system.conditions]
    ['theta at lower z', 'dtheta/dz at lower z', 'theta at upper z']
    >>> burnt = {("theta",): torch.ones(1), ("theta", "z"): torch.zeros(1), ("theta", "z", "z"): torch.zeros(1)}
    >>> abs(float(system.residuals(Derivatives(burnt), {}, {})["energy"])) < 1e-6
    True
    """

    mixture: SimplifiedMixture
    speed: float = SPEED
    burnt: bool = True
    anchored: bool = True
    name: str = field(default="simplified flame", init=False)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.speed) and self.speed > 0):
            raise ConfigError(expected("SimplifiedSystem.speed", self.speed, "a positive velocity"))

    @property
    def thickness(self) -> float:
        """Metres in a unit of z."""
        return self.mixture.length / _WIDTH

    @property
    def rise(self) -> float:
        """Kelvins in a unit of theta."""
        return self.mixture.burnt_temperature - self.mixture.inlet_temperature

    @property
    def cut_slope(self) -> float:
        """``dtheta/dz`` at the cut."""
        return self.mixture.slope * self.thickness / self.rise

    @property
    def coords(self) -> Space:
        """``z`` in [0, 10]."""
        return Space({"z": Var(bounds=(0.0, _WIDTH), long_name="x / thickness")})

    @property
    def fields(self) -> Space:
        """``theta``."""
        return Space({"theta": Var(long_name="temperature rise over that of the burnt gas")})

    @property
    def params(self) -> Space:
        """Burning velocity, conductivity, activation energy, in the units in which a network learns them."""
        bounds = {"s_L": (1e-4, 50.0)} | {k: PARAMETERS[k][2:] for k in ("lambda", "E_a")}
        return Space(
            {k: Var(units=_NAMES[k], bounds=(low * UNITS[k], high * UNITS[k])) for k, (low, high) in bounds.items()}
        )

    @property
    def values(self) -> dict[str, float]:
        """Coefficients as they are known; of s_L, where a search begins."""
        known = {"s_L": self.speed, "lambda": self.mixture.conductivity, "E_a": self.mixture.activation_energy}
        return {k: v * UNITS[k] for k, v in known.items()}

    @property
    def derivatives(self) -> tuple[Key, ...]:
        """What the residual needs."""
        return key("theta"), key("theta", "z"), key("theta", "z", "z")

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Temperature and slope at the cut, none behind the flame."""
        slope = self.cut_slope
        cut = (
            Dirichlet("theta", "z", "lower", lambda at: torch.zeros_like(at["z"])),
            Neumann("theta", "z", "lower", lambda at: torch.full_like(at["z"], slope)),
        )
        end = Dirichlet("theta", "z", "upper", lambda at: torch.ones_like(at["z"]))
        return (*(cut if self.anchored else ()), *((end,) if self.burnt else ()))

    @property
    def prescribed(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def exact(self) -> None:
        """None: see `retrodict.solvers.reference.phase_plane`."""
        return

    def temperature(self, theta: Tensor) -> Tensor:
        """Return T in K.

        Examples
        --------
        >>> float(SimplifiedSystem(SimplifiedMixture()).temperature(torch.tensor(0.0)))
        298.0
        """
        return self.mixture.inlet_temperature + self.rise * theta

    def residuals(
        self,
        d: Derivatives,
        coords: Coords,  # noqa: ARG002 - the equation is the same everywhere
        params: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        """Return the residual of the energy equation over what is carried past in a unit of z, shape (n,)."""
        values = {k: params.get(k, torch.tensor(v, dtype=d["theta"].dtype)) for k, v in self.values.items()}
        q = {k: values[k] / UNITS[k] for k in ("lambda", "E_a")}
        per_length = self.rise / self.thickness
        found = self.mixture.residual(
            self.temperature(d["theta"]),
            per_length * d["theta", "z"],
            per_length / self.thickness * d["theta", "z", "z"],
            values["s_L"] / UNITS["s_L"],
            q,
        )
        return {"energy": found / (self.mixture.mass_flux(SPEED) * self.mixture.heat_capacity * per_length)}
