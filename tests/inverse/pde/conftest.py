"""Samples that spectral sums, Cole-Hopf and a closed form make, never the solver that inverts them."""

import math

import numpy as np
import pytest
import torch

from retrodict.inverse.pde.expansion import Expansion
from retrodict.inverse.pde.samples import Samples
from retrodict.physics.pde.convection import convection
from retrodict.solvers.reference.spectral import convection_diffusion

WIDTH = 0.5


def _bump(x):
    return np.exp((np.cos(x - np.pi) - 1) / WIDTH**2)


def _bump_torch(at):
    return torch.exp((torch.cos(at["x"] - math.pi) - 1) / WIDTH**2)


def _stream_samples(seed, c, nu, *, count=200, noise=0.01, times=None):
    rng = np.random.default_rng([seed, 5])
    x = rng.uniform(0, 2 * np.pi, count)
    t = rng.uniform(0, 1, count) if times is None else rng.choice(np.asarray(times), count)
    exact = convection_diffusion(_bump, period=2 * np.pi, speed=c, diffusivity=nu, samples=512)
    return Samples(x, t, exact(x, t) + noise * rng.standard_normal(count), noise)


@pytest.fixture(scope="session")
def bump():
    return _bump


@pytest.fixture(scope="session")
def bump_torch():
    return _bump_torch


@pytest.fixture(scope="session")
def stream_samples():
    return _stream_samples


@pytest.fixture(scope="session")
def stream():
    """The equation; its coefficients are starts, not truths."""
    return convection(35.0, 0.01, initial=_bump_torch)


@pytest.fixture(scope="session")
def solver(stream):
    return Expansion(stream, 300)
