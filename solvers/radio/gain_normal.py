"""Normal equations of the gains of all receptors: a matrix over the reals, summed over rows in any number of chunks.

For a change ``z`` of the gains the linearised visibilities are ``J1 z + conj(J2 z)``, hence

    sum w |J1 z + conj(J2 z)|^2 = z' P z + Re(z^T Q z),   P = J1' w J1 + J2' w J2,   Q = J1^T w J2 + J2^T w J1,

``P`` a Hermitian block for every receptor, ``Q`` a symmetric one for every pair. Over ``(Re z, Im z)`` this is a
symmetric matrix. It is what a Gauss-Newton step solves, and its inverse the covariance of the gains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.solvers.radio.gain_tangent import Tangent
from retrodict.solvers.radio.misfit import Measurement

__all__ = ["LARGEST", "NormalEquations", "joined", "parted"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

LARGEST = 16000
"""Real unknowns whose normal matrix is formed: 2 GB."""


@dataclass(frozen=True)
class NormalEquations:
    """Misfit ``sum w |V - y|^2 / 2`` to second order in the gains, Gauss-Newton.

    Parameters
    ----------
    value : float
        Misfit.
    gradient : ndarray of complex, shape (receptor, term, S, S)
        Its gradient with respect to ``<a, b> = Re(a' b)``.
    hermitian : ndarray of complex, shape (receptor, n, n)
        ``P``; ``n = P S^2`` coefficients of a receptor.
    symmetric : ndarray of complex, shape (receptor, n, receptor, n)
        ``Q``.

    Examples
    --------
    See `NormalEquations.of`.
    """

    value: float
    gradient: Complexes
    hermitian: Complexes
    symmetric: Complexes

    @classmethod
    def of(cls, model: Measurement, image: Floats, gains: Complexes) -> NormalEquations:
        """Return the normal equations at a sky and gains.

        Parameters
        ----------
        model : Measurement
            The rows with their data.
        image : ndarray, shape (N, N)
            The sky.
        gains : ndarray of complex, shape (receptor, term, S, S)
            The point.

        Raises
        ------
        SolverError
            If the gains have more unknowns than a matrix can be formed for.

        Examples
        --------
        >>> from retrodict.physics.radio.visibilities import Grid, Visibilities
        >>> vis = Visibilities(np.zeros((1, 3)), [1e9], [0.0], [0], [1], [3 + 0j], [1.0], [False])
        >>> sky = np.zeros((8, 8)); sky[4, 4] = 2.0
        >>> model = Interferometer(vis, Grid(8, 1e-3))
        >>> normal = NormalEquations.of(model, sky, model.kernels.unit())
        >>> wanted = [[4, 4, 0, 0], [4, 4, 0, 0], [0, 0, 4, -4], [0, 0, -4, 4]]
        >>> bool(np.allclose(normal.matrix(), wanted, atol=1e-3))
        True
        """
        unknowns = 2 * gains.size
        if unknowns > LARGEST:
            wanted = f"at most {LARGEST}: fewer functions of time or a smaller support"
            raise SolverError(expected("NormalEquations", f"{unknowns} real unknowns of the gains", wanted))

        def sums(part: Interferometer) -> tuple[float, Complexes, Complexes, Complexes]:
            line = Tangent(part, image, gains)
            return line.misfit, line.adjoint(line.weight * line.residual), line.blocks(), line.couplings()

        return cls(*model.total(sums))

    def matrix(self) -> Floats:
        """Return the matrix over ``(Re z, Im z)``, shape (2 m, 2 m) with ``m`` coefficients in all."""
        receptors, n, _ = self.hermitian.shape
        m = receptors * n
        out = np.empty((2, m, 2, m))
        q = self.symmetric.reshape(m, m)
        out[0, :, 0], out[0, :, 1], out[1, :, 0], out[1, :, 1] = q.real, -q.imag, -q.imag, -q.real
        for r, block in enumerate(self.hermitian):
            at = slice(r * n, (r + 1) * n)
            out[0, at, 0, at] += block.real
            out[1, at, 1, at] += block.real
            out[0, at, 1, at] -= block.imag
            out[1, at, 0, at] += block.imag
        return out.reshape(2 * m, 2 * m)

    def posterior(self, scale: float, precision: Floats) -> Floats:
        """Return the matrix for noise ``scale`` times what the weights say, plus the precision of the prior."""
        matrix = self.matrix()
        matrix /= scale**2
        at = np.arange(len(matrix))
        matrix[at, at] += np.tile(precision.ravel(), 2)
        return matrix

    def solve(self, scale: float, precision: Floats, right: Complexes) -> Complexes:
        """Return the solution of the equations with a prior, shape (receptor, term, S, S)."""
        factor = cho_factor(self.posterior(scale, precision), lower=True, overwrite_a=True)
        return joined(cho_solve(factor, parted(right))).reshape(right.shape)


def parted(z: Complexes) -> Floats:
    """Return ``(Re z, Im z)``, shape (2 m,)."""
    return np.concatenate([z.real.ravel(), z.imag.ravel()])


def joined(v: Floats) -> Complexes:
    """Inverse of `parted`, shape (m,)."""
    half = len(v) // 2
    return np.asarray(v[:half] + 1j * v[half:])
