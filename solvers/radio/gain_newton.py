"""Calibration of all gains at once: Gauss-Newton steps over the reals, conjugate gradients, exact line search.

A visibility is bilinear in the gains of its two antennas, so descent one antenna after the other creeps: every antenna
waits for 26 others. Linearised in all of them, ``dV = h1 . d1 + conj(h2 . d2)`` is linear over the reals only; its
normal equations are solved by conjugate gradients that the blocks of single receptors precondition. Along the step the
visibilities are a parabola, the objective a quartic: its exact minimiser makes every step descend.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.radio.interferometer import Interferometer
from retrodict.solvers.radio.gain_normal import NormalEquations
from retrodict.solvers.radio.gain_tangent import Preconditioner, Tangent, inner
from retrodict.solvers.radio.misfit import Measurement, noise_scale

__all__ = ["GainNewton", "GainStep", "Prior"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]


class GainStep(NamedTuple):
    """Result of a step.

    Parameters
    ----------
    gains : ndarray of complex, shape (receptor, term, S, S)
        New gains.
    before, after : float
        Objective; ``after`` is never larger, up to rounding.
    length : float
        Factor of the Gauss-Newton step.
    iterations : int
        Of conjugate gradients.
    variance : ndarray, shape (receptor, term, S, S)
        Of the real and of the imaginary part of every coefficient, the other receptors held.
    """

    gains: Complexes
    before: float
    after: float
    length: float
    iterations: int
    variance: Floats


@dataclass(frozen=True)
class Prior:
    """Independent normal distributions of the real and the imaginary part of every coefficient.

    Parameters
    ----------
    centre : ndarray of complex, shape (receptor, term, S, S)
        Means.
    precision : ndarray, shape (receptor, term, S, S)
        Inverse variances.

    Examples
    --------
    >>> Prior.about(np.ones((1, 1, 1, 1), complex), 0.5).precision.item()
    4.0
    """

    centre: Complexes
    precision: Floats

    @classmethod
    def about(cls, centre: Complexes, deviation: float) -> Prior:
        """Return the prior of one standard deviation for all coefficients."""
        return cls(centre, np.full(centre.shape, deviation**-2.0))


class GainNewton:
    """Gauss-Newton for ``sum w |V(U) - y|^2 / (2 s^2) + sum precision |U - centre|^2 / 2`` with the sky held.

    Rows in memory are solved for by conjugate gradients; rows that are read in chunks are read twice, once for the
    normal equations of all gains, which are then solved exactly, and once for the line search.

    Parameters
    ----------
    model : Measurement
        The rows with their data.
    tolerance : float
        Of the conjugate gradients, relative to the first preconditioned residual.
    max_iterations : int
        Of the conjugate gradients.

    Examples
    --------
    See `retrodict.solvers.radio.joint.JointSolver`.
    """

    def __init__(self, model: Measurement, tolerance: float = 0.1, max_iterations: int = 50) -> None:
        self.model, self.tolerance, self.max_iterations = model, tolerance, max_iterations

    def step(
        self,
        image: Floats,
        gains: Complexes,
        prior: Prior,
        scale: float | None = None,
        precision: Floats | None = None,
    ) -> GainStep:
        """Return one step.

        Parameters
        ----------
        image : ndarray, shape (N, N)
            The sky.
        gains : ndarray of complex, shape (receptor, term, S, S)
            Where to begin.
        prior : Prior
            Of the gains.
        scale : float, optional
            ``s``, noise in units of what the weights say; by default the residual's.
        precision : ndarray, shape (receptor, term, S, S), optional
            That the variances returned are for; by default the prior's.
        """
        model = self.model
        pull, precision = gains - prior.centre, prior.precision if precision is None else precision
        if isinstance(model, Interferometer):
            line = Tangent(model, image, gains)
            s = noise_scale(line.misfit, model.rows) if scale is None else scale
            gradient = line.adjoint(line.weight * line.residual) / s**2 + prior.precision * pull
            blocks = line.preconditioner(s, precision)
            delta, count = self._solve(line, blocks, s, prior.precision, -gradient)
            sums = line.parabola(delta)
        else:
            normal = NormalEquations.of(model, image, gains)
            s = noise_scale(normal.value, model.rows) if scale is None else scale
            blocks = Preconditioner.of(normal.hermitian, s, precision)
            delta = normal.solve(s, prior.precision, -normal.gradient / s**2 - prior.precision * pull)
            sums, count = model.total(lambda part: Tangent(part, image, gains).parabola(delta)), 0
        quartic = np.array(sums) / s**2
        p = prior.precision
        quartic[2:] += [0.5 * inner(delta, p * delta), inner(delta, p * pull), 0.5 * inner(pull, p * pull)]
        length = _lowest(quartic)
        after = float(np.polyval(quartic, length))
        variance = blocks.variance(gains.shape)
        return GainStep(gains + length * delta, float(quartic[-1]), after, length, count, variance)

    def _solve(
        self, line: Tangent, precondition: Preconditioner, scale: float, precision: Floats, right: Complexes
    ) -> tuple[Complexes, int]:
        """Conjugate gradients on the normal equations of the linearisation."""
        weight = line.weight / scale**2
        x, r = np.zeros_like(right), right
        z = precondition(r)
        p, rz = z, inner(r, z)
        bar = self.tolerance**2 * rz
        count = 0
        while count < self.max_iterations and rz > bar:
            q = line.adjoint(weight * line.forward(p)) + precision * p
            a = rz / inner(p, q)
            x, r = x + a * p, r - a * q
            z = precondition(r)
            new = inner(r, z)
            p, rz = z + (new / rz) * p, new
            count += 1
        return x, count


def _lowest(quartic: Floats) -> float:
    """Return where a quartic that rises at both ends is lowest; 0, no step, if it is nowhere below its value there."""
    slope = np.polyder(quartic)
    roots = np.roots(slope)
    real = [0.0, *(float(r.real) for r in roots if abs(r.imag) <= 1e-9 * max(1.0, abs(r)))]
    return min(real, key=lambda t: float(np.polyval(quartic, t)))
