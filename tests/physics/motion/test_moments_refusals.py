import pytest
import torch

from retrodict.physics.errors import ConfigError, SpaceError
from retrodict.physics.motion.forecast import forecast
from retrodict.physics.motion.inputs import Autoregressive, Constant, Dense, Inputs, White, decay_to_time_constant
from retrodict.physics.motion.integrators import rule
from retrodict.physics.motion.kinematics import unroll
from retrodict.physics.motion.moments import propagate
from retrodict.physics.motion.state import Start

START = Start(torch.zeros(4))
WHITE = Inputs(torch.zeros(3, 2), White(torch.ones(3, 2)))
LINKED = Inputs(torch.zeros(3, 2), White(torch.ones(3, 2), torch.zeros(3)))
SMOOTH = Inputs(torch.zeros(3, 2), Autoregressive(torch.ones(2), torch.ones(2)))


@pytest.mark.parametrize(
    ("formulation", "inputs", "options", "message"),
    [
        ("bicycle", WHITE, {}, r"formulation: got 'bicycle', expected one of \['acceleration', "),
        ("velocity", WHITE, {"mode": "ekf"}, r"mode: got 'ekf', expected one of \('exact', 'linear', 'diagonal'\)"),
        ("acceleration", WHITE, {"integrator": "rk4"}, r"integrator: got 'rk4', expected one of \['euler', "),
        ("velocity", WHITE, {"lever": 1.0}, r"lever: got 1.0 with velocity, exact"),
        ("acceleration-yaw-rate", WHITE, {"lever": 1.0, "mode": "diagonal"}, r"lever: got 1.0 with acceleration-yaw"),
        ("acceleration-steering", WHITE, {}, r"wheelbase: got None, expected the distance between the axles"),
        ("acceleration-steering", WHITE, {"wheelbase": -1.0}, r"wheelbase: got -1.0, expected a positive number"),
        (
            "acceleration-steering", WHITE, {"wheelbase": 2.5, "steering_limit": 2.0},
            r"steering limit: got 2.0, expected an angle in \(0, pi/2\) rad",
        ),
        ("acceleration-steering", SMOOTH, {"wheelbase": 2.5}, r"steering inputs: got Autoregressive, expected a White"),
        ("acceleration-curvature", SMOOTH, {}, r"exact moments with random curvature: got Autoregressive, expected"),
        ("acceleration-curvature", LINKED, {}, r"got White with correlated channels, expected White inputs"),
    ],
)  # fmt: skip
def test_combinations_without_meaning(formulation, inputs, options, message):
    with pytest.raises(ConfigError, match=message):
        propagate(formulation, START, inputs, 0.1, **options)


@pytest.mark.parametrize("dt", [0.0, -0.1, torch.full((4,), 0.1), torch.tensor([0.1, 0.0, 0.1]), float("nan")])
def test_wrong_steps(dt):
    with pytest.raises(SpaceError, match=r"time_step: got .*, expected a positive number of seconds, or 3 of them"):
        propagate("velocity", START, WHITE, dt)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Start(torch.zeros(5)), r"Start.mean: got \(5,\), expected shape \(..., 4\)"),
        (lambda: Start(torch.zeros(())), r"Start.mean: got \(\), expected"),
        (lambda: Start(torch.zeros(4, dtype=torch.int64)), r"Start.mean: got torch.int64, expected a floating-point"),
        (lambda: Start(torch.zeros(4), torch.zeros(4)), r"Start.covariance: got \(4,\), expected shape \(..., 4, 4\)"),
        (lambda: Inputs(torch.zeros(3), White(torch.ones(3, 2))), r"Inputs.mean: got \(3,\), expected shape"),
        (lambda: Inputs(torch.zeros(0, 2), White(torch.ones(0, 2))), r"Inputs.mean: got \(0, 2\), .* T >= 1"),
        (lambda: Inputs(torch.ones(3, 2).int(), White(torch.ones(3, 2))), r"Inputs.mean: got torch.int32"),
        (lambda: Inputs(torch.zeros(3, 2), White(torch.ones(4, 2))), r"White.std: got \(4, 2\), expected .* 3, 2\)"),
        (lambda: Inputs(torch.zeros(3, 2), Constant(torch.ones(3))), r"Constant.std: got \(3,\), expected"),
        (lambda: Inputs(torch.zeros(3, 2), Autoregressive(torch.ones(1), torch.ones(1))), r"Autoregressive.std: got"),
        (lambda: decay_to_time_constant(torch.tensor(1.0), 0.1), r"rho: got 1.0, expected coefficients in \(0, 1\)"),
        (lambda: decay_to_time_constant(torch.tensor(-0.2), 0.1), r"rho: got"),
    ],
)
def test_wrong_shapes(build, message):
    with pytest.raises(SpaceError, match=message):
        build()


def test_a_dense_law_of_another_horizon():
    inputs = Inputs(torch.zeros(3, 2), Dense(torch.zeros(2, 2, 4, 4)))
    with pytest.raises(SpaceError, match=r"Dense.covariance: got \(2, 2, 4, 4\), expected shape \(..., 2, 2, 3, 3\)"):
        propagate("acceleration-yaw-rate", START, inputs, 0.1)


def test_forecasts_refuse_other_states():
    ones = torch.ones(2)
    with pytest.raises(SpaceError, match=r"forecast: got mean \(5,\), covariance \(6, 6\)"):
        forecast(torch.zeros(5), torch.eye(6), ones, ones, 3, 0.1)
    with pytest.raises(SpaceError, match=r"time_constant: got .* expected two positive times"):
        forecast(torch.zeros(6), torch.eye(6), ones, torch.tensor([1.0, 0.0]), 3, 0.1)


def test_unrolling_refuses_what_propagating_refuses():
    path, dt = torch.zeros(3, 2), torch.ones(3)
    with pytest.raises(ConfigError, match="formulation: got 'bicycle'"):
        unroll("bicycle", torch.zeros(4), path, dt)
    with pytest.raises(ConfigError, match="integrator: got 'heun'"):
        unroll("velocity", torch.zeros(4), path, dt, integrator="heun")
    with pytest.raises(ConfigError, match="wheelbase: got None"):
        unroll("acceleration-steering", torch.zeros(4), path, dt)
    with pytest.raises(ConfigError, match="integrator: got ''"):
        rule("")
