import math

import numpy as np
import pytest
from scipy.linalg import expm

from retrodict.physics.errors import SolverError
from retrodict.solvers.reference.marching import (
    Equation,
    allen_cahn,
    burgers,
    convection_diffusion_variable,
    diffusion_variable,
    march,
)

TURN = 2 * math.pi
X = np.linspace(0, TURN, 40)[:, None]


def test_variable_speed_along_known_characteristics():
    # dx/dt = 1 / (1 + cos(x) / 2) keeps x + sin(x) / 2 - t
    u = convection_diffusion_variable(
        lambda x: np.sin(x + 0.5 * np.sin(x)), lambda x, _: 1 / (1 + 0.5 * np.cos(x)), period=TURN, modes=256
    )
    t = np.array([0.0, 0.37, 1.0])
    np.testing.assert_allclose(u(X, t), np.sin(X + 0.5 * np.sin(X) - t), rtol=0, atol=2e-11)


def test_speed_and_diffusivity_that_change_with_time():
    u = convection_diffusion_variable(
        np.sin, lambda x, t: 3 * np.cos(t) + 0 * x, lambda x, t: 0.1 * t + 0 * x, period=TURN, modes=32
    )
    t = np.array([0.2, 1.5])
    exact = np.exp(-0.05 * t**2) * np.sin(X - 3 * np.sin(t))
    np.testing.assert_allclose(u(X, t), exact, rtol=0, atol=1e-11)


def test_variable_conductivity_equals_a_matrix_exponential():
    n = 64
    x = TURN * np.arange(n) / n
    gap = np.subtract.outer(np.arange(n), np.arange(n))
    with np.errstate(divide="ignore"):
        first = np.where(gap == 0, 0.0, 0.5 * (-1.0) ** gap / np.tan(gap * math.pi / n + (gap == 0)))
    conductivity = 0.2 + 0.1 * np.cos(x)
    exact = expm(first @ np.diag(conductivity) @ first) @ np.exp(np.sin(x))
    u = diffusion_variable(lambda x: np.exp(np.sin(x)), lambda x, _: 0.2 + 0.1 * np.cos(x), period=TURN, modes=n)
    np.testing.assert_allclose(u(x, 1.0), exact, rtol=0, atol=1e-11)
    assert u(x, 1.0).mean() == pytest.approx(np.exp(np.sin(x)).mean(), abs=1e-13)


def test_standing_fronts_of_allen_cahn_stand():
    d = 2e-3
    width = math.sqrt(2 * d / 5)
    fronts = lambda x: -np.tanh((x + 0.5) / width) * np.tanh((x - 0.5) / width)  # noqa: E731
    x = np.linspace(-0.9, 0.9, 61)
    u = allen_cahn(fronts, d, modes=768)
    np.testing.assert_allclose(u(x, 0.5), fronts(x), rtol=0, atol=1e-9)


def test_kinked_initial_condition_of_allen_cahn_converges():
    start = lambda x: x**2 * np.cos(np.pi * x)  # noqa: E731
    x = np.linspace(-1, 1, 31)
    coarse, fine = (allen_cahn(start, 1e-3, modes=n)(x, 0.2) for n in (512, 1024))
    np.testing.assert_allclose(coarse, fine, rtol=0, atol=1e-7)
    assert np.abs(fine).max() < 1


def test_requested_times_do_not_change_the_answer():
    u = burgers(np.sin, 0.05, period=TURN, modes=256)
    many = u(1.3, np.linspace(0, 1, 41))
    np.testing.assert_allclose(many[[0, 20, 40]], u(1.3, [0.0, 0.5, 1.0]), rtol=0, atol=1e-12)
    assert u(1.3, 0.0) == np.sin(1.3)


def test_what_is_not_resolved_is_refused():
    with pytest.raises(SolverError, match=r"last modes of .* of the largest, expected 1e-08: more modes"):
        burgers(np.sin, 0.01, period=TURN, modes=128)(X, 1.0)


def test_a_solution_that_blows_up_is_refused():
    growth = march(Equation(source=lambda u, *_: u * u), np.ones_like, period=TURN, modes=16)
    assert growth(0.0, 0.5) == pytest.approx(2, abs=1e-10)
    with pytest.raises(SolverError, match="march: got a failure after t = "):
        growth(0.0, 1.5)
    with pytest.raises(SolverError, match="an even number of at least 16"):
        march(Equation(), np.sin, period=TURN, modes=15)
