"""Counterflow premixed flames from nothing but their conditions; extinction is told apart from failure.

The start is a hot pocket around the stagnation plane. Unlike a free flame, a strained one goes out where a coarse grid
thickens it, so the first grid is already fine. What is not found so is followed from weaker strain, see
`retrodict.solvers.flames.strain`; only then is the flame extinguished.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from retrodict.physics.flames.counterflow import CounterflowEquations
from retrodict.physics.flames.equations import Params
from retrodict.physics.flames.finite_volume import Scheme
from retrodict.physics.flames.kinetics import production
from retrodict.physics.flames.mechanism import Mechanism
from retrodict.physics.flames.mixture import GAS_CONSTANT, concentrations, density
from retrodict.physics.flames.thermo import enthalpy
from retrodict.solvers.base import Status
from retrodict.solvers.flames.conditions import check_conditions, conditions
from retrodict.solvers.flames.premixed import burnt
from retrodict.solvers.flames.refinement import Progress, refined
from retrodict.solvers.flames.solution import FlameSolution
from retrodict.solvers.flames.strain import from_weaker_strain
from retrodict.solvers.newton import NewtonSettings

__all__ = ["CounterflowPremixedFlame", "heat_released"]

Floats = NDArray[np.float64]
_WEAKER = (0.5, 0.25, 0.1, 0.04, 0.015)  # fractions of the mass fluxes at which a flame is looked for else
_BURNING = 1e-3  # share of the heat that the left stream can release


@dataclass(frozen=True)
class CounterflowPremixedFlame:
    """A premixed stream from the left against a stream of gas from the right.

    Parameters
    ----------
    mechanism : Mechanism
        Properties and kinetics.
    Y_u, Y_b : ndarray or Tensor, shape (K,)
        Mass fractions of the left and the right stream.
    m_u, m_b : float
        Mass fluxes of both, towards each other, kg/m2/s.
    T_u, T_b : float
        Temperatures of both, K.
    p : float
        Pressure, Pa.
    width : float
        Distance of the nozzles, m.
    points : int
        Nodes of the last grid.
    scheme : {"central", "upwind"}
        Convection of second or first order.

    Raises
    ------
    SpaceError
        If a number is out of range, or the left stream has no hot equilibrium.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> gas = load_mechanism("h2o2.yaml")
    >>> fuel, inert = gas.composition("H2", "O2:1, AR:3.76", 0.6), gas.mass_fractions("AR:1")
    >>> CounterflowPremixedFlame(gas, fuel, inert, -1.0, 1.0)
    Traceback (most recent call last):
    retrodict.physics.errors.SpaceError: CounterflowPremixedFlame.m_u: got -1.0, expected a positive number in SI units
    """

    mechanism: Mechanism
    Y_u: Floats
    Y_b: Floats
    m_u: float
    m_b: float
    T_u: float = 300.0
    T_b: float = 300.0
    p: float = 101325.0
    width: float = 0.02
    points: int = 200
    scheme: Scheme = "central"

    def __post_init__(self) -> None:
        check_conditions(self, ("m_u", "m_b", "T_u", "T_b", "p", "width"), ("Y_u", "Y_b"))

    def solve(self, progress: Progress | None = None) -> FlameSolution:
        """Return the flame; failure and extinction are a status with a reason.

        Where the cold start ends without a flame, one of smaller mass fluxes is found and these are raised. The reason
        of an extinguished flame says up to which fraction of the mass fluxes one was found.
        """
        for patient in (False, True):
            solved = self.from_cold(patient=patient, progress=progress)
            if self.burns(solved):
                return solved
        if solved.status is not Status.CONVERGED:
            return solved
        weaker, fraction = from_weaker_strain(self, _WEAKER, progress)
        if weaker is not None and fraction == 1:
            return weaker
        known = "at smaller mass fluxes neither" if weaker is None else f"up to {fraction:.3g} of the mass fluxes"
        cold = f"the steady flow is no hotter than {float(solved.U[:, 2].max()):.0f} K"
        return replace(solved, status=Status.FAILED, reason=f"Extinguished: {cold}; a flame was found {known}.")

    def from_cold(self, *, patient: bool = False, progress: Progress | None = None) -> FlameSolution:
        """Return what a hot pocket becomes, burning or not.

        Parameters
        ----------
        patient : bool
            Start near the left nozzle, on more nodes, and give the flame time to find its place; else start halfway to
            the stagnation plane.
        progress : callable, optional
            Told a line at every grid.
        """
        params, first, last = self.params(), 241 if patient else 121, (self.points, self.scheme)
        U, x, Lambda = self._start(first, 0.1 if patient else 0.5)
        start = CounterflowEquations(self.mechanism, torch.as_tensor(x), "upwind")
        plan: list[tuple[int, Scheme]] = [(first, "upwind")]
        if patient:
            plan += [(self.points, "upwind"), (self.points, "upwind")]
        else:
            plan.append((100, self.scheme))
        rough = NewtonSettings(relative=1e-4, attempts=40 if patient else 12)
        plan += [last, last]
        return refined(start, params, U, np.array([Lambda]), self.points, self.scheme, progress, plan, rough)

    def burns(self, solved: FlameSolution) -> bool:
        """Return whether a solve ended with a flame: more than a thousandth of the left stream's heat is released."""
        return solved.status is Status.CONVERGED and heat_released(solved) > _BURNING

    def params(self) -> Params:
        """Return the parameters of the mechanism and the conditions."""
        names = ("p", "T_u", "T_b", "m_u", "m_b", "Y_u", "Y_b")
        return {**self.mechanism.tensors(), **conditions(self, names)}

    def _start(self, n: int, front: float) -> tuple[Floats, Floats, float]:
        """Return a hot pocket of burnt gas before the stagnation plane of an even flow, its nodes, and ``Lambda``."""
        s = np.linspace(0, 1, n)
        T_b, Y_b = burnt(self.mechanism, self.T_u, self.p, self.Y_u)
        stagnation = self.m_u / (self.m_u + self.m_b)
        rise = np.clip((s - front * stagnation) / (0.25 * stagnation), 0, 1)[:, None]
        fall = np.clip((s - stagnation) / (0.5 * (1 - stagnation)), 0, 1)[:, None]
        cold, hot, other = (
            np.concatenate([[T], Y]) for T, Y in ((self.T_u, self.Y_u), (T_b, Y_b), (self.T_b, self.Y_b))
        )
        state = (cold * (1 - rise) + hot * rise) * (1 - fall) + other * fall
        m = self.m_u - (self.m_u + self.m_b) * s
        rho = density(self.mechanism, *(torch.as_tensor(v) for v in (state[:, 0], self.p, state[:, 1:]))).numpy()
        V = (self.m_u + self.m_b) / (2 * self.width * rho)
        V[0] = V[-1] = 0
        return np.column_stack([m, V, state]), s * self.width, -float(rho[0] * V[1] ** 2)


def heat_released(solved: FlameSolution) -> float:
    """Return the heat released over that which the left stream can release, at equal temperatures before and after.

    Parameters
    ----------
    solved : FlameSolution
        Of a counterflow.

    Returns
    -------
    float
        Zero where nothing burns, also where the left stream has nothing to burn.

    Examples
    --------
    >>> from retrodict.physics.flames.mechanism import load_mechanism
    >>> gas = load_mechanism("h2o2.yaml")
    >>> fuel = gas.composition("H2", "O2:1, AR:3.76", 0.6).numpy()
    >>> flame = CounterflowPremixedFlame(gas, fuel, fuel, 1.0, 1.0)
    >>> cold = np.tile([1.0, 0.0, 300.0, *fuel], (3, 1))
    >>> nodes = CounterflowEquations(gas, torch.linspace(0, 0.02, 3, dtype=torch.float64))
    >>> heat_released(FlameSolution(nodes, flame.params(), cold, np.zeros(1), Status.CONVERGED, "")) < 1e-9
    True
    """
    params, mech = solved.params, solved.equations.mechanism
    T, Y = torch.as_tensor(solved.U[:, 2]), torch.as_tensor(solved.U[:, 3:])
    with torch.no_grad():
        wdot = production(params, mech, T, concentrations(mech, T, params["p"], Y))
        rate = -(wdot * enthalpy(params, mech, T) * (GAS_CONSTANT * T)[:, None]).sum(1)
    gas = mech.gas()
    gas.TPY = float(params["T_u"]), float(params["p"]), params["Y_u"].numpy()
    before = gas.enthalpy_mass
    gas.equilibrate("HP")
    gas.TP = float(params["T_u"]), float(params["p"])
    available = float(params["m_u"]) * (before - gas.enthalpy_mass)
    heat = float(np.trapezoid(rate.numpy(), solved.equations.x.numpy()))
    return heat / available if available > 0 else 0.0
