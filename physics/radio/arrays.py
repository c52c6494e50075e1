"""Arrays of antennas: where they stand, the baselines a source sees as the Earth turns, and tables to be filled.

Source of the baselines: Thompson, Moran and Swenson, Interferometry and Synthesis in Radio Astronomy, equation 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrodict.physics.errors import ConfigError, DataError, expected
from retrodict.physics.radio.layouts import MEERKAT, MEERKAT_SITE, VLA_A, VLA_SITE
from retrodict.physics.radio.visibilities import LIGHT, Visibilities

__all__ = [
    "Array",
    "array",
    "casacore_uvw",
    "cell_for",
    "enu_to_itrf",
    "hour_angles",
    "itrf_to_enu",
    "observe",
    "uvw",
]

Floats = NDArray[np.float64]

EQUATOR, FLATTENING = 6378137.0, 1 / 298.257223563
DAY = 86400.0
TURN = np.deg2rad(360.98564736629)
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
    >>> len(array("vla-a").positions)
    27
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


def array(
    name: str, *, antennas: int | None = None, rng: np.random.Generator | None = None, radius: float = 5000.0
) -> Array:
    """Return an array by name.

    Parameters
    ----------
    name : {"vla-a", "meerkat", "random"}
        A telescope, or antennas spread evenly over a disc on the site of the VLA.
    antennas : int, optional
        How many; of a telescope a random choice unless it is all of them. A random array needs the number.
    rng : Generator, optional
        What chooses or places them; needed wherever something is random.
    radius : float, optional
        Of the disc [m].

    Returns
    -------
    Array
        The antennas.

    Raises
    ------
    ConfigError
        If the name is unknown, the number is out of range, or ``rng`` is missing.

    Examples
    --------
    >>> array("meerkat").positions.shape
    (64, 3)
    """
    sites = {"vla-a": (VLA_SITE, 25.0), "meerkat": (MEERKAT_SITE, 13.5), "random": (VLA_SITE, 25.0)}
    if name not in sites:
        raise ConfigError(expected("array", repr(name), f"one of {', '.join(sites)}"))
    site, diameter = sites[name]
    longitude, latitude, height = float(np.deg2rad(site[0])), float(np.deg2rad(site[1])), site[2]
    most = {"vla-a": len(VLA_A), "meerkat": len(MEERKAT)}.get(name, 10**6)
    count = most if antennas is None and name != "random" else antennas
    if count is None or not 2 <= count <= most:
        raise ConfigError(expected("antennas", count, f"a number from 2 to {most}"))
    if rng is None and (name == "random" or count < most):
        raise ConfigError(expected("rng", rng, "a generator, for antennas that are drawn at random"))
    if name == "vla-a":
        positions = np.array(VLA_A)
    elif name == "meerkat":
        positions = enu_to_itrf(MEERKAT, longitude, latitude, height)
    else:
        assert rng is not None
        r, turn = radius * np.sqrt(rng.random(count)), 2 * np.pi * rng.random(count)
        enu = np.stack([r * np.cos(turn), r * np.sin(turn), np.zeros(count)], axis=-1)
        positions = enu_to_itrf(enu, longitude, latitude, height)
    if rng is not None and count < len(positions):
        positions = positions[np.sort(rng.choice(len(positions), count, replace=False))]
    return Array(name, positions, longitude, latitude, diameter)


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
    >>> vla = array("vla-a")
    >>> step = np.diff(hour_angles(vla, [0.0, 3600.0], 0.0))
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


def observe(
    array: Array,
    *,
    declination: float,
    slots: int,
    hours: tuple[float, float] = (-6.0, 6.0),
    frequency: float | Sequence[float] = 1.4e9,
    right_ascension: float = 0.0,
    integration: float | None = None,
    fraction: float = 1.0,
    elevation: float = 0.0,
    feeds: tuple[str, ...] = ("I",),
    day: float = 51544.0,
    rng: np.random.Generator | None = None,
) -> Visibilities:
    """Return the table of an observation, data zero and weights one, to be filled by a simulation.

    Rows run over slots, then channels, feeds and pairs with ``antenna1 < antenna2``; channels are rows of their own.

    Parameters
    ----------
    array : Array
        The antennas.
    declination, right_ascension : float
        Of the phase centre [rad], taken as of date; on the default day, that of J2000, this differs from the
        coordinates of catalogues by nutation and aberration only.
    slots : int
        Number of time slots.
    hours : tuple of float, optional
        First and last hour angle [h].
    frequency : float or sequence of float, optional
        Channels [Hz].
    integration : float, optional
        Time from slot to slot [s], about the middle of ``hours``; by default the slots fill ``hours``.
    fraction : float, optional
        Of the rows that remain, drawn at random.
    elevation : float, optional
        Least elevation of the phase centre [rad]; slots below it are left out.
    feeds : tuple of str, optional
        Parallel hands.
    day : float, optional
        Modified Julian date from which the next transit is awaited.
    rng : Generator, optional
        What draws the rows.

    Returns
    -------
    Visibilities
        The rows.

    Raises
    ------
    ConfigError
        If a setting is out of range, nothing is above the elevation, or rows are to be drawn without ``rng``.

    Examples
    --------
    >>> observe(array("vla-a"), declination=0.7, slots=10).rows
    3510
    """
    if slots < 1 or not 0 < fraction <= 1 or (fraction < 1 and rng is None):
        got = f"slots {slots}, fraction {fraction}, rng {rng}"
        raise ConfigError(expected("observe", got, "slots from 1, a fraction in (0, 1], and rng where rows are drawn"))
    hour = np.deg2rad(15 * np.linspace(*hours, slots)) if slots > 1 else np.deg2rad(15 * np.array([sum(hours) / 2]))
    if integration is not None:
        hour = np.deg2rad(7.5 * sum(hours)) + (np.arange(slots) - (slots - 1) / 2) * integration * TURN / DAY
    hour = hour[_elevations(array, hour, declination) >= elevation]
    if not hour.size:
        raise ConfigError(expected("elevation", f"{elevation:g} rad", "a limit that the phase centre rises above"))
    transit = (-hour_angles(array, day * DAY, right_ascension)) % (2 * np.pi)
    time = day * DAY + (transit + hour) / TURN * DAY
    count, channels = len(array.positions), np.atleast_1d(np.asarray(frequency, np.float64))
    one, two = np.triu_indices(count, 1)
    where = uvw(array, hour, declination)
    baselines = where[:, two] - where[:, one]
    index = np.indices((hour.size, channels.size, len(feeds), one.size)).reshape(4, -1)
    if fraction < 1:
        assert rng is not None
        kept = rng.choice(index.shape[1], max(1, round(fraction * index.shape[1])), replace=False)
        index = index[:, np.sort(kept)]
    slot, channel, feed, pair = index
    rows = slot.size
    return Visibilities(
        uvw=baselines[slot, pair],
        frequency=channels[channel],
        time=time[slot],
        antenna1=one[pair],
        antenna2=two[pair],
        data=np.zeros(rows, np.complex128),
        weight=np.ones(rows),
        flag=np.zeros(rows, np.bool_),
        feed=feed,
        feeds=feeds,
        antennas=array.names,
        positions=array.positions,
        centre=(right_ascension, declination),
        telescope=array.name,
    )


def _elevations(array: Array, hour: Floats, declination: float) -> Floats:
    across = np.cos(array.latitude) * np.cos(declination) * np.cos(hour)
    return np.asarray(np.arcsin(np.clip(np.sin(array.latitude) * np.sin(declination) + across, -1, 1)))


def cell_for(vis: Visibilities, oversampling: float = 1.2) -> float:
    """Return the pixel at which the longest baseline reaches ``pi / oversampling`` radians per pixel.

    Parameters
    ----------
    vis : Visibilities
        The rows.
    oversampling : float, optional
        How much finer the pixels are than the longest baseline requires.

    Returns
    -------
    float
        Side of a pixel [rad].

    Raises
    ------
    ConfigError
        If the oversampling is below one.
    DataError
        If there is no baseline of any length.

    Examples
    --------
    >>> vis = observe(array("vla-a"), declination=0.7, slots=2)
    >>> round(cell_for(vis) * 206265, 2)
    0.5
    """
    if not oversampling >= 1:
        raise ConfigError(expected("oversampling", oversampling, "a number of at least 1"))
    longest = float((np.hypot(vis.uvw[:, 0], vis.uvw[:, 1]) * vis.frequency / LIGHT).max(initial=0))
    if longest == 0:
        raise DataError(expected("vis", "baselines of no length", "a baseline between two places"))
    return 1 / (2 * oversampling * longest)
