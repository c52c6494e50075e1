import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from retrodict.physics.errors import DataError, SpaceError
from retrodict.physics.motion.energy_scores import (
    energy_score_ensemble,
    energy_score_gaussian_mixture,
    expected_norm,
)
from retrodict.physics.motion.scores import crps_gaussian_mixture


@pytest.mark.parametrize("small", [3.0, 1.0, 0.3, 0.03, 3e-3, 3e-5, 0.0])
def test_expected_norm_of_a_centred_gaussian_is_an_elliptic_integral(small, turned):
    # E|V| = sqrt(2/pi) s_max E(1 - s_min^2/s_max^2), E the complete elliptic integral of the second kind
    exact = np.sqrt(2 / np.pi) * 3.0 * special.ellipe(1 - (small / 3.0) ** 2)
    assert expected_norm([0.0, 0.0], turned(3.0, small, 0.7)) == pytest.approx(
        exact, rel=1e-12 if small > 0.03 else 1e-7
    )


@pytest.mark.parametrize("distance", [0.0, 0.5, 3.0, 30.0, 300.0, 3e4])
def test_expected_norm_of_an_isotropic_gaussian_is_the_mean_of_rice(distance):
    # the mean of Rice's distribution, s sqrt(pi/2) L_{1/2}(-d^2 / 2 s^2), with scaled Bessel functions
    q = distance**2 / (4 * 0.8**2)
    rice = 0.8 * np.sqrt(np.pi / 2) * ((1 + 2 * q) * special.ive(0, q) + 2 * q * special.ive(1, q))
    ours = expected_norm([distance * np.cos(2.0), distance * np.sin(2.0)], 0.64 * np.eye(2))
    assert ours == pytest.approx(rice, rel=2e-5 if distance > 100 else 1e-12)


@pytest.mark.parametrize("direction", [0.7, 1.2, 0.7 + np.pi / 2])
def test_expected_norm_converges_fast_for_narrow_ellipses(direction, turned):
    # rho up to 0.9999: 256 crowded directions do what thousands of uniform ones do
    mean = 0.2 * np.array([np.cos(direction), np.sin(direction)])
    fine = expected_norm(mean, turned(1.0, 0.01, 0.7), nodes=8192)
    assert expected_norm(mean, turned(1.0, 0.01, 0.7)) == pytest.approx(fine, rel=1e-13)


def polar_quadrature(mean, covariance, target):
    # E|X - y| in polar coordinates about y, where the integrand r^2 f is smooth; nothing in common with expected_norm
    density = stats.multivariate_normal(mean, covariance)

    def ring(radius):
        angle = (np.arange(400) + 0.5) * 2 * np.pi / 400
        points = target + radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        return radius**2 * density.pdf(points).mean() * 2 * np.pi

    return integrate.quad(ring, 0, 40, limit=300, epsabs=1e-11)[0]


@pytest.mark.parametrize("ellipse", [(2.0, 1.0, 0.3), (2.0, 0.3, -1.1), (0.5, 0.4, 2.0)])
@pytest.mark.parametrize("target", [(0.0, 0.0), (1.0, -2.0), (-5.0, 3.0)])
def test_expected_norm_equals_polar_quadrature(ellipse, target, turned):
    mean, covariance = np.array([0.4, -0.3]), turned(*ellipse)
    exact = polar_quadrature(mean, covariance, np.array(target))
    assert expected_norm(mean - target, covariance) == pytest.approx(exact, rel=1e-8)


def test_energy_score_of_a_mixture_equals_quadrature_of_its_parts(random_modes):
    weights, mean, covariance = random_modes(3, modes=2)
    target = np.array([0.5, 1.0])
    reach = sum(w * polar_quadrature(m, c, target) for w, m, c in zip(weights, mean, covariance, strict=True))
    spread = sum(
        weights[i] * weights[j] * polar_quadrature(mean[i], covariance[i] + covariance[j], mean[j])
        for i in range(2)
        for j in range(2)
    )
    ours = energy_score_gaussian_mixture(weights, mean, covariance, target)
    assert ours == pytest.approx(reach - 0.5 * spread, rel=1e-8)


def test_energy_score_on_a_line_is_the_crps():
    # mass and target on one line at 0.6 rad: the planar score is the one-dimensional one along it
    along = np.array([np.cos(0.6), np.sin(0.6)])
    weights, mean, std, target = np.array([0.4, 0.6]), np.array([-1.0, 2.0]), np.array([0.5, 1.5]), 0.8
    planar = energy_score_gaussian_mixture(
        weights, mean[:, None] * along, (std**2)[:, None, None] * np.outer(along, along), target * along
    )
    assert planar == pytest.approx(crps_gaussian_mixture(weights, mean, std, target), rel=2e-6)


def test_energy_score_of_samples_equals_the_double_sum_for_points_and_trajectories():
    rng = np.random.default_rng(4)
    samples, target = rng.normal(size=(6, 3, 5, 2)), rng.normal(size=(3, 5, 2))
    for dims, axes in ((1, -1), (2, (-2, -1))):
        pairs = np.sqrt(((samples[:, None] - samples[None]) ** 2).sum(axes)).sum((0, 1)) / (2 * 6 * 5)
        brute = np.sqrt(((samples - target) ** 2).sum(axes)).mean(0) - pairs
        np.testing.assert_allclose(energy_score_ensemble(samples, target, dims), brute, rtol=1e-12, atol=1e-14)


def test_energy_score_of_small_ensembles_is_unbiased(random_modes, draw_modes):
    rng = np.random.default_rng(5)
    weights, mean, covariance = random_modes(6)
    trials, target = 60_000, np.array([0.3, -0.8])
    samples = draw_modes(weights, mean, covariance, 4 * trials, rng).reshape(4, trials, 2)
    scores = energy_score_ensemble(samples, np.broadcast_to(target, (trials, 2)))
    exact = energy_score_gaussian_mixture(weights, mean, covariance, target)
    assert abs(scores.mean() - exact) < 4 * scores.std() / trials**0.5


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    angle=st.floats(-math.pi, math.pi),
    shift=st.tuples(st.floats(-50, 50), st.floats(-50, 50)),
    scale=st.floats(0.1, 10),
    order=st.permutations(range(3)),
)
def test_energy_score_moves_with_the_plane_and_ignores_the_order(seed, angle, shift, scale, order, random_modes):
    weights, mean, covariance = random_modes(seed)
    target = np.array([1.0, -1.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    order = list(order)
    base = energy_score_gaussian_mixture(weights, mean, covariance, target)
    moved = energy_score_gaussian_mixture(
        weights[order], (mean @ turn.T + shift)[order], (turn @ covariance @ turn.T)[order], turn @ target + shift
    )
    assert moved == pytest.approx(scale * base, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: energy_score_ensemble(np.zeros((3, 2)), np.zeros(2), 2), SpaceError, "event_dims"),
        (lambda: expected_norm([0, 0], [[1, 2], [2, 1]]), DataError, "eigenvalue"),
    ],
)
def test_wrong_input_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call()
