import numpy as np
import pytest

from retrodict.inverse.curvature import Leverage
from retrodict.inverse.noise import Autocorrelated
from retrodict.inverse.posterior import posterior
from retrodict.inverse.sandwich import sandwich
from retrodict.physics.errors import SolverError

N = 1000
T = np.arange(float(N))


def design(rng):
    """A level and two oscillations."""
    waves = [np.sin(2 * np.pi * rng.uniform(0.005, 0.05) * T + rng.uniform(0, 6)) for _ in range(2)]
    return np.stack([np.ones(N), *waves], 1)


def autoregression(rng, correlation):
    return Autocorrelated(1.0, -1 / np.log(correlation), T).sample(np.zeros(N), rng)


def fitted(matrix, y):
    """Least squares by numpy: estimate, residual and leverage."""
    information = matrix.T @ matrix
    at = np.linalg.solve(information, matrix.T @ y)
    share = np.einsum("ij,jk,ik->i", matrix, np.linalg.inv(information), matrix)
    rows = np.arange(len(y))[None]
    return at, information, Leverage(matrix @ at - y, matrix, share, {"data/y": rows})


def test_intervals_hold_under_correlation_where_those_of_laplace_do_not():
    from scipy import stats

    inside, narrow = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        matrix = design(rng)
        at, information, lever = fitted(matrix, rng.normal(size=N) + 2 * autoregression(rng, 0.9))
        found = sandwich(lever, information, np.zeros((3, 3)))
        std = np.sqrt(np.diag(found.covariance))
        inside.append(np.abs(at) < stats.t.ppf(0.975, found.freedom) * std)
        narrow.append(np.abs(at) < 1.96 * np.sqrt(np.diag(np.linalg.inv(information))))
    assert np.all((np.mean(inside, 0) > 0.90) & (np.mean(inside, 0) < 0.99)), np.mean(inside, 0)
    assert np.all(np.mean(narrow, 0) < 0.6)


def test_white_residuals_give_the_covariance_of_laplace():
    ratios = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        matrix = design(rng)
        _, information, lever = fitted(matrix, rng.normal(size=N))
        ratios.append(np.diag(sandwich(lever, information, np.zeros((3, 3))).covariance) * np.diag(information))
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.1)


def test_windows_are_the_weights_of_bartlett():
    rng = np.random.default_rng(1)
    matrix = np.ones((N, 1))
    _, information, lever = fitted(matrix, autoregression(rng, 0.8))
    found = sandwich(lever, information, np.zeros((1, 1)))
    r = lever.residual
    total = r @ r + 2 * sum((1 - k / found.window) * (r[k:] @ r[:-k]) for k in range(1, found.window))
    # up to the corrections for the window and for the fit, which only widen
    assert 1.0 < found.covariance[0, 0] * N**2 / total < 1.5


def test_short_records_have_none_and_say_so(linear_problem):
    rng = np.random.default_rng(2)
    matrix = design(rng)
    _, information, lever = fitted(matrix, np.cumsum(rng.normal(size=N)))
    assert sandwich(lever, information, np.zeros((3, 3))) is None
    problem = linear_problem(np.ones((5, 1)), np.zeros(5))
    with pytest.raises(SolverError, match="sandwich: got the record is too short"):
        posterior(problem, problem.start, covariance="sandwich")


def test_an_unknown_that_changes_along_the_record_is_seen_as_a_disagreement():
    p = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        wave = np.sin(2 * np.pi * 0.1 * T)
        drifting = np.repeat([0.0, 1.0, -1.0, 0.0], N // 4) * wave * 4
        _, information, lever = fitted(np.stack([np.ones(N), wave], 1), drifting + rng.normal(size=N))
        found = sandwich(lever, information, np.zeros((2, 2)))
        p.append(1.0 if found is None else found.disagreement_p)
    assert np.mean(np.array(p) < 0.05) > 0.5, p
