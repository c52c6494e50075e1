"""Case ``flame-mechanism``: rate, activation energy, order and conductivity of a one-step mechanism from six flames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrodict.cases.case import Case
from retrodict.cases.flame_mechanism_checks import checks
from retrodict.cases.flame_mechanism_figures import (
    corner_figure,
    data_figure,
    profile_figure,
    sensitivity_figure,
    speed_figure,
)
from retrodict.cases.flame_mechanism_setup import (
    FlameMechanism,
    conditions,
    draw,
    flame_of,
    handles,
    mechanism,
    posed,
    profile_of,
    truth_data,
)

if TYPE_CHECKING:
    import xarray as xr

    from retrodict.cases.fit import FitOutcome
    from retrodict.inverse.problem import InverseProblem
    from retrodict.physics.model import Differentiable
    from retrodict.physics.seeds import Seeds
    from retrodict.physics.spaces import Tree

__all__ = ["case"]


def simulate(config: FlameMechanism, seeds: Seeds) -> xr.Dataset:
    """Return synthetic data: Cantera's flames with noise, beside those without noise."""
    import xarray as xr

    about = conditions(config)
    noisy, clean = draw(config, seeds.stream("data")), truth_data(config)
    names = list(about)
    data: dict[str, Any] = {}
    for suffix, tree, words in (("", noisy, "measured"), ("_exact", clean, "without noise")):
        s_L = np.array([float(tree[f"{n}/s_L"]) for n in names])
        data[f"s_L{suffix}"] = ("flame", s_L, {"units": "m s-1", "long_name": f"burning velocity, {words}"})
        if config.places:
            T = np.stack([tree[f"{n}/T"] for n in names])
            data[f"T{suffix}"] = (("flame", "place"), T, {"units": "K", "long_name": f"temperature, {words}"})
    if config.places:
        x = np.stack([profile_of(config, p)[0].x for _, p in about.values()])
        data["x"] = (("flame", "place"), x, {"units": "m", "long_name": f"place from T = {config.aligned:g} K"})
    phis, pressures = zip(*about.values(), strict=True)
    coords = {
        "flame": names,
        "phi": ("flame", np.array(phis), {"units": "1"}),
        "pressure": ("flame", np.array(pressures), {"units": "atm"}),
    }
    return xr.Dataset(data, coords)


def problem(config: FlameMechanism, seeds: Seeds, data: Path | None) -> InverseProblem:
    """Return the problem of the synthetic data, or of a file as ``run`` writes it for the same flames and places."""
    from retrodict.inverse.flames.inference import refuse_unidentifiable

    values = draw(config, seeds.stream("data")) if data is None else _read(config, data)
    found = posed(config, values, known=data is None)
    refuse_unidentifiable(found)
    return found


def _read(config: FlameMechanism, path: Path) -> Tree:
    """Return the data of a file, by flame."""
    from retrodict.cases.data import open_data
    from retrodict.physics.errors import DataError, expected

    found, about = open_data(path), conditions(config)
    wanted = ["s_L", *(["T"] if config.places else [])]
    if missing := [k for k in wanted if k not in found]:
        raise DataError(expected(str(path), f"no {', '.join(missing)}", "a file as `run flame-mechanism` writes it"))
    flames = [str(n) for n in found["flame"].values] if "flame" in found.coords else []
    if flames != list(about):
        raise DataError(expected(f"{path}: flame", flames, f"{list(about)}; see the settings phis and pressures"))
    values: dict[str, Any] = {f"{n}/s_L": found["s_L"].values[i] for i, n in enumerate(about)}
    if config.places:
        shape = (len(about), config.places)
        if found["T"].shape != shape or "x" not in found or found["x"].shape != shape:
            raise DataError(expected(f"{path}: T", f"shape {found['T'].shape}", f"{shape}, with x; see places"))
        places = np.stack([profile_of(config, p)[0].x for _, p in about.values()])
        if not np.allclose(found["x"].values, places, rtol=1e-6, atol=1e-9):
            raise DataError(expected(f"{path}: x", "other places", "those of the settings"))
        values |= {f"{n}/T": found["T"].values[i] for i, n in enumerate(about)}
    return values


def posterior(found: InverseProblem, at: Tree) -> xr.Dataset:
    """Return the posterior, with correlated pairs named."""
    from retrodict.inverse.flames.inference import flame_posterior

    return flame_posterior(found, at)


def files(outcome: FitOutcome) -> None:
    """Write the fitted mechanism with its covariance."""
    from retrodict.inverse.flames.handles import moved
    from retrodict.inverse.flames.inference import parameter_covariance
    from retrodict.physics.flames.mechanism import write_mechanism

    if outcome.posterior is None:
        return
    assert isinstance(outcome.config, FlameMechanism)
    gas, own = mechanism(), handles(outcome.config)
    at = outcome.problem.space.from_dataset(outcome.result.data)
    names, covariance = parameter_covariance(gas, own, outcome.posterior["covariance"].values)
    write_mechanism(gas, moved(gas, own, at), outcome.folder / "mechanism.yaml", covariance, names)


def models() -> Mapping[str, tuple[Differentiable, Tree]]:
    """Return a small joint model: two flames, a speed and a profile."""
    from retrodict.inverse.flames.joint import JointFlames

    config = FlameMechanism(points=50, places=5)
    flames = {"lean": flame_of(config, 0.7, 1.0), "dense": flame_of(config, 1.0, 5.0)}
    model = JointFlames(flames, handles(config), ["lean"], {"dense": profile_of(config, 5.0)})
    values = (0.1, 300.0, 0.05, 0.1)
    return {"two flames": (model, {h.name: np.array(v) for h, v in zip(handles(config), values, strict=True)})}


case: Case[FlameMechanism] = Case(
    name="flame-mechanism",
    system="flames",
    summary="Rate, activation energy, order and conductivity of a one-step mechanism from six flames at once.",
    Config=FlameMechanism,
    simulate=simulate,
    presets={
        "smoke": {
            "phis": [0.8],
            "places": 8,
            "points": 70,
            "slope": 0.01,
            "band": 2,
            "draws": 0,
        },
        "default": {},
        "paper": {"points": 200},
    },
    problem=problem,
    posterior=posterior,
    files=files,
    checks=checks,
    figures={"Synthetic burning velocities and temperature profiles": data_figure},
    fit_figures={
        "Joint posterior: 68 and 95 % regions of all pairs": corner_figure,
        "Burning velocities over the equivalence ratio, with bands": speed_figure,
        "Temperature profiles": profile_figure,
        "Sensitivity of the burning velocities to the unknowns": sensitivity_figure,
    },
    models=models,
    origin="Cantera's flames on two grids, extrapolated to zero cell size, with relative noise",
)
