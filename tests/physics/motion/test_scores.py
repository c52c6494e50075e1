import numpy as np
import pytest
import torch
from scipy import integrate, stats

from retrodict.physics.errors import DataError, SpaceError
from retrodict.physics.motion.energy_scores import energy_score_gaussian_mixture
from retrodict.physics.motion.mixtures import GaussianMixture
from retrodict.physics.motion.scores import crps_ensemble, crps_gaussian_mixture, nll_gaussian


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


def test_all_scores_prefer_the_truth(turned, draw_modes):
    rng = np.random.default_rng(7)
    weights, mean = np.array([0.7, 0.3]), np.array([[-1.5, 0.0], [2.0, 1.0]])
    covariance = np.stack([turned(1.5, 0.5, 0.4), turned(0.8, 0.7, 0.0)])
    count = 4000
    targets = draw_modes(weights, mean, covariance, count, rng)

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
        (lambda: crps_gaussian_mixture([0.5, 0.6], [0, 1], [1, 1], 0), DataError, "weights"),
        (lambda: crps_gaussian_mixture([1.0], [0, 1], [1, 1], 0), SpaceError, "weights"),
        (lambda: crps_gaussian_mixture([1.0], [0.0], [-1.0], 0), DataError, "std"),
        (lambda: nll_gaussian([0, 0], [[1, 2], [2, 1]], [0, 0]), DataError, "positive definite"),
    ],
)
def test_wrong_input_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call()
