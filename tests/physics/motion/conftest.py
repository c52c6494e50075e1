"""Mixtures, modes and scenes that several files of this folder draw or build."""

import numpy as np
import pytest
import torch

from retrodict.physics.motion.mixtures import GaussianMixture
from retrodict.physics.motion.waymo_forecasts import MotionForecasts


def _random_mixture(
    batch=(3,), modes=4, steps=5, seed=0, joint=False, noise=0.0, dtype=torch.float64
) -> GaussianMixture:
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn((*batch, modes, 2 * steps, 2 * steps), generator=generator, dtype=dtype)
    full = root @ root.mT / steps + 0.3 * torch.eye(2 * steps, dtype=dtype)
    blocks = torch.stack([full[..., 2 * t : 2 * t + 2, 2 * t : 2 * t + 2] for t in range(steps)], dim=-3)
    mean = 2.0 * torch.randn((*batch, modes, steps, 2), generator=generator, dtype=dtype)
    logits = torch.randn((*batch, modes), generator=generator, dtype=dtype)
    return GaussianMixture(logits, mean, blocks, full if joint else None, noise)


@pytest.fixture(scope="session")
def random_mixture():
    return _random_mixture


def _random_target(mixture: GaussianMixture, seed=1) -> torch.Tensor:
    shape = (*mixture.logits.shape[:-1], *mixture.mean.shape[-2:])
    return 2.0 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=mixture.mean.dtype)


@pytest.fixture(scope="session")
def random_target():
    return _random_target


def _turned(large: float, small: float, angle: float) -> np.ndarray:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return turn @ np.diag([large**2, small**2]) @ turn.T


@pytest.fixture(scope="session")
def turned():
    return _turned


def _random_modes(seed: int, modes=3):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(modes, 2, 2))
    return rng.dirichlet(np.ones(modes)), 2 * rng.normal(size=(modes, 2)), root @ root.swapaxes(1, 2) + 0.1 * np.eye(2)


@pytest.fixture(scope="session")
def random_modes():
    return _random_modes


def _draw_modes(weights, mean, covariance, count, rng):
    mode = rng.choice(len(weights), p=weights, size=count)
    factor = np.linalg.cholesky(covariance)
    return mean[mode] + np.einsum("nij,nj->ni", factor[mode], rng.normal(size=(count, 2)))


@pytest.fixture(scope="session")
def draw_modes():
    return _draw_modes


def _scene(rows, steps=16) -> MotionForecasts:
    """Objects that stand at (100, -50); a row is (shape, heading, speed, [(dx, dy, confidence), ...])."""
    count, modes = len(rows), len(rows[0][3])
    truth = np.broadcast_to(np.array([100.0, -50.0]), (count, steps, 2)).copy()
    offsets = np.array([[mode[:2] for mode in row[3]] for row in rows])
    return MotionForecasts(
        truth[:, None] + offsets[:, :, None],
        np.array([[mode[2] for mode in row[3]] for row in rows]).reshape(count, modes),
        truth,
        np.broadcast_to(np.array([row[1] for row in rows])[:, None], (count, steps)),
        np.ones((count, steps), dtype=bool),
        np.array([row[2] for row in rows]),
        np.array([int(row[0]) for row in rows]),
    )


@pytest.fixture(scope="session")
def scene():
    return _scene
