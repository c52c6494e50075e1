"""Block-tridiagonal matrices with a border: the Jacobians of two-point boundary value problems with an eigenvalue.

On a line of nodes with ``M`` unknowns each and ``q`` scalars that every node may feel (a mass flux, a pressure
curvature) Newton's matrix is::

    [ A  B ] [dU]   [F]      A block tridiagonal (n M x n M), B (n M x q), C (q x n M), D (q x q)
    [ C  D ] [dz] = [f]

``A`` goes to LAPACK as a band with partial pivoting; the scalars follow from the Schur complement ``D - C A^-1 B``. The
factors serve the transposed system as well, which is what an adjoint asks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from retrodict.physics.errors import SolverError, expected

__all__ = ["BorderedBand", "Factors"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BorderedBand:
    """A block-tridiagonal matrix and its border.

    Parameters
    ----------
    lower, diagonal, upper : ndarray, shape (n, M, M)
        Derivatives of the rows of node ``i`` by the unknowns of nodes ``i - 1``, ``i`` and ``i + 1``; ``lower[0]`` and
        ``upper[-1]`` are not read.
    columns : ndarray, shape (n, M, q)
        Derivatives of the rows of every node by the scalars.
    rows : ndarray, shape (q, n, M)
        Derivatives of the scalars' equations by the unknowns of every node.
    corner : ndarray, shape (q, q)
        Derivatives of the scalars' equations by the scalars.

    Raises
    ------
    SolverError
        If the shapes do not belong together.

    Examples
    --------
    >>> one = np.ones((3, 1, 1))
    >>> band = BorderedBand(-one, 2 * one, -one, np.zeros((3, 1, 0)), np.zeros((0, 3, 1)), np.zeros((0, 0)))
    >>> band.factor().solve(np.ones((3, 1)), np.zeros(0))[0].ravel().round(6).tolist()
    [1.5, 2.0, 1.5]
    """

    lower: Floats
    diagonal: Floats
    upper: Floats
    columns: Floats
    rows: Floats
    corner: Floats

    def __post_init__(self) -> None:
        n, m, _ = self.diagonal.shape
        q = self.corner.shape[0]
        got = (self.lower.shape, self.diagonal.shape, self.upper.shape, self.columns.shape, self.rows.shape)
        wanted = ((n, m, m), (n, m, m), (n, m, m), (n, m, q), (q, n, m))
        if got != wanted:
            raise SolverError(expected("BorderedBand", f"shapes {got}", wanted))

    def apply(self, step: Floats, scalars: Floats) -> tuple[Floats, Floats]:
        """Return the product with ``(dU, dz)``, shapes (n, M) or (n, M, k) and (q,) or (q, k)."""
        product = _times(self.diagonal, step) + np.einsum("iaq,q...->ia...", self.columns, scalars)
        product[1:] += _times(self.lower[1:], step[:-1])
        product[:-1] += _times(self.upper[:-1], step[1:])
        return product, np.einsum("qib,ib...->q...", self.rows, step) + self.corner @ scalars

    def apply_transposed(self, step: Floats, scalars: Floats) -> tuple[Floats, Floats]:
        """Return the product of the transposed matrix with ``(dU, dz)``; shapes as in `apply`."""
        product = _times(self.diagonal.mT, step) + np.einsum("qib,q...->ib...", self.rows, scalars)
        product[:-1] += _times(self.lower[1:].mT, step[1:])
        product[1:] += _times(self.upper[:-1].mT, step[:-1])
        return product, np.einsum("iaq,ia...->q...", self.columns, step) + self.corner.T @ scalars

    def shifted(self, mass: Floats) -> BorderedBand:
        """Return the matrix with ``mass``, shape (n, M), added to the diagonal of ``A``: an implicit step in time."""
        diagonal = self.diagonal.copy()
        entries = np.arange(diagonal.shape[1])
        diagonal[:, entries, entries] += mass
        return BorderedBand(self.lower, diagonal, self.upper, self.columns, self.rows, self.corner)

    def factor(self) -> Factors:
        """Return the factors.

        Raises
        ------
        numpy.linalg.LinAlgError
            If the matrix is singular to working precision.
        """
        m = self.diagonal.shape[1]
        lu, pivots, info = lapack.dgbtrf(self._band(), 2 * m - 1, 2 * m - 1, overwrite_ab=1)
        if info != 0 or not np.all(np.isfinite(lu)):
            raise np.linalg.LinAlgError(f"the band is singular at node {max(info - 1, 0) // m}")
        return Factors(self, lu, pivots)

    def _band(self) -> Floats:
        """Return ``A`` in LAPACK's general band storage, with room for the fill of pivoting."""
        n, m, _ = self.diagonal.shape
        width = 2 * m - 1
        band = np.zeros((n * m, 3 * width + 1))
        a, b = np.meshgrid(np.arange(m), np.arange(m), indexing="ij")
        for shift, blocks in ((-1, self.lower[1:]), (0, self.diagonal), (1, self.upper[:-1])):
            nodes = np.arange(max(0, shift), n + min(0, shift))  # of the column
            columns = nodes[:, None, None] * m + b
            band[columns, 2 * width + a - b - shift * m] = blocks
        return band.T


@dataclass(frozen=True)
class Factors:
    """Factors of a `BorderedBand`; build them with `BorderedBand.factor`."""

    matrix: BorderedBand
    lu: Floats
    pivots: NDArray[np.int32]

    def solve(self, right: Floats, scalars: Floats, *, corrections: int = 0) -> tuple[Floats, Floats]:
        """Solve for ``(dU, dz)``.

        Parameters
        ----------
        right : ndarray, shape (n, M) or (n, M, k)
            Right-hand sides of the nodes.
        scalars : ndarray, shape (q,) or (q, k)
            Right-hand sides of the scalars' equations.
        corrections : int
            Steps of iterative refinement: Newton needs none, a derivative that others are held against does.

        Returns
        -------
        ndarray, shape of ``right``, and ndarray, shape of ``scalars``
        """
        dU, dz = self._solve(right, scalars)
        for _ in range(corrections):
            F, f = self.matrix.apply(dU, dz)
            more = self._solve(right - F, scalars - f)
            dU, dz = dU + more[0], dz + more[1]
        return dU, dz

    def solve_transposed(self, right: Floats, scalars: Floats, *, corrections: int = 0) -> tuple[Floats, Floats]:
        """Solve the transposed system; arguments as in `solve`."""
        dU, dz = self._solve_transposed(right, scalars)
        for _ in range(corrections):
            F, f = self.matrix.apply_transposed(dU, dz)
            more = self._solve_transposed(right - F, scalars - f)
            dU, dz = dU + more[0], dz + more[1]
        return dU, dz

    def _solve(self, right: Floats, scalars: Floats) -> tuple[Floats, Floats]:
        border = self.matrix
        first = self._band_solve(right, transposed=False)
        if not scalars.shape[0]:
            return first, scalars
        gap = scalars - np.einsum("qib,ib...->q...", border.rows, first)
        dz = np.linalg.solve(self._schur, gap)
        return first - np.einsum("ibq,q...->ib...", self._columns, dz), dz

    def _solve_transposed(self, right: Floats, scalars: Floats) -> tuple[Floats, Floats]:
        border = self.matrix
        if not scalars.shape[0]:
            return self._band_solve(right, transposed=True), scalars
        gap = scalars - np.einsum("ibq,ib...->q...", self._columns, right)
        dz = np.linalg.solve(self._schur.T, gap)
        rest = right - np.einsum("qib,q...->ib...", border.rows, dz)
        return self._band_solve(rest, transposed=True), dz

    @cached_property
    def _columns(self) -> Floats:
        """``A^-1 B``, shape (n, M, q)."""
        return self._band_solve(self.matrix.columns, transposed=False)

    @cached_property
    def _schur(self) -> Floats:
        return np.asarray(self.matrix.corner - np.einsum("qib,ibp->qp", self.matrix.rows, self._columns))

    def _band_solve(self, right: Floats, *, transposed: bool) -> Floats:
        n, m = right.shape[:2]
        width = 2 * m - 1
        flat = right.reshape(n * m, -1)
        x, _ = lapack.dgbtrs(self.lu, width, width, flat, self.pivots, trans=int(transposed))
        return np.asarray(x).reshape(right.shape)


def _times(blocks: Floats, step: Floats) -> Floats:
    """Return the products of blocks (n, M, M) with nodal vectors (n, M) or (n, M, k)."""
    return np.asarray(blocks @ step[..., None])[..., 0] if step.ndim == 2 else np.asarray(blocks @ step)
