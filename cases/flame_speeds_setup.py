"""Setup of the case ``flame-speeds``: its settings, the measured points, their flames, and the problem of the rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import field_validator

from retrodict.cases.config import HostConfig, setting
from retrodict.cases.origin import mechanism_file

if TYPE_CHECKING:
    from retrodict.inverse.flames.burning_velocities import BurningVelocities, BurningVelocity
    from retrodict.inverse.flames.joint import JointFlames
    from retrodict.inverse.problem import InverseProblem
    from retrodict.physics.flames.mechanism import Mechanism
    from retrodict.solvers.base import Solver
    from retrodict.solvers.flames.premixed import FreeFlame

__all__ = ["BUNDLED", "FlameSpeeds", "Measured", "bundled_problem", "measured", "posed", "solver_of"]

BUNDLED = "flames/chemked_lbv_h2_n2o_bane2011.yaml"
"""Fourteen points of H2/N2O at 20 kPa (Bane et al. 2011)."""


class FlameSpeeds(HostConfig):
    """Settings of the case.

    Examples
    --------
    >>> FlameSpeeds(factor=3.0).factor
    3.0
    """

    mechanism: str = setting("gri30.yaml", "", "Cantera YAML: a path, or a name that comes with Cantera", min_length=1)
    width: float = setting(0.3, "m", "domain of every flame; doubled while heat leaves on the left", ge=0.0001, le=10)
    points: int = setting(120, "", "nodes of every flame, second order", ge=30, le=2000)
    limit: int = setting(0, "", "measured points that are used, spread evenly; 0: all", ge=0, le=1_000_000)
    deviation: str = setting("", "", "standard deviation of points that state none, such as '2 cm/s' or '5 %'")
    factor: float = setting(2.0, "1", "95 % uncertainty factor of every rate constant; 0: no prior", ge=0, le=1e06)
    factors: dict[str, float] = setting({}, "1", "95 % uncertainty factors by reaction equation, in place of factor")
    reactions: tuple[str, ...] = setting((), "", "equations of the reactions that may move; empty: all")
    strongest: int = setting(
        0, "", "only so many of them, by sensitivity times prior deviation; 0: all", ge=0, le=1_000_000
    )

    def files(self) -> dict[str, Path]:
        """Return the files of the settings, the mechanism among them."""
        return {**super().files(), "mechanism": mechanism_file(self.mechanism)}

    @field_validator("factor")
    @classmethod
    def _factor(cls, value: float) -> float:
        if 0 < value <= 1:
            raise ValueError("above 1, or 0 for no prior")
        return value

    @field_validator("factors")
    @classmethod
    def _factors(cls, value: dict[str, float]) -> dict[str, float]:
        if bad := {k: v for k, v in value.items() if not v > 1}:
            raise ValueError(f"above 1, unlike {bad}")
        return value


@dataclass(frozen=True, eq=False)
class Measured:
    """Measured points with their flames.

    Parameters
    ----------
    data : BurningVelocities
        The points that are used.
    mechanism : Mechanism
        Of the elements that are present.
    flames : dict of str to FreeFlame
        One name a point; points of equal conditions share a flame.
    """

    data: BurningVelocities
    mechanism: Mechanism
    flames: dict[str, FreeFlame]

    @property
    def abscissa(self) -> tuple[Any, str]:
        """What a figure shows the points over: the equivalence ratio where all state it, else their number."""
        ratios = [p.equivalence_ratio for p in self.data.points]
        if None in ratios:
            return 1.0 + np.arange(len(ratios)), "point"
        return np.array(ratios, float), "equivalence ratio"


def measured(config: FlameSpeeds, path: Path | None) -> Measured:
    """Read a ChemKED file and set up its flames, before any work.

    Parameters
    ----------
    config : FlameSpeeds
        The settings.
    path : Path or None
        The file; the bundled one without it.

    Returns
    -------
    Measured
        Points, mechanism and flames.

    Raises
    ------
    DataError
        If the file or the mechanism is refused, or the mechanism lacks a species.

    Examples
    --------
    >>> measured(FlameSpeeds(limit=2), None).mechanism.K
    18
    """
    from retrodict.cases.data import bundled
    from retrodict.inverse.flames.chemked import read_chemked
    from retrodict.physics.flames.mechanism import load_mechanism

    data = read_chemked(bundled(BUNDLED) if path is None else path, default_deviation=config.deviation or None)
    points = data.points
    if 0 < config.limit < len(points):
        kept = np.unique(np.linspace(0, len(points) - 1, config.limit).round().astype(int))
        data = replace(data, points=tuple(points[i] for i in kept))
    whole = load_mechanism(config.mechanism)
    gas = whole.restricted(_elements(whole, data.points))
    made: dict[Any, FreeFlame] = {}
    flames = {}
    for i, point in enumerate(data.points, 1):
        key = (point.temperature, point.pressure, point.basis, tuple(sorted(point.composition.items())))
        if key not in made:
            made[key] = _flame(config, gas, point)
        ratio = "" if point.equivalence_ratio is None else f" phi {point.equivalence_ratio:g}"
        flames[f"{i:02d}{ratio}"] = made[key]
    return Measured(data, gas, flames)


def _elements(gas: Mechanism, points: Sequence[BurningVelocity]) -> list[str]:
    """Return the elements that the mixtures are made of."""
    from retrodict.inverse.flames.reaction_names import find_species
    from retrodict.physics.errors import DataError

    present = np.zeros(len(gas.elements), bool)
    for point in points:
        for name, amount in point.composition.items():
            try:
                row = find_species(gas, name)
            except DataError as error:
                raise DataError(f"{point.where}.composition: {error}") from error
            if amount > 0:
                present |= gas.atoms[row].numpy() > 0
    return [e for e, here in zip(gas.elements, present, strict=True) if here]


def _flame(config: FlameSpeeds, gas: Mechanism, point: BurningVelocity) -> FreeFlame:
    from retrodict.solvers.flames.premixed import FreeFlame

    held = {k: v for k, v in point.composition.items() if v > 0}
    if point.basis == "mole":
        Y = np.asarray(gas.mass_fractions(held))
    else:
        Y = np.array([held.get(name, 0.0) for name in gas.species])
    return FreeFlame(gas, Y, point.temperature, point.pressure, width=config.width, points=config.points)


def posed(config: FlameSpeeds, seen: Measured) -> InverseProblem:
    """Return the problem of ln k of the reactions, with priors of the uncertainty factors.

    Parameters
    ----------
    config : FlameSpeeds
        The settings.
    seen : Measured
        From `measured`.

    Returns
    -------
    InverseProblem
        It begins at the mechanism as published.

    Raises
    ------
    DataError
        If an equation is not in the mechanism, a mixture cannot burn, or nothing determines a rate.
    SolverError
        If a flame is not found.
    """
    from retrodict.inverse.flames.inference import flame_problem, refuse_unidentifiable
    from retrodict.inverse.noise import Gaussian
    from retrodict.inverse.observation import Observation

    model, deviations = _model(config, seen)
    names = [f"{n}/s_L" for n in seen.flames]
    points = seen.data.points
    values = {n: np.array(p.value) for n, p in zip(names, points, strict=True)}
    noise = {n: Gaussian(p.deviation) for n, p in zip(names, points, strict=True)}
    about = {"source": seen.data.source, "doi": seen.data.doi}
    observation = Observation(model.range, values, noise, provenance=about)
    found = flame_problem(model, observation, deviations, name="speeds")
    refuse_unidentifiable(found)
    return found


def solver_of(_config: FlameSpeeds, problem: InverseProblem) -> Solver[Any]:
    """Return Levenberg-Marquardt to a tolerance that is small beside the deviations: late steps halve the error."""
    from retrodict.inverse.estimators import solver_for

    return solver_for(problem, tolerance=1e-4)


@cache
def bundled_problem(settings: str) -> tuple[Measured, InverseProblem]:
    """Return points and problem of the bundled file; the same objects for the same settings.

    Parameters
    ----------
    settings : str
        A `FlameSpeeds` as JSON.

    Returns
    -------
    tuple
        From `measured` and `posed`.
    """
    config = FlameSpeeds.model_validate_json(settings)
    seen = measured(config, None)
    return seen, posed(config, seen)


def _model(config: FlameSpeeds, seen: Measured) -> tuple[JointFlames, dict[str, float]]:
    """Return the joint model of the reactions that may move, and their prior deviations."""
    from retrodict.inverse.flames.handles import rate
    from retrodict.inverse.flames.inference import rate_deviation
    from retrodict.inverse.flames.joint import JointFlames
    from retrodict.inverse.flames.reaction_names import find_reactions

    gas = seen.mechanism
    equations = list(dict.fromkeys(gas.equations[find_reactions(gas, r)[0]] for r in config.reactions or gas.equations))
    handles = [rate(gas, equation, equation) for equation in equations]
    own = {gas.equations[find_reactions(gas, k)[0]]: v for k, v in config.factors.items()}
    factors = {e: own.get(e, config.factor) for e in equations}
    deviations = {e: rate_deviation(f) for e, f in factors.items() if f > 0}
    model = JointFlames(seen.flames, handles)
    if 0 < config.strongest < len(handles):
        values, operator = model.linearize(model.domain.zeros())
        columns = np.abs([model.range.pack(operator.apply(model.domain.unpack(u))) for u in np.eye(len(handles))])
        weight = np.array([deviations.get(e, 1.0) for e in equations])
        strength = weight * (columns / model.range.pack(values)).max(axis=1)
        kept = [equations[i] for i in np.sort(np.argsort(-strength, kind="stable")[: config.strongest])]
        model = model.with_handles([h for h in handles if h.name in kept])
        deviations = {e: s for e, s in deviations.items() if e in kept}
    return model, deviations
