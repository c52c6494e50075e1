import numpy as np
import pytest
from scipy import optimize

from retrodict.physics.errors import SolverError
from retrodict.physics.spaces import Space, Var
from retrodict.solvers.base import Solver, Status
from retrodict.solvers.gradient import LBFGS
from retrodict.solvers.iterate import iterate


class Function:
    """A function of one packed vector."""

    def __init__(self, value, gradient, start, bounds=(-np.inf, np.inf), name="function"):
        start = np.asarray(start, float)
        self.space, self.start, self.name = Space({"x": Var(("i",), start.shape, bounds=bounds)}), {"x": start}, name
        self._value, self._gradient = value, gradient

    def value(self, x):
        return float(self._value(x["x"]))

    def gradient(self, x):
        return {"x": self._gradient(x["x"])}


def solve(objective, steps=500, **options):
    solver = LBFGS(objective, **options)
    assert isinstance(solver, Solver)
    result = iterate(solver, steps)
    return result, result.data["x"].values


@pytest.mark.parametrize("n", [2, 10, 50])
def test_rosenbrock_in_many_dimensions(n):
    start = np.where(np.arange(n) % 2, 1.0, -1.2)
    result, x = solve(Function(optimize.rosen, optimize.rosen_der, start))
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(x, np.ones(n), atol=1e-5)
    assert (np.diff(result.history["objective"]) < 0).all()


@pytest.mark.parametrize(("bounds", "start"), [((-2.0, 0.5), 0.0), ((0.9, 3.0), 2.0), ((1.2, 3.0), 2.0)])
def test_bounded_solutions_are_those_of_scipy(bounds, start):
    result, x = solve(Function(optimize.rosen, optimize.rosen_der, np.full(4, start), bounds))
    peer = optimize.minimize(
        optimize.rosen,
        np.full(4, start),
        jac=optimize.rosen_der,
        method="L-BFGS-B",
        bounds=[bounds] * 4,
        options={"ftol": 1e-15, "gtol": 1e-10},
    )
    assert result.status is Status.CONVERGED
    assert result.best["objective"] <= peer.fun * (1 + 1e-9) + 1e-12
    np.testing.assert_allclose(x, peer.x, atol=1e-5)
    assert (x >= bounds[0]).all()
    assert (x <= bounds[1]).all()


def test_a_corner_is_found():
    centre = np.array([2.0, -3.0, 0.25])
    result, x = solve(
        Function(lambda x: ((x - centre) ** 2).sum(), lambda x: 2 * (x - centre), np.zeros(3), (-1.0, 1.0))
    )
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(x, [1.0, -1.0, 0.25], atol=1e-8)


def test_powells_singular_function():
    def a(x):
        return np.array(
            [x[0] + 10 * x[1], 5**0.5 * (x[2] - x[3]), (x[1] - 2 * x[2]) ** 2, 10**0.5 * (x[0] - x[3]) ** 2]
        )

    def gradient(x):
        r, d, e = a(x), 2 * (x[1] - 2 * x[2]), 2 * 10**0.5 * (x[0] - x[3])
        jac = np.array([[1, 10, 0, 0], [0, 0, 5**0.5, -(5**0.5)], [0, d, -2 * d, 0], [e, 0, 0, -e]])
        return 2 * jac.T @ r

    result, x = solve(Function(lambda x: (a(x) ** 2).sum(), gradient, [3.0, -1.0, 0.0, 1.0]))
    assert result.status is Status.CONVERGED
    assert np.abs(x).max() < 5e-2
    assert result.best["objective"] < 1e-7


@pytest.mark.parametrize("spread", [1, 3])
def test_steps_and_evaluations_are_as_few_as_scipys(spread):
    curvature = np.logspace(0, spread, 8)
    objective = Function(lambda x: 0.5 * curvature @ x**2, lambda x: curvature * x, np.ones(8))
    options = {"gtol": 1e-8, "ftol": 0.0}
    peer = optimize.minimize(objective._value, np.ones(8), jac=objective._gradient, method="L-BFGS-B", options=options)
    result, x = solve(objective)
    assert result.status is Status.CONVERGED
    assert result.steps <= 1.25 * peer.nit
    assert np.abs(x).max() < 1e-6


def test_a_non_convex_start_still_descends():
    # two wells a coordinate, negative curvature at the start: the first pair must not spoil the memory
    result, x = solve(Function(lambda x: (x**4 / 4 - x**2 / 2).sum(), lambda x: x**3 - x, [0.1, -0.4]))
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(np.abs(x), 1.0, atol=1e-6)


def test_a_walled_domain_only_shortens_steps():
    # infinite left of zero, minimum at 1e-3 from far right
    def value(x):
        return float(np.sum(x - 1e-3 * np.log(x))) if (x > 0).all() else np.inf

    result, x = solve(Function(value, lambda x: 1 - 1e-3 / x, [5.0]))
    assert result.status is Status.CONVERGED
    assert x[0] == pytest.approx(1e-3, rel=1e-4)


def test_memory_is_bounded():
    solver = LBFGS(Function(optimize.rosen, optimize.rosen_der, np.zeros(6)), memory=3)
    state = solver.init()
    for _ in range(6):
        state, _ = solver.step(state)
    assert state.steps.shape == state.changes.shape == (3, 6)


def test_a_wrong_gradient_stalls():
    result, x = solve(Function(lambda x: ((x - 2) ** 2).sum(), lambda x: -2 * (x - 2), np.zeros(2)))
    assert result.status is Status.STALLED
    assert x.tolist() == [0.0, 0.0]


def test_a_start_that_is_not_finite_is_a_status():
    result, x = solve(Function(lambda _x: np.nan, lambda x: np.nan * x, np.ones(2)))
    assert result.status is Status.NON_FINITE
    assert x.tolist() == [1.0, 1.0]


def test_an_unbounded_function_does_not_converge():
    result, x = solve(Function(lambda x: -x.sum() * 1e3, lambda x: np.full_like(x, -1e3), np.zeros(2)), steps=20)
    assert result.status is not Status.CONVERGED
    assert (x > 0).all()


@pytest.mark.parametrize("options", [{"memory": 0}, {"tolerance": 0.0}, {"tolerance": 1.0}])
def test_wrong_options_are_refused(options):
    with pytest.raises(SolverError, match=r"LBFGS: got memory .*expected memory >= 1, 0 < tolerance < 1"):
        LBFGS(Function(optimize.rosen, optimize.rosen_der, np.zeros(2)), **options)


def test_an_objective_without_a_gradient_is_refused():
    with pytest.raises(SolverError, match="LBFGS: got object, expected an objective with a gradient"):
        LBFGS(object())


def fading():
    """A mean square of thirty unknowns that vanishes at one."""
    rng = np.random.default_rng(3)
    w = rng.standard_normal((80, 30)) / 5
    residual = lambda x: np.tanh(w @ x) - np.tanh(w.sum(1)) + 0.3 * ((w @ x) ** 2 - w.sum(1) ** 2)  # noqa: E731
    slope = lambda x: (1 - np.tanh(w @ x) ** 2 + 0.6 * (w @ x))[:, None] * w  # noqa: E731
    start = 1 + 0.1 * rng.standard_normal(30)
    return Function(lambda x: np.mean(residual(x) ** 2), lambda x: slope(x).T @ residual(x) / 40, start)


def test_an_absolute_scale_lets_a_mean_square_fall_to_its_rounding():
    result, x = solve(fading(), 2000, scale="absolute", tolerance=1e-13)
    assert result.status is Status.CONVERGED
    assert result.best["objective"] < 1e-24
    np.testing.assert_allclose(x, 1.0, atol=1e-9)
    early, _ = solve(fading(), 2000)
    assert early.best["objective"] > 1e-18  # judged against one, it is small long before


def test_steps_that_only_rounding_keeps_from_falling_are_taken():
    # the offset hides the last eight digits of x in the value; the slopes still tell
    result, x = solve(
        Function(lambda x: 1e3 + np.cosh(x).sum(), np.sinh, [1.0, -2.0]), 50, scale="absolute", tolerance=1e-12
    )
    assert result.status is Status.CONVERGED
    assert np.abs(x).max() < 1e-9


def test_value_and_gradient_in_one_pass_are_made_use_of():
    class Both(Function):
        calls = 0

        def value_and_gradient(self, x):
            self.calls += 1
            return Function.value(self, x), Function.gradient(self, x)

    start = np.array([-1.2, 1.0])
    one = solve(Function(optimize.rosen, optimize.rosen_der, start))[0]
    both = Both(optimize.rosen, optimize.rosen_der, start)
    assert solve(both)[0].history.identical(one.history)
    assert both.calls > one.steps


def test_an_unknown_scale_is_refused():
    with pytest.raises(SolverError, match="LBFGS: got scale 'relative', expected 'unit' or 'absolute'"):
        LBFGS(fading(), scale="relative")
