"""Argoverse 2 motion forecasting scenarios: one parquet table, 10 Hz, 50 observed and 60 future steps.

Format: Wilson et al., "Argoverse 2", NeurIPS Datasets 2021, and the scenario schema of the av2 package.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xarray as xr
from numpy.typing import NDArray

from retrodict.physics.errors import DataError, expected
from retrodict.physics.motion.tracks.assembly import track_set
from retrodict.physics.motion.tracks.damage import Damage
from retrodict.physics.motion.tracks.samples import Bodies, Origin, Samples
from retrodict.physics.motion.tracks.source import Source

__all__ = ["CATEGORIES", "read_argoverse"]

CATEGORIES = frozenset(
    (
        "vehicle",
        "pedestrian",
        "motorcyclist",
        "cyclist",
        "bus",
        "static",
        "background",
        "construction",
        "riderless_bicycle",
        "unknown",
    )
)

_STEP = 0.1
_MAX_ROWS = 10**7
_FLOATS = ("position_x", "position_y", "heading", "velocity_x", "velocity_y", "start_timestamp", "end_timestamp")
_INTEGERS = ("timestep", "num_timestamps", "object_category")
_TEXTS = ("track_id", "object_type", "scenario_id", "focal_track_id", "city")


def read_argoverse(source: Source, damage: Damage) -> xr.Dataset:
    """Read a scenario.

    Parameters
    ----------
    source : Source
        The parquet file. Page checksums are verified where the file has them, and then none of 12 000 random
        mutations passed unseen. The files of the data set have none, so that there the plausibility checks are the
        only net: of random bit flips in such a file some 30 % pass, those that move a value by less than noise would
        (a position by at most about 2 m).
    damage : Damage
        Receives damaged rows.

    Returns
    -------
    xarray.Dataset
        Track set of box centres in the frame of the city, with heading, vx, vy and speed. The format has no sizes.

    Raises
    ------
    DataError
        If the table cannot be read, lacks a column, has a column of the wrong type, or has no usable track; at the
        first damaged row in the mode "raise".

    Examples
    --------
    >>> n = 3
    >>> table = pa.table({
    ...     "observed": [True] * n, "track_id": ["7"] * n, "object_type": ["vehicle"] * n, "object_category": [2] * n,
    ...     "timestep": [0, 1, 2], "position_x": [0.0, 1.0, 2.0], "position_y": [0.0] * n, "heading": [0.0] * n,
    ...     "velocity_x": [10.0] * n, "velocity_y": [0.0] * n, "scenario_id": ["s"] * n, "start_timestamp": [0.0] * n,
    ...     "end_timestamp": [2e8] * n, "num_timestamps": [3] * n, "focal_track_id": ["7"] * n, "city": ["austin"] * n,
    ... })
    >>> buffer = io.BytesIO()
    >>> pq.write_table(table, buffer, write_page_checksum=True)
    >>> tracks = read_argoverse(Source("s.parquet", buffer.getvalue()), Damage("s.parquet", "raise"))
    >>> tracks["speed"].values
    array([[10., 10., 10.]])
    """
    table = _table(source)
    floats = {name: _numbers(table, name, pa.float64(), source.name) for name in _FLOATS}
    integers = {name: _numbers(table, name, pa.int64(), source.name) for name in _INTEGERS}
    texts = {name: _strings(table, name, source.name) for name in _TEXTS}
    good = _rows(floats, integers, texts, damage)
    ids, track = np.unique(texts["track_id"], return_inverse=True)
    category = _categories(ids, track, texts["object_type"], good, damage)
    columns = {
        "x": floats["position_x"],
        "y": floats["position_y"],
        "heading": floats["heading"],
        "vx": floats["velocity_x"],
        "vy": floats["velocity_y"],
    }
    with np.errstate(over="ignore", invalid="ignore"):
        columns["speed"] = np.hypot(floats["velocity_x"], floats["velocity_y"])
    time = integers["timestep"] * _STEP
    samples = Samples(track.astype(np.int64), time, np.arange(track.size), columns, {}, "row").take(good)
    observed = time[good & np.asarray(table["observed"].to_numpy(zero_copy_only=False), dtype=bool)]
    extra: dict[str, str | float | int] = {
        "scenario": str(texts["scenario_id"][0]),
        "focal_track": str(texts["focal_track_id"][0]),
        "city": str(texts["city"][0]),
        "observed_until": float(observed.max()) if observed.size else -1.0,
    }
    origin = Origin("argoverse2", source.name, source.sha256, "box-centre", _STEP, extra)
    return track_set(samples, Bodies([str(name) for name in ids], category), origin, damage)


def _table(source: Source) -> pa.Table:
    wanted = ["observed", *_FLOATS, *_INTEGERS, *_TEXTS]
    # Apache Arrow reports the same damage as any of these, depending on where it sits.
    failures = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, MemoryError, OverflowError)
    try:
        with pq.ParquetFile(io.BytesIO(source.data), page_checksum_verification=True) as file:
            _layout(file.metadata.num_rows, file.schema_arrow.names, wanted, source.name)
            table = file.read(columns=wanted)
            table.validate(full=True)
    except DataError:
        raise
    except failures as error:
        got = f"{type(error).__name__}: {error}"
        raise DataError(expected(source.name, got, "a readable parquet table")) from error
    if not pa.types.is_boolean(table.schema.field("observed").type) or table["observed"].null_count:
        raise DataError(expected(f"{source.name}, column observed", table.schema.field("observed").type, "bool"))
    return table


def _layout(count: int, names: list[str], wanted: list[str], file: str) -> None:
    if not 0 < count <= _MAX_ROWS:
        raise DataError(expected(file, f"{count} rows", f"1 to {_MAX_ROWS} rows"))
    for name in wanted:
        if names.count(name) != 1:
            raise DataError(expected(file, f"{names.count(name)} columns {name}", "one"))


def _numbers(table: pa.Table, name: str, kind: pa.DataType, file: str) -> NDArray[np.float64]:
    column = table[name]
    if column.type != kind or column.null_count:
        got = f"{column.type} with {column.null_count} nulls"
        raise DataError(expected(f"{file}, column {name}", got, f"{kind} without nulls"))
    return np.asarray(column.to_numpy(), dtype=float)


def _strings(table: pa.Table, name: str, file: str) -> NDArray[np.object_]:
    column = table[name]
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)) or column.null_count:
        got = f"{column.type} with {column.null_count} nulls"
        raise DataError(expected(f"{file}, column {name}", got, "string without nulls"))
    return np.array(column.to_pylist(), dtype=object)


def _rows(
    floats: dict[str, NDArray[np.float64]],
    integers: dict[str, NDArray[np.float64]],
    texts: dict[str, NDArray[np.object_]],
    damage: Damage,
) -> NDArray[np.bool_]:
    """Mark the rows that agree with what a scenario says about itself in every row."""
    steps, count = integers["timestep"], integers["num_timestamps"]
    good = np.ones(steps.shape, dtype=bool)
    with np.errstate(over="ignore", invalid="ignore"):
        span = (floats["end_timestamp"] - floats["start_timestamp"]) * 1e-9
    tests: list[tuple[NDArray[np.bool_], NDArray[Any], str]] = [
        ((steps >= 0) & (steps < count), steps, "a timestep from 0 to num_timestamps - 1"),
        (np.abs(span - _STEP * (count - 1)) <= _STEP / 2, span, "num_timestamps at 10 Hz between start and end"),
    ]
    for name in ("scenario_id", "focal_track_id", "city"):
        tests.append((texts[name] == texts[name][0], texts[name], f"one {name} in all rows"))
    tests.append((np.isin(texts["object_type"], list(CATEGORIES)), texts["object_type"], "a known object_type"))
    for passed, got, wanted in tests:
        for i in np.flatnonzero(good & ~passed):
            good[i] = False
            damage.add(f"row {i}, track {texts['track_id'][i]}", got[i], wanted)
    return good


def _categories(
    ids: NDArray[np.object_],
    track: NDArray[np.int64],
    types: NDArray[np.object_],
    good: NDArray[np.bool_],
    damage: Damage,
) -> list[str]:
    """Return the category of each track and unmark rows that contradict the first of their track."""
    category = ["unknown"] * ids.size
    seen: set[int] = set()
    for i in np.flatnonzero(good).tolist():
        at = int(track[i])
        if at not in seen:
            seen.add(at)
            category[at] = str(types[i])
        elif types[i] != category[at]:
            good[i] = False
            damage.add(f"row {i}, track {ids[at]}", types[i], f"{category[at]} as before in this track")
    return category
