"""Skies: catalogues of points, anywhere or on pixels, and extended sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import ConfigError, DataError, expected
from retrodict.physics.radio.extended import jet, remnant, spiral

__all__ = ["Catalogue", "jet", "point_sky", "remnant", "spiral"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Catalogue:
    """Point sources, on pixels or between them.

    Parameters
    ----------
    x, y : ndarray, shape (source,)
        To the west and to the north of the phase centre [pixel].
    flux : ndarray, shape (source,)
        [Jy].

    Raises
    ------
    DataError
        If shapes disagree or a number is not finite.

    Examples
    --------
    >>> float(Catalogue(np.zeros(1), np.ones(1), np.full(1, 2.0)).image(8)[4, 5])
    2.0
    """

    x: Floats
    y: Floats
    flux: Floats

    def __post_init__(self) -> None:
        columns = [np.atleast_1d(np.asarray(getattr(self, name), np.float64)) for name in ("x", "y", "flux")]
        shapes = [column.shape for column in columns]
        if len(set(shapes)) > 1 or columns[0].ndim != 1 or not all(np.isfinite(column).all() for column in columns):
            raise DataError(expected("Catalogue", f"shapes {shapes}", "finite x, y and flux of one length"))
        for name, column in zip(("x", "y", "flux"), columns, strict=True):
            object.__setattr__(self, name, column)

    def __len__(self) -> int:
        return self.x.size

    def image(self, size: int) -> Floats:
        """Return an image of sources that stand on pixels; fluxes on one pixel add up.

        Parameters
        ----------
        size : int
            Pixels along each side.

        Raises
        ------
        DataError
            If a source stands between pixels or outside.
        """
        column, row = np.round(self.x), np.round(self.y)
        between = np.maximum(np.abs(column - self.x), np.abs(row - self.y)) > 1e-9
        i, j = column.astype(np.int64) + size // 2, row.astype(np.int64) + size // 2
        bad = between | (np.minimum(i, j) < 0) | (np.maximum(i, j) >= size)
        if bad.any():
            k = int(np.argmax(bad))
            raise DataError(expected("Catalogue", f"a source at {self.x[k]:g}, {self.y[k]:g}", "sources on pixels"))
        out = np.zeros((size, size))
        np.add.at(out, (i, j), self.flux)
        return out


def point_sky(
    rng: np.random.Generator,
    *,
    levels: Sequence[float] = (1.0, 1e-2, 1e-4),
    counts: Sequence[int] = (10, 10, 10),
    extent: float = 56,
    scatter: float = 0.1,
    on_grid: bool = True,
) -> Catalogue:
    """Draw point sources in levels of brightness, evenly over a square.

    Parameters
    ----------
    rng : Generator
        Where the sources come from.
    levels : sequence of float, optional
        Mean flux of each level [Jy].
    counts : sequence of int, optional
        Sources of each level.
    extent : float, optional
        Greatest offset from the centre along each axis [pixel].
    scatter : float, optional
        Standard deviation of the fluxes of a level, relative to its mean; fluxes are kept above a tenth of the mean.
    on_grid : bool, optional
        Whether sources stand on pixels, on different ones and not next to each other, or anywhere.

    Returns
    -------
    Catalogue
        The sources, level by level.

    Raises
    ------
    ConfigError
        If levels and counts differ in number, or the square is too small for the sources.

    Examples
    --------
    >>> len(point_sky(np.random.default_rng(0)))
    30
    """
    total = sum(counts)
    if len(levels) != len(counts) or min(counts, default=0) < 0:
        raise ConfigError(expected("counts", tuple(counts), f"one number for each of {len(levels)} levels"))
    mean = np.repeat(np.asarray(levels, np.float64), counts)
    flux = mean * np.maximum(1 + scatter * rng.standard_normal(total), 0.1)
    if not on_grid:
        x, y = rng.uniform(-extent, extent, (2, total))
        return Catalogue(x, y, flux)
    side = 2 * int(extent) + 1
    free = np.ones((side, side), bool)
    chosen = np.empty((total, 2), np.int64)
    for k in range(total):
        places = np.argwhere(free)
        if not len(places):
            raise ConfigError(expected("extent", extent, f"room for {total} sources that do not touch"))
        i, j = chosen[k] = places[rng.integers(len(places))]
        free[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2] = False
    place = (chosen - int(extent)).astype(np.float64)
    return Catalogue(place[:, 0], place[:, 1], flux)
