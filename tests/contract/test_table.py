"""One table of every differentiable model of the suite: adjoint against derivative, derivative against finite steps.

A public function that returns a differentiable model, or a class that is one, fails the build while it is missing here.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from retrodict.cases import registry
from retrodict.cases.data import bundled
from retrodict.inverse.motion.steering_log import SteeringLog, residual_model
from retrodict.physics.autograd import TorchModel
from retrodict.physics.differences import Differenced
from retrodict.physics.flames.mechanism import load_mechanism
from retrodict.physics.flames.simplified import SimplifiedMixture
from retrodict.physics.model import Differentiable, hold, restrict
from retrodict.physics.motion.integrators import INTEGRATORS
from retrodict.physics.motion.model import motion_model, path_model
from retrodict.physics.motion.moments import FORMULATIONS, MODES
from retrodict.physics.radio.arrays import array, cell_for, observe
from retrodict.physics.radio.gains import TimeBasis
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.physics.radio.visibilities import Grid
from retrodict.physics.radio.wide_field import WideField
from retrodict.physics.spaces import Space, Var
from retrodict.physics.verify import dot_test, linearity_test, taylor_test
from retrodict.solvers.flames.model import FlameModel
from retrodict.solvers.flames.premixed import FreeFlame
from retrodict.solvers.flames.simplified_model import SimplifiedFlame

STEPS, TIME_STEP = 3, 0.25
# a car that turns, brakes and is not at the origin: no term of any model vanishes
START = {"polar": [3.0, -2.0, 0.4, 9.0], "planar": [3.0, -2.0, 8.0, 3.0]}
# typical sizes of the two channels: what a formulation is driven by
INPUTS = {
    "velocity": (8.0, 3.0),
    "acceleration": (-1.0, 0.7),
    "speed-heading": (9.0, 0.5),
    "acceleration-yaw-rate": (-1.0, 0.3),
    "acceleration-curvature": (-1.0, 0.03),
    "acceleration-steering": (-1.0, 0.1),
}
SPREAD = {
    "velocity": (0.5, 0.4),
    "acceleration": (0.6, 0.5),
    "speed-heading": (0.5, 0.2),
    "acceleration-yaw-rate": (0.6, 0.2),
    # wide: exact moments subtract products of means, and a small variance would leave their rounding alone
    "acceleration-curvature": (0.6, 0.1),
    "acceleration-steering": (0.6, 0.25),
}


def motion_point(formulation, *, spread):
    wave = 1 + 0.3 * np.sin(np.arange(STEPS))[:, None]
    start = START["planar" if formulation in ("velocity", "acceleration") else "polar"]
    at = {"start": np.array(start), "inputs": wave * INPUTS[formulation]}
    return at | ({"std": wave * SPREAD[formulation]} if spread else {})


def motion_rows():
    for formulation in FORMULATIONS:
        options = {"wheelbase": 2.8} if formulation == "acceleration-steering" else {}
        levers = (0.0, 1.4) if formulation.startswith("acceleration-") else (0.0,)
        for integrator in INTEGRATORS:
            for lever in levers:
                name = f"{formulation}/{integrator}" + ("/lever" if lever else "")
                model = path_model(formulation, STEPS, TIME_STEP, integrator=integrator, lever=lever, **options)
                yield f"path/{name}", model, motion_point(formulation, spread=False)
                for mode in MODES:
                    if lever and mode == "diagonal":
                        continue
                    made = motion_model(
                        formulation, STEPS, TIME_STEP, mode=mode, integrator=integrator, lever=lever, **options
                    )
                    yield f"moments/{mode}/{name}", made, motion_point(formulation, spread=True)


def generic_rows():
    gains = Space({"g": Var(("i",), (3,), "complex128")})
    seen = Space({"v": Var(("i", "j"), (3, 3), "complex128")})
    model = TorchModel(gains, seen, lambda t: {"v": t["g"][:, None] * t["g"].conj()[None, :]})
    yield "torch/gains", model, gains.random(np.random.default_rng(0))
    plane = Space({"x": Var(("i",), (3,)), "s": Var()})
    sine = TorchModel(plane, plane, lambda t: {"x": torch.sin(t["x"]) * t["s"], "s": t["x"].prod() * t["s"] ** 2})
    at = {"x": np.array([0.3, 0.8, 1.3]), "s": np.array(0.7)}
    yield "torch/sine", sine, at
    yield "differenced/sine", Differenced(sine), at
    yield "held/sine", hold(sine, {"s": at["s"]}), {"x": at["x"]}


def steering_rows():
    t = 0.1 * np.arange(60)
    angle = 0.1 * np.sin(1.7 * t)
    log = SteeringLog(t, 8 + np.sin(t), 8 * np.tan(angle) / 2.7 + 0.01 * np.cos(9 * t), angle)
    at = {"wheelbase": np.array(2.9), "understeer": np.array(2e-3), "delay": np.array(0.04), "bias": np.array(0.01)}
    for noise in (0.0, 1e-3):
        yield f"steering-log/noise {noise:g}", residual_model(log, 0.01, noise), at


@dataclass(frozen=True)
class Chosen:
    """A flame of which some parameters move: of all together a random change would leave the mass fractions' bounds."""

    model: FlameModel
    names: tuple[str, ...]

    @property
    def domain(self):
        return Space({n: self.model.domain[n] for n in self.names})

    @property
    def range(self):
        return self.model.range

    def whole(self, params):
        return {**self.model.nominal(), **params}

    def apply(self, params):
        return self.model.apply(self.whole(params))

    def linearize(self, params):
        value, op = self.model.linearize(self.whole(params))
        return value, restrict(op, self.names)


def flame_rows():
    gas = load_mechanism(bundled("flames/1S_CH4_MP1.yaml"))
    base = FreeFlame(gas, gas.composition("CH4", "O2:1, N2:3.76", 0.9), points=40).solve()
    made = FlameModel(base, ["s_L", "T"], np.linspace(0.0095, 0.0115, 3))
    chosen = Chosen(made, ("ln_A", "T_a", "order", "ln_conductivity", "ln_diffusion", "T_in"))
    yield "flame/free", chosen, {n: made.nominal()[n] for n in chosen.names}
    simple = SimplifiedFlame(SimplifiedMixture(), np.linspace(3e-4, 8e-4, 4), ("ln_A", "E_a", "lambda"))
    yield "flame/simplified", simple, {"ln_A": np.log(1.4e8), "E_a": 1.214172e5, "lambda": 0.026}


def wide_field_rows():
    rng = np.random.default_rng(3)
    seen = observe(array("vla-a"), declination=0.7, slots=3)
    seen = seen.select((seen.antenna1 < 4) & (seen.antenna2 < 6))
    seen = replace(seen, uvw=1e-3 * seen.uvw)
    model = WideField(seen, Grid(32, cell_for(seen)), basis=TimeBasis.spanning("dct", seen.slots[1], 2))
    turned = rng.standard_normal(model.kernels.shape) + 1j * rng.standard_normal(model.kernels.shape)
    yield "radio/wide-field", model, {"image": rng.random((32, 32)), "gains": model.kernels.unit() + 0.1 * turned}


def case_rows():
    for entry in registry.entries():
        if not entry.error:
            for name, (model, at) in registry.load(entry.target).models().items():
                yield f"case/{entry.name}/{name}", model, at


ROWS = (generic_rows(), motion_rows(), steering_rows(), flame_rows(), wide_field_rows(), case_rows())
TABLE = {name: (model, at) for rows in ROWS for name, model, at in rows}
COVERED = {motion_model, path_model, residual_model, TorchModel, Differenced, hold}
COVERED |= {FlameModel, SimplifiedFlame, Interferometer, WideField}
# forward mode costs up to a second a tangent here: one seed at every commit, all five with the slow tests
HEAVY = [n for n in TABLE if n.startswith(("moments/", "path/", "case/"))]


def scales(at):
    """Changes as large as the values, variable by variable."""
    return {k: float(np.max(np.abs(v), initial=0.0)) or 1.0 for k, v in at.items()}


def single(space):
    return any(np.dtype(v.dtype) in (np.float32, np.complex64) for v in space.values())


@pytest.mark.parametrize("name", TABLE)
def test_adjoint_matches_derivative(name):
    model, at = TABLE[name]
    assert isinstance(model, Differentiable)
    value, op = model.linearize(at)
    assert (op.domain, op.range) == (model.domain, model.range)
    model.range.check(value, name)
    bar = 1e-5 if single(model.range) else 1e-13
    report = dot_test(op, seeds=1 if name in HEAVY else 5, tolerance=bar)
    assert report.passed, report


@pytest.mark.slow
@pytest.mark.parametrize("name", HEAVY)
def test_adjoint_matches_derivative_for_five_seeds(name):
    model, at = TABLE[name]
    _, op = model.linearize(at)
    report = dot_test(op, tolerance=1e-5 if single(model.range) else 1e-13)
    assert report.passed, report
    assert linearity_test(op.apply, model.domain, model.range) < (1e-5 if single(model.range) else 1e-12)


@pytest.mark.parametrize("name", TABLE)
def test_derivative_matches_finite_steps(name):
    model, at = TABLE[name]
    report = taylor_test(model, at, scales=scales(at))
    assert report.passed, report


@pytest.mark.parametrize("name", TABLE)
def test_models_are_pure(name):
    model, at = TABLE[name]
    before = {k: np.array(v, copy=True) for k, v in at.items()}
    first, (second, _) = model.apply(at), model.linearize(at)
    for variable in model.range:
        np.testing.assert_array_equal(first[variable], model.apply(at)[variable])
        np.testing.assert_allclose(first[variable], second[variable], rtol=1e-12, atol=1e-12)
    for variable, value in before.items():
        np.testing.assert_array_equal(at[variable], value)


def test_every_formulation_mode_and_integrator_is_in_the_table():
    for formulation in FORMULATIONS:
        for integrator in INTEGRATORS:
            assert f"path/{formulation}/{integrator}" in TABLE
            for mode in MODES:
                assert f"moments/{mode}/{formulation}/{integrator}" in TABLE


def test_no_differentiable_model_is_missing(public, returns, offers):
    things = public("retrodict.physics", "retrodict.inverse.motion", "retrodict.solvers")
    models = {
        name: thing
        for name, thing in things.items()
        if returns(thing, "TorchModel", "Differentiable", "BlockLinear")
        or offers(thing, "domain", "range", "apply", "linearize")
    }
    assert len(models) >= len(COVERED)
    missing = {name for name, thing in models.items() if thing not in COVERED}
    assert not missing, f"not in the table: {sorted(missing)}"
