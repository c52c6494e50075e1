"""Exact moments of two steps by Gauss-Hermite quadrature over every random number: no sampling error, many digits."""

import itertools

import numpy as np
import pytest
import torch

from retrodict.physics.motion.inputs import Inputs, White
from retrodict.physics.motion.kinematics import unroll
from retrodict.physics.motion.moments import propagate
from retrodict.physics.motion.state import Start

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def values(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def grid(dimensions):
    points = torch.tensor(list(itertools.product(NODES, repeat=dimensions)), dtype=torch.float64)
    weights = torch.tensor(list(itertools.product(WEIGHTS, repeat=dimensions)), dtype=torch.float64).prod(-1)
    # what weighs less than 1e-13 in all its millions does not matter
    heavy = weights > 1e-19
    return points[heavy], weights[heavy]


@pytest.fixture(scope="module")
def points():
    return grid(6)


@pytest.mark.parametrize("formulation", ["acceleration-yaw-rate", "acceleration-curvature"])
@pytest.mark.parametrize("lever", [0.0, 0.8])
@pytest.mark.parametrize("integrator", ["euler", "midpoint", "hold"])
def test_two_steps(points, formulation, integrator, lever):
    normal, weights = points
    # position linked to heading and speed, without noise of its own: two numbers for the start, two for each step
    root = values(0.3, -0.2, 0.1, 0.25, 0.3, 0.0, -0.2, 0.5).reshape(4, 2)
    start = Start(values(1.0, -2.0, 0.4, 1.5), root @ root.T)
    std = values(0.6, 0.35, 0.9, 0.2).reshape(2, 2)
    mean, dt = values(0.4, 0.3, -0.2, -0.5).reshape(2, 2), values(0.9, 0.7)
    inputs = mean + normal[:, 2:].reshape(-1, 2, 2) * std
    begin = start.mean + normal[:, :2] @ root.T
    paths = unroll(formulation, begin, inputs, dt, integrator=integrator, lever=lever)[..., :2]
    centre = torch.einsum("n,nti->ti", weights, paths)
    gaps = paths - centre
    spread = torch.einsum("n,nti,ntj->tij", weights, gaps, gaps)
    exact = propagate(formulation, start, Inputs(mean, White(std)), dt, integrator=integrator, lever=lever)
    torch.testing.assert_close(exact.mean, centre, rtol=0, atol=2e-7)
    torch.testing.assert_close(exact.covariance, spread, rtol=0, atol=2e-6)
