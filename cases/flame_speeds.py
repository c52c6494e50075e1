"""Case ``flame-speeds``: rate constants of a detailed mechanism from measured burning velocities in a ChemKED file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from retrodict.cases.case import Case
from retrodict.cases.flame_speeds_checks import checks
from retrodict.cases.flame_speeds_figures import (
    corner_figure,
    data_figure,
    moved_figure,
    sensitivity_figure,
    speed_figure,
)
from retrodict.cases.flame_speeds_setup import BUNDLED, FlameSpeeds, bundled_problem, measured, posed, solver_of
from retrodict.cases.origin import bundled_data

if TYPE_CHECKING:
    import xarray as xr

    from retrodict.cases.fit import FitOutcome
    from retrodict.inverse.problem import InverseProblem
    from retrodict.physics.model import Differentiable
    from retrodict.physics.seeds import Seeds
    from retrodict.physics.spaces import Tree

__all__ = ["case"]


def simulate(config: FlameSpeeds, _seeds: Seeds) -> xr.Dataset:
    """Return the burning velocities of the mechanism as published beside the measured ones."""
    import xarray as xr

    from retrodict.inverse.flames.inference import model_of

    seen, found = bundled_problem(config.model_dump_json())
    computed = model_of(found)[0].apply(found.start)
    points, units = seen.data.points, {"units": "m s-1"}
    data = {
        "s_L": ("point", np.array([float(computed[f"{n}/s_L"]) for n in seen.flames]), units),
        "measured": ("point", np.array([p.value for p in points]), units),
        "deviation": ("point", np.array([p.deviation for p in points]), units),
    }
    at, label = seen.abscissa
    coords = {
        "point": list(seen.flames),
        "abscissa": ("point", at, {"units": "1", "long_name": label}),
        "temperature": ("point", np.array([p.temperature for p in points]), {"units": "K"}),
        "pressure": ("point", np.array([p.pressure for p in points]), {"units": "Pa"}),
    }
    chi2 = float(np.sum(((data["s_L"][1] - data["measured"][1]) / data["deviation"][1]) ** 2))
    return xr.Dataset(data, coords, {"chi2": chi2, "source": seen.data.source, "doi": seen.data.doi})


def problem(config: FlameSpeeds, _seeds: Seeds, data: Path | None) -> InverseProblem:
    """Return the problem of the bundled points or of a user's ChemKED file."""
    if data is None:
        return bundled_problem(config.model_dump_json())[1]
    return posed(config, measured(config, data))


def posterior(found: InverseProblem, at: Tree) -> xr.Dataset:
    """Return the posterior beside the prior."""
    from retrodict.inverse.flames.inference import flame_posterior

    return flame_posterior(found, at)


def files(outcome: FitOutcome) -> None:
    """Write the mechanism of the elements present, with the fitted rates and their covariance."""
    from retrodict.inverse.flames.handles import moved
    from retrodict.inverse.flames.inference import model_of, parameter_covariance
    from retrodict.physics.flames.mechanism import write_mechanism

    if outcome.posterior is None:
        return
    model, _ = model_of(outcome.problem)
    at = outcome.problem.space.from_dataset(outcome.result.data)
    covariance = outcome.posterior["covariance"].values
    names, full = parameter_covariance(model.mechanism, model.handles, covariance)
    fitted = moved(model.mechanism, model.handles, at)
    write_mechanism(model.mechanism, fitted, outcome.folder / "mechanism.yaml", full, names)


def models() -> Mapping[str, tuple[Differentiable, Tree]]:
    """Return a model with more unknowns than data, whose derivative is made of adjoints."""
    from retrodict.inverse.flames.handles import rate
    from retrodict.inverse.flames.joint import JointFlames
    from retrodict.physics.flames.mechanism import load_mechanism
    from retrodict.solvers.flames.premixed import FreeFlame

    gas = load_mechanism("h2o2.yaml").restricted(["H", "O"])
    flame = FreeFlame(gas, np.asarray(gas.composition("H2", "O2", 0.3)), 300.0, 101325.0, width=0.01, points=40)
    handles = [rate(gas, r, f"reaction {r}") for r in (2, 4, 10)]
    at = {h.name: np.array(v) for h, v in zip(handles, (0.2, -0.1, 0.3), strict=True)}
    return {"hydrogen": (JointFlames({"one": flame}, handles), at)}


case: Case[FlameSpeeds] = Case(
    name="flame-speeds",
    system="flames",
    summary="Rate constants of a detailed mechanism from measured burning velocities (ChemKED).",
    Config=FlameSpeeds,
    simulate=simulate,
    presets={
        "smoke": {"limit": 2, "points": 80, "strongest": 5},
        "default": {},
        "paper": {"points": 250},
    },
    problem=problem,
    solver=solver_of,
    posterior=posterior,
    files=files,
    checks=checks,
    figures={"Measured burning velocities and the mechanism as published": data_figure},
    fit_figures={
        "Burning velocities before and after, with bands": speed_figure,
        "Which rates the data moved, and how much of the prior's width is left": moved_figure,
        "Sensitivity of the burning velocities to the rates": sensitivity_figure,
        "Joint posterior of the four rates that the data determine best": corner_figure,
    },
    models=models,
    origin=lambda _config, _verb: (bundled_data(BUNDLED),),
)
