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
        """Take a minor cycle, and of the way it goes as much as descends most.

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
        start = self.prox.penalty(image)
        found = self.cycle.descend(image, gradient, self.prox, steps, dual)
        way, far = found.x - image, self.misfit.value(found.x)
        # the misfit is a parabola, the penalty convex: between its ends at most what a straight line has
        slope, end = float(np.vdot(gradient, way)), self.prox.penalty(found.x)
        length = _lowest(slope + end - start, far - value - slope)
        new = found.x if length == 1 else image + length * way
        after = far + end if length == 1 else self.misfit.value(new) + self.prox.penalty(new)
        if after <= value + start:
            return ImageStep(new, found.dual, value + start, after)
        return ImageStep(image, dual, value + start, value + start)


def _lowest(slope: float, curvature: float) -> float:
    """Where in ``[0, 1]`` the parabola ``slope t + curvature t^2`` is lowest."""
    return min(1.0, max(0.0, -0.5 * slope / curvature)) if curvature > 0 else 1.0


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
