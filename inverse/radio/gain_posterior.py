"""Error bars of calibrated predictions: the Laplace approximation of the gains with the sky given.

Near its minimum the objective is half a quadratic form of the gains, the normal equations over the noise plus the
prior; its inverse is their covariance, and carried through the linearised model it gives the spread of every
visibility. The phase that all gains share is left to the prior: no prediction contains it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from retrodict.physics.radio.interferometer import Interferometer
from retrodict.solvers.radio.gain_newton import Prior
from retrodict.solvers.radio.gain_normal import NormalEquations
from retrodict.solvers.radio.gain_tangent import Tangent
from retrodict.solvers.radio.misfit import Measurement

__all__ = ["GainPosterior"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]


@dataclass(frozen=True)
class GainPosterior:
    """Normal distribution of the gains about the most probable ones.

    Parameters
    ----------
    image : ndarray, shape (N, N)
        The sky, which is taken as known.
    gains : ndarray of complex, shape (receptor, term, S, S)
        Most probable gains.
    covariance : ndarray, shape (2 m, 2 m)
        Of the real parts of all coefficients, then of the imaginary ones.

    Examples
    --------
    >>> from retrodict.physics.radio.visibilities import Grid, Visibilities
    >>> vis = Visibilities(np.zeros((1, 3)), [1e9], [0.0], [0], [1], [1 + 0j], [4.0], [False])
    >>> sky = np.zeros((8, 8)); sky[4, 4] = 1.0
    >>> model = Interferometer(vis, Grid(8, 1e-3))
    >>> unit = model.kernels.unit()
    >>> known = GainPosterior.of(model, sky, unit, Prior.about(unit, 1e3))
    >>> known.deviations(model).round(4)
    array([0.5+0.5j])
    """

    image: Floats
    gains: Complexes
    covariance: Floats

    @classmethod
    def of(cls, model: Measurement, image: Floats, gains: Complexes, prior: Prior, scale: float = 1.0) -> GainPosterior:
        """Return the posterior at a sky and the most probable gains.

        Parameters
        ----------
        model : Measurement
            The rows that were fitted.
        image : ndarray, shape (N, N)
            The sky.
        gains : ndarray of complex, shape (receptor, term, S, S)
            Where the objective is least.
        prior : Prior
            Of the gains.
        scale : float, optional
            Noise in units of what the weights say.

        Raises
        ------
        SolverError
            If the gains have too many unknowns for a matrix.
        """
        matrix = NormalEquations.of(model, image, gains).posterior(scale, prior.precision)
        factor = cho_factor(matrix, lower=True, overwrite_a=True)
        return cls(image, gains, cho_solve(factor, np.eye(2 * gains.size), overwrite_b=True))

    def deviations(self, model: Interferometer) -> Complexes:
        """Return standard deviations of predictions, of the real part and, as imaginary part, of the imaginary one.

        Parameters
        ----------
        model : Interferometer
            Rows to predict, whether they were fitted or not; with the same gains.

        Returns
        -------
        ndarray of complex, shape (row,)
            Deviations [Jy].
        """
        line = Tangent(model, self.image, self.gains)
        receptors, n = self.gains.shape[0], self.gains[0].size
        out = np.empty(model.rows, np.complex128)
        for at, one, two in line.baselines():
            p, q = model.first[at[0]], model.second[at[0]]
            # dV = one . z_p + conj(two . z_q), written over the real and the imaginary parts of both
            real = np.concatenate([one.real, two.real, -one.imag, -two.imag], axis=1)
            imaginary = np.concatenate([one.imag, -two.imag, one.real, -two.real], axis=1)
            index = np.concatenate([np.arange(n) + k * n for k in (p, q, receptors + p, receptors + q)])
            block = self.covariance[np.ix_(index, index)]
            variance = [np.einsum("mi,ij,mj->m", j, block, j, optimize=True) for j in (real, imaginary)]
            out[at] = np.sqrt(variance[0]) + 1j * np.sqrt(variance[1])
        return out
