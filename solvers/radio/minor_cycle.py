"""Minor cycle of imaging: the sparse sky where the misfit is a parabola whose curvature is the beam.

With gains near one, the second derivative of the misfit is nearly a convolution with the beam, and a Fourier transform
inverts that at once, however dense the core of an array:

    m(p) = g . (p - x) + (p - x) . B (p - x) / 2,     minimise m(p) + |W Psi' p|_1 within bounds

by the splitting of Douglas and Rachford (Eckstein and Bertsekas 1992): a division on the Fourier plane, a proximity
operator on the sky, and no visibility in between. The plane has twice the side of the sky, which ends at its edges by
the second of the two.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from retrodict.physics.errors import SolverError, expected
from retrodict.solvers.proximal import Dual, Prox, SparseProx

__all__ = ["MinorCycle"]

Floats = NDArray[np.float64]

_SPLIT = 0.01  # penalty of the splitting over the largest curvature
_ABOVE = 1.05  # gains scatter some of the weight of a cell into others


class MinorCycle:
    """Steps on the sky that need the beam alone.

    Parameters
    ----------
    beam : ndarray, shape (2 N, 2 N)
        Of `retrodict.physics.radio.interferometer.Interferometer.beam`, summed over rows.

    Raises
    ------
    SolverError
        If the beam has no weight.

    Examples
    --------
    A beam that is a point asks for the proximity operator alone:

    >>> from retrodict.physics.radio.wavelets import Dictionary
    >>> beam = np.zeros((16, 16)); beam[8, 8] = 2.0
    >>> cycle, prox = MinorCycle(beam), SparseProx(Dictionary((8, 8), ("dirac",)), 1.0)
    >>> sky = cycle.descend(np.zeros((8, 8)), np.full((8, 8), -5.2), prox, 200)
    >>> round(float(sky.x[0, 0]), 2)
    2.0
    """

    def __init__(self, beam: Floats) -> None:
        spectrum = fft.rfft2(fft.ifftshift(beam)).real
        largest = float(spectrum.max())
        if not (np.isfinite(largest) and largest > 0):
            raise SolverError(expected("MinorCycle: beam", f"largest curvature {largest}", "a number above zero"))
        penalty = _SPLIT * largest
        self.step = 1 / penalty
        """Of the proximity operator, for which its dual stands."""
        self._spectrum = _ABOVE * np.maximum(spectrum, 0.0) + 1e-3 * penalty
        self._divisor = 1 / (1 + self.step * self._spectrum)

    def descend(self, image: Floats, gradient: Floats, prox: SparseProx, steps: int, dual: Dual | None = None) -> Prox:
        """Return the sky after some steps.

        Parameters
        ----------
        image : ndarray, shape (N, N)
            ``x``, where the gradient was taken.
        gradient : ndarray, shape (N, N)
            ``g``, of the misfit.
        prox : SparseProx
            Prior and bounds.
        steps : int
            How many.
        dual : Dual, optional
            Of an earlier call.
        """
        n, whole = len(image), (2 * len(image), 2 * len(image))
        # in units of the penalty; the splitting's dual at the solution is the slope of the parabola: begin there
        curved = self.step * self._times(self._spectrum, image, whole)
        slope = -curved
        slope[:n, :n] = -self.step * gradient
        right = np.zeros(whole)
        right[:n, :n] = curved[:n, :n] + slope[:n, :n]
        sky = np.zeros(whole)
        sky[:n, :n] = image
        found = Prox(image, dual, 0.0, 0, 0.0)
        for _ in range(steps):
            slope += self._times(self._divisor, sky - slope + right, whole)
            found = prox(slope[:n, :n], self.step, found.dual, max_iterations=1)
            sky[:n, :n] = found.x
            slope -= sky
        return found

    @staticmethod
    def _times(spectrum: Floats, sky: Floats, whole: tuple[int, int]) -> Floats:
        return np.asarray(fft.irfft2(spectrum * fft.rfft2(sky, s=whole), s=whole))
