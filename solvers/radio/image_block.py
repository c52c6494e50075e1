"""Imaging block: the sky for gains that are held, sparse, positive, by steps that descend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retrodict.solvers.proximal import Dual, SparseProx
from retrodict.solvers.radio.minor_cycle import MinorCycle
from retrodict.solvers.radio.misfit import Misfit

__all__ = ["ImageBlock", "ImageStep", "bounds"]

Floats = NDArray[np.float64]

_HALVINGS = 8


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
    cycle : MinorCycle
        Of the beam of the same rows.

    Examples
    --------
    See `retrodict.solvers.radio.joint.JointSolver`.
    """

    misfit: Misfit
    prox: SparseProx
    cycle: MinorCycle

    def descend(self, image: Floats, steps: int, dual: Dual | None) -> ImageStep:
        """Take a minor cycle, and of the way it goes as much as descends.

        Parameters
        ----------
        image : ndarray, shape (N, N)
            Where to begin.
        steps : int
            Of the minor cycle.
        dual : Dual or None
            Of an earlier call.
        """
        value, gradient = self.misfit(image)
        before = value + self.prox.penalty(image)
        found = self.cycle.descend(image, gradient, self.prox, steps, dual)
        length = 1.0
        for _ in range(_HALVINGS):
            new = found.x if length == 1 else image + length * (found.x - image)
            after = self.misfit(new)[0] + self.prox.penalty(new)
            if after <= before:
                return ImageStep(new, found.dual, before, after)
            length *= 0.5
        return ImageStep(image, dual, before, before)


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
