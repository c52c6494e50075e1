"""The forward model: right against references, its derivatives against finite steps, the same for every stream."""

import math

import numpy as np
import pytest

from retrodict.inverse.pde.expansion import Expansion
from retrodict.inverse.pde.forward import INITIAL, SampledField
from retrodict.inverse.pde.harmonics import Harmonics
from retrodict.inverse.pde.rest_frame import at_rest
from retrodict.inverse.pde.samples import Samples
from retrodict.physics.errors import SolverError, SpaceError
from retrodict.physics.pde.burgers import burgers, burgers_interval
from retrodict.physics.pde.convection import convection, variable_convection
from retrodict.physics.pde.quasilinear import QuasiLinear, line
from retrodict.physics.pde.reaction import reaction
from retrodict.physics.verify import dot_test, taylor_test
from retrodict.solvers.reference.burgers import cole_hopf
from retrodict.solvers.reference.spectral import convection_diffusion
from retrodict.solvers.reference.splitting import reaction_diffusion

X, T = (v.ravel() for v in np.meshgrid(np.linspace(0, 2 * np.pi, 24, endpoint=False), np.linspace(0, 1, 9)))
NOWHERE = Samples(X, T, np.zeros(X.size), 1.0)


@pytest.mark.parametrize("nu", [1e-3, 1e-2, 1e-1])
@pytest.mark.parametrize("c", [0.0, 70.0])
def test_convection_diffusion_against_spectral_sums(stream, solver, bump, c, nu):
    model = SampledField(stream, NOWHERE, ["c", "nu"], solver)
    exact = convection_diffusion(bump, period=2 * np.pi, speed=c, diffusivity=nu, samples=512)(X, T)
    found = model.apply({"c": np.array(c), "nu": np.array(nu)})["u"]
    assert np.linalg.norm(found - exact) < 2e-5 * np.linalg.norm(exact)


def test_reaction_and_burgers_against_references(bump, bump_torch):
    system = reaction(1.0, initial=bump_torch)
    found = SampledField(system, NOWHERE, ["rho"], Expansion(system, 250)).apply({"rho": np.array(2.0)})["u"]
    grown = bump(X) * np.exp(2 * T)
    assert np.abs(found - grown / (grown + 1 - bump(X))).max() < 1e-4
    system = burgers(0.1, c=3.0)
    found = SampledField(system, NOWHERE, ["c"], Expansion(system, 250)).apply({"c": np.array(8.0)})["u"]
    assert np.abs(found - cole_hopf(np.sin, 0.1, period=2 * np.pi)(X - 8 * T, T)).max() < 1e-3


CASES = {
    "convection": (["c", "nu"], lambda start: convection(30.0, 0.05, initial=start), None),
    "convection, free start": (["nu", "c"], lambda start: convection(30.0, 0.05, initial=start), 3),
    "start alone": ([], lambda start: convection(3.0, 0.05, initial=start), 3),
    "reaction-diffusion, free start": (["rho", "nu"], lambda start: reaction(2.0, 0.05, initial=start), 3),
    "burgers": (["c", "nu"], lambda _: burgers(0.1, c=3.0), None),
}


@pytest.mark.parametrize("name", CASES)
def test_dot_and_taylor(name, bump, bump_torch):
    unknown, make, harmonics = CASES[name]
    system, start = make(bump_torch), Harmonics(harmonics, 2 * np.pi) if harmonics else None
    model = SampledField(system, NOWHERE, unknown, Expansion(system, 80, initial=start))
    at = {k: np.array(1.1 * system.values[k]) for k in unknown}
    at |= {INITIAL: start.project(bump)} if start else {}
    assert dot_test(model.linearize(at)[1]).passed
    report = taylor_test(model, at, scales={k: float(np.abs(v).max()) for k, v in at.items()}, halvings=2)
    assert report.passed, report


def test_columns_against_central_differences(stream, solver):
    model = SampledField(stream, NOWHERE, ["c", "nu"], solver)
    at = {"c": np.array(20.0), "nu": np.array(0.03)}
    _, slope = model.linearize(at)
    for name, h in (("c", 1e-4), ("nu", 1e-5)):
        column = slope.apply({k: np.array(float(k == name)) for k in at})["u"]
        forth, back = (model.apply({**at, name: at[name] + s})["u"] for s in (h, -h))
        assert np.abs(column - (forth - back) / (2 * h)).max() < 1e-5 * np.abs(column).max()


def test_a_solve_does_not_depend_on_those_before(bump_torch):
    system = burgers(0.1)
    one, other = Expansion(system, 60), Expansion(system, 60)
    for nu in (0.3, 0.2, 0.15):
        other.solve({"nu": nu})
    assert np.array_equal(one.solve({"nu": 0.12}), other.solve({"nu": 0.12}))


def test_the_stream_leaves_the_frame_alone(bump_torch):
    one, other = (Expansion(convection(c, 0.02, initial=bump_torch), 60) for c in (0.5, 50.0))
    assert np.array_equal(one.solve({}), other.solve({}))


def test_reaction_diffusion_against_splitting(bump, bump_torch):
    system = reaction(1.5, 0.05, initial=bump_torch)
    found = SampledField(system, NOWHERE, ["rho"], Expansion(system, 250)).apply({"rho": np.array(1.5)})["u"]
    reference = reaction_diffusion(bump, period=2 * np.pi, diffusivity=0.05, rate=1.5)
    assert np.abs(found - reference(X, T)).max() < 1e-3


def test_what_cannot_be_posed_is_refused(stream):
    with pytest.raises(SolverError, match="periodic"):
        at_rest(burgers_interval())
    uneven = QuasiLinear(
        "uneven",
        line(2 * math.pi),
        lambda at: at["x"] * 0,
        {"c": 1.0},
        streams={"x": "c"},
        velocity={"x": lambda _u, at, _p: at["x"].cos()},
    )
    with pytest.raises(SolverError, match="depend on x"):
        at_rest(uneven)
    assert at_rest(variable_convection(lambda _u, at, _p: at["x"].cos())).values == {}
    with pytest.raises(SpaceError, match="coefficients among"):
        SampledField(stream, NOWHERE, ["rho"], Expansion(stream, 50))
    with pytest.raises(SpaceError, match="nothing unknown"):
        SampledField(stream, NOWHERE, [], Expansion(stream, 50))
    with pytest.raises(SolverError, match="more points"):
        Expansion(stream, 50, points=20)
