"""Conversion of positions between the points of a vehicle to which formats refer."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retrodict.physics.errors import ConfigError, DataError, expected

__all__ = ["POINTS", "REAR_AXLE_FRACTION", "to_reference"]

POINTS = ("box-centre", "front-centre", "rear-axle")

REAR_AXLE_FRACTION = 0.3
"""Distance from the rear axle forward to the centre of the box as a share of the length, where nothing better is
known: the three cars of CommonRoad's vehicle models have 0.27 to 0.35 (rear axle to centre of gravity)."""


def to_reference(
    tracks: xr.Dataset, target: str, rear_axle_to_centre: float | NDArray[np.float64] | None = None
) -> xr.Dataset:
    """Move the positions to another point of the vehicles, along their headings.

    Parameters
    ----------
    tracks : xarray.Dataset
        Track set with x, y, heading, and an attribute ``reference`` that is one of `POINTS`.
    target : {"box-centre", "front-centre", "rear-axle"}
        The point wanted.
    rear_axle_to_centre : float or ndarray, shape (tracks,), optional
        Distance from the rear axle forward to the centre of the box [m]. Default: `REAR_AXLE_FRACTION` of the length.
        Only used where one of the two points is the rear axle.

    Returns
    -------
    xarray.Dataset
        A copy with other x and y; where a heading is missing, the state is no longer valid. Speed, vx and vy stay
        those of the old point (attribute ``velocity_reference``): at a yaw rate w the two differ by w times the
        distance.

    Raises
    ------
    ConfigError
        If the target is unknown or the distance is not positive and finite.
    DataError
        If the set has no heading, no length where it is needed, or refers to another kind of point.

    Examples
    --------
    >>> made = xr.Dataset(
    ...     {
    ...         "x": (("track", "time"), [[10.0]]), "y": (("track", "time"), [[0.0]]),
    ...         "heading": (("track", "time"), [[0.0]]), "valid": (("track", "time"), [[True]]),
    ...         "length": ("track", [4.0]),
    ...     }, attrs={"reference": "box-centre"},
    ... )
    >>> float(to_reference(made, "rear-axle", 1.4)["x"][0, 0])
    8.6
    >>> float(to_reference(made, "front-centre")["x"][0, 0])
    12.0
    """
    now = tracks.attrs.get("reference")
    if target not in POINTS:
        raise ConfigError(expected("target", repr(target), "one of " + ", ".join(POINTS)))
    if now not in POINTS:
        raise DataError(expected("tracks.attrs['reference']", repr(now), "one of " + ", ".join(POINTS)))
    moved = tracks.copy()
    if now == target:
        return moved
    absent = [name for name in ("x", "y", "heading", "valid") if name not in tracks]
    if absent:
        raise DataError(expected("tracks", f"no {', '.join(absent)}", "x, y, heading and valid"))
    ahead = _ahead(tracks, target, rear_axle_to_centre) - _ahead(tracks, str(now), rear_axle_to_centre)
    heading = np.asarray(tracks["heading"], dtype=float)
    valid = np.asarray(tracks["valid"]) & np.isfinite(heading)
    moved["valid"] = tracks["valid"].copy(data=valid)
    for name, part in (("x", np.cos(heading)), ("y", np.sin(heading))):
        shifted = np.asarray(tracks[name], dtype=float) + ahead[:, None] * part
        moved[name] = tracks[name].copy(data=np.where(valid, shifted, np.nan))
    moved.attrs["reference"] = target
    if any(name in tracks for name in ("speed", "vx", "vy")):
        moved.attrs["velocity_reference"] = tracks.attrs.get("velocity_reference", now)
    return moved


def _ahead(
    tracks: xr.Dataset, point: str, rear_axle_to_centre: float | NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Return how far ahead of the centre of the box a point lies [m], shape (tracks,)."""
    count = tracks.sizes["track"]
    if point == "box-centre":
        return np.zeros(count)
    if point == "rear-axle" and rear_axle_to_centre is not None:
        distance = np.asarray(rear_axle_to_centre, dtype=float)
        if distance.shape not in ((), (count,)) or not np.all(np.isfinite(distance) & (distance > 0)):
            wanted = f"a positive distance [m], one or {count}"
            raise ConfigError(expected("rear_axle_to_centre", rear_axle_to_centre, wanted))
        return -np.broadcast_to(distance, (count,))
    if "length" not in tracks:
        raise DataError(expected("tracks", "no length", f"lengths, to convert from or to the {point}"))
    length = np.asarray(tracks["length"], dtype=float)
    return length / 2 if point == "front-centre" else -REAR_AXLE_FRACTION * length
