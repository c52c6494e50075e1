"""Checks of the case ``flame-mechanism``: coverage, grid errors of the data, derivatives, what is not identifiable."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from retrodict.cases.checks import Check, Invariant, SolverRun, excess, max_abs, shortfall
from retrodict.cases.flame_mechanism_setup import (
    ACTIVATION,
    FlameMechanism,
    draw,
    flame_of,
    joint,
    mechanism,
    posed,
    start,
    truth_data,
)

if TYPE_CHECKING:
    from retrodict.physics.seeds import Seeds
    from retrodict.physics.spaces import Tree

__all__ = ["checks"]

_SOURCE = "Cantera on its own grids, extrapolated"


def _distance(config: FlameMechanism, values: Tree, at: Tree) -> tuple[float, Tree]:
    """Return the squared distance of the truth in the posterior's covariance, and the estimate."""
    from retrodict.inverse.estimators import solver_for
    from retrodict.inverse.posterior import posterior
    from retrodict.solvers.iterate import finished

    problem = posed(config, values, at)
    result = finished(solver_for(problem, tolerance=1e-5), config.max_steps)
    found = problem.space.from_dataset(result.data)
    post = posterior(problem, found)
    error = post["estimate"].values - post["truth"].values
    return float(error @ np.linalg.solve(post["covariance"].values, error)), found


@cache
def _clean(config: FlameMechanism) -> tuple[float, Tree, float]:
    """Return distance and estimate without noise, from the displaced start, and the seconds of the fit."""
    values = truth_data(config)
    joint(config)
    begin = time.perf_counter()
    found = _distance(config, values, start(config))
    return *found, time.perf_counter() - begin


@cache
def _distances(config: FlameMechanism) -> Any:
    """Return the squared distances of many noise draws; each begins where the data without noise end."""
    from retrodict.physics.seeds import Seeds

    at = _clean(config)[1]
    rngs = [Seeds(config.seed + 1000 + i).stream("data") for i in range(config.draws)]
    return np.array([_distance(config, draw(config, rng), at)[0] for rng in rngs])


def _slopes(config: FlameMechanism) -> float:
    """Return the largest difference of the derivative from central differences of flames solved again, relative."""
    model, at = joint(config), start(config)
    _, operator = model.linearize(at)
    worst = 0.0
    for name in model.domain:
        h = 1.0 if name == ACTIVATION else 1e-4
        unit = {k: np.array(float(k == name)) for k in model.domain}
        forth, back = (model.apply(model.domain.axpy(s * h, unit, at)) for s in (1, -1))
        slope = model.range.pack(operator.apply(unit))
        differences = (model.range.pack(forth) - model.range.pack(back)) / (2 * h)
        worst = max(worst, float(np.abs(slope - differences).max() / np.abs(slope).max()))
    return worst


@cache
def _alone(config: FlameMechanism) -> Any:
    """Return the model of A and E_a at fixed A from the speed of the first flame, and its two speeds with a profile."""
    from retrodict.inverse.flames.handles import activation, prefactor
    from retrodict.inverse.flames.joint import JointFlames
    from retrodict.inverse.flames.profiles import Profile

    gas = mechanism()
    flame = flame_of(config, config.phis[0], config.pressures[0])
    both = [prefactor(gas, 0, "ln A"), activation(gas, 0, None, "T_a")]
    x = 1e-3 * config.pressures[0] ** -0.75 * np.linspace(-0.7, 1.3, 16)
    seen = JointFlames({"one": flame}, both, True, {"one": [Profile("T", x, config.aligned)]})
    return JointFlames({"one": flame}, both), seen


def _refused(config: FlameMechanism) -> float:
    """Return 1 if A and E_a from one speed are refused by name."""
    from retrodict.inverse.flames.inference import flame_noise, flame_problem, refuse_unidentifiable
    from retrodict.inverse.observation import Observation
    from retrodict.physics.errors import DataError

    model = _alone(config)[0]
    seen = Observation(model.range, model.apply(model.domain.zeros()), flame_noise(model.range, relative=0.02))
    try:
        refuse_unidentifiable(flame_problem(model, seen, {}))
    except DataError as error:
        return float("ln A" in str(error) and "T_a" in str(error))
    return 0.0


def _correlation(config: FlameMechanism) -> float:
    """Return the correlation of ln A and E_a from one flame with its profile."""
    from retrodict.inverse.flames.inference import flame_noise, flame_posterior, flame_problem
    from retrodict.inverse.observation import Observation

    model = _alone(config)[1]
    at = model.domain.zeros()
    seen = Observation(model.range, model.apply(at), flame_noise(model.range, relative=0.02))
    found = flame_posterior(flame_problem(model, seen, {}), at)
    return float(found["correlation"].values[0, 1]) if found.attrs["correlated"] else 0.0


def checks(config: FlameMechanism, _seeds: Seeds) -> Sequence[Check]:
    """Hold estimates and deviations against the truth of flames that Cantera made."""
    from scipy import stats

    inside, likely = (float(stats.chi2.ppf(share, 4)) for share in (0.95, 0.5))
    found = [
        Check(
            "error of the grids: squared distance of the truth in the posterior, data without noise",
            lambda: _clean(config)[0],
            SolverRun(0.1 * likely, _SOURCE),
            0.0,
            excess,
            note="at most a tenth of the median with noise: the bias is well below the noise",
        ),
        Check(
            "seconds of the joint fit from the displaced start",
            lambda: _clean(config)[2],
            Invariant(60.0, "bar of the case, one thread"),
            0.0,
            excess,
            "s",
        ),
        Check(
            "derivative against flames solved again, relative",
            lambda: _slopes(config),
            SolverRun(0.0, "central differences of solutions"),
            1e-6,
            max_abs,
        ),
        Check(
            "A and E_a from one burning velocity are refused by name",
            lambda: _refused(config),
            Invariant(1.0, "one datum, two unknowns"),
            0.0,
            max_abs,
        ),
        Check(
            "A and E_a from one flame with its profile: the correlation is named",
            lambda: _correlation(config),
            Invariant(0.95, "bar of the warning"),
            0.0,
            shortfall,
            note="the reason why k at a reference temperature is the unknown",
        ),
    ]
    if config.draws:
        n = config.draws
        slack = 0.0 if n >= 50 else 3 * (0.95 * 0.05 / n) ** 0.5
        found.append(
            Check(
                f"share of {n} noise draws with the truth inside the joint 95 % region",
                lambda: np.mean(_distances(config) < inside),
                SolverRun(0.9, _SOURCE),
                slack,
                shortfall,
            )
        )
    return found
