"""Proximity operators against PyProximal, by optimality, and in the cases with a closed form."""

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from retrodict.physics.errors import SolverError
from retrodict.physics.radio.wavelets import Dictionary
from retrodict.solvers.proximal import SparseProx, prox_nonnegative_l1

pytestmark = pytest.mark.slow  # compiled loops


def point(shape=(16, 16), seed=0):
    return 2 * np.random.default_rng(seed).standard_normal(shape)


def test_without_a_threshold_it_is_the_projection():
    z = point()
    np.testing.assert_array_equal(SparseProx(Dictionary((16, 16)), 1.0)(z, 0.0).x, np.maximum(z, 0))
    np.testing.assert_allclose(SparseProx(Dictionary((16, 16)), 0.0)(z, 1.0).x, np.maximum(z, 0))


def test_for_pixels_alone_it_is_the_threshold():
    z = point()
    prox = SparseProx(Dictionary((16, 16), ("dirac",)), 0.7, tolerance=1e-14, max_iterations=2000)
    np.testing.assert_allclose(prox(z, 1.0).x, prox_nonnegative_l1(z, 0.7), atol=1e-6)


def test_the_minimiser_is_that_of_another_library():
    """Primal-dual splitting of PyProximal, a long run."""
    import pylops
    import pyproximal

    psi, z, threshold = Dictionary((8, 8), ("db1", "db2", "dirac")), point((8, 8)), 0.4
    dense = np.stack([psi.analyse(e.reshape(8, 8)).ravel() for e in np.eye(64)], axis=1)
    theirs = pyproximal.optimization.primaldual.PrimalDual(
        _Near(z.ravel()),
        pyproximal.L1(sigma=threshold),
        pylops.MatrixMult(dense),
        x0=np.zeros(64),
        tau=0.9,
        mu=0.9,
        niter=20000,
    )
    ours = SparseProx(psi, threshold, tolerance=1e-14, max_iterations=20000)(z, 1.0)
    assert np.abs(ours.x.ravel() - theirs).max() < 1e-6


class _Near:
    """Half the squared distance from a point, over numbers of at least zero, as PyProximal wants it."""

    hasgrad = False

    def __init__(self, z):
        self.z = z

    def __call__(self, x):
        return 0.5 * float(np.sum((x - self.z) ** 2))

    def prox(self, x, tau):
        return np.maximum((x + tau * self.z) / (1 + tau), 0)


def test_the_gap_bounds_the_distance_and_closes():
    psi, z = Dictionary((16, 16)), point()
    exact = SparseProx(psi, 0.5, tolerance=1e-15, max_iterations=20000)(z, 1.0)
    assert exact.gap < 1e-6 * np.sum(z**2)
    for count in (1, 5, 50):
        rough = SparseProx(psi, 0.5, tolerance=0.0, max_iterations=count)(z, 1.0)
        assert np.sum((rough.x - exact.x) ** 2) <= 2 * rough.gap + 1e-10
        assert rough.x.min() >= 0


def test_a_point_is_its_prox_and_that_of_the_conjugate():
    """Moreau: the conjugate of sparsity over ``x >= 0`` is the indicator of ``u <= Psi v, |v| <= w``.

    Its prox, the projection onto that set, is found by bounded least squares, which knows nothing of ours.
    """
    frame, w, z = Dictionary((4, 4), ("db1", "dirac")), 0.6, point((4, 4), 3)
    n, m = z.size, int(np.prod(frame.coefficients))
    psi = np.stack([frame.synthesise(e.reshape(frame.coefficients)).ravel() for e in np.eye(m)], axis=1)
    lower, upper = np.append(np.full(m, -w), np.zeros(n)), np.append(np.full(m, w), np.full(n, np.inf))
    found = lsq_linear(np.hstack([psi, -np.eye(n)]), z.ravel(), (lower, upper), method="bvls", tol=1e-14)
    conjugate = np.hstack([psi, -np.eye(n)]) @ found.x
    prox = SparseProx(frame, w, tolerance=1e-15, max_iterations=20000)(z, 1.0).x
    np.testing.assert_allclose(prox.ravel() + conjugate, z.ravel(), atol=1e-6)
    alone = prox_nonnegative_l1(z, w)
    np.testing.assert_allclose(alone + np.minimum(z, w), z, atol=1e-15)


def test_a_warm_dual_saves_iterations_and_is_scaled_with_the_step():
    psi, z = Dictionary((16, 16)), point()
    prox = SparseProx(psi, 0.5, tolerance=1e-6, max_iterations=2000)
    cold = prox(z, 1.0)
    assert prox(z, 1.0, cold.dual).iterations < cold.iterations / 3
    assert prox(z, 1.1, cold.dual).iterations < prox(z, 1.1).iterations


def test_whole_numbers_are_computed_in_double_and_no_bounds_are_allowed():
    z = np.arange(-128, 128).reshape(16, 16)
    np.testing.assert_array_equal(prox_nonnegative_l1(z, 0.5), np.maximum(z - 0.5, 0))
    prox = SparseProx(Dictionary((16, 16), ("dirac",)), 0.5, lower=-np.inf)
    assert prox.penalty(z) == 0.5 * np.abs(z).sum()
    soft = np.sign(z) * np.maximum(np.abs(z) - 0.5, 0)
    np.testing.assert_allclose(prox(z, 1.0, tolerance=1e-14, max_iterations=2000).x, soft, atol=1e-6)


def test_wrong_input_is_refused():
    psi = Dictionary((16, 16))
    with pytest.raises(SolverError, match="weights"):
        SparseProx(psi, -1.0)
    with pytest.raises(SolverError, match="lower <= upper"):
        SparseProx(psi, 1.0, lower=2.0, upper=1.0)
    with pytest.raises(SolverError, match="step"):
        SparseProx(psi)(point(), -1.0)
    with pytest.raises(SolverError, match="z"):
        SparseProx(psi)(point((8, 8)), 1.0)
    with pytest.raises(SolverError, match="threshold"):
        prox_nonnegative_l1(point(), -1.0)


def test_a_prox_with_other_weights_penalises_by_them():
    from dataclasses import replace

    x = np.ones((8, 8))
    first = SparseProx(Dictionary((8, 8), ("dirac",)), 1.0)
    assert first.penalty(x) == 64
    assert replace(first, weights=5.0).penalty(x) == 320
