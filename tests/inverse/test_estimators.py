import numpy as np
import pytest
import torch
from scipy import optimize

from retrodict.inverse.estimators import METHODS, estimate, solver_for
from retrodict.inverse.likelihood import LogLikelihood
from retrodict.inverse.noise import Gaussian, StudentT
from retrodict.inverse.priors import GaussianPrior, LogNormalPrior
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Term
from retrodict.physics.errors import SolverError
from retrodict.physics.spaces import Space, Var
from retrodict.solvers.base import Status
from retrodict.solvers.checkpoint import CheckpointStore
from retrodict.solvers.gradient import LBFGS
from retrodict.solvers.least_squares import GaussNewton, LevenbergMarquardt

TRUTH = {"amplitude": np.array(5.0), "rate": np.array(0.8)}


def noisy(decay, std=0.1, seed=0):
    y = decay.apply(TRUTH)["y"]
    return y + std * np.random.default_rng(seed).normal(size=y.shape)


def answer(result):
    return np.array([float(v) for v in result.data.values()])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_scipys_answer(decay, decay_problem, method):
    y = noisy(decay)
    residual = lambda x: (decay.apply({"amplitude": x[0], "rate": x[1]})["y"] - y) / 0.1  # noqa: E731
    peer = optimize.least_squares(residual, [3.0, 1.5], xtol=1e-15, ftol=1e-15, gtol=1e-15)
    result = estimate(decay_problem(y, Gaussian(0.1)), method)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(answer(result), peer.x, rtol=1e-6)
    assert result.data["rate"].attrs["units"] == "s-1"


@pytest.mark.parametrize("method", METHODS)
def test_masked_values_do_not_count(decay, decay_problem, method):
    y, mask = noisy(decay), np.arange(25) % 3 > 0
    spoiled = np.where(mask, y, 1e6)
    one = estimate(decay_problem(spoiled, Gaussian(0.1), mask=mask), method)
    other = estimate(decay_problem(np.where(mask, y, np.nan), Gaussian(0.1), mask=mask), method)
    np.testing.assert_array_equal(answer(one), answer(other))
    np.testing.assert_allclose(answer(one), [5.0, 0.8], rtol=0.05)


@pytest.mark.parametrize("method", METHODS)
def test_student_noise_shrugs_off_outliers(decay, decay_problem, method):
    y = noisy(decay)
    y[[3, 9, 17]] += [8.0, -6.0, 9.0]
    robust = estimate(decay_problem(y, StudentT(0.1, 3.0)), method)
    plain = estimate(decay_problem(y, Gaussian(0.1)), method)
    assert robust.status is Status.CONVERGED
    np.testing.assert_allclose(answer(robust), [5.0, 0.8], rtol=0.05)
    assert np.abs(answer(plain) / [5.0, 0.8] - 1).max() > 0.1


@pytest.mark.parametrize("method", METHODS)
def test_a_log_normal_prior_at_a_zero_bound_does_not_break_the_way(method, decay, decay_problem):
    # the data pull the rate below zero; the bound lets it be zero, where the prior has no density
    y = np.linspace(3.0, 6.0, 25)
    prior = Term("rate", LogNormalPrior("rate", 1.0, 1.0), kind="prior")
    result = estimate(decay_problem(y, Gaussian(0.05), start=(50.0, 9.0), priors=(prior,)), method, max_steps=500)
    assert result.status is Status.CONVERGED
    assert 0 < float(result.data["rate"]) < 0.01


@pytest.mark.parametrize("method", METHODS)
def test_a_prior_pulls_by_its_precision(linear_problem, method):
    # data 2 with unit variance, prior 0 with variance 4: 2 * 1/(1 + 1/4)
    prior = Term("prior", GaussianPrior("a", 0.0, std=2.0), kind="prior")
    result = estimate(linear_problem([[1.0]], [2.0], priors=(prior,)), method)
    assert float(result.data["a"]) == pytest.approx(1.6, rel=1e-7)


def test_the_automatic_choice_follows_capabilities():
    space = Space({"x": Var()})
    prior = Term("prior", GaussianPrior("x", 0.0, std=1.0))
    nll = Term("nll", LogLikelihood(space, lambda t: torch.cosh(t["x"] - 1)))
    assert isinstance(solver_for(InverseProblem(space, (prior,), {"x": 0.0})), LevenbergMarquardt)
    assert isinstance(solver_for(InverseProblem(space, (prior, nll), {"x": 0.0})), LBFGS)
    assert isinstance(solver_for(InverseProblem(space, (prior,), {"x": 0.0}), "gauss-newton"), GaussNewton)
    assert solver_for(InverseProblem(space, (prior,), {"x": 0.0}), tolerance=1e-3).tolerance == 1e-3


class Count:
    """Counts its evaluations and offers no gradient."""

    calls = 0

    def value(self, _x):
        type(self).calls += 1
        return 0.0

    def prox(self, x, _step):
        return x


@pytest.mark.parametrize("method", METHODS)
def test_a_missing_capability_is_refused_before_any_work(method, tmp_path):
    space = Space({"x": Var()})
    problem = InverseProblem(space, (Term("count", Count()),), {"x": 0.0})
    with pytest.raises(SolverError, match="got term 'count' of type Count, expected terms that are"):
        estimate(problem, method, checkpoint=CheckpointStore(tmp_path / "none"))
    assert Count.calls == 0
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("method", ["levenberg-marquardt", "gauss-newton"])
def test_a_likelihood_without_residual_needs_another_method(method):
    space = Space({"x": Var()})
    problem = InverseProblem(space, (Term("nll", LogLikelihood(space, lambda t: t["x"] ** 2)),), {"x": 1.0})
    with pytest.raises(
        SolverError, match=f"{method}: got term 'nll' of type LogLikelihood, expected terms that are Gaus"
    ):
        estimate(problem, method)
    assert float(estimate(problem, "l-bfgs").data["x"]) == pytest.approx(0.0, abs=1e-7)


def test_unknown_methods_are_refused(decay_problem):
    with pytest.raises(SolverError, match=r"method: got newton, expected one of \('auto', "):
        estimate(decay_problem(np.ones(25), Gaussian(1.0)), "newton")


@pytest.mark.parametrize("method", METHODS[1:])
def test_fits_resume_to_the_last_bit(decay, decay_problem, tmp_path, method):
    make = lambda: decay_problem(noisy(decay), Gaussian(0.1), start=(50.0, 4.0))  # noqa: E731
    whole, store = estimate(make(), method), CheckpointStore(tmp_path)
    estimate(make(), method, max_steps=3, checkpoint=store)
    resumed = estimate(make(), method, checkpoint=store, resume=True)
    assert resumed.data.identical(whole.data)
    assert resumed.history.equals(whole.history)


def test_callbacks_and_solvers_are_passed_on(decay, decay_problem):
    problem, seen = decay_problem(noisy(decay), Gaussian(0.1)), []
    result = estimate(problem, GaussNewton(problem), max_steps=2, callbacks=[lambda k, _m: seen.append(k)])
    assert seen == [1, 2]
    assert result.status is Status.MAX_STEPS
