import pytest
import torch

from retrodict.physics.errors import DataError, SpaceError
from retrodict.physics.motion.masks import masked_mean
from retrodict.physics.motion.mixtures import GaussianMixture


@pytest.mark.parametrize("joint", [False, True])
def test_masked_steps_are_marginalised_and_carry_no_gradient(joint, random_mixture, random_target):
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


def test_an_empty_row_is_zero_and_an_empty_mask_an_error(random_mixture, random_target):
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


def test_masked_steps_are_exactly_zero_for_any_weights(random_mixture, random_target):
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
