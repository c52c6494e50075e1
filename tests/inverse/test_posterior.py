import numpy as np
import pytest
import torch

from retrodict.inverse.curvature import curvature
from retrodict.inverse.likelihood import LogLikelihood
from retrodict.inverse.noise import Gaussian
from retrodict.inverse.posterior import posterior
from retrodict.inverse.priors import GaussianPrior
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Term
from retrodict.physics.errors import SolverError
from retrodict.physics.spaces import Space, Var

RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(9, 3))


def at(problem, **values):
    return {k: np.asarray(values.get(k, 0.0)) for k in problem.space}


def words(post):
    return dict(zip(post["parameter"].values.tolist(), post["verdict"].values.tolist(), strict=True))


def test_a_linear_gaussian_posterior_is_exact(linear_problem):
    std = np.linspace(0.5, 2, 9)
    prior = Term("prior", GaussianPrior("b", 1.0, std=0.3), kind="prior")
    truth = {"a": 1.0, "b": 2.0, "c": 3.0}
    problem = linear_problem(MATRIX, np.zeros(9), Gaussian(std), (prior,), truth=truth)
    post = posterior(problem, at(problem, a=1.0, b=-1.0))
    information = MATRIX.T @ np.diag(1 / std**2) @ MATRIX + np.diag([0, 1 / 0.09, 0])
    covariance = np.linalg.inv(information)
    sigma = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(post["covariance"], covariance, rtol=1e-12)
    np.testing.assert_allclose(post["std"], sigma, rtol=1e-12)
    np.testing.assert_allclose(post["correlation"], covariance / np.outer(sigma, sigma), rtol=1e-12)
    np.testing.assert_allclose(post["interval_95"][:, 1], [1, -1, 0] + 1.959963984540054 * sigma, rtol=1e-12)
    np.testing.assert_allclose(post["interval_68"][:, 0], [1, -1, 0] - 0.994457883209753 * sigma, rtol=1e-12)
    np.testing.assert_allclose(post["data_share"], 1 - np.diag([0, 1 / 0.09, 0]).diagonal() / information.diagonal())
    assert post["truth"].values.tolist() == [1.0, 2.0, 3.0]
    assert post["units"].values.tolist() == ["m"] * 3
    assert not post["at_bound"].any()
    scaled = information / np.sqrt(np.outer(information.diagonal(), information.diagonal()))
    assert post.attrs["condition"] == pytest.approx(np.linalg.cond(scaled), rel=1e-10)


def test_weights_scale_the_information(linear_problem):
    problem = linear_problem(MATRIX, np.zeros(9))
    term = problem.terms[0]
    heavy = InverseProblem(problem.space, (Term("data", term.fn, weight=4.0),), problem.start)
    np.testing.assert_allclose(curvature(heavy, at(heavy)), 4 * curvature(problem, at(problem)), rtol=1e-13)


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_exact_curvature_keeps_the_order_of_the_unknowns(order):
    space = Space({"a": Var(), "b": Var(("i",), (2,)), "idle": Var()})
    own = Space({k: space[k] for k in order})
    nll = LogLikelihood(own, lambda t: t["a"] ** 2 + t["a"] * t["b"][1] + 3 * t["b"].square().sum())
    prior = Term("idle", GaussianPrior("idle", 0.0, std=0.5), kind="prior")
    problem = InverseProblem(space, (Term("nll", nll), prior), space.zeros())
    want = np.array([[2, 0, 1, 0], [0, 6, 0, 0], [1, 0, 6, 0], [0, 0, 0, 4.0]])
    np.testing.assert_allclose(curvature(problem, space.zeros()), want, atol=1e-14)


def test_smooth_terms_are_differenced():
    class Smooth:
        def value(self, x):
            return float(np.cosh(x["a"]) + np.exp(x["a"] * x["b"]))

        def gradient(self, x):
            e = np.exp(x["a"] * x["b"])
            return {"a": np.sinh(x["a"]) + x["b"] * e, "b": x["a"] * e}

    space = Space({"a": Var(), "b": Var()})
    problem = InverseProblem(space, (Term("smooth", Smooth()),), {"a": 1.0, "b": 2.0})
    e = np.exp(2.0)
    want = [[np.cosh(1) + 4 * e, 3 * e], [3 * e, e]]
    np.testing.assert_allclose(curvature(problem, {"a": np.array(1.0), "b": np.array(2.0)}), want, rtol=1e-8)


def test_a_term_that_is_not_smooth_has_no_posterior():
    class Kinked:
        def value(self, x):
            return float(abs(x["a"]))

        def prox(self, x, _step):
            return x

    problem = InverseProblem(Space({"a": Var()}), (Term("kinked", Kinked()),), {"a": 1.0})
    with pytest.raises(SolverError, match="posterior: got term 'kinked', expected smooth terms"):
        posterior(problem, {"a": np.array(1.0)})


def test_an_undetermined_direction_is_infinite_and_named(linear_problem):
    # only a + b is seen; c is apart
    problem = linear_problem([[1, 1, 0], [2, 2, 0], [0, 0, 1]], np.zeros(3))
    post = posterior(problem, at(problem, c=5.0), covariance="laplace")
    assert np.isinf(post["std"][:2]).all()
    assert float(post["std"][2]) == pytest.approx(1.0)
    assert np.isinf(post["interval_95"][:2]).all()
    said = words(post)
    assert said["a"] == "not identifiable from these data; only a combination with b is"
    assert said["b"] == "not identifiable from these data; only a combination with a is"
    assert said["c"] == "identified by the data"


def test_unrelated_null_directions_name_their_own_partners(linear_problem):
    problem = linear_problem([[1, -1, 0, 0, 0], [0, 0, 3, 1, 0]], np.zeros(2))
    said = words(posterior(problem, at(problem)))
    assert said["a"].endswith("a combination with b is")
    assert said["c"].endswith("a combination with d is")
    assert said["e"] == "not identifiable from these data"


def test_a_prior_makes_the_undetermined_finite_and_is_named(linear_problem):
    prior = Term("prior", GaussianPrior("b", 3.0, std=2.0), kind="prior")
    problem = linear_problem([[1.0, 0.0], [0.0, 0.1]], [5.0, 0.0], priors=(prior,))
    post = posterior(problem, at(problem, a=5.0, b=3.0))
    assert float(post["std"][1]) == pytest.approx((0.25 + 0.01) ** -0.5)
    assert words(post) == {
        "a": "identified by the data",
        "b": "determined mostly by the prior (4% of the information comes from data)",
    }
    alone = linear_problem([[1.0, 0.0]], [5.0], priors=(prior,))
    assert words(posterior(alone, at(alone, a=5.0, b=3.0)))["b"] == "determined by the prior alone"


def test_strong_correlation_and_small_estimates_are_told(linear_problem):
    problem = linear_problem([[1, 1], [1, 1.2]], np.zeros(2))
    said = words(posterior(problem, at(problem, a=500.0, b=500.0)))
    assert said["a"].startswith("weakly identified: correlation -0.99")
    assert said["a"].endswith("with b")
    single = linear_problem([[1.0]], [0.5])
    assert (
        words(posterior(single, at(single, a=0.5)))["a"]
        == "identified, but compatible with zero within one standard deviation"
    )


def test_an_estimate_at_its_bound_is_told(linear_problem):
    problem = linear_problem([[1.0]], [-3.0], bounds={"a": (0.0, 9.0)})
    post = posterior(problem, at(problem))
    assert bool(post["at_bound"][0])
    assert words(post)["a"] == "at its bound: the interval is one-sided and not the one given"


def test_complex_and_shaped_unknowns_are_labelled():
    space = Space({"x": Var(("i",), (2,), units="m"), "s": Var()})
    nll = LogLikelihood(space, lambda t: 0.5 * (t["x"] * torch.tensor([1.0, 2.0])).square().sum() + t["s"] ** 2)
    post = posterior(InverseProblem(space, (Term("nll", nll),), space.zeros()), space.zeros())
    assert post["parameter"].values.tolist() == ["x[0]", "x[1]", "s"]
    assert post["units"].values.tolist() == ["m", "m", "1"]
    np.testing.assert_allclose(post["std"], [1, 0.5, 0.5**0.5], rtol=1e-12)
