import numpy as np
import pytest
import torch

from retrodict.inverse.likelihood import LogLikelihood
from retrodict.inverse.priors import GaussianPrior, SmoothnessPrior
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Curved, GaussNewton, Smooth, Term
from retrodict.physics.errors import SolverError, SpaceError
from retrodict.physics.spaces import Space, Var
from retrodict.solvers.objective import LeastSquaresObjective, Objective

SPACE = Space({"a": Var(("i",), (4,)), "b": Var(bounds=(0.0, 5.0))})
TERMS = (
    Term("walk", SmoothnessPrior("a", 0.5), weight=3.0, kind="prior"),
    Term("level", GaussianPrior("a", 1.0, std=2.0)),
    Term("b", GaussianPrior("b", 2.0, std=0.5), weight=0.5),
)
START = {"a": np.arange(4.0), "b": 1.0}
PROBLEM = InverseProblem(SPACE, TERMS, START)


def test_value_gradient_and_jacobian_agree_with_weights():
    assert isinstance(PROBLEM, LeastSquaresObjective)
    value = sum(t.weight * t.fn.value(START) for t in TERMS)
    assert PROBLEM.value(START) == pytest.approx(value, rel=1e-15)
    r, jac = PROBLEM.jacobian(START)
    assert jac.shape == (3 + 4 + 1, 5)
    np.testing.assert_allclose(jac.T @ r, SPACE.pack(PROBLEM.gradient(START)), rtol=1e-13, atol=1e-14)
    at, h = SPACE.pack(PROBLEM.start), 1e-6
    for j, step in enumerate(np.eye(5) * h):
        moved, _ = PROBLEM.jacobian(SPACE.unpack(at + step))
        np.testing.assert_allclose((moved - r) / h, jac[:, j], rtol=1e-6, atol=1e-8)


def test_jacobian_of_one_kind():
    r, jac = PROBLEM.jacobian(START, "prior")
    assert jac.shape == (3, 5)
    np.testing.assert_allclose(r, 3**0.5 * np.ones(3) / 0.5, rtol=1e-15)


@pytest.mark.parametrize(("rows", "columns"), [(3, 5), (5, 3)])
def test_jacobian_is_assembled_from_either_side(linear_problem, rows, columns):
    matrix = np.random.default_rng(0).normal(size=(rows, columns))
    problem = linear_problem(matrix, np.zeros(rows))
    np.testing.assert_allclose(problem.jacobian(problem.start)[1], matrix, rtol=1e-14)


def test_fixing_a_variable_is_the_problem_at_its_value():
    held = PROBLEM.fix({"b": np.array(3.0)})
    assert list(held.space) == ["a"]
    assert held.name == "problem|b"
    free = {"a": np.array([2.0, 0.0, 1.0, -1.0])}
    whole = free | {"b": np.array(3.0)}
    assert held.value(free) == PROBLEM.value(whole)
    np.testing.assert_array_equal(held.gradient(free)["a"], PROBLEM.gradient(whole)["a"])
    r, jac = held.jacobian(free)
    want_r, want_jac = PROBLEM.jacobian(whole)
    np.testing.assert_allclose(r, want_r, rtol=1e-15)
    np.testing.assert_allclose(jac, want_jac[:, :4], rtol=1e-15)
    assert all(isinstance(t.fn, GaussNewton) for t in held.terms)


def test_fixing_a_smooth_term_keeps_it_smooth():
    nll = LogLikelihood(SPACE, lambda t: (t["a"] * t["b"]).square().sum())
    held = InverseProblem(SPACE, (Term("nll", nll),), START).fix({"a": np.ones(4)})
    assert held.gradient({"b": np.array(2.0)})["b"] == pytest.approx(16.0)
    assert not isinstance(held.terms[0].fn, GaussNewton)
    assert isinstance(held, Objective)


@pytest.mark.parametrize("values", [{"q": 1.0}, {"a": np.ones(4), "b": 1.0}])
def test_fixing_unknown_or_all_variables_is_refused(values):
    with pytest.raises(SpaceError, match=r"fix: got .*expected some but not all of \['a', 'b'\]"):
        PROBLEM.fix(values)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"terms": ()}, r"InverseProblem\.terms: got \[\], expected one or more terms with different names"),
        ({"terms": (TERMS[0], TERMS[0])}, r"got \['walk', 'walk'\]"),
        ({"terms": (Term("x", TERMS[0].fn, blocks=("q",)),)}, r"Term 'x' blocks: got \['q'\], expected names among"),
        ({"start": {"a": np.zeros(4)}}, r"start: got names \['a'\]"),
        ({"start": START | {"b": 9.0}}, r"start\['b'\]: got 9\.0, expected values in \[0, 5\]"),
        ({"truth": START | {"b": np.nan}}, r"truth\['b'\]: got 1 non-finite"),
    ],
)
def test_wrong_problems_are_refused(changes, match):
    with pytest.raises(SpaceError, match=match):
        InverseProblem(**({"space": SPACE, "terms": TERMS, "start": START} | changes))


def test_missing_capabilities_are_named():
    nll = Term("nll", LogLikelihood(SPACE, lambda t: t["b"] ** 2))
    problem = InverseProblem(SPACE, (*TERMS, nll), START)
    problem.require(Smooth, "l-bfgs")
    with pytest.raises(
        SolverError, match="levenberg: got term 'nll' of type LogLikelihood, expected terms that are Gaus"
    ):
        problem.require(GaussNewton, "levenberg")
    with pytest.raises(SolverError, match="term 'walk' of type SmoothnessPrior, expected terms that are Curved"):
        problem.require(Curved, "newton")


def test_a_term_without_gradient_is_named():
    class Count:
        def value(self, x):
            return float(np.count_nonzero(x["b"]))

        def prox(self, x, _step):
            return x

    problem = InverseProblem(SPACE, (Term("count", Count()),), START)
    assert problem.value(START) == 1.0
    with pytest.raises(SolverError, match="gradient: got term 'count', expected a smooth term"):
        problem.gradient(START)
    with pytest.raises(SolverError, match="fix: got Count, expected a smooth term"):
        problem.fix({"b": np.array(1.0)})


def test_likelihood_gradient_and_hessian_are_those_of_calculus():
    nll = LogLikelihood(SPACE, lambda t: torch.exp(t["b"]) * t["a"][:2].square().sum())
    at = {"a": np.array([1.0, 2.0, 3.0, 4.0]), "b": np.array(0.5)}
    e = np.exp(0.5)
    assert nll.value(at) == pytest.approx(5 * e)
    np.testing.assert_allclose(nll.gradient(at)["a"], [2 * e, 4 * e, 0, 0], rtol=1e-14)
    want = np.zeros((5, 5))
    want[0, 0] = want[1, 1] = 2 * e
    want[0, 4] = want[4, 0] = 2 * e
    want[1, 4] = want[4, 1] = 4 * e
    want[4, 4] = 5 * e
    np.testing.assert_allclose(nll.hessian(at), want, rtol=1e-13)
