import math

import numpy as np
import pytest

from retrodict.physics.errors import SolverError
from retrodict.solvers.reference import marching
from retrodict.solvers.reference.burgers import cole_hopf, entropy_solution, inviscid, shock_time

TURN = 2 * math.pi


def bump(x):
    return 0.8 + 0.5 * np.exp(-((x - 0.3) ** 2) / 0.1**2)


def two_waves(x):
    return np.sin(x) + 0.5 * np.sin(2 * x + 1)


@pytest.mark.parametrize(("diffusivity", "modes"), [(0.1, 256), (0.02, 640), (0.01, 1024), (0.01 / math.pi, 2048)])
def test_cole_hopf_equals_an_independent_spectral_run(diffusivity, modes):
    x, t = np.linspace(0, TURN, 50)[:, None], np.array([0.0, 0.1, 0.5, 1.0])
    ours = cole_hopf(np.sin, diffusivity, period=TURN, primitive=lambda x: -np.cos(x))(x, t)
    spectral = marching.burgers(np.sin, diffusivity, period=TURN, modes=modes)(x, t)
    np.testing.assert_allclose(ours, spectral, rtol=0, atol=3e-11)


@pytest.mark.parametrize(("initial", "period", "modes"), [(bump, 1.5, 384), (two_waves, TURN, 1024)])
def test_general_initial_conditions_against_the_spectral_run(initial, period, modes):
    # the bump jumps by 6e-5 where its interval begins
    x, t = np.linspace(0, period, 41)[:, None], np.array([0.1, 0.4])
    ours = cole_hopf(initial, 0.02, period=period)(x, t)
    spectral = marching.burgers(initial, 0.02, period=period, modes=modes)(x, t)
    np.testing.assert_allclose(ours, spectral, rtol=0, atol=1e-10)


@pytest.mark.parametrize("diffusivity", [0.1, 0.01, 1e-3])
@pytest.mark.parametrize("t", [1e-3, 0.3, 1.0, 3.0])
def test_weighted_mean_equals_the_formula_with_distances(diffusivity, t):
    x = np.linspace(0, TURN, 30)
    s = np.linspace(-1, 1, 20001) * min(1.5 * math.pi, 9 * math.sqrt(4 * diffusivity * t) + 1.05 * t)
    if 9 * math.sqrt(4 * diffusivity * t) > 1.5:
        s = np.linspace(-1, 1, 20001) * (math.pi + 9 * math.sqrt(4 * diffusivity * t))
    exponent = -(s**2) / (4 * diffusivity * t) - (1 - np.cos(x[:, None] - s)) / (2 * diffusivity)
    weight = np.exp(exponent - exponent.max(1, keepdims=True))
    formula = (weight * s / t).sum(1) / weight.sum(1)
    np.testing.assert_allclose(cole_hopf(np.sin, diffusivity, period=TURN)(x, t), formula, rtol=0, atol=2e-12)


def test_scaled_problem_on_minus_one_to_one():
    x, t = np.linspace(-1, 1, 31)[:, None], np.linspace(0, 0.99, 7)
    here = cole_hopf(lambda x: -np.sin(np.pi * x), 0.01 / np.pi, period=2.0, origin=-1.0)
    there = cole_hopf(np.sin, 0.01, period=TURN)
    np.testing.assert_allclose(here(x, t), there(np.pi * (x + 1), np.pi * t), rtol=0, atol=3e-14)


@pytest.mark.parametrize("drift", [5.0, 50.0, -1e4])
def test_a_drift_is_a_shift(drift):
    x, t = np.linspace(0, TURN, 31)[:, None], np.linspace(0, 1, 5)
    still = cole_hopf(np.sin, 0.01, period=TURN)(x, t)
    given = cole_hopf(np.sin, 0.01, period=TURN, offset=drift)(x + drift * t, t) - drift
    inside = cole_hopf(lambda x: drift + np.sin(x), 0.01, period=TURN)(x + drift * t, t) - drift
    # the slope at the front, 50, multiplies the rounding of x + c t
    np.testing.assert_allclose(given, still, rtol=0, atol=1e-13 * max(1, abs(drift)))
    np.testing.assert_allclose(inside, still, rtol=0, atol=1e-13 * max(1, abs(drift)))


def test_viscous_invariants():
    x, t = np.linspace(0, TURN, 512, endpoint=False)[:, None], np.linspace(0, 3, 7)
    u = cole_hopf(two_waves, 0.05, period=TURN)(x, t)
    np.testing.assert_allclose(u.mean(0), u[:, 0].mean(), rtol=0, atol=1e-14)
    assert (np.diff((u**2).mean(0)) < 0).all()
    assert (np.diff(u.max(0)) < 0).all()
    np.testing.assert_array_equal(u[:, :1], two_waves(x))


def test_shock_time():
    assert shock_time(two_waves, period=TURN) < 1
    assert shock_time(lambda x: 2 * np.sin(3 * x) - 7, period=TURN) == pytest.approx(1 / 6, rel=1e-7)
    assert shock_time(np.ones_like, period=1.0) == math.inf


@pytest.mark.parametrize("solve", [inviscid, entropy_solution])
@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_characteristics_before_the_shock(solve, offset):
    last = shock_time(two_waves, period=TURN)
    label, t = np.linspace(0, TURN, 201)[:, None], np.array([0.0, 1e-9, 0.3, 0.7, 0.95]) * last
    u = solve(two_waves, period=TURN, offset=offset)(label + t * (two_waves(label) + offset), t)
    np.testing.assert_allclose(u, two_waves(label) + offset + 0 * t, rtol=0, atol=1e-12)


def test_inviscid_ends_at_the_shock():
    u = inviscid(np.sin, period=TURN)
    assert abs(u(math.pi, 1.0)) < 1e-5
    with pytest.raises(SolverError, match="after the shock at 1, expected earlier times"):
        u(math.pi, 1.01)


def test_entropy_solution_of_a_step_is_a_shock_and_a_fan():
    u = entropy_solution(lambda x: np.where(np.abs(x) < 0.5, 1.0, 0.0), period=4.0, origin=-2.0, offset=0.0)
    x, t = np.linspace(-1.9, 1.9, 77), 0.5
    exact = np.clip((x + 0.5) / t, 0, 1) * (x < 0.5 + t / 2)
    away = np.abs(x - 0.75) > 1e-3
    np.testing.assert_allclose(u(x, t)[away], exact[away], rtol=0, atol=1e-12)


def front(u, low, high, t):
    # bisection on the side of a jump; a nearer look would meet the mean of both sides
    ends = u([low, high], t)
    for _ in range(28):
        middle = (low + high) / 2
        left = np.abs(u(middle, t) - ends).argmin() == 0
        low, high = (middle, high) if left else (low, middle)
        ends = u([low, high], t)
    return (low + high) / 2, *ends


def test_entropy_solution_conserves_mass_and_moves_its_shock_as_rankine_and_hugoniot_say():
    u, t, h = entropy_solution(two_waves, period=TURN, offset=0.3), 2.5, 1e-4
    x = np.linspace(0, TURN, 20001)[:-1]
    values = u(x, t)
    assert values.mean() == pytest.approx(0.3, abs=2e-4)
    at = int(np.diff(values).argmin())
    before, after = (front(u, x[at] - 0.05, x[at] + 0.05, time)[0] for time in (t - h, t + h))
    _, left, right = front(u, x[at] - 0.05, x[at] + 0.05, t)
    assert left - right > 0.5
    assert (after - before) / (2 * h) == pytest.approx((left + right) / 2, abs=1e-5)
    # away from the shock it is still the initial condition, carried
    smooth = np.abs(np.arange(len(x)) - at) > 5
    carried = two_waves(x - values * t) + 0.3
    np.testing.assert_allclose(values[smooth], carried[smooth], rtol=0, atol=1e-11)


def test_entropy_solution_is_the_limit_of_small_viscosity():
    x = np.linspace(0, TURN, 2000, endpoint=False)
    limit = entropy_solution(two_waves, period=TURN)(x, 2.0)
    errors = [np.abs(cole_hopf(two_waves, nu, period=TURN)(x, 2.0) - limit).mean() for nu in (8e-3, 4e-3, 2e-3)]
    assert errors[2] < 4e-3
    assert 1.7 < errors[0] / errors[1] < 2.2
    assert 1.7 < errors[1] / errors[2] < 2.2


def godunov(initial, cells, end):
    x = (np.arange(cells) + 0.5) * TURN / cells
    u, now, h = initial(x), 0.0, TURN / cells
    while now < end:
        dt = min(0.9 * h / np.abs(u).max(), end - now)
        ahead = np.roll(u, -1)
        flux = np.maximum(np.maximum(u, 0) ** 2, np.minimum(ahead, 0) ** 2) / 2
        u, now = u - dt / h * (flux - np.roll(flux, 1)), now + dt
    return x, u


def test_entropy_solution_against_finite_volumes():
    u, errors = entropy_solution(two_waves, period=TURN), []
    for cells in (200, 800):
        x, values = godunov(two_waves, cells, 2.0)
        errors.append(np.abs(values - u(x, 2.0)).mean())
    assert errors[1] < 3e-3
    assert errors[0] / errors[1] > 2.5


@pytest.mark.parametrize(
    "build",
    [
        lambda: cole_hopf(np.sin, 0.0, period=TURN),
        lambda: cole_hopf(np.sin, math.nan, period=TURN),
        lambda: cole_hopf(lambda x: np.full_like(x, np.nan), 0.1, period=TURN),
        lambda: cole_hopf(np.sin, 0.1, period=-1.0),
        lambda: cole_hopf(np.sin, 0.1, period=TURN)(0.0, -0.1),
        lambda: entropy_solution(np.sin, period=TURN, nodes=4),
    ],
)
def test_refusals(build):
    with pytest.raises(SolverError, match="expected"):
        build()
