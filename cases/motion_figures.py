"""What the figures of the motion cases share: ellipses and colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["DATA", "MODEL", "WHITE", "ellipse"]

Floats = NDArray[np.float64]

MODEL, WHITE, DATA = "#00798c", "#d1495b", "#30323d"
"""Colours: ours, the white-input baseline, recorded data."""


def ellipse(mean: Floats, covariance: Floats, level: float) -> tuple[Floats, Floats]:
    """Return the outline of the ellipse that holds a share of a Gaussian.

    Parameters
    ----------
    mean : ndarray, shape (2,)
        Centre.
    covariance : ndarray, shape (2, 2)
        Covariance.
    level : float
        Share in (0, 1).

    Returns
    -------
    tuple of ndarray
        x and y of 73 points.

    Examples
    --------
    >>> x, y = ellipse(np.zeros(2), np.eye(2), 0.9)
    >>> round(float(x[0]), 3)
    2.146
    """
    angle = np.linspace(0, 2 * np.pi, 73)
    values, vectors = np.linalg.eigh(covariance)
    radius = np.sqrt(stats.chi2.ppf(level, 2) * np.clip(values, 0, None))
    points = mean[:, None] + vectors @ (radius[:, None] * np.stack([np.cos(angle), np.sin(angle)]))
    return points[0], points[1]
