import math

import pytest
import torch

from retrodict.physics.errors import ConfigError, SpaceError
from retrodict.physics.motion.kinematics import unroll
from retrodict.physics.motion.vehicle import (
    VEHICLES,
    Vehicle,
    limited_acceleration,
    limited_steering_rate,
    single_track,
)


def values(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def test_published_right_hand_side_of_the_bmw():
    state = values(3.9579422297936526, 0.0391650102771405, 0.0378491427211811, 16.3546957860883566, 0.0294717351052816)
    rate = single_track(state, values(0.15, 0.63 * 9.81), VEHICLES["BMW 320i"])
    published = values(16.3475935934250209, 0.4819314886013121, 0.15, 5.1464424102339752, 0.2401426578627629)
    torch.testing.assert_close(rate, published, rtol=1e-13, atol=1e-13)


# right-hand sides of commonroad-vehicle-models 3.0.2, rear axle and centre of gravity: x', y', psi' of both,
# then steering rate and acceleration, which they share
PEER = [
    (
        "Ford Escort", (1.0, 2.0, 0.3, 12.5, -0.4), (0.5, 7.0), (0.4, 4.3746),
        (11.513262425036064, -4.867729278858132, 1.61605526861941),
        (12.23222370308656, -2.5734613417821675, 1.586161759136423),
    ),
    (
        "BMW 320i", (0.0, 0.0, -0.6, -3.0, 2.0), (-0.2, -20.0), (-0.2, -11.5),
        (1.2484405096414273, -2.727892280477045, 0.7958432813335437),
        (0.20477992627899377, -2.9930027032719453, 0.744577225843365),
    ),
    (
        "VW Vanagon", (5.0, -1.0, 1.1, 41.8, 0.7), (0.1, 1.0), (0.0, 0.0),
        (31.97040342849162, 26.928299326535484, 33.22384538424811),
        (2.5472171105230856, 41.72231639053443, 22.91211222843261),
    ),
    (
        "VW Vanagon", (5.0, -1.0, -1.1, -11.5, 0.7), (-0.1, -1.0), (0.0, 0.0),
        (-8.795685153771618, -7.408503403233446, 9.14053162485295),
        (-11.430721753969522, 1.2603968356545168, 6.303571546099881),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "state", "control", "driven", "rear", "gravity"), PEER)
def test_right_hand_sides_of_the_peer(name, state, control, driven, rear, gravity):
    for reference, (x, y, psi) in (("rear axle", rear), ("centre of gravity", gravity)):
        rate = single_track(values(*state), values(*control), VEHICLES[name], reference=reference)
        torch.testing.assert_close(rate, values(x, y, *driven, psi), rtol=1e-13, atol=1e-13)


def test_parameters_of_the_three_vehicles():
    facts = {name: (v.wheelbase, v.steering_limit, v.v_switch, v.v_max) for name, v in VEHICLES.items()}
    assert facts == {
        "Ford Escort": (pytest.approx(2.39268, abs=1e-12), 0.91, 4.755, 45.8),
        "BMW 320i": (pytest.approx(2.5789128, abs=1e-12), 1.066, 7.319, 50.8),
        "VW Vanagon": (pytest.approx(2.471928, abs=1e-12), 1.023, 7.824, 41.7),
    }
    assert {(v.steering_rate_limit, v.a_max) for v in VEHICLES.values()} == {(0.4, 11.5)}


@pytest.mark.parametrize("reference", ["rear axle", "centre of gravity"])
def test_a_batch_is_its_members_one_by_one(reference):
    generator = torch.Generator().manual_seed(0)
    states = 3 * torch.randn((5, 7, 5), generator=generator, dtype=torch.float64)
    controls = 10 * torch.randn((7, 2), generator=generator, dtype=torch.float64)
    together = single_track(states, controls, VEHICLES["BMW 320i"], reference=reference)
    assert together.shape == (5, 7, 5)
    for i in range(5):
        for j in range(7):
            alone = single_track(states[i, j], controls[j], VEHICLES["BMW 320i"], reference=reference)
            torch.testing.assert_close(together[i, j], alone, rtol=1e-14, atol=1e-14)


def test_the_acceleration_is_cut_by_power_above_the_switching_speed():
    car = VEHICLES["BMW 320i"]
    speed = torch.linspace(-13.0, 50.0, 64, dtype=torch.float64)
    cut = limited_acceleration(speed, torch.full_like(speed, 100.0), car)
    by_hand = [11.5 if v <= 7.319 else 11.5 * 7.319 / v for v in speed.tolist()]
    assert cut.tolist() == pytest.approx(by_hand, rel=1e-14)
    # braking does not depend on the engine
    assert limited_acceleration(speed, torch.full_like(speed, -100.0), car).tolist() == [-11.5] * 64


def test_the_stops_hold_and_let_go():
    car = VEHICLES["Ford Escort"]
    angle = values(0.91, 0.91, -0.91, -0.91, 0.0)
    rate = values(0.1, -0.1, -0.1, 0.1, -9.0)
    assert limited_steering_rate(angle, rate, car).tolist() == [0.0, -0.1, 0.0, 0.1, -0.4]
    speed, asked = values(45.8, 45.8, -13.9, -13.9), values(1.0, -1.0, -1.0, 1.0)
    assert limited_acceleration(speed, asked, car).tolist() == [0.0, -1.0, 0.0, 1.0]


def test_the_right_hand_side_drives_the_same_path_as_the_steering_formulation():
    # small steps of the equations against the closed steps with inputs held: constant angle and acceleration
    car = VEHICLES["BMW 320i"]
    state, control, dt = values(0.0, 0.0, 0.2, 3.0, 0.4), values(0.0, 0.5), 1e-3
    for _ in range(2000):
        middle = state + 0.5 * dt * single_track(state, control, car)
        state = state + dt * single_track(middle, control, car)
    inputs = values(0.5, 0.2).expand(20, 2)
    path = unroll(
        "acceleration-steering", values(0.0, 0.0, 0.4, 3.0), inputs, values(0.1).expand(20),
        integrator="hold", wheelbase=car.wheelbase,
    )  # fmt: skip
    torch.testing.assert_close(state[[0, 1, 4, 3]], path[-1], rtol=1e-6, atol=1e-6)


def test_the_centre_of_gravity_moves_with_the_rear_axle():
    # rigid body: the point `rear` metres ahead of the rear axle, its speed v / cos(beta)
    car, angle, speed, heading = VEHICLES["VW Vanagon"], 0.35, 6.0, 0.8
    beta = math.atan(math.tan(angle) * car.rear / car.wheelbase)
    control = values(0.0, 0.0)
    rear = single_track(values(0.0, 0.0, angle, speed, heading), control, car)
    gravity = single_track(
        values(0.0, 0.0, angle, speed / math.cos(beta), heading), control, car, reference="centre of gravity"
    )
    carried = rear[:2] + car.rear * rear[4] * values(-math.sin(heading), math.cos(heading))
    torch.testing.assert_close(gravity[:2], carried, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(gravity[4], rear[4], rtol=1e-13, atol=1e-13)


def test_gradients_match_central_differences_off_the_limits():
    state = values(1.0, 2.0, 0.3, 4.0, -0.4).requires_grad_()
    control = values(0.1, 0.5).requires_grad_()
    for reference in ("rear axle", "centre of gravity"):
        assert torch.autograd.gradcheck(
            lambda s, u, r=reference: single_track(s, u, VEHICLES["Ford Escort"], reference=r), (state, control)
        )


def test_refusals_name_what_is_wrong():
    with pytest.raises(SpaceError, match=r"single_track: got state \(4,\)"):
        single_track(values(0, 0, 0, 0), values(0, 0), VEHICLES["BMW 320i"])
    with pytest.raises(ConfigError, match="reference: got 'front axle'"):
        single_track(values(0, 0, 0, 0, 0), values(0, 0), VEHICLES["BMW 320i"], reference="front axle")
    with pytest.raises(ConfigError, match=r"Vehicle.a_max: got -1.0, expected a positive number"):
        Vehicle(1.0, 1.0, 0.5, 0.4, -10.0, 40.0, 7.0, -1.0)
    with pytest.raises(ConfigError, match=r"Vehicle.v_min: got 3.0, expected a negative speed"):
        Vehicle(1.0, 1.0, 0.5, 0.4, 3.0, 40.0, 7.0, 11.5)
