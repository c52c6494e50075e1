import numpy as np
import pytest
from scipy import optimize

from retrodict.solvers.line_search import strong_wolfe

C1, C2 = 1e-4, 0.9


def search(function, x, direction=None, **options):
    x = np.asarray(x, float)
    value, gradient = function(x)
    direction = -gradient if direction is None else np.asarray(direction, float)
    return strong_wolfe(function, x, value, gradient, direction, **options), value, float(gradient @ direction)


def holds(found, value, slope, c1=C1, c2=C2):
    p = found.point
    return p.value <= value + c1 * p.length * slope and abs(p.slope) <= -c2 * slope


def rosen(x):
    return float(optimize.rosen(x)), optimize.rosen_der(x)


@pytest.mark.parametrize("first", [1e-12, 1e-4, 1.0, 1e5])
@pytest.mark.parametrize("curvature", [0.1, 0.9])
def test_both_conditions_hold_from_any_first_length(first, curvature):
    rng = np.random.default_rng(int(10 * curvature))
    for _ in range(20):
        found, value, slope = search(rosen, rng.normal(size=4), first=first, curvature=curvature, noise=0.0)
        assert found.wolfe
        assert holds(found, value, slope, c2=curvature)
        assert found.evaluations <= 30


def test_the_point_is_what_it_says():
    found, _, _ = search(rosen, [-1.2, 1.0])
    p = found.point
    value, gradient = rosen(p.x)
    assert p.value == value
    np.testing.assert_array_equal(p.gradient, gradient)
    np.testing.assert_array_equal(p.x, np.array([-1.2, 1.0]) - p.length * rosen(np.array([-1.2, 1.0]))[1])
    assert p.slope == pytest.approx(-gradient @ rosen(np.array([-1.2, 1.0]))[1])


def test_the_first_trial_is_taken_where_it_is_good():
    found, _, _ = search(lambda x: (0.5 * float(x @ x), x), [3.0, 4.0])
    assert (found.point.length, found.evaluations) == (1.0, 1)
    assert found.point.value == 0.0


@pytest.mark.parametrize("scale", [1e-30, 1e-16, 1.0, 1e16])
def test_the_size_of_the_function_does_not_matter(scale):
    found, _, _ = search(lambda x: (scale * rosen(x)[0], scale * rosen(x)[1]), [-1.2, 1.0], [1.0, 0.0], noise=0.0)
    plain, _, _ = search(rosen, [-1.2, 1.0], [1.0, 0.0], noise=0.0)
    assert found.wolfe
    assert found.point.length == pytest.approx(plain.point.length, rel=1e-6)


def test_a_wall_shortens_the_step():
    def walled(x):
        return (float(x[0] - np.log(x[0])), 1 - 1 / x) if x[0] > 0 else (np.inf, np.array([np.nan]))

    found, value, slope = search(walled, [5.0], [-1e6])
    assert found.wolfe
    assert holds(found, value, slope)


def test_a_very_short_step_is_found():
    # the minimum lies 1e-20 from the start, in units of the direction
    found, value, slope = search(lambda x: (float(1e20 * x[0] ** 2 - x[0]), 2e20 * x - 1), [0.0], [1.0])
    assert found.wolfe
    assert holds(found, value, slope)


def test_slopes_decide_where_values_are_rounding():
    # the value is lost in its own rounding: 1 + 1e-20 x^2
    found, value, _ = search(lambda x: (float(1 + 1e-20 * x @ x), 2e-20 * x), [1.0], [-0.7])
    assert value == found.point.value
    assert found.wolfe
    assert abs(found.point.slope) <= 0.9 * 1.4e-20
    exact, _, _ = search(lambda x: (float(1 + 1e-20 * x @ x), 2e-20 * x), [1.0], [-10.0], curvature=0.5)
    assert exact.wolfe
    assert abs(exact.point.x[0]) < 0.5


@pytest.mark.parametrize("direction", [[1.0], [0.0], [np.nan]])
def test_a_direction_that_does_not_descend_is_not_searched(direction):
    found, _, _ = search(lambda x: (float(x @ x), 2 * x), [1.0], direction)
    assert (found.point.length, found.evaluations, found.wolfe) == (0.0, 0, False)


def test_a_start_that_is_not_finite_is_not_searched():
    found, _, _ = search(lambda x: (np.nan, x), [1.0])
    assert (found.evaluations, found.wolfe) == (0, False)


def test_a_wrong_gradient_ends_the_search_with_nothing():
    found, _, _ = search(lambda x: (float(x @ x), -2 * x), [1.0])
    assert not found.wolfe
    assert found.point.length == 0.0
    assert found.evaluations <= 30


def test_an_unbounded_line_ends_with_the_best_point():
    found, value, _ = search(lambda x: (float(-x[0]), np.array([-1.0])), [0.0])
    assert not found.wolfe
    assert found.point.value < value


def test_trials_and_shortest_bound_the_work():
    found, _, _ = search(lambda x: (float(x @ x), -2 * x), [1.0], trials=4)
    assert found.evaluations == 4
    found, _, _ = search(lambda x: (float(x @ x), -2 * x), [1.0], shortest=0.4, noise=0.0)
    assert found.evaluations < 4
