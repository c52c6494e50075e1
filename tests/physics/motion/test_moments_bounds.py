"""Inequalities and orders of the error of linearisation, and what steering angles become."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from retrodict.physics.errors import ConfigError
from retrodict.physics.motion.inputs import Autoregressive, Constant, Inputs, White
from retrodict.physics.motion.moments import propagate
from retrodict.physics.motion.state import Start
from retrodict.physics.motion.steering import curvature_of_steering


def values(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def law(kind, std, steps):
    if kind == "white":
        return White(std.expand(steps, 2), values(0.6).expand(steps))
    if kind == "constant":
        return Constant(std, values(-0.7))
    return Autoregressive(std, values(0.8, 2.5))


@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(["white", "constant", "autoregressive"]),
    integrator=st.sampled_from(["euler", "midpoint", "hold"]),
    speed=st.floats(-15, 25),
    turn=st.floats(-0.5, 0.5),
    std=st.tuples(st.floats(0.01, 2), st.floats(0.005, 0.6)),
    link=st.floats(-0.9, 0.9),
    lever=st.sampled_from([0.0, 1.5, -0.8]),
)
def test_the_bias_of_linearisation_is_within_the_bound(kind, integrator, speed, turn, std, link, lever):
    covariance = torch.diag(values(0.1, 0.2, 0.01, 0.25))
    covariance[2, 3] = covariance[3, 2] = link * 0.05
    start = Start(values(0, 0, 0.3, speed), covariance)
    driven = Inputs(values(0.1, turn).expand(40, 2), law(kind, values(*std), 40))
    exact, linear = (
        propagate("acceleration-yaw-rate", start, driven, 0.1, mode=mode, integrator=integrator, lever=lever)
        for mode in ("exact", "linear")
    )
    gap = (exact.mean - linear.mean).norm(dim=-1)
    assert bool((gap <= exact.linear_bias * (1 + 1e-12) + 1e-12).all())
    torch.testing.assert_close(exact.linear_bias, linear.linear_bias, rtol=1e-12, atol=1e-14)


def test_the_bound_for_white_yaw_noise_in_closed_form():
    speed, std, dt, steps = 10.0, 0.3, 0.1, 80
    driven = Inputs(torch.zeros(steps, 2, dtype=torch.float64), White(values(0, std).expand(steps, 2)))
    exact = propagate("acceleration-yaw-rate", Start(values(0, 0, 0, speed)), driven, dt, integrator="euler")
    closed = speed * dt**3 * std**2 * steps * (steps - 1) / 4
    assert exact.linear_bias[-1].item() == pytest.approx(closed, rel=1e-12)


def test_a_lever_adds_half_its_length_times_the_heading_variances_to_the_bound():
    driven = Inputs(torch.zeros(5, 2, dtype=torch.float64), White(values(0, 0.3).expand(5, 2)))
    start = Start(values(0, 0, 0, 6), torch.diag(values(0, 0, 0.02, 0)))
    without, ahead = (
        propagate("acceleration-yaw-rate", start, driven, 0.1, lever=lever).linear_bias for lever in (0.0, -1.5)
    )
    spread = 0.02 + 0.03**2 * torch.arange(1, 6, dtype=torch.float64)
    torch.testing.assert_close(ahead - without, 0.75 * (spread + 0.02), rtol=1e-12, atol=1e-14)


@given(mean=st.floats(-4, 4), std=st.floats(1e-3, 1.5))
@settings(deadline=None, max_examples=80)
def test_the_mean_cosine_and_its_variance(mean, std):
    # one increment of a certain speed: the cosine of a Gaussian heading itself
    driven = Inputs(values(1, mean).expand(1, 2), White(values(0, std).expand(1, 2)))
    start = Start(values(0, 0, 0, 0))
    exact = propagate("speed-heading", start, driven, 1.0)
    assert abs(exact.mean[0, 0].item() - math.cos(mean)) <= std**2 / 2 + 1e-15
    variance = -math.expm1(-(std**2)) * (1 - math.exp(-(std**2)) * math.cos(2 * mean)) / 2
    assert exact.covariance[0, 0, 0].item() == pytest.approx(variance, rel=1e-11, abs=1e-15)


def test_orders_in_the_spread():
    # bias / s^2 and error of the covariance / s^4 tend to constants as all deviations shrink together
    bias, spread = [], []
    for scale in (0.2, 0.1, 0.05, 0.025):
        driven = Inputs(values(0.2, 0.1).expand(60, 2), White(scale * values(1.0, 0.5).expand(60, 2)))
        start = Start(values(0, 0, 0.3, 9), torch.diag(values(0.1, 0.1, 0.04, 0.25)) * scale**2)
        exact, linear = (
            propagate("acceleration-yaw-rate", start, driven, 0.1, mode=mode) for mode in ("exact", "linear")
        )
        bias.append((exact.mean - linear.mean)[-1].norm().item())
        spread.append(torch.linalg.matrix_norm(exact.covariance - linear.covariance)[-1].item())
    rates = [np.log2(np.divide(seq[:-1], seq[1:])) for seq in (bias, spread)]
    assert rates[0] == pytest.approx([2, 2, 2], abs=0.03)
    assert rates[1] == pytest.approx([4, 4, 4], abs=0.1)


@given(mean=st.floats(-0.9, 0.9), gap=st.floats(-0.9, 0.9), limit=st.floats(0.95, 1.3))
def test_the_remainder_of_the_tangent_is_within_its_bound(mean, gap, limit):
    end = min(max(mean + gap, -limit), limit)
    centre, slope = curvature_of_steering(values(mean), values(1.0), 1.0, limit, exact=False)
    remainder = math.tan(end) - centre.item() - slope.item() * (end - mean)
    steepest = max(abs(math.tan(x)) / math.cos(x) ** 2 for x in np.linspace(mean, end, 400))
    assert abs(remainder) <= (end - mean) ** 2 * steepest * (1 + 1e-3) + 1e-14


def limited_moments(mean, std, limit):
    """Mean and standard deviation of the tangent of a Gaussian angle held within its limit, by adaptive quadrature."""

    def density(x):
        return math.exp(-(((x - mean) / std) ** 2) / 2) / (std * math.sqrt(2 * math.pi))

    def tail(at):
        return 0.5 * math.erfc(at / math.sqrt(2))

    moments = []
    for power in (1, 2):
        inner = quad(lambda x, p=power: math.tan(x) ** p * density(x), -limit, limit, points=[mean], epsabs=1e-13)[0]
        upper = math.tan(limit) ** power * tail((limit - mean) / std)
        lower = (-math.tan(limit)) ** power * tail((limit + mean) / std)
        moments.append(inner + upper + lower)
    return moments[0], math.sqrt(moments[1] - moments[0] ** 2)


# the last column is what nine nodes leave when the limit, a kink, lies within three deviations
@pytest.mark.parametrize(
    ("mean", "std", "limit", "accuracy"),
    [
        (0.3, 0.02, 1.0, 1e-12),
        (-0.3, 0.05, 1.0, 1e-12),
        (0.3, 0.1, 1.0, 1e-11),
        (0.0, 0.15, 1.0, 1e-11),
        (0.6, 0.3, 0.7, 0.02),
    ],
)
def test_the_curvature_of_a_steering_angle_is_the_quadrature(mean, std, limit, accuracy):
    wheelbase = 2.6
    reference = limited_moments(mean, std, limit)
    ours = curvature_of_steering(values(mean), values(std), wheelbase, limit)
    assert ours[0].item() * wheelbase == pytest.approx(reference[0], rel=accuracy, abs=accuracy * reference[1])
    assert ours[1].item() * wheelbase == pytest.approx(reference[1], rel=5 * accuracy)
    if std >= 0.1 and mean:
        linear = curvature_of_steering(values(mean), values(std), wheelbase, limit, exact=False)
        assert abs(linear[1] * wheelbase - reference[1]) > abs(ours[1] * wheelbase - reference[1])


def test_a_limited_steering_angle_against_its_own_simulation():
    # 0.3 +- 0.1 rad: the curvature's own mean matters by half a metre and more
    driven = Inputs(values(0, 0.3).expand(80, 2), White(values(0.3, 0.1).expand(80, 2)))
    start, wheelbase, limit = Start(values(0, 0, 0, 5)), 2.6, 0.9
    engine = torch.Generator().manual_seed(5)
    noise = torch.randn((2**14, 80, 2), generator=engine, dtype=torch.float64)
    noise = torch.cat([noise, -noise])
    kappa = torch.tan((0.3 + 0.1 * noise[..., 1]).clamp(-limit, limit)) / wheelbase
    v = 5 + 0.1 * torch.cumsum(0.3 * noise[..., 0], 1) - 0.03 * noise[..., 0]
    turn = 0.1 * v * kappa
    heading = torch.cumsum(turn, 1) - turn
    end = 0.1 * torch.stack([v * torch.cos(heading), v * torch.sin(heading)], -1).sum(1)
    error = end.std(0) / 2**7.5
    gaps = {
        mode: propagate(
            "acceleration-steering", start, driven, 0.1,
            mode=mode, integrator="euler", wheelbase=wheelbase, steering_limit=limit,
        ).mean[-1] - end.mean(0)
        for mode in ("exact", "linear")
    }  # fmt: skip
    assert bool((gaps["exact"].abs() < 4 * error).all())
    assert gaps["linear"].norm().item() > 20 * error.max().item()


@pytest.mark.parametrize(("wheelbase", "limit"), [(0.0, 1.0), (-2.0, 1.0), (math.inf, 1.0), (2.5, 0.0), (2.5, 1.6)])
def test_impossible_geometry_is_refused(wheelbase, limit):
    with pytest.raises(ConfigError, match=r"wheelbase: got|steering limit: got"):
        curvature_of_steering(values(0.1), values(0.1), wheelbase, limit)
