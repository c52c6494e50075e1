"""Setup of the case ``flame-simplified``: its settings, the mixture, and every way of solving it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from retrodict.cases.config import CaseConfig, setting
from retrodict.solvers.base import Status

if TYPE_CHECKING:
    from retrodict.physics.flames.simplified import SimplifiedMixture
    from retrodict.solvers.flames.simplified_network import NetworkPlan

__all__ = ["TABLE", "FlameSimplified", "Found", "mixture_of", "plan_of", "solved"]

Floats = NDArray[np.float64]

TABLE: tuple[tuple[float, float, float, float, float], ...] = (
    (0.40, 1.0, 298.0, 0.267820482, 0.267941929),
    (0.42, 1.0, 298.0, 0.292786112, 0.292931407),
    (0.46, 1.0, 298.0, 0.343339500, 0.343539615),
    (0.50, 1.0, 298.0, 0.394349910, 0.394614204),
    (0.40, 1.0, 450.0, 0.458278801, 0.458514428),
    (0.40, 1.0, 600.0, 0.690851130, 0.691252916),
    (0.40, 1.2, 298.0, 0.258339214, 0.258474990),
    (0.50, 1.2, 298.0, 0.380325984, 0.380621214),
)
"""phi, atmospheres, T_in in K; s_L in m/s by forward shooting in the phase plane, and by the authors' Euler march."""


class FlameSimplified(CaseConfig):
    """Settings of the case.

    Examples
    --------
    >>> FlameSimplified(phi=0.5).phi
    0.5
    """

    phi: float = setting(0.42, "1", "equivalence ratio", of_data=True, ge=0.1, le=10)
    atmospheres: float = setting(1.0, "atm", "pressure", of_data=True, ge=0.001, le=1000)
    inlet_temperature: float = setting(298.0, "K", "temperature of the fresh gas", of_data=True, ge=100, le=1500)
    slope: float = setting(
        1e5, "K m-1", "temperature gradient at the cut; 1 is a free flame", of_data=True, ge=0.001, le=1e09
    )
    length: float = setting(1.5e-3, "m", "length of the domain", of_data=True, ge=1e-06, le=1)
    method: Literal["pinn", "newton", "deepxde", "paper"] = setting("pinn", "", "how run solves the flame")
    start: float = setting(0.4, "m s-1", "burning velocity to begin with", ge=0.0001, le=1000)
    balanced: bool = setting(True, "", "correct the start by the global balance of heat")
    width: int = setting(16, "", "width of the hidden layers", ge=2, le=512)
    depth: int = setting(2, "", "hidden layers", ge=1, le=12)
    points: int = setting(256, "", "collocation points", ge=16, le=10_000)
    warm_up: int = setting(150, "", "steps onto the front to begin with", ge=1, le=1_000_000_000)
    steps: int = setting(600, "", "largest number of training steps", ge=1, le=1_000_000_000)
    target: float = setting(1e-11, "", "loss at which the network has converged", ge=1e-30, le=1)
    peer_seconds: float = setting(60.0, "s", "how long DeepXDE trains", gt=0, le=1e06)
    bar: float = setting(3e-4, "1", "what validate asks of the network's burning velocity", ge=1e-12, le=1)
    conditions: int = setting(8, "", "conditions of the table that validate computes", ge=1, le=8)
    samples: int = setting(10, "", "temperatures in the synthetic data", ge=3, le=10_000)
    noise: float = setting(0.01, "1", "relative noise of the temperatures", ge=1e-09, le=1)
    true_conductivity: float = setting(2.6e-2, "W m-1 K-1", "of the synthetic data", ge=1e-05, le=100)
    true_activation: float = setting(1.214172e5, "J mol-1", "activation energy of the synthetic data", ge=1e4, le=1e6)
    guess_conductivity: float = setting(0.03, "W m-1 K-1", "where the fit begins", ge=1e-05, le=100)
    guess_activation: float = setting(1.5e5, "J mol-1", "where the fit begins", ge=1e4, le=1e6)


def mixture_of(config: FlameSimplified, *, guess: bool = False) -> SimplifiedMixture:
    """Return gas and conditions; with the guesses of the fit if asked for.

    Parameters
    ----------
    config : FlameSimplified
        The settings.
    guess : bool, optional
        Whether conductivity and activation energy are those that a fit begins with.

    Returns
    -------
    SimplifiedMixture
        The flame.

    Examples
    --------
    >>> mixture_of(FlameSimplified(), guess=True).conductivity
    0.03
    """
    from retrodict.physics.flames.simplified import ATMOSPHERE, SimplifiedMixture

    conductivity = config.guess_conductivity if guess else config.true_conductivity
    activation = config.guess_activation if guess else config.true_activation
    return SimplifiedMixture(
        config.phi,
        config.atmospheres * ATMOSPHERE,
        config.inlet_temperature,
        config.slope,
        config.length,
        conductivity=conductivity,
        activation_energy=activation,
    )


def plan_of(config: FlameSimplified) -> NetworkPlan:
    """Return how the network is trained.

    Examples
    --------
    >>> plan_of(FlameSimplified(seed=3)).seed
    3
    """
    from retrodict.solvers.flames.simplified_network import NetworkPlan

    return NetworkPlan(
        config.width,
        config.depth,
        config.points,
        config.warm_up,
        steps=config.steps,
        target=config.target,
        start=config.start,
        balanced=config.balanced,
        seed=config.seed,
    )


@dataclass(frozen=True, eq=False)
class Found:
    """A flame by any method.

    Parameters
    ----------
    speed : float
        Burning velocity in m/s.
    estimate : float
        Its relative error as the method itself sees it; NaN where it does not.
    T, residual : ndarray, shape (x,)
        Temperatures in K, and the residual of the energy equation over what the flow carries; NaN where there is none.
    trace, loss : ndarray, shape (step,)
        Burning velocity and loss over the steps.
    status : str
        How it ended.
    seconds : float
        What it took.
    """

    speed: float
    estimate: float
    T: Floats
    residual: Floats
    trace: Floats
    loss: Floats
    status: str
    seconds: float


def solved(config: FlameSimplified, x: Floats) -> Found:
    """Return the flame by the method of the settings.

    Parameters
    ----------
    config : FlameSimplified
        The settings.
    x : ndarray, shape (x,)
        Places in m.

    Returns
    -------
    Found
        Burning velocity, temperatures, history.

    Examples
    --------
    >>> round(solved(FlameSimplified(method="newton"), np.array([0.0, 1e-3])).speed, 8)
    0.29278611
    """
    return {"newton": _newton, "pinn": _network, "paper": _paper, "deepxde": _deepxde}[config.method](config, x)


def _newton(config: FlameSimplified, x: Floats) -> Found:
    import time

    from scipy.interpolate import make_interp_spline

    from retrodict.solvers.flames.simplified import solve_simplified

    began = time.perf_counter()
    found = solve_simplified(mixture_of(config), start=config.start)
    seconds = time.perf_counter() - began
    spline = make_interp_spline(found.x, found.T, 5)
    grids = np.array(found.grids)
    residual = _residual(config, [spline(x, k) for k in range(3)], found.speed)
    return Found(found.speed, found.error, spline(x), residual, grids, np.full(3, np.nan), found.status.value, seconds)


def _residual(config: FlameSimplified, profile: Sequence[Any], s_L: float) -> Floats:
    """Return the residual of a profile, its slope and its bend."""
    import torch

    mixture = mixture_of(config)
    T, T_x, T_xx = (torch.as_tensor(np.asarray(v, float)) for v in profile)
    rise = mixture.burnt_temperature - mixture.inlet_temperature
    carried = mixture.mass_flux(s_L) * mixture.heat_capacity * rise * 10 / mixture.length
    return np.asarray(mixture.residual(T, T_x, T_xx, s_L).numpy() / carried)


def _network(config: FlameSimplified, x: Floats) -> Found:
    from retrodict.solvers.flames.simplified_trained import network_flame

    found = network_flame(mixture_of(config), plan_of(config))
    h = found.history
    return Found(
        found.speed,
        found.error,
        found.temperature(x),
        found.residual(x),
        h["s_L"].values,
        h["loss"].values,
        found.status.value,
        found.seconds,
    )


def _paper(config: FlameSimplified, x: Floats) -> Found:
    import time

    from retrodict.physics.system import key
    from retrodict.solvers.flames.simplified_paper import RangedSystem, paper_search
    from retrodict.solvers.iterate import finished

    began = time.perf_counter()
    search = paper_search(
        mixture_of(config),
        start=config.start,
        steps=config.steps,
        warm_up=config.warm_up,
        points=config.points,
        width=config.width,
        depth=config.depth,
        seed=config.seed,
    )
    result = finished(search, config.steps, Status.MAX_STEPS, Status.STALLED)
    seconds = time.perf_counter() - began
    system, trial = search.loss.trial.system, search.loss.trial
    assert isinstance(system, RangedSystem)
    inner, s_L = system.inner, float(result.data["s_L"])
    d = system.rise(trial.derivatives(result.data["weights"].values, {"z": x / inner.thickness}, system.derivatives))
    per = inner.rise / inner.thickness
    T = inner.temperature(d["theta"]).numpy()
    slopes = [(per * d[key("theta", "z")]).numpy(), (per / inner.thickness * d[key("theta", "z", "z")]).numpy()]
    h = result.history
    residual = _residual(config, [T, *slopes], s_L)
    return Found(s_L, np.nan, T, residual, h["s_L"].values, h["loss"].values, result.status.value, seconds)


def _deepxde(config: FlameSimplified, x: Floats) -> Found:
    from retrodict.physics.flames.simplified_system import SimplifiedSystem
    from retrodict.solvers.deepxde.problem import DeepXDESetup
    from retrodict.solvers.deepxde.training import train_with_deepxde

    mixture = mixture_of(config)
    system = SimplifiedSystem(mixture, config.start)
    setup = DeepXDESetup(
        width=config.width,
        depth=config.depth,
        domain=config.points,
        boundary=4,
        weights=(1.0, 1.0, 1.0),
        seed=config.seed,
        device=config.device,
    )
    found = train_with_deepxde(
        system, setup, seconds=config.peer_seconds, iterations=config.steps, unknown={"s_L": config.start}, records=40
    )
    T = mixture.inlet_temperature + system.rise * found.predict({"z": x / system.thickness})["theta"]
    h = found.history
    trace = h["unknown s_L"].values if "unknown s_L" in h else np.array([found.coefficients["s_L"]])
    loss = h["loss"].values if "loss" in h else np.full(len(trace), np.nan)
    seconds = float(h["seconds"].values[-1]) if "seconds" in h else 0.0
    none = np.full(len(x), np.nan)
    return Found(found.coefficients["s_L"], np.nan, T, none, trace, loss, found.status.value, seconds)
