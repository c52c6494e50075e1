"""Case ``pde-inverse``: velocity and diffusivity of a stream, and its initial field, from noisy samples at points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrodict.cases.config import CaseConfig, setting

if TYPE_CHECKING:
    import xarray as xr

    from retrodict.inverse.pde.expansion import Expansion
    from retrodict.inverse.pde.inference import Inference
    from retrodict.inverse.pde.samples import Samples
    from retrodict.inverse.problem import InverseProblem
    from retrodict.physics.pde.quasilinear import QuasiLinear
    from retrodict.physics.seeds import Seeds
    from retrodict.physics.spaces import Tree

__all__ = ["PdeInverse", "case"]


class PdeInverse(CaseConfig):
    """Settings of the case."""

    velocity: float = setting(43.0, "1", "true velocity c of the synthetic samples", ge=0, le=70)
    diffusivity: float = setting(0.02, "1", "true diffusivity nu", ge=1e-3, le=0.1)
    highest: float = setting(70.0, "1", "highest velocity that is searched, from 0", gt=0)
    width: float = setting(
        0.5, "1", "width of the initial bump exp((cos y - 1) / width^2), y the angle from its centre", gt=0.3
    )
    period: float = setting(2 * math.pi, "1", "period of space, which begins at 0", gt=0)
    duration: float = setting(1.0, "1", "end of time, which begins at 0", gt=0)
    samples: int = setting(200, "", "synthetic samples", ge=10)
    noise: float = setting(0.01, "1", "standard deviation of the noise, also of data without a column sigma", gt=0)
    unknown_harmonics: int = setting(0, "", "harmonics of an unknown initial field; 0: it is the bump", ge=0, le=40)
    features: int = setting(300, "", "frozen features of the solver", ge=50, le=2000)
    fits: int = setting(20, "", "synthetic sets in the coverage check", ge=4)
    training: int = setting(150, "", "steps of a trained network that checks the frozen one; 0: none", ge=0)


def _bump(config: PdeInverse, x: Any, cos: Any = np.cos, exp: Any = np.exp) -> Any:
    return exp((cos(2 * math.pi * x / config.period - math.pi) - 1) / config.width**2)


def _system(config: PdeInverse) -> QuasiLinear:
    import torch

    from retrodict.physics.pde.convection import convection
    from retrodict.physics.pde.quasilinear import line

    def initial(at: Any) -> Any:
        return _bump(config, at["x"], torch.cos, torch.exp)

    # where searches begin: the truth is not among it
    middle, coords = config.highest / 2, line(config.period, duration=config.duration)
    return convection(middle, 0.01, initial=initial, coords=coords)


@cache
def _expansion(config: PdeInverse, harmonics: int) -> Expansion:
    from retrodict.inverse.pde.expansion import Expansion
    from retrodict.inverse.pde.harmonics import Harmonics

    initial = Harmonics(harmonics, config.period) if harmonics else None
    return Expansion(_system(config), config.features, initial=initial)


def _draw(config: PdeInverse, rng: np.random.Generator, c: float, nu: float, times: Sequence[float] = ()) -> Samples:
    """Draw noisy samples of the sum of Fourier modes, which no solver of the inverse problem shares."""
    from retrodict.inverse.pde.samples import Samples
    from retrodict.solvers.reference.spectral import convection_diffusion

    n = config.samples
    x = rng.uniform(0, config.period, n)
    t = rng.choice(np.array(times), n) if times else rng.uniform(0, config.duration, n)
    exact = convection_diffusion(lambda y: _bump(config, y), period=config.period, speed=c, diffusivity=nu, samples=512)
    return Samples(x, t, exact(x, t) + config.noise * rng.standard_normal(n), config.noise, "synthetic samples")


def simulate(config: PdeInverse, seeds: Seeds) -> xr.Dataset:
    """Return synthetic samples."""
    return _draw(config, seeds.stream("data"), config.velocity, config.diffusivity).to_dataset()


def _problem(
    config: PdeInverse, samples: Samples, harmonics: int = 0, truth: tuple[float, float] | None = None
) -> InverseProblem:
    from retrodict.inverse.pde.forward import INITIAL
    from retrodict.inverse.pde.inference import coefficient_problem

    expansion = _expansion(config.model_copy(update={"seed": 0}), harmonics)
    known: dict[str, Any] | None = None
    if truth is not None:
        known = {"c": np.array(truth[0]), "nu": np.array(truth[1])}
        if expansion.initial is not None:
            known[INITIAL] = expansion.initial.project(lambda x: _bump(config, x))
    bounds = {"c": (0.0, config.highest), "nu": (0.0, 1.0)}
    return coefficient_problem(_system(config), samples, ["c", "nu"], expansion=expansion, bounds=bounds, truth=known)


def problem(config: PdeInverse, seeds: Seeds, data: Path | None) -> InverseProblem:
    """Return the problem of the synthetic samples or of a user's, beginning at the best velocity of a coarse scan."""
    from dataclasses import replace

    from retrodict.inverse.pde.forward import INITIAL
    from retrodict.inverse.pde.inference import field_model, model_values
    from retrodict.inverse.pde.samples import Samples, read_samples
    from retrodict.inverse.pde.stream_scan import scan_stream
    from retrodict.physics.errors import DataError, expected

    samples = Samples.of(simulate(config, seeds)) if data is None else read_samples(data, config.noise)
    if not (samples.t > 0).any():
        raise DataError(expected(samples.where, "samples at t = 0 alone", "later ones: c and nu are not identifiable"))
    truth = (config.velocity, config.diffusivity) if data is None else None
    found = _problem(config, samples, config.unknown_harmonics, truth)
    if samples.count <= found.space.size:
        wanted = f"more than {found.space.size}, the number of unknowns"
        raise DataError(expected(samples.where, f"{samples.count} samples", wanted))
    scan = scan_stream(field_model(found), found.start, model_values(found), (0.0, config.highest))
    best = dict(scan.points[scan.minima(1)[0]])
    names = [k for k in found.space if k != INITIAL]
    start = {**best, **{k: np.clip(best[k], *found.space[k].bounds) for k in names}}
    return replace(found, start=start)


def _search(found: InverseProblem) -> Inference:
    from retrodict.inverse.pde.inference import infer

    return infer(found, found.space["c"].bounds)


def posterior(found: InverseProblem, at: Tree) -> xr.Dataset:
    """Return the posterior at the estimate, with the velocity that fits second best."""
    from retrodict.inverse.pde.inference import stream_posterior

    other = _search(found)
    return stream_posterior(found, (at, *other.minima[1:]), other.gaps)


@cache
def _study(config: PdeInverse) -> dict[str, Any]:
    """Fit many sets with c in 0..70 and nu in 1e-3..1e-1: pulls, and the chi-squared that the next minimum is above."""
    from retrodict.physics.seeds import Seeds

    pulls, gaps = [], []
    for i in range(config.fits):
        rng = Seeds(config.seed + 1000 + i).stream("data")
        truth = rng.uniform(0, 70.0), 10 ** rng.uniform(-3, -1)
        found = _search(_problem(config, _draw(config, rng, *truth)))
        post = found.posterior
        pulls.append((post["estimate"].values - np.array(truth)) / post["std"].values)
        gaps.append(post.attrs["chi2_gap"])
    return {"pulls": np.array(pulls), "gaps": np.array(gaps)}


@cache
def _one(config: PdeInverse, harmonics: int = 0) -> Inference:
    from retrodict.physics.seeds import Seeds

    samples = _draw(config, Seeds(config.seed).stream("data"), config.velocity, config.diffusivity)
    return _search(_problem(config, samples, harmonics))


def _weights(config: PdeInverse) -> Any:
    """Shifts of the estimate and changes of its deviations where the equation has a finite weight, in deviations."""
    from retrodict.inverse.pde.relaxation import relaxed

    found = _one(config)
    centre, std = (found.posterior[k].values for k in ("estimate", "std"))
    rows = [relaxed(found.problem, found.estimate, config.noise * s) for s in (1e-2, 1e-3, 2e-4)]
    return np.concatenate([np.concatenate([(e - centre) / std, s / std - 1]) for e, s in rows])


def _trained(config: PdeInverse) -> Any:
    """Difference of a trained network's estimate, in deviations."""
    from retrodict.inverse.pde.all_at_once import AllAtOnce
    from retrodict.inverse.pde.inference import field_model
    from retrodict.solvers.iterate import iterate
    from retrodict.solvers.least_squares import LevenbergMarquardt
    from retrodict.solvers.pinn.sampling import Sampling

    found = _one(config)
    start = {k: float(v) for k, v in found.problem.start.items()}
    sampling, seen = Sampling(400, 40, grading=1.5), field_model(found.problem).samples
    seen = type(seen)(seen.x, seen.t, model_of(found), seen.sigma)
    joint = AllAtOnce(
        _system(config),
        seen,
        ["c", "nu"],
        start=start,
        width=40,
        depth=1,
        equation_std=1e-2 * config.noise,
        sampling=sampling,
    )
    result = iterate(LevenbergMarquardt(joint, damping=1.0, factorisation="cholesky"), config.training)
    gap = [float(result.data[k]) - float(found.estimate[k]) for k in ("c", "nu")]
    return np.array(gap) / found.posterior["std"].values


def model_of(found: Inference) -> Any:
    """Return the observed values of an inference."""
    from retrodict.inverse.pde.inference import model_values

    return model_values(found.problem)
