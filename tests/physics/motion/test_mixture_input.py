import math

import pytest
import torch

from retrodict.physics.errors import DataError, SpaceError
from retrodict.physics.motion.mixtures import GaussianMixture


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
