"""Regularised linear least squares, solved again and again for one matrix and many dampings.

With ``m`` residuals and ``n`` unknowns the work is done in whichever of the two spaces is smaller: the primal form
``(J' J + mu) d = -J' r``, or the dual form ``d = -J' (J J' + mu)^-1 r``, which is the same ``d``.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.linalg import blas

__all__ = ["Form", "Gram", "Stacked"]

Floats = NDArray[np.float64]
Form = Literal["auto", "primal", "dual"]


class Stacked:
    """Damped least squares by the singular values of the matrix stacked on the root of the damping.

    Parameters
    ----------
    matrix : ndarray, shape (m, n)
        The Jacobian, columns in the units of the unknowns.
    residual : ndarray, shape (m,)
        The residual.

    Examples
    --------
    >>> Stacked(np.eye(2), np.array([2.0, 4.0])).solve(1.0)
    array([-1., -2.])
    """

    def __init__(self, matrix: Floats, residual: Floats) -> None:
        self.matrix, self.residual = matrix, residual

    def solve(self, damping: float) -> Floats:
        """Return the step, shape (n,).

        Examples
        --------
        >>> Stacked(np.eye(1), np.array([2.0])).solve(3.0)
        array([-0.5])
        """
        n = self.matrix.shape[1]
        stacked = np.vstack([self.matrix, np.sqrt(damping) * np.eye(n)])
        step = np.linalg.lstsq(stacked, np.concatenate([-self.residual, np.zeros(n)]), rcond=None)[0]
        return np.asarray(step, dtype=np.float64)


class Gram:
    """Damped least squares by the matrix of inner products, formed once.

    Parameters
    ----------
    matrix : ndarray, shape (m, n)
        The Jacobian, columns in the units of the unknowns.
    residual : ndarray, shape (m,)
        The residual.
    form : {"auto", "primal", "dual"}, optional
        Inner products of columns or of rows; by default of whichever are fewer.

    Examples
    --------
    >>> Gram(np.eye(2), np.array([2.0, 4.0])).solve(1.0)
    array([-1., -2.])
    """

    def __init__(self, matrix: Floats, residual: Floats, form: Form = "auto") -> None:
        m, n = matrix.shape
        self.matrix, self.dual = matrix, form == "dual" or (form == "auto" and m < n)
        # a row-major matrix is its transpose to BLAS, and is not copied
        given, transposed = (matrix.T, 1) if matrix.flags.c_contiguous else (matrix, 0)
        self.gram: Floats = blas.dsyrk(1.0, given, trans=int(transposed == self.dual))
        self.right: Floats = -residual if self.dual else -(matrix.T @ residual)

    def solve(self, damping: float) -> Floats | None:
        """Return the step by Cholesky's factors, or None where rounding leaves the matrix indefinite.

        Examples
        --------
        >>> Gram(np.zeros((1, 1)), np.ones(1)).solve(0.0) is None
        True
        """
        damped = self.gram.copy(order="F")
        damped[np.diag_indices_from(damped)] += damping
        try:
            factor = linalg.cholesky(damped, lower=False, overwrite_a=True, check_finite=False)
        except linalg.LinAlgError:
            return None
        return self._lift(linalg.cho_solve((factor, False), self.right, check_finite=False))

    def pseudo_solve(self, cutoff: float) -> Floats:
        """Return the step of least norm, without the directions below ``cutoff`` times the largest eigenvalue.

        Examples
        --------
        >>> Gram(np.ones((1, 2)), np.array([2.0]), "primal").pseudo_solve(1e-12)
        array([-1., -1.])
        """
        values, vectors = linalg.eigh(self.gram, lower=False, check_finite=False)
        kept = values > cutoff * max(float(values[-1]), 0.0) if values.size else np.zeros(0, bool)
        u = vectors[:, kept]
        return self._lift(u @ ((u.T @ self.right) / values[kept]))

    def trace(self) -> float:
        """Return the sum of the eigenvalues, the same for both forms.

        Examples
        --------
        >>> Gram(np.eye(2), np.ones(2)).trace()
        2.0
        """
        return float(np.trace(self.gram))

    def _lift(self, found: Floats) -> Floats:
        step: Floats = self.matrix.T @ found if self.dual else found
        return step
