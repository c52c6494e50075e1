"""Objectives with known minima and a solver that halves a number: what the tests of this folder run."""

import numpy as np
import pytest
import xarray as xr

from retrodict.physics.spaces import Space, Var
from retrodict.solvers.base import Status


class Residuals:
    """Half the squared norm of a residual over named scalars."""

    def __init__(self, residual, jacobian, start, bounds=(), name="residuals"):
        self.residual, self.derivative, self.name = residual, jacobian, name
        limits = dict(bounds)
        self.space = Space({k: Var(bounds=limits.get(k, (-np.inf, np.inf))) for k in start})
        self.start = {k: np.asarray(v, float) for k, v in start.items()}

    def value(self, x):
        r = self.residual(self.space.pack(x))
        return float(0.5 * r @ r)

    def gradient(self, x):
        r, jac = self.jacobian(x)
        return self.space.unpack(jac.T @ r)

    def jacobian(self, x):
        at = self.space.pack(x)
        return self.residual(at), self.derivative(at)


def _rosenbrock(start=(-1.2, 1.0), bounds=()):
    return Residuals(
        lambda x: np.array([10 * (x[1] - x[0] ** 2), 1 - x[0]]),
        lambda x: np.array([[-20 * x[0], 10], [-1, 0]]),
        dict(zip("xy", start, strict=True)),
        bounds,
        "rosenbrock",
    )


class Halve:
    """A number that is halved until it is small; a fault can be planted at a step."""

    def __init__(self, below=0.0, fault=None, name="halve"):
        self.below, self.fault, self.name = below, fault or {}, name
        self.calls = 0

    def init(self):
        return (1.0, 0)

    def step(self, state):
        self.calls += 1
        size, count = state[0] / 2, state[1] + 1
        planted = self.fault.get(count)
        if callable(planted):
            planted()
        value = size if planted is None or callable(planted) else planted
        return (value, count), {"size": value, "log": -float(count)}

    def done(self, metrics):
        return Status.CONVERGED if metrics["size"] <= self.below else None

    def solution(self, state):
        return xr.Dataset({"s": ((), state[0], {"units": "m"})})

    def pack(self, state):
        return {"s": np.array(state[0]), "count": np.array(state[1])}

    def unpack(self, arrays):
        return float(arrays["s"]), int(arrays["count"])


@pytest.fixture(scope="session")
def residuals():
    return Residuals


@pytest.fixture(scope="session")
def rosenbrock():
    return _rosenbrock


@pytest.fixture(scope="session")
def halve():
    return Halve
