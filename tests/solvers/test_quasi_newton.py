import dataclasses

import numpy as np
import pytest
from scipy import optimize

from retrodict.physics.errors import SolverError
from retrodict.physics.spaces import Space, Var
from retrodict.solvers.base import Solver, Status
from retrodict.solvers.broyden import Correction, InverseHessian, correction
from retrodict.solvers.checkpoint import CheckpointStore
from retrodict.solvers.iterate import iterate
from retrodict.solvers.objective import ValueAndGradient, evaluate
from retrodict.solvers.quasi_newton import SSBroyden

KINDS = [("ssbroyden", 2), ("ssbroyden", 1), ("ssbfgs", 2), ("bfgs", 2)]
kinds = pytest.mark.parametrize(("update", "variant"), KINDS)


class Function:
    """A function of one packed vector."""

    def __init__(self, value, gradient, start, bounds=(-np.inf, np.inf), dtype="float64", name="function"):
        start = np.asarray(start, float)
        self.space = Space({"x": Var(("i",), start.shape, dtype, bounds=bounds)})
        self.start, self.name = {"x": start}, name
        self._value, self._gradient = value, gradient

    def value(self, x):
        return float(self._value(x["x"]))

    def gradient(self, x):
        return {"x": self._gradient(x["x"])}


def rosenbrock(n=8):
    return Function(optimize.rosen, optimize.rosen_der, np.where(np.arange(n) % 2, 1.0, -1.2))


def network(m=80, n=30, seed=1):
    """A mean square residual that vanishes at a known point."""
    rng = np.random.default_rng(seed)
    w, truth = rng.standard_normal((m, n)) / 5, np.ones(n)
    residual = lambda x: np.tanh(w @ x) - np.tanh(w @ truth) + 0.3 * ((w @ x) ** 2 - (w @ truth) ** 2)  # noqa: E731
    slope = lambda x: (1 - np.tanh(w @ x) ** 2 + 0.6 * (w @ x))[:, None] * w  # noqa: E731
    start = truth + 0.1 * rng.standard_normal(n)
    return Function(lambda x: np.mean(residual(x) ** 2), lambda x: 2 / m * slope(x).T @ residual(x), start)


def dense(h, s, y, g, alpha, update, variant, first):
    """Al-Baali's family, written down as it stands."""
    n = s.size
    rho, hy = 1 / (y @ s), h @ y
    hh, b = (y @ hy) * rho, -alpha * rho * (s @ g)
    a = b * hh - 1
    c = np.sqrt(abs(a) / (1 + a))
    rhom = min(1, hh * (1 - c))
    thm = (rhom - 1) / a
    if update != "ssbroyden":
        theta = 0.0
    elif variant == 2:
        theta = max(thm, min(1 / rhom, (1 - b) / b))
    else:
        thp, rank_one = max(1, b * (1 + c)), 1 / (1 - b)
        theta = max(thm, rank_one) if b > 1 else min(thp, rank_one)
    sigma = 1 + theta * a
    sn, rk = abs(sigma) ** (1 / (1 - n)), min(1, 1 / b)
    tau = min(rk * sn, sigma) if theta <= 0 else rk * min(sn, 1 / theta)
    tau = 1.0 if update == "bfgs" else hh / sigma if first else tau
    phi = (1 - theta) / (1 + a * theta)
    v = s * rho - hy / (y @ hy)
    bracket = h - np.outer(hy, hy) / (y @ hy) + phi * (y @ hy) * np.outer(v, v)
    return bracket / tau + rho * np.outer(s, s)


def case(seed, n=7, first=False):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((n, n))
    h = np.eye(n) if first else root @ root.T + 0.1 * np.eye(n)
    g, alpha = rng.standard_normal(n), rng.uniform(0.1, 3.0)
    s = -alpha * h @ g
    bend = rng.standard_normal((n, n))
    y = (bend @ bend.T * rng.choice([0.01, 1.0, 30.0]) + 0.05 * np.eye(n)) @ s
    return h, s, y, g, alpha


@kinds
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_the_matrix_is_that_of_the_formula(update, variant, first, seed):
    h, s, y, g, alpha = case(seed, first=first)
    wanted = dense(h, s, y, g, alpha, update, variant, first)
    change = correction(s, y, h @ y, model=-alpha * s @ g, update=update, variant=variant, first=first)
    inverse = InverseHessian(np.asfortranarray(h / 3), 3.0)
    inverse.apply(change)
    size = np.abs(wanted).max()
    columns = np.stack([inverse.times(e) for e in np.eye(s.size)])
    np.testing.assert_allclose(columns, wanted, atol=1e-12 * size)
    # secant equation, positive definite, and the product without the matrix
    np.testing.assert_allclose(inverse.times(y), s, atol=1e-10 * np.abs(s).max())
    assert np.linalg.eigvalsh((columns + columns.T) / 2)[0] > 0
    probe = np.cos(np.arange(s.size))
    np.testing.assert_allclose(change.times(h @ probe, probe), wanted @ probe, atol=1e-11 * size)


def test_members_on_both_sides_of_bfgs_and_dfp_occur():
    def theta(seed, variant):
        h, s, y, g, alpha = case(seed)
        change = correction(s, y, h @ y, model=-alpha * s @ g, variant=variant)
        a = -alpha * (s @ g) * (y @ h @ y) / (y @ s) ** 2 - 1
        phi = 1 + change.middle[1, 1] * (y @ h @ y) * change.divisor
        return (1 - phi) / (1 + a * phi)

    found = [theta(seed, variant) for seed in range(12) for variant in (1, 2)]
    assert min(found) < 0
    assert max(found) > 1


@pytest.mark.parametrize("scale", [1e-160, 1e-100, 1.0, 1e140])
def test_corrections_do_not_overflow(scale):
    h, s, y, g, alpha = case(0)
    change = correction(s * scale, y * scale, h @ y * scale, model=-alpha * scale**2 * s @ g)
    assert np.all(np.isfinite(change.middle))


@pytest.mark.parametrize("change", [[-1.0, 0.0], [0.0, 1.0], [np.nan, 1.0]])
def test_no_curvature_no_correction(change):
    s, y = np.array([1.0, 0.0]), np.array(change)
    found = correction(s, y, y, model=1.0)
    np.testing.assert_array_equal(found.times(np.ones(2), np.ones(2)), np.ones(2))
    assert (found.divisor, found.restart) == (1.0, False)


def test_a_step_that_taught_nothing_new_keeps_the_matrix():
    # the curvature expected is the one met: a = 0
    h = np.diag([2.0, 0.5, 1.0])
    s = np.array([1.0, 2.0, 3.0])
    inverse = InverseHessian(np.asfortranarray(h))
    y = np.linalg.solve(h, s)
    inverse.apply(correction(s, y, h @ y, model=float(s @ y)))
    np.testing.assert_allclose([inverse.times(e) for e in np.eye(3)], h, atol=1e-14)


def test_the_factor_before_the_matrix_stays_in_range():
    inverse = InverseHessian(np.eye(3, order="F"))
    for _ in range(300):
        inverse.apply(Correction(np.zeros((3, 2), order="F"), np.zeros((2, 2)), 0.1))
        inverse.apply(Correction(np.zeros((3, 2), order="F"), np.zeros((2, 2)), 10.0))
    np.testing.assert_allclose(inverse.times(np.ones(3)), np.ones(3), rtol=1e-12)
    for _ in range(250):
        inverse.apply(Correction(np.zeros((3, 2), order="F"), np.zeros((2, 2)), 0.1))
        assert 1e-100 <= inverse.scale <= 1e100
    np.testing.assert_allclose(inverse.times(np.ones(3)), 1e250 * np.ones(3), rtol=1e-12)


def test_the_matrix_is_corrected_in_place():
    solver = SSBroyden(rosenbrock())
    state = solver.init()
    matrix = state.inverse.matrix
    for _ in range(5):
        state, _ = solver.step(state)
    assert state.inverse.matrix is matrix
    assert not np.array_equal(matrix, np.eye(8))


@kinds
@pytest.mark.parametrize("n", [1, 2, 10, 40])
def test_rosenbrock_converges_faster_than_any_linear_rate(update, variant, n):
    if n == 1:
        objective = Function(lambda x: (x**4 / 4 + x**2).sum(), lambda x: x**3 + 2 * x, [3.0])
    else:
        # starting near the minimum at one: there is another further off
        objective = Function(optimize.rosen, optimize.rosen_der, np.linspace(0.5, 1.5, n))
    solver = SSBroyden(objective, update=update, variant=variant, tolerance=1e-10)
    assert isinstance(solver, Solver)
    result = iterate(solver, 1000)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.data["x"], 0.0 if n == 1 else 1.0, atol=1e-8)
    gradient = result.history["gradient"].values
    assert gradient[-1] < 0.1 * gradient[-min(8, gradient.size)]
    if update == "bfgs" or n < 10:  # scaling in every step costs the theory, not the practice
        assert gradient[-1] < 0.1 * gradient[-2]


@pytest.mark.parametrize(("update", "variant"), KINDS[:3])
def test_an_ill_conditioned_bowl(update, variant):
    curvature = np.logspace(0, 6, 40)
    bowl = Function(lambda x: 0.5 * curvature @ x**2, lambda x: curvature * x, np.ones(40))
    result = iterate(SSBroyden(bowl, update=update, variant=variant, tolerance=1e-10), 400)
    assert result.status is Status.CONVERGED
    assert result.best["objective"] < 1e-20
    gradient = result.history["gradient"].values
    # ten decades in the last few steps
    assert gradient[-10] > 1e2 * gradient[-1]


@kinds
def test_a_mean_square_falls_to_its_rounding(update, variant):
    result = iterate(SSBroyden(network(), update=update, variant=variant, tolerance=1e-14), 500)
    assert result.status is Status.CONVERGED
    assert result.best["objective"] < 1e-25
    np.testing.assert_allclose(result.data["x"], 1.0, atol=1e-11)


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_the_unit_of_the_objective_does_not_matter(scale):
    plain = network()
    scaled = Function(lambda x: scale * plain._value(x), lambda x: scale * plain._gradient(x), plain.start["x"])
    result = iterate(SSBroyden(scaled, tolerance=1e-14 * scale), 500)
    assert result.status is Status.CONVERGED
    assert result.best["objective"] < 1e-25 * scale


def test_self_scaling_needs_fewer_steps_than_bfgs_where_the_start_is_badly_scaled():
    steps = {u: iterate(SSBroyden(network(), update=u), 500).steps for u in ("ssbroyden", "bfgs")}
    assert 2 * steps["ssbroyden"] < steps["bfgs"]


def test_a_minimum_that_is_not_zero_ends_the_solve():
    # rounding of 1e3 + |x|^2 hides the value, and the tolerance is out of reach
    bowl = Function(lambda x: 1e3 + np.cosh(x).sum(), np.sinh, [1.0, -2.0, 0.5])
    result = iterate(SSBroyden(bowl, tolerance=0.0), 200)
    assert result.status is Status.CONVERGED
    assert result.steps < 100
    assert np.abs(result.data["x"].values).max() < 1e-7


def test_a_spoiled_matrix_is_set_back_as_often_as_allowed():
    solver = SSBroyden(rosenbrock(), resets=1)
    state = solver.init()
    for _ in range(6):
        state, metrics = solver.step(state)
    spoiled = dataclasses.replace(state, product=-state.product)
    new, metrics = solver.step(spoiled)
    assert (metrics["resets"], new.age) == (1.0, 1)
    assert new.value < state.value
    assert solver.done(metrics) is None
    # from the identity again: the first correction is scaled
    y, s = new.gradient - state.gradient, new.x - state.x
    new, _ = solver.step(new)
    inverse = new.inverse
    np.testing.assert_allclose(inverse.times(y), s, atol=1e-10 * np.abs(s).max())
    again, metrics = solver.step(dataclasses.replace(new, product=-new.product))
    assert metrics["length"] == 0.0
    assert np.array_equal(again.x, new.x)
    assert solver.done(metrics) is Status.STALLED


def test_a_wrong_gradient_stalls():
    result = iterate(SSBroyden(Function(lambda x: ((x - 2) ** 2).sum(), lambda x: -2 * (x - 2), np.zeros(2))), 50)
    assert (result.status, result.steps) == (Status.STALLED, 1)
    assert result.data["x"].values.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_start_that_is_not_finite_is_a_status(bad):
    result = iterate(SSBroyden(Function(lambda _x: bad, lambda x: np.nan * x, np.ones(2))), 5)
    assert result.status is Status.NON_FINITE
    assert result.data["x"].values.tolist() == [1.0, 1.0]


def test_a_walled_domain_only_shortens_steps():
    def value(x):
        return float(np.sum(x - 1e-3 * np.log(x))) if (x > 0).all() else np.inf

    result = iterate(SSBroyden(Function(value, lambda x: 1 - 1e-3 / x, [5.0, 3.0]), tolerance=1e-9), 200)
    assert result.status is Status.CONVERGED
    np.testing.assert_allclose(result.data["x"], 1e-3, rtol=1e-6)


def test_a_gradient_that_is_not_finite_shortens_the_step_too():
    slope = lambda x: np.where(x > 0, 1 - 1e-3 / np.abs(x), np.nan)  # noqa: E731
    value = lambda x: np.sum(x - 1e-3 * np.log(np.abs(x)))  # noqa: E731
    result = iterate(SSBroyden(Function(value, slope, [5.0]), tolerance=1e-9), 200)
    assert result.status is Status.CONVERGED
    assert np.all(np.isfinite(result.history["gradient"]))


def test_states_left_behind_are_refused():
    solver = SSBroyden(rosenbrock())
    first = solver.init()
    second, _ = solver.step(first)
    third, _ = solver.step(second)
    assert solver.pack(second)["x"].tobytes() == second.x.tobytes()
    fourth, _ = solver.step(third)
    solver.pack(fourth)
    for call in (solver.pack, solver.step):
        with pytest.raises(SolverError, match="two steps or more have left behind, expected the newest"):
            call(second)


def test_a_step_leaves_its_state_whole():
    solver = SSBroyden(rosenbrock())
    state = solver.init()
    for _ in range(4):
        before = {k: v.copy() for k, v in solver.pack(state).items()}
        new, _ = solver.step(state)
        assert all(np.array_equal(v, before[k]) for k, v in solver.pack(state).items())
        state = new


@kinds
@pytest.mark.parametrize("stop", [1, 2, 7, 30])
def test_resumed_equals_uninterrupted(update, variant, stop, tmp_path):
    make = lambda: SSBroyden(network(), update=update, variant=variant, tolerance=1e-14)  # noqa: E731
    whole, store = iterate(make(), 200), CheckpointStore(tmp_path, every=2)
    iterate(make(), stop, checkpoint=store)
    resumed = iterate(make(), 200, checkpoint=store, resume=True)
    assert (resumed.status, resumed.steps) == (whole.status, whole.steps)
    assert resumed.data.identical(whole.data)
    assert resumed.history.identical(whole.history)


def test_value_and_gradient_in_one_pass_are_made_use_of():
    class Both(Function):
        calls = 0

        def value_and_gradient(self, x):
            self.calls += 1
            return Function.value(self, x), Function.gradient(self, x)

        def value(self, _x):
            raise AssertionError

        gradient = value

    plain = rosenbrock()
    both = Both(plain._value, plain._gradient, plain.start["x"])
    assert isinstance(both, ValueAndGradient)
    assert not isinstance(plain, ValueAndGradient)
    one, other = (iterate(SSBroyden(f, tolerance=1e-9), 200) for f in (plain, both))
    assert one.history.identical(other.history)
    assert both.calls == 1 + other.history["evaluations"].sum()


def test_value_comes_before_gradient_at_the_same_tree():
    class Log(Function):
        seen = ()

        def value(self, x):
            self.seen += (("value", id(x)),)
            return super().value(x)

        def gradient(self, x):
            self.seen += (("gradient", id(x)),)
            return super().gradient(x)

    log = Log(optimize.rosen, optimize.rosen_der, np.zeros(2))
    evaluate(log, np.zeros(2))
    (one, at), (other, there) = log.seen
    assert (one, other, at) == ("value", "gradient", there)
    log = Log(lambda _x: np.inf, optimize.rosen_der, np.zeros(2))
    value, gradient = evaluate(log, np.zeros(2))
    assert value == np.inf
    assert np.isnan(gradient).all()
    assert len(log.seen) == 1


def test_bounds_and_single_precision_are_refused():
    with pytest.raises(SolverError, match=r"bounds on \['x'\], expected unbounded unknowns: transform them first"):
        SSBroyden(Function(optimize.rosen, optimize.rosen_der, np.zeros(2), bounds=(0.0, np.inf)))
    with pytest.raises(SolverError, match="got float32, expected double precision"):
        SSBroyden(Function(optimize.rosen, optimize.rosen_der, np.zeros(2), dtype="float32"))
    single = rosenbrock()
    single.precision = "float32"
    with pytest.raises(SolverError, match="got float32, expected double precision"):
        SSBroyden(single)
    single.precision = "float64"
    SSBroyden(single)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"update": "dfp"}, "update 'dfp'"),
        ({"variant": 3}, "variant 3"),
        ({"tolerance": -1.0}, "tolerance -1.0"),
        ({"tolerance": np.nan}, "tolerance nan"),
        ({"resets": -1}, "resets -1"),
        ({"noise": 1.0}, "noise 1.0"),
    ],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(SolverError, match=f"SSBroyden: got .*{words}"):
        SSBroyden(rosenbrock(), **options)
    if "update" in options or "variant" in options:
        with pytest.raises(SolverError, match="update: got"):
            correction(np.ones(2), np.ones(2), np.ones(2), model=1.0, **options)


def test_an_objective_without_a_gradient_is_refused():
    with pytest.raises(SolverError, match="SSBroyden: got object, expected an objective with a gradient"):
        SSBroyden(object())


def test_names_tell_the_members_apart():
    names = {SSBroyden(rosenbrock(), update=u, variant=v).name for u, v in KINDS}
    assert names == {f"{m}:function:x" for m in ("ssbroyden2", "ssbroyden1", "ssbfgs", "bfgs")}
