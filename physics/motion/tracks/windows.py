"""Windows of fixed length cut from track sets, for fits and scores."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retrodict.physics.errors import ConfigError, DataError, expected

__all__ = ["windows"]


def windows(tracks: xr.Dataset, history: int, horizon: int, stride: int = 1) -> xr.Dataset:
    """Cut all windows in which every sample is valid.

    Parameters
    ----------
    tracks : xarray.Dataset
        Track set, dimensions (track, time).
    history : int
        Number of samples up to and including the present, at least 1.
    horizon : int
        Number of samples after the present, at least 0.
    stride : int, optional
        Number of samples from the start of a window to the next of the same track.

    Returns
    -------
    xarray.Dataset
        Dimensions (window, step); ``step`` counts from ``1 - history`` to ``horizon``, 0 is the present. All variables
        over (track, time) that hold numbers, without ``valid``; per window ``track``, ``category``, ``length``,
        ``width`` as far as the set has them, and ``time`` [s] over (window, step). A window never spans a gap: its
        samples are no further apart than 1.5 ``time_step``. Where a quantity has a mask ``<name>_valid``, the mask is
        cut too and does not exclude windows. Empty (0 windows) if no track is long enough.

    Raises
    ------
    ConfigError
        If a length is not a whole number in its range.
    DataError
        If the data set is no track set.

    Examples
    --------
    >>> made = xr.Dataset(
    ...     {"valid": (("track", "time"), np.ones((1, 5), bool)), "x": (("track", "time"), np.arange(5.0)[None])},
    ...     coords={"track": ["a"], "time": 0.1 * np.arange(5)}, attrs={"time_step": 0.1},
    ... )
    >>> windows(made, history=2, horizon=1)["x"].values
    array([[0., 1., 2.],
           [1., 2., 3.],
           [2., 3., 4.]])
    """
    for name, value, least in (("history", history, 1), ("horizon", horizon, 0), ("stride", stride, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(expected(name, value, f"a whole number of at least {least}"))
    if "valid" not in tracks or tracks["valid"].dims != ("track", "time") or "time_step" not in tracks.attrs:
        raise DataError(expected("tracks", f"variables {list(tracks.data_vars)}", "a track set with valid, time_step"))
    time = np.asarray(tracks["time"], dtype=float)
    longest = 1.5 * float(tracks.attrs["time_step"])
    row, column = _starts(np.asarray(tracks["valid"]), time, longest, history + horizon, stride)
    data: dict[str, xr.Variable] = {"time": xr.Variable(("window", "step"), time[column], dict(tracks["time"].attrs))}
    for key, variable in tracks.data_vars.items():
        name = str(key)
        if variable.dims == ("track", "time") and name != "valid":
            cut = np.asarray(variable)[row[:, None], column]
            data[name] = xr.Variable(("window", "step"), cut, dict(variable.attrs))
        elif variable.dims == ("track",):
            data[name] = xr.Variable("window", np.asarray(variable)[row], dict(variable.attrs))
    data["track"] = xr.Variable("window", np.asarray(tracks["track"])[row])
    return xr.Dataset(data, coords={"step": np.arange(1 - history, horizon + 1)}, attrs=dict(tracks.attrs))


def _starts(
    valid: NDArray[np.bool_], time: NDArray[np.float64], longest: float, length: int, stride: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the track of each window, shape (windows,), and its columns, shape (windows, length)."""
    rows: list[int] = []
    columns = [np.zeros((0, length), dtype=np.int64)]
    for i, mask in enumerate(valid):
        samples = np.flatnonzero(mask)
        for run in np.split(samples, np.flatnonzero(np.diff(time[samples]) > longest) + 1):
            starts = np.arange(0, run.size - length + 1, stride)
            if starts.size:
                columns.append(run[starts[:, None] + np.arange(length)])
                rows.extend([i] * starts.size)
    return np.array(rows, dtype=np.int64), np.concatenate(columns)
