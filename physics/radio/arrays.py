"""Arrays of antennas by name, and observations with them: tables to be filled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrodict.physics.errors import ConfigError, DataError, expected
from retrodict.physics.radio.geometry import (
    DAY,
    TURN,
    Array,
    casacore_uvw,
    elevations,
    enu_to_itrf,
    hour_angles,
    itrf_to_enu,
    uvw,
)
from retrodict.physics.radio.layouts import MEERKAT, MEERKAT_SITE, VLA_A, VLA_SITE
from retrodict.physics.radio.visibilities import LIGHT, Visibilities

__all__ = [
    "Array",
    "array",
    "casacore_uvw",
    "cell_for",
    "elevations",
    "enu_to_itrf",
    "hour_angles",
    "itrf_to_enu",
    "observe",
    "uvw",
]

Floats = NDArray[np.float64]


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
    if name not in SITES:
        raise ConfigError(expected("array", repr(name), f"one of {', '.join(SITES)}"))
    site, most, diameter = SITES[name]
    longitude, latitude = float(np.deg2rad(site[0])), float(np.deg2rad(site[1]))
    count = most if antennas is None and name != "random" else antennas
    if count is None or not 2 <= count <= most:
        raise ConfigError(expected("antennas", count, f"a number from 2 to {most}"))
    if name == "random" or count < most:
        if rng is None:
            raise ConfigError(expected("rng", rng, "a generator, for antennas that are drawn at random"))
        positions = _drawn(name, count, radius, rng)
    else:
        positions = _all(name)
    return Array(name, positions, longitude, latitude, diameter)


SITES = {
    "vla-a": (VLA_SITE, len(VLA_A), 25.0),
    "meerkat": (MEERKAT_SITE, len(MEERKAT), 13.5),
    "random": (VLA_SITE, 10**4, 25.0),
}


def _local(name: str, enu: ArrayLike) -> Floats:
    longitude, latitude, height = SITES[name][0]
    return enu_to_itrf(enu, float(np.deg2rad(longitude)), float(np.deg2rad(latitude)), height)


def _all(name: str) -> Floats:
    return np.array(VLA_A) if name == "vla-a" else _local(name, MEERKAT)


def _drawn(name: str, count: int, radius: float, rng: np.random.Generator) -> Floats:
    if name == "random":
        r, turn = radius * np.sqrt(rng.random(count)), 2 * np.pi * rng.random(count)
        return _local(name, np.stack([r * np.cos(turn), r * np.sin(turn), np.zeros(count)], axis=-1))
    positions = _all(name)
    return positions[np.sort(rng.choice(len(positions), count, replace=False))]


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
    hour = _hours(slots, hours, integration)
    hour = hour[elevations(array, hour, declination) >= elevation]
    if not hour.size:
        raise ConfigError(expected("elevation", f"{elevation:g} rad", "a limit that the phase centre rises above"))
    transit = (-hour_angles(array, day * DAY, right_ascension)) % (2 * np.pi)
    time = day * DAY + (transit + hour) / TURN * DAY
    channels = np.atleast_1d(np.asarray(frequency, np.float64))
    one, two = np.triu_indices(len(array.positions), 1)
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


def _hours(slots: int, hours: tuple[float, float], integration: float | None) -> Floats:
    middle = np.deg2rad(7.5 * sum(hours))
    if integration is None:
        step = np.deg2rad(15 * (hours[1] - hours[0])) / max(slots - 1, 1)
    else:
        step = integration * TURN / DAY
    return np.asarray(middle + (np.arange(slots) - (slots - 1) / 2) * step)


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
    0.53
    """
    if not oversampling >= 1:
        raise ConfigError(expected("oversampling", oversampling, "a number of at least 1"))
    longest = float((np.hypot(vis.uvw[:, 0], vis.uvw[:, 1]) * vis.frequency / LIGHT).max(initial=0))
    if longest == 0:
        raise DataError(expected("vis", "baselines of no length", "a baseline between two places"))
    return 1 / (2 * oversampling * longest)
