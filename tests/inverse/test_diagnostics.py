import numpy as np
import pytest
from scipy import stats

from retrodict.inverse.diagnostics import diagnose, examine_residuals, ljung_box
from retrodict.inverse.likelihood import LogLikelihood
from retrodict.inverse.noise import Autocorrelated, Gaussian, Heteroscedastic, Poisson, StudentT
from retrodict.inverse.observation import Observation
from retrodict.inverse.priors import GaussianPrior
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.residuals import Residuals
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
    assert np.isnan(ljung_box(np.ones(9))).all()
    assert np.isnan(ljung_box(np.array([1.0]))).all()


def test_gaps_and_the_ends_of_series_are_no_neighbours():
    x = np.random.default_rng(0).normal(size=(6, 40))
    x[2, 10:20] = np.nan
    y = x - np.nanmean(x)
    held = np.isfinite(y)
    q = 0.0
    for k in range(1, 4):
        pairs = [(row[i], row[i + k]) for row in y for i in range(40 - k) if np.isfinite(row[i] * row[i + k])]
        q += sum(a * b for a, b in pairs) ** 2 / len(pairs)
    q *= (held.sum() + 2) / held.sum() / np.mean(y[held] ** 2) ** 2
    assert ljung_box(x, 3) == pytest.approx((q, stats.chi2(3).sf(q)), rel=1e-12)


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
    assert str(told["verdict"].values[0]).startswith("correlated (lag-1 +0.")
    # the right noise model whitens them
    assert diagnose(problem(y, drift), AT)["verdict"].values.tolist() == ["white and normal"]


def test_heavy_tails_are_told():
    y = np.random.default_rng(3).standard_t(2, size=N)
    verdict = str(diagnose(problem(y, Gaussian(1.0)), AT)["verdict"].values[0])
    assert verdict.endswith("; not normal")
    # the noise model that made them has nothing to complain of
    assert diagnose(problem(y, StudentT(1.0, 2.0)), AT)["verdict"].values.tolist() == ["white and normal"]


def test_nothing_is_said_of_too_few_residuals_and_nothing_written_where_there_are_none(linear_problem):
    told = diagnose(linear_problem(np.ones((3, 1)), [1.0, -1.0, 0.5]), {"a": np.array(0.0)})
    assert told["verdict"].values.tolist() == ["too few residuals to test (3)"]
    assert np.isnan([float(told["whiteness_p"][0]), float(told["normality_p"][0])]).all()
    term = Term("nll", LogLikelihood(ONE, lambda t: t["level"] ** 2))
    assert diagnose(InverseProblem(ONE, (term,), AT), AT) is None
    followed = diagnose(linear_problem([[1.0]], [2.0]), {"a": np.array(2.0)})
    assert followed.attrs["degrees_of_freedom"] == pytest.approx(0.0, abs=1e-12)
    assert np.isnan(followed.attrs["reduced_chi2"])
    assert np.isnan(followed.attrs["chi2_p"])


def test_many_small_blocks_are_tested_for_normality_together():
    rng = np.random.default_rng(8)
    heavy = [Residuals(f"flame {i}", [[v]]) for i, v in enumerate(rng.standard_t(1, 60))]
    assert examine_residuals(heavy).attrs["normality_p"] < 1e-6
    light = [Residuals(f"flame {i}", [[v]]) for i, v in enumerate(rng.standard_normal(60))]
    assert examine_residuals(light).attrs["normality_p"] > 0.01


NOISE = {
    "gaussian": Gaussian(2.0),
    "student": StudentT(2.0, 4.0),
    "relative": Heteroscedastic(0.5, 0.1),
    "poisson": Poisson(),
    "correlated": Autocorrelated(2.0, 5.0, np.arange(float(N))),
}


@pytest.mark.parametrize("name", NOISE)
def test_false_alarms_keep_their_level_whatever_the_noise(name):
    rng, found = np.random.default_rng(6), []
    for _ in range(120):
        y = NOISE[name].sample(np.full(N, 40.0), rng)
        told = diagnose(problem(y, NOISE[name]), {"level": np.array(40.0)})
        found.append(
            [
                told.attrs["chi2_p"],
                told.attrs["chi2_low_p"],
                float(told["whiteness_p"][0]),
                float(told["normality_p"][0]),
            ]
        )
    shares = np.nanmean(np.array(found) < 0.05, axis=0)
    assert np.all(np.abs(shares - 0.05) <= 3 * (0.05 * 0.95 / 120) ** 0.5), shares


def test_chi_squared_counts_data_minus_what_they_determine():
    mask = np.arange(N) % 4 > 0
    y = np.random.default_rng(4).normal(size=N)
    told = diagnose(problem(np.where(mask, y, np.nan), Gaussian(0.5), mask), AT)
    assert told.attrs["chi2"] == pytest.approx((y[mask] ** 2).sum() / 0.25)
    assert told.attrs["degrees_of_freedom"] == pytest.approx(149)
    assert told.attrs["reduced_chi2"] == pytest.approx(told.attrs["chi2"] / 149)
    assert told.attrs["chi2_p"] == pytest.approx(stats.chi2(149).sf(told.attrs["chi2"]))
    assert told.attrs["chi2_p"] < 1e-6
    assert told["misfit"].values.tolist() == ["data/y"]
    assert float(told["count"][0]) == 150


def test_unknowns_that_data_do_not_determine_cost_no_freedom(linear_problem):
    made = linear_problem([[1, 1], [1, 1], [2, 2]], np.zeros(3))
    assert diagnose(made, made.start).attrs["degrees_of_freedom"] == pytest.approx(2)


def test_priors_leave_the_data_more_freedom(linear_problem):
    # one datum of unit noise, one unknown of prior deviation two: it follows four fifths of the datum
    prior = Term("prior", GaussianPrior("a", 0.0, std=2.0), kind="prior")
    made = linear_problem([[1.0]], [1.0], priors=(prior,))
    assert diagnose(made, made.start).attrs["degrees_of_freedom"] == pytest.approx(0.2)


def test_chi_squared_p_is_uniform_over_repeated_fits():
    rng, p = np.random.default_rng(5), []
    for _ in range(300):
        y = rng.normal(size=N)
        p.append(diagnose(problem(y, Gaussian(1.0)), {"level": np.asarray(y.mean())}).attrs["chi2_p"])
    assert stats.kstest(p, "uniform").pvalue > 1e-3
