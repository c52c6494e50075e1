"""The visibilities linearised in the gains of all receptors, at a sky and gains that are given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from retrodict.physics.radio.interferometer import Interferometer

__all__ = ["Preconditioner", "Tangent", "inner"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]


class Tangent:
    """``dV = h1 . d1 + conj(h2 . d2)``, linear over the reals, and what is quadratic beside it.

    Parameters
    ----------
    model : Interferometer
        The rows with their data.
    image : ndarray, shape (N, N)
        The sky.
    gains : ndarray of complex, shape (receptor, term, S, S)
        The point.

    Examples
    --------
    >>> from retrodict.physics.radio.visibilities import Grid, Visibilities
    >>> vis = Visibilities(np.zeros((1, 3)), [1e9], [0.0], [0], [1], [3 + 0j], [1.0], [False])
    >>> sky = np.zeros((8, 8)); sky[4, 4] = 2.0
    >>> model = Interferometer(vis, Grid(8, 1e-3))
    >>> Tangent(model, sky, model.kernels.unit()).forward(0.1 * model.kernels.unit()).round(3)
    array([0.4+0.j])
    """

    def __init__(self, model: Interferometer, image: Floats, gains: Complexes) -> None:
        self.model, self.weight = model, model.vis.weight
        self.cube = model.cube(image)
        h1, h2 = model.responses(self.cube, gains)
        self.h1, self.h2 = h1.reshape(model.rows, -1), h2.reshape(model.rows, -1)
        self.value = 0.5 * self.forward(gains)  # a visibility is linear in either receptor's gains

    @cached_property
    def residual(self) -> Complexes:
        """What the point predicts, less the data, shape (row,)."""
        return self.value - self.model.vis.data

    @property
    def misfit(self) -> float:
        """``sum w |V - y|^2 / 2``."""
        return 0.5 * inner(self.residual, self.weight * self.residual)

    def forward(self, delta: Complexes) -> Complexes:
        """Return the change of the visibilities, linear in ``delta`` over the reals."""
        return self.model.change(self.h1, self.h2, delta)

    def adjoint(self, values: Complexes) -> Complexes:
        """Return the adjoint of `forward` with respect to ``<a, b> = Re(a' b)``."""
        return self.model.change_adjoint(self.h1, self.h2, values)

    def second(self, delta: Complexes) -> Complexes:
        """Return the part of the visibilities that is quadratic in ``delta``."""
        return self.model.seen(self.cube, delta)

    def parabola(self, delta: Complexes) -> tuple[float, float, float, float, float]:
        """Return the misfit along ``delta`` as a polynomial of its length, highest power first."""
        first, second, w, r = self.forward(delta), self.second(delta), self.weight, self.residual
        return (
            0.5 * inner(second, w * second),
            inner(first, w * second),
            0.5 * inner(first, w * first) + inner(r, w * second),
            inner(r, w * first),
            self.misfit,
        )

    def blocks(self) -> Complexes:
        """Return the normal matrix of every receptor with the others held, shape (receptor, n, n), ``n = P S^2``."""
        from retrodict.physics.radio.kernels import grams

        m = self.model
        receptors, terms, size, _ = m.kernels.shape
        slots, n = m.times.size, size**2
        at = np.zeros((slots, receptors, n, n), np.complex128)
        grams(self.h1, self.h2, m.first, m.second, m.slot, self.weight, at)
        pairs = (m.functions.conj()[:, :, None] * m.functions[:, None, :]).reshape(slots, -1)
        lower = (pairs.T @ at.reshape(slots, -1)).reshape(terms, terms, receptors, n, n)
        # only the lower triangle of each slot was summed: the rest is its conjugate with the two terms exchanged
        full = lower + (lower * np.tril(np.ones((n, n)), -1)).transpose(1, 0, 2, 4, 3).conj()
        return full.transpose(2, 0, 3, 1, 4).reshape(receptors, terms * n, terms * n)

    def baselines(self) -> Iterator[tuple[NDArray[np.int64], Complexes, Complexes]]:
        """Yield, pair by pair, its rows and what multiplies the coefficients of its two receptors, shape (row, n)."""
        m = self.model
        pair = m.first * m.kernels.receptors + m.second
        order = np.argsort(pair, kind="stable")
        edges = np.flatnonzero(np.diff(pair[order], prepend=-1))
        for at in np.split(order, edges[1:]):
            b = m.functions[m.slot[at]]
            one, two = ((b[:, :, None] * h[at][:, None, :]).reshape(at.size, -1) for h in (self.h1, self.h2))
            yield at, one, two

    def couplings(self) -> Complexes:
        """Return ``Q`` of `retrodict.solvers.radio.gain_normal.NormalEquations`, shape (receptor, n, receptor, n)."""
        m = self.model
        receptors, terms, size, _ = m.kernels.shape
        n = terms * size**2
        out = np.zeros((receptors, n, receptors, n), np.complex128)
        for at, one, two in self.baselines():
            block = one.T @ (self.weight[at, None] * two)
            p, q = m.first[at[0]], m.second[at[0]]
            out[p, :, q] += block
            out[q, :, p] += block.T
        return out

    def preconditioner(self, scale: float, precision: Floats) -> Preconditioner:
        """Return the inverse of the blocks over the noise, with the prior's precision on their diagonals."""
        return Preconditioner.of(self.blocks(), scale, precision)


@dataclass(frozen=True)
class Preconditioner:
    """Solves with the factored block of every receptor.

    Parameters
    ----------
    factors : tuple
        Of `scipy.linalg.cho_factor`.
    """

    factors: tuple[tuple[Complexes, bool], ...]

    @classmethod
    def of(cls, blocks: Complexes, scale: float, precision: Floats) -> Preconditioner:
        """Return the inverse of blocks, shape (receptor, n, n), over the noise, with a precision on their diagonals."""
        matrices = blocks / scale**2
        receptors, n, _ = matrices.shape
        at = np.arange(n)
        matrices[:, at, at] += precision.reshape(receptors, n)
        return cls(tuple(cho_factor(matrix, lower=True) for matrix in matrices))

    def variance(self, shape: tuple[int, ...]) -> Floats:
        """Return the diagonals of the inverses: variances of the real and of the imaginary parts, others held."""
        unit = np.eye(len(self.factors[0][0]))
        return np.stack([cho_solve(f, unit).diagonal().real for f in self.factors]).reshape(shape)

    def __call__(self, right: Complexes) -> Complexes:
        """Return the solution, of the shape of ``right``, shape (receptor, ...)."""
        return np.stack([cho_solve(f, v.ravel()).reshape(v.shape) for f, v in zip(self.factors, right, strict=True)])


def inner(a: NDArray[np.complexfloating], b: NDArray[np.complexfloating]) -> float:
    """Return ``Re(a' b)``."""
    return float(np.real(np.vdot(a, b)))
