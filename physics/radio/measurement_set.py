"""MeasurementSets, the tables of radio astronomy: read as visibilities, whole or in chunks, and written back.

Rows of `Visibilities` are samples: each row of the main table gives one for every channel and feed, in the order
``(row, channel, feed)``, the last fastest. Rows of the main table are taken in order of time in every function, so that
one selection means the same samples everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrodict.physics.errors import ConfigError, DataError, expected
from retrodict.physics.radio.measurement_set_tables import BLOCK, MSDescription, describe
from retrodict.physics.radio.measurement_set_views import MSView, slot_starts, view
from retrodict.physics.radio.measurement_set_writing import MeasurementSetWriter, add_column, write_measurement_set
from retrodict.physics.radio.visibilities import Visibilities

__all__ = [
    "MSDescription",
    "MeasurementSetWriter",
    "chunks",
    "describe",
    "ranges",
    "read_measurement_set",
    "write_column",
    "write_measurement_set",
]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
Mask = NDArray[np.bool_]


def read_measurement_set(
    path: str | Path,
    *,
    column: str = "DATA",
    field: int | None = None,
    window: int | None = None,
    channels: slice | None = None,
    feeds: str = "stokes-i",
    start: int = 0,
    rows: int | None = None,
) -> Visibilities:
    """Read visibilities of one field and one spectral window.

    Weights come from ``WEIGHT_SPECTRUM`` where that is filled, else from ``WEIGHT`` for every channel, else from
    ``SIGMA``. Stokes I is the mean of two parallel hands: flagged where either is, with the weight ``4 a b / (a + b)``
    of the mean of two independent numbers of weights ``a`` and ``b``.

    Parameters
    ----------
    path : str or Path
        Of the set.
    column : str, optional
        ``"DATA"``, ``"CORRECTED_DATA"``, ``"MODEL_DATA"`` or another column of visibilities.
    field, window : int, optional
        Field and spectral window; not needed where the rows have only one.
    channels : slice, optional
        Channels of the window; by default all.
    feeds : str, optional
        ``"stokes-i"``, or ``"parallel"`` for a feed for each hand.
    start, rows : int, optional
        First row of the selection, in order of time, and number of rows; by default all.

    Returns
    -------
    Visibilities
        One row for each row, channel and feed.

    Raises
    ------
    ConfigError
        If a choice does not exist, or one is needed and missing; the choices are named.
    DataError
        If it is not a MeasurementSet, a column is missing, there are no weights above zero in the selection, or data
        are not finite where there is no flag; set and column are named.

    Examples
    --------
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/one.ms"
    >>> one = Visibilities(np.ones((1, 3)), [1e9], [0.0], [0], [1], [1 + 2j], [1.0], [False])
    >>> write_measurement_set(path, one)
    >>> read_measurement_set(path).data
    array([1.+2.j])
    """
    with view(path, field=field, window=window, channels=channels, feeds=feeds) as of:
        first, count = _range(of, start, rows)
        return _read(of, column, _weights(of), first, count)


def chunks(
    path: str | Path,
    size: int,
    *,
    column: str = "DATA",
    field: int | None = None,
    window: int | None = None,
    channels: slice | None = None,
    feeds: str = "stokes-i",
) -> Iterator[Visibilities]:
    """Read visibilities a number of rows at a time, with every time slot whole.

    Parameters
    ----------
    path : str or Path
        Of the set.
    size : int
        Rows of the main table in a chunk, at most; a time slot with more is a chunk of its own.
    column, field, window, channels, feeds
        As for `read_measurement_set`.

    Yields
    ------
    Visibilities
        In order of time; together, what `read_measurement_set` returns.

    Raises
    ------
    ConfigError, DataError
        As for `read_measurement_set`; also if the size is not positive.

    Examples
    --------
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/two.ms"
    >>> write_measurement_set(
    ...     path, Visibilities(np.ones((2, 3)), [1e9] * 2, [0, 9], [0, 0], [1, 1], [1, 2], [1, 1], [0, 0])
    ... )
    >>> [chunk.data.real.tolist() for chunk in chunks(path, 1)]
    [[1.0], [2.0]]
    """
    with view(path, field=field, window=window, channels=channels, feeds=feeds) as of:
        weights = _weights(of)
        for first, count in _ranges(of, size):
            yield _read(of, column, weights, first, count)


def ranges(
    path: str | Path,
    size: int,
    *,
    field: int | None = None,
    window: int | None = None,
    channels: slice | None = None,
    feeds: str = "stokes-i",
) -> list[tuple[int, int]]:
    """Return first row and number of rows of every chunk of `chunks`, for `read_measurement_set`.

    Parameters
    ----------
    path, size, field, window, channels, feeds
        As for `chunks`.

    Raises
    ------
    ConfigError, DataError
        As for `chunks`.

    Examples
    --------
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/two.ms"
    >>> write_measurement_set(
    ...     path, Visibilities(np.ones((2, 3)), [1e9] * 2, [0, 9], [0, 0], [1, 1], [1, 2], [1, 1], [0, 0])
    ... )
    >>> ranges(path, 1)
    [(0, 1), (1, 1)]
    """
    with view(path, field=field, window=window, channels=channels, feeds=feeds) as of:
        return _ranges(of, size)


def _ranges(of: MSView, size: int) -> list[tuple[int, int]]:
    if size < 1:
        raise ConfigError(expected("chunks size", size, "at least one row"))
    starts, first, found = slot_starts(of.rows), 0, []
    for stop, after in zip(starts[1:], [*starts[2:], None], strict=True):
        if after is None or after - first > size:
            found.append((first, stop - first))
            first = stop
    return found


def write_column(
    path: str | Path,
    column: str,
    values: ArrayLike | Iterator[Complexes],
    *,
    field: int | None = None,
    window: int | None = None,
    channels: slice | None = None,
    feeds: str = "stokes-i",
    start: int = 0,
) -> int:
    """Write visibilities into a column of a MeasurementSet, which is made if it is not there.

    Only the rows, channels and correlations of the selection are written; Stokes I goes to both hands that it is the
    mean of. What is not written keeps its value; in a new column that is ``DATA`` for ``CORRECTED_DATA``, else zero.

    Parameters
    ----------
    path : str or Path
        Of the set.
    column : str
        ``"CORRECTED_DATA"``, ``"MODEL_DATA"`` or another; not ``"DATA"``.
    values : array_like, or iterator of ndarray
        In the order of `read_measurement_set` with the same choices; or chunk by chunk in the order of `chunks`.
    field, window, channels, feeds
        As for `read_measurement_set`.
    start : int, optional
        First row of the selection, in order of time.

    Returns
    -------
    int
        Rows of the main table written.

    Raises
    ------
    ConfigError
        If a choice does not exist, or the column is ``"DATA"``.
    DataError
        If the numbers of values do not fill whole rows or are too many, or the set cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/one.ms"
    >>> one = Visibilities(np.ones((1, 3)), [1e9], [0.0], [0], [1], [1 + 2j], [1.0], [False])
    >>> write_measurement_set(path, one)
    >>> write_column(path, "MODEL_DATA", [3j])
    1
    >>> read_measurement_set(path, column="MODEL_DATA").data
    array([0.+3.j])
    """
    if column == "DATA":
        raise ConfigError(expected("column", "DATA", "another column: the measured data are never written over"))
    if not isinstance(values, Iterator) and np.ndim(values) != 1:
        raise DataError(expected("values", f"{np.ndim(values)} dimensions", "one"))
    parts = values if isinstance(values, Iterator) else iter([np.asarray(values)])
    choice: dict[str, Any] = {"field": field, "window": window, "channels": channels, "feeds": feeds}
    with view(path, **choice) as of:
        _range(of, start, None)
    if column not in of.about.columns:
        add_column(of.path, column)
    with view(path, **choice, write=True) as of:
        first = start
        for part in parts:
            first += _put(of, column, np.asarray(part, np.complex128), first)
        of.rows.flush()
    return first - start


def _range(of: MSView, start: int, rows: int | None) -> tuple[int, int]:
    total = int(of.rows.nrows())
    count = total - start if rows is None else rows
    if not (0 <= start < total and 0 < count <= total - start):
        raise ConfigError(expected("start, rows", f"{start}, {rows}", f"a range of the {total} rows selected"))
    return start, count


def _weights(of: MSView) -> str:
    """Return the name of the column to take weights from."""
    for name in ("WEIGHT_SPECTRUM", "WEIGHT", "SIGMA"):
        if name not in of.about.columns or not of.rows.iscelldefined(name, 0):
            continue
        for first in range(0, of.rows.nrows(), block := max(1, BLOCK // max(1, of.rows.getcell(name, 0).size))):
            if (of.rows.getcol(name, first, block) > 0).any():
                return name
        if name == "WEIGHT":
            raise DataError(expected(f"{of.path}: WEIGHT", "no weight above zero", "some weights above zero"))
    raise DataError(expected(str(of.path), "no weights", "a filled column WEIGHT_SPECTRUM, WEIGHT or SIGMA"))


def _corners(of: MSView) -> tuple[list[int], list[int], list[int]]:
    end = of.channels.start + (of.frequency.size - 1) * of.channels.step
    return [of.channels.start, 0], [end, of.width - 1], [of.channels.step, 1]


def _cube(of: MSView, column: str, first: int, count: int) -> NDArray[Any]:
    """Return the selected channels of a column, shape (row, channel, correlation)."""
    if column not in of.about.columns and not of.rows.colnames().count(column):
        cubes = [name for name in of.about.columns if name.endswith("DATA")]
        raise DataError(expected(f"{of.path}: {column}", "no such column", f"one of {', '.join(cubes)}"))
    try:
        return np.asarray(of.rows.getcolslice(column, *_corners(of), first, count))
    except RuntimeError as error:
        raise DataError(expected(f"{of.path}: {column}", str(error), "filled cells (channel, correlation)")) from error


def _put(of: MSView, column: str, values: Complexes, first: int) -> int:
    """Write whole rows and return their number."""
    samples, room = of.frequency.size * len(of.feeds), of.rows.nrows() - first
    count, rest = divmod(values.size, samples)
    if rest or count > room:
        got, wanted = f"{values.size} values", f"at most {room} rows of {samples} values"
        raise DataError(expected(f"{of.path}: {column}", got, wanted))
    if count:
        cube = _cube(of, column, first, count)
        cube[..., list(of.correlations)] = values.reshape(count, of.frequency.size, len(of.feeds))
        of.rows.putcolslice(column, cube, *_corners(of), first, count)
    return count


def _read(of: MSView, column: str, weights: str, first: int, count: int) -> Visibilities:
    used = list(of.correlations)
    data = _cube(of, column, first, count)[..., used].astype(np.complex128)
    flag = _cube(of, "FLAG", first, count)[..., used] | of.rows.getcol("FLAG_ROW", first, count)[:, None, None]
    weight = np.broadcast_to(_weight(of, weights, first, count)[..., used], data.shape)
    weight = np.where(flag & ~np.isfinite(weight), 0, weight)
    if of.averages:
        data, weight, flag = _mean(data, weight, flag)
    times = data.shape[1] * data.shape[2]

    def spread(name: str) -> NDArray[Any]:
        return np.repeat(of.rows.getcol(name, first, count), times, axis=0)

    positions = of.about.positions
    try:
        return Visibilities(
            uvw=spread("UVW"),
            frequency=np.tile(np.repeat(of.frequency, data.shape[2]), count),
            time=spread("TIME"),
            antenna1=spread("ANTENNA1"),
            antenna2=spread("ANTENNA2"),
            data=data.ravel(),
            weight=weight.ravel(),
            flag=flag.ravel(),
            feed=np.tile(np.arange(data.shape[2]), count * data.shape[1]),
            scan=spread("SCAN_NUMBER"),
            feeds=of.feeds,
            antennas=of.about.antennas,
            positions=positions if positions.any() else np.zeros((0, 3)),
            centre=of.about.centres[of.field],
            telescope=of.about.telescope,
        )
    except DataError as error:
        raise DataError(f"{of.path} ({column} and {weights}, rows from {first}): {error}") from error


def _weight(of: MSView, name: str, first: int, count: int) -> Floats:
    """Return weights, shape (row, channel or 1, correlation)."""
    if name == "WEIGHT_SPECTRUM":
        return _cube(of, name, first, count).astype(np.float64)
    value = np.asarray(of.rows.getcol(name, first, count), np.float64)[:, None, :]
    if name == "WEIGHT":
        return value
    return np.divide(1.0, value**2, out=np.zeros_like(value), where=value > 0)


def _mean(data: Complexes, weight: Floats, flag: Mask) -> tuple[Complexes, Floats, Mask]:
    """Return the mean of two hands, its weight, and whether either is flagged."""
    both = weight.sum(axis=-1, keepdims=True)
    product = 4 * weight.prod(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        mean = data.mean(axis=-1, keepdims=True)
    weight = np.divide(product, both, out=np.zeros_like(both), where=both != 0)
    return mean, weight, np.asarray(flag.any(axis=-1, keepdims=True))
