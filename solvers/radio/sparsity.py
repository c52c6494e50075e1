"""Sparse prior of the sky: thresholds of its wavelet coefficients, from the noise and from the sky found so far.

A coefficient that is distributed a priori as ``exp(-|a| / m)`` pays the threshold ``s^2 / m``, ``s`` the scale of the
noise of whitened data. Every subband of every basis learns its own ``m``: the mean modulus of its coefficients, and a
part of the noise of one, as that much is seen by chance. Nothing but noise in it pays a few deviations of the noise;
where the sky stands above the noise the threshold falls in proportion. With ``q`` bases each says what all say
together: ``m`` times ``q``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.radio.wavelets import Dictionary

__all__ = ["Sparsity", "noise_levels"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sparsity:
    """Thresholds of the sparse prior.

    Parameters
    ----------
    dictionary : Dictionary
        ``Psi``.
    levels : ndarray, shape of the coefficients
        Noise of every coefficient of the gradient for noise of scale 1, of `noise_levels`.
    highest : float
        Threshold of a subband that holds nothing, in standard deviations of that noise.

    Examples
    --------
    >>> prior = Sparsity(Dictionary((4, 4), ("dirac",)), np.full((1, 4, 4), 2.0), 3.0)
    >>> float(prior.thresholds(0.5, np.zeros((4, 4))).max())  # one deviation of 0.5 times 2 as long as nothing is found
    1.0
    >>> float(prior.thresholds(0.5, np.ones((4, 4))).max())  # 0.5^2 over 1 + (0.5 / 2) / 3
    0.23076923076923078
    """

    dictionary: Dictionary
    levels: Floats
    highest: float

    def thresholds(self, scale: float, image: Floats) -> Floats:
        """Return the thresholds of the subbands.

        Parameters
        ----------
        scale : float
            ``s``.
        image : ndarray, shape (N, N)
            The sky found so far.
        """
        if not image.any():  # the noise is then what no one has explained yet: a high threshold would keep it so
            return min(self.highest, 1.0) * scale * self.levels
        size, band = np.abs(self.dictionary.analyse(image)).ravel(), self.dictionary.subbands.ravel()
        return self._of(scale, (np.bincount(band, size) / self._members)[band].reshape(self.levels.shape))

    def sparing(self, scale: float, reference: Floats) -> Floats:
        """Return thresholds that spare every coefficient by what it is in a sky found before.

        Parameters
        ----------
        scale : float
            ``s``.
        reference : ndarray, shape (N, N)
            That sky.
        """
        return self._of(scale, np.abs(self.dictionary.analyse(reference)))

    def _of(self, scale: float, size: Floats) -> Floats:
        # a coefficient's noise: that of the gradient, scale times level, over the curvature, the level squared
        share = self.dictionary.scale**2
        noise = share * scale / np.maximum(self.levels, 1e-300)
        return self.highest * share * scale**2 / (noise + self.highest * size)

    @cached_property
    def _members(self) -> NDArray[np.int64]:
        """Coefficients of every subband."""
        return np.bincount(self.dictionary.subbands.ravel())


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
