"""From checked rows to the track set: an `xarray.Dataset` over (track, time)."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retrodict.physics.errors import DataError, expected
from retrodict.physics.motion.tracks.checks import Limits, check
from retrodict.physics.motion.tracks.damage import Damage
from retrodict.physics.motion.tracks.samples import Bodies, Origin, Samples

__all__ = ["LONG_NAMES", "MAX_CELLS", "UNITS", "track_set"]

MAX_CELLS = 10**8

UNITS = {
    "x": "m",
    "y": "m",
    "heading": "rad",
    "speed": "m s-1",
    "vx": "m s-1",
    "vy": "m s-1",
    "acceleration": "m s-2",
    "yaw_rate": "rad s-1",
    "steering": "rad",
    "length": "m",
    "width": "m",
    "time": "s",
}

LONG_NAMES = {
    "x": "position, first axis",
    "y": "position, second axis",
    "heading": "heading, anticlockwise from the first axis, unwrapped along the track",
    "speed": "speed along the heading",
    "vx": "velocity, first axis",
    "vy": "velocity, second axis",
    "acceleration": "acceleration along the heading",
    "yaw_rate": "rate of change of the heading",
    "steering": "steering angle",
    "length": "length of the body",
    "width": "width of the body",
    "time": "time",
}


def track_set(
    samples: Samples, bodies: Bodies, origin: Origin, damage: Damage, limits: Limits | None = None
) -> xr.Dataset:
    """Check rows and lay them out on the union of all times.

    Parameters
    ----------
    samples : Samples
        States in the order of the file.
    bodies : Bodies
        What is constant along the tracks.
    origin : Origin
        Provenance.
    damage : Damage
        Receives what the checks find.
    limits : Limits, optional
        Ranges of the checks.

    Returns
    -------
    xarray.Dataset
        Dimensions (track, time). ``valid`` says where a track has a state; elsewhere values are NaN. Where a valid
        state lacks a quantity, ``<name>_valid`` says so. Interval half-widths are in ``<name>_halfwidth``.

    Raises
    ------
    DataError
        At the first damaged record in mode "raise"; if no usable track is left; if the grid is too large.

    Examples
    --------
    >>> from retrodict.physics.motion.tracks.samples import SampleList
    >>> rows = SampleList("line")
    >>> for k in range(3):
    ...     rows.append(0, 0.1 * k, k, x=1.0 * k, y=0.0)
    >>> origin = Origin("eth-ucy", "a.txt", "00", "point", None)
    >>> made = track_set(rows.finish(["x", "y"]), Bodies(["7"], ["car"]), origin, Damage("a.txt", "raise"))
    >>> float(made["x"].sel(track="7", time=0.1))
    1.0
    """
    samples = check(samples, bodies, damage, limits or Limits())
    if samples.track.size == 0:
        count = len(damage.reports)
        raise DataError(expected(damage.file, f"no usable track ({count} damaged records)", "at least one state"))
    used = np.unique(samples.track)
    times, column = np.unique(samples.time, return_inverse=True)
    if used.size * times.size > MAX_CELLS:
        got = f"{used.size} tracks on {times.size} distinct times"
        raise DataError(expected(damage.file, got, f"at most {MAX_CELLS} cells; split the file"))
    row = np.searchsorted(used, samples.track)
    data = _variables(samples, row, column, (used.size, times.size))
    data["category"] = xr.Variable("track", np.array([bodies.category[i] for i in used], dtype=object))
    for name, values in (("length", bodies.length), ("width", bodies.width)):
        if values is not None:
            data[name] = xr.Variable("track", values[used], _attributes(name))
    return xr.Dataset(
        data,
        coords={
            "track": np.array([bodies.ids[i] for i in used], dtype=object),
            "time": xr.Variable("time", times, _attributes("time")),
        },
        attrs={
            "format": origin.format,
            "source": origin.source,
            "sha256": origin.sha256,
            "reference": origin.reference,
            "time_step": origin.time_step if origin.time_step is not None else _median_step(samples),
            "damaged": damage.to_json(),
            **origin.extra,
        },
    )


def _variables(
    samples: Samples, row: NDArray[np.int64], column: NDArray[np.int64], shape: tuple[int, int]
) -> dict[str, xr.Variable]:
    valid = np.zeros(shape, dtype=bool)
    valid[row, column] = True
    data = {"valid": xr.Variable(("track", "time"), valid, {"long_name": "whether the track has a state"})}
    for name, values in samples.columns.items():
        grid = np.full(shape, np.nan)
        grid[row, column] = _unwrapped(samples) if name == "heading" else values
        data[name] = xr.Variable(("track", "time"), grid, _attributes(name))
        if samples.missing.get(name, np.zeros(1, dtype=bool)).any() and not name.endswith("_halfwidth"):
            mask = np.zeros(shape, dtype=bool)
            mask[row, column] = samples.has(name)
            long_name = f"whether the state has the quantity {name}"
            data[f"{name}_valid"] = xr.Variable(("track", "time"), mask, {"long_name": long_name})
    return data


def _unwrapped(samples: Samples) -> NDArray[np.float64]:
    heading = samples.columns["heading"].copy()
    carried = np.flatnonzero(samples.has("heading"))
    bounds = np.flatnonzero(np.diff(samples.track[carried])) + 1
    for part in np.split(carried, bounds):
        heading[part] = np.unwrap(heading[part])
    return heading


def _attributes(name: str) -> dict[str, str]:
    base = name.removesuffix("_halfwidth")
    prefix = "half width of the interval of " if base != name else ""
    return {"units": UNITS[base], "long_name": prefix + LONG_NAMES[base]}


def _median_step(samples: Samples) -> float:
    steps = np.diff(samples.time)[np.diff(samples.track) == 0]
    return float(np.median(steps)) if steps.size else 0.0
