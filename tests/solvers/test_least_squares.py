from functools import partial

import numpy as np
import pytest
from scipy import optimize

from retrodict.physics.errors import SolverError
from retrodict.solvers.base import Solver, Status
from retrodict.solvers.iterate import iterate
from retrodict.solvers.least_squares import GaussNewton, LevenbergMarquardt
from retrodict.solvers.natural_gradient import NaturalGradient
from retrodict.solvers.normal_equations import Gram, Stacked
from retrodict.solvers.objective import LeastSquaresObjective, Objective

CHOLESKY = partial(LevenbergMarquardt, factorisation="cholesky")
BOTH = [LevenbergMarquardt, GaussNewton]
ALL = [*BOTH, CHOLESKY, NaturalGradient]


def solve(method, objective, steps=200):
    solver = method(objective)
    assert isinstance(solver, Solver)
    result = iterate(solver, steps)
    return result, np.array([float(result.data[k]) for k in objective.space])


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("start", [(-1.2, 1.0), (3.0, -4.0), (0.0, 0.0)])
def test_rosenbrock(method, rosenbrock, start):
    result, x = solve(method, rosenbrock(start))
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(x, [1, 1], atol=1e-7)
    assert (np.diff(result.history["objective"]) <= 0).all()


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize(
    "limits", [{"x": (-2.0, 0.5)}, {"y": (-2.0, 0.3)}, {"x": (1.5, 3.0)}, {"x": (-2, 2), "y": (2, 4)}]
)
def test_solutions_at_a_bound_are_those_of_scipy(method, rosenbrock, limits):
    start = [np.mean(limits.get(k, (0.0, 0.0))) for k in "xy"]
    objective = rosenbrock(start, limits)
    lower, upper = objective.space.bounds()
    peer = optimize.least_squares(
        objective.residual, start, objective.derivative, (lower, upper), xtol=1e-14, ftol=1e-14
    )
    result, x = solve(method, objective)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(x, peer.x, atol=1e-6)
    assert (x >= lower).all()
    assert (x <= upper).all()
    assert result.best["objective"] <= peer.cost + 1e-10


def powell(residuals):
    # Powell's singular function: the Jacobian loses rank 2 at the solution, convergence is linear only
    return residuals(
        lambda x: np.array(
            [x[0] + 10 * x[1], 5**0.5 * (x[2] - x[3]), (x[1] - 2 * x[2]) ** 2, 10**0.5 * (x[0] - x[3]) ** 2]
        ),
        lambda x: np.array(
            [
                [1, 10, 0, 0],
                [0, 0, 5**0.5, -(5**0.5)],
                [0, 2 * (x[1] - 2 * x[2]), -4 * (x[1] - 2 * x[2]), 0],
                [2 * 10**0.5 * (x[0] - x[3]), 0, 0, -2 * 10**0.5 * (x[0] - x[3])],
            ]
        ),
        {"a": 3.0, "b": -1.0, "c": 0.0, "d": 1.0},
    )


@pytest.mark.parametrize("method", ALL)
def test_powells_singular_function(method, residuals):
    result, x = solve(method, powell(residuals))
    assert result.status is Status.CONVERGED
    assert np.abs(x).max() < 1e-2
    assert result.best["objective"] < 1e-9


def collinear(residuals, start):
    # only a + b matters: the minima are the line a + b = 2, and c = 3
    matrix = np.array([[1.0, 1, 0], [2, 2, 0], [0, 0, 1], [1, 1, 1]])
    data = matrix @ [0.5, 1.5, 3.0]
    return residuals(lambda x: matrix @ x - data, lambda _x: matrix, dict(zip("abc", start, strict=True)))


@pytest.mark.parametrize("method", ALL)
def test_a_rank_deficient_problem_moves_only_where_data_pull(method, residuals):
    result, x = solve(method, collinear(residuals, [4.0, 0.0, 0.0]))
    assert result.status is Status.CONVERGED
    assert x[0] + x[1] == pytest.approx(2.0, abs=1e-6)
    assert x[2] == pytest.approx(3.0, abs=1e-6)
    assert x[0] - x[1] == pytest.approx(4.0, abs=1e-5)  # the null direction stays where it began


@pytest.mark.parametrize("method", ALL)
def test_an_unknown_without_influence_stays(method, residuals):
    objective = residuals(lambda x: x[:1] - 1, lambda _x: np.array([[1.0, 0.0]]), {"a": 5.0, "idle": 7.0})
    result, x = solve(method, objective)
    assert result.status is Status.CONVERGED
    assert x.tolist() == pytest.approx([1.0, 7.0], abs=1e-8)


@pytest.mark.parametrize("method", ALL)
def test_unequal_units_do_not_matter(method, residuals):
    # NIST StRD Misra1a: certified b1 = 2.3894212918E+02, b2 = 5.5015643181E-04
    y = [10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.40, 75.47, 81.78]
    t = [77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0]
    y, t = np.array(y), np.array(t)
    objective = residuals(
        lambda x: x[0] * -np.expm1(-x[1] * t) - y,
        lambda x: np.stack([-np.expm1(-x[1] * t), x[0] * t * np.exp(-x[1] * t)], axis=1),
        {"b1": 250.0, "b2": 5e-4},
    )
    result, x = solve(method, objective)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(x, [2.3894212918e02, 5.5015643181e-04], rtol=1e-7)
    assert 2 * result.best["objective"] == pytest.approx(1.2455138894e-01, rel=1e-9)


@pytest.mark.parametrize("method", ALL)
def test_units_of_the_unknowns_are_the_largest_column_norms_seen(method, rosenbrock):
    objective = rosenbrock((3.0, -4.0))
    solver = method(objective)
    state, largest = solver.init(), np.zeros(2)
    for _ in range(5):
        largest = np.maximum(largest, np.linalg.norm(objective.derivative(state.x), axis=0))
        state, _ = solver.step(state)
        np.testing.assert_array_equal(state.scale, largest)


@pytest.mark.parametrize("method", ALL)
def test_starting_at_the_solution_ends_at_once(method, rosenbrock):
    result, x = solve(method, rosenbrock((1.0, 1.0)))
    assert (result.status, result.steps) == (Status.CONVERGED, 1)
    assert x.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("method", ALL)
def test_a_wrong_derivative_stalls_instead_of_converging(method, residuals):
    objective = residuals(lambda x: x - 2, lambda _x: np.array([[-1.0]]), {"a": 0.0})
    result, x = solve(method, objective)
    assert result.status is Status.STALLED
    assert x.tolist() == [0.0]


@pytest.mark.parametrize("method", ALL)
def test_a_domain_left_on_the_way_only_shortens_the_step(method, residuals):
    with np.errstate(invalid="ignore"):
        objective = residuals(lambda x: np.log(x) - 1, lambda x: np.array([[1 / x[0]]]), {"a": 60.0})
        result, x = solve(method, objective)
    assert result.status is Status.CONVERGED
    assert x[0] == pytest.approx(np.e, rel=1e-6)


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_start_that_is_not_finite_is_a_status(method, residuals, bad):
    objective = residuals(lambda x: x * bad, lambda _x: np.array([[bad]]), {"a": 1.0})
    result, x = solve(method, objective)
    assert result.status is Status.NON_FINITE
    assert x.tolist() == [1.0]


@pytest.mark.parametrize("method", [*BOTH, NaturalGradient])
def test_wrong_set_ups_are_refused(method, rosenbrock):
    class Smooth:
        name, start = "smooth", {}
        space = rosenbrock().space

        def value(self, _x):
            return 0.0

        def gradient(self, _x):
            return {}

    assert isinstance(rosenbrock(), LeastSquaresObjective)
    assert isinstance(Smooth(), Objective)
    with pytest.raises(SolverError, match=rf"{method.__name__}: got Smooth, expected a least-squares objective"):
        method(Smooth())
    for tolerance in (0.0, 1.0, np.nan):
        with pytest.raises(SolverError, match=r"tolerance: got .*expected a number in \(0, 1\)"):
            method(rosenbrock(), tolerance=tolerance)


def test_the_name_tells_method_and_problem(rosenbrock):
    assert LevenbergMarquardt(rosenbrock()).name == "levenberg-marquardt:rosenbrock:x,y"
    assert GaussNewton(rosenbrock()).name == "gauss-newton:rosenbrock:x,y"
    assert CHOLESKY(rosenbrock()).name == "levenberg-marquardt-cholesky:rosenbrock:x,y"
    assert NaturalGradient(rosenbrock()).name == "natural-gradient:rosenbrock:x,y"


def test_units_and_shapes_come_out_as_in_the_space(rosenbrock):
    data = LevenbergMarquardt(rosenbrock()).solution(LevenbergMarquardt(rosenbrock()).init())
    assert data["x"].attrs["units"] == "1"
    assert float(data["x"]) == -1.2


def curved(residuals, m, n, seed=0):
    """A smooth residual of m numbers that vanishes where all n unknowns are one."""
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((m, n)) / n**0.5
    start = {f"x{k:02d}": v for k, v in enumerate(1 + 0.3 * rng.standard_normal(n))}
    at_one = np.sin(w.sum(1)) + w.sum(1)
    return residuals(lambda x: np.sin(w @ x) + w @ x - at_one, lambda x: (np.cos(w @ x) + 1)[:, None] * w, start)


@pytest.mark.parametrize(("m", "n"), [(30, 8), (8, 30), (12, 12)])
@pytest.mark.parametrize("damping", [1e-3, 1.0])
def test_cholesky_takes_the_steps_of_the_singular_values(residuals, m, n, damping):
    objective = curved(residuals, m, n)
    one, other = LevenbergMarquardt(objective, damping=damping), CHOLESKY(objective, damping=damping)
    a, b = one.init(), other.init()
    assert a.damping == b.damping == damping
    for _ in range(4):
        a, b = one.step(a)[0], other.step(b)[0]
        np.testing.assert_allclose(b.x, a.x, atol=1e-9)
        assert b.damping == pytest.approx(a.damping, rel=1e-4)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(("m", "n"), [(9, 4), (4, 9)])
@pytest.mark.parametrize("damping", [1e-6, 0.1, 10.0])
def test_dual_and_primal_and_stacked_steps_agree(order, m, n, damping):
    rng = np.random.default_rng(m)
    matrix, r = np.asarray(rng.standard_normal((m, n)), order=order), rng.standard_normal(m)
    before = matrix.copy()
    wanted = np.linalg.solve(before.T @ before + damping * np.eye(n), -before.T @ r)
    for system in (Stacked(matrix, r), *(Gram(matrix, r, form) for form in ("auto", "primal", "dual"))):
        np.testing.assert_allclose(system.solve(damping), wanted, atol=1e-8)
        np.testing.assert_allclose(system.solve(2 * damping), system.solve(2 * damping), atol=0)
    np.testing.assert_array_equal(matrix, before)
    assert Gram(matrix, r).dual == (m < n)
    least = np.linalg.lstsq(matrix, -r, rcond=None)[0]
    for form in ("auto", "primal", "dual"):
        np.testing.assert_allclose(Gram(matrix, r, form).pseudo_solve(1e-12), least, atol=1e-8)


def test_where_rounding_leaves_inner_products_indefinite_singular_values_step_in(residuals):
    # columns equal to nine digits: their inner products are equal to all
    matrix = np.ones((6, 3)) + 1e-9 * np.random.default_rng(0).standard_normal((6, 3))
    assert Gram(np.ones((6, 3)), np.ones(6)).solve(0.0) is None
    objective = residuals(lambda x: matrix @ x - 1, lambda _x: matrix, {"a": 3.0, "b": -1.0, "c": 2.0})
    result, x = solve(partial(CHOLESKY, damping=1e-300), objective)
    assert result.status is Status.CONVERGED
    assert x.sum() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("factorisation", ["svd", "cholesky"])
def test_an_absolute_scale_goes_on_to_the_rounding(residuals, factorisation):
    def small(x):
        return 1e-6 * np.array([10 * (x[1] - x[0] ** 2), 1 - x[0]])

    objective = residuals(small, lambda x: 1e-6 * np.array([[-20 * x[0], 10], [-1, 0]]), {"x": -1.2, "y": 1.0})
    kind = partial(LevenbergMarquardt, factorisation=factorisation)
    early, _ = solve(kind, objective)
    result, x = solve(partial(kind, scale="absolute"), objective)
    assert early.steps < result.steps
    assert result.status is Status.CONVERGED
    assert result.best["objective"] < 1e-36
    np.testing.assert_allclose(x, 1.0, atol=1e-9)


@pytest.mark.parametrize(("m", "n"), [(20, 6), (6, 20)])
@pytest.mark.parametrize("form", ["auto", "primal", "dual"])
def test_a_linear_problem_takes_the_natural_gradient_one_step(residuals, m, n, form):
    rng = np.random.default_rng(1)
    matrix, data = rng.standard_normal((m, n)), rng.standard_normal(m)
    start = {f"x{k:02d}": 1.0 for k in range(n)}
    objective = residuals(lambda x: matrix @ x - data, lambda _x: matrix, start)
    natural, newton = NaturalGradient(objective, form=form), GaussNewton(objective)
    state, metrics = natural.step(natural.init())
    np.testing.assert_allclose(state.x, newton.step(newton.init())[0].x, atol=1e-8)
    assert metrics["damping"] == 1.0


@pytest.mark.parametrize("regularisation", [0.0, 1e-6])
def test_the_natural_gradient_of_few_residuals_is_dual(residuals, regularisation):
    objective = curved(residuals, 10, 25)
    paths = []
    for form in ("auto", "primal", "dual"):
        solver = NaturalGradient(objective, form=form, regularisation=regularisation)
        state = solver.init()
        for _ in range(3):
            state, _ = solver.step(state)
        paths.append(state.x)
    np.testing.assert_array_equal(paths[0], paths[2])
    np.testing.assert_allclose(paths[1], paths[2], atol=1e-6)


def test_the_grid_keeps_its_best_length(residuals):
    # atan from far out: the full step overshoots
    objective = residuals(lambda x: np.arctan(x), lambda x: np.array([[1 / (1 + x[0] ** 2)]]), {"a": 3.0})
    solver = NaturalGradient(objective, grid=8)
    state, metrics = solver.step(solver.init())
    full = -np.arctan(3.0) * 10
    values = [0.5 * np.arctan(3.0 + 0.5**k * full) ** 2 for k in range(8)]
    assert metrics["damping"] == 0.5 ** int(np.argmin(values))
    assert state.value == pytest.approx(min(values))


@pytest.mark.parametrize("method", [LevenbergMarquardt, CHOLESKY, NaturalGradient])
def test_a_small_residual_falls_to_its_rounding(residuals, method):
    result, _ = solve(partial(method, scale="absolute", tolerance=1e-13), curved(residuals, 40, 12))
    assert result.best["objective"] < 1e-25


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (LevenbergMarquardt, {"damping": 0.0}),
        (LevenbergMarquardt, {"damping": np.nan}),
        (LevenbergMarquardt, {"factorisation": "qr"}),
        (NaturalGradient, {"regularisation": -1.0}),
        (NaturalGradient, {"cutoff": 1.0}),
        (NaturalGradient, {"grid": 0}),
        (NaturalGradient, {"form": "both"}),
    ],
)
def test_wrong_options_are_refused(rosenbrock, kind, options):
    with pytest.raises(SolverError, match=f"{kind.__name__}: got .*{next(iter(options))}"):
        kind(rosenbrock(), **options)


@pytest.mark.parametrize("method", ALL)
def test_an_unknown_scale_is_refused(rosenbrock, method):
    with pytest.raises(SolverError, match="scale: got 'relative', expected 'unit' or 'absolute'"):
        method(rosenbrock(), scale="relative")
