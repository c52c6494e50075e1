import math

import numpy as np
import pytest

from retrodict.physics.errors import SolverError
from retrodict.solvers.reference.marching import Equation, march
from retrodict.solvers.reference.spectral import convection_diffusion
from retrodict.solvers.reference.splitting import reaction, reaction_diffusion

TURN = 2 * math.pi
X = np.linspace(0, TURN, 50)


def bump(x):
    return np.exp(-((x - math.pi) ** 2) / 2 / (math.pi / 4) ** 2)


def smooth(x):
    return 0.5 + 0.4 * np.sin(x)


def solved(initial, step, extrapolations, nu=0.5, rho=5.0, t=1.0):
    solve = reaction_diffusion(initial, nu, rho, period=TURN, step=step, extrapolations=extrapolations, modes=128)
    return solve(X, t)


@pytest.mark.parametrize(("extrapolations", "order", "step"), [(0, 2, 0.02), (1, 4, 0.1), (2, 6, 0.2)])
def test_order_of_convergence(extrapolations, order, step):
    fine = solved(smooth, 1e-3, 2)
    errors = [np.abs(solved(smooth, step / 2**i, extrapolations) - fine).max() for i in range(3)]
    rates = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(rates, order, atol=0.15 if order == 2 else 0.6)


def test_a_kink_keeps_the_second_order():
    fine = solved(bump, 1e-3, 2)
    errors = [np.abs(solved(bump, step, 0) - fine).max() for step in (0.02, 0.01, 0.005)]
    np.testing.assert_allclose(np.log2(np.array(errors[:-1]) / errors[1:]), 2, atol=0.15)


@pytest.mark.parametrize(("nu", "rho"), [(1.0, 5.0), (0.1, 10.0)])
def test_splitting_equals_marching(nu, rho):
    equation = Equation(lambda k: -nu * k**2, source=lambda u, *_: rho * u * (1 - u))
    t = np.array([0.0, 0.25, 1.0])
    marched = march(equation, bump, period=TURN, modes=96, unresolved=1e-6)(X[:, None], t)
    split = reaction_diffusion(bump, nu, rho, period=TURN, step=5e-3, modes=256)(X[:, None], t)
    np.testing.assert_allclose(split, marched, rtol=0, atol=1e-9)


def test_limits():
    still = reaction_diffusion(bump, 0.0, 10.0, period=TURN, step=0.5, modes=256)
    exact = reaction(bump, 10.0, period=TURN)
    nodes = TURN * np.arange(8) / 8
    np.testing.assert_allclose(still(nodes[1:], 1.0), exact(nodes[1:], 1.0), rtol=0, atol=2e-3)
    heat = reaction_diffusion(smooth, 0.5, 0.0, period=TURN, step=0.5, modes=32)
    np.testing.assert_allclose(
        heat(X, 1.0), convection_diffusion(smooth, period=TURN, diffusivity=0.5)(X, 1.0), rtol=0, atol=1e-14
    )


def test_logistic_growth_solves_its_equation():
    u, h = reaction(bump, 3.0, period=TURN), 1e-5
    slope = (u(X, 0.4 + h) - u(X, 0.4 - h)) / 2 / h
    np.testing.assert_allclose(slope, 3 * u(X, 0.4) * (1 - u(X, 0.4)), rtol=0, atol=1e-9)
    np.testing.assert_array_equal(u(X[:-1], 0.0), bump(X[:-1]))
    assert reaction(bump, 1000.0, period=TURN)(math.pi / 2, 5.0) == 1


@pytest.mark.parametrize(
    "setting", [{"step": 0.0}, {"extrapolations": 9}, {"modes": 7}, {"diffusivity": -1.0}, {"rate": math.nan}]
)
def test_refusals(setting):
    arguments = {"diffusivity": 1.0, "rate": 1.0, "period": TURN} | setting
    with pytest.raises(SolverError, match="expected"):
        reaction_diffusion(bump, **arguments)(0.0, 1.0)
    with pytest.raises(SolverError, match="expected"):
        reaction(bump, math.inf, period=TURN)
