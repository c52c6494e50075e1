"""Checks of the case ``flame-premixed``: Cantera, sum rules, pressure law, first integrals, burnt state."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrodict.cases.checks import Analytic, Check, Invariant, SolverRun, max_abs, max_rel, shortfall
from retrodict.cases.flame_network_fits import premixed_system, premixed_trainer
from retrodict.cases.flame_premixed_setup import (
    Premixed,
    like,
    on_same_nodes,
    rates,
    solve,
    speed,
)
from retrodict.cases.flame_setup import BUNDLED, mixtures
from retrodict.solvers.base import Status

if TYPE_CHECKING:
    from retrodict.physics.seeds import Seeds
    from retrodict.solvers.flames.solution import FlameSolution

__all__ = ["checks", "element_drift", "enthalpy_drift"]

Floats = NDArray[np.float64]
_OTHERS = (("h2o2.yaml", "H2", (0.6, 1.0, 2.0), 0.1), ("gri30.yaml", "CH4", (0.8, 1.0, 1.2), 0.03))
# fast hydrogen flames need the longer domain: radicals recombine slowly


def checks(config: Premixed, seeds: Seeds) -> Sequence[Check]:
    """Return the checks of the one-step flame, of the flames asked for, and in the paper preset of h2o2 and gri30."""
    mixtures(config, config.T_in)
    sets = [config, *(like(config, *other) for other in _OTHERS if config.others)]
    found = [*_one_step(config), *_integrals(config)]
    for each in sets:
        found += [*_same_grid(each), *_sum_rules(each), *_burnt(each)]
    return [*found, _network(config, seeds)] if config.network_steps >= 100 else found


def _network(config: Premixed, seeds: Seeds) -> Check:
    """Check the burning velocity of a network against finite volumes with the same ends imposed."""

    def trained() -> float:
        from retrodict.solvers.iterate import finished

        # the plan of a training is a budget: finite volumes judge what it left
        trainer = premixed_trainer(config, seeds, None)
        return float(finished(trainer, config.max_steps, Status.MAX_STEPS).data["s_L"])

    def solved() -> float:
        from retrodict.cases.flame_networks import same_domain

        return float(same_domain(premixed_system(config, "validate flame-premixed")).observables()["s_L"])

    source = SolverRun(solved, "finite volumes on 801 even nodes")
    return Check("network: s_L on its own short domain", trained, source, 1e-4, max_rel, "m/s")


@cache
def _flame(
    config: Premixed, number: int, points: int | None = None, scheme: str | None = None, p: float | None = None
) -> FlameSolution:
    """Return a flame of the settings, which must have converged; each is solved once."""
    Y = mixtures(config, config.T_in)[number]
    flame = solve(config, Y, points=points, scheme=scheme, p=p)  # type: ignore[arg-type]
    return flame.required(f"{config.mechanism}, phi {config.phi[number]:g}")


def _cantera_limit(config: Premixed) -> float:
    """Return Cantera's first-order speeds on three nested grids, extrapolated twice."""
    flame = _flame(config, 0, 161, "upwind")
    a, b, c = (on_same_nodes(config, flame, config.phi[0], halved=h) for h in range(3))
    return (4 * (2 * c - b) - (2 * b - a)) / 3


def _one_step(config: Premixed) -> list[Check]:
    """Check speed and pressure law of the one-step mechanism, phi = 0.8."""
    one = like(config, BUNDLED, "CH4", (0.8,))
    cantera = SolverRun(partial(_cantera_limit, one), "Cantera on 161, 321 and 641 nested nodes, extrapolated twice")

    def at_five() -> float:
        five, single = (float(_flame(one, 0, p=k * 101325.0).observables()["s_L"]) for k in (5, 1))
        return five / single

    def cantera_on_nodes() -> float:
        return on_same_nodes(one, _flame(one, 0, 461, "upwind"), 0.8)

    def beside() -> float:
        """Return how often Cantera is further off than we are, on 461 nodes without extrapolation."""
        limit = speed(_flame(one, 0, 461, "central"))[1]
        return abs(cantera_on_nodes() - limit) / abs(float(_flame(one, 0, 461, "central").observables()["s_L"]) - limit)

    return [
        Check(
            "one step, phi 0.8: s_L of 241 nodes, extrapolated", lambda: speed(_flame(one, 0, 241))[1], cantera, 1e-4
        ),
        Check(
            "one step, phi 0.8: s_L on 461 nodes, as solved",
            lambda: float(_flame(one, 0, 461, "central").observables()["s_L"]),
            cantera,
            1e-4,
            units="m/s",
        ),
        Check(
            "one step, phi 0.8: error of Cantera over ours, 461 equal nodes",
            beside,
            Analytic(5.0, "at least five times as far from the limit"),
            0.0,
            shortfall,
            "1",
        ),
        Check(
            "one step, phi 0.8: s_L at 5 atm over 1 atm",
            at_five,
            Analytic(5**-0.25, "s_L ~ p^(n/2 - 1) for one step of order n = 1.5"),
            1e-3,
            units="1",
        ),
    ]


def _same_grid(config: Premixed) -> list[Check]:
    """Check upwind speeds against Cantera on the same nodes."""
    numbers = range(len(config.phi))
    points = min(config.points, 201)

    def ours() -> Floats:
        return np.array([float(_flame(config, k, points, "upwind").observables()["s_L"]) for k in numbers])

    def theirs() -> Floats:
        flames = [_flame(config, k, points, "upwind") for k in numbers]
        return np.array([on_same_nodes(config, f, phi) for f, phi in zip(flames, config.phi, strict=True)])

    name = f"{config.mechanism}: s_L upwind, {points} nodes, phi {', '.join(f'{p:g}' for p in config.phi)}"
    return [Check(name, ours, SolverRun(theirs, "Cantera on the same nodes"), 1e-3, units="m/s")]


def _sum_rules(config: Premixed) -> list[Check]:
    """Check that rates and transport each contribute a half to the sensitivities, on many nodes for one step."""
    one, at = config.mechanism == BUNDLED, config.near(1.0)
    points = 461 if one else max(config.points, 201)
    law = Analytic(0.5, "all rates by c: m by sqrt(c); all conductivities and diffusivities by c: m by sqrt(c)")

    @cache
    def found() -> tuple[float, float]:
        by_rate, transport = rates(_flame(config, at, points, "central"))
        return float(by_rate.sum()), transport

    head, tolerance = f"{config.mechanism}, phi {config.phi[at]:g}, {points} nodes: sum", 1e-4 if one else 1e-3
    return [
        Check(f"{head} of dln s_L/dln k", lambda: found()[0], law, tolerance, max_abs, "1"),
        Check(f"{head} of sensitivities to transport", lambda: found()[1], law, tolerance, max_abs, "1"),
    ]


def _burnt(config: Premixed) -> list[Check]:
    """Check the burnt temperature against equilibrium."""
    from retrodict.cases.flame_setup import mechanism_of, source
    from retrodict.solvers.flames.premixed import burnt

    mech, numbers = mechanism_of(source(config)), range(len(config.phi))

    def theirs() -> Floats:
        return np.array([burnt(mech, config.T_in, config.p, Y)[0] for Y in mixtures(config, config.T_in)])

    return [
        Check(
            f"{config.mechanism}: temperature of the burnt gas",
            lambda: np.array([_flame(config, k).U[-1, 0] for k in numbers]),
            SolverRun(theirs, "Cantera, equilibrium at constant enthalpy and pressure"),
            1e-2,
            units="K",
        )
    ]


def _integrals(config: Premixed) -> list[Check]:
    """Check the first integrals of the flame shown in detail, central scheme."""
    at = config.near(config.detail)

    @cache
    def pair() -> tuple[FlameSolution, FlameSolution]:
        from retrodict.solvers.flames.error import on_halved

        flame = _flame(config, at, None, "central")
        return flame, on_halved(flame).required("halved nodes")

    def order() -> float:
        coarse, fine = (enthalpy_drift(f) for f in pair())
        return float(np.log2(coarse / fine))

    def largest_flux() -> float:
        return float(np.abs(_face_fluxes(pair()[0])[1].sum(1)).max() / np.abs(_face_fluxes(pair()[0])[1]).max())

    def mass() -> float:
        return float(np.abs(pair()[0].U[:, 1:].sum(1) - 1).max())

    law = "elements are not made"
    return [
        Check(
            "drift of the element fluxes", lambda: element_drift(pair()[0]), Invariant(0.0, law), 1e-10, max_abs, "1"
        ),
        Check("sum of the diffusive fluxes", largest_flux, Invariant(0.0, "corrected fluxes"), 1e-12, max_abs, "1"),
        Check("sum of the mass fractions", mass, Invariant(0.0, "mass"), 1e-12, max_abs, "1"),
        Check(
            "enthalpy flux: order of its drift",
            order,
            Analytic(1.8, "second order"),
            0.0,
            shortfall,
            "1",
        ),
    ]


def _face_fluxes(flame: FlameSolution) -> tuple[Floats, Floats, Floats]:
    """Return total and diffusive fluxes of the species, and the flux of enthalpy, on all faces (second order)."""
    import torch

    from retrodict.physics.flames.finite_volume import Line, faces
    from retrodict.physics.flames.mixture import GAS_CONSTANT
    from retrodict.physics.flames.thermo import enthalpy

    mech, params = flame.equations.mechanism, flame.params
    T, Y = torch.as_tensor(flame.U[:, 0]), torch.as_tensor(flame.U[:, 1:])
    with torch.no_grad():
        face = faces(params, mech, Line(flame.equations.x), params["p"], T, Y, "central")
        h = enthalpy(params, mech, face.T) * (GAS_CONSTANT * face.T)[:, None] / mech.weights
        total = float(flame.z[0]) * face.Y + face.flux
        return total.numpy(), face.flux.numpy(), ((h * total).sum(1) + face.heat).numpy()


def element_drift(flame: FlameSolution) -> float:
    """Return the largest change of any element's flux along a flame, relative to the largest of all elements."""
    mech = flame.equations.mechanism
    shares = (mech.atoms / mech.weights[:, None]).numpy()  # kmol of an element in a kg of a species
    through = _face_fluxes(flame)[0] @ shares
    return float(np.abs(through - through[0]).max() / np.abs(through).max())


def enthalpy_drift(flame: FlameSolution) -> float:
    """Return the largest change of the flux of enthalpy along a flame, relative to the largest heat conducted."""
    import torch

    from retrodict.physics.flames.finite_volume import Line, faces

    through, T, Y = _face_fluxes(flame)[2], *(torch.as_tensor(v) for v in (flame.U[:, 0], flame.U[:, 1:]))
    line = Line(flame.equations.x)
    heat = faces(flame.params, flame.equations.mechanism, line, flame.params["p"], T, Y, "central").heat
    return float(np.abs(through - through[0]).max() / heat.abs().max())
