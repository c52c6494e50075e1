"""The two flames of the network tables: a free one on a short domain, and Cantera's counterflow flame as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrodict.cases.data import bundled
from retrodict.physics.flames.mechanism import Mechanism, load_mechanism
from retrodict.physics.flames.mixture import GAS_CONSTANT
from retrodict.physics.flames.systems import CounterflowSystem, FreeFlameSystem
from retrodict.physics.seeds import Seeds
from retrodict.solvers.flames.premixed import burnt

__all__ = ["CounterflowData", "counterflow_data", "free_flame", "one_step"]

Floats = NDArray[np.float64]
_AIR = "O2:1, N2:3.76"
_ONE_STEP = "flames/1S_CH4_MP1.yaml"


def one_step() -> Mechanism:
    """Return the one-step mechanism of methane that is bundled.

    Examples
    --------
    >>> one_step().species
    ('O2', 'H2O', 'CH4', 'CO2', 'N2')
    """
    return load_mechanism(bundled(_ONE_STEP))


def free_flame(
    mechanism: Mechanism, phi: float = 0.8, p: float = 101325.0, length: float = 2.5e-3, s_L: float = 0.6
) -> FreeFlameSystem:
    """Return the free flame of the paper: methane in air from 300 K, burnt gas imposed at the right end.

    Parameters
    ----------
    mechanism : Mechanism
        Properties and kinetics.
    phi : float, optional
        Equivalence ratio.
    p : float, optional
        Pressure, Pa.
    length : float, optional
        Domain, m; the anchor, 25 % of the temperature rise, is at 35 % of it.
    s_L : float, optional
        Where the search for the burning velocity begins, m/s.

    Returns
    -------
    FreeFlameSystem
    """
    Y = np.asarray(mechanism.composition("CH4", _AIR, phi))
    T_b, Y_b = burnt(mechanism, 300.0, p, Y)
    anchor = (0.35 * length, 0.75 * 300.0 + 0.25 * T_b)
    return FreeFlameSystem(mechanism, Y, Y_b, 300.0, T_b, p, length, anchor, s_L)


@dataclass(frozen=True)
class CounterflowData:
    """Profiles of Cantera's counterflow flame at some points, with noise, and what they came from.

    Parameters
    ----------
    mechanism : Mechanism
        The true one.
    x : ndarray, shape (k,)
        Positions, m.
    values : Mapping of str to ndarray, shape (k,)
        ``u``, ``V``, ``T`` and species, SI.
    Y_u, Y_b : ndarray
        Mass fractions of both streams.
    Lambda : float
        True pressure gradient, Pa/m2.
    E_a : float
        True activation energy, J/kmol.
    """

    mechanism: Mechanism
    x: Floats
    values: Mapping[str, Floats]
    Y_u: Floats
    Y_b: Floats
    Lambda: float
    E_a: float

    def system(self, Lambda: float, E_a: float) -> CounterflowSystem:
        """Return the flame as a network sees it, with starts for its coefficients."""
        sizes = {k: float(np.abs(v).max()) for k, v in self.values.items()}
        return CounterflowSystem(
            self.mechanism, self.Y_u, self.Y_b, 1.0, 1.0, 300.0, 300.0, 101325.0, 0.02, sizes, Lambda, E_a
        )


def counterflow_data(noise: float = 0.0, seed: int = 0, phi: float = 0.8, count: int = 16) -> CounterflowData:
    """Return data of Cantera's refined counterflow flame with noise ``y (1 + noise N(0, 1))``.

    Parameters
    ----------
    noise : float, optional
        Relative.
    seed : int, optional
        Of the noise.
    phi : float, optional
        Equivalence ratio of the left stream.
    count : int, optional
        Even points, the ends included.

    Returns
    -------
    CounterflowData
    """
    from retrodict.solvers.reference.cantera_flames import counterflow_premixed

    true = counterflow_premixed(
        bundled(_ONE_STEP),
        "CH4",
        _AIR,
        phi,
        width=0.02,
        mdot_u=1.0,
        mdot_b=1.0,
        T_b=300.0,
        burnt="N2:1",
        grid=101,
        refine=(3, 0.05, 0.05, 0.01),
    )
    mechanism, x, rng = one_step(), np.linspace(0, 0.02, count), Seeds(seed).stream("noise")
    profiles = {k: np.asarray(true[k]) for k in ("u", "V", "T")}
    profiles |= {k: np.asarray(true["Y"].sel(species=k)) for k in mechanism.species}
    values = {k: np.interp(x, true["x"], v) * (1 + noise * rng.standard_normal(count)) for k, v in profiles.items()}
    Y_u, Y_b = mechanism.composition("CH4", _AIR, phi), mechanism.mass_fractions("N2:1")
    E_a = float(mechanism.parameters["T_a"][0]) * GAS_CONSTANT
    return CounterflowData(mechanism, x, values, np.asarray(Y_u), np.asarray(Y_b), float(true["Lambda"]), E_a)
