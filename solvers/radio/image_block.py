"""Imaging block: the sparse, positive image with gains held, by accelerated forward-backward that must descend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.radio.interferometer import Imager
from retrodict.physics.radio.wavelets import Dictionary
from retrodict.solvers.proximal import Dual, SparseProx

__all__ = ["ImageBlock", "ImageStep", "noise_levels", "power"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

_SAFETY = 1.02  # power iteration approaches the largest eigenvalue from below


class ImageStep(NamedTuple):
    """Result of some steps on the image.

    Parameters
    ----------
    image : ndarray, shape (N, N)
        New image [Jy/pixel].
    dual : Dual
        Warm start of the next proximity operator.
    before, after : float
        ``|A x - y|^2 / 2 + |W Psi' x|_1``; ``after`` is never larger, up to the gap of the inner problem.
    residual : ndarray of complex, shape (row,)
        ``A x - y``.
    lipschitz : float
        Step sizes were one over it; raised where the power iteration fell short.
    """

    image: Floats
    dual: Dual | None
    before: float
    after: float
    residual: Complexes
    lipschitz: float


@dataclass(frozen=True)
class ImageBlock:
    """Minimise ``|A x - y|^2 / 2 + |W Psi' x|_1`` over ``lower <= x <= upper``.

    Parameters
    ----------
    imager : Imager
        ``A``, rows times the roots of the weights.
    data : ndarray of complex, shape (row,)
        ``y``, times the roots of the weights.
    prox : SparseProx
        Prior and bounds.
    lipschitz : float
        Largest eigenvalue of ``A' A``, of `power`.
    inner : int
        Iterations of a proximity operator.

    Examples
    --------
    See `retrodict.solvers.radio.joint.JointSolver`.
    """

    imager: Imager
    data: Complexes
    prox: SparseProx
    lipschitz: float
    inner: int = 2

    def value(self, image: Floats, residual: Complexes) -> float:
        """Return the objective at an image whose residual is known."""
        return 0.5 * float(np.real(np.vdot(residual, residual))) + self.prox.penalty(image)

    def descend(self, image: Floats, steps: int, dual: Dual | None) -> ImageStep:
        """Take accelerated steps (FISTA with gradient restart); should they not descend, plain ones that must.

        Parameters
        ----------
        image : ndarray, shape (N, N)
            Where to begin.
        steps : int
            How many.
        dual : Dual or None
            Of an earlier call.
        """
        start = self.imager.apply(image) - self.data
        before = self.value(image, start)
        lipschitz = self.lipschitz
        for momentum in (True, False, False, False):
            new, kept = self._run(image, steps, dual, lipschitz, momentum)
            residual = self.imager.apply(new) - self.data
            after = self.value(new, residual)
            if after <= before:
                return ImageStep(new, kept, before, after, residual, lipschitz)
            lipschitz *= 1.0 if momentum else 1.5
        return ImageStep(image, dual, before, before, start, lipschitz)

    def _run(
        self, image: Floats, steps: int, dual: Dual | None, lipschitz: float, momentum: bool
    ) -> tuple[Floats, Dual | None]:
        x, z, t = image, image, 1.0
        for _ in range(steps):
            gradient = self.imager.adjoint(self.imager.apply(z) - self.data)
            found = self.prox(z - gradient / lipschitz, 1 / lipschitz, dual, max_iterations=self.inner)
            new, dual = found.x, found.dual
            if momentum and float(np.vdot(z - new, new - x)) <= 0:
                following = 0.5 * (1 + np.sqrt(1 + 4 * t * t))
                z = new + ((t - 1) / following) * (new - x)
                t = following
            else:
                z, t = new, 1.0
            x = new
        return x, dual


def power(imager: Imager, start: Floats, iterations: int) -> tuple[float, Floats]:
    """Return the largest eigenvalue of ``A' A``, a little raised, and its vector, by power iteration.

    Parameters
    ----------
    imager : Imager
        ``A``.
    start : ndarray, shape (N, N)
        First vector; that of an earlier call saves iterations.
    iterations : int
        How many.
    """
    v, largest = start / np.linalg.norm(start), 0.0
    for _ in range(iterations):
        w = imager.normal(v)
        largest = float(np.linalg.norm(w))
        v = w / largest
    return _SAFETY * largest, v


def noise_levels(imager: Imager, dictionary: Dictionary, rng: np.random.Generator, draws: int = 3) -> Floats:
    """Return the standard deviation of noise in each coefficient of the gradient, ``Psi' Re A' n``.

    ``n`` has real and imaginary parts of variance 1, as the noise of whitened data. It is the level below which a
    coefficient of the gradient says nothing, hence the natural threshold of the sparse prior; equal within a subband.

    Parameters
    ----------
    imager : Imager
        ``A``, whitened.
    dictionary : Dictionary
        ``Psi``.
    rng : numpy.random.Generator
        Draws the noise.
    draws : int
        How many are averaged.

    Returns
    -------
    ndarray, shape of the coefficients
        Standard deviations.
    """
    rows = len(imager.rows)
    square = np.zeros(dictionary.coefficients)
    for _ in range(draws):
        noise = rng.standard_normal(rows) + 1j * rng.standard_normal(rows)
        square += dictionary.analyse(imager.adjoint(noise)) ** 2
    band = dictionary.subbands.ravel()
    mean = np.bincount(band, square.ravel()) / np.bincount(band) / draws
    return np.asarray(np.sqrt(mean[band])).reshape(dictionary.coefficients)
