import math

import pytest
import torch

from retrodict.physics.motion.inputs import Autoregressive, Constant, Dense, Inputs, White
from retrodict.physics.motion.integrators import INTEGRATORS
from retrodict.physics.motion.kinematics import unroll
from retrodict.physics.motion.moments import FORMULATIONS, MODES, propagate
from retrodict.physics.motion.state import Start


def values(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def white(mean, std, steps=80):
    return Inputs(values(*mean).expand(steps, 2), White(values(*std).expand(steps, 2)))


def second_moments(moments):
    mean, covariance = moments.displacement[-1], moments.covariance[-1]
    return mean.norm().item(), (covariance.diagonal().sum() + (mean**2).sum()).item()


# the numbers of the specification, and the closed forms at other noise levels and horizons
@pytest.mark.parametrize(("speed", "std", "steps"), [(7.0, 0.8, 80), (7.0, 0.05, 80), (-3.0, 2.0, 17), (12.0, 0.3, 1)])
def test_constant_speed_with_white_yaw_noise(speed, std, steps):
    dt = 0.1
    moments = propagate(
        "acceleration-yaw-rate", Start(values(0, 0, 0.7, speed)), white((0, 0), (0, std), steps), dt, integrator="euler"
    )
    distance, square = second_moments(moments)
    lost = -math.expm1(-(std**2) * dt**2 / 2)  # 1 - q without cancellation
    q = 1 - lost
    fading = -math.expm1(-steps * std**2 * dt**2 / 2)  # 1 - q^T
    assert distance == pytest.approx(abs(speed) * dt * fading / lost, rel=1e-12)
    closed = speed**2 * dt**2 * (steps * (1 + q) / lost - 2 * q * fading / lost**2)
    assert square == pytest.approx(closed, rel=1e-11 if std < 0.1 else 1e-12)
    if (speed, std) == (7.0, 0.8):
        assert square == pytest.approx(2884.719958796846, rel=1e-12)
        assert distance == pytest.approx(49.48553679777692, rel=1e-12)


def test_acceleration_components_closed_forms_and_their_ratio():
    dt, std, steps = 0.1, 1.3, 80
    driven = white((0.2, -0.1), (std, std))
    full, diagonal = (
        propagate("acceleration", Start(values(0, 0, 3, 4)), driven, dt, mode=mode, integrator="euler").covariance
        for mode in ("exact", "diagonal")
    )
    for t in range(1, steps + 1):
        exact = dt**4 * std**2 * (t - 1) * t * (2 * t - 1) / 6
        adding = dt**4 * std**2 * t * (t - 1) / 2
        for axis in (0, 1):
            assert full[t - 1, axis, axis].item() == pytest.approx(exact, rel=1e-12, abs=1e-15)
            assert diagonal[t - 1, axis, axis].item() == pytest.approx(adding, rel=1e-12, abs=1e-15)
    ratio = (full[-1, 0, 0] / diagonal[-1, 0, 0]).sqrt().item()
    assert ratio == pytest.approx(math.sqrt((2 * steps - 1) / 3), rel=1e-12)
    assert ratio == pytest.approx(7.2801, abs=5e-5)


@pytest.mark.parametrize("integrator", INTEGRATORS)
def test_acceleration_components_are_the_matrix_recursion(integrator):
    # P <- F P F' + G S G' of the specification, correlated inputs and start, unequal steps
    generator = torch.Generator().manual_seed(4)
    root = torch.randn((4, 4), generator=generator, dtype=torch.float64)
    P = root @ root.T
    state = values(1, 2, 3, -4)
    steps = 0.05 + 0.1 * torch.rand(12, generator=generator, dtype=torch.float64)
    mean = torch.randn((12, 2), generator=generator, dtype=torch.float64)
    law = White(values(0.7, 1.2).expand(12, 2), values(0.4).expand(12))
    moments = propagate("acceleration", Start(state, P), Inputs(mean, law), steps, integrator=integrator)
    S = torch.tensor([[0.49, 0.4 * 0.84], [0.4 * 0.84, 1.44]], dtype=torch.float64)
    eye = torch.eye(2, dtype=torch.float64)
    for t, dt in enumerate(steps.tolist()):
        F = torch.cat([torch.cat([eye, dt * eye], 1), torch.cat([0 * eye, eye], 1)])
        half = 0.0 if integrator == "euler" else 0.5 * dt**2
        G = torch.cat([half * eye, dt * eye])
        state, P = F @ state + G @ mean[t], F @ P @ F.T + G @ S @ G.T
        torch.testing.assert_close(moments.mean[t], state[:2], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(moments.covariance[t], P[:2, :2], rtol=1e-12, atol=1e-12)


def test_velocity_components_add_up():
    rho, dt = values(0.3).expand(9), 0.2
    std = torch.linspace(0.1, 0.9, 18, dtype=torch.float64).reshape(9, 2)
    driven = Inputs(values(2, -1).expand(9, 2), White(std, rho))
    moments = propagate("velocity", Start(values(5, 6, 0, 0)), driven, dt)
    cross = rho * std[:, 0] * std[:, 1]
    by_hand = torch.stack([std[:, 0] ** 2, cross, cross, std[:, 1] ** 2], -1).reshape(9, 2, 2).cumsum(0) * dt**2
    torch.testing.assert_close(moments.covariance, by_hand, rtol=1e-13, atol=1e-15)
    k = torch.arange(1, 10, dtype=torch.float64)[:, None]
    torch.testing.assert_close(moments.mean, values(5, 6) + k * dt * values(2, -1), rtol=1e-13, atol=1e-13)
    adding = propagate("velocity", Start(values(5, 6, 0, 0)), driven, dt, mode="diagonal").covariance
    torch.testing.assert_close(adding, torch.diag_embed(by_hand.diagonal(dim1=-2, dim2=-1)), rtol=1e-13, atol=1e-15)


def random_headings(seed):
    generator = torch.Generator().manual_seed(seed)
    speed = 10 + torch.randn(20, generator=generator, dtype=torch.float64)
    heading = torch.randn(20, generator=generator, dtype=torch.float64)
    std = 0.05 + 0.8 * torch.rand((20, 2), generator=generator, dtype=torch.float64)
    return speed, heading, std


@pytest.mark.parametrize("seed", range(4))
def test_speed_and_heading_formulas(seed):
    dt = 0.1
    s, th, std = random_headings(seed)
    vs, vth = std[:, 0] ** 2, std[:, 1] ** 2
    start, driven = Start(values(0, 0, 0, 0)), Inputs(torch.stack([s, th], -1), White(std))
    c, n = torch.cos(th), torch.sin(th)
    linear = propagate("speed-heading", start, driven, dt, mode="linear")
    xx = c**2 * vs + n**2 * vth * s**2 + n**2 * vs * vth
    yy = n**2 * vs + c**2 * vth * s**2 + c**2 * vs * vth
    xy = c * n * (vs - s**2 * vth - vs * vth)
    by_hand = torch.stack([xx, xy, xy, yy], -1).reshape(20, 2, 2).cumsum(0) * dt**2
    torch.testing.assert_close(linear.covariance, by_hand, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(linear.displacement, (dt * s * torch.stack([c, n])).T.cumsum(0), rtol=1e-12, atol=1e-13)
    diagonal = propagate("speed-heading", start, driven, dt, mode="diagonal")
    torch.testing.assert_close(diagonal.covariance.diagonal(dim1=-2, dim2=-1), by_hand.diagonal(dim1=-2, dim2=-1))
    q1, q4, m2 = torch.exp(-vth / 2), torch.exp(-2 * vth), s**2 + vs
    mean = torch.stack([s * q1 * c, s * q1 * n], -1)
    cc, nn = m2 * (1 + q4 * torch.cos(2 * th)) / 2, m2 * (1 - q4 * torch.cos(2 * th)) / 2
    cn = m2 * q4 * torch.sin(2 * th) / 2
    raw = torch.stack([cc, cn, cn, nn], -1).reshape(20, 2, 2) - mean[:, :, None] * mean[:, None, :]
    exact = propagate("speed-heading", start, driven, dt)
    torch.testing.assert_close(exact.covariance, raw.cumsum(0) * dt**2, rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(exact.displacement, mean.cumsum(0) * dt, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("std", "bias", "exact_x", "linear_x"),
    [
        (0.05, 0.10, 0.841, 0.842),
        (0.1, 0.40, 0.893, 0.895),
        (0.3, 3.52, 1.372, 1.335),
        (0.6, 13.2, 2.598, 2.256),
    ],
)
def test_published_bias_for_speed_and_heading(std, bias, exact_x, linear_x):
    driven = white((10, 0.4), (1, std))
    exact, linear = (propagate("speed-heading", Start(values(0, 0, 0, 0)), driven, 0.1, mode=m) for m in MODES[:2])
    assert (exact.mean - linear.mean)[-1].norm().item() == pytest.approx(bias, rel=0.006)
    assert exact.covariance[-1, 0, 0].sqrt().item() == pytest.approx(exact_x, abs=6e-4)
    assert linear.covariance[-1, 0, 0].sqrt().item() == pytest.approx(linear_x, abs=6e-4)


LAWS = {
    "white": lambda s: White(s.expand(10, 2)),
    "autoregressive": lambda s: Autoregressive(s, values(1.0, 1.0)),
    "constant": Constant,
    "dense": lambda s: Dense(s.sum() * torch.eye(20, dtype=torch.float64).reshape(2, 10, 2, 10).permute(0, 2, 1, 3)),
}


# no closed form for other laws where steering or a random curvature is exact
COMBINATIONS = [
    (formulation, mode, law)
    for formulation in FORMULATIONS
    for mode in MODES
    for law in LAWS
    if law == "white"
    or not (formulation == "acceleration-steering" or (formulation == "acceleration-curvature" and mode == "exact"))
]


@pytest.mark.parametrize(("formulation", "mode", "law"), COMBINATIONS)
def test_without_noise_the_covariance_is_zero_and_gradients_are_finite(formulation, mode, law):
    start = values(3, -2, 0.4, 5).requires_grad_()
    mean = values(0.5, 0.05).expand(10, 2).clone().requires_grad_()
    std = values(0.0, 0.0).requires_grad_()
    moments = propagate(
        formulation, Start(start), Inputs(mean, LAWS[law](std)), 0.1, mode=mode, integrator="euler", wheelbase=2.5
    )
    if mode == "exact" and formulation in ("acceleration-curvature", "acceleration-steering"):
        # tilted messages subtract the products of means at the end: rounding of the squared distance remains
        assert bool(
            (moments.covariance.abs() <= 1e-14 * (1 + moments.displacement.norm(dim=-1) ** 2)[:, None, None]).all()
        )
    else:
        assert bool((moments.covariance == 0).all())
    with torch.no_grad():
        euler = unroll(formulation, start, mean, values(0.1).expand(10), integrator="euler", wheelbase=2.5)
    torch.testing.assert_close(moments.mean, euler[:, :2], rtol=1e-12, atol=1e-12)
    (moments.mean.sum() + moments.covariance.sum()).backward()
    for leaf in (start, mean, std):
        assert leaf.grad is not None
        assert bool(leaf.grad.isfinite().all())
