"""The self-scaled Broyden family: one symmetric rank-two correction of a dense inverse Hessian, in place.

With ``s`` the step, ``y`` the change of the gradient and ``H`` the inverse Hessian, every member of the family is
``H / tau + A M A'`` with ``A = [s, H y]`` and a symmetric 2 x 2 matrix ``M``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

from retrodict.physics.errors import SolverError, expected

__all__ = ["Correction", "InverseHessian", "Update", "correction"]

Floats = NDArray[np.float64]
Update = Literal["ssbroyden", "ssbfgs", "bfgs"]
_SCALES = (1e-100, 1e100)


@dataclass(frozen=True, eq=False)
class Correction:
    """A change of an inverse Hessian to ``H / divisor + vectors @ middle @ vectors.T``.

    Parameters
    ----------
    vectors : ndarray, shape (n, 2)
        Step and ``H`` times the change of the gradient, in Fortran order.
    middle : ndarray, shape (2, 2)
        Symmetric weights.
    divisor : float
        The self-scaling.
    restart : bool
        Whether ``H`` stands for the identity, whatever went before.
    """

    vectors: Floats
    middle: Floats
    divisor: float = 1.0
    restart: bool = False

    @classmethod
    def none(cls, n: int, *, restart: bool = False) -> Correction:
        """Return the correction that changes nothing, or forgets everything.

        Examples
        --------
        >>> Correction.none(2).times(np.ones(2), np.ones(2))
        array([1., 1.])
        """
        return cls(np.zeros((n, 2), order="F"), np.zeros((2, 2)), 1.0, restart)

    def times(self, product: Floats, vector: Floats) -> Floats:
        """Return the corrected matrix times a vector, ``product`` being that of the matrix before.

        Examples
        --------
        >>> Correction(np.eye(2, order="F"), np.eye(2), 2.0).times(np.ones(2), np.ones(2))
        array([1.5, 1.5])
        """
        found: Floats = product / self.divisor + self.vectors @ (self.middle @ (self.vectors.T @ vector))
        return found


def correction(
    step: Floats,
    change: Floats,
    product: Floats,
    *,
    model: float,
    update: Update = "ssbroyden",
    variant: int = 2,
    first: bool = False,
    restart: bool = False,
) -> Correction:
    """Return the correction of the self-scaled Broyden family that a step calls for.

    Parameters
    ----------
    step, change : ndarray, shape (n,)
        Step and change of the gradient.
    product : ndarray, shape (n,)
        Inverse Hessian times ``change``.
    model : float
        Curvature that the inverse Hessian led one to expect, ``step @ inv(H) @ step``; for a step of some length along
        ``-H @ gradient`` that is ``-length * (step @ gradient)``.
    update : {"ssbroyden", "ssbfgs", "bfgs"}, optional
        The self-scaled Broyden family, its member ``theta = 0``, or BFGS without scaling.
    variant : {1, 2}, optional
        How the self-scaled family chooses its member.
    first : bool, optional
        Whether the inverse Hessian is the identity still.
    restart : bool, optional
        Handed on to the result.

    Returns
    -------
    Correction
        What to add. It changes nothing where the curvature met is not positive.

    Raises
    ------
    SolverError
        If the update or the variant is unknown.

    Notes
    -----
    Al-Baali (1998), Comput. Optim. Appl. 9, 191; Al-Baali and Khalfan (2005); Urban, Stefanou and Pons (2025),
    J. Comput. Phys. 523, 113656.

    Examples
    --------
    The secant equation, from the identity:

    >>> s, y = np.array([1.0, 0.0]), np.array([2.0, 1.0])
    >>> np.round(correction(s, y, y, model=1.0, first=True).times(y, y), 12) + 0
    array([1., 0.])
    """
    if update not in get_args(Update) or variant not in (1, 2):
        raise SolverError(expected("update", f"{update!r}, variant {variant}", f"{get_args(Update)}, variant 1 or 2"))
    met, size = float(step @ change), float(change @ product)
    if not (met > 0 and size > 0 and math.isfinite(1 / met) and math.isfinite(size / met)):
        return Correction.none(step.size, restart=restart)
    rho, h = 1 / met, size / met
    b = model * rho
    # by the inequality of Cauchy and Schwarz a is not negative; rounding may say otherwise
    a = max(b * h - 1, 0.0)
    theta = _member(a, b, h, variant) if update == "ssbroyden" else 0.0
    sigma = 1 + theta * a
    phi = (1 - theta) / sigma
    tau = 1.0 if update == "bfgs" else h / sigma if first else _scaling(theta, sigma, b, step.size)
    across = -phi * rho / tau
    middle = np.array([[rho + phi * h * rho / tau, across], [across, (phi - 1) / (size * tau)]])
    return Correction(np.asfortranarray(np.stack([step, product], axis=1)), middle, tau, restart)


def _member(a: float, b: float, h: float, variant: int) -> float:
    """Return ``theta``, between DFP (1) and BFGS (0) or beyond either."""
    if a < 1e-14:
        return 0.0
    c = math.sqrt(a / (1 + a))
    # 1 - c without cancellation
    smallest = min(1.0, h / ((1 + a) * (1 + c)))
    lower = (smallest - 1) / a
    if variant == 2:
        return max(lower, min(1 / smallest, (1 - b) / b))
    if b == 1:
        return lower
    rank_one, upper = 1 / (1 - b), max(1.0, b * (1 + c))
    return max(lower, rank_one) if b > 1 else min(upper, rank_one)


def _scaling(theta: float, sigma: float, b: float, n: int) -> float:
    """Return ``tau``."""
    volume = sigma ** (1 / (1 - n)) if n > 1 else 1.0
    least = min(1.0, 1 / b) if b > 0 else 1.0
    return min(least * volume, sigma) if theta <= 0 else least * min(volume, 1 / theta)


class InverseHessian:
    """A symmetric matrix that is corrected in place: one triangle, times a number.

    The number takes the self-scaling, which would cost a pass over the matrix of its own.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
        Fortran order; the upper triangle counts.
    scale : float, optional
        Factor before the matrix.

    Attributes
    ----------
    last : Correction or None
        The correction applied last.

    Examples
    --------
    >>> inverse = InverseHessian(np.eye(2, order="F"))
    >>> inverse.apply(Correction(np.eye(2, order="F"), np.array([[1.0, 0.5], [0.5, 0.0]]), 2.0))
    >>> inverse.times(np.array([1.0, 0.0]))
    array([1.5, 0.5])
    """

    def __init__(self, matrix: Floats, scale: float = 1.0) -> None:
        self.matrix, self.scale = matrix, scale
        self.last: Correction | None = None

    @classmethod
    def from_triangle(cls, triangle: Floats, scale: float = 1.0) -> InverseHessian:
        """Inverse of `triangle`.

        Examples
        --------
        >>> InverseHessian.from_triangle(np.array([1.0, 0.5, 2.0])).times(np.array([1.0, 0.0]))
        array([1. , 0.5])
        """
        n = math.isqrt(2 * triangle.size)
        matrix = np.zeros((n, n), order="F")
        for k in range(n):
            matrix[: k + 1, k] = triangle[k * (k + 1) // 2 : (k + 1) * (k + 2) // 2]
        return cls(matrix, scale)

    def triangle(self) -> Floats:
        """Return the columns of the upper triangle of the matrix, one after the other.

        Examples
        --------
        >>> InverseHessian(np.eye(2, order="F")).triangle()
        array([1., 0., 1.])
        """
        return np.concatenate([self.matrix[: k + 1, k] for k in range(self.matrix.shape[0])] or [np.zeros(0)])

    def copy(self) -> InverseHessian:
        """Return an independent copy.

        Examples
        --------
        >>> InverseHessian(np.eye(2, order="F"), 3.0).copy().scale
        3.0
        """
        return InverseHessian(self.matrix.copy(order="F"), self.scale)

    def times(self, vector: Floats) -> Floats:
        """Return the matrix times a vector, shape (n,).

        Examples
        --------
        >>> InverseHessian(np.eye(2, order="F"), 3.0).times(np.ones(2))
        array([3., 3.])
        """
        product: Floats = blas.dsymv(self.scale, self.matrix, vector)
        return product

    def apply(self, change: Correction) -> None:
        """Correct the matrix in place.

        Examples
        --------
        >>> inverse = InverseHessian(np.ones((2, 2), order="F"))
        >>> inverse.apply(Correction.none(2, restart=True))
        >>> inverse.triangle()
        array([1., 0., 1.])
        """
        if change.restart:
            self.matrix[...] = 0.0
            np.fill_diagonal(self.matrix, 1.0)
            self.scale = 1.0
        self.scale /= change.divisor
        if not _SCALES[0] < self.scale < _SCALES[1]:
            np.multiply(self.matrix, self.scale, out=self.matrix)
            self.scale = 1.0
        half = np.asfortranarray(change.vectors @ (0.5 * change.middle))
        blas.dsyr2k(1 / self.scale, change.vectors, half, beta=1.0, c=self.matrix, overwrite_c=True)
        self.last = change
