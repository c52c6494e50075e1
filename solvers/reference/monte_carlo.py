"""Moments of a stochastic trajectory by quasi-random sampling: the reference of the closed forms.

Every path is unrolled by `retrodict.physics.motion.kinematics.unroll`, so that nothing is shared with the closed forms
but the equations. Scrambled Sobol points drive the principal components of the integrated inputs, the largest first:
the low dimensions of the sequence, which are the most even, then decide most of where a path ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.motion.inputs import Inputs
from retrodict.physics.motion.kinematics import unroll
from retrodict.physics.motion.moments import time_steps
from retrodict.physics.motion.state import Start

__all__ = ["SampledMoments", "Setting", "sample_many", "sample_moments", "sample_paths"]


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


@dataclass(frozen=True)
class Setting:
    """What `retrodict.physics.motion.moments.propagate` is given, for one start and one path of inputs.

    Parameters
    ----------
    formulation, start, inputs, time_step, integrator, lever, wheelbase
        As there; unbatched.
    substeps : int, optional
        Divide every step, inputs held: approaches the exact hold without sharing its quadrature.

    Raises
    ------
    SolverError
        If the start or inputs are batched, or the number of substeps is not positive.

    Examples
    --------
    >>> from retrodict.physics.motion.inputs import White
    >>> Setting("velocity", Start(torch.zeros(4)), Inputs(torch.zeros(3, 2), White(torch.ones(3, 2))), 0.1).substeps
    1
    """

    formulation: str
    start: Start
    inputs: Inputs
    time_step: float | Tensor
    integrator: str = "euler"
    lever: float = 0.0
    wheelbase: float | None = None
    substeps: int = 1

    def __post_init__(self) -> None:
        if self.start.mean.ndim != 1 or self.inputs.mean.ndim != 2:
            got = f"start {tuple(self.start.mean.shape)}, inputs {tuple(self.inputs.mean.shape)}"
            raise SolverError(expected("Setting", got, "one start and one path of inputs"))
        if self.substeps < 1:
            raise SolverError(expected("Setting.substeps", self.substeps, "a positive number"))


def _root(matrix: Tensor) -> Tensor:
    """Return a square root that also serves singular covariances, largest components first."""
    values, vectors = map(torch.as_tensor, torch.linalg.eigh(matrix))
    return (vectors * values.clamp(min=0).sqrt()).flip(-1)


def _input_root(inputs: Inputs, dt: Tensor) -> tuple[Tensor, Tensor]:
    """Return the roots of both channels over the same 2 T normals, ordered by their share in the integrals."""
    n = inputs.steps
    first, cross, second = (b.to(dt).expand(n, n) for b in inputs.law.blocks(dt))
    integral = torch.tril(dt.expand(n, n))
    kernels = [integral @ block @ integral.T for block in (first, cross, second)]
    if bool((cross == 0).all()):
        roots = torch.zeros(2, n, 2 * n, dtype=dt.dtype)
        roots[0, :, 0::2], roots[1, :, 1::2] = _root(kernels[0]), _root(kernels[2])
    else:
        # metres and radians do not compare: give both channels the same weight in the order
        size = [torch.trace(kernels[i]).clamp(min=1e-300).sqrt() for i in (0, 2)]
        rows = [
            torch.cat([kernels[0] / size[0] ** 2, kernels[1] / (size[0] * size[1])], 1),
            torch.cat([kernels[1].T / (size[0] * size[1]), kernels[2] / size[1] ** 2], 1),
        ]
        joint = _root(torch.cat(rows, 0)).unflatten(0, (2, n))
        roots = joint * torch.stack(size)[:, None, None]
    # back from the integrals to the inputs
    increments = torch.cat([roots[:, :1], torch.diff(roots, dim=1)], 1) / dt[:, None]
    return increments[0], increments[1]


class _Sampler:
    """Paths of one setting for given standard normals; positions relative to the start's mean."""

    def __init__(self, setting: Setting, dtype: torch.dtype) -> None:
        steps, f64 = setting.inputs.steps, torch.float64
        dt = time_steps(setting.time_step, steps, setting.inputs.mean).to(f64)
        self.setting, self.dimensions = setting, 4 + 2 * steps
        self.origin = setting.start.mean[:2].to(f64)
        still = torch.cat([torch.zeros(2, dtype=f64), setting.start.mean[2:].to(f64)])
        covariance = setting.start.covariance
        self.begin = (torch.zeros(4, 4, dtype=f64) if covariance is None else _root(covariance.to(f64))).to(dtype)
        first, second = _input_root(setting.inputs, dt)
        # independent channels need half of the normals each
        self.split = bool((first[:, 1::2] == 0).all() and (second[:, 0::2] == 0).all())
        self.roots = (first[:, 0::2], second[:, 1::2]) if self.split else (first, second)
        self.roots = (self.roots[0].T.to(dtype).contiguous(), self.roots[1].T.to(dtype).contiguous())
        self.first_state, self.mean = still.to(dtype), setting.inputs.mean.to(dtype)
        self.fine = (dt / setting.substeps).repeat_interleave(setting.substeps).to(dtype)

    def paths(self, normal: Tensor) -> Tensor:
        """Return states after every step, shape (N, T, 4)."""
        setting, n = self.setting, self.setting.substeps
        driving = normal[:, 4 : self.dimensions]
        halves = (driving[:, 0::2], driving[:, 1::2]) if self.split else (driving, driving)
        path = torch.stack([halves[i] @ self.roots[i] + self.mean[:, i] for i in (0, 1)]).movedim(0, -1)
        if n > 1:
            path = path.repeat_interleave(n, 1)
        states = unroll(
            setting.formulation, self.first_state + normal[:, :4] @ self.begin.T, path, self.fine,
            integrator=setting.integrator, lever=setting.lever, wheelbase=setting.wheelbase,
        )  # fmt: skip
        return states[:, n - 1 :: n]


class _Sums:
    """Running first and second moments of positions, in double precision."""

    def __init__(self) -> None:
        self.count, self.shift = 0, torch.zeros(())
        self.total, self.square = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)

    def add(self, p: Tensor) -> None:
        """Take in positions, shape (N, T, 2)."""
        if self.count == 0:
            # one shift near the mean keeps the sum of squares from cancelling
            self.shift = p.mean(0)
        x, y = (p - self.shift).unbind(-1)
        self.total = self.total + torch.stack([x.sum(0), y.sum(0)], -1).double()
        self.square = self.square + torch.stack([(x * x).sum(0), (x * y).sum(0), (y * y).sum(0)], -1).double()
        self.count += p.shape[0]

    def moments(self, origin: Tensor) -> SampledMoments:
        """Return the moments of all that came in."""
        mean, n = self.total / self.count, self.count
        square = self.square[..., [0, 1, 1, 2]].unflatten(-1, (2, 2)) / n
        covariance = (square - mean[:, :, None] * mean[:, None, :]) * n / (n - 1)
        error = torch.sqrt(torch.diagonal(covariance, dim1=-2, dim2=-1) / n)
        return SampledMoments(origin + self.shift + mean, covariance, error, n)


def _normals(dimensions: int, samples: int, seed: int, chunk: int) -> Iterator[Tensor]:
    """Yield standard normals from scrambled Sobol points, shape (chunk, dimensions)."""
    if samples < 1 or chunk < 1:
        raise SolverError(expected("samples", f"{samples} in chunks of {chunk}", "positive numbers"))
    engine = torch.quasirandom.SobolEngine(dimensions, scramble=True, seed=seed)
    for at in range(0, samples, chunk):
        uniform = engine.draw(min(chunk, samples - at), dtype=torch.float64)
        yield torch.special.ndtri(uniform.clamp(1e-12, 1 - 1e-12))


def sample_many(
    settings: Sequence[Setting], samples: int, *, seed: int = 0, chunk: int = 4096, dtype: torch.dtype = torch.float64
) -> list[SampledMoments]:
    """Return sample moments of the positions in many settings, which share the points.

    Parameters
    ----------
    settings : sequence of Setting
        What to sample.
    samples : int
        Number of paths; a power of two is best.
    seed : int, optional
        Of the scrambling.
    chunk : int, optional
        Paths at a time.
    dtype : torch.dtype, optional
        Of the paths; sums over chunks are double. Single precision is twice as fast, and its rounding, 1e-7 of the
        distance from the start, is far below the sampling error of any feasible number of paths.

    Returns
    -------
    list of SampledMoments
        In the order of the settings.

    Raises
    ------
    SolverError
        If a number is not positive.

    Examples
    --------
    >>> from retrodict.physics.motion.inputs import White
    >>> inputs = Inputs(torch.zeros(3, 2), White(torch.ones(3, 2)))
    >>> setting = Setting("velocity", Start(torch.zeros(4)), inputs, 1.0)
    >>> bool((sample_many([setting], 4096)[0].covariance[-1, 0, 0] - 3).abs() < 0.1)
    True
    """
    samplers = [_Sampler(setting, dtype) for setting in settings]
    sums = [_Sums() for _ in samplers]
    for normal in _normals(max(s.dimensions for s in samplers), samples, seed, chunk):
        cast = normal.to(dtype)
        for sampler, held in zip(samplers, sums, strict=True):
            held.add(sampler.paths(cast)[..., :2])
    return [held.moments(sampler.origin) for sampler, held in zip(samplers, sums, strict=True)]


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
    """Return sample moments of the positions; see `Setting` and `sample_many` for the arguments.

    Examples
    --------
    >>> from retrodict.physics.motion.inputs import White
    >>> inputs = Inputs(torch.zeros(3, 2), White(torch.ones(3, 2)))
    >>> moments = sample_moments("velocity", Start(torch.zeros(4)), inputs, 1.0, 4096)
    >>> bool((moments.covariance[-1, 0, 0] - 3).abs() < 0.1)
    True
    """
    setting = Setting(formulation, start, inputs, time_step, integrator, lever, wheelbase, substeps)
    return sample_many([setting], samples, seed=seed, chunk=chunk)[0]


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
    """Yield sampled paths, shape (chunk, T, 4), in double precision; see `Setting` and `sample_many`.

    Examples
    --------
    >>> from retrodict.physics.motion.inputs import White
    >>> inputs = Inputs(torch.zeros(3, 2), White(torch.ones(3, 2)))
    >>> next(sample_paths("velocity", Start(torch.zeros(4)), inputs, 0.1, 8)).shape
    torch.Size([8, 3, 4])
    """
    setting = Setting(formulation, start, inputs, time_step, integrator, lever, wheelbase, substeps)
    sampler = _Sampler(setting, torch.float64)
    shift = torch.cat([sampler.origin, torch.zeros(2, dtype=torch.float64)])
    for normal in _normals(sampler.dimensions, samples, seed, chunk):
        yield sampler.paths(normal) + shift
