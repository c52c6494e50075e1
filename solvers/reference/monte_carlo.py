"""Moments of a stochastic trajectory by quasi-random sampling: the reference of the closed forms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.motion.inputs import Inputs
from retrodict.physics.motion.kinematics import unroll
from retrodict.physics.motion.moments import time_steps
from retrodict.physics.motion.state import Start

__all__ = ["SampledMoments", "sample_moments", "sample_paths"]


@dataclass(frozen=True)
class SampledMoments:
    """Sample moments with their uncertainty.

    Parameters
    ----------
    mean : Tensor, shape (T, 2)
        Mean positions [m].
    covariance : Tensor, shape (T, 2, 2)
        Covariance [m2].
    standard_error : Tensor, shape (T, 2)
        Of the mean, as if the samples were independent: an upper bound for quasi-random ones [m].
    samples : int
        Their number.
    """

    mean: Tensor
    covariance: Tensor
    standard_error: Tensor
    samples: int


def _root(matrix: Tensor) -> Tensor:
    """Return a square root that also serves singular covariances."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp(min=0).sqrt()


def sample_paths(
    formulation: str,
    start: Start,
    inputs: Inputs,
    time_step: float | Tensor,
    samples: int,
    *,
    integrator: str = "euler",
    substeps: int = 1,
    lever: float = 0.0,
    wheelbase: float | None = None,
    seed: int = 0,
    chunk: int = 8192,
) -> Iterator[Tensor]:
    """Yield sampled paths, scrambled Sobol points behind every Gaussian.

    Parameters
    ----------
    formulation, start, inputs, time_step, integrator, lever, wheelbase
        As in `retrodict.physics.motion.moments.propagate`; unbatched. Computed in double precision.
    samples : int
        Number of paths; a power of two is best.
    substeps : int, optional
        Divide every step, inputs held: approaches the exact hold without sharing its quadrature.
    seed : int, optional
        Of the scrambling.
    chunk : int, optional
        Paths at a time.

    Yields
    ------
    Tensor, shape (chunk, T, 4)
        States after every step.

    Raises
    ------
    SolverError
        If the start or inputs are batched, or a number is not positive.

    Examples
    --------
    >>> from retrodict.physics.motion.inputs import White
    >>> inputs = Inputs(torch.zeros(3, 2), White(torch.ones(3, 2)))
    >>> next(sample_paths("velocity", Start(torch.zeros(4)), inputs, 0.1, 8)).shape
    torch.Size([8, 3, 4])
    """
    if start.mean.ndim != 1 or inputs.mean.ndim != 2:
        got = f"start {tuple(start.mean.shape)}, inputs {tuple(inputs.mean.shape)}"
        raise SolverError(expected("sample_paths", got, "one start and one path of inputs"))
    if samples < 1 or substeps < 1 or chunk < 1:
        raise SolverError(expected("sample_paths", f"{samples} samples, {substeps} substeps", "positive numbers"))
    steps, f64 = inputs.steps, torch.float64
    dt = time_steps(time_step, steps, inputs.mean).to(f64)
    first, cross, second = (b.to(f64).expand(steps, steps) for b in inputs.law.blocks(torch.cumsum(dt, 0) - dt))
    root = _root(torch.cat([torch.cat([first, cross], 1), torch.cat([cross.T, second], 1)], 0))
    begin = None if start.covariance is None else _root(start.covariance.to(f64))
    engine = torch.quasirandom.SobolEngine(2 * steps + 4, scramble=True, seed=seed)
    fine = (dt / substeps).repeat_interleave(substeps)
    for at in range(0, samples, chunk):
        n = min(chunk, samples - at)
        uniform = engine.draw(n, dtype=f64).clamp(1e-12, 1 - 1e-12)
        normal = torch.special.ndtri(uniform)
        deviation = (normal[:, 4:] @ root.T).unflatten(-1, (2, steps)).mT
        first_state = start.mean.to(f64) + (
            normal[:, :4] @ begin.T if begin is not None else torch.zeros(n, 4, dtype=f64)
        )
        path = (inputs.mean.to(f64) + deviation).repeat_interleave(substeps, 1)
        states = unroll(formulation, first_state, path, fine, integrator=integrator, lever=lever, wheelbase=wheelbase)
        yield states[:, substeps - 1 :: substeps]


def sample_moments(
    formulation: str,
    start: Start,
    inputs: Inputs,
    time_step: float | Tensor,
    samples: int,
    *,
    integrator: str = "euler",
    substeps: int = 1,
    lever: float = 0.0,
    wheelbase: float | None = None,
    seed: int = 0,
    chunk: int = 8192,
) -> SampledMoments:
    """Return sample moments of the positions; see `sample_paths` for the arguments.

    Examples
    --------
    >>> from retrodict.physics.motion.inputs import White
    >>> inputs = Inputs(torch.zeros(3, 2), White(torch.ones(3, 2)))
    >>> moments = sample_moments("velocity", Start(torch.zeros(4)), inputs, 1.0, 4096)
    >>> bool((moments.covariance[-1, 0, 0] - 3).abs() < 0.1)
    True
    """
    total, square, count = torch.zeros(()), torch.zeros(()), 0
    origin = start.mean[:2].to(torch.float64)
    paths = sample_paths(
        formulation, start, inputs, time_step, samples, integrator=integrator, substeps=substeps, lever=lever,
        wheelbase=wheelbase, seed=seed, chunk=chunk,
    )  # fmt: skip
    shift = None
    for states in paths:
        p = states[..., :2] - origin
        # one shift near the mean keeps the sum of squares from cancelling
        shift = p.mean(0) if shift is None else shift
        p = p - shift
        total = total + p.sum(0)
        square = square + torch.einsum("nti,ntj->tij", p, p)
        count += p.shape[0]
    mean = total / count
    covariance = (square / count - mean[:, :, None] * mean[:, None, :]) * count / (count - 1)
    error = torch.sqrt(torch.diagonal(covariance, dim1=-2, dim2=-1) / count)
    return SampledMoments(origin + (shift if shift is not None else 0.0) + mean, covariance, error, count)
