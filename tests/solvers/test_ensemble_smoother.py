"""ES-MDA against the exact posterior of a linear problem, and what it does with members that fail."""

import numpy as np
import pytest

from retrodict.physics.errors import SolverError
from retrodict.physics.spaces import Space, Var
from retrodict.solvers.base import Status
from retrodict.solvers.ensemble_smoother import EnsembleObjective, EnsembleSmoother
from retrodict.solvers.iterate import iterate

RNG = np.random.default_rng(5)
G = RNG.standard_normal((6, 3))
FACTOR = np.linalg.cholesky(np.array([[1.0, 0.4, 0.0], [0.4, 2.0, -0.5], [0.0, -0.5, 0.7]]))
MEAN = np.array([1.0, -2.0, 0.5])
OBSERVED = G @ (MEAN + FACTOR @ RNG.standard_normal(3)) + RNG.standard_normal(6)


class Linear:
    """Six whitened data of three unknowns with a correlated prior."""

    name, mean, factor, observed = "linear", MEAN, FACTOR, OBSERVED

    def __init__(self, bounds=(-np.inf, np.inf), fails=lambda x: np.isnan(x).any()):
        self.space = Space({"a": Var(("i",), (2,), units="m"), "b": Var(bounds=bounds)})
        self.fails = fails

    def predicted(self, x):
        return np.full(6, np.nan) if self.fails(x) else G @ x


def exact():
    prior = np.linalg.inv(FACTOR @ FACTOR.T)
    covariance = np.linalg.inv(prior + G.T @ G)
    return covariance @ (prior @ MEAN + G.T @ OBSERVED), covariance


@pytest.mark.parametrize("inflation", [(1.0,), (4.0,) * 4, (9.0, 6.0, 3.0, 1 / (1 - 1 / 9 - 1 / 6 - 1 / 3))])
def test_a_linear_problem_has_its_exact_posterior(inflation):
    smoother = EnsembleSmoother(Linear(), 20000, inflation)
    state = smoother.init()
    for _ in inflation:
        state, metrics = smoother.step(state)
    mean, covariance = exact()
    deviation = np.sqrt(np.diag(covariance))
    found = state.members
    # the mean of n draws scatters by a deviation over the root of n; 0.03 is four of them
    assert np.all(np.abs(found.mean(axis=0) - mean) < 0.03 * deviation)
    unit = np.outer(deviation, deviation)
    np.testing.assert_allclose(np.cov(found.T) / unit, covariance / unit, atol=0.04)
    assert smoother.done(metrics) is Status.CONVERGED
    assert metrics["failed"] == 0


def test_the_error_of_the_mean_falls_with_the_ensemble():
    mean, covariance = exact()

    def error(members):
        runs = [iterate(EnsembleSmoother(Linear(), members, seed=s), 9).data for s in range(4)]
        tops = np.array([[*r["a"].values, float(r["b"])] for r in runs])
        return np.sqrt(np.mean(((tops - mean) / np.sqrt(np.diag(covariance))) ** 2))

    assert error(800) < 0.6 * error(50)


def test_failed_members_are_replaced_and_counted():
    fails = lambda x: x[2] > 1.5  # noqa: E731
    share = 0.1
    smoother = EnsembleSmoother(Linear(fails=fails), 4000)
    _, metrics = smoother.step(smoother.init())
    assert 0.05 < metrics["failed"] / 4000 < 0.05 + 2 * share
    result = iterate(smoother, 9)
    assert result.status is Status.CONVERGED
    assert np.isfinite(result.data["b_members"].values).all()
    assert iterate(EnsembleSmoother(Linear(fails=lambda x: x.size > 0), 50), 9).status is Status.NON_FINITE


def test_members_keep_within_bounds_and_have_units():
    made = iterate(EnsembleSmoother(Linear(bounds=(0.0, 0.6)), 200), 9).data
    assert made["b_members"].min() >= 0.0
    assert made["b_members"].max() <= 0.6
    assert made["a_members"].shape == (200, 2)
    assert made["a_members"].attrs["units"] == "m"


def test_equal_seeds_give_equal_ensembles_and_other_names_for_others():
    one, same, other = (EnsembleSmoother(Linear(), 30, seed=s) for s in (1, 1, 2))
    assert iterate(one, 9).data.identical(iterate(same, 9).data)
    assert one.name != other.name
    assert isinstance(Linear(), EnsembleObjective)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"members": 2}, "members: got 2, expected at least 3"),
        ({"inflation": (2.0, 3.0)}, "inverses sum to 1"),
        ({"inflation": ()}, "inverses sum to 1"),
        ({"inflation": (0.5, -1.0)}, "inverses sum to 1"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(SolverError, match=message):
        EnsembleSmoother(Linear(), **options)
