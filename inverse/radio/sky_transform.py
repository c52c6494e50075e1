"""Visibilities of a small image, by sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.radio.visibilities import Grid, Visibilities

__all__ = ["SkyTransform"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]


class SkyTransform:
    """Visibilities of an image by sums over its columns and rows: exact, and quick for some thousand visibilities.

    Parameters
    ----------
    vis : Visibilities
        Where.
    grid : Grid
        Pixels.

    Examples
    --------
    >>> one = Visibilities(np.full((1, 3), 1e5), [3e9], [0.0], [0], [1], [1 + 0j], [1.0], [False])
    >>> sky = np.zeros((4, 4))
    >>> sky[2, 2] = 3.0
    >>> SkyTransform(one, Grid(4, 1e-7)).apply(sky)
    array([3.+0.j])
    """

    def __init__(self, vis: Visibilities, grid: Grid) -> None:
        self.columns, self.rows = (np.exp(-1j * np.outer(u, grid.coordinates)) for u in vis.uv(grid).T)

    def apply(self, image: Floats) -> Complexes:
        """Return ``sum x(n) exp(-i uv . n)``, shape (row,)."""
        return np.asarray(np.sum((self.columns @ image) * self.rows, axis=1))

    def adjoint(self, values: Complexes) -> Floats:
        """Return the real part of ``sum_r V_r exp(+i uv_r . n)``, an image."""
        return np.asarray(((self.columns.conj() * values[:, None]).T @ self.rows.conj()).real)
