"""The burning velocity of the simplified flame, exact: its equation in the plane of temperature and slope.

Along the flame ``p = dT/dx`` is a function of T,

    dp/dT = (m c_p - q_F omega(T) / p) / lambda,   p(T_in) = g_0,   p -> q_F omega / (m c_p) as T -> T_max,

the square root of ``2 y`` in ``dy/dT = (m c_p sqrt(2 y) - q_F omega) / lambda``. Integrated from the burnt end
backwards all solutions run together, so that the start, on the slow manifold where conduction is negligible, is
forgotten by e^-14 and more; forwards they run apart. What is left is one equation for s_L, which is monotone, and
``x = int dT / p``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.flames.simplified import SimplifiedMixture
from retrodict.physics.flames.simplified_front import balanced_speed

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Orbit", "phase_plane"]

Floats = NDArray[np.float64]
_TOLERANCE = 1e-12
_START = 1e-3
"""Share of the rise of temperature that is left where the integration begins."""
_BRACKET = math.log(1e-4), math.log(20.0)


@dataclass(frozen=True)
class Orbit:
    """A flame as a curve in the plane of temperature and slope.

    Parameters
    ----------
    mixture : SimplifiedMixture
        Gas, reaction, conditions.
    speed : float
        Burning velocity in m/s.

    Examples
    --------
    >>> orbit = phase_plane(SimplifiedMixture(phi=0.5))
    >>> round(orbit.speed, 9)
    0.39434991
    >>> orbit.temperature([0.0, 1.5e-3]).round(2)
    array([ 298.  , 5840.81])
    """

    mixture: SimplifiedMixture
    speed: float

    def temperature(self, x: ArrayLike) -> Floats:
        """Return T in K at places in m from the cut, to about 1e-9 relative.

        Raises
        ------
        SolverError
            If a place is before the cut, or so far behind the flame that less than a thousandth of the rise is left.
        """
        at = np.asarray(x, float)
        found = _integrated(self.mixture, self.speed, dense=True)
        if not found.success:  # on the way to the burning velocity p may vanish, on its orbit not
            raise SolverError(expected(f"orbit of s_L = {self.speed:g} m/s", found.message, "one up to the fresh gas"))
        cold, hot = self.mixture.inlet_temperature, -found.t[0]
        length = -float(found.y[1, -1])
        if at.size and not (np.all(at >= 0) and np.all(at <= length)):
            raise SolverError(expected("x", (float(at.min()), float(at.max())), f"places in m in [0, {length:.4g}]"))
        places = found.y[1] + length
        t = np.interp(at, places[::-1], -found.t[::-1])
        for _ in range(50):
            p, y = found.sol(-np.clip(t, cold, hot))
            step = np.clip(p * (at - (y + length)), -0.2 * (hot - cold), 0.2 * (hot - cold))
            t = np.clip(t + step, cold, hot)
            if np.abs(step).max(initial=0.0) < 1e-11 * hot:
                return np.asarray(t)
        got = f"steps of {np.abs(step).max():.2g} K after 50 of them"
        raise SolverError(expected("temperature", got, "places that are met"))

    def to_dataset(self, x: ArrayLike) -> xr.Dataset:
        """Return s_L and the profiles of temperature, velocity, density, fuel and rate at places, with units."""
        import xarray as xr

        at = np.asarray(x, float)
        T = self.temperature(at)
        t = torch.from_numpy(T)
        columns = {
            "T": (T, "K", "temperature"),
            "u": (self.mixture.velocity(t, self.speed).numpy(), "m s-1", "velocity"),
            "rho": (self.mixture.density(t, self.speed).numpy(), "kg m-3", "density"),
            "Y": (self.mixture.fuel(t).numpy(), "1", "mass fraction of fuel"),
            "omega": (self.mixture.rate(t, self.speed).numpy(), "kg m-3 s-1", "rate of reaction"),
        }
        data = {k: ("x", v, {"units": u, "long_name": n}) for k, (v, u, n) in columns.items()}
        speed = ((), self.speed, {"units": "m s-1", "long_name": "burning velocity"})
        return xr.Dataset(
            {"s_L": speed, **data}, {"x": ("x", at, {"units": "m", "long_name": "distance from the cut"})}
        )


def _integrated(mixture: SimplifiedMixture, s_L: float, *, dense: bool = False) -> Any:
    """Return p and x over -T from the burnt end to the fresh gas; status 1 where p would vanish on the way."""
    from scipy.integrate import solve_ivp

    cold = mixture.inlet_temperature
    hot = mixture.burnt_temperature - _START * (mixture.burnt_temperature - cold)
    carried = mixture.mass_flux(s_L) * mixture.heat_capacity

    heat = partial(_heat, mixture, s_L)

    def slopes(minus: float, y: Floats) -> list[float]:
        return [-(carried - heat(-minus) / y[0]) / mixture.conductivity, -1 / y[0]]

    def burns_early(minus: float, y: Floats) -> float:
        return float(heat(-minus) / (y[0] * carried) - 0.9)

    # in the preheat zone conduction carries all the heat; where reaction takes over again, p goes to zero from there on
    burns_early.terminal, burns_early.direction = True, 1.0  # type: ignore[attr-defined]
    return solve_ivp(
        slopes,
        (-hot, -cold),
        [heat(hot) / carried, 0.0],
        method="DOP853",
        rtol=_TOLERANCE,
        atol=1e-30,
        dense_output=dense,
        events=burns_early,
    )


def _heat(mixture: SimplifiedMixture, s_L: float, T: float) -> float:
    """Return q_F omega in plain numbers, written apart from the tensors that it judges."""
    gas, cold = mixture.gas_constant / mixture.molar_mass, mixture.inlet_temperature
    c = s_L + gas * cold / s_L
    u = 2 * gas * T / (c + math.sqrt(max(c * c - 4 * gas * T, 0.0)))
    rho = mixture.pressure / (gas * cold) * s_L / u
    fuel = mixture.phi / (mixture.phi + 4) - mixture.heat_capacity * (T - cold) / mixture.heat_release
    arrhenius = mixture.prefactor * math.exp(-mixture.activation_energy / (mixture.gas_constant * T))
    burnt: float = arrhenius * (rho * max(fuel, 0.0)) ** mixture.order
    return mixture.heat_release * burnt


def phase_plane(mixture: SimplifiedMixture) -> Orbit:
    """Return the flame of a mixture: s_L to about 1e-9 relative.

    Parameters
    ----------
    mixture : SimplifiedMixture
        Gas, reaction, conditions.

    Returns
    -------
    Orbit
        Burning velocity and profiles.

    Raises
    ------
    SolverError
        If no burning velocity between 0.1 mm/s and 20 m/s reaches the slope at the cut: the fresh gas burns before it
        reaches the flame (the cold boundary difficulty), or it is too lean to burn.

    Examples
    --------
    >>> round(phase_plane(SimplifiedMixture(phi=0.4)).speed, 8)
    0.26782048
    """
    from scipy.optimize import brentq

    def excess(logarithm: float) -> float:
        found = _integrated(mixture, float(np.exp(logarithm)))
        return -1.0 if found.status == 1 else float(np.log(found.y[0, -1] / mixture.slope))

    low = high = math.log(balanced_speed(mixture))
    while excess(low) < 0 and low > _BRACKET[0]:
        low -= 0.1
    while excess(high) > 0 and high < _BRACKET[1]:
        high += 0.1
    inside = _BRACKET[0] < low < high < _BRACKET[1]
    found = brentq(excess, low, high, xtol=1e-13, rtol=1e-13) if inside else math.nan
    # where the sign changes by a jump, slopes so small are not reached at all
    if not (inside and max(excess(found - 1e-11), 0.0) < 0.05):
        got = f"no burning velocity with T' = {mixture.slope:g} K/m at the cut"
        wanted = "one: the fresh gas burns before it reaches the flame (the cold boundary difficulty), or not at all"
        where = f"phase_plane, phi = {mixture.phi:g}, T_in = {mixture.inlet_temperature:g} K"
        raise SolverError(expected(where, got, wanted))
    return Orbit(mixture, math.exp(found))
