"""Newton with pseudo-time on problems whose solutions are known in closed form."""

import numpy as np
import pytest

from retrodict.physics.errors import SolverError
from retrodict.solvers.base import Status
from retrodict.solvers.bordered import BorderedBand
from retrodict.solvers.newton import NewtonSettings, Tolerances, solve_steady

FAR = 1e6


class Bratu:
    """u'' + lam e^u = 0, u(0) = u(1) = 0; with ``middle`` the value there is given and lam the unknown scalar."""

    def __init__(self, n=101, lam=1.0, middle=None):
        self.h, self.n, self.lam, self.middle = 1 / (n - 1), n, lam, middle
        one = np.ones(1)
        scalar = np.ones(0 if middle is None else 1)
        self.tolerances = Tolerances(-FAR * one, FAR * one, 0.5 * one, 1e-12 * one, scalar, 1e-12 * scalar)

    def _lam(self, z):
        return self.lam if self.middle is None else z[0]

    def residual(self, U, z):
        F = U.copy()
        F[1:-1] = -(U[2:] - 2 * U[1:-1] + U[:-2]) / self.h**2 - self._lam(z) * np.exp(U[1:-1])
        return F, z if self.middle is None else np.array([U[self.n // 2, 0] - self.middle])

    def linearised(self, U, z):
        n, q = self.n, z.size
        lower, diagonal, upper = (np.zeros((n, 1, 1)) for _ in range(3))
        diagonal[[0, -1]] = 1
        lower[1:-1] = upper[1:-1] = -1 / self.h**2
        diagonal[1:-1, :, 0] = 2 / self.h**2 - self._lam(z) * np.exp(U[1:-1])
        columns, rows = np.zeros((n, 1, q)), np.zeros((q, n, 1))
        if q:
            columns[1:-1, 0] = -np.exp(U[1:-1])
            rows[0, n // 2] = 1
        return *self.residual(U, z), BorderedBand(lower, diagonal, upper, columns, rows, np.zeros((q, q)))

    def inertia(self, U):
        mass = np.ones_like(U)
        mass[[0, -1]] = 0
        return mass


def exact(lam, x):
    """u = -2 ln(cosh((x - 1/2) t / 2) / cosh(t / 4)) with t = sqrt(2 lam) cosh(t / 4), the lower branch."""
    t = 1.0
    for _ in range(200):
        t = np.sqrt(2 * lam) * np.cosh(t / 4)
    return -2 * np.log(np.cosh((x - 0.5) * t / 2) / np.cosh(t / 4))


def test_the_solution_has_the_order_of_the_scheme():
    errors = []
    for n in (41, 81):
        ended = solve_steady(Bratu(n), np.zeros((n, 1)), np.zeros(0))
        assert ended.status is Status.CONVERGED
        errors.append(np.abs(ended.U[:, 0] - exact(1.0, np.linspace(0, 1, n))).max())
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.02)


def test_an_eigenvalue_is_found_with_the_state():
    x = np.linspace(0, 1, 401)
    middle = exact(1.0, np.array(0.5))
    ended = solve_steady(Bratu(401, middle=middle), (4 * middle * x * (1 - x))[:, None], np.array([3.0]))
    assert ended.status is Status.CONVERGED
    assert ended.z[0] == pytest.approx(1.0, abs=2e-5)  # second order: h^2 = 6e-6


def test_convergence_is_quadratic_so_few_steps_are_taken():
    ended = solve_steady(Bratu(), np.zeros((101, 1)), np.zeros(0))
    assert (ended.newton_steps, ended.time_steps) == (ended.newton_steps, 0)
    assert ended.newton_steps <= 6


def test_a_far_start_is_marched_into_the_basin():
    """From a start high above the unstable branch Newton alone would run off; pseudo-time with small steps cannot."""
    wave = 3.0 * np.sin(np.pi * np.linspace(0, 1, 101))[:, None]
    alone = solve_steady(Bratu(lam=0.5), wave, np.zeros(0), NewtonSettings(newton_steps=2, attempts=1))
    assert alone.status is Status.FAILED
    ended = solve_steady(Bratu(lam=0.5), wave, np.zeros(0), NewtonSettings(newton_steps=4, first_dt=1e-3))
    assert ended.status is Status.CONVERGED
    assert ended.time_steps > 0
    np.testing.assert_allclose(ended.U[:, 0], exact(0.5, np.linspace(0, 1, 101)), atol=1e-5)


def test_no_solution_is_a_status_with_a_reason():
    """Beyond lam = 3.5138 there is none."""
    ended = solve_steady(Bratu(lam=5.0), np.zeros((101, 1)), np.zeros(0), NewtonSettings(attempts=3))
    assert not ended.status.ok
    assert ended.reason


def test_values_that_are_not_finite_are_told_apart():
    class Broken(Bratu):
        def residual(self, U, z):
            F, f = super().residual(U, z)
            return F * np.nan, f

    ended = solve_steady(Broken(), np.zeros((101, 1)), np.zeros(0))
    assert ended.status is Status.FAILED
    assert "not finite" in ended.reason


def test_progress_is_told_and_bounds_are_kept():
    lines = []
    system = Bratu()
    system.tolerances = Tolerances(*(np.array([v]) for v in (0.0, 0.05, 1.0, 1e-12)), np.zeros(0), np.zeros(0))
    ended = solve_steady(system, np.zeros((101, 1)), np.zeros(0), NewtonSettings(attempts=2), lines.append)
    assert not ended.status.ok  # the true solution rises to 0.14, above the bound
    assert ended.U.max() <= 0.05 + 1e-5
    assert len(lines) == 2


@pytest.mark.parametrize("wrong", [{"relative": 0.0}, {"newton_steps": 0}, {"growth": 1.0}, {"first_dt": -1.0}])
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(SolverError, match="NewtonSettings"):
        NewtonSettings(**wrong)
