"""Case ``flame-premixed``: freely propagating flames, the error of their speed, and what every rate does to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrodict.cases.case import Case
from retrodict.cases.flame_network_fits import premixed_fit_figure, premixed_trainer
from retrodict.cases.flame_premixed_checks import checks
from retrodict.cases.flame_premixed_setup import PUBLISHED, Premixed, on_same_nodes, rates, solve, speed
from retrodict.cases.flame_profiles import bars_of, convergence_figure, profile_figure, speed_figure
from retrodict.cases.flame_setup import dataset, failures, mixtures, profiles, source
from retrodict.cases.origin import no_data

if TYPE_CHECKING:
    import xarray as xr

    from retrodict.physics.seeds import Seeds
    from retrodict.solvers.flames.solution import FlameSolution

__all__ = ["Premixed", "case"]

Floats = NDArray[np.float64]
_SMALL = {"network_steps": 60, "network_points": 60, "network_width": 8, "network_depth": 2, "network_bar": 0.02}


def simulate(config: Premixed, _seeds: Seeds) -> xr.Dataset:
    """Return flames over equivalence ratio: profiles, speeds with errors, sensitivities, and Cantera beside them."""
    from retrodict.solvers.callbacks import ProgressBar

    flames: list[FlameSolution] = []
    with ProgressBar("flames", len(config.phi)) as bar:
        for number, Y in enumerate(mixtures(config, config.T_in), 1):
            flames.append(solve(config, Y))
            bar(number, {"phi": config.phi[number - 1]})
    variables = profiles(config, flames, ("T", "u", "rho", "Y")) | _speeds(flames) | _sensitivities(flames)
    variables |= _convergence(config)
    if config.compare:
        variables |= _reference(config, flames)
    return dataset(variables, config, failures(config, flames))


def _speeds(flames: Sequence[FlameSolution]) -> dict[str, Any]:
    rows = np.array([speed(f) for f in flames])
    names = ("burning velocity on the nodes", "burning velocity, extrapolated", "estimate of the error on the nodes")
    keys = ("s_L", "s_L_limit", "s_L_error")
    return {k: ("phi", row, {"units": "m/s", "long_name": n}) for k, n, row in zip(keys, names, rows.T, strict=True)}


def _sensitivities(flames: Sequence[FlameSolution]) -> dict[str, Any]:
    found = [rates(f) for f in flames]
    attrs = {"units": "1", "long_name": "sensitivity of the burning velocity to a rate, dln s_L / dln k"}
    about = {"units": "1", "long_name": "sum of the sensitivities to conductivities and diffusivities"}
    return {
        "sensitivity": (("phi", "reaction"), np.stack([f[0] for f in found]), attrs),
        "equation": ("reaction", np.array(flames[0].equations.mechanism.equations), {}),
        "transport_sum": ("phi", np.array([f[1] for f in found]), about),
    }


def _convergence(config: Premixed) -> dict[str, Any]:
    """Return speeds of the flame shown in detail over numbers of nodes, in both schemes, and Cantera's."""
    if not config.convergence:
        return {}
    Y = mixtures(config, config.T_in)[config.near(config.detail)]
    phi = config.phi[config.near(config.detail)]
    rows: dict[str, list[float]] = {"central": [], "upwind": [], "limit": [], "cantera": []}
    for points in config.convergence:
        for scheme in ("central", "upwind"):
            flame = solve(config, Y, points=points, scheme=scheme)
            at, limit, _ = speed(flame)
            rows[scheme].append(at)
            if scheme == "central":
                rows["limit"].append(limit)
            elif config.compare:
                rows["cantera"].append(on_same_nodes(config, flame, phi) if flame.status.ok else np.nan)
    made: dict[str, Any] = {
        f"convergence_{k}": ("grid", np.array(v), {"units": "m/s", "long_name": f"burning velocity, {k}"})
        for k, v in rows.items()
        if v
    }
    return made | {"convergence_nodes": ("grid", np.array(config.convergence), {"units": "1", "long_name": "nodes"})}


def _reference(config: Premixed, flames: Sequence[FlameSolution]) -> dict[str, Any]:
    from retrodict.solvers.reference.cantera_flames import free_flame

    at = config.near(config.detail)
    refined = free_flame(
        source(config), config.fuel, config.oxidizer, config.phi[at], config.T_in, config.p, config.width,
        refine=(3, 0.06, 0.12),
    )  # fmt: skip
    speeds = [
        on_same_nodes(config, f, phi) if f.status.ok else np.nan for f, phi in zip(flames, config.phi, strict=True)
    ]
    made: dict[str, Any] = {
        "s_L_cantera": (
            "phi",
            np.array(speeds),
            {"units": "m/s", "long_name": "burning velocity of Cantera, same nodes"},
        )
    }
    if "T" in refined:
        made |= {
            "reference_x": ("reference", refined["x"].values, {"units": "m", "long_name": "position"}),
            "reference_T": ("reference", refined["T"].values, {"units": "K", "long_name": "temperature, Cantera"}),
            "reference_u": ("reference", refined["u"].values, {"units": "m/s", "long_name": "velocity, Cantera"}),
            "reference_Y": (("reference", "species"), refined["Y"].values.T, {"units": "1", "long_name": "Y, Cantera"}),
        }
    if config.authors:
        known = [PUBLISHED.get(round(phi, 3), np.nan) for phi in config.phi]
        about = {"units": "m/s", "long_name": "burning velocity of the authors, 501 nodes, 2.5 mm"}
        made["s_L_authors"] = ("phi", np.array(known), about)
    return made


case: Case[Premixed] = Case(
    name="flame-premixed",
    system="flames",
    summary="Freely propagating flames of any mechanism: speeds with error estimates and the gradient to every rate.",
    Config=Premixed,
    simulate=simulate,
    presets={
        "smoke": {"phi": (0.8, 1.2), "points": 101, "convergence": (61, 101), **_SMALL},
        "paper": {"points": 461, "convergence": (61, 121, 241, 481), "others": True},
    },
    problem=premixed_trainer,
    solver=lambda _config, trainer: trainer,
    checks=checks,
    figures={
        "Profiles of the flame shown in detail, and Cantera": profile_figure,
        "Burning velocity over equivalence ratio": speed_figure,
        "Sensitivity of the burning velocity to the rates": bars_of,
        "Error of the burning velocity over the number of nodes": convergence_figure,
    },
    fit_figures={"Flame by a network, and by finite volumes on the same domain": premixed_fit_figure},
    origin=lambda _config, _verb: (no_data("flames are solved from the mechanism alone"),),
)
