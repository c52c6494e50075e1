import numpy as np
import pytest
import torch
from scipy import optimize, stats

from retrodict.inverse.estimators import estimate
from retrodict.inverse.likelihood import LogLikelihood, profile_interval
from retrodict.inverse.noise import Gaussian
from retrodict.inverse.posterior import posterior
from retrodict.inverse.priors import LogNormalPrior
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Term
from retrodict.physics.errors import SolverError, SpaceError
from retrodict.physics.spaces import Space, Var


def normal_sample(n, seed=0):
    return np.random.default_rng(seed).normal(3.0, 2.0, n)


def variance_problem(y, form):
    """Mean and spread of a normal sample; the spread as variance, standard deviation or logarithm."""
    data = torch.as_tensor(y)
    variance = {"variance": lambda s: s, "std": lambda s: s**2, "log": lambda s: torch.exp(2 * s)}[form]
    bounds = (-np.inf, np.inf) if form == "log" else (0.0, np.inf)
    space = Space({"mean": Var(), "spread": Var(bounds=bounds)})

    def nll(t):
        v = variance(t["spread"])
        return 0.5 * ((data - t["mean"]) ** 2).sum() / v + 0.5 * len(y) * torch.log(v)

    v = np.var(y)
    at = {"mean": y.mean(), "spread": {"variance": v, "std": v**0.5, "log": 0.5 * np.log(v)}[form]}
    at = {k: np.asarray(x) for k, x in at.items()}
    return InverseProblem(space, (Term("nll", LogLikelihood(space, nll)),), at), at


def closed_variance(n, level):
    # profile over the mean: n/2 (r - 1 - log r) = chi2/2 with r = v_hat / v
    bar = stats.chi2(1).ppf(level) / n
    equation = lambda r: r - 1 - np.log(r) - bar  # noqa: E731
    return 1 / optimize.brentq(equation, 1, 100), 1 / optimize.brentq(equation, 1e-9, 1)


@pytest.mark.parametrize("n", [5, 40])
@pytest.mark.parametrize("level", [0.68, 0.95])
def test_interval_of_a_variance_has_its_closed_form(n, level):
    problem, at = variance_problem(normal_sample(n), "variance")
    low, high = profile_interval(problem, at, "spread", level=level)
    want = np.array(closed_variance(n, level)) * float(at["spread"])
    np.testing.assert_allclose([low, high], want, rtol=1e-4)


def test_interval_of_a_mean_with_unknown_variance_has_its_closed_form():
    # n/2 log(1 + (m - mean)^2 / v) = chi2/2
    problem, at = variance_problem(y := normal_sample(12), "log")
    half = np.sqrt(np.var(y) * np.expm1(stats.chi2(1).ppf(0.95) / 12))
    np.testing.assert_allclose(profile_interval(problem, at, "mean"), [y.mean() - half, y.mean() + half], rtol=1e-5)


def test_the_interval_does_not_depend_on_the_parametrisation():
    y = normal_sample(8)
    ends = {f: profile_interval(*variance_problem(y, f), "spread") for f in ("variance", "std", "log")}
    np.testing.assert_allclose(np.square(ends["std"]), ends["variance"], rtol=1e-4)
    np.testing.assert_allclose(np.exp(2 * np.array(ends["log"])), ends["variance"], rtol=1e-4)


def test_a_parabola_gives_the_laplace_interval(linear_problem):
    problem = linear_problem(np.random.default_rng(1).normal(size=(6, 3)), np.arange(6.0))
    at = problem.space.from_dataset(estimate(problem).data)
    post = posterior(problem, at, covariance="laplace")
    for i, name in enumerate("abc"):
        np.testing.assert_allclose(profile_interval(problem, at, name), post["interval_95"][i], rtol=1e-4, atol=1e-5)


def poisson_problem(count, bounds):
    space = Space({"rate": Var(bounds=bounds)})
    nll = LogLikelihood(space, lambda t: t["rate"] - count * torch.log(t["rate"]) if count else t["rate"] * 1.0)
    at = {"rate": np.asarray(float(count))}
    return InverseProblem(space, (Term("nll", nll),), at), at


def test_no_count_gives_a_one_sided_interval():
    # likelihood exp(-rate): rises by chi2/2 at 1.92, the lower end is the bound
    problem, at = poisson_problem(0, (0.0, np.inf))
    low, high = profile_interval(problem, at, "rate")
    assert low == 0.0
    assert high == pytest.approx(stats.chi2(1).ppf(0.95) / 2, rel=1e-5)


@pytest.mark.parametrize("bounds", [(0.0, np.inf), (-np.inf, np.inf)])
@pytest.mark.parametrize("count", [1, 2, 30])
def test_a_likelihood_without_value_beyond_zero_ends_before_it(count, bounds):
    problem, at = poisson_problem(count, bounds)
    rise = lambda r: r - count - count * np.log(r / count) - stats.chi2(1).ppf(0.95) / 2  # noqa: E731
    want = [optimize.brentq(rise, 1e-9, count), optimize.brentq(rise, count, 100)]
    np.testing.assert_allclose(profile_interval(problem, at, "rate"), want, rtol=1e-4)


def test_what_data_leave_open_is_infinite_or_the_bound(linear_problem):
    for bounds, want in (({}, (-np.inf, np.inf)), ({"b": (-3.0, 8.0)}, (-3.0, 8.0))):
        problem = linear_problem([[1.0, 0.0]], [1.0], bounds=bounds, start={"a": 1.0, "b": 2.0})
        assert profile_interval(problem, {"a": np.array(1.0), "b": np.array(2.0)}, "b") == want


def test_an_upper_limit_where_the_signal_saturates():
    # 1 - exp(-x): large x cannot be told from infinity
    space = Space({"x": Var(bounds=(0.0, np.inf))})
    nll = LogLikelihood(space, lambda t: 0.5 * ((1 - torch.exp(-t["x"]) - 0.9) / 0.2) ** 2)
    at = {"x": np.asarray(np.log(10.0))}
    low, high = profile_interval(InverseProblem(space, (Term("nll", nll),), at), at, "x")
    assert low == pytest.approx(-np.log1p(-(0.9 - 0.2 * 1.959964)), rel=1e-4)
    assert high == np.inf


def test_a_log_normal_prior_at_a_zero_bound_only_ends_the_interval(decay, decay_problem):
    y = decay.apply({"amplitude": np.array(5.0), "rate": np.array(0.05)})["y"]
    prior = Term("rate", LogNormalPrior("rate", 0.05, 3.0), kind="prior")
    problem = decay_problem(y, Gaussian(3.0), start=(5.0, 0.05), priors=(prior,))
    at = problem.space.from_dataset(estimate(problem).data)
    low, high = profile_interval(problem, at, "rate")
    assert 0 < low < float(at["rate"]) < high < 10


def test_a_point_that_is_no_minimum_is_refused(linear_problem):
    problem = linear_problem([[1.0, 0.2], [0.3, 1.0]], [1.0, 2.0])
    with pytest.raises(SolverError, match=r"profile_interval: got a value lower by .* at a=.*expected a minimum"):
        profile_interval(problem, {"a": np.array(0.0), "b": np.array(0.0)}, "a")


@pytest.mark.parametrize(("name", "level"), [("q", 0.95), ("rate", 0.0), ("rate", 1.0)])
def test_wrong_questions_are_refused(name, level):
    problem, at = poisson_problem(3, (0.0, np.inf))
    with pytest.raises(SpaceError, match=r"profile_interval: got q|level: got"):
        profile_interval(problem, at, name, level=level)


def test_an_inner_estimate_that_is_not_at_its_end_gives_no_interval():
    problem, at = variance_problem(normal_sample(12), "std")
    with pytest.raises(SolverError, match="status max-steps"):
        profile_interval(problem, at, "mean", max_steps=1)
