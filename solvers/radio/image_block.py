"""Imaging block: the sky for gains that are held, sparse, positive, by steps that descend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.radio.wavelets import Dictionary
from retrodict.solvers.forward_backward import fista, forward_backward
from retrodict.solvers.proximal import Dual, Prox, SparseProx
from retrodict.solvers.radio.misfit import Misfit

__all__ = ["ImageBlock", "ImageStep", "bounds", "noise_levels"]

Floats = NDArray[np.float64]


class ImageStep(NamedTuple):
    """Result of some steps on the image.

    Parameters
    ----------
    image : ndarray, shape (N, N)
        New image [Jy/pixel].
    dual : Dual or None
        Warm start of the next proximity operator.
    before, after : float
        ``f(x) + |W Psi' x|_1``; ``after`` is never larger.
    """

    image: Floats
    dual: Dual | None
    before: float
    after: float


@dataclass(frozen=True)
class ImageBlock:
    """Minimise ``f(x) + |W Psi' x|_1`` within bounds.

    Parameters
    ----------
    misfit : Misfit
        ``f``.
    prox : SparseProx
        Prior and bounds.
    lipschitz : float
        Largest eigenvalue of the second derivative of ``f``, of `retrodict.solvers.forward_backward.lipschitz`.
    inner : int
        Iterations of a proximity operator.

    Examples
    --------
    See `retrodict.solvers.radio.joint.JointSolver`.
    """

    misfit: Misfit
    prox: SparseProx
    lipschitz: float
    inner: int = 2

    def descend(self, image: Floats, steps: int, dual: Dual | None) -> ImageStep:
        """Take accelerated steps; should they not descend, plain ones that must.

        Parameters
        ----------
        image : ndarray, shape (N, N)
            Where to begin.
        steps : int
            How many.
        dual : Dual or None
            Of an earlier call.
        """
        before = self.misfit(image)[0] + self.prox.penalty(image)
        found = fista(self.misfit, self._inexact, image, self.lipschitz, steps, dual=dual)
        constant = self.lipschitz
        for _ in range(3):
            if found.values[-1] <= before:
                return ImageStep(found.x, found.dual, before, float(found.values[-1]))
            found = forward_backward(self.misfit, self._inexact, image, constant, steps, relaxation=1.0, dual=dual)
            constant *= 1.5
        return ImageStep(image, dual, before, before)

    def _inexact(self, z: Any, step: float, dual: Dual | None = None, /) -> Prox:
        return self.prox(z, step, dual, max_iterations=self.inner)


def bounds(known: Floats, theta: float) -> tuple[Floats, Floats]:
    """Return the bounds of an image whose bright part is known up to a fraction, and of which no pixel is negative.

    Parameters
    ----------
    known : ndarray, shape (N, N)
        ``x_o``, zero where nothing is known.
    theta : float
        Fraction by which the known part may change.

    Examples
    --------
    >>> [b.tolist() for b in bounds(np.array([[2.0, 0.0]]), 0.5)]
    [[[1.0, 0.0]], [[3.0, inf]]]
    """
    return (1 - theta) * known, np.where(known == 0, np.inf, (1 + theta) * known)


def noise_levels(beam: Floats, dictionary: Dictionary) -> Floats:
    """Return the standard deviation of noise in each coefficient of the gradient, ``Psi' Re A' n``.

    ``n`` has real and imaginary parts of variance 1, as the noise of whitened data. It is the level below which a
    coefficient of the gradient says nothing, hence the natural threshold of the sparse prior. Noise of an image is
    stationary, its covariance the beam, so that the variance is the same within a subband: the power spectrum of the
    noise times that of one wavelet, which is a product of two functions of one axis each.

    Parameters
    ----------
    beam : ndarray, shape (2 N, 2 N)
        Of `retrodict.physics.radio.interferometer.Interferometer.beam`, summed over rows.
    dictionary : Dictionary
        ``Psi``.

    Returns
    -------
    ndarray, shape of the coefficients
        Standard deviations.
    """
    side = len(beam)
    spectrum = np.fft.fft2(np.fft.ifftshift(beam)).real / side**2
    band = dictionary.subbands
    square = np.empty(dictionary.coefficients)
    for plane, name in enumerate(dictionary.names):
        single = Dictionary(dictionary.shape, (name,), dictionary.level)
        for label in np.unique(band[plane]):
            members = np.argwhere(band[plane] == label)
            unit = np.zeros(single.coefficients)
            unit[0][tuple(members[len(members) // 2 + int(np.sqrt(len(members))) // 2])] = 1.0
            wavelet = single.synthesise(unit)
            i, j = np.unravel_index(int(np.abs(wavelet).argmax()), wavelet.shape)
            x, y = (np.abs(np.fft.fft(v, side)) ** 2 for v in (wavelet[:, j], wavelet[i] / wavelet[i, j]))
            square[plane][band[plane] == label] = x @ spectrum @ y
    return np.asarray(dictionary.scale * np.sqrt(np.maximum(square, 0.0)))  # a wavelet no baseline sees, rounded
