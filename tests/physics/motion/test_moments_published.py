"""The table of sampled trajectories that the suite is specified with: 80 Euler steps of 0.1 s, numbers after 8 s."""

import math

import pytest
import torch

from retrodict.physics.motion.inputs import Autoregressive, Constant, Inputs, White, decay_to_time_constant
from retrodict.physics.motion.moments import propagate
from retrodict.physics.motion.state import Start
from retrodict.solvers.reference.moment_loops import cubature_loop
from retrodict.solvers.reference.monte_carlo import sample_moments, sample_paths


def values(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def start(heading, speed, std_speed=0.0, std_heading=0.0):
    return Start(values(0, 0, heading, speed), torch.diag(values(0, 0, std_heading, std_speed) ** 2))


def inputs(acceleration, turn, law):
    return Inputs(values(acceleration, turn).expand(80, 2), law)


def white(*std):
    return White(values(*std).expand(80, 2))


SMOOTH = Autoregressive(values(1, 0.1), decay_to_time_constant(values(0.95, 0.95), 0.1))
DRIVEN = {
    "A": (start(0.3, 10), inputs(0, 0, white(1, 0.1))),
    "B": (start(0.3, 10), inputs(0, 0, white(1, 0.5))),
    "C": (start(0, 8, 0.5, 0.05), inputs(0.2, 0.2, white(1, 0.3))),
    "D": (start(0.3, 10, 0.3, 0.02), inputs(0, 0, Constant(values(0.5, 0.05)))),
    "E": (start(0, 10, 0.3, 0.02), inputs(0, 0.1, Constant(values(0.5, 0.1)))),
    "F": (start(0, 10, 0.3, 0.02), inputs(0, 0.05, SMOOTH)),
}
# case: std x, y; coverage of the nominal 90 % ellipse with exact, linear, diagonal moments; error of the linear mean
# along the worse axis; ratio of linear and of diagonal to true standard deviations, x and y
TABLE = {
    "A": ((4.08, 4.09), (0.900, 0.901, 0.042), 0.159, (1.002, 1.002), (0.138, 0.137)),
    "B": ((7.93, 18.5), (0.910, 0.781, 0.067), 3.66, (0.908, 1.057), (0.125, 0.145)),
    "C": ((9.48, 7.23), (0.900, 0.894, 0.054), 1.12, (1.018, 0.998), (0.149, 0.140)),
    "D": ((15.7, 15.8), (0.901, 0.906, 0.001), 1.95, (1.018, 1.007), (0.025, 0.021)),
    "E": ((20.0, 25.6), (0.904, 0.878, 0.001), 6.27, (1.038, 1.091), (0.023, 0.021)),
    "F": ((20.3, 20.6), (0.903, None, None), None, None, None),
}


def final(paths):
    last = torch.cat([p[:, -1, :2] for p in paths])
    return last, last.mean(0), torch.cov(last.T)


def covered(samples, mean, covariance):
    """Share of the samples in the ellipse that holds 90 % of a Gaussian."""
    gap = samples - mean
    inside = torch.einsum("ni,ij,nj->n", gap, torch.linalg.inv(covariance), gap) < -2 * math.log(0.1)
    return inside.double().mean().item()


@pytest.mark.parametrize("case", DRIVEN)
def test_exact_moments_are_the_sampled_ones(case):
    begin, driven = DRIVEN[case]
    sampled = sample_moments("acceleration-yaw-rate", begin, driven, 0.1, 2**14, seed=1)
    exact = propagate("acceleration-yaw-rate", begin, driven, 0.1, integrator="euler")
    # quasi-random points do far better than their nominal standard error: a tenth of it is a strict bar
    assert bool(((exact.mean - sampled.mean).abs() <= 0.1 * sampled.standard_error + 1e-12).all())
    size = torch.linalg.matrix_norm(sampled.covariance)
    off = torch.linalg.matrix_norm(exact.covariance - sampled.covariance)
    assert bool((off <= 0.005 * size + 1e-12).all())


@pytest.mark.parametrize("case", DRIVEN)
def test_published_numbers(case):
    begin, driven = DRIVEN[case]
    spread, coverage, linear_error, linear_ratio, diagonal_ratio = TABLE[case]
    samples, mean, covariance = final(sample_paths("acceleration-yaw-rate", begin, driven, 0.1, 2**15, seed=2))
    true = covariance.diagonal().sqrt()
    ours = {
        mode: propagate("acceleration-yaw-rate", begin, driven, 0.1, mode=mode, integrator="euler")
        for mode in ("exact", "linear", "diagonal")
    }
    assert ours["exact"].covariance[-1].diagonal().sqrt().tolist() == pytest.approx(spread, rel=0.006)
    for mode, published in zip(ours, coverage, strict=True):
        share = covered(samples, ours[mode].mean[-1], ours[mode].covariance[-1])
        assert published is None or share == pytest.approx(published, abs=0.005)
    if linear_error is not None:
        # the published figure carries the sampling error of 1e5 paths
        noise = 3 * true.max().item() / 1e5**0.5
        assert (ours["linear"].mean[-1] - mean).abs().max().item() == pytest.approx(linear_error, rel=0.01, abs=noise)
        ratio = ours["linear"].covariance[-1].diagonal().sqrt() / true
        assert ratio.tolist() == pytest.approx(linear_ratio, abs=0.006)
        ratio = ours["diagonal"].covariance[-1].diagonal().sqrt() / true
        assert ratio.tolist() == pytest.approx(diagonal_ratio, abs=0.001)


def test_published_bias_of_the_linear_mean_against_its_bound():
    for case, bias, bound in (("A", 0.15779, 0.15800), ("B", 3.822, 3.950)):
        begin, driven = DRIVEN[case]
        exact = propagate("acceleration-yaw-rate", begin, driven, 0.1, integrator="euler")
        linear = propagate("acceleration-yaw-rate", begin, driven, 0.1, mode="linear", integrator="euler")
        assert (exact.mean - linear.mean)[-1].norm().item() == pytest.approx(bias, rel=2e-4)
        assert exact.linear_bias[-1].item() == pytest.approx(bound, rel=2e-4)


@pytest.mark.parametrize(("case", "ratio"), [("A", (1.002, 0.997)), ("C", (0.985, 0.984))])
def test_published_numbers_of_the_cubature_loop(case, ratio):
    begin, driven = DRIVEN[case]
    exact = propagate("acceleration-yaw-rate", begin, driven, 0.1, integrator="euler")
    refit = cubature_loop(begin, driven, values(0.1).expand(80))
    quotient = (refit.covariance[-1].diagonal() / exact.covariance[-1].diagonal()).sqrt()
    assert quotient.tolist() == pytest.approx(ratio, abs=0.006)
    assert (refit.mean - exact.mean)[-1].norm().item() < 0.03


CURVED = [
    (start(0, 10, 0.3), inputs(0, 0, white(1, 0.02)), 0.61, 0.008),
    (start(0, 8, 0.5), inputs(0.3, 0.03, white(1, 0.03)), 1.26, 0.065),
    (start(0, 8, 1.0), inputs(0, 0.05, white(2, 0.06)), 4.48, 0.45),
]


@pytest.mark.parametrize(("begin", "driven", "mean_error", "covariance_error"), CURVED)
def test_random_curvature(begin, driven, mean_error, covariance_error):
    sampled = sample_moments("acceleration-curvature", begin, driven, 0.1, 2**14, seed=3)
    exact = propagate("acceleration-curvature", begin, driven, 0.1, integrator="euler")
    size = torch.linalg.matrix_norm(sampled.covariance)
    assert bool(((exact.mean - sampled.mean).abs() <= 0.1 * sampled.standard_error + 1e-12).all())
    assert bool((torch.linalg.matrix_norm(exact.covariance - sampled.covariance) <= 0.005 * size + 1e-12).all())
    linear = propagate("acceleration-curvature", begin, driven, 0.1, mode="linear", integrator="euler")
    noise = 4 * sampled.covariance[-1].diagonal().max().sqrt().item() / 1e5**0.5
    assert (linear.mean - exact.mean)[-1].abs().max().item() == pytest.approx(mean_error, abs=noise)
    relative = torch.linalg.matrix_norm(linear.covariance - exact.covariance)[-1] / size[-1]
    # 1e5 independent paths leave up to 0.7 % on a covariance
    assert relative.item() == pytest.approx(covariance_error, rel=0.02, abs=0.007)
