"""Skies: catalogues of points, anywhere or on pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import DataError, expected

__all__ = ["Catalogue"]

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
