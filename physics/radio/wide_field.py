"""Wide fields: sky to visibilities with the w-term, for gains without direction.

    V = g_1 conj(g_2) sum_n x(n) exp(2 pi i (u l + v m + w (sqrt(1 - l^2 - m^2) - 1)) / lambda)

The phase of baselines that are not coplanar with the field is summed by w-gridding (Arras et al. 2021, A&A 646, A58,
`ducc0`). Gains with direction need samples of the Fourier plane at shifts of each visibility, which this is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import DataError, expected
from retrodict.physics.radio.gains import TimeBasis
from retrodict.physics.radio.interferometer import Interferometer
from retrodict.physics.radio.visibilities import LIGHT, Grid, Visibilities

__all__ = ["WideField", "WideImager", "largest_w_phase"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

ACCURACY = 1e-7
"""Relative accuracy of the visibilities."""


def largest_w_phase(vis: Visibilities, grid: Grid) -> float:
    """Return the largest phase of the w-term, at the corners of the field [rad].

    Parameters
    ----------
    vis : Visibilities
        Rows.
    grid : Grid
        Field.

    Raises
    ------
    DataError
        If the corners lie beyond the horizon.

    Examples
    --------
    >>> rows = Visibilities(np.array([[0.0, 0.0, 1e3]]), [LIGHT], [0.0], [0], [1], [0], [1.0], [False])
    >>> round(largest_w_phase(rows, Grid(100, 1e-4)), 4)  # pi w theta^2, theta^2 = 2 (50 cells)^2
    0.1571
    """
    corner = 2 * (grid.size * grid.cell / 2) ** 2
    if corner > 1:
        wanted = f"at most {np.sqrt(2) / grid.size:.3g} for {grid.size} pixels: the field ends at the horizon"
        raise DataError(expected("Grid.cell", f"{grid.cell:.3g} rad", wanted))
    waves = float(np.abs(vis.uvw[:, 2] * vis.frequency).max(initial=0.0)) / LIGHT
    return 2 * np.pi * waves * (1 - float(np.sqrt(1 - corner)))


@dataclass(frozen=True, eq=False)
class WideImager:
    """Sky to weighted visibilities with gains held: ``A x``, and its adjoint over the reals.

    Parameters
    ----------
    uvw : ndarray, shape (row, 3)
        Baselines in wavelengths, in the directions of the axes of the image.
    grid : Grid
        The image.
    factor : ndarray of complex, shape (row,)
        Gains of the two receptors, weights included.

    Examples
    --------
    See `WideField`.
    """

    uvw: Floats
    grid: Grid
    factor: Complexes

    def apply(self, image: NDArray[np.floating]) -> Complexes:
        """Return ``A x``, shape (row,)."""
        from ducc0.wgridder import dirty2vis

        dirty = np.ascontiguousarray(image, np.float64)
        return np.asarray(self.factor * dirty2vis(dirty=dirty, **self._how)[:, 0])

    def adjoint(self, values: Complexes) -> Floats:
        """Return ``Re A' v``, shape (N, N)."""
        from ducc0.wgridder import vis2dirty

        vis = np.ascontiguousarray(self.factor.conj() * values, np.complex128)[:, None]
        n = self.grid.size
        return np.asarray(vis2dirty(vis=vis, npix_x=n, npix_y=n, **self._how))

    def normal(self, image: NDArray[np.floating]) -> Floats:
        """Return ``Re A' A x``."""
        return self.adjoint(self.apply(image))

    @property
    def _how(self) -> dict[str, Any]:
        return {
            "uvw": self.uvw,
            "freq": np.array([LIGHT]),
            "pixsize_x": self.grid.cell,
            "pixsize_y": self.grid.cell,
            "epsilon": ACCURACY,
            "do_wgridding": True,
            "divide_by_n": False,
            "nthreads": 1,
        }


class WideField(Interferometer):
    """Sky and gains without direction to visibilities, baselines that are not coplanar included.

    Parameters
    ----------
    vis : Visibilities
        The rows; data are not used.
    grid : Grid
        The image, of 32 pixels or more along a side.
    basis : TimeBasis
        Functions of time of the gains; by default constant.

    Raises
    ------
    DataError
        If pixels are too coarse for the longest baseline, or the field is too small or passes the horizon.

    Examples
    --------
    >>> vis = Visibilities(np.array([[10.0, 5.0, 90.0]]), [1e9], [0.0], [0], [1], [0], [1.0], [False])
    >>> model = WideField(vis, Grid(32, 2e-3))
    >>> sky = np.zeros((32, 32)); sky[16, 16], sky[2, 30] = 2.0, 1.0
    >>> from retrodict.physics.radio.simulation import predict
    >>> bool(np.allclose(model.predict(sky, model.kernels.unit()), predict(vis, model.grid, sky, w=True)))
    True
    """

    def __init__(self, vis: Visibilities, grid: Grid, *, basis: TimeBasis | None = None) -> None:
        super().__init__(vis, grid, basis=basis)
        if grid.size < 32 or grid.size % 2:
            raise DataError(expected("Grid.size", grid.size, "an even number, 32 or more, for w-gridding"))
        largest_w_phase(vis, grid)

    @cached_property
    def waves(self) -> Floats:
        """Baselines in wavelengths, the second axis turned as that of the image, shape (row, 3)."""
        turned = self.vis.uvw * np.array([1.0, -1.0, 1.0])
        return np.ascontiguousarray(turned * (self.vis.frequency / LIGHT)[:, None])

    def cube(self, image: NDArray[np.floating]) -> Complexes:
        """Return the visibilities of an image before gains, shape (row, 1, 1)."""
        plain = WideImager(self.waves, self.grid, np.ones(self.rows, np.complex128))
        return plain.apply(image)[:, None, None]

    def imager(self, gains: Complexes, scale: Floats | None = None, second: Complexes | None = None) -> WideImager:
        """Return the linear map of the image with gains held, as `Interferometer.imager` does."""
        factor = self.seen(np.ones((self.rows, 1, 1), np.complex128), gains, second)
        return WideImager(self.waves, self.grid, factor if scale is None else scale * factor)
