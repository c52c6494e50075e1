"""Measures of a ring: diameter, width, orientation and asymmetry from profiles along its radii.

After EHT Collaboration (2019), Astrophys. J. Lett. 875, L4, section 9: the centre is where the peaks of the profiles
are most nearly at one distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import DataError, expected
from retrodict.physics.radio.visibilities import Grid

__all__ = ["Ring", "ring_of"]

Floats = NDArray[np.float64]

_ANGLES = 2 * np.pi * np.arange(72) / 72


@dataclass(frozen=True)
class Ring:
    """Measures of a ring.

    Parameters
    ----------
    centre : tuple of float
        West and north of the phase centre [rad].
    diameter : float
        Twice the mean distance of the peaks of the profiles from the centre [rad].
    spread : float
        Standard deviation of twice that distance among the profiles [rad].
    width : float
        Mean full width at half maximum of the profiles [rad].
    orientation : float
        Position angle of the bright side, from north to east, 0 to 2 pi [rad].
    asymmetry : float
        Modulus of the first harmonic of the brightness along the ring, relative to its mean: 0 to 1.

    Examples
    --------
    See `ring_of`.
    """

    centre: tuple[float, float]
    diameter: float
    spread: float
    width: float
    orientation: float
    asymmetry: float


def ring_of(image: Floats, grid: Grid, radii: tuple[float, float]) -> Ring:
    """Return the measures of the ring in an image.

    Parameters
    ----------
    image : ndarray, shape (x, y)
        Brightness, ``x`` to the west.
    grid : Grid
        Its pixels.
    radii : tuple of float
        Smallest and largest radius at which the ring is looked for [rad].

    Raises
    ------
    DataError
        If the shape is not that of the grid, the image has no light, or the radii do not lie within it.

    Examples
    --------
    >>> grid = Grid(64, 1.0)
    >>> x, y = np.meshgrid(grid.coordinates, grid.coordinates, indexing="ij")
    >>> ring = ring_of(np.exp(-((np.hypot(x, y) - 12) ** 2) / 18), grid, (4.0, 20.0))
    >>> round(ring.diameter, 1), round(ring.width, 1)
    (24.0, 7.1)
    """
    if image.shape != grid.shape or not np.isfinite(image).all() or image.sum() <= 0:
        raise DataError(expected("ring_of: image", f"shape {image.shape}", f"light on the grid {grid.shape}"))
    low, high = (r / grid.cell for r in radii)
    if not 0 < low < high < grid.size / 2:
        got = f"radii of {low:.3g} to {high:.3g} pixels"
        raise DataError(expected("ring_of: radii", got, f"within {grid.size / 2:g} pixels"))
    from scipy.ndimage import spline_filter

    spline = spline_filter(image, order=3)
    distance = np.linspace(low, high, 90)
    at = np.array([np.sum(image * c) / image.sum() for c in np.meshgrid(*2 * [grid.coordinates], indexing="ij")])
    for reach in (0.15 * high, 0.03 * high, 0.006 * high):
        steps = reach * np.linspace(-3, 3, 7)
        tried = [at + np.array([a, b]) for a in steps for b in steps]
        at = min(tried, key=lambda c: _roundness(_profiles(spline, c, distance), distance))
    profiles = _profiles(spline, at, distance)
    peak = _peaks(profiles, distance)
    along = profiles.max(axis=1).clip(min=0)
    # angles run from north to east, and x to the west
    first = np.sum(along * np.exp(1j * _ANGLES)) / along.sum()
    return Ring(
        (float(at[0] * grid.cell), float(at[1] * grid.cell)),
        float(2 * peak.mean() * grid.cell),
        float(2 * peak.std() * grid.cell),
        float(np.mean(_widths(spline, at, peak)) * grid.cell),
        float(np.angle(first) % (2 * np.pi)),
        float(np.abs(first)),
    )


def _profiles(spline: Floats, centre: Floats, distance: Floats) -> Floats:
    """Return brightness along radii, shape (angle, distance)."""
    from scipy.ndimage import map_coordinates

    x = centre[0] - np.outer(np.sin(_ANGLES), distance)
    y = centre[1] + np.outer(np.cos(_ANGLES), distance)
    half = len(spline) // 2
    return np.asarray(map_coordinates(spline, [x + half, y + half], order=3, prefilter=False, mode="constant"))


def _peaks(profiles: Floats, distance: Floats) -> Floats:
    return np.asarray(distance[np.argmax(profiles, axis=1)])


def _roundness(profiles: Floats, distance: Floats) -> float:
    peak = _peaks(profiles, distance)
    # a profile that rises to an end of the range has no peak, and many such would be round
    lost = np.mean((peak == distance[0]) | (peak == distance[-1]))
    return float(peak.std() / peak.mean() + lost)


def _widths(spline: Floats, centre: Floats, peak: Floats) -> list[float]:
    """Return full widths at half maximum; a profile that does not fall to a half inside counts from the centre."""
    distance = np.linspace(0, len(spline) / 2, 400)
    found = []
    for line, r in zip(_profiles(spline, centre, distance), peak, strict=True):
        at = int(np.searchsorted(distance, r))
        below = np.flatnonzero(line < line[at] / 2)
        inner, outer = below[below < at], below[below > at]
        found.append(distance[outer[0] if outer.size else -1] - distance[inner[-1] if inner.size else 0])
    return found
