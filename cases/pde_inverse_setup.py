"""Setup of the case ``pde-inverse``: its settings, synthetic samples, and the problem that they pose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from retrodict.cases.config import CaseConfig, setting

if TYPE_CHECKING:
    from retrodict.inverse.pde.expansion import Expansion
    from retrodict.inverse.pde.inference import Inference
    from retrodict.inverse.pde.samples import Samples
    from retrodict.inverse.problem import InverseProblem
    from retrodict.physics.pde.quasilinear import QuasiLinear

__all__ = ["PdeInverse", "bump", "draw", "expansion_of", "posed", "search", "system_of"]


class PdeInverse(CaseConfig):
    """Settings of the case.

    Examples
    --------
    >>> PdeInverse(velocity=10.0).velocity
    10.0
    """

    velocity: float = setting(43.0, "1", "true velocity c of the synthetic samples", ge=0, le=70)
    diffusivity: float = setting(0.02, "1", "true diffusivity nu", ge=1e-3, le=0.1)
    highest: float = setting(70.0, "1", "highest velocity that is searched, from 0", of_data=True, ge=1e-09, le=1e09)
    width: float = setting(
        0.5, "1", "width of the initial bump exp((cos y - 1) / width^2), y the angle from its centre", gt=0.3, le=10
    )
    period: float = setting(2 * math.pi, "1", "period of space, which begins at 0", of_data=True, ge=1e-06, le=1e06)
    duration: float = setting(1.0, "1", "end of time, which begins at 0", of_data=True, ge=1e-06, le=1e06)
    samples: int = setting(200, "", "synthetic samples", ge=10, le=100_000)
    noise: float = setting(
        0.01, "1", "standard deviation of the noise, also of data without a column sigma", ge=1e-12, le=1e06
    )
    unknown_harmonics: int = setting(0, "", "harmonics of an unknown initial field; 0: it is the bump", ge=0, le=40)
    features: int = setting(300, "", "frozen features of the solver", ge=50, le=2000)
    fits: int = setting(20, "", "synthetic sets in the coverage check", ge=4, le=100_000)
    training: int = setting(
        150, "", "steps of a trained network that checks the frozen one; 0: none", ge=0, le=1_000_000_000
    )

    @property
    def mixing(self) -> float:
        """The largest diffusivity that is sought: it takes the longest wave of the period to 1/e within the time."""
        return (self.period / (2 * math.pi)) ** 2 / self.duration


def bump(config: PdeInverse, x: Any, cos: Any = np.cos, exp: Any = np.exp) -> Any:
    """Return the initial bump at places.

    Parameters
    ----------
    config : PdeInverse
        Gives width and period.
    x : array
        Places.
    cos, exp : callable, optional
        Of the library that `x` belongs to.

    Returns
    -------
    array
        Values, 1 at the centre of the period.

    Examples
    --------
    >>> float(bump(PdeInverse(), math.pi))
    1.0
    """
    return exp((cos(2 * math.pi * x / config.period - math.pi) - 1) / config.width**2)


def system_of(config: PdeInverse) -> QuasiLinear:
    """Return the equation, with coefficients that are not the truth.

    Parameters
    ----------
    config : PdeInverse
        The settings.

    Returns
    -------
    QuasiLinear
        Convection and diffusion from the bump.

    Examples
    --------
    >>> system_of(PdeInverse()).values
    {'c': 35.0, 'nu': 0.01}
    """
    import torch

    from retrodict.physics.pde.convection import convection
    from retrodict.physics.pde.quasilinear import line

    def initial(at: Any) -> Any:
        return bump(config, at["x"], torch.cos, torch.exp)

    # where searches begin: the truth is not among it
    middle, coords = config.highest / 2, line(config.period, duration=config.duration)
    return convection(middle, 0.01 * config.mixing, initial=initial, coords=coords)


@cache
def expansion_of(config: PdeInverse, harmonics: int) -> Expansion:
    """Return the solver; the same object for the same settings.

    Parameters
    ----------
    config : PdeInverse
        The settings.
    harmonics : int
        Of an unknown initial field; 0 where it is the bump.

    Returns
    -------
    Expansion
        The solver.

    Examples
    --------
    >>> expansion_of(PdeInverse(features=50), 0).coefficients
    ('nu',)
    """
    from retrodict.inverse.pde.expansion import Expansion
    from retrodict.inverse.pde.harmonics import Harmonics

    initial = Harmonics(harmonics, config.period) if harmonics else None
    return Expansion(system_of(config), config.features, initial=initial)


def draw(config: PdeInverse, rng: np.random.Generator, c: float, nu: float, times: Sequence[float] = ()) -> Samples:
    """Draw noisy samples of the sum of Fourier modes, which no solver of the inverse problem shares.

    Parameters
    ----------
    config : PdeInverse
        The settings.
    rng : numpy.random.Generator
        Source of randomness.
    c, nu : float
        The truth.
    times : sequence of float, optional
        Times to choose from; any unless given.

    Returns
    -------
    Samples
        Noisy.

    Examples
    --------
    >>> draw(PdeInverse(), np.random.default_rng(0), 1.0, 0.1).count
    200
    """
    from retrodict.inverse.pde.samples import Samples
    from retrodict.solvers.reference.spectral import convection_diffusion

    n = config.samples
    x = rng.uniform(0, config.period, n)
    t = rng.choice(np.array(times), n) if times else rng.uniform(0, config.duration, n)
    exact = convection_diffusion(lambda y: bump(config, y), period=config.period, speed=c, diffusivity=nu, samples=512)
    return Samples(x, t, exact(x, t) + config.noise * rng.standard_normal(n), config.noise, "synthetic samples")


def posed(
    config: PdeInverse, samples: Samples, harmonics: int = 0, truth: tuple[float, float] | None = None
) -> InverseProblem:
    """Return the problem of some samples, from the system's own coefficients.

    Parameters
    ----------
    config : PdeInverse
        The settings.
    samples : Samples
        The data.
    harmonics : int, optional
        Of an unknown initial field; 0 where it is the bump.
    truth : tuple of float, optional
        c and nu.

    Returns
    -------
    InverseProblem
        Of c, nu and perhaps the initial field.

    Examples
    --------
    >>> config = PdeInverse(features=50, samples=10)
    >>> list(posed(config, draw(config, np.random.default_rng(0), 1.0, 0.1)).space)
    ['c', 'nu']
    """
    from retrodict.inverse.pde.coefficients import coefficient_problem
    from retrodict.inverse.pde.forward import INITIAL

    expansion = expansion_of(config, harmonics)
    known: dict[str, Any] | None = None
    if truth is not None:
        known = {"c": np.array(truth[0]), "nu": np.array(truth[1])}
        if expansion.initial is not None:
            known[INITIAL] = expansion.initial.project(lambda x: bump(config, x))
    bounds = {"c": (0.0, config.highest), "nu": (0.0, config.mixing)}
    return coefficient_problem(system_of(config), samples, ["c", "nu"], expansion=expansion, bounds=bounds, truth=known)


def search(found: InverseProblem) -> Inference:
    """Search all velocities.

    Parameters
    ----------
    found : InverseProblem
        From `posed`.

    Returns
    -------
    Inference
        With the minima that compete.

    Examples
    --------
    >>> config = PdeInverse(features=50, samples=50)
    >>> seen = draw(config, np.random.default_rng(0), 20.0, 0.1)
    >>> abs(float(search(posed(config, seen)).estimate["c"]) - 20.0) < 0.1
    True
    """
    from retrodict.inverse.pde.inference import infer

    return infer(found, found.space["c"].bounds)
