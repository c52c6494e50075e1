import math

import pytest
import torch

from retrodict.physics.errors import ConfigError, SpaceError
from retrodict.physics.motion.mixtures import GaussianMixture


def test_soft_assignment_is_the_em_bound_with_the_same_gradient(random_mixture, random_target):
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


def test_hard_assignment_bounds_the_mixture_from_above(random_mixture, random_target):
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
