"""A flame as a differentiable model: derivatives by the implicit function theorem against flames solved again."""

import functools

import numpy as np
import pytest

from retrodict.cases.data import bundled
from retrodict.physics.errors import SolverError, SpaceError
from retrodict.physics.flames.mechanism import load_mechanism
from retrodict.physics.verify import dot_test, taylor_test
from retrodict.solvers.base import Status
from retrodict.solvers.flames.model import FlameModel
from retrodict.solvers.flames.premixed import BurnerFlame, FreeFlame

ONE_STEP = "flames/1S_CH4_MP1.yaml"
# steps of central differences that balance rounding and curvature, relative to the largest value of a variable
STEPS = {"ln_A": 1e-4, "ln_A_low": 1e-3, "b": 1e-5, "T_a": 1.0, "T_in": 0.05, "p": 20.0, "ln_conductivity": 1e-4}


@functools.cache
def mechanism(name):
    return load_mechanism(bundled(ONE_STEP) if name == "one-step" else name)


@functools.cache
def flame(name, points, kind="free"):
    mech, fuel = mechanism(name), "CH4" if name in ("one-step", "gri30.yaml") else "H2"
    Y = np.asarray(mech.composition(fuel, "O2:1, N2:3.76", 0.8 if fuel == "CH4" else 1.0))
    if kind == "burner":
        return BurnerFlame(mech, Y, 0.2, 350.0, 101325.0, width=0.02, points=points).solve()
    return FreeFlame(mech, Y, 300.0, 101325.0, points=points).solve()


def model(name="one-step", points=60, observables=("s_L",), x=None, kind="free"):
    return FlameModel(flame(name, points, kind), observables, x)


def moved(at, name, index, by):
    values = np.array(at[name], dtype=float)
    values[index] += by
    return {**at, name: values}


def differences(made, name, index, observable="s_L"):
    """Central differences of re-solved flames."""
    at = made.nominal()
    size = abs(float(np.asarray(at[name])[index]))
    h = STEPS.get(name, 1e-4 * (size or 1.0))
    ahead, behind = (made.apply(moved(at, name, index, s * h))[observable] for s in (1, -1))
    return (ahead - behind) / (2 * h)


def compare(made, wanted):
    at = made.nominal()
    value, op = made.linearize(at)
    gradient = op.adjoint({"s_L": np.array(1.0)})
    for name in wanted:
        index = np.unravel_index(np.abs(gradient[name]).argmax(), np.shape(at[name]))
        again = differences(made, name, index)
        assert float(again) == pytest.approx(float(gradient[name][index]), rel=1e-6), name
        tangent = {name: moved({name: np.zeros(np.shape(at[name]))}, name, index, 1.0)[name]}
        assert float(op.apply(tangent)["s_L"]) == pytest.approx(float(gradient[name][index]), rel=1e-9), name
    assert value["s_L"] > 0


def test_gradients_of_one_step_equal_differences_of_flames_solved_again():
    compare(model(), ["ln_A", "b", "T_a", "order", "ln_conductivity", "ln_diffusion", "T_in", "p"])


@pytest.mark.slow
def test_gradients_of_hydrogen_equal_differences_of_flames_solved_again():
    names = ["ln_A", "b", "T_a", "ln_A_low", "efficiency", "troe", "order", "ln_conductivity", "ln_diffusion", "T_in"]
    compare(model("h2o2.yaml", 120), names)


@pytest.mark.slow
def test_gradients_of_the_thermodynamic_data_equal_differences_of_flames_solved_again():
    """Of every coefficient of one species in units of its value: raw ones span eighteen orders of magnitude."""
    made = model()
    at = made.nominal()
    gradient = made.linearize(at)[1].adjoint({"s_L": np.array(1.0)})
    for name in ("nasa_low", "nasa_high"):
        for order in range(6):  # the last one is an entropy: an irreversible step does not feel it
            assert float(differences(made, name, (4, order))) == pytest.approx(
                float(gradient[name][4, order]), rel=2e-6
            ), (name, order)
        assert gradient[name][4, 6] == 0


def test_adjoint_and_derivative_agree_to_rounding_for_profiles_and_speeds():
    made = model(observables=("s_L", "T", "Y", "u"), x=np.linspace(0.0095, 0.012, 4))
    op = made.linearize(made.nominal())[1]
    report = dot_test(op, seeds=1, tolerance=2e-13)
    assert report.passed, report


def test_the_remainder_of_the_derivative_is_of_second_order():
    made = model(observables=("s_L", "T"), x=np.linspace(0.0095, 0.012, 4))
    sizes = dict.fromkeys(made.domain, 0.0) | {"ln_A": 0.05, "T_a": 100.0, "ln_conductivity": 0.05, "T_in": 5.0}
    report = taylor_test(made, made.nominal(), scales=sizes)
    assert report.passed, report


def test_rates_and_transport_share_the_speed_equally():
    """Sum rules: one half each; on 461 nodes within 1e-4."""
    made = model(points=461)
    value, op = made.linearize(made.nominal())
    gradient = op.adjoint({"s_L": np.array(1 / value["s_L"])})
    rates = gradient["ln_A"].sum()
    transport = gradient["ln_conductivity"].sum() + gradient["ln_diffusion"].sum()
    assert rates == pytest.approx(0.5, abs=1e-4)
    assert transport == pytest.approx(0.5, abs=1e-4)
    assert np.all(gradient["ln_viscosity"] == 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["h2o2.yaml", "gri30.yaml"])
def test_sum_rules_hold_for_detailed_mechanisms(name):
    made = model(name, 200)
    value, op = made.linearize(made.nominal())
    gradient = op.adjoint({"s_L": np.array(1 / value["s_L"])})
    assert gradient["ln_A"].sum() + gradient["ln_A_low"].sum() == pytest.approx(0.5, abs=1e-3)
    assert gradient["ln_conductivity"].sum() + gradient["ln_diffusion"].sum() == pytest.approx(0.5, abs=1e-3)


def test_a_burner_held_flame_is_differentiable_by_its_mass_flux():
    made = model(observables=("T",), x=np.linspace(0.0005, 0.004, 5), kind="burner")
    at = made.nominal()
    op = made.linearize(at)[1]
    for name, h in (("m", 1e-4), ("T_in", 0.1), ("ln_A", 1e-4)):
        ones = np.ones(np.shape(at[name]))
        ahead, behind = (made.apply({**at, name: at[name] + s * h * ones})["T"] for s in (1, -1))
        np.testing.assert_allclose(op.apply({name: ones})["T"], (ahead - behind) / (2 * h), rtol=1e-6, atol=1e-7)


def test_a_flame_that_goes_out_is_not_a_number():
    made = model()
    at = made.nominal()
    out = {**at, "T_a": at["T_a"] * 8}
    assert not made.solve(out).status.ok
    value, op = made.linearize(out)
    assert np.isnan(value["s_L"])
    assert np.isnan(op.apply({"ln_A": np.ones(1)})["s_L"])
    assert np.all(np.isnan(op.adjoint({"s_L": np.array(1.0)})["ln_A"]))


def test_the_same_parameters_give_the_same_bits():
    made = model()
    at = moved(made.nominal(), "T_a", 0, 50.0)
    first, second = made.apply(at), made.apply(at)
    assert first["s_L"] == second["s_L"]


def test_what_cannot_be_observed_is_refused():
    made = flame("one-step", 60)
    with pytest.raises(SpaceError, match="names among"):
        FlameModel(made, ["Lambda"])
    with pytest.raises(SpaceError, match="positions in"):
        FlameModel(made, ["T"], np.array([0.5]))
    with pytest.raises(SolverError, match="converged"):
        FlameModel(made.__class__(**{**vars(made), "status": Status.FAILED}), ["s_L"])
    with pytest.raises(SpaceError, match="params"):
        model().apply({"ln_A": np.zeros(1)})
