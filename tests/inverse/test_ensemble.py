"""The objective of ensemble methods: whitening, priors, masks, refusals."""

import numpy as np
import pytest
import torch

from retrodict.inverse.ensemble import GaussianEnsemble
from retrodict.inverse.noise import Gaussian, Heteroscedastic, StudentT
from retrodict.inverse.observation import Observation
from retrodict.inverse.priors import GaussianPrior, LogNormalPrior
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Misfit, Term
from retrodict.physics.autograd import TorchModel
from retrodict.physics.errors import SolverError
from retrodict.physics.spaces import Space, Var

X = Space({"a": Var(("i",), (2,)), "b": Var()})
Y = Space({"y": Var(("t",), (3,)), "z": Var()})
MODEL = TorchModel(X, Y, lambda t: {"y": torch.stack([t["a"][0], t["a"][1], t["b"]]), "z": t["a"].sum() * t["b"]})
COVARIANCE = np.array([[2.0, 0.6], [0.6, 1.0]])
PRIORS = [GaussianPrior("b", 3.0, std=0.5), GaussianPrior("a", [1.0, 2.0], covariance=COVARIANCE)]


def seen(noise=None):
    values = {"y": np.array([1.0, np.nan, 3.0]), "z": np.array(10.0)}
    noise = noise or {"y": Gaussian([0.5, 1.0, 0.25]), "z": Heteroscedastic(3.0, 0.4)}
    return Observation(Y, values, noise, {"y": np.array([True, False, True])})


def test_data_are_in_deviations_and_priors_in_their_places():
    made = GaussianEnsemble(MODEL, seen(), PRIORS)
    np.testing.assert_allclose(made.observed, [2.0, 12.0, 2.0])  # the last by hypot(3, 4)
    np.testing.assert_allclose(made.mean, [1.0, 2.0, 3.0])
    whole = np.zeros((3, 3))
    whole[:2, :2], whole[2, 2] = COVARIANCE, 0.25
    np.testing.assert_allclose(made.factor @ made.factor.T, whole)
    np.testing.assert_allclose(made.predicted(np.array([1.0, 2.0, 3.0])), [2.0, 12.0, 9.0 / 5.0])


def test_a_problem_becomes_an_ensemble():
    terms = (Term("data", Misfit(MODEL, seen())), *(Term(p.name, p, kind="prior") for p in PRIORS))
    problem = InverseProblem(X, terms, X.zeros(), name="both")
    made = GaussianEnsemble.of(problem)
    assert made.name == "both"
    np.testing.assert_array_equal(made.observed, GaussianEnsemble(MODEL, seen(), PRIORS).observed)
    skewed = (*terms[:2], Term("skewed", LogNormalPrior("b", 1.0, 0.1), kind="prior"))
    with pytest.raises(SolverError, match="one Misfit and Gaussian priors"):
        GaussianEnsemble.of(InverseProblem(X, skewed, X.zeros() | {"b": np.array(1.0)}))


def test_what_is_not_gaussian_is_refused():
    with pytest.raises(SolverError, match=r"one Gaussian prior on each of \['a', 'b'\]"):
        GaussianEnsemble(MODEL, seen(), PRIORS[:1])
    with pytest.raises(SolverError, match="noise of 'z': got StudentT, expected Gaussian noise"):
        GaussianEnsemble(MODEL, seen({"y": Gaussian(1.0), "z": StudentT(1.0, 4.0)}), PRIORS)
