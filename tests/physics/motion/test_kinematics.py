import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retrodict.physics.motion.inputs import Inputs, White
from retrodict.physics.motion.kinematics import unroll
from retrodict.physics.motion.moments import FORMULATIONS, propagate
from retrodict.physics.motion.state import Start

DRIVEN = ["acceleration-yaw-rate", "acceleration-curvature", "acceleration-steering"]


def values(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def drive(formulation, steps, *, seconds=8.0, integrator, start=(0, 0, 0.3, 10), inputs=None, lever=0.0):
    dt = torch.full((steps,), seconds / steps, dtype=torch.float64)
    second = {"acceleration-yaw-rate": 0.3, "acceleration-curvature": 0.03, "acceleration-steering": 0.08}
    path = values(0.4, second.get(formulation, 0.2)).expand(steps, 2) if inputs is None else inputs
    return unroll(formulation, values(*start), path, dt, integrator=integrator, lever=lever, wheelbase=2.6)


@pytest.mark.parametrize("formulation", DRIVEN)
@pytest.mark.parametrize(("integrator", "order"), [("euler", 1), ("midpoint", 2), ("hold", 6)])
def test_order_of_convergence(formulation, integrator, order):
    exact = drive(formulation, 4000, integrator="hold")[-1]
    steps = (4, 8, 16, 32) if integrator == "hold" else (80, 160, 320, 640)
    errors = [(drive(formulation, n, integrator=integrator)[-1, :2] - exact[:2]).norm().item() for n in steps]
    rates = np.log2(np.divide(errors[:-1], errors[1:]))
    # the curvature of a path is that of a clothoid or sharper: the sixth order shows before rounding sets in
    assert rates[: 2 if integrator == "hold" else 3] == pytest.approx(order, abs=0.6 if integrator == "hold" else 0.06)
    # heading and speed are integrated exactly by the curved rules
    if integrator != "euler":
        torch.testing.assert_close(drive(formulation, 7, integrator=integrator)[-1, 2:], exact[2:], rtol=1e-12, atol=0)


def test_published_errors_of_a_circle():
    # 10 m/s, 0.3 rad/s, 0.1 s, after 8 s: 0.93 m with Euler steps, 0.0023 m with the midpoint
    inputs = values(0, 0.3).expand(80, 2)
    angle = 0.3 * 8
    end = 10 / 0.3 * values(math.sin(angle), 1 - math.cos(angle))
    gaps = {
        rule: (drive("acceleration-yaw-rate", 80, integrator=rule, start=(0, 0, 0, 10), inputs=inputs)[-1, :2] - end)
        .norm()
        .item()
        for rule in ("euler", "midpoint", "hold")
    }
    assert gaps["euler"] == pytest.approx(0.93, abs=0.005)
    assert gaps["midpoint"] == pytest.approx(0.0023, abs=5e-5)
    assert gaps["hold"] < 1e-10


@pytest.mark.parametrize("formulation", DRIVEN)
def test_hold_is_what_fine_substeps_approach(formulation):
    generator = torch.Generator().manual_seed(1)
    scale = {"acceleration-yaw-rate": 0.5, "acceleration-curvature": 0.05, "acceleration-steering": 0.15}[formulation]
    path = torch.randn((20, 2), generator=generator, dtype=torch.float64) * values(1, scale)
    held = drive(formulation, 20, seconds=2.0, integrator="hold", inputs=path)
    for rule, order, accuracy in (("euler", 1, 0.05), ("midpoint", 2, 1e-4)):
        errors = []
        for n in (8, 16, 32):
            fine = drive(formulation, 20 * n, seconds=2.0, integrator=rule, inputs=path.repeat_interleave(n, 0))
            errors.append((fine[n - 1 :: n, :2] - held[:, :2]).norm().item())
        assert np.log2(np.divide(errors[:-1], errors[1:])) == pytest.approx(order, abs=0.05)
        assert errors[-1] < accuracy


@settings(deadline=None, max_examples=40)
@given(
    formulation=st.sampled_from(DRIVEN),
    integrator=st.sampled_from(["euler", "midpoint", "hold"]),
    lever=st.floats(-4, 4),
    speed=st.floats(-15, 25),
    heading=st.floats(-math.pi, math.pi),
)
def test_the_reference_point_stays_its_distance_ahead_of_the_axle(formulation, integrator, lever, speed, heading):
    ahead = lever * values(math.cos(heading), math.sin(heading))
    axle = drive(formulation, 30, integrator=integrator, start=(1, -2, heading, speed))
    begin = (1 + ahead[0].item(), -2 + ahead[1].item(), heading, speed)
    point = drive(formulation, 30, integrator=integrator, start=begin, lever=lever)
    along = torch.stack([torch.cos(axle[:, 2]), torch.sin(axle[:, 2])], -1)
    torch.testing.assert_close(point[:, :2], axle[:, :2] + lever * along, rtol=1e-12, atol=1e-10)
    torch.testing.assert_close(point[:, 2:], axle[:, 2:], rtol=0, atol=0)


@pytest.mark.parametrize("lever", [0.0, 1.2])
@pytest.mark.parametrize("integrator", ["euler", "midpoint", "hold"])
@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_unrolled_inputs_are_the_moments_without_noise(formulation, integrator, lever):
    if lever and formulation not in DRIVEN:
        lever = 0.0
    inputs = 0.1 * torch.randn((12, 2), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    start = values(3, 4, 0.5, -6)
    dt = torch.linspace(0.05, 0.2, 12, dtype=torch.float64)
    path = unroll(formulation, start, inputs, dt, integrator=integrator, lever=lever, wheelbase=2.6)
    certain = Inputs(inputs, White(torch.zeros_like(inputs)))
    moments = propagate(formulation, Start(start), certain, dt, integrator=integrator, lever=lever, wheelbase=2.6)
    torch.testing.assert_close(path[:, :2], moments.mean, rtol=1e-12, atol=1e-12)
    if moments.heading is not None:
        torch.testing.assert_close(path[:, 2], moments.heading[:, 0], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(path[:, 3], moments.speed[:, 0], rtol=1e-12, atol=1e-12)


def test_position_moves_with_the_speed_and_heading_of_the_step_before():
    # p[t+1] = p[t] + dt v[t] exp(i heading[t]): an input shows in the position two steps later, not one
    inputs = torch.zeros(4, 2, dtype=torch.float64)
    inputs[1, 1] = 0.5
    path = drive("acceleration-yaw-rate", 4, seconds=4.0, integrator="euler", start=(0, 0, 0, 2), inputs=inputs)
    by_hand = torch.tensor(
        [[2, 0], [4, 0], [4 + 2 * math.cos(0.5), 2 * math.sin(0.5)], [4 + 4 * math.cos(0.5), 4 * math.sin(0.5)]],
        dtype=torch.float64,
    )
    torch.testing.assert_close(path[:, :2], by_hand, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_batches_and_gradients(formulation):
    generator = torch.Generator().manual_seed(3)
    start = torch.randn((2, 1, 4), generator=generator, dtype=torch.float64)
    inputs = 0.2 * torch.randn((3, 5, 2), generator=generator, dtype=torch.float64)
    dt = values(0.1, 0.2, 0.1, 0.3, 0.1)
    together = unroll(formulation, start, inputs, dt, lever=0.5, wheelbase=2.0)
    assert together.shape == (2, 3, 5, 4)
    for i in range(2):
        for j in range(3):
            alone = unroll(formulation, start[i, 0], inputs[j], dt, lever=0.5, wheelbase=2.0)
            torch.testing.assert_close(together[i, j], alone, rtol=1e-13, atol=1e-13)
    leaves = (start[0, 0].requires_grad_(), inputs[0].clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda s, u: unroll(formulation, s, u, dt, lever=0.5, wheelbase=2.0), leaves)
