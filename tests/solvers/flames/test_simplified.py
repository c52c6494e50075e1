"""Newton on nested grids: exact burning velocities, the order of the scheme, derivatives, and what is refused."""

import numpy as np
import pytest
import torch

from retrodict.physics.errors import SolverError, SpaceError
from retrodict.physics.flames.simplified import free_flame, imposed_slope
from retrodict.physics.flames.simplified_front import balanced_speed, front
from retrodict.physics.verify import dot_test, taylor_test
from retrodict.solvers.base import Status
from retrodict.solvers.flames.simplified import discrete_residual, grid_flame, solve_bordered, solve_simplified
from retrodict.solvers.flames.simplified_model import SimplifiedFlame

# by forward shooting in the phase plane, a separate program
TABLE = [
    (0.40, 1.0, 298.0, 0.267820482),
    (0.42, 1.0, 298.0, 0.292786112),
    (0.46, 1.0, 298.0, 0.343339500),
    (0.50, 1.0, 298.0, 0.394349910),
    (0.40, 1.0, 450.0, 0.458278801),
    (0.40, 1.0, 600.0, 0.690851130),
    (0.40, 1.2, 298.0, 0.258339214),
    (0.50, 1.2, 298.0, 0.380325984),
]


@pytest.mark.parametrize("start", [0.1, 0.4])
@pytest.mark.parametrize("row", TABLE)
def test_burning_velocities_of_the_table(row, start):
    found = solve_simplified(imposed_slope(*row[:3]), start=start)
    assert found.status is Status.CONVERGED
    assert found.speed == pytest.approx(row[3], rel=3e-9)
    assert found.error < 1e-8


def test_the_scheme_is_of_second_order_and_extrapolation_of_sixth():
    exact = solve_simplified(imposed_slope(0.5), cells=1600).speed
    coarse, fine = (solve_simplified(imposed_slope(0.5), cells=n) for n in (100, 200))
    errors = [abs(s - exact) for s in coarse.grids]
    assert np.allclose(np.log2(np.divide(errors[:-1], errors[1:])), 2.0, atol=0.05)
    assert abs(coarse.speed - exact) > 20 * abs(fine.speed - exact)
    assert abs(coarse.speed / exact - 1) < 3 * coarse.error


@pytest.mark.slow
def test_temperatures_are_those_of_the_phase_plane():
    from retrodict.solvers.reference.phase_plane import phase_plane

    found = solve_simplified(imposed_slope(0.46))
    ahead = found.x <= 1.2e-3  # behind, T' = 0 at the end is felt
    exact = phase_plane(imposed_slope(0.46)).temperature(found.x[ahead])
    assert np.abs(found.T[ahead] / exact - 1).max() < 1e-5


def test_the_law_of_pressure():
    high, low = (solve_simplified(free_flame(0.4, p)).speed for p in (1.2, 1.0))
    assert high / low == pytest.approx(1.2**-0.2, rel=1e-5)


def test_the_border_solves_the_linearised_equations():
    mixture = imposed_slope(0.42)
    s, rng = 0.3, np.random.default_rng(0)
    T = front(mixture, s, np.linspace(0, mixture.length, 41))
    right = rng.standard_normal((41, 2))
    inner, speed = solve_bordered(mixture, T, s, right)
    inside, at = torch.from_numpy(T[1:]), torch.tensor(s, dtype=torch.float64)

    def equations(u, v):
        return discrete_residual(mixture, torch.cat([torch.tensor(T[:1]), u]), v)

    by_T, by_s = torch.autograd.functional.jacobian(equations, (inside, at))
    made = by_T.numpy() @ inner + by_s.numpy()[:, None] * speed
    assert np.allclose(made, right, atol=1e-8)


@pytest.mark.slow
def test_what_is_no_flame_has_a_status_that_says_so():
    assert not solve_simplified(imposed_slope(0.1)).status.ok
    assert not solve_simplified(free_flame(0.4, 1.0, 600.0)).status.ok
    mixture = imposed_slope(0.42)
    with pytest.raises(SolverError, match="cells: got 4"):
        solve_simplified(mixture, cells=4)


def test_a_slow_flame_that_is_still_rising_at_the_end_is_refused():
    # it satisfies T' = 0 there, and every equation: a network with that condition finds it at a loss of 1e-16
    mixture = imposed_slope(0.42)
    rising = mixture.inlet_temperature + 900.0 * np.sin(0.5 * np.pi * np.linspace(0, 1, 401)) ** 3
    found = grid_flame(mixture, rising, 0.053)
    assert found.status is Status.INVALID
    assert found.speed == pytest.approx(0.0530, abs=2e-4)


PLACES = (2e-4, 4e-4, 5e-4, 1e-3)


def flame(**kwargs):
    return SimplifiedFlame(imposed_slope(0.42), PLACES, **kwargs)


def point(model):
    return {k: np.array(v) for k, v in model.mixture.parameters.items() if k in model.parameters}


@pytest.mark.parametrize("name", flame().parameters)
def test_adjoints_agree_with_flames_solved_again(name):
    model, step = flame(), {"ln_A": 1e-4}
    at = point(model)
    h = step.get(name, 1e-4 * abs(float(at[name])))
    value, operator = model.linearize(at)
    apart = [model.apply({**at, name: at[name] + sign * h}) for sign in (1, -1)]
    for key, n in (("s_L", 1), ("T", len(PLACES))):
        differences = np.ravel(apart[0][key] - apart[1][key]) / (2 * h)
        unit = np.eye(n)
        rows = [{**model.range.zeros(), key: unit[i].reshape(value[key].shape)} for i in range(n)]
        found = np.array([float(operator.adjoint(row)[name]) for row in rows])
        assert np.abs(found - differences).max() < 1e-6 * np.abs(found).max()


def test_adjoint_and_derivative_are_each_others():
    model = flame(parameters=("lambda", "E_a", "n", "T_in", "p", "phi", "slope"))
    at = point(model)
    assert dot_test(model.linearize(at)[1]).error < 1e-13
    assert taylor_test(model, at, scales={k: float(v) for k, v in at.items()}, step=3e-3).passed


def test_sum_rules_of_the_free_flame():
    # rates times c, or conductivity times c: m goes as the root of c
    model = SimplifiedFlame(free_flame(0.42), parameters=("ln_A", "lambda"))
    at = point(model)
    value, operator = model.linearize(at)
    row = operator.adjoint({"s_L": 1 / value["s_L"]})
    assert float(row["ln_A"]) == pytest.approx(0.5, abs=2e-5)
    assert float(row["lambda"] * at["lambda"]) == pytest.approx(0.5, abs=2e-5)


def test_data_are_those_of_the_solution_and_nan_where_there_is_none():
    model = flame()
    data = model.apply(point(model))
    found = solve_simplified(imposed_slope(0.42), cells=800)
    assert float(data["s_L"]) == pytest.approx(found.speed, rel=1e-8)
    assert np.allclose(data["T"], np.interp(PLACES, found.x, found.T), rtol=1e-5)
    only = SimplifiedFlame(imposed_slope(0.42), parameters=("phi",))
    assert np.isnan(only.apply({"phi": np.array(0.05)})["s_L"])


def test_bad_models_are_refused():
    for kwargs, message in (
        ({"parameters": ("nu",)}, "parameters: got"),
        ({"x": (2e-3,)}, "x: got"),
        ({"speed": False}, "SimplifiedFlame: got"),
        ({"parameters": ()}, "SimplifiedFlame: got"),
    ):
        with pytest.raises(SpaceError, match=message):
            SimplifiedFlame(imposed_slope(0.42), **kwargs)
    with pytest.raises(SpaceError, match="lambda"):
        flame(parameters=("lambda",)).apply({"lambda": np.array(-1.0)})


def test_the_speed_that_newton_begins_with_is_near():
    for row in TABLE:
        assert balanced_speed(imposed_slope(*row[:3]), 0.1) == pytest.approx(row[3], rel=0.07)
