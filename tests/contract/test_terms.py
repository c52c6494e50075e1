"""Every term of an inverse problem at one point: its gradient, its linearisation, its Hessian."""

import numpy as np
import pytest
import torch

from retrodict.inverse.likelihood import LogLikelihood
from retrodict.inverse.noise import Autocorrelated, Gaussian, Heteroscedastic, Poisson, StudentT
from retrodict.inverse.observation import Observation
from retrodict.inverse.priors import GaussianPrior, LogNormalPrior, SmoothnessPrior
from retrodict.inverse.terms import Curved, GaussNewton, Misfit, Smooth
from retrodict.physics.autograd import TorchModel
from retrodict.physics.model import Operator
from retrodict.physics.spaces import Space, Var
from retrodict.physics.verify import dot_test, taylor_test

SPACE = Space({"x": Var(("i",), (5,)), "s": Var()})
AT = {"x": np.array([0.5, 1.2, 0.8, 2.0, 1.1]), "s": np.array(0.6)}
DATA = Space({"y": Var(("i",), (5,))})
MODEL = TorchModel(SPACE, DATA, lambda t: {"y": torch.exp(-t["x"] * t["s"]) + t["x"]})
ROOT = np.random.default_rng(0).normal(size=(5, 5))
MASK = np.array([True, True, False, True, True])
NOISES = {
    "Gaussian": Gaussian(0.3),
    "Heteroscedastic": Heteroscedastic(0.3, 0.2),
    "StudentT": StudentT(0.3, 4.0),
    "Poisson": Poisson(),
    "Autocorrelated": Autocorrelated(0.3, 2.0, np.arange(5.0)),
}
TABLE = {
    "GaussianPrior": GaussianPrior("x", 1.0, std=0.5),
    "GaussianPrior/dense": GaussianPrior("x", 1.0, covariance=ROOT @ ROOT.T + np.eye(5)),
    "LogNormalPrior": LogNormalPrior("x", 1.0, 0.5),
    "SmoothnessPrior": SmoothnessPrior("x", 0.3),
    "SmoothnessPrior/2": SmoothnessPrior("x", 0.3, order=2),
    "LogLikelihood": LogLikelihood(SPACE, lambda t: torch.cosh(t["x"] * t["s"]).sum()),
} | {
    f"Misfit/{k}": Misfit(MODEL, Observation(DATA, {"y": np.round(np.linspace(1, 3, 5))}, {"y": v}, {"y": MASK}))
    for k, v in NOISES.items()
}
SCALAR = Space({"value": Var()})


class Value:
    """The value of a term as a model, its gradient as the derivative."""

    domain, range = SPACE, SCALAR

    def __init__(self, term):
        self.term = term

    def apply(self, x):
        return {"value": np.array(self.term.value(x))}

    def linearize(self, x):
        slope = {**SPACE.zeros(), **self.term.gradient(x)}
        forward = lambda d: {"value": np.array(SPACE.inner(slope, d))}  # noqa: E731
        return self.apply(x), Operator(SPACE, SCALAR, forward, lambda y: {k: v * y["value"] for k, v in slope.items()})


class Residual:
    """The residual of a Gauss-Newton term as a model."""

    domain = SPACE

    def __init__(self, term):
        self.term = term
        self.range = Space({"r": Var(("m",), term.linearize(AT).residual.shape)})

    def apply(self, x):
        return {"r": self.term.linearize(x).residual}

    def linearize(self, x):
        line = self.term.linearize(x)
        transpose = lambda y: {**SPACE.zeros(), **line.transpose(y["r"])}  # noqa: E731
        return {"r": line.residual}, Operator(SPACE, self.range, lambda d: {"r": line.forward(d)}, transpose)


RESIDUAL = [n for n, t in TABLE.items() if isinstance(t, GaussNewton)]
# Whitening of these is by the information, not by the residual's own derivative: W'W is the curvature that it claims
CURVATURE_ONLY = ("Misfit/Heteroscedastic", "Misfit/Poisson", "Misfit/StudentT")


@pytest.mark.parametrize("name", TABLE)
def test_gradient_is_the_derivative_of_the_value(name):
    assert isinstance(TABLE[name], Smooth)
    report = taylor_test(Value(TABLE[name]), AT)
    assert report.passed, report


@pytest.mark.parametrize("name", RESIDUAL)
def test_linearisation_is_adjoint_and_gives_the_gradient(name):
    model, term = Residual(TABLE[name]), TABLE[name]
    _, op = model.linearize(AT)
    report = dot_test(op)
    assert report.passed, report
    line = term.linearize(AT)
    slope = {**SPACE.zeros(), **line.transpose(line.residual)}
    np.testing.assert_allclose(SPACE.pack(slope), SPACE.pack({**SPACE.zeros(), **term.gradient(AT)}), rtol=1e-12)


@pytest.mark.parametrize("name", [n for n in RESIDUAL if n not in CURVATURE_ONLY])
def test_linearisation_is_the_derivative_of_the_residual(name):
    report = taylor_test(Residual(TABLE[name]), AT)
    assert report.passed, report


@pytest.mark.parametrize("name", [n for n, t in TABLE.items() if isinstance(t, Curved)])
def test_hessian_is_the_derivative_of_the_gradient(name):
    term, x = TABLE[name], SPACE.pack(AT)
    hessian, h = term.hessian(AT), 1e-5
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-13)
    for j, step in enumerate(np.eye(x.size) * h):
        forth, back = (SPACE.pack(term.gradient(SPACE.unpack(x + s * step))) for s in (1, -1))
        np.testing.assert_allclose(hessian[j], (forth - back) / (2 * h), rtol=1e-7, atol=1e-9)


# objectives over spaces of their own: derivatives are tested where they live
OWN_SPACE = {"InverseProblem", "AllAtOnce", "Marginal"}


def test_no_term_or_noise_is_missing(public, offers):
    things = public("retrodict.inverse")
    terms = {n.rpartition(".")[2] for n, t in things.items() if offers(t, "value", "gradient")} - OWN_SPACE
    noises = {n.rpartition(".")[2] for n, t in things.items() if offers(t, "nll", "whiten", "sample")}
    assert terms == {name.partition("/")[0] for name in TABLE}
    assert noises == set(NOISES)
