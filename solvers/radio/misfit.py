"""Misfit of an image with the gains held, ``sum w |V(x, U) - y|^2 / 2``, over rows in memory or read in chunks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.radio.interferometer import Imager, Interferometer
from retrodict.physics.radio.streaming import Streamed

__all__ = ["Measurement", "Misfit", "noise_scale"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

Measurement: TypeAlias = Interferometer | Streamed
"""Rows with their data, in memory or on disk."""


class Misfit:
    """``f(x) = sum w |V(x, U) - y|^2 / 2`` and its gradient; the last point is kept.

    Parameters
    ----------
    model : Measurement
        The rows with their data.
    gains : ndarray of complex, shape (receptor, term, S, S)
        ``U``.

    Examples
    --------
    >>> from retrodict.physics.radio.visibilities import Grid, Visibilities
    >>> vis = Visibilities(np.zeros((1, 3)), [1e9], [0.0], [0], [1], [2 + 0j], [1.0], [False])
    >>> model = Interferometer(vis, Grid(8, 1e-3))
    >>> round(Misfit(model, model.kernels.unit()).value(np.zeros((8, 8))), 6)
    2.0
    """

    def __init__(self, model: Measurement, gains: Complexes) -> None:
        self.model, self.gains = model, gains
        self._last: tuple[Floats, float, Floats] | None = None

    def _maps(self, part: Interferometer) -> Sequence[tuple[Imager, Complexes]]:
        """Whitened maps of the image and what they should give; the misfit is the sum over them."""
        return ((part.whitened(self.gains), part.target),)

    def __call__(self, image: Floats) -> tuple[float, Floats]:
        """Return value and gradient, shape (N, N)."""
        if self._last is None or not np.array_equal(self._last[0], image):
            value, gradient = self.model.total(lambda part: self._part(part, image))
            self._last = (image.copy(), value, gradient)
        return self._last[1:]

    def _part(self, part: Interferometer, image: Floats) -> tuple[float, Floats]:
        value, gradient = 0.0, np.zeros_like(image)
        for imager, target in self._maps(part):
            residual = imager.apply(image) - target
            value += _half_square(residual)
            gradient += imager.adjoint(residual)
        return value, gradient

    def value(self, image: Floats) -> float:
        """Return the value."""
        if self._last is not None and np.array_equal(self._last[0], image):
            return self._last[1]

        def of(part: Interferometer) -> tuple[float]:
            return (sum(_half_square(imager.apply(image) - target) for imager, target in self._maps(part)),)

        return self.model.total(of)[0]

    def normal(self, image: Floats) -> Floats:
        """Return the second derivative times an image."""

        def of(part: Interferometer) -> tuple[Floats]:
            return (np.asarray(sum(imager.normal(image) for imager, _ in self._maps(part))),)

        return self.model.total(of)[0]

    def scale(self, image: Floats) -> float:
        """Return `noise_scale` at an image; the gradient that comes with it is kept for the next step."""
        return noise_scale(self(image)[0], self.model.rows)


def noise_scale(misfit: float, rows: int) -> float:
    """Return the root of the mean square of the whitened residual, of its real and of its imaginary part.

    Parameters
    ----------
    misfit : float
        ``sum w |V - y|^2 / 2``.
    rows : int
        How many rows it is summed over.

    Examples
    --------
    >>> noise_scale(8.0, 2)
    2.0
    """
    return max(float(np.sqrt(misfit / rows)), 1e-300)


def _half_square(residual: Complexes) -> float:
    return 0.5 * float(np.real(np.vdot(residual, residual)))
