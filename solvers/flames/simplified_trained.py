"""A trained network of the simplified flame, and the error of its burning velocity, estimated without a reference.

A small loss says nothing of the velocity. What does is the residual seen by the adjoint of the eigenvalue,

    delta s_L = -int psi r dx / int psi (dr / ds_L) dx,   psi = T' e^(-m c_p x / lambda):

the equation has no x of its own, so that T' is a null vector, and the exponential makes it one of the adjoint.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.flames.simplified import SimplifiedMixture
from retrodict.physics.flames.simplified_system import SimplifiedSystem
from retrodict.physics.system import key
from retrodict.solvers.base import Status
from retrodict.solvers.flames.simplified_network import NetworkPlan, network_search
from retrodict.solvers.pinn.trial import Trial

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["NetworkFlame", "network_flame", "speed_error"]

Floats = NDArray[np.float64]


def speed_error(trial: Trial, weights: Floats, s_L: float, points: int = 2000) -> float:
    """Return the relative error of a burning velocity, estimated from the residual alone.

    Parameters
    ----------
    trial : Trial
        Of a `SimplifiedSystem`.
    weights : ndarray, shape (size,)
        Its weights.
    s_L : float
        Burning velocity in m/s that was found with them.
    points : int, optional
        Of the quadrature.

    Returns
    -------
    float
        ``s_L / exact - 1``, to first order; NaN where the residual is not finite.

    Raises
    ------
    SolverError
        If the trial is of another system.
    """
    system = _system(trial)
    z, gauss = _quadrature(system.coords["z"].bounds, points)
    d = trial.derivatives(weights, {"z": z}, system.derivatives)
    speed = torch.full((len(z),), s_L, dtype=torch.float64, requires_grad=True)
    r = system.residuals(d, {}, {"s_L": speed})["energy"]
    (by_speed,) = torch.autograd.grad(r.sum(), speed)
    mixture = system.mixture
    growth = mixture.mass_flux(s_L) * mixture.heat_capacity / mixture.conductivity * system.thickness
    weight = gauss * d["theta", "z"].numpy() * np.exp(-growth * z)
    seen, moved = r.detach().numpy(), by_speed.numpy()
    if not (np.isfinite(seen).all() and np.isfinite(moved).all()):
        return math.nan
    return float((weight @ seen) / (weight @ moved) / s_L)


def _system(trial: Trial) -> SimplifiedSystem:
    if not isinstance(trial.system, SimplifiedSystem):
        raise SolverError(expected("trial", type(trial.system).__name__, "one of a SimplifiedSystem"))
    return trial.system


def _quadrature(bounds: tuple[float, float], points: int) -> tuple[Floats, Floats]:
    """Return nodes and weights: Gauss's rule of ten points on equal pieces."""
    pieces = max(1, points // 10)
    node, weight = np.polynomial.legendre.leggauss(10)
    half = (bounds[1] - bounds[0]) / pieces / 2
    middle = bounds[0] + half * (2 * np.arange(pieces) + 1)
    return (middle[:, None] + half * node).ravel(), np.tile(half * weight, pieces)


@dataclass(frozen=True, eq=False)
class NetworkFlame:
    """A trained flame.

    Parameters
    ----------
    trial : Trial
        Of a `SimplifiedSystem`.
    weights : ndarray
        Its weights.
    speed : float
        Burning velocity in m/s.
    error : float
        Estimate of its relative error from the residual, see `speed_error`.
    history : xarray.Dataset
        Loss and coefficients, step by step.
    status : Status
        How training ended: steps are a budget.
    seconds : float
        It took so long, the start included.
    """

    trial: Trial
    weights: Floats
    speed: float
    error: float
    history: xr.Dataset
    status: Status
    seconds: float

    def temperature(self, x: Floats) -> Floats:
        """Return T in K at places in m."""
        system = _system(self.trial)
        d = self.trial.derivatives(self.weights, {"z": np.asarray(x, float) / system.thickness}, [key("theta")])
        return np.asarray(system.temperature(d["theta"]).numpy())

    def residual(self, x: Floats) -> Floats:
        """Return the residual of the equation, in the units of the loss, at places in m."""
        system = _system(self.trial)
        d = self.trial.derivatives(self.weights, {"z": np.asarray(x, float) / system.thickness}, system.derivatives)
        speed = torch.tensor(self.speed, dtype=torch.float64)
        return np.asarray(system.residuals(d, {}, {"s_L": speed})["energy"].numpy())


def network_flame(mixture: SimplifiedMixture, plan: NetworkPlan | None = None) -> NetworkFlame:
    """Train a network on a flame.

    Parameters
    ----------
    mixture : SimplifiedMixture
        Gas, reaction, conditions.
    plan : NetworkPlan, optional
        How.

    Returns
    -------
    NetworkFlame
        With the burning velocity, and an estimate of its error that needs no reference.

    Raises
    ------
    SolverError
        If training broke down.

    Examples
    --------
    >>> flame = network_flame(SimplifiedMixture(), NetworkPlan(width=10, target=1e-8))
    >>> abs(flame.speed / 0.267820482 - 1) < 1e-3
    True
    """
    import time

    from retrodict.solvers.iterate import finished

    began, plan = time.perf_counter(), plan or NetworkPlan()
    search = network_search(mixture, plan)
    result = finished(search, plan.steps, Status.MAX_STEPS, Status.STALLED)
    weights, s_L = np.asarray(result.data["weights"]), float(result.data["s_L"])
    error = speed_error(search.loss.trial, weights, s_L)
    seconds = time.perf_counter() - began
    return NetworkFlame(search.loss.trial, weights, s_L, error, result.history, result.status, seconds)
