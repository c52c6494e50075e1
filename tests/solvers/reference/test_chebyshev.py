import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from retrodict.physics.errors import SolverError
from retrodict.solvers.reference.chebyshev import allen_cahn_walls, derivative_matrix, nodes

X = np.linspace(-1, 1, 41)


def benchmark(x):
    return x**2 * np.cos(math.pi * x)


def test_derivatives_of_polynomials_and_of_constants():
    x, matrix = nodes(12), derivative_matrix(12)
    np.testing.assert_allclose(matrix @ x**11, 11 * x**10, rtol=0, atol=1e-11)
    np.testing.assert_allclose(matrix @ np.ones(12), 0, atol=1e-12)


def test_without_reaction_a_wave_between_walls_decays():
    u = allen_cahn_walls(lambda x: np.sin(2 * math.pi * (x + 1) / 2), 0.1, 0.0, wall=0.0, modes=48)
    t = np.array([0.0, 0.3, 1.0])
    exact = np.sin(math.pi * (X[:, None] + 1)) * np.exp(-0.1 * math.pi**2 * t)
    np.testing.assert_allclose(u(X[:, None], t), exact, rtol=0, atol=1e-11)


def test_standing_fronts_stand():
    width = math.sqrt(2 * 2e-3 / 5)

    def fronts(x):
        inner = np.tanh((x + 0.5) / width) * np.tanh((0.5 - x) / width)
        return np.where(np.abs(np.abs(x) - 1) < 1e-13, -1.0, inner)

    u = allen_cahn_walls(fronts, 2e-3, modes=512)
    np.testing.assert_allclose(u(X, 0.5), fronts(X), rtol=0, atol=2e-9)


def test_splitting_equals_an_implicit_method_of_lines():
    x, second = nodes(160), derivative_matrix(160)
    second = second @ second
    d = 5e-3

    def right(_t, inner):
        u = np.concatenate([[-1.0], inner, [-1.0]])
        return (d * second @ u + 5 * (u - u**3))[1:-1]

    def slopes(_t, inner):
        return d * second[1:-1, 1:-1] + np.diag(5 - 15 * inner**2)

    run = solve_ivp(right, (0, 0.4), benchmark(x)[1:-1], "Radau", jac=slopes, rtol=1e-9, atol=1e-10)
    u = allen_cahn_walls(benchmark, d, modes=256)
    np.testing.assert_allclose(u(x[1:-1], 0.4), run.y[:, -1], rtol=0, atol=1e-7)


@pytest.mark.parametrize(("extrapolations", "order"), [(0, 2), (1, 4)])
def test_order_of_convergence(extrapolations, order):
    fine = allen_cahn_walls(benchmark, 5e-3, modes=320, step=2.5e-3)(X, 0.8)
    errors = []
    for step in (0.1, 0.05, 0.025):
        u = allen_cahn_walls(benchmark, 5e-3, modes=320, step=step, extrapolations=extrapolations)
        errors.append(np.abs(u(X, 0.8) - fine).max())
    np.testing.assert_allclose(np.log2(np.array(errors[:-1]) / errors[1:]), order, atol=0.5)


def test_modes_and_requested_times_do_not_matter():
    coarse, fine = (allen_cahn_walls(benchmark, 1e-3, modes=n, unresolved=1e-7) for n in (512, 640))
    t = np.array([0.2, 0.55, 1.0])
    np.testing.assert_allclose(coarse(X[:, None], t), fine(X[:, None], t), rtol=0, atol=1e-8)
    np.testing.assert_allclose(fine(X, 1.0), fine(X[:, None], t)[:, -1], rtol=0, atol=1e-10)
    assert np.all(fine(X, 0.0) == benchmark(X))


def test_refusals():
    with pytest.raises(SolverError, match=r"last coefficients of .*: more modes"):
        allen_cahn_walls(benchmark, 1e-3, modes=64)(X, 1.0)
    with pytest.raises(SolverError, match=r"expected -1\.0 at both ends"):
        allen_cahn_walls(np.cos, 1e-3)
    with pytest.raises(SolverError, match=r"points in \[-1, 1\]"):
        allen_cahn_walls(benchmark, 1e-3, modes=64)(1.5, 1.0)
    with pytest.raises(SolverError, match="a wall at rest"):
        allen_cahn_walls(benchmark, 1e-3, wall=0.5)
