import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from retrodict.physics.errors import DataError, SpaceError
from retrodict.physics.motion.mixtures import GaussianMixture
from retrodict.physics.motion.scores import (
    calibration,
    calibration_by_group,
    crps_ensemble,
    crps_gaussian_mixture,
    energy_score_ensemble,
    energy_score_gaussian_mixture,
    expected_norm,
    nll_gaussian,
    pit_histogram,
    reliability,
    wilson_interval,
)


def turned(large: float, small: float, angle: float) -> np.ndarray:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return turn @ np.diag([large**2, small**2]) @ turn.T


def random_modes(seed: int, modes=3):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(modes, 2, 2))
    return rng.dirichlet(np.ones(modes)), 2 * rng.normal(size=(modes, 2)), root @ root.swapaxes(1, 2) + 0.1 * np.eye(2)


def draw(weights, mean, covariance, count, rng):
    mode = rng.choice(len(weights), p=weights, size=count)
    factor = np.linalg.cholesky(covariance)
    return mean[mode] + np.einsum("nij,nj->ni", factor[mode], rng.normal(size=(count, 2)))


# ------------------------------------------------------------------------------------------------ CRPS


@pytest.mark.parametrize("target", [-4.0, 0.3, 2.5, 40.0])
def test_crps_of_a_mixture_is_the_integral_of_the_squared_cdf_error(target):
    weights, mean, std = np.array([0.2, 0.5, 0.3]), np.array([-2.0, 0.0, 3.0]), np.array([0.3, 1.0, 2.0])

    def cdf(x):
        return (weights * stats.norm.cdf(x, mean, std)).sum()

    below = integrate.quad(lambda x: cdf(x) ** 2, -30, target, points=[-2.0, 0.0, 3.0], limit=400, epsabs=1e-12)[0]
    above = integrate.quad(lambda x: (1 - cdf(x)) ** 2, target, 60, points=[-2.0, 0.0, 3.0], limit=400, epsabs=1e-12)[0]
    assert crps_gaussian_mixture(weights, mean, std, target) == pytest.approx(below + above, abs=1e-9)


def test_crps_of_one_gaussian_and_of_a_point():
    # Gneiting and Raftery (2007), equation 21: s [z (2 Phi(z) - 1) + 2 phi(z) - 1/sqrt(pi)], z = (y - m) / s
    rng = np.random.default_rng(0)
    mean, std, target = rng.normal(size=50), rng.uniform(0.1, 3, 50), 3 * rng.normal(size=50)
    z = (target - mean) / std
    published = std * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    ours = crps_gaussian_mixture(np.ones((50, 1)), mean[:, None], std[:, None], target)
    np.testing.assert_allclose(ours, published, rtol=1e-12, atol=1e-14)
    assert crps_gaussian_mixture([1.0], [2.0], [0.0], 5.0) == 3.0
    assert crps_gaussian_mixture([1.0], [2.0], [1e-320], 5.0) == 3.0
    # two certain modes: E|X - y| = 1, E|X - X'|/2 = 1/2 with X = 0 or 2 and y = 1
    assert crps_gaussian_mixture([0.5, 0.5], [0.0, 2.0], [0.0, 0.0], 1.0) == 0.5


def test_fair_crps_equals_the_double_sum():
    rng = np.random.default_rng(1)
    samples, target = rng.normal(size=(7, 4, 3)), rng.normal(size=(4, 3))
    pairs = np.abs(samples[:, None] - samples[None]).sum((0, 1)) / (2 * 7 * 6)
    brute = np.abs(samples - target).mean(0) - pairs
    np.testing.assert_allclose(crps_ensemble(samples, target), brute, rtol=1e-12, atol=1e-14)


def test_fair_crps_of_small_ensembles_is_unbiased():
    rng = np.random.default_rng(2)
    trials = 200_000
    scores = crps_ensemble(rng.normal(size=(3, trials)), np.full(trials, 0.7))
    exact = crps_gaussian_mixture([1.0], [0.0], [1.0], 0.7)
    assert abs(scores.mean() - exact) < 4 * scores.std() / trials**0.5
    # the plain estimator with 1/n^2 is off by E|X - X'| / (2 n) = 0.188, far outside
    assert 4 * scores.std() / trials**0.5 < 0.01


# ------------------------------------------------------------------------------------------------ energy score


@pytest.mark.parametrize("small", [3.0, 1.0, 0.3, 0.03, 3e-3, 3e-5, 0.0])
def test_expected_norm_of_a_centred_gaussian_is_an_elliptic_integral(small):
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
def test_expected_norm_converges_fast_for_narrow_ellipses(direction):
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


@pytest.mark.parametrize("covariance", [turned(2.0, 1.0, 0.3), turned(2.0, 0.3, -1.1), turned(0.5, 0.4, 2.0)])
@pytest.mark.parametrize("target", [(0.0, 0.0), (1.0, -2.0), (-5.0, 3.0)])
def test_expected_norm_equals_polar_quadrature(covariance, target):
    mean = np.array([0.4, -0.3])
    exact = polar_quadrature(mean, covariance, np.array(target))
    assert expected_norm(mean - target, covariance) == pytest.approx(exact, rel=1e-8)


def test_energy_score_of_a_mixture_equals_quadrature_of_its_parts():
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


def test_energy_score_of_small_ensembles_is_unbiased():
    rng = np.random.default_rng(5)
    weights, mean, covariance = random_modes(6)
    trials, target = 60_000, np.array([0.3, -0.8])
    samples = draw(weights, mean, covariance, 4 * trials, rng).reshape(4, trials, 2)
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
def test_energy_score_moves_with_the_plane_and_ignores_the_order(seed, angle, shift, scale, order):
    weights, mean, covariance = random_modes(seed)
    target = np.array([1.0, -1.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    order = list(order)
    base = energy_score_gaussian_mixture(weights, mean, covariance, target)
    moved = energy_score_gaussian_mixture(
        weights[order], (mean @ turn.T + shift)[order], (turn @ covariance @ turn.T)[order], turn @ target + shift
    )
    assert moved == pytest.approx(scale * base, rel=1e-7, abs=1e-9)


# ------------------------------------------------------------------------------------------------ propriety


def test_all_scores_prefer_the_truth():
    rng = np.random.default_rng(7)
    weights, mean = np.array([0.7, 0.3]), np.array([[-1.5, 0.0], [2.0, 1.0]])
    covariance = np.stack([turned(1.5, 0.5, 0.4), turned(0.8, 0.7, 0.0)])
    count = 4000
    targets = draw(weights, mean, covariance, count, rng)

    def scores(w, m, c):
        s = np.sqrt(np.diagonal(c, axis1=1, axis2=2))
        return (
            energy_score_gaussian_mixture(w, m, c, targets, nodes=64),
            crps_gaussian_mixture(w, m[:, 0], s[:, 0], targets[:, 0]),
        )

    truth = scores(weights, mean, covariance)
    for other in (
        scores(weights, mean + 0.5, covariance),
        scores(weights, mean, 2.5 * covariance),
        scores(weights, mean, 0.3 * covariance),
        scores(weights[::-1], mean, covariance),
    ):
        for better, worse in zip(truth, other, strict=True):
            gap = worse - better
            assert gap.mean() > 4 * gap.std() / count**0.5


def test_normal_likelihood_equals_scipy_and_the_mixture():
    rng = np.random.default_rng(9)
    root = rng.normal(size=(5, 4, 4))
    covariance, mean, target = root @ root.swapaxes(1, 2) + np.eye(4), rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    scipy = [-stats.multivariate_normal(m, c).logpdf(y) for m, c, y in zip(mean, covariance, target, strict=True)]
    np.testing.assert_allclose(nll_gaussian(mean, covariance, target), scipy, rtol=1e-12)
    blocks = torch.from_numpy(np.stack([covariance[:, :2, :2], covariance[:, 2:, 2:]], axis=1))[:, None]
    mixture = GaussianMixture(
        torch.zeros((5, 1), dtype=torch.float64),
        torch.from_numpy(mean).view(5, 1, 2, 2),
        blocks,
        torch.from_numpy(covariance)[:, None],
    )
    np.testing.assert_allclose(mixture.nll_joint(torch.from_numpy(target).view(5, 2, 2)), scipy, rtol=1e-12)


# ------------------------------------------------------------------------------------------------ calibration


@pytest.mark.parametrize(("hits", "count"), [(0, 7), (7, 7), (3, 50), (4999, 10_000)])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_wilson_equals_scipy(hits, count, level):
    peer = stats.binomtest(hits, count).proportion_ci(level, method="wilson")
    np.testing.assert_allclose(wilson_interval(hits, count, level), [peer.low, peer.high], rtol=1e-12, atol=1e-15)


def test_coverage_counts_regions_that_hold_the_target():
    curve = calibration([0.1, 0.5, 0.5, 0.9], [0.05, 0.1, 0.5, 0.8, 1.0])
    assert curve.empirical.tolist() == [0.0, 0.25, 0.75, 0.75, 1.0]
    assert curve.count == 4
    assert (curve.low <= curve.empirical).all()
    assert (curve.high >= curve.empirical).all()


def test_a_true_forecast_is_calibrated_and_a_narrow_one_is_not():
    generator = torch.Generator().manual_seed(3)
    covariance = torch.from_numpy(turned(4.0, 0.5, 0.8)).expand(1, 1, 2, 2)
    zeros = torch.zeros((1, 1, 2), dtype=torch.float64)
    truth = GaussianMixture(zeros[0, 0, :1], zeros, covariance, noise=0.3)
    targets = truth.sample(4000, generator)
    good = calibration(truth.radius_pit(targets), level=0.9999)
    assert ((good.low < good.nominal) & (good.nominal < good.high)).all()
    # half the standard deviation: the nominal 90 % ellipse (d^2 = 2 ln 10) is one of 1 - 10^(-1/4) = 43.77 %
    narrow = GaussianMixture(zeros[0, 0, :1], zeros, covariance / 4, noise=0.15)
    pit = narrow.radius_pit(targets)
    share = calibration(pit, 0.9, level=0.9999)
    assert share.low[0] < 1 - 10**-0.25 < share.high[0]
    assert reliability(pit).bias > 0.2
    assert abs(reliability(truth.radius_pit(targets)).bias) < 4 * math.sqrt(1 / 12 / 4000)


def dependent_pit(rng, tracks=40, steps=25):
    # all steps of a track share one PIT value: as many independent values as tracks
    return np.repeat(rng.uniform(size=tracks), steps), np.repeat(np.arange(tracks), steps)


def test_band_by_groups_sees_the_dependence_that_wilson_misses():
    rng = np.random.default_rng(10)
    inside = {"group": 0, "wilson": 0}
    trials = 300
    for _ in range(trials):
        pit, tracks = dependent_pit(rng)
        group = calibration_by_group(pit, tracks, rng, 0.5, resamples=300)
        wilson = calibration(pit, 0.5)
        assert group.empirical[0] == wilson.empirical[0]
        inside["group"] += int(group.low[0] <= 0.5 <= group.high[0])
        inside["wilson"] += int(wilson.low[0] <= 0.5 <= wilson.high[0])
    # nominal 95 %; 4 standard errors of 300 trials are 5 %, and the percentile bootstrap of 40 tracks loses a few more
    assert 0.88 < inside["group"] / trials <= 1.0
    assert inside["wilson"] / trials < 0.5  # 25 times too many "independent" targets: half width 5 times too small


def test_band_by_groups_has_the_width_of_the_number_of_groups():
    rng = np.random.default_rng(11)
    tracks = np.repeat([f"track {i:03d}" for i in range(400)], 5)
    pit = np.repeat((np.arange(400) + 0.5) / 400, 5)
    band = calibration_by_group(pit, tracks, rng, [0.2, 0.5], resamples=4000)
    np.testing.assert_allclose(band.high - band.low, 2 * 1.96 * np.sqrt(np.array([0.16, 0.25]) / 400), rtol=0.08)
    assert band.count == 400
    again = calibration_by_group(pit, tracks, np.random.default_rng(1), 0.5)
    same = calibration_by_group(pit, tracks, np.random.default_rng(1), 0.5)
    assert again.low == same.low


def test_groups_of_unequal_size_weigh_by_their_steps():
    pit = np.array([0.5] * 9 + [0.9])  # a value on the limit is inside
    band = calibration_by_group(pit, [0] * 9 + [1], np.random.default_rng(0), 0.5)
    assert band.empirical[0] == 0.9
    assert (band.low[0], band.high[0]) == (0.0, 1.0)  # one of the two groups twice: share 1 or 0, each with chance 1/4


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_reliability_equals_brute_force(values):
    pit = np.array(values)
    ours = reliability(pit)
    grid = (np.arange(20_000) + 0.5) / 20_000
    empirical = (pit[:, None] <= grid).mean(0)
    assert ours.area == pytest.approx(np.abs(empirical - grid).mean(), abs=1e-4)
    assert ours.largest == pytest.approx(stats.kstest(pit, "uniform").statistic, abs=1e-12)
    assert ours.dispersion == pytest.approx(12 * ((pit - pit.mean()) ** 2).mean(), abs=1e-12)


def test_histogram_density_and_standard_error():
    rng = np.random.default_rng(12)
    density, edges, error = pit_histogram(rng.uniform(size=2000), bins=20)
    assert (density * np.diff(edges)).sum() == pytest.approx(1.0)
    # a bin holds Binomial(2000, 1/20) values: variance of the density 2000 (1/20) (19/20) / (2000/20)^2
    assert error == pytest.approx(math.sqrt(95) / 100)
    # 20 bins of a uniform sample: chi-squared with 19 degrees of freedom, by the stated standard error
    chi2 = ((density - 1) ** 2 / error**2).sum() * 19 / 20
    assert 1e-3 < stats.chi2(19).sf(chi2) < 1 - 1e-3


# ------------------------------------------------------------------------------------------------ borders


def test_torch_tensors_with_gradients_are_accepted():
    samples = torch.randn((5, 3), generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = torch.zeros(3)
    expected = crps_ensemble(samples.detach().numpy(), target.numpy())
    np.testing.assert_array_equal(crps_ensemble(samples, target), expected)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: crps_ensemble([1.0], 0.0), SpaceError, "n >= 2"),
        (lambda: crps_ensemble([[1.0], [2.0]], 0.0), SpaceError, "samples"),
        (lambda: crps_ensemble([1.0, np.nan], 0.0), DataError, "samples: got NaN"),
        (lambda: energy_score_ensemble(np.zeros((3, 2)), np.zeros(2), 2), SpaceError, "event_dims"),
        (lambda: crps_gaussian_mixture([0.5, 0.6], [0, 1], [1, 1], 0), DataError, "weights"),
        (lambda: crps_gaussian_mixture([1.0], [0, 1], [1, 1], 0), SpaceError, "weights"),
        (lambda: crps_gaussian_mixture([1.0], [0.0], [-1.0], 0), DataError, "std"),
        (lambda: expected_norm([0, 0], [[1, 2], [2, 1]]), DataError, "eigenvalue"),
        (lambda: nll_gaussian([0, 0], [[1, 2], [2, 1]], [0, 0]), DataError, "positive definite"),
        (lambda: calibration([0.5, 1.5]), DataError, "probabilities"),
        (lambda: calibration([]), DataError, "probabilities"),
        (lambda: calibration([np.nan]), DataError, "pit: got NaN"),
        (lambda: calibration([0.5], level=1.0), DataError, "level"),
        (lambda: wilson_interval(3, 2), DataError, "hits"),
        (lambda: calibration_by_group([0.5, 0.6], [1], np.random.default_rng(0)), SpaceError, "groups"),
        (lambda: calibration_by_group([0.5, 0.6], [1, 1], np.random.default_rng(0)), DataError, "two groups"),
        (lambda: pit_histogram([0.5], bins=0), DataError, "bins"),
    ],
)
def test_wrong_input_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call()
