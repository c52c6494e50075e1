"""A laminar premixed flame with constant properties, one reaction and Lewis number 1: "Case 1" of FlamePINN-1D.

Continuity, momentum and the gas law are algebra: with the mass flux ``m = rho_in s_L`` the velocity is the smaller root
of

    u^2 - c u + R_g T = 0,   c = s_L + R_g T_in / s_L,   rho = m / u,

and the fuel follows the temperature, ``Y = Y_in + c_p (T_in - T) / q_F``. What is left is one equation for T and the
burning velocity s_L together,

    m c_p T' = lambda T'' + q_F omega,   omega = A exp(-E_a / (R T)) (rho Y)^n,   T(0) = T_in,   T'(0) = g_0.

The slope at the cut makes s_L determinate, and it is physics: heat flows out through the cut, so that the flame is the
free flame of a mixture ``lambda g_0 / (m c_p)`` colder, 8 K at 1e5 K/m, and s_L is 0.2 to 0.3 % lower. `imposed_slope`
and `free_flame` name the two problems apart.

Source: Wu et al. (2025), Combustion and Flame, 113964; constants from the authors' code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from retrodict.physics.errors import ConfigError, SolverError, expected

__all__ = ["ATMOSPHERE", "PARAMETERS", "SimplifiedMixture", "free_flame", "imposed_slope"]

ATMOSPHERE = 101325.0
"""Pascals in a standard atmosphere."""

PARAMETERS: Mapping[str, tuple[str, str, float, float]] = {
    "lambda": ("W m-1 K-1", "thermal conductivity", 1e-4, 10.0),
    "E_a": ("J mol-1", "activation energy", 0.0, 1e6),
    "ln_A": ("1", "logarithm of the rate's prefactor in SI units", -100.0, 100.0),
    "n": ("1", "order of the reaction", 0.1, 5.0),
    "T_in": ("K", "temperature of the fresh gas", 1.0, 1e4),
    "p": ("Pa", "pressure of the fresh gas", 1.0, 1e9),
    "phi": ("1", "equivalence ratio", 1e-3, 10.0),
    "slope": ("K m-1", "temperature gradient at the cut", 1e-9, 1e9),
}
"""What a flame can be differentiated by: units, meaning, lower and upper bound."""

_TINY = 1e-30
Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class SimplifiedMixture:
    """Gas, reaction and conditions.

    Parameters
    ----------
    phi : float, optional
        Equivalence ratio; the mass fraction of fuel is ``phi / (phi + 4)``.
    pressure : float, optional
        Of the fresh gas, in Pa.
    inlet_temperature : float, optional
        Of the fresh gas, in K.
    slope : float, optional
        ``T'(0)`` in K/m.
    length : float, optional
        Of the domain, in m.
    molar_mass : float, optional
        W in kg/mol.
    conductivity : float, optional
        lambda in W/m/K.
    heat_capacity : float, optional
        c_p in J/kg/K.
    heat_release : float, optional
        q_F in J/kg of fuel.
    gas_constant : float, optional
        R in J/mol/K.
    prefactor : float, optional
        A in SI units that go with the order.
    activation_energy : float, optional
        E_a in J/mol.
    order : float, optional
        n of ``(rho Y)^n``.

    Raises
    ------
    ConfigError
        If a number is not finite or not positive; phi above 10; or the gas would not burn, for ``E_a < 0``.

    Examples
    --------
    >>> round(SimplifiedMixture(phi=0.4).burnt_temperature, 3)
    4843.455
    """

    phi: float = 0.4
    pressure: float = ATMOSPHERE
    inlet_temperature: float = 298.0
    slope: float = 1e5
    length: float = 1.5e-3
    molar_mass: float = 28.97e-3
    conductivity: float = 2.6e-2
    heat_capacity: float = 1000.0
    heat_release: float = 5.0e7
    gas_constant: float = 8.3145
    prefactor: float = 1.4e8
    activation_energy: float = 1.214172e5
    order: float = 1.6

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (math.isfinite(value) and value > 0):
                wanted = {"inlet_temperature": "a positive number of kelvins", "phi": "an equivalence ratio above 0"}
                raise ConfigError(
                    expected(f"SimplifiedMixture.{name}", value, wanted.get(name, "a finite positive number"))
                )
        if self.phi > PARAMETERS["phi"][3]:
            raise ConfigError(expected("SimplifiedMixture.phi", self.phi, f"at most {PARAMETERS['phi'][3]:g}"))

    @property
    def parameters(self) -> dict[str, float]:
        """The values of `PARAMETERS`."""
        return {
            "lambda": self.conductivity,
            "E_a": self.activation_energy,
            "ln_A": math.log(self.prefactor),
            "n": self.order,
            "T_in": self.inlet_temperature,
            "p": self.pressure,
            "phi": self.phi,
            "slope": self.slope,
        }

    @property
    def specific_gas_constant(self) -> float:
        """R / W in J/kg/K."""
        return self.gas_constant / self.molar_mass

    @property
    def inlet_density(self) -> float:
        """Density of the fresh gas, kg/m^3."""
        return self.pressure / (self.specific_gas_constant * self.inlet_temperature)

    @property
    def burnt_temperature(self) -> float:
        """``T_max = T_in + q_F Y_in / c_p`` in K, where no fuel is left."""
        return self.inlet_temperature + self.heat_release * self.phi / (self.phi + 4) / self.heat_capacity

    def _value(self, name: str, q: Parameters | None) -> Any:
        return q[name] if q is not None and name in q else self.parameters[name]

    def mass_flux(self, s_L: Tensor | float, q: Parameters | None = None) -> Any:
        """Return ``m = rho_in s_L``, kg/m^2/s.

        Parameters
        ----------
        s_L : Tensor or float
            Burning velocity in m/s.
        q : Mapping of str to Tensor or float, optional
            Values of some of `PARAMETERS` in place of the mixture's own.

        Returns
        -------
        Tensor or float
            Mass flux.

        Examples
        --------
        >>> round(SimplifiedMixture().mass_flux(0.3), 6)
        0.355414
        """
        return self._value("p", q) / (self.specific_gas_constant * self._value("T_in", q)) * s_L

    def velocity(self, T: Tensor, s_L: Tensor | float, q: Parameters | None = None) -> Tensor:
        """Return the velocity of the gas, the smaller root of its quadratic equation, m/s.

        Parameters
        ----------
        T : Tensor
            Temperature in K, any shape.
        s_L, q
            As in `mass_flux`.

        Returns
        -------
        Tensor
            As ``T``; NaN where there is no subsonic root, see `check_subsonic`.

        Examples
        --------
        >>> mixture = SimplifiedMixture()
        >>> round(float(mixture.velocity(torch.tensor(298.0, dtype=torch.float64), 0.3)), 12)
        0.3
        """
        gas, cold = self.specific_gas_constant, self._value("T_in", q)
        c = s_L + gas * cold / s_L
        root = c * c - 4 * gas * T
        # the smaller root without the cancellation of c against the square root
        velocity: Tensor = 2 * gas * T / (c + torch.sqrt(root))
        return velocity

    def check_subsonic(self, s_L: float) -> None:
        """Refuse a burning velocity at which the gas cannot be heated to ``T_max``: the flow would choke.

        Parameters
        ----------
        s_L : float
            Burning velocity in m/s.

        Raises
        ------
        SolverError
            If it is not positive, or there is no subsonic root at ``T_max``.

        Examples
        --------
        >>> SimplifiedMixture().check_subsonic(200.0)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        retrodict.physics.errors.SolverError: s_L: got 200 m/s, expected a positive velocity of at most 36.8...
        """
        gas, cold, hot = self.specific_gas_constant, self.inlet_temperature, self.burnt_temperature
        # c = 2 sqrt(R_g T_max) is a quadratic equation for s_L; below its smaller root the flow is subsonic
        sound, fresh = math.sqrt(gas * hot), math.sqrt(gas * hot - gas * cold)
        if not 0 < s_L <= sound - fresh:
            raise SolverError(
                expected("s_L", f"{s_L:g} m/s", f"a positive velocity of at most {sound - fresh:.4g} m/s")
            )

    def density(self, T: Tensor, s_L: Tensor | float, q: Parameters | None = None) -> Tensor:
        """Return the density ``m / u``, kg/m^3; parameters as in `velocity`.

        Examples
        --------
        >>> round(float(SimplifiedMixture().density(torch.tensor(298.0, dtype=torch.float64), 0.3)), 6)
        1.184712
        """
        density: Tensor = self.mass_flux(s_L, q) / self.velocity(T, s_L, q)
        return density

    def fuel(self, T: Tensor, q: Parameters | None = None) -> Tensor:
        """Return the mass fraction of fuel, as it follows the temperature; not clipped.

        Examples
        --------
        >>> round(float(SimplifiedMixture().fuel(torch.tensor(298.0, dtype=torch.float64))), 6)
        0.090909
        """
        phi = self._value("phi", q)
        fuel: Tensor = phi / (phi + 4) + self.heat_capacity * (self._value("T_in", q) - T) / self.heat_release
        return fuel

    def rate(self, T: Tensor, s_L: Tensor | float, q: Parameters | None = None) -> Tensor:
        """Return the rate at which fuel burns, omega in kg/m^3/s; parameters as in `velocity`.

        Where no fuel is left, or less than none, the rate is zero, and below 1 K too; power and exponent are guarded.

        Examples
        --------
        >>> at = torch.tensor([298.0, 3500.0, 4843.4545], dtype=torch.float64)
        >>> [float(f"{w:.4g}") for w in SimplifiedMixture().rate(at, 0.3)]
        [2.069e-15, 168.6, 3.554e-10]
        """
        # an untrained network gives temperatures below zero, where the exponential would overflow
        exponent = -self._value("E_a", q) / (self.gas_constant * T.clamp(min=1.0)) + self._value("ln_A", q)
        fuel = (self.density(T, s_L, q) * self.fuel(T, q)).clamp(min=_TINY)
        return torch.exp(exponent + self._value("n", q) * torch.log(fuel))

    def residual(
        self, T: Tensor, T_x: Tensor, T_xx: Tensor, s_L: Tensor | float, q: Parameters | None = None
    ) -> Tensor:
        """Return ``m c_p T' - lambda T'' - q_F omega``, W/m^3; parameters as in `velocity`.

        Parameters
        ----------
        T, T_x, T_xx : Tensor
            Temperature and its derivatives along x, K, K/m and K/m^2.
        s_L, q
            As in `mass_flux`.

        Returns
        -------
        Tensor
            As ``T``.

        Examples
        --------
        >>> T = torch.tensor(4843.4545, dtype=torch.float64)  # burnt: nothing happens any more
        >>> round(float(SimplifiedMixture().residual(T, 0 * T, 0 * T, 0.3)) / 1e12, 6)
        -0.0
        """
        carried = self.mass_flux(s_L, q) * self.heat_capacity * T_x
        residual: Tensor = carried - self._value("lambda", q) * T_xx - self.heat_release * self.rate(T, s_L, q)
        return residual


def imposed_slope(phi: float = 0.4, atmospheres: float = 1.0, inlet_temperature: float = 298.0) -> SimplifiedMixture:
    """Return the flame of the paper: ``T'(0) = 1e5 K/m`` on 1.5 mm, which is not the free flame.

    Parameters
    ----------
    phi, atmospheres, inlet_temperature : float, optional
        Conditions.

    Returns
    -------
    SimplifiedMixture
        With the paper's constants.

    Examples
    --------
    >>> imposed_slope(0.5).slope
    100000.0
    """
    return SimplifiedMixture(phi, atmospheres * ATMOSPHERE, inlet_temperature)


def free_flame(
    phi: float = 0.4, atmospheres: float = 1.0, inlet_temperature: float = 298.0, *, slope: float = 1.0
) -> SimplifiedMixture:
    """Return the free flame: heat lost through the cut tends to zero, and the domain is twice as long.

    The limit does not exist for hot gas, which burns before it reaches the flame: the cold boundary difficulty.

    Parameters
    ----------
    phi, atmospheres, inlet_temperature : float, optional
        Conditions.
    slope : float, optional
        ``T'(0)`` in K/m; 1 K/m is as good as zero at 298 K.

    Returns
    -------
    SimplifiedMixture
        With the paper's constants.

    Examples
    --------
    >>> free_flame(0.5).slope, free_flame(0.5).length
    (1.0, 0.003)
    """
    return SimplifiedMixture(phi, atmospheres * ATMOSPHERE, inlet_temperature, slope, length=3e-3)
