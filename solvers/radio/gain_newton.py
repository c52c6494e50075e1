"""Calibration of all gains at once: Gauss-Newton steps over the reals, conjugate gradients, exact line search.

A visibility is bilinear in the gains of its two antennas, so descent one antenna after the other creeps: every antenna
waits for 26 others. Linearised in all of them, ``dV = h1 . d1 + conj(h2 . d2)`` is linear over the reals only; its
normal equations are solved by conjugate gradients that the blocks of single receptors precondition. Along the step the
visibilities are a parabola, the objective a quartic: its exact minimiser makes every step descend.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from retrodict.physics.radio.interferometer import Interferometer

__all__ = ["GainNewton", "GainStep"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]


class GainStep(NamedTuple):
    """Result of a step.

    Parameters
    ----------
    gains : ndarray of complex, shape (receptor, term, S, S)
        New gains.
    visibility : ndarray of complex, shape (row,)
        What they predict.
    before, after : float
        Objective; ``after`` is never larger, up to rounding.
    length : float
        Factor of the Gauss-Newton step.
    iterations : int
        Of conjugate gradients.
    """

    gains: Complexes
    visibility: Complexes
    before: float
    after: float
    length: float
    iterations: int


@dataclass(frozen=True)
class GainNewton:
    """Gauss-Newton for ``sum w |V(U) - y|^2 / 2 + sum precision |U - centre|^2 / 2`` with the sky held.

    Parameters
    ----------
    model : Interferometer
        The measurement.
    data : ndarray of complex, shape (row,)
        Visibilities [Jy].
    weight : ndarray, shape (row,)
        Inverse variance of the real and of the imaginary part [Jy-2].
    tolerance : float
        Of the conjugate gradients, relative to the first preconditioned residual.
    max_iterations : int
        Of the conjugate gradients.

    Examples
    --------
    See `retrodict.solvers.radio.joint.JointSolver`.
    """

    model: Interferometer
    data: Complexes
    weight: Floats
    tolerance: float = 0.1
    max_iterations: int = 50
    basis: Complexes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        basis = np.asarray(self.model.kernels.basis.at(self.model.times), np.complex128)
        object.__setattr__(self, "basis", basis)

    def step(self, cube: Complexes, gains: Complexes, precision: Floats, centre: Complexes) -> GainStep:
        """Return one step.

        Parameters
        ----------
        cube : ndarray of complex, shape (row, 2 S - 1, 2 S - 1)
            Visibility cube of the sky.
        gains, centre : ndarray of complex, shape (receptor, term, S, S)
            Where to begin, and the mean of the prior.
        precision : ndarray, shape (receptor, term, S, S)
            Of the prior, of the real and of the imaginary part.
        """
        line = Tangent(self.model, self.basis, self.weight, cube, gains)
        residual = line.value - self.data
        pull = gains - centre
        gradient = line.adjoint(self.weight * residual) + precision * pull
        delta, count = self._solve(line, precision, -gradient)
        first, second = line.forward(delta), line.second(cube, delta)
        w, p = self.weight, precision
        quartic = [
            0.5 * _inner(second, w * second),
            _inner(first, w * second),
            0.5 * _inner(first, w * first) + _inner(residual, w * second) + 0.5 * _inner(delta, p * delta),
            _inner(gradient, delta),
            0.5 * _inner(residual, w * residual) + 0.5 * _inner(pull, p * pull),
        ]
        length = _lowest(quartic)
        visibility = line.value + length * first + length**2 * second
        after = float(np.polyval(quartic, length))
        return GainStep(gains + length * delta, visibility, float(quartic[-1]), after, length, count)

    def _solve(self, line: Tangent, precision: Floats, right: Complexes) -> tuple[Complexes, int]:
        """Conjugate gradients on the normal equations of the linearisation."""
        precondition = line.preconditioner(precision)
        x, r = np.zeros_like(right), right
        z = precondition(r)
        p, rz = z, _inner(r, z)
        bar = self.tolerance**2 * rz
        count = 0
        while count < self.max_iterations and rz > bar:
            q = line.adjoint(self.weight * line.forward(p)) + precision * p
            a = rz / _inner(p, q)
            x, r = x + a * p, r - a * q
            z = precondition(r)
            new = _inner(r, z)
            p, rz = z + (new / rz) * p, new
            count += 1
        return x, count


class Tangent:
    """The measurement linearised in all gains at a point.

    Parameters
    ----------
    model : Interferometer
        The measurement.
    basis : ndarray of complex, shape (slot, term)
        Functions of time.
    weight : ndarray, shape (row,)
        Of the preconditioner.
    cube : ndarray of complex, shape (row, 2 S - 1, 2 S - 1)
        Of the sky.
    gains : ndarray of complex, shape (receptor, term, S, S)
        The point.
    """

    def __init__(
        self, model: Interferometer, basis: Complexes, weight: Floats, cube: Complexes, gains: Complexes
    ) -> None:
        self.model, self.basis, self.weight = model, basis, weight
        rows = model.vis.rows
        h1, h2 = model.responses(cube, gains)
        first, _ = model.pairs(gains)
        self.value = np.asarray(np.einsum("mij,mij->m", first, h1))
        self.h1, self.h2 = h1.reshape(rows, -1), h2.reshape(rows, -1)

    def forward(self, delta: Complexes) -> Complexes:
        """Return the change of the visibilities, linear in ``delta`` over the reals."""
        from retrodict.physics.radio.kernels import gather

        m = self.model
        receptors, terms = delta.shape[:2]
        at = np.einsum("tp,rpa->tra", self.basis, delta.reshape(receptors, terms, -1), optimize=True)
        out = np.empty(m.vis.rows, np.complex128)
        gather(self.h1, self.h2, m.first, m.second, m.slot, at, out)
        return out

    def adjoint(self, values: Complexes) -> Complexes:
        """Return the adjoint of `forward` with respect to ``<a, b> = Re(a' b)``."""
        from retrodict.physics.radio.kernels import scatter

        m, shape = self.model, self.model.kernels.shape
        out = np.zeros((m.times.size, shape[0], shape[2] * shape[3]), np.complex128)
        scatter(self.h1, self.h2, m.first, m.second, m.slot, values, out)
        return np.asarray(np.einsum("tp,tra->rpa", self.basis.conj(), out, optimize=True)).reshape(shape)

    def second(self, cube: Complexes, delta: Complexes) -> Complexes:
        """Return the part of the visibilities that is quadratic in ``delta``."""
        h1, _ = self.model.responses(cube, delta)
        return np.asarray(np.einsum("mij,mij->m", self.model.pairs(delta)[0], h1))

    def blocks(self) -> Complexes:
        """Return the normal matrix of every receptor with the others held, shape (receptor, n, n), ``n = P S^2``."""
        from retrodict.physics.radio.kernels import grams

        m = self.model
        receptors, terms, size, _ = m.kernels.shape
        slots, n = m.times.size, size**2
        at = np.zeros((slots, receptors, n, n), np.complex128)
        grams(self.h1, self.h2, m.first, m.second, m.slot, self.weight, at)
        pairs = (self.basis.conj()[:, :, None] * self.basis[:, None, :]).reshape(slots, -1)
        lower = (pairs.T @ at.reshape(slots, -1)).reshape(terms, terms, receptors, n, n)
        # only the lower triangle of each slot was summed: the rest is its conjugate with the two terms exchanged
        full = lower + (lower * np.tril(np.ones((n, n)), -1)).transpose(1, 0, 2, 4, 3).conj()
        return full.transpose(2, 0, 3, 1, 4).reshape(receptors, terms * n, terms * n)

    def preconditioner(self, precision: Floats) -> Preconditioner:
        """Return the inverse of the blocks with the prior's precision on their diagonals."""
        matrices = self.blocks()
        receptors, n, _ = matrices.shape
        at = np.arange(n)
        matrices[:, at, at] += precision.reshape(receptors, n)
        return Preconditioner(tuple(cho_factor(matrix, lower=True) for matrix in matrices))


@dataclass(frozen=True)
class Preconditioner:
    """Solves with the factored block of every receptor.

    Parameters
    ----------
    factors : tuple
        Of `scipy.linalg.cho_factor`.
    """

    factors: tuple[tuple[Complexes, bool], ...]

    def __call__(self, right: Complexes) -> Complexes:
        """Return the solution, of the shape of ``right``, shape (receptor, ...)."""
        return np.stack([cho_solve(f, v.ravel()).reshape(v.shape) for f, v in zip(self.factors, right, strict=True)])


def _inner(a: NDArray[np.complexfloating], b: NDArray[np.complexfloating]) -> float:
    return float(np.real(np.vdot(a, b)))


def _lowest(quartic: list[float]) -> float:
    """Return where a quartic that rises at both ends is lowest; 0, no step, if it is nowhere below its value there."""
    slope = np.polyder(np.array(quartic))
    roots = np.roots(slope)
    real = [0.0, *(float(r.real) for r in roots if abs(r.imag) <= 1e-9 * max(1.0, abs(r)))]
    return min(real, key=lambda t: float(np.polyval(quartic, t)))
