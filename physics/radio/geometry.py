"""Where antennas stand, and the baselines that a source sees as the Earth turns.

Source of the baselines: Thompson, Moran and Swenson, Interferometry and Synthesis in Radio Astronomy, equation 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrodict.physics.errors import DataError, expected

__all__ = ["DAY", "TURN", "Array", "casacore_uvw", "elevations", "enu_to_itrf", "hour_angles", "itrf_to_enu", "uvw"]

Floats = NDArray[np.float64]

EQUATOR, FLATTENING = 6378137.0, 1 / 298.257223563

DAY = 86400.0
"""Seconds of a day."""

TURN = float(np.deg2rad(360.98564736629))
"""Rotation of the Earth in a day [rad]."""

J2000 = 51544.5


@dataclass(frozen=True)
class Array:
    """Antennas on the Earth.

    Parameters
    ----------
    name : str
        Name of the telescope.
    positions : ndarray, shape (antenna, 3)
        Geocentric positions (ITRF) [m].
    longitude, latitude : float
        Geodetic, of the centre [rad]; the longitude is the meridian that hour angles are counted from.
    dish_diameter : float
        Of every antenna [m].

    Raises
    ------
    DataError
        If the positions are not finite, or fewer than two.

    Examples
    --------
    >>> Array("pair", np.eye(2, 3), 0.0, 0.0, 25.0).names
    ('pair-0', 'pair-1')
    """

    name: str
    positions: Floats
    longitude: float
    latitude: float
    dish_diameter: float

    def __post_init__(self) -> None:
        positions = np.asarray(self.positions, np.float64)
        if positions.ndim != 2 or positions.shape[1] != 3 or len(positions) < 2 or not np.isfinite(positions).all():
            raise DataError(expected("Array.positions", f"shape {positions.shape}", "finite (antenna, 3), two or more"))
        object.__setattr__(self, "positions", positions)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the antennas: numbers behind the name of the telescope."""
        digits = len(str(len(self.positions) - 1))
        return tuple(f"{self.name}-{i:0{digits}d}" for i in range(len(self.positions)))


def _axes(longitude: float, latitude: float) -> Floats:
    sl, cl, sp, cp = np.sin(longitude), np.cos(longitude), np.sin(latitude), np.cos(latitude)
    return np.array([[-sl, cl, 0.0], [-sp * cl, -sp * sl, cp], [cp * cl, cp * sl, sp]])


def _site(longitude: float, latitude: float, height: float) -> Floats:
    squared = FLATTENING * (2 - FLATTENING)
    radius = EQUATOR / np.sqrt(1 - squared * np.sin(latitude) ** 2)
    across = (radius + height) * np.cos(latitude)
    up = (radius * (1 - squared) + height) * np.sin(latitude)
    return np.array([across * np.cos(longitude), across * np.sin(longitude), up])


def enu_to_itrf(enu: ArrayLike, longitude: float, latitude: float, height: float) -> Floats:
    """Return geocentric positions of points given to the east, north and up of a site (WGS84).

    Parameters
    ----------
    enu : array_like, shape (..., 3)
        East, north and up [m].
    longitude, latitude : float
        Geodetic [rad].
    height : float
        Above the ellipsoid [m].

    Returns
    -------
    ndarray, shape (..., 3)
        Positions [m].

    Examples
    --------
    >>> enu_to_itrf([0.0, 0.0, 1.0], 0.0, 0.0, 0.0).tolist()
    [6378138.0, 0.0, 0.0]
    """
    return np.asarray(enu, np.float64) @ _axes(longitude, latitude) + _site(longitude, latitude, height)


def itrf_to_enu(positions: ArrayLike, longitude: float, latitude: float, height: float) -> Floats:
    """Return positions to the east, north and up of a site: the inverse of `enu_to_itrf`.

    Parameters
    ----------
    positions : array_like, shape (..., 3)
        Geocentric positions [m].
    longitude, latitude : float
        Geodetic [rad].
    height : float
        Above the ellipsoid [m].

    Returns
    -------
    ndarray, shape (..., 3)
        East, north and up [m].

    Examples
    --------
    >>> itrf_to_enu([6378138.0, 0.0, 2.0], 0.0, 0.0, 0.0).tolist()
    [0.0, 2.0, 1.0]
    """
    return (np.asarray(positions, np.float64) - _site(longitude, latitude, height)) @ _axes(longitude, latitude).T


def hour_angles(array: Array, time: ArrayLike, right_ascension: float) -> Floats:
    """Return local hour angles, by the mean sidereal time of 1982 with UT1 taken for UTC (both within a second).

    Parameters
    ----------
    array : Array
        Whose meridian counts.
    time : array_like
        Modified Julian date times 86400 [s].
    right_ascension : float
        Of date [rad].

    Returns
    -------
    ndarray
        Hour angles from -pi to pi [rad].

    Examples
    --------
    >>> pair = Array("pair", np.eye(2, 3), 0.0, 0.0, 25.0)
    >>> step = np.diff(hour_angles(pair, [0.0, 3600.0], 0.0))
    >>> round(float(np.rad2deg(step[0])), 3)
    15.041
    """
    days = np.asarray(time, np.float64) / DAY - J2000
    century = days / 36525
    greenwich = np.deg2rad(280.46061837 + 0.000387933 * century**2) + TURN * days
    return np.asarray((greenwich + array.longitude - right_ascension + np.pi) % (2 * np.pi) - np.pi)


def uvw(array: Array, hour_angle: ArrayLike, declination: float) -> Floats:
    """Return coordinates of the antennas in the frame of a source: baselines are differences of them.

    With X to the meridian, Y to the east and Z to the pole: ``u = sin H X + cos H Y``,
    ``v = -sin d cos H X + sin d sin H Y + cos d Z`` and ``w = cos d cos H X - cos d sin H Y + sin d Z``.

    Parameters
    ----------
    array : Array
        The antennas.
    hour_angle : array_like, shape (slot,)
        Local [rad].
    declination : float
        Of date [rad].

    Returns
    -------
    ndarray, shape (slot, antenna, 3)
        Relative to the first antenna [m].

    Examples
    --------
    >>> pair = Array("pair", np.array([[6.4e6, 0, 0], [6.4e6, 100.0, 0]]), 0.0, 0.0, 25.0)
    >>> uvw(pair, [0.0], 0.5)[0, 1].round(9).tolist()
    [100.0, 0.0, 0.0]
    """
    x, y, z = (array.positions - array.positions[0]).T
    cos, sin = np.cos(array.longitude), np.sin(array.longitude)
    x, y = cos * x + sin * y, cos * y - sin * x
    hour = np.atleast_1d(np.asarray(hour_angle, np.float64))[:, None]
    sh, ch, sd, cd = np.sin(hour), np.cos(hour), np.sin(declination), np.cos(declination)
    out = np.empty((hour.size, x.size, 3))
    out[..., 0] = sh * x + ch * y
    out[..., 1] = sd * (sh * y - ch * x) + cd * z
    out[..., 2] = cd * (ch * x - sh * y) + sd * z
    return out


def casacore_uvw(array: Array, time: ArrayLike, direction: tuple[float, float], *, frame: str = "APP") -> Floats:
    """Return the same coordinates by the measures of casacore, which know precession, nutation and UT1.

    Parameters
    ----------
    array : Array
        The antennas.
    time : array_like, shape (slot,)
        UTC, modified Julian date times 86400 [s].
    direction : tuple of float
        Right ascension and declination [rad].
    frame : {"APP", "J2000"}, optional
        Whether the direction is apparent, of date, or of the catalogues.

    Returns
    -------
    ndarray, shape (slot, antenna, 3)
        Relative to the first antenna [m].

    Examples
    --------
    >>> pair = Array("pair", np.array([[6.4e6, 0, 0], [6.4e6, 100.0, 0]]), 0.0, 0.0, 25.0)
    >>> round(float(np.linalg.norm(casacore_uvw(pair, 4.5e9, (0.0, 0.5))[0, 1])), 6)
    100.0
    """
    from casacore.measures import measures

    measure = measures()
    centre = array.positions.mean(axis=0)
    measure.do_frame(measure.position("itrf", *[f"{v!r}m" for v in centre.tolist()]))
    measure.do_frame(measure.direction(frame, f"{direction[0]!r}rad", f"{direction[1]!r}rad"))
    out = []
    for second in np.atleast_1d(np.asarray(time, np.float64)).tolist():
        measure.do_frame(measure.epoch("utc", f"{second!r}s"))
        for offset in (array.positions - array.positions[0]).tolist():
            baseline = measure.baseline("itrf", *[f"{v!r}m" for v in offset])
            out.append(measure.to_uvw(baseline)["xyz"].get_value())
    return np.array(out).reshape(-1, len(array.positions), 3)


def elevations(array: Array, hour_angle: ArrayLike, declination: float) -> Floats:
    """Return elevations of a source above the horizon of the centre.

    Parameters
    ----------
    array : Array
        Whose horizon counts.
    hour_angle : array_like
        Local [rad].
    declination : float
        Of date [rad].

    Returns
    -------
    ndarray
        Elevations [rad].

    Examples
    --------
    >>> flat = Array("flat", np.zeros((2, 3)), 0.0, 0.5, 25.0)
    >>> round(float(elevations(flat, 0.0, 0.5)), 6)
    1.570796
    """
    across = np.cos(array.latitude) * np.cos(declination) * np.cos(hour_angle)
    return np.asarray(np.arcsin(np.clip(np.sin(array.latitude) * np.sin(declination) + across, -1, 1)))
