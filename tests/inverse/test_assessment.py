import numpy as np
import pytest
import torch

from retrodict.inverse.assessment import assess, contradictions, pulled
from retrodict.inverse.diagnostics import correlated, diagnose, examine_residuals
from retrodict.inverse.estimators import estimate
from retrodict.inverse.likelihood import LogLikelihood
from retrodict.inverse.noise import Autocorrelated, Gaussian
from retrodict.inverse.posterior import posterior
from retrodict.inverse.priors import GaussianPrior, LogNormalPrior
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.residuals import Residuals
from retrodict.inverse.terms import Term
from retrodict.physics.errors import SolverError
from retrodict.physics.spaces import Space, Var
from retrodict.solvers.base import Status

NOISE = np.random.default_rng(0).normal(size=80)
MATRIX = np.random.default_rng(1).normal(size=(80, 3))
TRUTH = np.array([5.0, -4.0, 3.0])


def assessed(problem):
    result = estimate(problem)
    at = problem.space.from_dataset(result.data)
    post, told = posterior(problem, at), diagnose(problem, at)
    return assess(result.status, told, post), post


def blocks(scale, count=400, seed=0):
    return examine_residuals([Residuals("y", scale * np.random.default_rng(seed).standard_normal((1, count)))])


def test_a_right_model_holds(linear_problem):
    verdict, post = assessed(linear_problem(MATRIX, MATRIX @ TRUTH + NOISE))
    assert verdict.word == "holds"
    assert verdict.reasons[0].startswith("reduced chi-squared")
    assert set(post["verdict"].values) == {"identified by the data"}
    assert post.attrs["method"] == "Laplace"
    np.testing.assert_array_equal(post["std"], post["std_laplace"])


def test_a_wrong_model_is_a_misfit_in_words_and_intervals(linear_problem):
    curve = 6 * MATRIX[:, 0] ** 2
    verdict, post = assessed(linear_problem(MATRIX, MATRIX @ TRUTH + curve + NOISE))
    assert verdict.word == "misfit"
    assert "expected 0.5 to 1.5" in verdict.reasons[0]
    assert set(post["verdict"].values) == {"determined, but by a model that does not describe the data"}
    reduced = float(verdict.reasons[0].split()[2].rstrip(","))
    np.testing.assert_allclose(post["std"] / post["std_laplace"], reduced**0.5, rtol=0.01)
    width = np.diff(post["interval_95"].values, axis=1)[:, 0]
    np.testing.assert_allclose(width, 2 * 1.959964 * post["std"].values, rtol=1e-5)


def test_effect_and_probability_both_decide():
    assert contradictions(blocks(1.15)) == []  # p of 1e-4 and less, and a reduced chi-squared of 1.3
    assert contradictions(blocks(1.4))
    assert contradictions(blocks(0.5))
    few = examine_residuals([Residuals("y", [[1.9, -1.5, 1.6]])])  # 2.8 with three values is chance
    assert contradictions(few) == []
    verdict = assess(Status.CONVERGED, few)
    assert verdict.word == "weak"
    assert "model error cannot be tested with these data (3 values leave 3 degrees of freedom)" in verdict.reasons


def test_one_bad_block_is_not_hidden_by_many_good_ones():
    rng = np.random.default_rng(3)
    good = [Residuals(f"flame {i}", rng.standard_normal((1, 100))) for i in range(20)]
    told = examine_residuals([*good, Residuals("flame x", 1.7 * rng.standard_normal((1, 100)))])
    assert 0.5 < told.attrs["reduced_chi2"] < 1.5
    assert contradictions(told)[0].endswith("of flame x")


def test_flagged_data_do_not_count():
    values = np.random.default_rng(4).standard_normal((1, 300))
    values[0, ::3] = np.nan
    told = examine_residuals([Residuals("y", values)])
    assert told.attrs["degrees_of_freedom"] == 200
    assert contradictions(told) == []


def test_a_prior_that_the_data_contradict_is_a_misfit(linear_problem):
    prior = Term("prior", GaussianPrior("b", 0.0, std=1.0), kind="prior")
    verdict, post = assessed(linear_problem(MATRIX, MATRIX @ TRUTH + NOISE, priors=(prior,)))
    assert verdict.word == "misfit"
    assert verdict.reasons[0].startswith("b lies -3.")
    assert float(post["prior_pull"][1]) == pytest.approx(-4, abs=0.2)
    assert np.isnan(post["prior_pull"][[0, 2]]).all()
    words = [str(v) for v in post["verdict"].values]
    assert words[1].startswith("pulled -3.")
    assert words[0].startswith("determined, but by a model")


def test_many_priors_pull_further_by_chance():
    assert pulled({"a": 3.5}) == ["a"]
    assert pulled({"a": 2.9}) == []
    assert pulled({**{f"x{i}": 0.0 for i in range(500)}, "a": 3.5}) == []
    assert pulled({**{f"x{i}": 0.0 for i in range(500)}, "a": -6.0}) == ["a"]


def test_every_prior_says_how_far_it_was_pulled():
    matrix = np.array([[4.0, 1.0], [1.0, 1.0]])
    prior = GaussianPrior("x", [1.0, 2.0], covariance=matrix)
    np.testing.assert_allclose(prior.pulls({"x": np.array([5.0, 0.0])})["x"], [2.0, -2.0])
    log = LogNormalPrior("x", 2.0, 0.5)
    assert float(log.pulls({"x": np.array(2.0 * np.e)})["x"]) == pytest.approx(2.0)


def test_correlated_residuals_whose_interval_was_corrected_hold():
    series = np.arange(2000.0)
    matrix = np.stack([np.ones(2000), np.sin(0.05 * series)], 1)
    drift = Autocorrelated(0.9, 8.0, series).sample(np.zeros(2000), np.random.default_rng(7))
    from .conftest import _linear_problem

    verdict, post = assessed(_linear_problem(matrix, matrix @ [3.0, 5.0] + drift, Gaussian(1.0)))
    assert verdict.word == "holds"
    assert any(r.startswith("intervals widened") for r in verdict.reasons)
    assert post.attrs["method"] == "sandwich by blocks"
    assert np.all(post["std"] > 1.5 * post["std_laplace"])
    np.testing.assert_allclose(post["std"], post["std_sandwich"])


def test_what_is_not_identified_is_weak(linear_problem):
    matrix = np.column_stack([MATRIX[:, 0], MATRIX[:, 0], MATRIX[:, 1]])
    problem = linear_problem(matrix, NOISE)
    at = problem.start
    verdict = assess(Status.CONVERGED, diagnose(problem, at), posterior(problem, at))
    assert verdict.word == "weak"
    assert verdict.reasons[0] == "a, b are not identifiable"


@pytest.mark.parametrize("status", [Status.INVALID, Status.DIVERGED, Status.NON_FINITE, Status.FAILED])
def test_no_answer_is_invalid_however_good_the_residuals(status):
    verdict = assess(status, blocks(1.0))
    assert verdict.word == "invalid"
    assert not verdict.usable


def test_a_solver_that_ran_out_of_steps_is_weak_at_best():
    assert assess(Status.MAX_STEPS, blocks(1.0)).word == "weak"
    assert assess(Status.MAX_STEPS, blocks(3.0)).word == "misfit"


def test_networks_are_judged_by_their_own_residual_and_what_was_not_examined_is_weak():
    assert assess(Status.CONVERGED, data=False).word == "holds"
    assert assess(Status.CONVERGED).word == "weak"
    assert assess(Status.CONVERGED, blocks(1.0), examined=False).word == "weak"


def test_what_is_held_changes_nothing_else(linear_problem):
    prior = Term("prior", GaussianPrior("b", 0.0, std=0.1), kind="prior")
    problem = linear_problem(MATRIX, MATRIX @ TRUTH + NOISE, priors=(prior,)).fix({"a": np.array(5.0)})
    verdict, post = assessed(problem)
    assert verdict.word == "misfit"
    assert any("prior standard deviations" in r for r in verdict.reasons)
    assert np.isfinite(post["prior_pull"][0])
    free = linear_problem(MATRIX, MATRIX @ TRUTH + NOISE, priors=(prior,)).fix({"b": np.array(-4.0)})
    assert assessed(free)[0].word == "holds"


def test_a_likelihood_held_in_part_keeps_its_residuals_and_hessian():
    space = Space({"m": Var(), "s": Var(bounds=(0.1, 10.0))})
    y = torch.as_tensor(np.random.default_rng(2).normal(1.0, 2.0, 300))
    nll = LogLikelihood(
        space,
        lambda t: (0.5 * ((y - t["m"]) / t["s"]) ** 2 + torch.log(t["s"])).sum(),
        lambda t: {"y": (("time",), (y - t["m"]) / t["s"])},
    )
    held = InverseProblem(space, (Term("nll", nll),), {"m": 0.0, "s": 1.0}).fix({"s": np.array(2.0)})
    verdict, post = assessed(held)
    assert verdict.word == "holds"
    assert float(post["std"][0]) == pytest.approx(2 / 300**0.5, rel=1e-6)
    narrow = InverseProblem(space, (Term("nll", nll),), {"m": 0.0, "s": 1.0}).fix({"s": np.array(0.5)})
    assert assessed(narrow)[0].word == "misfit"


def test_a_likelihood_costs_as_many_degrees_as_it_has_unknowns():
    space = Space({"x": Var(("i",), (40,))})
    y = torch.as_tensor(np.random.default_rng(3).normal(size=60))
    nll = LogLikelihood(space, lambda t: 0.5 * (t["x"] - y[:40]).square().sum(), lambda _t: {"y": (("time",), y)})
    problem = InverseProblem(space, (Term("nll", nll),), space.zeros())
    assert diagnose(problem, space.zeros()).attrs["degrees_of_freedom"] == 20


def test_a_misfit_of_a_short_correlated_record_has_finite_intervals():
    from .conftest import _linear_problem

    t = np.arange(300.0)
    matrix = np.stack([np.ones(300), np.sin(0.07 * t), np.cos(0.03 * t)], 1)
    drift = Autocorrelated(4.0, 8.0, t).sample(np.zeros(300), np.random.default_rng(3))
    verdict, post = assessed(_linear_problem(matrix, matrix @ [3.0, 5.0, 1.0] + drift, Gaussian(1.0)))
    assert verdict.word == "misfit"
    assert np.isfinite(post["std"]).all()
    assert np.all(post["std"] > post["std_laplace"])


def test_gaps_at_every_second_step_leave_a_correlation():
    values = np.full((1, 400), np.nan)
    values[0, ::2] = np.sin(0.05 * np.arange(200))
    told = examine_residuals([Residuals("y", values)])
    assert float(told["autocorrelation"][0]) > 0.9


def test_a_prediction_that_is_no_number_is_no_gap(decay_problem):
    problem = decay_problem(np.ones(25), Gaussian(0.1))
    term = problem.terms[0].fn
    with pytest.raises(SolverError, match="25 of 25 predictions 'y' that are not finite"):
        term.residuals({"amplitude": np.array(np.nan), "rate": np.array(1.0)})


def test_a_weight_says_that_the_noise_is_another(linear_problem):
    problem = linear_problem(MATRIX, MATRIX @ TRUTH + NOISE)
    heavy = InverseProblem(problem.space, (Term("data", problem.terms[0].fn, weight=100.0),), problem.start)
    assert assessed(heavy)[0].word == "misfit"


def test_the_level_of_whiteness_is_for_all_blocks_together():
    seen = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        told = examine_residuals([Residuals(f"b{i}", rng.standard_normal((1, 60))) for i in range(100)])
        seen += bool(correlated(told))
    assert seen <= 3
