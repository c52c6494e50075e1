"""Closed forms against quasi-random samples in random settings: the benchmark's own, fewer of them."""

import runpy
from pathlib import Path

import pytest
import torch

from retrodict.physics.motion.inputs import Inputs, White
from retrodict.physics.motion.moments import propagate
from retrodict.physics.motion.state import Start
from retrodict.solvers.reference.monte_carlo import sample_moments

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "moments.py"
INTEGRATORS = ["euler", "midpoint", "hold"]


@pytest.fixture(scope="module")
def benchmark():
    return runpy.run_path(str(BENCHMARK))


def verdicts(benchmark, settings, curved, samples, seed):
    threads = torch.get_num_threads()
    try:
        return benchmark["compare"](settings, curved, samples, seed)
    finally:
        torch.set_num_threads(threads)


def test_random_settings(benchmark):
    # every law with every integrator; 2^13 points leave up to 0.9 % on a covariance where every step has its own noise
    rows = verdicts(benchmark, list(range(18)), list(range(3)), 2**13, seed=11)
    assert {r.law for r in rows} == {*benchmark["LAWS"], "curvature"}
    for row in rows:
        mean, covariance = row.exact
        assert mean < 0.5, row
        assert covariance < (0.012 if row.law.startswith("white") else 0.006), row
    # linearisation is off by more than the samples could be in most of the same settings
    assert sum(r.linear[1] > 0.05 for r in rows) >= 10


@pytest.mark.slow
def test_more_random_settings_at_the_bars_of_the_benchmark(benchmark):
    rows = verdicts(benchmark, list(range(100, 172)), list(range(20, 35)), 2**16, seed=12)
    assert [row for row in rows if row.fails(row.exact)] == []
    assert sum(row.fails(row.linear) for row in rows) > 0.3 * len(rows)


def test_the_comparison_notices_an_index_off_by_one(benchmark):
    # the variance of the step after: wrong by a few per cent at the end, and must not pass
    _, _, setting = benchmark["random_setting"](0, 5)
    sampled = sample_moments(
        setting.formulation, setting.start, setting.inputs, setting.time_step, 2**13,
        integrator=setting.integrator, lever=setting.lever,
    )  # fmt: skip
    right = benchmark["moments"](setting, "exact")
    law = setting.inputs.law
    early = type(setting)(
        setting.formulation, setting.start, Inputs(setting.inputs.mean, White(law.std.roll(1, 0) * 1.01)),
        setting.time_step, setting.integrator, setting.lever,
    )  # fmt: skip
    assert benchmark["errors"](right, sampled)[1] < 0.01
    assert benchmark["errors"](benchmark["moments"](early, "exact"), sampled)[1] > 0.01


def values(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def linked_start(speed):
    root = values(
        0.5, 0, 0, 0, 0.3, 0.4, 0, 0, 0.05, -0.04, 0.1, 0, 0.3, 0.2, -0.4, 0.5,
    ).reshape(4, 4)  # fmt: skip
    return Start(values(10, -20, 0.7, speed), root @ root.T)


def close_to_samples(exact, sampled, tolerance, errors=0.1):
    assert bool(((exact.mean - sampled.mean).abs() <= errors * sampled.standard_error + 1e-12).all())
    off = torch.linalg.matrix_norm(exact.covariance - sampled.covariance)
    assert bool((off <= tolerance * torch.linalg.matrix_norm(sampled.covariance)).all())


@pytest.mark.parametrize(
    ("integrator", "lever", "speed"),
    [("euler", 0.0, 8.0), ("euler", 1.6, -5.0), ("midpoint", 1.6, 0.0), ("midpoint", 0.0, -5.0), ("hold", 1.6, 8.0)],
)
def test_random_curvature_with_a_lever_and_a_linked_start(integrator, lever, speed):
    steps = 20
    inputs = Inputs(values(0.3, 0.05).expand(steps, 2), White(values(1.5, 0.08).expand(steps, 2)))
    start = linked_start(speed)
    exact = propagate("acceleration-curvature", start, inputs, 0.1, integrator=integrator, lever=lever)
    sampled = sample_moments(
        "acceleration-curvature", start, inputs, 0.1, 2**13, integrator=integrator, lever=lever, seed=4
    )
    close_to_samples(exact, sampled, 0.008)


@pytest.mark.parametrize("formulation", ["acceleration-yaw-rate", "acceleration-curvature"])
def test_the_hold_rule_is_what_substeps_approach(formulation):
    # the sampler divides every step, so that the quadrature within a step is not shared
    steps = 12
    scale = 0.06 if formulation == "acceleration-curvature" else 0.4
    inputs = Inputs(values(0.5, scale).expand(steps, 2), White(values(1.0, scale).expand(steps, 2)))
    start = linked_start(7.0)
    exact = propagate(formulation, start, inputs, 0.2, integrator="hold")
    options = {"samples": 2**11, "integrator": "midpoint", "seed": 6}
    fine = sample_moments(formulation, start, inputs, 0.2, substeps=8, **options)
    # the same points through hold steps: what is left is the rule alone
    held = sample_moments(formulation, start, inputs, 0.2, **(options | {"integrator": "hold"}))
    torch.testing.assert_close(held.mean, fine.mean, rtol=0, atol=5e-4)
    torch.testing.assert_close(held.covariance, fine.covariance, rtol=2e-4, atol=2e-3)
    close_to_samples(exact, held, 0.03)


@pytest.mark.parametrize("formulation", ["velocity", "acceleration", "speed-heading"])
def test_formulations_with_given_motion(formulation):
    inputs = Inputs(values(3.0, 0.4).expand(25, 2), White(values(1.0, 0.7).expand(25, 2), values(0.5).expand(25)))
    start = linked_start(2.0)
    integrator = "midpoint" if formulation == "acceleration" else "euler"
    exact = propagate(formulation, start, inputs, 0.1, integrator=integrator)
    sampled = sample_moments(formulation, start, inputs, 0.1, 2**13, integrator=integrator)
    # the points are ordered for inputs that are integrated once more than speed and heading are
    close_to_samples(exact, sampled, 0.012, errors=0.1 if formulation != "speed-heading" else 1.0)
