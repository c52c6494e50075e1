import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from retrodict.physics.errors import ConfigError, DataError, SpaceError
from retrodict.physics.motion.mixtures import GaussianMixture, cholesky_2x2, masked_mean


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_mixture(
    batch=(3,), modes=4, steps=5, seed=0, joint=False, noise=0.0, dtype=torch.float64
) -> GaussianMixture:
    generator = seeded(seed)
    root = torch.randn((*batch, modes, 2 * steps, 2 * steps), generator=generator, dtype=dtype)
    full = root @ root.mT / steps + 0.3 * torch.eye(2 * steps, dtype=dtype)
    blocks = torch.stack([full[..., 2 * t : 2 * t + 2, 2 * t : 2 * t + 2] for t in range(steps)], dim=-3)
    mean = 2.0 * torch.randn((*batch, modes, steps, 2), generator=generator, dtype=dtype)
    logits = torch.randn((*batch, modes), generator=generator, dtype=dtype)
    return GaussianMixture(logits, mean, blocks, full if joint else None, noise)


def random_target(mixture: GaussianMixture, seed=1) -> Tensor:
    shape = (*mixture.logits.shape[:-1], *mixture.mean.shape[-2:])
    return 2.0 * torch.randn(shape, generator=seeded(seed), dtype=mixture.mean.dtype)


def rotation(angle: float) -> Tensor:
    return torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)


# ------------------------------------------------------------------------------------------------ likelihoods


@pytest.mark.parametrize("noise", [0.0, 0.7])
def test_step_likelihood_equals_torch_distributions(noise):
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
def test_horizon_likelihood_equals_torch_distributions(joint, noise):
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


def test_extra_sample_dimensions_before_the_batch():
    mixture = random_mixture()
    targets = torch.stack([random_target(mixture, seed) for seed in range(4)])
    apart = torch.stack([mixture.nll_joint(target) for target in targets])
    torch.testing.assert_close(mixture.nll_joint(targets), apart, rtol=1e-13, atol=0)


@pytest.mark.parametrize("joint", [False, True])
def test_gradcheck(joint):
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


# ------------------------------------------------------------------------------------------------ precision


def narrow_ellipses(count=200) -> tuple[Tensor, Tensor]:
    # s = 5 m and 0.035 m turned by any angle: rho up to 0.9999 in the fixed axes
    generator = seeded(3)
    angle = math.pi * torch.rand(count, generator=generator, dtype=torch.float64)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=-1).view(-1, 2, 2)
    std = torch.tensor([5.0, 0.035], dtype=torch.float64)
    matrix = (turn * std**2) @ turn.mT
    residual = (turn @ (std * torch.randn((count, 2), generator=generator, dtype=torch.float64)).unsqueeze(-1))[..., 0]
    return (0.5 * (matrix + matrix.mT)).float(), residual.float()


def test_single_precision_survives_narrow_turned_ellipses():
    covariance, residual = narrow_ellipses()
    rho = covariance[:, 0, 1] / (covariance[:, 0, 0] * covariance[:, 1, 1]).sqrt()
    assert rho.abs().max() > 0.9998
    wide = covariance.double()
    good = wide[:, 0, 0] * wide[:, 1, 1] - wide[:, 0, 1] ** 2 > 0.25 * 0.035**2 * 25  # rounding S itself moves det
    covariance, residual, wide = covariance[good], residual[good], wide[good]
    assert good.sum() > 150
    exact, short = cholesky_2x2(wide, 0.01), cholesky_2x2(covariance, 0.01)
    for one, other in zip(exact, short, strict=True):
        torch.testing.assert_close(other.double(), one, rtol=1e-6, atol=0)
    naive = covariance[:, 0, 0] * covariance[:, 1, 1] - covariance[:, 0, 1] ** 2
    true = wide[:, 0, 0] * wide[:, 1, 1] - wide[:, 0, 1] ** 2
    assert ((naive.double() - true) / true).abs().max() > 3e-4  # what the compensated product repairs
    losses = []
    for matrix, point in ((covariance, residual), (wide, residual.double())):
        zeros = torch.zeros((len(matrix), 1, 1, 2), dtype=matrix.dtype)
        mixture = GaussianMixture(zeros[:, :, 0, 0], zeros, matrix.view(-1, 1, 1, 2, 2), noise=0.01)
        losses.append(mixture.nll_joint(point.unsqueeze(-2)).double())
    assert (losses[0] - losses[1]).abs().max() < 5e-5
    assert (losses[0] - losses[1]).abs().mean() < 5e-6


def test_a_certain_position_becomes_the_noise():
    zeros = torch.zeros((1, 2, 2))
    mixture = GaussianMixture(torch.zeros(1), zeros, torch.zeros((1, 2, 2, 2)), noise=0.5)
    value = mixture.nll_joint(torch.tensor([[0.5, 0.0], [0.0, 0.0]]))
    assert value.item() == pytest.approx(2 * math.log(2 * math.pi * 0.25) + 0.5, rel=1e-6)
    with pytest.raises(DataError, match="positive definite"):
        GaussianMixture(torch.zeros(1), zeros, torch.zeros((1, 2, 2, 2)))


def test_far_targets_keep_finite_gradients_in_single_precision():
    mixture = random_mixture(dtype=torch.float32)
    mean = mixture.mean.clone().requires_grad_()
    made = GaussianMixture(mixture.logits, mean, mixture.covariance)
    loss = made.nll_joint(random_target(mixture) + 1e6).sum()
    (gradient,) = torch.autograd.grad(loss, mean)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()


# ------------------------------------------------------------------------------------------------ masks


@pytest.mark.parametrize("joint", [False, True])
def test_masked_steps_are_marginalised_and_carry_no_gradient(joint):
    mixture = random_mixture(joint=joint, noise=0.2)
    mask = torch.tensor([True, False, True, True, False]).expand(3, 5)
    target = random_target(mixture)
    target[:, ~mask[0]] = torch.nan
    mean = mixture.mean.clone().requires_grad_()
    target.requires_grad_()
    made = GaussianMixture(mixture.logits, mean, mixture.covariance, mixture.joint_covariance, 0.2)
    step, whole = made.nll_per_step(target, mask), made.nll_joint(target, mask)
    assert (step[~mask] == 0.0).all()
    for value in (step, whole):
        to_mean, to_target = torch.autograd.grad(value.sum(), (mean, target), retain_graph=True)
        assert (to_mean[:, :, ~mask[0]] == 0.0).all()
        assert (to_target[:, ~mask[0]] == 0.0).all()
        assert (to_mean[:, :, mask[0]].abs().sum((-1, -2)) > 0.0).all()
    kept = mask[0]
    rows = kept.repeat_interleave(2)
    full = mixture.joint_covariance
    smaller = GaussianMixture(
        mixture.logits,
        mixture.mean[:, :, kept],
        mixture.covariance[:, :, kept],
        None if full is None else full[..., rows, :][..., rows],
        0.2,
    )
    torch.testing.assert_close(whole, smaller.nll_joint(target[:, kept]), rtol=1e-12, atol=0)
    torch.testing.assert_close(step[:, kept], smaller.nll_per_step(target[:, kept]), rtol=1e-12, atol=0)


def test_an_empty_row_is_zero_and_an_empty_mask_an_error():
    mixture = random_mixture(batch=(2,))
    target = random_target(mixture)
    mask = torch.zeros((2, 5), dtype=torch.bool)
    with pytest.raises(DataError, match="every step masked"):
        mixture.nll_per_step(target, mask)
    mask[0, 1] = True
    logits = mixture.logits.clone().requires_grad_()
    value = GaussianMixture(logits, mixture.mean, mixture.covariance).nll_joint(target, mask)
    assert value[1].item() == 0.0
    assert (torch.autograd.grad(value[1], logits)[0] == 0.0).all()


def test_masked_steps_are_exactly_zero_for_any_weights():
    mixture = random_mixture(batch=(300,), modes=6, steps=2, dtype=torch.float32)
    mask = torch.tensor([True, False]).expand(300, 2)
    logits = mixture.logits.clone().requires_grad_()
    made = GaussianMixture(logits, mixture.mean, mixture.covariance)
    value = made.nll_per_step(random_target(mixture), mask)[:, 1]
    assert (value == 0.0).all()
    assert (torch.autograd.grad(value.sum(), logits)[0] == 0.0).all()


def test_masked_mean_ignores_what_is_not_finite():
    values = torch.tensor([1.0, torch.inf, 4.0], requires_grad=True)
    mean = masked_mean(values, torch.tensor([True, False, True]))
    assert mean.item() == 2.5
    assert torch.autograd.grad(mean, values)[0].tolist() == [0.5, 0.0, 0.5]
    with pytest.raises(DataError):
        masked_mean(values, torch.zeros(3, dtype=torch.bool))
    with pytest.raises(SpaceError, match=r"torch\.bool"):
        masked_mean(values, torch.ones(3))


# ------------------------------------------------------------------------------------------------ assignments


def test_soft_assignment_is_the_em_bound_with_the_same_gradient():
    mixture = random_mixture()
    target = random_target(mixture)
    mean = mixture.mean.clone().requires_grad_()
    logits = mixture.logits.clone().requires_grad_()
    made = GaussianMixture(logits, mean, mixture.covariance)
    weights = made.assign(target, "soft")
    assert not weights.requires_grad
    bound = made.nll_assigned(target, weights) - torch.special.entr(weights).sum(-1)
    whole = made.nll_joint(target)
    torch.testing.assert_close(bound, whole, rtol=1e-12, atol=1e-12)
    for one, other in zip(
        torch.autograd.grad(bound.sum(), (mean, logits)), torch.autograd.grad(whole.sum(), (mean, logits)), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_hard_assignment_bounds_the_mixture_from_above():
    mixture = random_mixture(batch=(50,))
    target = random_target(mixture)
    whole = mixture.nll_joint(target)
    best = mixture.nll_assigned(target, mixture.assign(target, "best"))
    gap = best - whole
    assert (gap >= -1e-12).all()
    assert (gap <= math.log(4) + 1e-12).all()  # the best of K modes holds at least 1/K of the mixture's density
    each = torch.stack([mixture.nll_assigned(target, torch.eye(4).double()[k].expand(50, 4)) for k in range(4)], -1)
    torch.testing.assert_close(best, each.amin(-1))
    assert (mixture.nll_assigned(target, mixture.assign(target, "nearest")) >= best - 1e-12).all()


def test_nearest_assignment_looks_at_the_last_unmasked_end():
    # two modes cross: A ends at (2, 0) through (0, 1), B ends at (0, 2) through (1, 0)
    mean = torch.tensor([[[0.0, 1.0], [2.0, 0.0]], [[1.0, 0.0], [0.0, 2.0]]])
    mixture = GaussianMixture(torch.zeros(2), mean, torch.eye(2).expand(2, 2, 2, 2))
    target = torch.tensor([[1.0, 0.1], [1.8, 0.3]])
    assert mixture.assign(target, "nearest").tolist() == [1.0, 0.0]
    assert mixture.assign(target, "nearest", torch.tensor([True, False])).tolist() == [0.0, 1.0]
    anchors = torch.tensor([[9.0, 9.0], [1.8, 0.0]])
    assert mixture.assign(target, "nearest", anchors=anchors).tolist() == [0.0, 1.0]
    with pytest.raises(ConfigError, match="'soft', 'best' or 'nearest'"):
        mixture.assign(target, "closest")
    with pytest.raises(SpaceError, match="assignment"):
        mixture.nll_assigned(target, torch.ones(3))


# ------------------------------------------------------------------------------------------------ distribution


@pytest.mark.parametrize("joint", [False, True])
def test_samples_have_the_moments_of_the_mixture(joint):
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


def grid_of(mixture: GaussianMixture, half=20.0, count=801) -> tuple[Tensor, Tensor, float]:
    axis = torch.linspace(-half, half, count, dtype=torch.float64)
    points = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1)
    density = torch.exp(-mixture.nll_per_step(points.view(-1, 1, 2))).view(count, count)
    return axis, density, (2 * half / (count - 1)) ** 2


def test_density_integrates_to_one_and_to_the_cdf():
    mixture = random_mixture(batch=(), modes=3, steps=1, noise=0.6)
    axis, density, cell = grid_of(mixture)
    assert density.sum().item() * cell == pytest.approx(1.0, abs=1e-10)
    index = 420
    value = mixture.cdf(torch.stack([axis[index], axis[index]]).view(1, 2))[0]
    for side in (0, 1):
        strips = density.sum(1 - side) * cell
        # trapezoid up to the node: half of the last strip
        assert value[side].item() == pytest.approx((strips[:index].sum() + 0.5 * strips[index]).item(), abs=1e-4)


def test_content_is_the_integral_of_the_level_set():
    mean = torch.tensor([[[-3.0, 0.0]], [[3.0, 1.0]]], dtype=torch.float64)
    covariance = torch.stack([torch.diag(torch.tensor([4.0, 0.5])), torch.eye(2)]).double().view(2, 1, 2, 2)
    mixture = GaussianMixture(torch.tensor([0.0, -1.0], dtype=torch.float64), mean, covariance)
    _, density, cell = grid_of(mixture)
    count = 20_000
    for point in ([0.0, 0.0], [3.0, 1.5], [-6.0, 1.0]):
        target = torch.tensor([point], dtype=torch.float64)
        level = torch.exp(-mixture.nll_per_step(target))
        wanted = (density[density > level].sum() * cell).item()
        got = mixture.content_pit(target, seeded(5), count=count).item()
        assert abs(got - wanted) < 4 * math.sqrt(wanted * (1 - wanted) / count) + 1e-3


def test_content_of_one_gaussian_is_the_chi_squared_radius():
    mixture = random_mixture(batch=(6,), modes=1, steps=2, noise=0.3)
    target = random_target(mixture) * 0.3 + mixture.mean[:, 0]
    radius = mixture.radius_pit(target)[:, 0]
    whitened = [
        (target[i, t] - mixture.mean[i, 0, t])
        @ torch.linalg.solve(
            mixture.covariance[i, 0, t] + 0.09 * torch.eye(2).double(), target[i, t] - mixture.mean[i, 0, t]
        )
        for i in range(6)
        for t in range(2)
    ]
    chi2 = stats.chi2(2).cdf(np.array(whitened)).reshape(6, 2)
    np.testing.assert_allclose(radius, chi2, rtol=1e-12)
    error = (mixture.content_pit(target, seeded(1), count=4000) - radius).abs()
    assert (error < 4 * 0.5 / 4000**0.5).all()


@pytest.mark.parametrize("joint", [False, True])
def test_content_of_own_samples_is_uniform_for_few_draws(joint):
    mixture = random_mixture(batch=(), modes=3, steps=2, joint=True)
    target = mixture.sample(3000, seeded(11))
    many = GaussianMixture(
        mixture.logits.expand(3000, -1),
        mixture.mean.expand(3000, -1, -1, -1),
        mixture.covariance.expand(3000, -1, -1, -1, -1),
        check=False,
    )
    if joint:  # trajectories drawn step by step, to match the mixture without joint covariance
        single = GaussianMixture(mixture.logits, mixture.mean, mixture.covariance)
        target = single.sample(3000, seeded(12))
    pit = many.content_pit(target, seeded(13), count=9, joint=joint)
    for values in [pit] if joint else pit.unbind(-1):
        assert stats.kstest(values.numpy(), "uniform").pvalue > 1e-3


def test_content_of_masked_steps():
    mixture = random_mixture(batch=(2,), modes=2, steps=3)
    target = random_target(mixture)
    mask = torch.tensor([[True, False, True], [False, False, False]])
    target[~mask] = torch.nan
    step = mixture.content_pit(target, seeded(1), mask, count=50)
    assert (step[~mask] == 0).all()
    assert (step[mask] > 0).all()
    whole = mixture.content_pit(target, seeded(1), mask, count=4000, joint=True)
    short = GaussianMixture(mixture.logits[:1], mixture.mean[:1][:, :, ::2], mixture.covariance[:1][:, :, ::2])
    alone = short.content_pit(target[:1, ::2], seeded(2), count=4000, joint=True)
    assert whole[1] == 0
    assert abs(whole[0] - alone[0]) < 4 * 0.5 * (2 / 4000) ** 0.5
    for method in (mixture.cdf, mixture.radius_pit):
        assert torch.isfinite(method(target, mask)).all()
    with pytest.raises(SpaceError, match="batch shape"):
        mixture.content_pit(torch.zeros((4, 2, 3, 2), dtype=torch.float64), seeded(1))


def test_the_likelihood_is_proper():
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


# ------------------------------------------------------------------------------------------------ invariances


@settings(max_examples=25, deadline=None)
@given(
    angle=st.floats(-math.pi, math.pi),
    shift=st.tuples(st.floats(-100, 100), st.floats(-100, 100)),
    order=st.permutations(range(3)),
    seed=st.integers(0, 1000),
    joint=st.booleans(),
)
def test_rotation_translation_and_order_of_modes_do_not_matter(angle, shift, order, seed, joint):
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
    torch.testing.assert_close(moved.radius_pit(there), mixture.radius_pit(target)[:, order], rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(moved.assign(there, "soft"), mixture.assign(target, "soft")[:, order], atol=1e-7, rtol=0)
    mean, covariance = mixture.marginal()
    torch.testing.assert_close(moved.marginal()[0], mean @ turn.T + move, rtol=0, atol=1e-10)
    torch.testing.assert_close(moved.marginal()[1], turn @ covariance @ turn.T, rtol=0, atol=1e-8)


# ------------------------------------------------------------------------------------------------ wrong input


def broken(**changes):
    parts = {
        "logits": torch.zeros(2, 3),
        "mean": torch.zeros(2, 3, 4, 2),
        "covariance": torch.eye(2).expand(2, 3, 4, 2, 2).clone(),
    }
    parts.update(changes)
    return parts


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"logits": torch.zeros(2, 4)}, SpaceError, r"logits: got \(2, 4\), expected \(2, 3\)"),
        ({"mean": torch.zeros(2, 3, 4, 3)}, SpaceError, "mean"),
        ({"mean": torch.zeros(2, 0, 4, 2)}, SpaceError, "empty"),
        ({"covariance": torch.ones(2, 3, 4, 2)}, SpaceError, "covariance"),
        ({"logits": torch.zeros(2, 3, dtype=torch.float64)}, SpaceError, "float32"),
        ({"joint_covariance": torch.ones(2, 3, 4, 4)}, SpaceError, r"\(2, 3, 8, 8\)"),
        ({"mean": torch.full((2, 3, 4, 2), torch.nan)}, DataError, "mean: got NaN"),
        ({"logits": torch.full((2, 3), -torch.inf)}, DataError, "logits: got NaN or infinity"),
        ({"covariance": -torch.eye(2).expand(2, 3, 4, 2, 2)}, DataError, "not positive definite"),
        ({"covariance": torch.ones(2, 3, 4, 2, 2)}, DataError, "not positive definite"),
        ({"covariance": torch.tensor([[1.0, 0.5], [0.0, 1.0]]).expand(2, 3, 4, 2, 2)}, DataError, "asymmetric"),
        ({"joint_covariance": 2 * torch.eye(8).expand(2, 3, 8, 8)}, DataError, "diagonal blocks"),
        ({"joint_covariance": (torch.eye(2).repeat(4, 4)).expand(2, 3, 8, 8)}, DataError, "not positive definite"),
        ({"noise": -1.0}, DataError, "noise"),
        ({"noise": math.nan}, DataError, "noise"),
    ],
)
def test_wrong_mixtures_are_refused(changes, error, match):
    with pytest.raises(error, match=match):
        GaussianMixture(**broken(**changes))


def test_wrong_targets_are_refused():
    mixture = GaussianMixture(**broken())
    with pytest.raises(SpaceError, match="target"):
        mixture.nll_joint(torch.zeros(3, 4, 2))
    with pytest.raises(SpaceError, match="mask"):
        mixture.nll_joint(torch.zeros(2, 4, 2), torch.ones(4, dtype=torch.bool))
    with pytest.raises(SpaceError, match=r"target: got torch\.float64"):
        mixture.nll_joint(torch.zeros(2, 4, 2, dtype=torch.float64))
    with pytest.raises(DataError, match="unmasked"):
        mixture.nll_joint(torch.full((2, 4, 2), torch.nan))


def test_unchecked_mixtures_let_bad_values_through_as_nan():
    mixture = GaussianMixture(**broken(covariance=-torch.eye(2).expand(2, 3, 4, 2, 2)), check=False)
    assert torch.isnan(mixture.nll_joint(torch.zeros(2, 4, 2))).all()
