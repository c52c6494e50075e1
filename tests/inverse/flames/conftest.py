"""Flames that the tests of the inverse problems share: solved once, small."""

import numpy as np
import pytest

from retrodict.cases.data import bundled
from retrodict.inverse.flames.handles import activation, order, rate
from retrodict.inverse.flames.joint import JointFlames
from retrodict.inverse.flames.profiles import Profile
from retrodict.inverse.flames.transport_handles import conductivity
from retrodict.physics.flames.mechanism import load_mechanism
from retrodict.solvers.flames.premixed import FreeFlame


@pytest.fixture(scope="session")
def one_step():
    return load_mechanism(bundled("flames/1S_CH4_MP1.yaml"))


@pytest.fixture(scope="session")
def hydrogen():
    return load_mechanism("h2o2.yaml")


@pytest.fixture(scope="session")
def flame_at(one_step):
    def make(phi, p=101325.0, points=45, **other):
        Y = np.asarray(one_step.composition("CH4", "O2:1, N2:3.76", phi))
        return FreeFlame(one_step, Y, 300.0, p, width=0.03 * (p / 101325.0) ** -0.6, points=points, **other)

    return make


@pytest.fixture(scope="session")
def four(one_step):
    return [
        rate(one_step, 0, "k"),
        activation(one_step, 0, 1500.0, "T_a"),
        order(one_step, 0, "O2", 2e-3, "order"),
        conductivity(one_step, name="lambda"),
    ]


@pytest.fixture(scope="session")
def joint(flame_at, four):
    """A speed with a profile along the flame, and two profiles without a speed."""
    x = 1e-3 * np.array([-0.4, 0.0, 0.3, 0.9])
    profiles = {
        "lean": [Profile("T", x, 1300.0)],
        "dense": [Profile("Y:CH4", 0.3 * x, 1300.0), Profile("u", np.array([0.002, 0.004]))],
    }
    return JointFlames({"lean": flame_at(0.7), "dense": flame_at(1.0, 5 * 101325.0)}, four, ["lean"], profiles)


@pytest.fixture(scope="session")
def point():
    return {"k": np.array(0.1), "T_a": np.array(250.0), "order": np.array(0.03), "lambda": np.array(-0.08)}
