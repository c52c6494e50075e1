"""Setup of the case ``flame-mechanism``: its settings, flames, handles, data that Cantera made, and their problem."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import field_validator

from retrodict.cases.config import HostConfig, setting
from retrodict.cases.data import bundled

if TYPE_CHECKING:
    from retrodict.inverse.flames.handles import Handle
    from retrodict.inverse.flames.joint import JointFlames
    from retrodict.inverse.flames.profiles import Profile
    from retrodict.inverse.problem import InverseProblem
    from retrodict.physics.flames.mechanism import Mechanism
    from retrodict.physics.spaces import Tree
    from retrodict.solvers.flames.premixed import FreeFlame

__all__ = [
    "ACTIVATION",
    "CONDUCTIVITY",
    "ORDER",
    "RATE",
    "FlameMechanism",
    "conditions",
    "draw",
    "flame_of",
    "handles",
    "joint",
    "mechanism",
    "posed",
    "profile_of",
    "start",
    "truth_data",
]

RATE, ACTIVATION, ORDER, CONDUCTIVITY = "ln k", "T_a", "order of O2", "ln conductivity"
"""Names of the four handles."""

_ONE_STEP = "flames/1S_CH4_MP1.yaml"
_ATM, _OXIDIZER = 101325.0, "O2:1, N2:3.76"
# about the concentration of oxygen in a flame at one atmosphere, kmol/m3, where the rate stays when the order moves
_CONCENTRATION = 2e-3


class FlameMechanism(HostConfig):
    """Settings of the case.

    Examples
    --------
    >>> FlameMechanism(noise=0.01).noise
    0.01
    """

    phis: tuple[float, ...] = setting((0.7, 0.9, 1.1), "1", "equivalence ratios of the flames", min_length=1)
    pressures: tuple[float, ...] = setting((1.0, 5.0), "atm", "pressures of the flames", min_length=1)
    temperature: float = setting(300.0, "K", "unburnt temperature", of_data=True, gt=200, lt=700)
    places: int = setting(16, "", "places of every temperature profile; 0: burning velocities alone", ge=0, le=200)
    aligned: float = setting(
        1500.0, "K", "temperature where the places of a profile are zero", of_data=True, gt=400, lt=2000
    )
    noise: float = setting(
        0.02, "1", "standard deviation of the noise relative to the value", of_data=True, ge=1e-09, lt=0.5
    )
    reference: float = setting(1500.0, "K", "temperature at which the rate constant is an unknown", gt=500, lt=3000)
    points: int = setting(120, "", "nodes of our flames, second order", ge=40, le=2000)
    slope: float = setting(
        0.005, "1", "slope of Cantera's refinement (ratio 2, curve 1.5 times this)", ge=1e-06, le=0.2
    )
    shift_rate: float = setting(0.3, "1", "displacement of the start in ln A", ge=-10, le=10)
    shift_activation: float = setting(1.08, "1", "factor of the start on the activation energy", gt=0.5, lt=2)
    shift_conductivity: float = setting(1.25, "1", "factor of the start on the conductivity", gt=0.3, lt=3)
    shift_order: float = setting(
        0.1, "1", "displacement of the start in the order of oxygen, at a fixed rate", gt=-0.5, lt=1
    )
    band: int = setting(7, "", "equivalence ratios of the predictive bands", ge=2, le=50)
    draws: int = setting(50, "", "noise draws of the coverage check; 0: none", ge=0, le=100_000)

    def files(self) -> dict[str, Path]:
        """Return the bundled mechanism, whose rates are sought."""
        return {**super().files(), "mechanism": bundled(_ONE_STEP)}

    @field_validator("phis", "pressures")
    @classmethod
    def _positive(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(value)) < len(value) or not all(0 < v <= 50 for v in value):
            raise ValueError("different positive numbers up to 50")
        return value


@cache
def mechanism() -> Mechanism:
    """Return the one-step mechanism; the same object at every call.

    Examples
    --------
    >>> mechanism().equations
    ('CH4 + 2 O2 => CO2 + 2 H2O',)
    """
    from retrodict.physics.flames.mechanism import load_mechanism

    return load_mechanism(bundled(_ONE_STEP))


def handles(config: FlameMechanism) -> tuple[Handle, ...]:
    """Return the unknowns: k and E_a at a reference temperature, the order of oxygen, the conductivity of all species.

    Parameters
    ----------
    config : FlameMechanism
        The settings.

    Returns
    -------
    tuple of Handle
        Zero is the truth.

    Examples
    --------
    >>> [h.name for h in handles(FlameMechanism())]
    ['ln k', 'T_a', 'order of O2', 'ln conductivity']
    """
    from retrodict.inverse.flames.handles import activation, order, rate
    from retrodict.inverse.flames.transport_handles import conductivity

    gas = mechanism()
    return (
        rate(gas, 0, RATE),
        activation(gas, 0, config.reference, ACTIVATION),
        order(gas, 0, "O2", _CONCENTRATION, ORDER),
        conductivity(gas, name=CONDUCTIVITY),
    )


def start(config: FlameMechanism) -> dict[str, Any]:
    """Return the displaced start in terms of the handles.

    Examples
    --------
    >>> round(float(start(FlameMechanism())["T_a"]))
    805
    """
    E = (config.shift_activation - 1) * float(mechanism().parameters["T_a"][0])
    rate, conductivity = config.shift_rate - E / config.reference, math.log(config.shift_conductivity)
    values = {RATE: rate, ACTIVATION: E, ORDER: config.shift_order, CONDUCTIVITY: conductivity}
    return {k: np.array(v) for k, v in values.items()}


def conditions(config: FlameMechanism) -> dict[str, tuple[float, float]]:
    """Return equivalence ratio and pressure in atm of every flame by name.

    Examples
    --------
    >>> list(conditions(FlameMechanism(phis=(0.8,))))
    ['phi 0.8, 1 atm', 'phi 0.8, 5 atm']
    """
    return {f"phi {phi:g}, {p:g} atm": (phi, p) for phi in config.phis for p in config.pressures}


def flame_of(config: FlameMechanism, phi: float, p: float) -> FreeFlame:
    """Return a flame; its domain shrinks with its thickness.

    Examples
    --------
    >>> flame_of(FlameMechanism(), 0.9, 1.0).points
    120
    """
    from retrodict.solvers.flames.premixed import FreeFlame

    gas = mechanism()
    Y = np.asarray(gas.composition("CH4", _OXIDIZER, phi))
    return FreeFlame(gas, Y, config.temperature, p * _ATM, width=0.03 * p**-0.6, points=config.points)


def profile_of(config: FlameMechanism, p: float) -> list[Profile]:
    """Return the temperature profile that is seen, over the thickness of the flame; none where there is none."""
    from retrodict.inverse.flames.profiles import Profile

    x = 1e-3 * p**-0.75 * np.linspace(-0.7, 1.3, config.places)
    return [Profile("T", x, config.aligned)] if config.places else []


@cache
def joint(config: FlameMechanism) -> JointFlames:
    """Return the joint model, its nodes adapted at the displaced start; the same object for the same settings."""
    from retrodict.inverse.flames.joint import JointFlames

    about = conditions(config)
    flames = {name: flame_of(config, phi, p) for name, (phi, p) in about.items()}
    profiles = {name: profile_of(config, p) for name, (_, p) in about.items()}
    return JointFlames(flames, handles(config), True, profiles, start(config))


@cache
def truth_data(config: FlameMechanism) -> dict[str, Any]:
    """Return the data without noise: Cantera's flames on two grids of its own, extrapolated to zero cell size.

    The first grid is refined by Cantera, in the second every cell is halved. Cantera is of first order and 1e-3 off in
    the burning velocity on the first, which would move the conductivity by most of its standard deviation.
    """
    from scipy.interpolate import CubicSpline

    from retrodict.solvers.flames.grid import halved

    data: dict[str, Any] = {}
    _require_flames(config)
    for name, (phi, p) in conditions(config).items():
        coarse = _cantera(config, phi, p, refine=(2, config.slope, 1.5 * config.slope), width=0.03 * p**-0.6)
        fine = _cantera(config, phi, p, grid=halved(coarse["x"].values), tolerances=(1e-6, 1e-11))
        data[f"{name}/s_L"] = 2 * fine["s_L"].values - coarse["s_L"].values
        for profile in profile_of(config, p):
            seen = []
            for flame in (coarse, fine):
                x, T = flame["x"].values, CubicSpline(flame["x"].values, flame["T"].values)
                at = _place(x, T, config.aligned) + profile.x
                seen.append(T(np.clip(at, x[0], x[-1])))
            data[f"{name}/T"] = 2 * seen[1] - seen[0]
    return data


def _require_flames(config: FlameMechanism) -> None:
    """Refuse mixtures that cannot burn, or not past the temperature at which profiles are aligned, by name."""
    from retrodict.physics.errors import DataError, expected
    from retrodict.solvers.flames.premixed import burnt

    least = max(config.temperature + 600, config.aligned + 100 if config.places else 0.0)
    for name, (phi, p) in conditions(config).items():
        flame = flame_of(config, phi, p)
        hot = burnt(mechanism(), flame.T_in, flame.p, flame.Y_in)[0]
        if hot < least:
            raise DataError(expected(f"flame {name!r}", f"equilibrium at {hot:.0f} K", f"at least {least:.0f} K"))


def _cantera(config: FlameMechanism, phi: float, p: float, **numerics: Any) -> Any:
    from retrodict.physics.errors import SolverError, expected
    from retrodict.solvers.reference.cantera_flames import free_flame

    source = bundled(_ONE_STEP)
    flame = free_flame(source, "CH4", _OXIDIZER, phi, config.temperature, p * _ATM, **numerics)
    if flame.attrs["status"] != "converged":
        raise SolverError(expected(f"Cantera at phi {phi:g}, {p:g} atm", flame.attrs["reason"], "a converged flame"))
    return flame


def _place(x: Any, T: Any, wanted: float) -> float:
    """Return where a spline first reaches a temperature."""
    from scipy.optimize import brentq

    values = T(x)
    at = int(np.flatnonzero((values[:-1] < wanted) & (values[1:] >= wanted))[0])
    return float(brentq(lambda z: float(T(z)) - wanted, x[at], x[at + 1]))


def draw(config: FlameMechanism, rng: np.random.Generator) -> dict[str, Any]:
    """Return the data with relative noise."""
    clean = truth_data(config)
    return {k: v * (1 + config.noise * rng.standard_normal(np.shape(v))) for k, v in clean.items()}


def posed(config: FlameMechanism, values: Tree, at: Tree | None = None, *, known: bool = True) -> InverseProblem:
    """Return the problem of some data; there are no priors.

    Parameters
    ----------
    config : FlameMechanism
        The settings.
    values : Tree
        Data in the range of `joint`.
    at : Tree, optional
        Where to begin; the displaced start without it.
    known : bool, optional
        Whether the truth is that of the synthetic data.

    Returns
    -------
    InverseProblem
        Of the four handles.
    """
    from retrodict.inverse.flames.inference import flame_noise, flame_problem
    from retrodict.inverse.observation import Observation

    model = joint(config)
    noise = flame_noise(model.range, relative=config.noise)
    truth = model.domain.zeros() if known else None
    return flame_problem(model, Observation(model.range, values, noise), {}, at or start(config), truth, "mechanism")
