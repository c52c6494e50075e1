"""Forward-backward splitting against non-negative least squares, Fourier division, and its own laws."""

import numpy as np
import pytest
from scipy.optimize import nnls

from retrodict.physics.errors import SolverError
from retrodict.solvers.base import Status
from retrodict.solvers.forward_backward import fista, forward_backward, lipschitz
from retrodict.solvers.proximal import Dual, Prox, SparseProx, prox_nonnegative_l1

THRESHOLD = 0.3


def sparse(z, step, dual=None):
    x = prox_nonnegative_l1(z, THRESHOLD * step)
    return Prox(x, None, 0.0, 0, THRESHOLD * float(x.sum()))


def free(z, step, dual=None):
    return Prox(z, None, 0.0, 0, 0.0)


class Quadratic:
    """Half the squared residual of a square system."""

    def __init__(self, n=30, seed=0):
        rng = np.random.default_rng(seed)
        self.a = np.eye(n) + 0.15 * rng.standard_normal((n, n))
        self.b = rng.standard_normal(n)
        self.largest = float(np.linalg.eigvalsh(self.a.T @ self.a)[-1])

    def __call__(self, x):
        r = self.a @ x - self.b
        return 0.5 * float(r @ r), self.a.T @ r

    def minimiser(self):
        """With ``A`` square, a linear term is a change of the data."""
        return nnls(self.a, self.b - THRESHOLD * np.linalg.solve(self.a.T, np.ones(len(self.b))))[0]


@pytest.mark.parametrize("method", [fista, forward_backward])
def test_the_minimiser_is_that_of_non_negative_least_squares(method):
    f = Quadratic()
    found = method(f, sparse, np.zeros(30), f.largest, 20000, tolerance=1e-13)
    wanted = f.minimiser()
    assert found.status is Status.CONVERGED
    assert 3 < np.count_nonzero(wanted) < 27
    np.testing.assert_allclose(found.x, wanted, atol=1e-8)
    assert abs(found.values[-1] - (f(wanted)[0] + THRESHOLD * wanted.sum())) < 1e-10


def test_momentum_saves_steps_and_restarts_save_more():
    scale = np.geomspace(1e-4, 1, 50)

    def smooth(x):
        return 0.5 * float(np.sum(scale * (x - 1) ** 2)), scale * (x - 1)

    def error(method, **options):
        return np.abs(method(smooth, free, np.zeros(50), 1.0, 1500, **options).x - 1).max()

    plain, fast, fastest = error(forward_backward), error(fista, restart=False), error(fista)
    assert plain == pytest.approx((1 - 1.9e-4) ** 1500, rel=1e-6)
    assert fast < 0.1 * plain
    assert fastest < 0.1 * fast


def test_every_plain_step_descends_below_twice_the_inverse_constant():
    f = Quadratic()
    found = forward_backward(f, sparse, np.ones(30), f.largest, 100)  # after 139 no bit moves any more on some
    assert found.status is Status.MAX_STEPS
    assert len(found.values) == found.steps == 100
    assert np.all(found.values[1:] <= found.values[:-1] * (1 + 1e-12))


def test_a_step_of_two_and_a_half_inverse_constants_is_caught():
    f = Quadratic()
    found = forward_backward(f, free, np.ones(30), f.largest * 1.9 / 2.5, 200)
    assert found.status is Status.DIVERGED
    assert found.steps < 200
    assert np.all(np.diff(found.values) <= 1e-12 * found.values[:-1])
    assert f(found.x)[0] == pytest.approx(found.values[-1], rel=1e-13)


def test_ridge_regression_on_grid_frequencies_is_a_division():
    """The normal operator of frequencies on the grid is a convolution on a torus."""
    rng, ridge = np.random.default_rng(3), 0.05
    mask = rng.random((16, 16)) < 0.4
    mask |= np.roll(mask[::-1, ::-1], (1, 1), (0, 1))
    sky = rng.random((16, 16))

    def filtered(x, response):
        return np.fft.ifft2(response * np.fft.fft2(x)).real

    dirty = filtered(sky, mask)

    def smooth(x):
        gradient = filtered(x, mask + ridge) - dirty
        return 0.5 * float(np.vdot(x, gradient - dirty)), gradient

    wanted = filtered(dirty, 1 / (mask + ridge))
    for method in (fista, forward_backward):
        found = method(smooth, free, np.zeros((16, 16)), 1 + ridge, 5000, tolerance=1e-12)
        assert found.status is Status.CONVERGED
        assert np.abs(found.x - wanted).max() < 1e-9


def test_power_iteration_finds_the_largest_eigenvalue_and_starts_warm():
    rng = np.random.default_rng(4)
    h = rng.standard_normal((200, 75)) + 1j * rng.standard_normal((200, 75))
    gram = h.conj().T @ h
    exact = np.linalg.eigvalsh(gram)[-1]
    start = rng.standard_normal(75) + 0j
    found, vector = lipschitz(lambda v: gram @ v, start, 400, safety=1.0)
    assert found <= exact * (1 + 1e-12)
    assert abs(found / exact - 1) < 1e-6
    assert np.linalg.norm(gram @ vector - exact * vector) < 1e-3 * exact
    assert lipschitz(lambda v: gram @ v, vector, 1)[0] == pytest.approx(1.02 * exact, rel=1e-6)
    assert lipschitz(lambda v: gram @ v, start, 1)[0] < 0.9 * exact
    assert lipschitz(lambda v: 0 * v, start)[0] == 0


@pytest.mark.parametrize("method", [fista, forward_backward])
def test_a_step_that_is_not_finite_is_not_taken(method):
    calls = []

    def smooth(x):
        calls.append(x)
        return (np.nan if len(calls) == 4 else float(x @ x) / 2), x

    found = method(smooth, free, np.full(3, 8.0), 4.0, 10)
    assert found.status is Status.NON_FINITE
    assert found.steps < 10
    assert np.all(np.isfinite(found.x))


@pytest.mark.parametrize("method", [fista, forward_backward])
@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"start": np.array([np.nan])}, "start"),
        ({"lipschitz": 0.0}, "lipschitz"),
        ({"lipschitz": np.inf}, "lipschitz"),
        ({"steps": 0}, "step"),
        ({"tolerance": -1.0}, "tolerance"),
    ],
)
def test_wrong_input_is_refused_before_any_work(method, change, match):
    def smooth(x):
        raise AssertionError("called")

    given = {"start": np.zeros(1), "lipschitz": 1.0, "steps": 1} | change
    with pytest.raises(SolverError, match=match):
        method(smooth, free, **given)


def test_wrong_relaxations_and_power_iterations_are_refused():
    with pytest.raises(SolverError, match="relaxation"):
        forward_backward(Quadratic(), free, np.zeros(30), 1.0, 1, relaxation=2.0)
    with pytest.raises(SolverError, match="not zero"):
        lipschitz(np.positive, np.zeros(3))
    with pytest.raises(SolverError, match="safety"):
        lipschitz(np.positive, np.ones(3), safety=0.9)


@pytest.mark.slow  # compiled loops
def test_both_methods_agree_where_the_operator_iterates():
    from retrodict.physics.radio.wavelets import Dictionary

    rng = np.random.default_rng(5)
    psi = Dictionary((16, 16), ("db1", "db2", "db4", "dirac"))
    kernel = np.abs(np.fft.fft2(rng.standard_normal((16, 16)))) ** 2
    kernel = 0.1 + kernel / kernel.max()
    b = 3 * rng.standard_normal((16, 16))

    def smooth(x):
        gradient = np.fft.ifft2(kernel * np.fft.fft2(x)).real - b
        return 0.5 * float(np.vdot(x, gradient - b)), gradient

    precise = SparseProx(psi, 0.4, tolerance=1e-12, max_iterations=3000)
    start = np.zeros((16, 16))
    fast = fista(smooth, precise, start, 1.1, 3000, tolerance=1e-9)
    plain = forward_backward(smooth, precise, start, 1.1, 3000, tolerance=1e-9)
    assert np.abs(fast.x - plain.x).max() < 1e-5 * np.abs(plain.x).max()
    # from a warm dual two iterations serve a plain step, and not an accelerated one
    rough = SparseProx(psi, 0.4, max_iterations=2, tolerance=0.0)
    warm = forward_backward(smooth, rough, start, 1.1, 3000, tolerance=1e-9)
    assert isinstance(warm.dual, Dual)
    assert warm.status is Status.CONVERGED
    assert np.abs(warm.x - plain.x).max() < 1e-5 * np.abs(plain.x).max()
