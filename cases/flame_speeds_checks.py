"""Checks of the case ``flame-speeds``: sum rule, ends of the domains, Cantera, and what the fit does to chi-squared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from retrodict.cases.checks import Check, Invariant, Published, SolverRun, excess, max_abs, max_rel
from retrodict.cases.flame_speeds_setup import FlameSpeeds, bundled_problem, solver_of

if TYPE_CHECKING:
    from retrodict.physics.seeds import Seeds

__all__ = ["checks"]


@cache
def _post(settings: str) -> Any:
    """Return the posterior of the bundled points."""
    from retrodict.inverse.flames.inference import flame_posterior
    from retrodict.solvers.iterate import finished

    problem = bundled_problem(settings)[1]
    result = finished(solver_of(FlameSpeeds.model_validate_json(settings), problem), 100)
    return flame_posterior(problem, problem.space.from_dataset(result.data))


def _sums(settings: str) -> Any:
    """Return the sums of all sensitivities of every flame."""
    from retrodict.inverse.flames.handles import Handle
    from retrodict.inverse.flames.inference import model_of

    seen, problem = bundled_problem(settings)
    ones = {k: np.ones_like(seen.mechanism.parameters[k]) for k in ("ln_A", "ln_A_low")}
    model = model_of(problem)[0].with_handles([Handle("all", ones)])
    values, operator = model.linearize(model.domain.zeros())
    moved = operator.apply({"all": np.array(1.0)})
    return np.array([float(moved[k]) / float(values[k]) for k in model.range])


def _ends(settings: str) -> float:
    """Return the largest temperature gradient near the ends of any flame, relative to its steepest."""
    from retrodict.inverse.flames.inference import model_of

    worst = 0.0
    for part in model_of(bundled_problem(settings)[1])[0].parts.values():
        x, T = part.base.equations.x.numpy(), part.base.observables()["T"]
        slopes = np.abs(np.diff(T) / np.diff(x))
        # the last gradient is zero by condition: look one per cent of the domain before it
        inner = slopes[np.searchsorted(x, 0.99 * x[-1]) - 2]
        worst = max(worst, float(max(slopes[0], inner) / slopes.max()))
    return worst


def _wider(settings: str) -> float:
    """Return the change of the first point's burning velocity in a domain twice as wide, relative."""
    from retrodict.inverse.flames.inference import model_of

    seen, problem = bundled_problem(settings)
    name, flame = next(iter(seen.flames.items()))
    wide = replace(flame, width=2 * flame.width).solve().required("wider domain").observables()["s_L"]
    return float(wide / model_of(problem)[0].apply(problem.start)[f"{name}/s_L"] - 1)


def _cantera(settings: str) -> tuple[float, float]:
    """Return our burning velocity and Cantera's for the point in the middle."""
    from retrodict.inverse.flames.inference import model_of
    from retrodict.solvers.reference.cantera_flames import Mixture, free_flame

    config = FlameSpeeds.model_validate_json(settings)
    seen, problem = bundled_problem(settings)
    at = len(seen.data.points) // 2
    point = seen.data.points[at]
    ours = model_of(problem)[0].apply(problem.start)[f"{list(seen.flames)[at]}/s_L"]
    amounts, mole = dict(point.composition), point.basis == "mole"
    theirs = free_flame(
        config.mechanism,
        T_in=point.temperature,
        p=point.pressure,
        width=config.width,
        refine=(2, 0.03, 0.05),
        **(Mixture(X=amounts) if mole else Mixture(Y=amounts)),
    )
    return float(ours), float(theirs["s_L"])


def checks(config: FlameSpeeds, _seeds: Seeds) -> Sequence[Check]:
    """Hold flames and fit against laws, Cantera and the measured points."""
    settings, count = config.model_dump_json(), config.limit or 14
    source = "Bane et al. (2011), doi 10.1016/j.ijhydene.2011.04.232"
    found = [
        Check(
            "sum of all rate sensitivities of every flame",
            lambda: _sums(settings),
            Invariant(0.5, "scaling law of adiabatic free flames"),
            2e-3 if config.points >= 100 else 1e-2,
            max_abs,
        ),
        Check(
            "largest temperature gradient near both ends over the steepest",
            lambda: _ends(settings),
            Invariant(0.0, "a domain wide enough"),
            1e-2,
            max_abs,
            note="N2O and NO burn out slowly behind lean flames",
        ),
        Check(
            "chi-squared after the fit over that before",
            lambda: _post(settings).attrs["chi2_after"] / _post(settings).attrs["chi2_before"],
            Published(0.0, f"{source}; points met exactly"),
            0.3,
            max_abs,
            note=f"{count} points; of all 14, factors of 2 leave 47 and factors of 3 leave 36: lean ones stay too slow",
        ),
        Check(
            "smallest posterior over prior deviation of a rate",
            lambda: _post(settings)["reduction"].values.min(),
            Invariant(1.0, "data never widen a Gaussian prior"),
            0.0,
            excess,
        ),
    ]
    if config.points >= 100:
        found.append(
            Check(
                "burning velocity of the first point in a domain twice as wide, relative change",
                lambda: _wider(settings),
                Invariant(0.0, "a domain wide enough"),
                2e-3,
                max_abs,
            )
        )
        found.append(
            Check(
                "burning velocity of the point in the middle against Cantera",
                lambda: _cantera(settings)[0],
                SolverRun(lambda: _cantera(settings)[1], "Cantera, refinement (2, 0.03, 0.05), first order"),
                0.02,
                max_rel,
                "m/s",
            )
        )
    return found
