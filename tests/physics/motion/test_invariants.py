"""What any law of motion obeys: turning, shifting, mirroring, continuity, splitting, refining."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retrodict.physics.motion.inputs import Autoregressive, Constant, Inputs, White
from retrodict.physics.motion.moments import propagate
from retrodict.physics.motion.state import Start

STEPS = 15
POLAR = ["acceleration-yaw-rate", "acceleration-curvature"]


def values(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def drawn(seed, formulation, kind="white"):
    """Random start with all correlations, random inputs; curvatures an order smaller than yaw rates."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    root = normal(4, 4) * values(0.5, 0.5, 0.2, 0.8)[:, None]
    start = Start(normal(4) * values(30, 30, 2, 9), root @ root.T)
    scale = values(1, 0.06) if formulation == "acceleration-curvature" else values(1, 0.5)
    mean = normal(STEPS, 2) * scale
    std = normal(STEPS, 2).abs() * scale
    law = {
        "white": White(std),
        "autoregressive": Autoregressive(std[0], values(0.3, 1.7)),
        "constant": Constant(std[0], torch.tanh(normal(1))[0]),
    }[kind]
    return start, Inputs(mean, law)


CASES = st.tuples(
    st.integers(0, 10_000),
    st.sampled_from(
        [("acceleration-yaw-rate", kind) for kind in ("white", "autoregressive", "constant")]
        + [("acceleration-curvature", "white")]
    ),
    st.sampled_from(["exact", "linear"]),
    st.sampled_from(["euler", "midpoint", "hold"]),
    st.sampled_from([0.0, 1.3]),
)
many = settings(deadline=None, max_examples=40)


def run(case, change=lambda start, inputs: (start, inputs)):
    seed, (formulation, kind), mode, integrator, lever = case
    start, inputs = change(*drawn(seed, formulation, kind))
    return propagate(formulation, start, inputs, 0.1, mode=mode, integrator=integrator, lever=lever)


def close(a, b, tolerance=1e-12):
    size = b.covariance.abs().max().item() + b.displacement.abs().max().item() ** 2
    torch.testing.assert_close(a.covariance, b.covariance, rtol=tolerance, atol=tolerance * size)
    torch.testing.assert_close(a.displacement, b.displacement, rtol=tolerance, atol=10 * tolerance * (1 + size**0.5))


@many
@given(case=CASES, angle=st.floats(-math.pi, math.pi), shift=st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)))
def test_turning_and_shifting_the_start_turns_and_shifts_the_result(case, angle, shift):
    turn = torch.eye(4, dtype=torch.float64)
    turn[:2, :2] = values(math.cos(angle), -math.sin(angle), math.sin(angle), math.cos(angle)).reshape(2, 2)

    def moved(start, inputs):
        mean = turn @ start.mean + values(*shift, angle, 0)
        return Start(mean, turn @ start.covariance @ turn.T), inputs

    before, after = run(case), run(case, moved)
    R = turn[:2, :2]
    expected = type(before)(before.origin, before.displacement @ R.T, R @ before.covariance @ R.T)
    close(after, expected)
    torch.testing.assert_close(after.origin, R @ before.origin + values(*shift), rtol=1e-12, atol=1e-10)


@many
@given(case=CASES)
def test_mirror_images(case):
    mirror = values(1, -1, -1, 1)

    def reflected(start, inputs):
        law = inputs.law
        if isinstance(law, Constant):
            law = Constant(law.std, -law.correlation)
        flipped = Inputs(inputs.mean * values(1, -1), law)
        return Start(start.mean * mirror, mirror[:, None] * start.covariance * mirror), flipped

    before, after = run(case), run(case, reflected)
    flip = values(1, -1)
    close(after, type(before)(before.origin, before.displacement * flip, flip[:, None] * before.covariance * flip))


@many
@given(case=CASES)
def test_driving_backwards_is_driving_forwards_the_other_way_round(case):
    # -v with the opposite heading: the same velocity. A curvature changes its sign, and the lever points backwards.
    seed, (formulation, kind), mode, integrator, lever = case
    start, inputs = drawn(seed, formulation, kind)
    sign = values(1, 1, 1, -1)
    back = Start(start.mean * sign + values(0, 0, math.pi, 0), sign[:, None] * start.covariance * sign)
    signs = values(-1, -1 if formulation == "acceleration-curvature" else 1)
    law = inputs.law
    if isinstance(law, Constant):
        law = Constant(law.std, -law.correlation)
    reverse = Inputs(inputs.mean * signs, law)
    forward = propagate(formulation, start, inputs, 0.1, mode=mode, integrator=integrator, lever=lever)
    close(propagate(formulation, back, reverse, 0.1, mode=mode, integrator=integrator, lever=-lever), forward)


@many
@given(case=CASES)
def test_covariances_are_positive_semidefinite_at_every_step(case):
    covariance = run(case).covariance
    torch.testing.assert_close(covariance, covariance.mT, rtol=0, atol=0)
    least = torch.linalg.eigvalsh(covariance)[:, 0]
    assert bool((least >= -1e-12 * torch.linalg.matrix_norm(covariance)).all())


@pytest.mark.parametrize("lever", [0.0, 1.3])
@pytest.mark.parametrize("mode", ["exact", "linear"])
@pytest.mark.parametrize("formulation", POLAR)
@pytest.mark.parametrize("channel", ["turn", "speed"])
def test_continuous_through_zero_turn_rate_and_standstill(formulation, mode, lever, channel):
    def at(x):
        turn = values(0.0, 0.0) + values(0, 1) * x if channel == "turn" else values(0.0, 0.05)
        state = values(0, 0, 0.3, 6) if channel == "turn" else values(0, 0, 0.3, 0) + values(0, 0, 0, 1) * x
        inputs = Inputs(turn.expand(STEPS, 2), White(values(0.5, 0.05).expand(STEPS, 2)))
        start = Start(state, torch.diag(values(0.1, 0.1, 0.01, 0.2)))
        moments = propagate(formulation, start, inputs, 0.1, mode=mode, integrator="hold", lever=lever)
        return torch.cat([moments.displacement.flatten(), moments.covariance.flatten()])

    # one-sided differences from both sides, and the derivative itself along a few directions of the result
    step = 1e-5
    middle = at(0.0)
    left, right = (middle - at(-step)) / step, (at(step) - middle) / step
    torch.testing.assert_close(left, right, rtol=0, atol=1e-2)
    central = 0.5 * (left + right)
    for seed in range(3):
        weights = torch.randn(central.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        x = values(0.0)[0].requires_grad_()
        (slope,) = torch.autograd.grad((weights * at(x)).sum(), x)
        assert slope.item() == pytest.approx((weights * central).sum().item(), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("formulation", ["velocity", "acceleration"])
@given(seed=st.integers(0, 10_000), cut=st.integers(1, STEPS - 1))
@settings(deadline=None, max_examples=15)
def test_a_horizon_can_be_split_where_the_model_is_linear(formulation, seed, cut):
    start, inputs = drawn(seed, "acceleration")
    whole = propagate(formulation, start, inputs, 0.1, integrator="euler")
    dt, carry = 0.1, formulation == "acceleration"
    # the state's own recursion over the first part: p and v
    eye = torch.eye(2, dtype=torch.float64)
    zero = torch.zeros(2, 2, dtype=torch.float64)
    F = torch.cat([torch.cat([eye, dt * eye if carry else zero], 1), torch.cat([zero, eye], 1)])
    G = torch.cat([zero, dt * eye]) if carry else torch.cat([dt * eye, zero])
    mean, P = start.mean, start.covariance
    for t in range(cut):
        S = torch.diag(inputs.law.std[t] ** 2)
        mean, P = F @ mean + G @ inputs.mean[t], F @ P @ F.T + G @ S @ G.T
    rest = Inputs(inputs.mean[cut:], White(inputs.law.std[cut:]))
    later = propagate(formulation, Start(mean, P), rest, 0.1, integrator="euler")
    torch.testing.assert_close(later.mean, whole.mean[cut:], rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(later.covariance, whole.covariance[cut:], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("mode", ["exact", "linear"])
def test_splitting_an_exact_horizon_at_its_position_moments_would_be_wrong(mode):
    # what is handed over must hold the moments of position and heading together: it is not Gaussian any more
    steps, dt = 40, 0.1
    inputs = Inputs(values(0, 0).expand(steps, 2), White(values(0.0, 0.8).expand(steps, 2)))
    half = Inputs(inputs.mean[:20], White(inputs.law.std[:20]))
    start = Start(values(0, 0, 0, 10))
    whole = propagate("acceleration-yaw-rate", start, inputs, dt, mode=mode, integrator="euler")
    first = propagate("acceleration-yaw-rate", start, half, dt, mode=mode, integrator="euler")
    P = torch.zeros(4, 4, dtype=torch.float64)
    P[:2, :2], P[2, 2] = first.covariance[-1], first.heading[-1, 1]
    # exact covariance of y with the heading: E[y h] by the derivative of the phase; linear: the sum over lags
    t = torch.arange(20, dtype=torch.float64)
    h = t * (dt * 0.8) ** 2
    P[1, 2] = P[2, 1] = (dt * 10 * h * (torch.exp(-h / 2) if mode == "exact" else 1)).sum()
    joined = propagate(
        "acceleration-yaw-rate", Start(torch.cat([first.mean[-1], values(0, 10)]), P), half, dt,
        mode=mode, integrator="euler",
    )  # fmt: skip
    off = torch.linalg.matrix_norm(joined.covariance[-1] - whole.covariance[-1])
    relative = (off / torch.linalg.matrix_norm(whole.covariance[-1])).item()
    assert relative < 1e-12 if mode == "linear" else relative > 1e-3
    torch.testing.assert_close(joined.mean[-1], whole.mean[-1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("formulation", ["acceleration", *POLAR])
def test_white_noise_keeps_its_density_when_the_step_is_halved(formulation):
    def at(dt):
        steps = round(2.0 / dt)
        std = values(0.8, 0.8 if formulation == "acceleration" else 0.04) * math.sqrt(0.1 / dt)
        inputs = Inputs(values(0.3, 0.02).expand(steps, 2), White(std.expand(steps, 2)))
        return propagate(formulation, Start(values(0, 0, 0.5, 7)), inputs, dt, integrator="hold").covariance[-1]

    size = torch.linalg.matrix_norm(at(0.1))
    gaps = [(torch.linalg.matrix_norm(at(dt) - at(dt / 2)) / size).item() for dt in (0.2, 0.1)]
    assert gaps[1] < 0.003
    # held noise differs from continuous white noise at second order
    assert gaps[1] < 0.35 * gaps[0]
    doubled = at(0.1) / at(0.05) * 2  # without the scaling the variance would halve
    assert doubled[0, 0].item() == pytest.approx(2, abs=0.02)


@pytest.mark.parametrize("mode", ["exact", "linear"])
@pytest.mark.parametrize("integrator", ["midpoint", "hold"])
def test_unequal_steps_of_a_held_input_are_the_equal_ones_merged(mode, integrator):
    # a constant unknown input does not know where steps end; what is left is the quadrature within a step
    law = Constant(values(0.5, 0.08), values(0.5)[0])
    start = Start(values(0, 0, 0.3, 9), torch.diag(values(0.1, 0.1, 0.01, 0.3)))

    def at(dt):
        inputs = Inputs(values(0.4, 0.1).expand(len(dt), 2), law)
        return propagate("acceleration-yaw-rate", start, inputs, values(*dt), mode=mode, integrator=integrator)

    fine, merged = at([0.05] * 40), at([0.1, 0.3, 0.2, 0.15, 0.25, 0.4, 0.05, 0.55])
    tolerance = 1e-7 if integrator == "hold" else 5e-3
    torch.testing.assert_close(merged.displacement[-1], fine.displacement[-1], rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(merged.covariance[-1], fine.covariance[-1], rtol=tolerance, atol=tolerance)
    # heading and speed are integrated exactly by any rule
    torch.testing.assert_close(merged.heading[-1], fine.heading[-1], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(merged.speed[-1], fine.speed[-1], rtol=1e-12, atol=1e-12)
