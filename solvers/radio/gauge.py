"""What calibration leaves open: a screen that all receptors share, and the scale of the image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.radio.gains import Kernels
from retrodict.physics.radio.visibilities import Grid

__all__ = ["regauged", "signal_to_noise"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]


def signal_to_noise(image: Floats, truth: Floats) -> float:
    """Return ``20 log10(|x| / |x - c image|)`` [dB] with the best real factor ``c``: calibration leaves the scale open.

    Parameters
    ----------
    image, truth : ndarray, shape (N, N)
        Estimate and true image.

    Examples
    --------
    >>> round(signal_to_noise(np.array([2.0, 0.2]), np.array([1.0, 0.0])), 3)
    20.043
    """
    factor = float(np.vdot(image, truth)) / max(float(np.vdot(image, image)), 1e-300)
    error = max(float(np.linalg.norm(truth - factor * image)), 1e-300)
    return 20 * float(np.log10(np.linalg.norm(truth) / error))


def regauged(kernels: Kernels, grid: Grid, gains: Complexes) -> tuple[Complexes, Floats]:
    """Move the steady screen that all receptors share out of the gains.

    ``D -> D c`` with ``x -> x / |c|^2`` leaves every visibility as it is, whatever the screen ``c`` of the field: data
    cannot tell a common screen from the sky. Near one, dividing is subtracting the mean of the coefficients.

    Parameters
    ----------
    kernels : Kernels
        Shape of the gains.
    grid : Grid
        Of the image.
    gains : ndarray of complex, shape (receptor, term, S, S)
        Gains.

    Returns
    -------
    ndarray of complex
        Gains whose mean over the receptors is one.
    ndarray, shape (N, N)
        What the image is to be multiplied by, ``|c|^2``.

    Examples
    --------
    >>> from retrodict.physics.radio.gains import TimeBasis
    >>> kernels = Kernels(1, 16, TimeBasis("constant"), 2)
    >>> gains, screen = regauged(kernels, Grid(8, 1.0), 1.1 * kernels.unit())
    >>> round(float(gains.real.mean()), 12), round(float(screen[0, 0]), 12)
    (1.0, 1.21)
    """
    steady = kernels.basis.steady
    shared = np.einsum("p,pij->ij", steady, gains.mean(axis=0)) / float(steady @ steady)
    excess = shared.copy()
    excess[kernels.half, kernels.half] -= 1
    x, y = np.meshgrid(grid.coordinates, grid.coordinates, indexing="ij")
    screen = kernels.screens(shared, x.ravel(), y.ravel()).reshape(grid.shape)
    return gains - steady[:, None, None] * excess, np.abs(screen) ** 2
