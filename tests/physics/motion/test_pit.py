import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from retrodict.physics.errors import SpaceError
from retrodict.physics.motion.mixtures import GaussianMixture
from retrodict.physics.motion.pit import content_pit, coordinate_pit, radius_pit


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grid_of(mixture: GaussianMixture, half=20.0, count=801) -> tuple[Tensor, Tensor, float]:
    axis = torch.linspace(-half, half, count, dtype=torch.float64)
    points = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1)
    density = torch.exp(-mixture.nll_per_step(points.view(-1, 1, 2))).view(count, count)
    return axis, density, (2 * half / (count - 1)) ** 2


def test_density_integrates_to_one_and_to_the_coordinates_transform(random_mixture):
    mixture = random_mixture(batch=(), modes=3, steps=1, noise=0.6)
    axis, density, cell = grid_of(mixture)
    assert density.sum().item() * cell == pytest.approx(1.0, abs=1e-10)
    index = 420
    value = coordinate_pit(mixture, torch.stack([axis[index], axis[index]]).view(1, 2))[0]
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
        got = content_pit(mixture, target, seeded(5), count=count).item()
        assert abs(got - wanted) < 4 * math.sqrt(wanted * (1 - wanted) / count) + 1e-3


def test_content_of_one_gaussian_is_the_chi_squared_radius(random_mixture, random_target):
    mixture = random_mixture(batch=(6,), modes=1, steps=2, noise=0.3)
    target = random_target(mixture) * 0.3 + mixture.mean[:, 0]
    radius = radius_pit(mixture, target)[:, 0]
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
    error = (content_pit(mixture, target, seeded(1), count=4000) - radius).abs()
    assert (error < 4 * 0.5 / 4000**0.5).all()


@pytest.mark.parametrize("joint", [False, True])
def test_content_of_own_samples_is_uniform_for_few_draws(joint, random_mixture):
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
    pit = content_pit(many, target, seeded(13), count=9, joint=joint)
    for values in [pit] if joint else pit.unbind(-1):
        assert stats.kstest(values.numpy(), "uniform").pvalue > 1e-3


def test_content_of_masked_steps(random_mixture, random_target):
    mixture = random_mixture(batch=(2,), modes=2, steps=3)
    target = random_target(mixture)
    mask = torch.tensor([[True, False, True], [False, False, False]])
    target[~mask] = torch.nan
    step = content_pit(mixture, target, seeded(1), mask, count=50)
    assert (step[~mask] == 0).all()
    assert (step[mask] > 0).all()
    whole = content_pit(mixture, target, seeded(1), mask, count=4000, joint=True)
    short = GaussianMixture(mixture.logits[:1], mixture.mean[:1][:, :, ::2], mixture.covariance[:1][:, :, ::2])
    alone = content_pit(short, target[:1, ::2], seeded(2), count=4000, joint=True)
    assert whole[1] == 0
    assert abs(whole[0] - alone[0]) < 4 * 0.5 * (2 / 4000) ** 0.5
    for transform in (coordinate_pit, radius_pit):
        assert torch.isfinite(transform(mixture, target, mask)).all()
    with pytest.raises(SpaceError, match="batch shape"):
        content_pit(mixture, torch.zeros((4, 2, 3, 2), dtype=torch.float64), seeded(1))
