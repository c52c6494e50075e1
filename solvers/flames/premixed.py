"""Free and burner-held premixed flames from nothing but their conditions.

The start is a straight ramp between the inlet and the burnt equilibrium on a coarse grid, and `refined` does the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from retrodict.physics.errors import SpaceError, expected
from retrodict.physics.flames.finite_volume import Scheme
from retrodict.physics.flames.mechanism import Mechanism
from retrodict.physics.flames.mixture import density
from retrodict.physics.flames.premixed import Anchor, PremixedEquations
from retrodict.solvers.base import Status
from retrodict.solvers.flames.conditions import RISE, check_conditions, conditions
from retrodict.solvers.flames.refinement import Progress, refined
from retrodict.solvers.flames.solution import FlameSolution

__all__ = ["BurnerFlame", "FreeFlame", "burnt"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FreeFlame:
    """A freely propagating premixed flame.

    Parameters
    ----------
    mechanism : Mechanism
        Properties and kinetics.
    Y_in : ndarray or Tensor, shape (K,)
        Mass fractions of the unburnt mixture, see `Mechanism.composition`.
    T_in : float
        Unburnt temperature, K.
    p : float
        Pressure, Pa.
    width : float
        Length of the domain, m; it is doubled, at most three times, while heat leaves through its left end.
    points : int
        Nodes of the last grid.
    scheme : {"central", "upwind"}
        Convection of second or first order.

    Raises
    ------
    SpaceError
        If a number is out of range, or the mixture has no hot equilibrium.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> gas = load_mechanism("h2o2.yaml")
    >>> flame = FreeFlame(gas, gas.composition("H2", "O2:1, AR:3.76", 1.0), 300.0, 101325.0, points=60)
    >>> solved = flame.solve()
    >>> solved.status.value, bool(2.0 < solved.observables()["s_L"] < 4.0)
    ('converged', True)
    """

    mechanism: Mechanism
    Y_in: Floats
    T_in: float = 300.0
    p: float = 101325.0
    width: float = 0.03
    points: int = 200
    scheme: Scheme = "central"

    def __post_init__(self) -> None:
        check_conditions(self, ("T_in", "p", "width"), ("Y_in",))

    def solve(self, progress: Progress | None = None) -> FlameSolution:
        """Return the flame; failure is a status with a reason."""
        T_b, Y_b = burnt(self.mechanism, self.T_in, self.p, self.Y_in)
        if T_b < self.T_in + RISE:
            where = "FreeFlame: equilibrium of the mixture"
            raise SpaceError(expected(where, f"{T_b:.0f} K from {self.T_in:.0f} K", "a mixture that can burn"))
        solved = self._solve(self.width, T_b, Y_b, progress)
        for widening in (2, 4, 8):
            if solved.status is not Status.CONVERGED or solved.edge_slopes()[0] < 1e-5:
                break
            solved = self._solve(self.width * widening, T_b, Y_b, progress)
        return solved

    def _solve(self, width: float, T_b: float, Y_b: Floats, progress: Progress | None) -> FlameSolution:
        x, ramp = _ramp(width)
        U = np.concatenate([[self.T_in], self.Y_in]) * (1 - ramp) + np.concatenate([[T_b], Y_b]) * ramp
        at = int(np.argmin(np.abs(ramp[:, 0] - 0.4)))
        anchor = Anchor(float(x[at]), float(U[at, 0]))
        params = {**self.mechanism.tensors(), **conditions(self, ("T_in", "p", "Y_in"))}
        start = PremixedEquations(self.mechanism, torch.as_tensor(x), "upwind", anchor)
        rho = density(self.mechanism, params["T_in"][None], params["p"], params["Y_in"][None]).numpy()
        return refined(start, params, U, 0.5 * rho, self.points, self.scheme, progress)


@dataclass(frozen=True)
class BurnerFlame:
    """A premixed flame held by a cooled porous burner at the left end, where temperature and mass flux are imposed.

    Parameters
    ----------
    mechanism : Mechanism
        Properties and kinetics.
    Y_in : ndarray or Tensor, shape (K,)
        Mass fractions of the unburnt mixture.
    m : float
        Mass flux, kg/m2/s; below that of the free flame.
    T_in : float
        Temperature of the burner, K.
    p : float
        Pressure, Pa.
    width : float
        Length of the domain, m.
    points : int
        Nodes of the last grid.
    scheme : {"central", "upwind"}
        Convection of second or first order.

    Raises
    ------
    SpaceError
        If a number is out of range.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> gas = load_mechanism("h2o2.yaml")
    >>> flame = BurnerFlame(gas, gas.composition("H2", "O2:1, AR:7", 0.5), 0.06, 373.0, 5066.0, width=0.2, points=40)
    >>> flame.solve().status.value
    'converged'
    """

    mechanism: Mechanism
    Y_in: Floats
    m: float
    T_in: float = 300.0
    p: float = 101325.0
    width: float = 0.03
    points: int = 200
    scheme: Scheme = "central"

    def __post_init__(self) -> None:
        check_conditions(self, ("T_in", "p", "width"), ("Y_in",))
        if not 0 < self.m < np.inf:
            raise SpaceError(expected("BurnerFlame.m", self.m, "a positive mass flux in kg/m2/s"))

    def solve(self, progress: Progress | None = None) -> FlameSolution:
        """Return the flame; failure is a status with a reason."""
        T_b, Y_b = burnt(self.mechanism, self.T_in, self.p, self.Y_in)
        x = self.width * np.linspace(0, 1, 25) ** 2
        ramp = np.clip(x / (0.2 * self.width), 0, 1)[:, None]
        U = np.concatenate([[self.T_in], self.Y_in]) * (1 - ramp) + np.concatenate([[T_b], Y_b]) * ramp
        params = {**self.mechanism.tensors(), **conditions(self, ("T_in", "p", "Y_in", "m"))}
        start = PremixedEquations(self.mechanism, torch.as_tensor(x), "upwind")
        return refined(start, params, U, np.zeros(0), self.points, self.scheme, progress)


def burnt(mechanism: Mechanism, T: float, p: float, Y: Floats) -> tuple[float, Floats]:
    """Return temperature and mass fractions of the adiabatic equilibrium at constant pressure (by Cantera).

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> gas = load_mechanism("h2o2.yaml")
    >>> T, _ = burnt(gas, 300.0, 101325.0, gas.composition("H2", "O2:1, AR:3.76", 1.0))
    >>> bool(2500 < T < 3000)
    True
    """
    gas = mechanism.gas()
    gas.TPY = T, p, Y
    gas.equilibrate("HP")
    return float(gas.T), np.array(gas.Y)


def _ramp(width: float) -> tuple[Floats, Floats]:
    """Return coarse nodes and the share of burnt gas on them, (n,) and (n, 1)."""
    x = width * np.concatenate([np.linspace(0, 0.25, 6)[:-1], np.linspace(0.25, 0.5, 16), np.linspace(0.5, 1, 8)[1:]])
    return x, np.clip((x / width - 0.3) / 0.15, 0, 1)[:, None]
