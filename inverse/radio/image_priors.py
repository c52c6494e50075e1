"""What an image is expected to be: smooth but for edges, near a disk, and of a known flux; each with its gradient."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["disk_image", "entropy", "total_variation"]

Floats = NDArray[np.float64]


def entropy(image: Floats, prior: Floats) -> tuple[float, Floats]:
    """Return the relative entropy ``sum x log(x / p) - x + p`` and its gradient.

    Parameters
    ----------
    image : ndarray
        Brightness, not negative.
    prior : ndarray
        Brightness where it is least, positive.

    Examples
    --------
    >>> entropy(np.array([1.0, 2.0]), np.array([1.0, 2.0]))[0]
    0.0
    """
    # the slope of the logarithm has no end towards zero: below a millionth of the prior it is a constant
    ratio = np.log(np.maximum(image / prior, 1e-6))
    return float(np.sum(image * ratio - image + prior)), np.where(image > 1e-6 * prior, ratio, ratio - 1)


def total_variation(image: Floats, softening: float) -> tuple[float, Floats]:
    """Return the isotropic total variation ``sum sqrt(dx^2 + dy^2 + s^2) - s`` and its gradient.

    Parameters
    ----------
    image : ndarray, shape (x, y)
        Brightness; differences to beyond the border are zero.
    softening : float
        Differences far below it count by their squares.

    Examples
    --------
    >>> round(total_variation(np.array([[0.0, 0.0], [3.0, 3.0]]), 1e-9)[0], 6)
    6.0
    """
    dx = np.diff(image, axis=0, append=image[-1:])
    dy = np.diff(image, axis=1, append=image[:, -1:])
    size = np.sqrt(dx**2 + dy**2 + softening**2)
    px, py = dx / size, dy / size
    gradient = -px - py
    gradient[1:] += px[:-1]
    gradient[:, 1:] += py[:, :-1]
    return float(np.sum(size - softening)), gradient


def disk_image(size: int, diameter: float, edge: float, flux: float = 1.0) -> Floats:
    """Return a uniform disk with a soft edge at the centre of a square image.

    Parameters
    ----------
    size : int
        Pixels along a side.
    diameter : float
        Where the brightness has fallen to a half [pixels].
    edge : float
        Width of the edge, of the logistic function of the radius [pixels].
    flux : float, optional
        Sum of the pixels.

    Examples
    --------
    >>> disk = disk_image(32, 16.0, 1.0)
    >>> round(float(disk[24, 16] / disk[16, 16]), 3)
    0.5
    """
    at = np.arange(size) - size // 2
    radius = np.hypot(at[:, None], at[None, :])
    # far outside, the exponent is held where its exponential is still finite
    image = 1 / (1 + np.exp(np.minimum((radius - diameter / 2) / edge, 500)))
    return np.asarray(flux * image / image.sum())
