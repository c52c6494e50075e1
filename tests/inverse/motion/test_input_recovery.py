"""Input recovery: inputs made by another integrator come back, with intervals that hold."""

import numpy as np
import pytest
import torch

from retrodict.inverse.estimators import estimate
from retrodict.inverse.motion.input_recovery import input_problem
from retrodict.inverse.posterior import posterior
from retrodict.physics.errors import DataError

DT, STEPS = 0.1, 30
SETTINGS = {"position_noise": 0.02, "heading_noise": 0.005, "std": (1.5, 0.2), "time_constant": (2.0, 2.0)}


def drive(seed, fine=50):
    """March a vehicle at 2 ms under smooth inputs; return noisy samples and the mean inputs of every step."""
    rng = np.random.default_rng(seed)
    wave = rng.uniform(0.2, 1.5, 2), rng.uniform(0, 6, 2)
    inputs = lambda t: (1.2 * np.sin(wave[0][0] * t + wave[1][0]), 0.15 * np.sin(wave[0][1] * t + wave[1][1]))  # noqa: E731
    state, samples, means, h = np.array([0.0, 0.0, 0.3, 8.0]), [], [], DT / fine
    samples.append(state.copy())
    for k in range(STEPS):
        total = np.zeros(2)
        for j in range(fine):
            a, w = inputs(k * DT + (j + 0.5) * h)
            heading, speed = state[2] + 0.5 * h * w, state[3] + 0.5 * h * a
            state = state + h * np.array([speed * np.cos(heading), speed * np.sin(heading), w, a])
            total += np.array([a, w]) / fine
        samples.append(state.copy())
        means.append(total)
    noisy = np.array(samples)
    noisy[:, :2] += SETTINGS["position_noise"] * rng.standard_normal((STEPS + 1, 2))
    noisy[:, 2] += SETTINGS["heading_noise"] * rng.standard_normal(STEPS + 1)
    return noisy, np.array(means)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_inputs_come_back_within_their_intervals(seed):
    samples, truth = drive(seed)
    problem = input_problem(samples[:, :2], samples[:, 2], DT, **SETTINGS)
    result = estimate(problem)
    assert result.status.ok
    post = posterior(problem, problem.space.from_dataset(result.data))
    found, std = (post[k].values[4:].reshape(STEPS, 2) for k in ("estimate", "std"))
    inside = np.abs(found - truth) < 1.96 * std
    # 60 intervals, strongly correlated along the track
    assert inside.mean() > 0.8
    assert np.abs(found - truth).mean(0) == pytest.approx([0.0, 0.0], abs=0.4)


@pytest.mark.slow
def test_a_gap_is_bridged_and_widens_the_interval():
    samples, _ = drive(2)
    mask = np.ones(STEPS + 1, bool)
    mask[12:18] = False
    holed = samples.copy()
    holed[~mask] = np.nan
    full, gap = (
        posterior(p, p.space.from_dataset(estimate(p).data))
        for p in (
            input_problem(samples[:, :2], samples[:, 2], DT, **SETTINGS),
            input_problem(holed[:, :2], holed[:, 2], DT, mask=mask, **SETTINGS),
        )
    )
    at = 4 + 2 * 14
    assert np.all(np.isfinite(gap["estimate"].values))
    assert gap["std"].values[at] > 1.05 * full["std"].values[at]


def test_standstill_needs_no_curvature():
    still = np.zeros((STEPS + 1, 2))
    problem = input_problem(still, np.zeros(STEPS + 1), DT, **SETTINGS)
    at = problem.space.from_dataset(estimate(problem).data)
    assert torch.as_tensor(at["inputs"]).abs().max() < 1e-6


def test_wrong_shapes_are_named():
    with pytest.raises(DataError, match="input_problem: got positions"):
        input_problem(np.zeros((5, 3)), np.zeros(5), DT, **SETTINGS)
    with pytest.raises(DataError, match="the first among them"):
        input_problem(np.zeros((5, 2)), np.zeros(5), DT, mask=np.array([False, True, True, True, True]), **SETTINGS)
