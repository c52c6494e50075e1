import math

import numpy as np
import pytest
from scipy.special import erf

from retrodict.physics.errors import SolverError
from retrodict.solvers.reference.marching import Equation, march
from retrodict.solvers.reference.periodic import Interval
from retrodict.solvers.reference.plane import moving_gaussian, rotation
from retrodict.solvers.reference.spectral import coefficients, convection_diffusion, convection_diffusion_2d

TURN = 2 * math.pi
GRID = np.linspace(0, TURN, 64, endpoint=False)[:, None], np.linspace(0, 1, 11)


@pytest.mark.parametrize("speed", [0.0, 1.0, -30.0, 50.0, 1000.0])
@pytest.mark.parametrize("diffusivity", [0.0, 0.01, 1.0])
def test_one_mode_to_round_off(speed, diffusivity):
    x, t = GRID
    u = convection_diffusion(
        lambda x: 3 + np.sin(2 * x), period=TURN, speed=speed, diffusivity=diffusivity, reaction=0.3
    )
    exact = np.exp(0.3 * t) * (3 + np.exp(-4 * diffusivity * t) * np.sin(2 * (x - speed * t)))
    np.testing.assert_allclose(u(x, t), exact, rtol=0, atol=2e-14 + 4e-16 * abs(speed))


def smeared_bump(x, t, width, nu, images=3):
    # the bump, cut at the ends of its period, convolved with the heat kernel: a product of Gaussians, integrated
    var, spread = width**2, 2 * nu * t
    total = 0.0
    for m in range(-images, images + 1):
        z = x - math.pi - m * TURN
        centre, std = z * var / (var + spread), np.sqrt(var * spread / (var + spread))
        inside = (erf((math.pi - centre) / std / math.sqrt(2)) + erf((math.pi + centre) / std / math.sqrt(2))) / 2
        total = total + np.exp(-(z**2) / 2 / (var + spread)) * np.sqrt(var / (var + spread)) * inside
    return total


@pytest.mark.parametrize("width", [math.pi / 4, math.pi / 32])
def test_bump_with_a_kink_at_the_seam(width):
    x, t = GRID[0], GRID[1][1:]
    u = convection_diffusion(
        lambda x: np.exp(-((x - math.pi) ** 2) / 2 / width**2), period=TURN, speed=10.0, diffusivity=0.05
    )
    exact = smeared_bump(np.mod(x - 10 * t, TURN), t, width, 0.05)
    np.testing.assert_allclose(u(x, t), exact, rtol=0, atol=2e-11)
    # so early that heat has gone no further than one sample
    np.testing.assert_allclose(u(x, 1e-7), smeared_bump(np.mod(x - 1e-6, TURN), 1e-7, width, 0.05), rtol=0, atol=2e-8)


def test_without_diffusion_a_jump_is_carried_unchanged():
    u = convection_diffusion(lambda x: (x < 0.5).astype(float), period=1.0, speed=2.0)
    assert u([0.1, 0.2, 0.75, 0.8, 0.3], [0.0, 0.1, 0.1, 0.1, 0.1]).tolist() == [1.0, 1.0, 0.0, 0.0, 1.0]


def test_multipliers_equal_the_method_of_lines():
    equation = Equation(source=lambda u, u_x, u_xx, *_: 0.02 * u_xx - 3 * u_x + 0.5 * u)
    start = lambda x: np.exp(np.sin(math.pi * x))  # noqa: E731
    lines = march(equation, start, period=2.0, origin=-1.0, modes=64)
    exact = convection_diffusion(start, period=2.0, origin=-1.0, speed=3.0, diffusivity=0.02, reaction=0.5)
    x, t = np.linspace(-1, 1, 33)[:, None], np.array([0.0, 0.3, 1.0])
    np.testing.assert_allclose(lines(x, t), exact(x, t), rtol=0, atol=1e-11)


def test_points_in_any_order_and_shape():
    u = convection_diffusion(lambda x: np.exp(-((x - math.pi) ** 2)), period=TURN, speed=1.0, diffusivity=0.01)
    rng = np.random.default_rng(0)
    x, t = rng.uniform(-20, 20, (7, 3)), rng.choice([0.0, 0.2, 0.9], (7, 3))
    one = np.array([[float(u(a, b)) for a, b in zip(*row, strict=True)] for row in zip(x, t, strict=True)])
    np.testing.assert_allclose(u(x, t), one, rtol=0, atol=1e-14)
    np.testing.assert_allclose(u(x + TURN, t), one, rtol=0, atol=1e-13)
    assert u([], []).shape == (0,)
    assert convection_diffusion(np.zeros_like, period=1.0, diffusivity=0.1)(0.3, 0.5) == 0


def test_two_dimensions_factorise():
    u = convection_diffusion_2d(
        lambda x, y: np.exp(np.sin(x)) * np.exp(np.cos(2 * math.pi * y)),
        period=(TURN, 1.0), speed=(2.0, -3.0), diffusivity=0.01, reaction=0.2, samples=64,
    )  # fmt: skip
    first = convection_diffusion(lambda x: np.exp(np.sin(x)), period=TURN, speed=2.0, diffusivity=0.01, reaction=0.2)
    second = convection_diffusion(lambda y: np.exp(np.cos(2 * math.pi * y)), period=1.0, speed=-3.0, diffusivity=0.01)
    x, y = np.random.default_rng(1).uniform(0, 5, (2, 50))
    np.testing.assert_allclose(u(x, y, 0.7), first(x, 0.7) * second(y, 0.7), rtol=0, atol=1e-13)


def test_periodic_and_unbounded_blob_agree():
    free = moving_gaussian(0.1, start=(1.0, 2.0), diffusivity=0.01, speed=(0.5, -0.3))
    box = convection_diffusion_2d(
        lambda x, y: free(x, y, 0.0), period=(4.0, 4.0), speed=(0.5, -0.3), diffusivity=0.01, samples=128
    )
    x, y = np.meshgrid(np.linspace(0.7, 2.3, 9), np.linspace(1, 3, 9))
    np.testing.assert_allclose(box(x, y, 0.8), free(x, y, 0.8), rtol=0, atol=1e-13)


def test_rotating_blob_solves_its_equation():
    omega, nu, h = 1.3, 0.02, 1e-3
    u = moving_gaussian(0.4, start=(1.0, 0.2), diffusivity=nu, angular_velocity=omega, centre=(0.1, 0.0))
    x, y = np.meshgrid(np.linspace(-1, 1.5, 11), np.linspace(-1, 1.5, 11))
    u_t = (u(x, y, 0.7 + h) - u(x, y, 0.7 - h)) / 2 / h
    u_x, u_y = (u(x + h, y, 0.7) - u(x - h, y, 0.7)) / 2 / h, (u(x, y + h, 0.7) - u(x, y - h, 0.7)) / 2 / h
    around = u(x + h, y, 0.7) + u(x - h, y, 0.7) + u(x, y + h, 0.7) + u(x, y - h, 0.7) - 4 * u(x, y, 0.7)
    residual = u_t - omega * y * u_x + omega * (x - 0.1) * u_y - nu * around / h**2
    assert np.abs(residual).max() < 3e-5
    assert np.abs(u_t).max() > 0.5
    still = moving_gaussian(0.4, start=(1.0, 0.2), angular_velocity=omega, centre=(0.1, 0.0))
    turned = rotation(lambda x, y: still(x, y, 0.0), omega, centre=(0.1, 0.0))
    np.testing.assert_allclose(turned(x, y, 0.7), still(x, y, 0.7), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Interval(0.0),
        lambda: Interval(1.0, math.nan),
        lambda: coefficients(np.sin, Interval(TURN), 7),
        lambda: coefficients(lambda x: np.full_like(x, np.inf), Interval(1.0), 8),
        lambda: convection_diffusion(np.sin, period=TURN, diffusivity=-1.0),
        lambda: convection_diffusion(np.sin, period=TURN, speed=math.inf),
        lambda: convection_diffusion(np.sin, period=TURN)(0.0, -1.0),
        lambda: convection_diffusion(np.sin, period=TURN)(math.nan, 1.0),
        lambda: convection_diffusion(np.sin, period=TURN)([0.0, 1.0], [1.0, 2.0, 3.0]),
        lambda: convection_diffusion_2d(np.multiply, period=(1.0, 1.0), samples=3),
        lambda: convection_diffusion_2d(np.multiply, period=(1.0, 1.0))(0.0, 0.0, -1.0),
        lambda: rotation(np.multiply, math.nan),
        lambda: moving_gaussian(0.0, start=(0.0, 0.0)),
        lambda: moving_gaussian(1.0, start=(0.0, 0.0), speed=(1.0, 0.0), angular_velocity=1.0),
    ],
)
def test_refusals(build):
    with pytest.raises(SolverError, match="expected"):
        build()
