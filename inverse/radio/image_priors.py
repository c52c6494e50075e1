"""What an image is expected to be: smooth but for edges, near a blob, and of a known flux; each with its gradient."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["entropy", "gaussian_image", "total_variation"]

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
    # a pixel of zero has entropy p; its slope is that of a pixel a millionth of the prior
    ratio = np.log(np.maximum(image / prior, 1e-6))
    return float(np.sum(image * ratio - image + prior)), ratio


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


def gaussian_image(size: int, width: float, flux: float = 1.0) -> Floats:
    """Return a round Gaussian at the centre of a square image.

    Parameters
    ----------
    size : int
        Pixels along a side.
    width : float
        Full width at half maximum [pixels].
    flux : float, optional
        Sum of the pixels.

    Examples
    --------
    >>> blob = gaussian_image(32, 8.0)
    >>> round(float(blob[20, 16] / blob[16, 16]), 9)
    0.5
    """
    at = np.arange(size) - size // 2
    line = np.exp(-4 * np.log(2) * (at / width) ** 2)
    image = np.outer(line, line)
    return np.asarray(flux * image / image.sum())
