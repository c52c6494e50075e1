"""Steering logs: truth recovered from logs driven by another solver, intervals, delay, identifiability."""

import numpy as np
import pytest

from retrodict.cases.motion_steering import Steering, _drive
from retrodict.inverse.estimators import estimate
from retrodict.inverse.motion.steering_log import SteeringLog, block_bootstrap, steering_problem, straightness
from retrodict.inverse.posterior import posterior
from retrodict.physics.errors import DataError

CONFIG = Steering(duration=60.0)
TRUTH = np.array([CONFIG.wheelbase, CONFIG.understeer, CONFIG.delay, CONFIG.bias])


def log(seed, **settings):
    return SteeringLog.of(_drive(Steering(duration=60.0, **settings), np.random.default_rng(seed)))


def fit(problem):
    result = estimate(problem)
    assert result.status.ok
    return problem.space.from_dataset(result.data)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_truth_lies_within_four_standard_deviations(seed):
    problem = steering_problem(log(seed), CONFIG.yaw_rate_noise, CONFIG.steering_noise)
    post = posterior(problem, fit(problem))
    assert np.all(np.abs(post["estimate"].values - TRUTH) < 4 * post["std"].values)
    assert post["std"].values[0] < 0.06


def test_nearly_noise_free_log_gives_the_truth_back():
    quiet = log(3, yaw_rate_noise=1e-5, steering_noise=0.0)
    at = fit(steering_problem(quiet, 1e-5))
    # what is left is the spline's error at a sample step of 0.12 s
    assert float(at["wheelbase"]) == pytest.approx(CONFIG.wheelbase, rel=2e-3)
    assert float(at["delay"]) == pytest.approx(CONFIG.delay, abs=1e-3)


@pytest.mark.slow
def test_ignoring_steering_noise_biases_the_delay():
    """Interpolation averages noise between samples; a likelihood that ignores it prefers such delays."""
    errors = []
    for seed in range(12):
        problem = steering_problem(log(seed, steering_noise=0.004), CONFIG.yaw_rate_noise, 0.004)
        errors.append(float(fit(problem)["delay"]) - CONFIG.delay)
    assert abs(np.mean(errors)) < 3 * np.std(errors) / np.sqrt(len(errors))


def test_bootstrap_and_laplace_agree_where_residuals_are_white():
    problem = steering_problem(log(5), CONFIG.yaw_rate_noise, CONFIG.steering_noise)
    at = fit(problem)
    spread = np.sqrt(np.diag(block_bootstrap(problem, at, np.random.default_rng(0))["covariance"]))
    assert spread == pytest.approx(posterior(problem, at)["std"].values, rel=0.5)


def test_a_straight_log_is_named():
    straight = SteeringLog.of(_drive(CONFIG, np.random.default_rng(0), straight=True))
    assert "not identifiable" in str(straightness(straight, CONFIG.steering_noise))
    assert straightness(log(0), CONFIG.steering_noise) is None


def test_a_parked_car_is_named():
    t = 0.1 * np.arange(100)
    parked = SteeringLog(t, 0 * t, 0 * t, 0.3 * np.sin(t))
    assert straightness(parked, 1e-3) == "not identifiable: the vehicle hardly moves"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time": np.zeros(30)}, "expected a later time"),
        ({"yaw_rate": np.full(30, np.nan)}, "SteeringLog.yaw_rate"),
        ({"speed": np.ones(29)}, "SteeringLog.speed"),
    ],
)
def test_damaged_logs_are_refused(change, message):
    good = {"time": 0.1 * np.arange(30), "speed": np.ones(30), "yaw_rate": np.ones(30), "steering": np.ones(30)}
    with pytest.raises(DataError, match=message):
        SteeringLog(**{**good, **change})


def test_a_log_shorter_than_the_delays_is_refused():
    t = 0.04 * np.arange(30)
    with pytest.raises(DataError, match="a log well over 1 s long"):
        steering_problem(SteeringLog(t, 1 + t, t, np.sin(t)), 0.01)


def test_noise_levels_are_checked():
    with pytest.raises(DataError, match="noise levels"):
        steering_problem(log(0), -0.01)
