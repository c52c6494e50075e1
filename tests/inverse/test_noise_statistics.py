"""Samples have the moments of their model, and the whitened form the information that it claims."""

import numpy as np
import pytest
from scipy import stats

from retrodict.inverse.noise import Autocorrelated, Gaussian, Heteroscedastic, StudentT

N = 40_000
TIMES = np.array([0.0, 0.1, 0.5, 0.6, 2.0])


def within(values, wanted, errors=4.0):
    """Whether the mean of values is that wanted, within so many standard errors."""
    return abs(values.mean() - wanted) < errors * values.std() / np.sqrt(values.size)


@pytest.mark.parametrize(
    ("model", "f", "law"),
    [
        (Gaussian(0.7), 3.0, stats.norm(3.0, 0.7)),
        (Heteroscedastic(0.5, 0.2), 4.0, stats.norm(4.0, np.hypot(0.5, 0.8))),
        (StudentT(0.7, 5.0), -1.0, stats.t(5.0, -1.0, 0.7)),
        (Autocorrelated(0.7, 2.0, np.arange(N) * 100.0), 3.0, stats.norm(3.0, 0.7)),
    ],
)
def test_samples_follow_the_law(model, f, law):
    y = model.sample(np.full(N, f), np.random.default_rng(1))
    assert stats.kstest(y, law.cdf).pvalue > 1e-3
    assert within(y, law.mean())
    assert within((y - f) ** 2, law.var())


def test_autocorrelated_samples_have_the_covariance():
    model = Autocorrelated(0.8, 0.9, TIMES)
    y = model.sample(np.zeros((N, 5)), np.random.default_rng(2))
    dense = 0.64 * np.exp(-np.abs(TIMES[:, None] - TIMES) / 0.9)
    for i in range(5):
        for j in range(i + 1):
            assert within(y[:, i] * y[:, j], dense[i, j])


@pytest.mark.parametrize("model", [Gaussian(0.7), Heteroscedastic(0.5, 0.4), Autocorrelated(0.8, 0.9, TIMES)])
def test_curvature_is_the_expected_information(model):
    # the covariance of the score over samples of the model is the Fisher information W'W
    f = np.linspace(-1, 3, 5)
    tiled = np.tile(f, (N, 1))
    mask = np.ones_like(tiled, bool)
    y = model.sample(tiled, np.random.default_rng(3))
    white = model.whiten(y, tiled, mask)
    score = white.transpose(white.residual)
    one = model.whiten(y[:1], f[None], mask[:1])
    rows = np.stack([one.forward(row[None]).ravel() for row in np.eye(5)], axis=1)
    information = rows.T @ rows
    for i in range(5):
        assert within(score[:, i], 0.0)
        for j in range(i + 1):
            assert within(score[:, i] * score[:, j], information[i, j])


def test_student_curvature_is_the_fisher_information():
    # (nu + 1)/(nu + 3)/s^2 (Lange, Little and Taylor 1989), which is the variance of the score; the weights of
    # re-weighted least squares have the larger mean 1/s^2 and would make intervals too narrow
    nu, scale, f = 4.0, 0.7, np.zeros(N)
    model, mask = StudentT(scale, nu), np.ones(N, bool)
    white = model.whiten(model.sample(f, np.random.default_rng(4)), f, mask)
    weight = white.forward(np.ones(N)) ** 2
    score = white.transpose(white.residual)
    assert np.allclose(weight, (nu + 1) / (nu + 3) / scale**2, rtol=1e-12)
    assert within(score**2, (nu + 1) / (nu + 3) / scale**2)


@pytest.mark.parametrize("model", [Gaussian(0.7), StudentT(0.7, 4.0), Heteroscedastic(0.5, 0.4)])
def test_whitened_residuals_have_unit_variance(model):
    f = np.full(N, 2.0)
    residual = model.whiten(model.sample(f, np.random.default_rng(5)), f, np.ones(N, bool)).residual
    assert within(residual, 0.0)
    assert within(residual**2, 1.0)


def test_autocorrelated_residuals_are_white():
    model = Autocorrelated(0.8, 5.0, np.arange(2000.0))
    y = model.sample(np.zeros(2000), np.random.default_rng(6))
    residual = model.whiten(y, np.zeros(2000), np.ones(2000, bool)).residual
    assert np.corrcoef(y[1:], y[:-1])[0, 1] > 0.7
    assert abs(np.corrcoef(residual[1:], residual[:-1])[0, 1]) < 4 / np.sqrt(2000)
    assert stats.kstest(residual, "norm").pvalue > 1e-3
