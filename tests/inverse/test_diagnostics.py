import numpy as np
import pytest
from scipy import stats

from retrodict.inverse.diagnostics import diagnose, ljung_box
from retrodict.inverse.noise import Autocorrelated, Gaussian
from retrodict.inverse.observation import Observation
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Misfit, Term
from retrodict.physics.autograd import TorchModel
from retrodict.physics.spaces import Space, Var

N = 200
ONE = Space({"level": Var()})
SERIES = Space({"y": Var(("time",), (N,))})
CONSTANT = TorchModel(ONE, SERIES, lambda t: {"y": t["level"].expand(N)})
AT = {"level": np.array(0.0)}


def problem(y, noise, mask=None):
    data = Observation(SERIES, {"y": y}, {"y": noise}, {} if mask is None else {"y": mask})
    return InverseProblem(ONE, (Term("data", Misfit(CONSTANT, data)),), AT)


def test_ljung_box_is_the_published_statistic():
    x = np.random.default_rng(0).normal(size=80)
    c = x - x.mean()
    r = np.array([c[k:] @ c[:-k] for k in range(1, 6)]) / (c @ c)
    q = 80 * 82 * sum(r[k - 1] ** 2 / (80 - k) for k in range(1, 6))
    assert ljung_box(x, 5) == pytest.approx((q, stats.chi2(5).sf(q)), rel=1e-12)
    assert ljung_box(np.ones(9)) == (0.0, 1.0)
    assert ljung_box(np.array([1.0])) == (0.0, 1.0)


def test_p_values_of_white_series_are_uniform():
    rng = np.random.default_rng(1)
    p = [ljung_box(rng.normal(size=300))[1] for _ in range(400)]
    assert stats.kstest(p, "uniform").pvalue > 1e-3


def test_white_and_correlated_residuals_are_told_apart():
    rng = np.random.default_rng(2)
    white = diagnose(problem(rng.normal(size=N), Gaussian(1.0)), AT)
    assert white["verdict"].values.tolist() == ["white and normal"]
    drift = Autocorrelated(1.0, 10.0, np.arange(float(N)))
    y = drift.sample(np.zeros(N), rng)
    told = diagnose(problem(y, Gaussian(1.0)), AT)
    assert float(told["autocorrelation"][0]) > 0.7
    assert float(told["whiteness_p"][0]) < 1e-10
    assert str(told["verdict"].values[0]).startswith("correlated in time (lag-1 +0.")
    # the right noise model whitens them
    assert diagnose(problem(y, drift), AT)["verdict"].values.tolist() == ["white and normal"]


def test_heavy_tails_are_told():
    y = np.random.default_rng(3).standard_t(2, size=N)
    assert str(diagnose(problem(y, Gaussian(1.0)), AT)["verdict"].values[0]) == "not normal"


def test_chi_squared_counts_data_minus_what_they_determine():
    mask = np.arange(N) % 4 > 0
    y = np.random.default_rng(4).normal(size=N)
    told = diagnose(problem(np.where(mask, y, np.nan), Gaussian(0.5), mask), AT)
    assert told.attrs["chi2"] == pytest.approx((y[mask] ** 2).sum() / 0.25)
    assert told.attrs["degrees_of_freedom"] == 149
    assert told.attrs["reduced_chi2"] == pytest.approx(told.attrs["chi2"] / 149)
    assert told.attrs["chi2_p"] == pytest.approx(stats.chi2(149).sf(told.attrs["chi2"]))
    assert told.attrs["chi2_p"] < 1e-6
    assert told["misfit"].values.tolist() == ["data/y"]
    assert float(told["count"][0]) == 150


def test_unknowns_that_data_do_not_determine_cost_no_freedom(linear_problem):
    made = linear_problem([[1, 1], [1, 1], [2, 2]], np.zeros(3))
    assert diagnose(made, made.start).attrs["degrees_of_freedom"] == 2


def test_chi_squared_p_is_uniform_over_repeated_fits():
    rng, p = np.random.default_rng(5), []
    for _ in range(300):
        y = rng.normal(size=N)
        p.append(diagnose(problem(y, Gaussian(1.0)), {"level": np.asarray(y.mean())}).attrs["chi2_p"])
    assert stats.kstest(p, "uniform").pvalue > 1e-3
