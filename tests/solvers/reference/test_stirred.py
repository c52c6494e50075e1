import math

import numpy as np
import pytest

from retrodict.physics.errors import SolverError
from retrodict.solvers.reference.marching import convection_diffusion_variable
from retrodict.solvers.reference.plane import stirred
from retrodict.solvers.reference.spectral import convection_diffusion_2d

TURN = 2 * math.pi
GRID = np.meshgrid(np.linspace(0, 6, 7), np.linspace(0.3, 5.7, 6), indexing="ij")


def blob(x, y):
    return np.exp(np.cos(x - 2) + np.cos(y - 3) - 2)


def cells(x, y, _t):
    return 1.0 + np.sin(y), 0.5 - np.sin(x)


def test_a_uniform_flow_carries_and_spreads():
    u = stirred(blob, lambda x, y, _t: (2.0 + 0 * x, -1.0 + 0 * y), period=TURN, diffusivity=0.1, modes=32)
    exact = convection_diffusion_2d(blob, period=(TURN, TURN), speed=(2.0, -1.0), diffusivity=0.1, samples=64)
    for t in (0.0, 0.4, 1.0):
        np.testing.assert_allclose(u(*GRID, t), exact(*GRID, t), rtol=0, atol=2e-10)


def test_a_shear_slides_layers():
    u = stirred(blob, lambda x, y, _t: (np.sin(y) + 0 * x, 0 * y), period=TURN, modes=64)
    np.testing.assert_allclose(u(*GRID, 1.0), blob(GRID[0] - np.sin(GRID[1]), GRID[1]), rtol=0, atol=1e-8)


def test_one_dimension_along_each_axis():
    speed = lambda z: 1 + 0.5 * np.sin(z)  # noqa: E731
    line = convection_diffusion_variable(np.sin, lambda x, _t: speed(x), lambda x, _t: 0.1 + 0 * x, period=TURN)
    z, t = np.linspace(0, 6, 9), 0.8
    along = stirred(lambda x, y: np.sin(x) + 0 * y, lambda x, y, _t: (speed(x), 0 * y), period=TURN, diffusivity=0.1)
    across = stirred(lambda x, y: np.sin(y) + 0 * x, lambda x, y, _t: (0 * x, speed(y)), period=TURN, diffusivity=0.1)
    np.testing.assert_allclose(along(z, 1.0, t), line(z, t), rtol=0, atol=1e-9)
    np.testing.assert_allclose(across(1.0, z, t), line(z, t), rtol=0, atol=1e-9)


def test_cells_keep_the_mean_and_follow_characteristics():
    from scipy.integrate import solve_ivp

    u = stirred(blob, cells, period=TURN, modes=96)
    points = np.stack([GRID[0].ravel()[::5], GRID[1].ravel()[::5]])

    def back(_t, flat):
        x, y = flat.reshape(2, -1)
        return -np.concatenate(cells(x, y, 0.0))

    origin = solve_ivp(back, (0, 0.7), points.ravel(), "DOP853", rtol=1e-11, atol=1e-11).y[:, -1].reshape(2, -1)
    np.testing.assert_allclose(u(*points, 0.7), blob(*origin), rtol=0, atol=1e-8)
    axis = TURN * np.arange(96) / 96
    means = [u(axis[:, None], axis[None, :], t).mean() for t in (0.0, 0.7)]
    assert means[0] == pytest.approx(means[1], abs=1e-12)


def test_refusals():
    with pytest.raises(SolverError, match="last modes of"):
        stirred(blob, cells, period=TURN, modes=8)(0.0, 0.0, 1.0)
    with pytest.raises(SolverError, match="even number of at least 8"):
        stirred(blob, cells, period=TURN, modes=9)
    with pytest.raises(SolverError, match="t >= 0"):
        stirred(blob, cells, period=TURN)(0.0, 0.0, -1.0)
