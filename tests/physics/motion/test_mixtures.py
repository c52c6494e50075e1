import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from retrodict.physics.errors import DataError
from retrodict.physics.motion.mixtures import GaussianMixture
from retrodict.physics.motion.pit import radius_pit


def rotation(angle: float) -> torch.Tensor:
    return torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("noise", [0.0, 0.7])
def test_step_likelihood_equals_torch_distributions(noise, random_mixture, random_target):
    mixture = random_mixture(noise=noise)
    target = random_target(mixture)
    covariance = mixture.covariance + noise**2 * torch.eye(2, dtype=torch.float64)
    peer = MixtureSameFamily(
        Categorical(logits=mixture.logits.unsqueeze(-2).expand(3, 5, 4)),
        MultivariateNormal(mixture.mean.transpose(1, 2), covariance.transpose(1, 2)),
    )
    torch.testing.assert_close(mixture.nll_per_step(target), -peer.log_prob(target), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("noise", [0.0, 0.7])
def test_horizon_likelihood_equals_torch_distributions(joint, noise, random_mixture, random_target):
    mixture = random_mixture(joint=joint, noise=noise)
    target = random_target(mixture)
    full = mixture.joint_covariance
    if full is None:
        full = torch.zeros((3, 4, 10, 10), dtype=torch.float64)
        for t in range(5):
            full[..., 2 * t : 2 * t + 2, 2 * t : 2 * t + 2] = mixture.covariance[..., t, :, :]
    full = full + noise**2 * torch.eye(10, dtype=torch.float64)
    peer = MixtureSameFamily(Categorical(logits=mixture.logits), MultivariateNormal(mixture.mean.flatten(-2), full))
    torch.testing.assert_close(mixture.nll_joint(target), -peer.log_prob(target.flatten(-2)), rtol=1e-12, atol=1e-12)


def test_step_likelihood_equals_the_correlation_formula():
    # log s_x + log s_y + log(1 - rho^2)/2 + [..]/(2 (1 - rho^2)) + log 2 pi, at s = (4, 1) turned into (3, 2), rho 0.88
    sx, sy, rho, dx, dy = 3.0, 2.0, 0.88, 1.5, -0.5
    covariance = torch.tensor([[sx**2, rho * sx * sy], [rho * sx * sy, sy**2]], dtype=torch.float64).view(1, 1, 2, 2)
    mixture = GaussianMixture(
        torch.zeros(1, dtype=torch.float64), torch.zeros((1, 1, 2), dtype=torch.float64), covariance
    )
    quadratic = (dx / sx) ** 2 + (dy / sy) ** 2 - 2 * rho * dx * dy / (sx * sy)
    by_hand = math.log(2 * math.pi * sx * sy * math.sqrt(1 - rho**2)) + quadratic / (2 * (1 - rho**2))
    value = mixture.nll_per_step(torch.tensor([[dx, dy]], dtype=torch.float64))
    assert value.item() == pytest.approx(by_hand, rel=1e-14)


def test_extra_sample_dimensions_before_the_batch(random_mixture, random_target):
    mixture = random_mixture()
    targets = torch.stack([random_target(mixture, seed) for seed in range(4)])
    apart = torch.stack([mixture.nll_joint(target) for target in targets])
    torch.testing.assert_close(mixture.nll_joint(targets), apart, rtol=1e-13, atol=0)


@pytest.mark.parametrize("joint", [False, True])
def test_gradcheck(joint, random_mixture, random_target):
    mixture = random_mixture(batch=(2,), modes=2, steps=2, joint=joint)
    target = random_target(mixture)
    mask = torch.tensor([[True, True], [False, True]])
    leaf = mixture.joint_covariance if joint else mixture.covariance

    def loss(logits, mean, root, position):
        covariance = 0.5 * (root + root.mT)
        blocks, full = covariance, None
        if joint:
            full = covariance
            blocks = torch.stack([covariance[..., :2, :2], covariance[..., 2:, 2:]], dim=-3)
        made = GaussianMixture(logits, mean, blocks, full, noise=0.4)
        return made.nll_per_step(position, mask), made.nll_joint(position, mask)

    inputs = [part.clone().requires_grad_() for part in (mixture.logits, mixture.mean, leaf, target)]
    assert torch.autograd.gradcheck(loss, inputs)


def test_a_certain_position_becomes_the_noise():
    zeros = torch.zeros((1, 2, 2))
    mixture = GaussianMixture(torch.zeros(1), zeros, torch.zeros((1, 2, 2, 2)), noise=0.5)
    value = mixture.nll_joint(torch.tensor([[0.5, 0.0], [0.0, 0.0]]))
    assert value.item() == pytest.approx(2 * math.log(2 * math.pi * 0.25) + 0.5, rel=1e-6)
    with pytest.raises(DataError, match="positive definite"):
        GaussianMixture(torch.zeros(1), zeros, torch.zeros((1, 2, 2, 2)))


def test_far_targets_keep_finite_gradients_in_single_precision(random_mixture, random_target):
    mixture = random_mixture(dtype=torch.float32)
    mean = mixture.mean.clone().requires_grad_()
    made = GaussianMixture(mixture.logits, mean, mixture.covariance)
    loss = made.nll_joint(random_target(mixture) + 1e6).sum()
    (gradient,) = torch.autograd.grad(loss, mean)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("joint", [False, True])
def test_samples_have_the_moments_of_the_mixture(joint, random_mixture):
    mixture = random_mixture(batch=(), modes=3, steps=2, joint=joint, noise=0.5)
    count = 100_000
    draws = mixture.sample(count, seeded(7))
    mean, covariance = mixture.marginal()
    error = draws.mean(0) - mean
    assert (error.abs() < 4 * draws.std(0) / count**0.5).all()
    centred = draws - mean
    products = centred.unsqueeze(-1) * centred.unsqueeze(-2)
    assert ((products.mean(0) - covariance).abs() < 4 * products.std(0) / count**0.5).all()
    across = centred[:, 0, :, None] * centred[:, 1, None, :]
    weights = mixture.log_weights.exp()[:, None, None]
    spread = mixture.mean - mean
    wanted = (weights * spread[:, 0, :, None] * spread[:, 1, None, :]).sum(0)
    if mixture.joint_covariance is not None:
        wanted = wanted + (weights * mixture.joint_covariance[:, :2, 2:]).sum(0)
    assert ((across.mean(0) - wanted).abs() < 4 * across.std(0) / count**0.5).all()


def test_sample_frequencies_and_reparameterisation():
    weights = torch.tensor([0.6, 0.0, 0.4]).log()
    mean = (torch.tensor([0.0, 100.0, 200.0]).view(3, 1, 1) * torch.ones((3, 1, 2))).requires_grad_()
    logits = torch.where(torch.isfinite(weights), weights, -1e9)
    mixture = GaussianMixture(logits, mean, torch.eye(2).expand(3, 1, 2, 2))
    draws = mixture.sample(20_000, seeded(2))
    mode = (draws[:, 0, 0] / 100).round()
    share = (mode == 2).double().mean().item()
    assert abs(share - 0.4) < 4 * math.sqrt(0.24 / 20_000)
    assert not (mode == 1).any()
    (gradient,) = torch.autograd.grad(draws[:, 0, 0].mean(), mean)
    assert gradient[2, 0, 0].item() == pytest.approx(share, rel=1e-5)


def test_the_likelihood_is_proper(random_mixture):
    truth = random_mixture(batch=(), modes=2, steps=2)
    draws = truth.sample(20_000, seeded(4))
    base = truth.nll_joint(draws)
    others = [
        GaussianMixture(truth.logits, truth.mean + 0.15, truth.covariance),
        GaussianMixture(truth.logits, truth.mean, 1.25 * truth.covariance),
        GaussianMixture(truth.logits, truth.mean, 0.8 * truth.covariance),
        GaussianMixture(truth.logits + torch.tensor([0.4, 0.0]), truth.mean, truth.covariance),
        GaussianMixture(torch.zeros(1).double(), *(part.unsqueeze(0) for part in truth.marginal())),
    ]
    for other in others:
        worse = other.nll_joint(draws) - base
        assert worse.mean() > 4 * worse.std() / 20_000**0.5


@settings(max_examples=25, deadline=None)
@given(
    angle=st.floats(-math.pi, math.pi),
    shift=st.tuples(st.floats(-100, 100), st.floats(-100, 100)),
    order=st.permutations(range(3)),
    seed=st.integers(0, 1000),
    joint=st.booleans(),
)
def test_rotation_translation_and_order_of_modes_do_not_matter(
    angle, shift, order, seed, joint, random_mixture, random_target
):
    mixture = random_mixture(batch=(2,), modes=3, steps=2, seed=seed, joint=joint, noise=0.1)
    target = random_target(mixture, seed + 1)
    turn, move = rotation(angle), torch.tensor(shift, dtype=torch.float64)
    big = torch.block_diag(turn, turn)
    full = mixture.joint_covariance
    moved = GaussianMixture(
        mixture.logits[:, order],
        (mixture.mean @ turn.T + move)[:, order],
        (turn @ mixture.covariance @ turn.T)[:, order],
        None if full is None else (big @ full @ big.T)[:, order],
        0.1,
    )
    there = target @ turn.T + move
    torch.testing.assert_close(moved.nll_joint(there), mixture.nll_joint(target), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(moved.nll_per_step(there), mixture.nll_per_step(target), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(radius_pit(moved, there), radius_pit(mixture, target)[:, order], rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(moved.assign(there, "soft"), mixture.assign(target, "soft")[:, order], atol=1e-7, rtol=0)
    mean, covariance = mixture.marginal()
    torch.testing.assert_close(moved.marginal()[0], mean @ turn.T + move, rtol=0, atol=1e-10)
    torch.testing.assert_close(moved.marginal()[1], turn @ covariance @ turn.T, rtol=0, atol=1e-8)
