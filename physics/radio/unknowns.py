"""What is sought: the sky and the gains, as a space, and as a dataset with its axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.radio.gains import Kernels
from retrodict.physics.radio.visibilities import Grid
from retrodict.physics.spaces import Space, Var

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["labelled", "unknowns"]


def unknowns(grid: Grid, kernels: Kernels) -> Space:
    """Return the space of image [Jy/pixel] and gains.

    Parameters
    ----------
    grid : Grid
        Of the image.
    kernels : Kernels
        Shape of the gains.

    Examples
    --------
    >>> from retrodict.physics.radio.gains import TimeBasis
    >>> unknowns(Grid(8, 1e-3), Kernels(3, 16, TimeBasis("constant"), 2))["gains"].shape
    (2, 1, 3, 3)
    """
    return Space(
        {
            "image": Var(("x", "y"), grid.shape, units="Jy"),
            "gains": Var(("receptor", "term", "kx", "ky"), kernels.shape, "complex128"),
        }
    )


def labelled(grid: Grid, kernels: Kernels, image: NDArray[np.float64], gains: NDArray[np.complex128]) -> xr.Dataset:
    """Return image and gains with their axes, and what the coefficients of the gains mean.

    Parameters
    ----------
    grid, kernels
        As for `unknowns`.
    image : ndarray, shape (N, N)
        Sky [Jy/pixel].
    gains : ndarray of complex, shape (receptor, term, S, S)
        Coefficients.

    Examples
    --------
    >>> from retrodict.physics.radio.gains import TimeBasis
    >>> kernels = Kernels(3, 16, TimeBasis("constant"), 2)
    >>> labelled(Grid(8, 1e-3), kernels, np.zeros((8, 8)), kernels.unit())["kx"].values.tolist()
    [-1, 0, 1]
    """
    order, pixels, axis = np.arange(kernels.size) - kernels.half, grid.coordinates * grid.cell, {"units": "rad"}
    basis = kernels.basis
    return (
        unknowns(grid, kernels)
        .to_dataset({"image": image, "gains": gains})
        .assign_coords({"x": ("x", pixels, axis), "y": ("y", pixels, axis), "kx": order, "ky": order})
        .assign_attrs({"padded": kernels.padded, "basis": basis.kind, "start": basis.start, "stop": basis.stop})
    )
