"""Conductivity, activation energy and burning velocity of the simplified flame from a few noisy temperatures.

Two ways on the same data. Gauss-Newton through the differentiable flame: each step solves flames, and the burning
velocity is what they say. All at once by a network: its weights, s_L, lambda and E_a in one least squares, with the
equation in units of a standard deviation so small that nothing depends on it. One profile tells products better than
factors: the correlation of lambda and E_a is 0.999.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrodict.inverse.estimators import solver_for
from retrodict.inverse.flames.temperatures import TemperatureData, measured
from retrodict.inverse.noise import Gaussian
from retrodict.inverse.observation import Observation
from retrodict.inverse.posterior import posterior
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Misfit, Term
from retrodict.physics.flames.simplified import SimplifiedMixture
from retrodict.physics.flames.simplified_system import UNITS, SimplifiedSystem
from retrodict.solvers.base import Status
from retrodict.solvers.flames.simplified_model import SimplifiedFlame
from retrodict.solvers.flames.simplified_network import NetworkPlan, network_search, profile_part
from retrodict.solvers.iterate import finished
from retrodict.solvers.reference.phase_plane import phase_plane

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["compare_inversions", "network_inversion", "profile_problem"]

Floats = NDArray[np.float64]
_NAMES = ("s_L", "lambda", "E_a")
_SI = {"s_L": "m s-1", "lambda": "W m-1 K-1", "E_a": "J mol-1"}


def profile_problem(
    begin: SimplifiedMixture, data: TemperatureData, truth: SimplifiedMixture | None = None
) -> InverseProblem:
    """Return the problem of lambda and E_a from temperatures.

    Parameters
    ----------
    begin : SimplifiedMixture
        Gas and conditions, with the lambda and the E_a to begin with.
    data : TemperatureData
        What was seen.
    truth : SimplifiedMixture, optional
        For reports.

    Returns
    -------
    InverseProblem
        For `retrodict.inverse.estimators.solver_for`.

    Examples
    --------
    >>> data = TemperatureData(np.array([5e-4, 1e-3]), np.array([4000.0, 4800.0]), np.array([40.0, 48.0]))
    >>> list(profile_problem(SimplifiedMixture(), data).space)
    ['lambda', 'E_a']
    """
    names = _NAMES[1:]
    model = SimplifiedFlame(begin, data.x, names, speed=False)
    seen = Observation(model.range, {"T": data.T}, {"T": Gaussian(data.std)})
    start, known = ({k: np.array(m.parameters[k]) for k in names} if m else None for m in (begin, truth))
    assert start is not None
    return InverseProblem(model.domain, (Term("temperatures", Misfit(model, seen)),), start, known, "flame profile")


def network_inversion(
    begin: SimplifiedMixture, data: TemperatureData, plan: NetworkPlan | None = None, equation_std: float = 1e-5
) -> xr.Dataset:
    """Return s_L, lambda and E_a by a network, all at once with its weights.

    Parameters
    ----------
    begin : SimplifiedMixture
        Gas and conditions, with the lambda and the E_a to begin with.
    data : TemperatureData
        What was seen.
    plan : NetworkPlan, optional
        Network and optimiser.
    equation_std : float, optional
        Root mean square of the equation's residual that costs as much as a datum off by one standard deviation.

    Returns
    -------
    xarray.Dataset
        The three in SI units; loss and status as attributes.
    """
    import xarray as xr

    plan = plan or NetworkPlan(target=1e-300, steps=400)
    system = SimplifiedSystem(begin)
    part = profile_part(system, data.x, data.T, std=data.std / system.rise)
    part = replace(part, weight=len(data.x) * equation_std**2)
    values = {k: v for k, v in system.values.items() if k != "s_L"}
    # a search that goes on to the last digit ends in any of three ways; the status is told
    search = network_search(begin, plan, unknown=values, parts=[part])
    result = finished(search, plan.steps, Status.MAX_STEPS, Status.STALLED)
    found = {k: ((), float(result.data[k]) / UNITS[k], {"units": _SI[k]}) for k in _NAMES}
    return xr.Dataset(found, attrs={"status": result.status.value, "steps": result.steps, "loss": result.best["loss"]})


def compare_inversions(
    truth: SimplifiedMixture,
    *,
    count: int = 10,
    noise: float = 0.01,
    seed: int = 0,
    conductivity: float = 0.03,
    activation_energy: float = 1.5e5,
    plan: NetworkPlan | None = None,
) -> xr.Dataset:
    """Return Gauss-Newton and the network on the same data: estimates, errors, deviations and times.

    Parameters
    ----------
    truth : SimplifiedMixture
        Where the data come from.
    count, noise, seed : optional
        Number of places, relative noise, and its seed.
    conductivity, activation_energy : float, optional
        Where both begin, W/m/K and J/mol.
    plan : NetworkPlan, optional
        Of the network.

    Returns
    -------
    xarray.Dataset
        ``estimate``, ``error`` (relative) and ``std`` by method and parameter, ``seconds`` and ``chi2`` by method.
    """
    import xarray as xr

    data = measured(truth, np.random.default_rng(seed), count=count, noise=noise)
    begin = replace(truth, conductivity=conductivity, activation_energy=activation_energy)
    exact = {**{k: truth.parameters[k] for k in _NAMES[1:]}, "s_L": phase_plane(truth).speed}
    clock = time.perf_counter()
    problem = profile_problem(begin, data, truth)
    result = finished(solver_for(problem), 60)
    at = {k: np.asarray(result.data[k], float) for k in _NAMES[1:]}
    speed, slope = SimplifiedFlame(begin, (), _NAMES[1:]).linearize(at)
    covariance = np.asarray(posterior(problem, at)["covariance"])
    row = np.array([float(slope.adjoint({"s_L": np.array(1.0)})[k]) for k in _NAMES[1:]])
    deviations = np.sqrt([row @ covariance @ row, *np.diag(covariance)])
    times = [time.perf_counter() - clock]
    newton = [float(speed["s_L"]), *(float(at[k]) for k in _NAMES[1:])]
    clock = time.perf_counter()
    found = network_inversion(begin, data, plan)
    times.append(time.perf_counter() - clock)
    table = np.array([newton, [float(found[k]) for k in _NAMES]])
    wanted = np.array([exact[k] for k in _NAMES])
    spread = np.array([deviations, np.full(3, np.nan)])
    chi2 = [_misfit(begin, data, row) for row in table]
    return xr.Dataset(
        {
            "estimate": (("method", "parameter"), table),
            "error": (("method", "parameter"), table / wanted - 1, {"units": "1"}),
            "std": (("method", "parameter"), spread),
            "seconds": ("method", times, {"units": "s"}),
            "chi2": ("method", chi2, {"units": "1", "long_name": "of the flame with these parameters"}),
        },
        {
            "method": ["Gauss-Newton", "network"],
            "parameter": list(_NAMES),
            "units": ("parameter", [_SI[k] for k in _NAMES]),
        },
        {"count": count, "noise": noise, "seed": seed, "network_status": found.attrs["status"]},
    )


def _misfit(begin: SimplifiedMixture, data: TemperatureData, row: Floats) -> float:
    """Return chi-squared of the flame that has these coefficients; infinite where there is none."""
    model = SimplifiedFlame(begin, data.x, _NAMES[1:], speed=False)
    low, high = model.domain.bounds()
    if not np.all((row[1:] >= low) & (row[1:] <= high)):
        return np.inf
    T = model.apply({k: np.asarray(v) for k, v in zip(_NAMES[1:], row[1:], strict=True)})["T"]
    chi2 = float(np.sum(((data.T - T) / data.std) ** 2))
    return chi2 if np.isfinite(chi2) else np.inf
