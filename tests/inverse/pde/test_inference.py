"""Coverage, searches without a start, aliases, what is not identifiable, other equations, the initial field."""

import numpy as np
import pytest

from retrodict.inverse.pde import inference
from retrodict.inverse.pde.coefficients import coefficient_problem, field_model, model_values
from retrodict.inverse.pde.expansion import Expansion
from retrodict.inverse.pde.forward import INITIAL
from retrodict.inverse.pde.harmonics import Harmonics
from retrodict.inverse.pde.inference import infer, stream_posterior
from retrodict.inverse.pde.initial_field import initial_band
from retrodict.inverse.pde.samples import Samples
from retrodict.inverse.pde.stream_scan import scan_stream
from retrodict.inverse.posterior import posterior
from retrodict.physics.errors import SolverError
from retrodict.physics.pde.burgers import burgers
from retrodict.physics.pde.reaction import reaction
from retrodict.solvers.base import Status
from retrodict.solvers.reference.burgers import cole_hopf

BOUNDS = {"c": (0.0, 70.0), "nu": (0.0, 1.0)}


def _posed(stream, solver, samples, unknown=("c", "nu"), **more):
    bounds = {k: v for k, v in BOUNDS.items() if k in unknown}
    return coefficient_problem(stream, samples, unknown, expansion=solver, bounds=bounds, **more)


def _fit(stream, solver, stream_samples, seed):
    rng = np.random.default_rng([seed, 17])
    truth = np.array([rng.uniform(0, 70), 10 ** rng.uniform(-3, -1)])
    found = infer(_posed(stream, solver, stream_samples(seed, *truth)), (0.0, 70.0))
    pull = (found.posterior["estimate"].values - truth) / found.posterior["std"].values
    return pull, found


def test_velocity_and_diffusivity_without_a_start(stream, solver, stream_samples):
    for seed in range(3):
        pull, found = _fit(stream, solver, stream_samples, seed)
        assert np.abs(pull).max() < 4, seed
        assert found.posterior.attrs["chi2_gap"] > 1e3
        assert set(found.posterior["verdict"].values) <= {
            "identified by the data",
            "identified, but compatible with zero within one standard deviation",
        }


@pytest.mark.slow
def test_both_within_two_deviations_in_nine_of_ten_sets(stream, solver, stream_samples):
    pulls = np.array([_fit(stream, solver, stream_samples, seed)[0] for seed in range(20)])
    assert (np.abs(pulls) < 2).all(1).mean() >= 0.9
    assert np.abs(pulls.mean(0)).max() < 3 / np.sqrt(20)


def test_samples_where_time_begins_determine_nothing(stream, solver, stream_samples):
    problem = _posed(stream, solver, stream_samples(0, 20.0, 0.05, times=[0.0]))
    post = posterior(problem, problem.start)
    assert np.isinf(post["std"]).all()
    assert all(str(v).startswith("not identifiable") for v in post["verdict"].values)
    with pytest.raises(SolverError, match="nothing else sees the stream"):
        infer(problem, (0.0, 70.0))


def test_one_time_and_a_free_initial_field_leave_their_combination(stream, stream_samples):
    free = Expansion(stream, 300, initial=Harmonics(2, 2 * np.pi))
    problem = _posed(stream, free, stream_samples(0, 20.0, 0.05, times=[0.5]))
    start = {"c": np.array(20.0), "nu": np.array(0.05), INITIAL: np.array([0.3, -0.3, 0.1, 0.1, 0.05])}
    words = dict(
        zip(problem.space.labels(), posterior(problem, start, covariance="laplace")["verdict"].values, strict=True)
    )
    assert words["c"].startswith("not identifiable from these data; only a combination")
    assert words["nu"].startswith("not identifiable")
    assert words[f"{INITIAL}[0]"] == "identified by the data"


def test_two_times_leave_aliases_that_are_named(stream, solver, stream_samples):
    samples = stream_samples(0, 20.0, 0.05, times=[0.0, 0.2])
    found = infer(_posed(stream, solver, samples), (0.0, 70.0), candidates=4)
    speeds = sorted(float(m["c"]) for m in found.minima[:2])
    assert np.allclose(speeds, [20.0, 20.0 + 2 * np.pi / 0.2], atol=0.05)
    assert found.posterior.attrs["chi2_gap"] < 1
    assert str(found.posterior["verdict"].values[0]).startswith("ambiguous")


def test_one_minimum_has_no_rival(stream, solver, stream_samples):
    problem = _posed(stream, solver, stream_samples(0, 20.0, 0.05))
    post = stream_posterior(problem, [{"c": np.array(20.0), "nu": np.array(0.05)}], np.zeros(1))
    assert post.attrs["chi2_gap"] == np.inf
    assert np.isnan(post["second_minimum"]).all()


def test_the_scan_agrees_with_the_model(stream, solver, stream_samples):
    problem = _posed(stream, solver, stream_samples(0, 20.0, 0.05))
    scan = scan_stream(field_model(problem), problem.start, model_values(problem), (0.0, 70.0), trials={"nu": [0.02]})
    for i in (0, 57, len(scan.speeds) - 1):
        line = problem.terms[0].fn.linearize({k: scan.points[i][k] for k in problem.space})
        assert np.isclose(scan.chi2[i], line.residual @ line.residual, rtol=1e-3)


def test_initial_field_with_velocity_and_diffusivity(stream, stream_samples, bump):
    free = Expansion(stream, 150, initial=Harmonics(7, 2 * np.pi))
    truth = 33.0, 0.02
    found = infer(_posed(stream, free, stream_samples(1, *truth)), (0.0, 70.0), trials={"nu": [0.02]}, candidates=2)
    post = found.posterior
    assert np.all(np.abs(post["estimate"].values[:2] - truth) < 3 * post["std"].values[:2])
    x = np.linspace(0, 2 * np.pi, 80)
    mean, std = initial_band(found.problem, post, x)
    inside = np.abs(mean - bump(x)) < 2 * std
    assert inside.mean() > 0.85
    assert std.max() < 0.03


def test_an_initial_field_of_zeros_is_fitted_before_the_first_step(stream, stream_samples, bump):
    free = Expansion(stream, 100, initial=Harmonics(6, 2 * np.pi))
    samples, start = stream_samples(1, 33.0, 0.02), {"c": 33.1, "nu": 0.03}
    found = infer(_posed(stream, free, samples, start=start))
    x = np.linspace(0, 6, 20)
    assert np.abs(initial_band(found.problem, found.posterior, x)[0] - bump(x)).max() < 0.05
    assert abs(float(found.estimate["c"]) - 33.0) < 0.05


def test_a_prior_narrows_the_initial_field(stream, stream_samples):
    free = Expansion(stream, 60, initial=Harmonics(5, 2 * np.pi))
    samples = stream_samples(1, 5.0, 0.02, count=30)
    start = {"c": 5.0, "nu": 0.02}
    stds = []
    for prior in (None, 0.05):
        problem = _posed(stream, free, samples, start=start, initial_std=prior)
        stds.append(posterior(problem, problem.start)["std"].values[2:])
    assert np.all(stds[1] < stds[0])


def test_reaction_rate(bump, bump_torch):
    rng = np.random.default_rng(3)
    x, t = rng.uniform(0, 2 * np.pi, 200), rng.uniform(0, 1, 200)
    grown = bump(x) * np.exp(3 * t)
    seen = Samples(x, t, grown / (grown + 1 - bump(x)) + 0.01 * rng.standard_normal(200), 0.01)
    system = reaction(1.0, initial=bump_torch)
    post = infer(coefficient_problem(system, seen, ["rho"], expansion=Expansion(system, 150))).posterior
    assert abs(post["estimate"].item() - 3.0) < 3 * post["std"].item() < 0.1


def test_viscosity_of_burgers_with_and_without_the_velocity():
    rng = np.random.default_rng(4)
    x, t = rng.uniform(0, 2 * np.pi, 200), rng.uniform(0, 1, 200)
    u = cole_hopf(np.sin, 0.12, period=2 * np.pi)(x - 12 * t, t) + 0.01 * rng.standard_normal(200)
    system = burgers(0.2, c=12.0)
    solver = Expansion(system, 200)
    known, free = (
        coefficient_problem(system, Samples(x, t, u, 0.01), names, expansion=solver, bounds={"nu": (0.05, 1.0)})
        for names in (["nu"], ["c", "nu"])
    )
    post = infer(known).posterior
    assert abs(post["estimate"].item() - 0.12) < 3 * post["std"].item()
    post = infer(free, (0.0, 40.0), trials={"nu": [0.2]}, candidates=2).posterior
    assert np.all(np.abs(post["estimate"].values - [12.0, 0.12]) < 3 * post["std"].values)


def test_a_nonlinear_equation_with_a_free_start_is_not_scanned(stream_samples):
    system = burgers(0.2, c=1.0)
    free = Expansion(system, 40, initial=Harmonics(2, 2 * np.pi))
    problem = coefficient_problem(system, stream_samples(0, 1.0, 0.1), ["c"], expansion=free)
    with pytest.raises(SolverError, match="a known field"):
        infer(problem, (0.0, 10.0))


def test_the_best_minimum_is_followed_to_its_end(stream, solver, stream_samples, monkeypatch):
    posed = _posed(stream, solver, stream_samples(0, 30.0, 0.02))
    whole = infer(posed, (0.0, 70.0))
    estimate = inference.estimate
    monkeypatch.setattr(inference, "estimate", lambda problem, **_: estimate(problem, max_steps=1))
    found = infer(posed, (0.0, 70.0))
    assert found.result.status is Status.CONVERGED
    std = whole.posterior["std"].values
    assert np.abs(found.posterior["estimate"].values - whole.posterior["estimate"].values).max() < 1e-3 * std.min()
    with pytest.raises(SolverError, match="status max-steps"):
        infer(posed, (0.0, 70.0), max_steps=1)
