"""Case ``flame-simplified``: a premixed flame with one reaction, by network, by Newton and exactly; and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrodict.cases.case import Case
from retrodict.cases.flame_simplified_checks import checks
from retrodict.cases.flame_simplified_figures import (
    ellipse_figure,
    fit_figure,
    profile_figure,
    residual_figure,
    speed_figure,
)
from retrodict.cases.flame_simplified_setup import FlameSimplified, mixture_of, solved
from retrodict.cases.origin import DataOrigin, no_data, simulated

if TYPE_CHECKING:
    import xarray as xr

    from retrodict.inverse.problem import InverseProblem
    from retrodict.physics.model import Differentiable
    from retrodict.physics.seeds import Seeds
    from retrodict.physics.spaces import Tree

__all__ = ["case"]

_LABELS = {
    "pinn": ("network", "step of the optimiser"),
    "newton": ("Newton, three grids", "grid, coarse to fine"),
    "deepxde": ("DeepXDE, Adam", "record"),
    "paper": ("network as in the paper", "step of Adam"),
}


def simulate(config: FlameSimplified, _seeds: Seeds) -> xr.Dataset:
    """Return the flame by the method of the settings beside the exact one."""
    import xarray as xr

    from retrodict.solvers.reference.phase_plane import phase_plane

    mixture = mixture_of(config)
    x = np.linspace(0.0, mixture.length, 501)
    orbit = phase_plane(mixture)
    exact = orbit.to_dataset(x)
    found = solved(config, x)
    growth = mixture.mass_flux(orbit.speed) * mixture.heat_capacity / mixture.conductivity
    weight = np.gradient(exact["T"].values, x) * np.exp(-growth * x)
    label, axis = _LABELS[config.method]
    numbers = {
        "s_L": (found.speed, "m s-1", "burning velocity"),
        "s_L_exact": (orbit.speed, "m s-1", "burning velocity, phase plane"),
        "relative_error": (found.speed / orbit.speed - 1, "1", "relative error of the burning velocity"),
        "estimated_error": (found.estimate, "1", "the same, estimated without a reference"),
    }
    curves = {
        "T": (found.T, "K", "temperature"),
        "T_exact": (exact["T"].values, "K", "temperature, phase plane"),
        "residual": (found.residual, "1", "residual of the energy equation over the heat carried"),
        "omega": (exact["omega"].values, "kg m-3 s-1", "rate of reaction"),
        "weight": (weight / weight.max(), "1", "weight of the residual in the error of the burning velocity"),
    }
    steps = {"trace_s_L": (found.trace, "m s-1", "burning velocity"), "loss": (found.loss, "1", "loss")}
    groups: tuple[tuple[Any, Mapping[str, tuple[Any, str, str]]], ...]
    groups = ((), numbers), ("x", curves), ("step", steps)
    # what a method does not give is left out, not filled with NaN
    data = {
        k: (dims, v, {"units": u, "long_name": n})
        for dims, group in groups
        for k, (v, u, n) in group.items()
        if np.isfinite(v).all()
    }
    coords = {
        "x": ("x", x, {"units": "m", "long_name": "distance from the cut"}),
        "step": ("step", np.arange(1, len(found.trace) + 1), {"units": "1"}),
    }
    about = {"label": label, "axis": axis, "status": found.status, "seconds": found.seconds}
    if found.status != "converged":
        about["alarms"] = f"{label} ended {found.status}: the burning velocity may be far off"
    return xr.Dataset(data, coords, about)


def problem(config: FlameSimplified, seeds: Seeds, data: Path | None) -> InverseProblem:
    """Return the problem of conductivity and activation energy from temperatures, a user's or synthetic ones."""
    from retrodict.inverse.flames.simplified import profile_problem
    from retrodict.inverse.flames.temperatures import measured, read_temperatures

    begin = mixture_of(config, guess=True)
    if data is not None:
        seen = read_temperatures(data, config.noise if config.given("noise") else None, config.length)
        return profile_problem(begin, seen)
    truth = mixture_of(config)
    seen = measured(truth, seeds.stream("data"), count=config.samples, noise=config.noise)
    return profile_problem(begin, seen, truth)


def origin(config: FlameSimplified, verb: str) -> Sequence[DataOrigin]:
    """Return where the temperatures come from; a run solves the flame and needs none."""
    if verb == "run":
        return (no_data("the flame is solved from its equation"),)
    return (simulated("temperatures of the exact flame in the phase plane, with relative noise", config.seed),)


def models() -> Mapping[str, tuple[Differentiable, Tree]]:
    """Return burning velocity and temperatures as a function of every parameter."""
    from retrodict.physics.flames.simplified import imposed_slope
    from retrodict.solvers.flames.simplified_model import SimplifiedFlame

    mixture = imposed_slope(0.42)
    # a step of one per cent of ln A is a fifth of A: too far for the remainder of a linearisation
    names = [k for k in mixture.parameters if k != "ln_A"]
    flame = SimplifiedFlame(mixture, (2e-4, 4e-4, 6e-4, 1e-3), names)
    return {"the simplified flame": (flame, {k: np.array(mixture.parameters[k]) for k in names})}


case: Case[FlameSimplified] = Case(
    name="flame-simplified",
    system="flames",
    summary="A premixed flame of one reaction and its burning velocity: by network, by Newton, exactly, and inverted.",
    Config=FlameSimplified,
    simulate=simulate,
    presets={
        "smoke": {"width": 10, "points": 128, "steps": 200, "target": 1e-8, "warm_up": 80, "conditions": 2},
        "default": {},
        "paper": {
            "method": "paper",
            "width": 64,
            "depth": 3,
            "points": 1001,
            "warm_up": 1000,
            "steps": 30_000,
            "balanced": False,
        },
    },
    problem=problem,
    checks=checks,
    figures={
        "Temperature along the flame, on the exact one": profile_figure,
        "Residual along the flame, and where it counts": residual_figure,
        "Burning velocity and loss over the steps": speed_figure,
    },
    fit_figures={
        "Temperatures, and the flame fitted to them": fit_figure,
        "Posterior of conductivity and activation energy": ellipse_figure,
    },
    models=models,
    origin=origin,
)
