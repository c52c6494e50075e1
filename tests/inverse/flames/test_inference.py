"""Fits of flames: what is found and with which deviations, what is refused, and the ensemble beside Gauss-Newton."""

import cantera as ct
import numpy as np
import pytest

from retrodict.inverse.ensemble import GaussianEnsemble
from retrodict.inverse.estimators import estimate
from retrodict.inverse.flames.handles import activation, moved, prefactor
from retrodict.inverse.flames.inference import (
    flame_noise,
    flame_posterior,
    flame_problem,
    model_of,
    parameter_covariance,
    predicted,
    rate_deviation,
    refuse_unidentifiable,
)
from retrodict.inverse.flames.joint import JointFlames
from retrodict.inverse.flames.profiles import Profile
from retrodict.inverse.noise import Gaussian, Heteroscedastic
from retrodict.inverse.observation import Observation
from retrodict.inverse.priors import GaussianPrior
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Term
from retrodict.physics.errors import DataError, SpaceError
from retrodict.physics.flames.mechanism import read_posterior, write_mechanism
from retrodict.solvers.ensemble_smoother import EnsembleSmoother
from retrodict.solvers.iterate import iterate


def observed(model, at, relative=0.02, seed=None):
    values = dict(model.apply(at))
    if seed is not None:
        rng = np.random.default_rng(seed)
        values = {k: v * (1 + relative * rng.standard_normal(np.shape(v))) for k, v in values.items()}
    return Observation(model.range, values, flame_noise(model.range, relative=relative))


def test_an_uncertainty_factor_is_two_deviations():
    assert np.exp(2 * rate_deviation(3.0)) == pytest.approx(3.0, rel=1e-14)
    for wrong in (1.0, 0.5, np.inf, np.nan):
        with pytest.raises(SpaceError, match="uncertainty factor"):
            rate_deviation(wrong)


def test_noise_is_relative_absolute_or_both(joint):
    assert set(flame_noise(joint.range, absolute=0.1).values()) == {Gaussian(0.1)}
    assert set(flame_noise(joint.range, absolute=0.1, relative=0.02).values()) == {Heteroscedastic(0.1, 0.02)}
    assert flame_noise(joint.range, relative=0.02)["lean/T"].std(np.array(1000.0)) == pytest.approx(20.0)
    for wrong in ({}, {"relative": -0.1, "absolute": 1.0}):
        with pytest.raises(SpaceError, match="flame_noise"):
            flame_noise(joint.range, **wrong)


@pytest.fixture(scope="module")
def speeds(flame_at, one_step):
    """A and E_a at fixed A, from the speed of one flame."""
    return JointFlames({"one": flame_at(0.8)}, [prefactor(one_step, 0, "ln A"), activation(one_step, 0, None, "T_a")])


def test_what_nothing_determines_is_refused_by_name(speeds):
    seen = observed(speeds, speeds.domain.zeros())
    with pytest.raises(DataError, match="a combination of ln A, T_a that neither data nor priors determine"):
        refuse_unidentifiable(flame_problem(speeds, seen, {}))
    refuse_unidentifiable(flame_problem(speeds, seen, {"T_a": 500.0}))
    with pytest.raises(SpaceError, match=r"deviations: got \['b'\]"):
        flame_problem(speeds, seen, {"b": 1.0})


def test_the_posterior_of_one_speed_is_that_of_two_normal_numbers(speeds):
    zero, prior = speeds.domain.zeros(), {"ln A": 0.4, "T_a": 500.0}
    problem = flame_problem(speeds, observed(speeds, zero), prior)
    found = flame_posterior(problem, zero)
    y, operator = speeds.linearize(zero)
    row = np.array([float(operator.apply({"ln A": a, "T_a": t})["one/s_L"]) for a, t in ((1.0, 0.0), (0.0, 1.0))])
    # relative noise: the deviation follows the prediction, which adds twice the squared slope of ln std
    information = np.outer(row, row) * (1 / (0.02 * y["one/s_L"]) ** 2 + 2 / y["one/s_L"] ** 2)
    covariance = np.linalg.inv(information + np.diag([1 / 0.4**2, 1 / 500.0**2]))
    np.testing.assert_allclose(found["covariance"], covariance, rtol=1e-6)
    np.testing.assert_allclose(found["reduction"], np.sqrt(np.diag(covariance)) / [0.4, 500.0], rtol=1e-6)
    assert found.attrs["chi2_before"] == found.attrs["chi2_after"] == 0.0
    band = predicted(speeds, zero, covariance)["one/s_L"]
    assert band[0] == y["one/s_L"]
    assert band[1] == pytest.approx(np.sqrt(row @ covariance @ row), rel=1e-6)


def test_correlated_pairs_are_named(flame_at, one_step):
    x = 1e-3 * np.linspace(-0.7, 1.3, 12)
    both = [prefactor(one_step, 0, "ln A"), activation(one_step, 0, None, "T_a")]
    model = JointFlames({"one": flame_at(0.8)}, both, True, {"one": [Profile("T", x, 1500.0)]})
    found = flame_posterior(flame_problem(model, observed(model, model.domain.zeros()), {}), model.domain.zeros())
    assert found["correlation"].values[0, 1] > 0.99
    assert found.attrs["correlated"].startswith("ln A with T_a: +0.99")
    assert all("correlation +0.99" in str(v) for v in found["verdict"].values)
    assert np.isinf(found["prior_std"]).all()


@pytest.mark.slow
def test_four_parameters_are_found_from_a_displaced_start(joint, point):
    start = {"k": np.array(0.3), "T_a": np.array(800.0), "order": np.array(0.1), "lambda": np.array(0.2)}
    problem = flame_problem(joint, observed(joint, point), {"order": 0.5}, start, point)
    result = estimate(problem)
    assert result.status.ok
    found = flame_posterior(problem, problem.space.from_dataset(result.data))
    # without noise only the prior and the variance that follows the prediction pull
    assert np.all(np.abs(found["estimate"] - found["truth"]) < 0.2 * found["std"])
    assert found.attrs["chi2_after"] < 0.1
    assert found.attrs["chi2_before"] > 10


def test_the_written_mechanism_has_the_rates_and_their_covariance(joint, point, tmp_path):
    covariance = np.diag([0.01, 90.0, 1e-4, 1e-4]) + 1e-5
    names, full = parameter_covariance(joint.mechanism, joint.handles, covariance)
    conductivities = [f"ln_conductivity[{k}]" for k in range(5)]
    # the slots of the orders are CH4 and O2
    assert names == ["ln_A[0]", "T_a[0]", "order[0,1]", *conductivities]
    file = tmp_path / "fitted.yaml"
    write_mechanism(joint.mechanism, moved(joint.mechanism, joint.handles, point), file, full, names)
    stored, mean, again = read_posterior(file)
    assert stored == names
    np.testing.assert_allclose(again, full)
    at = names.index("T_a[0]")
    assert mean[at] == pytest.approx(joint.mechanism.parameters["T_a"][0] + 250.0)
    assert again[at, at] == pytest.approx(90.0 + 1e-5)
    shift = -np.log(2e-3)  # of ln A by the order at a fixed rate; and 1 / 1500 K by the activation temperature
    row = np.array([1.0, 1 / 1500, shift, 0.0])
    assert again[names.index("ln_A[0]"), names.index("ln_A[0]")] == pytest.approx(row @ covariance @ row)
    assert ct.Solution(str(file)).n_reactions == 1


def test_a_problem_without_flames_is_refused(joint):
    prior = Term("prior", GaussianPrior("k", 0.0, std=1.0), kind="prior")
    with pytest.raises(SpaceError, match="a problem from flame_problem"):
        model_of(InverseProblem(joint.domain, (prior,), joint.domain.zeros()))


@pytest.mark.slow
def test_the_ensemble_agrees_with_gauss_newton(flame_at, four):
    x = 1e-3 * np.linspace(-0.5, 1.0, 6)
    profiles = {"lean": [Profile("T", x, 1300.0)]}
    model = JointFlames({"lean": flame_at(0.7), "dense": flame_at(1.0, 5 * 101325.0)}, four, True, profiles)
    truth = {"k": np.array(0.1), "T_a": np.array(200.0), "order": np.array(0.03), "lambda": np.array(-0.05)}
    prior = {"k": 0.2, "T_a": 400.0, "order": 0.05, "lambda": 0.1}
    problem = flame_problem(model, observed(model, truth, seed=3), prior)
    result = estimate(problem)
    laplace = flame_posterior(problem, problem.space.from_dataset(result.data))
    members = iterate(EnsembleSmoother(GaussianEnsemble.of(problem), 100, seed=1), 9).data
    sample = np.stack([members[f"{k}_members"].values for k in model.domain])
    std = laplace["std"].values
    # 100 members: the mean scatters by 0.1 deviations, the deviation by 7 %; the rest is curvature
    assert np.all(np.abs(sample.mean(axis=1) - laplace["estimate"].values) < 0.35 * std)
    assert np.all(np.abs(sample.std(axis=1, ddof=1) / std - 1) < 0.25)
