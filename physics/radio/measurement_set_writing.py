"""MeasurementSets of our own: version 2, one field, one spectral window, and the tables that other programs ask for.

A set is filled under a temporary name beside its place and renamed when it is whole.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrodict.physics.errors import ConfigError, DataError, expected
from retrodict.physics.radio.measurement_set_samples import MainRows, main_rows
from retrodict.physics.radio.measurement_set_subtables import subtables
from retrodict.physics.radio.measurement_set_tables import BLOCK, open_table
from retrodict.physics.radio.placement import put_in_place
from retrodict.physics.radio.visibilities import Visibilities

__all__ = ["MeasurementSetWriter", "add_column", "write_measurement_set"]

Floats = NDArray[np.float64]

_FEEDS = (("I",), ("XX", "YY"), ("RR", "LL"), ("XX",), ("YY",), ("RR",), ("LL",))
_TILE = 1 << 20  # bytes


class MeasurementSetWriter:
    """Writes a MeasurementSet chunk by chunk; a context manager.

    Data and weights are stored in single precision, as the format has it. The set appears in its place when the block
    ends, and not at all if that ends in an error.

    Parameters
    ----------
    path : str or Path
        Where the set shall be.
    like : Visibilities
        Antennas, positions, feeds, phase centre and telescope of the set; also channels and interval, if not given.
    frequency : array_like, shape (channel,), optional
        Channels [Hz]; by default those of ``like``.
    columns : sequence of str, optional
        Columns of visibilities beside ``DATA``: ``"MODEL_DATA"``, ``"CORRECTED_DATA"``.
    channel_width : float, optional
        Width of a channel [Hz]; by default the distance to the neighbours, and 1 MHz where there is none.
    interval : float, optional
        Length of an integration [s]; by default the least distance of two time slots of ``like``, and 1 s for one slot.
    dish_diameter : float, optional
        Of every antenna [m].
    overwrite : bool, optional
        Whether a MeasurementSet that is there already gives way.

    Raises
    ------
    ConfigError
        If something else is there, or a set that must not be overwritten; also feeds that cannot be written, and
        lengths that are not positive.

    Examples
    --------
    >>> path = tempfile.mkdtemp() + "/two.ms"
    >>> one = Visibilities(np.ones((1, 3)), [1e9], [0.0], [0], [1], [1 + 2j], [1.0], [False])
    >>> with MeasurementSetWriter(path, one) as writer:
    ...     for k in range(2):
    ...         writer.append(one)
    >>> writer.rows
    2
    """

    def __init__(
        self,
        path: str | Path,
        like: Visibilities,
        *,
        frequency: ArrayLike | None = None,
        columns: Sequence[str] = (),
        channel_width: float | None = None,
        interval: float | None = None,
        dish_diameter: float = 25.0,
        overwrite: bool = False,
    ) -> None:
        self.path, self.like, self.columns, self.dish_diameter = Path(path), like, tuple(columns), dish_diameter
        self.frequency: Floats = np.unique(np.asarray(like.frequency if frequency is None else frequency, np.float64))
        if not (self.frequency.size and self.frequency[0] > 0 and np.isfinite(self.frequency).all()):
            raise ConfigError(expected("frequency", self.frequency, "positive frequencies"))
        if like.feeds not in _FEEDS:
            raise ConfigError(expected("feeds", like.feeds, "I, or XX and YY, or RR and LL, in this order"))
        spacing = np.diff(self.frequency)
        self.width = channel_width or (np.append(spacing, spacing[-1:]) if spacing.size else 1e6)
        gaps = np.diff(like.slots[1])
        self.interval = interval or (float(gaps.min()) if gaps.size else 1.0)
        for name, value in (("channel_width", channel_width), ("interval", interval), ("dish_diameter", dish_diameter)):
            if value is not None and not (np.isfinite(value) and value > 0):
                raise ConfigError(expected(name, value, "a positive number"))
        _check_place(self.path, overwrite)
        self.rows, self._times, self._folder = 0, (np.inf, -np.inf), ""
        self._main: Any = None

    def __enter__(self) -> MeasurementSetWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._folder = tempfile.mkdtemp(prefix=f".{self.path.name}.", suffix=".part", dir=self.path.parent)
        try:
            self._create()
        except BaseException:
            shutil.rmtree(self._folder)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._main.close()
            if kind is None:
                self._finish()
        finally:
            shutil.rmtree(self._folder)

    def append(self, vis: Visibilities, **columns: ArrayLike) -> None:
        """Add samples, with the other columns of visibilities by name: ``append(vis, MODEL_DATA=model)``.

        Samples of one time, pair, scan and uvw become one row. Channels and feeds that such a row lacks are flagged and
        have no weight.

        Parameters
        ----------
        vis : Visibilities
            The samples; antennas and feeds are those of ``like``. Give a time slot in one piece.
        **columns : array_like, shape (row,)
            One for each of the writer's other columns.

        Raises
        ------
        DataError
            If antennas, feeds, channels or columns are not those of the set, two samples are in one place, or one row
            has two uvw.
        """
        if (vis.antennas, vis.feeds) != (self.like.antennas, self.like.feeds):
            raise DataError(expected("append", "other antennas or feeds", f"those of {self.path}"))
        if set(columns) != set(self.columns):
            raise DataError(expected("append", f"columns {sorted(columns)}", f"columns {sorted(self.columns)}"))
        if not vis.rows:
            return
        rows = main_rows(vis, self.frequency)
        first, count = self.rows, rows.first.size
        self._main.addrows(count)
        for name, value in self._columns(vis, rows, columns).items():
            self._main.putcol(name, value, first, count)
        self.rows += count
        self._times = (min(self._times[0], vis.time.min()), max(self._times[1], vis.time.max()))

    def _columns(self, vis: Visibilities, rows: MainRows, more: dict[str, ArrayLike]) -> dict[str, NDArray[Any]]:
        """Return the columns of the main table that are not constant zero."""
        count = rows.first.size
        spectrum = rows.cube(vis.weight, 0.0).astype(np.float32)
        weight = spectrum.mean(axis=1)
        flag = rows.cube(vis.flag, True)
        out: dict[str, NDArray[Any]] = {
            "UVW": vis.uvw[rows.first],
            "ANTENNA1": vis.antenna1[rows.first].astype(np.int32),
            "ANTENNA2": vis.antenna2[rows.first].astype(np.int32),
            "SCAN_NUMBER": vis.scan[rows.first].astype(np.int32),
            "DATA": rows.cube(vis.data, 0j).astype(np.complex64),
            "FLAG": flag,
            "FLAG_ROW": np.asarray(flag.all(axis=(1, 2))),
            "WEIGHT_SPECTRUM": spectrum,
            "WEIGHT": weight,
            "SIGMA": np.divide(1, np.sqrt(weight), out=np.zeros_like(weight), where=weight > 0),
        }
        for name in ("TIME", "TIME_CENTROID"):
            out[name] = vis.time[rows.first]
        for name in ("INTERVAL", "EXPOSURE"):
            out[name] = np.full(count, self.interval)
        for name in ("STATE_ID", "PROCESSOR_ID"):
            out[name] = np.full(count, -1, np.int32)
        for name, value in more.items():
            if np.shape(value) != (vis.rows,):
                raise DataError(expected(f"append {name}", f"shape {np.shape(value)}", f"shape {(vis.rows,)}"))
            out[name] = rows.cube(np.asarray(value, np.complex128), 0j).astype(np.complex64)
        return out

    def _create(self) -> None:
        from casacore.tables import default_ms, makearrcoldesc, maketabdesc

        channels, hands = self.frequency.size, len(self.like.feeds)
        cube, row = [channels, hands], [hands]
        kinds: dict[str, tuple[Any, str, list[int], int]] = {
            **dict.fromkeys(("DATA", *self.columns), (0j, "complex", cube, 8)),
            "FLAG": (False, "boolean", cube, 1),
            "WEIGHT_SPECTRUM": (0.0, "float", cube, 4),
            "WEIGHT": (0.0, "float", row, 4),
            "SIGMA": (0.0, "float", row, 4),
        }
        described, managers = [], {}
        for k, (name, (value, kind, shape, size)) in enumerate(kinds.items()):
            options = {"valuetype": kind, "ndim": len(shape), "shape": shape}
            described.append(
                makearrcoldesc(name, value, datamanagertype="TiledColumnStMan", datamanagergroup=name, **options)
            )
            tile = [*shape[::-1], max(1, _TILE // (size * int(np.prod(shape))))]
            spec = {"DEFAULTTILESHAPE": np.array(tile, np.int32)}
            manager = {"TYPE": "TiledColumnStMan", "NAME": name, "COLUMNS": [name], "SPEC": spec}
            managers[f"*{k + 1}"] = manager
        self._main = default_ms(str(self._inside), maketabdesc(described), managers)
        for name in ("DATA", *self.columns):
            self._main.putcolkeyword(name, "UNIT", "Jy")
        width = np.full(self.frequency.size, self.width)
        for name, columns in subtables(self.like, self.frequency, width, self.dish_diameter).items():
            count = len(next(iter(columns.values())))
            with open_table(self._inside, name, write=True) as table:
                table.addrows(count)
                for column, value in columns.items():
                    for k in range(count):
                        table.putcell(column, k, value[k])

    @property
    def _inside(self) -> Path:
        return Path(self._folder) / self.path.name

    def _finish(self) -> None:
        if not self.rows:
            raise DataError(expected(str(self.path), "no rows", "at least one row to write"))
        with open_table(self._inside, "OBSERVATION", write=True) as table:
            table.putcell("TIME_RANGE", 0, np.array(self._times))
        put_in_place(self._inside, self.path, Path(self._folder) / "old")


def _check_place(path: Path, overwrite: bool) -> None:
    if not path.exists():
        return
    if not overwrite:
        raise ConfigError(expected(str(path), "a file or folder that is there", "a new name, or overwrite=True"))
    if not (path / "table.dat").is_file():
        raise ConfigError(expected(str(path), "something else than a table", "a MeasurementSet to overwrite"))


def write_measurement_set(
    path: str | Path,
    vis: Visibilities,
    *,
    model: ArrayLike | None = None,
    corrected: ArrayLike | None = None,
    dish_diameter: float = 25.0,
    overwrite: bool = False,
) -> None:
    """Write visibilities as a MeasurementSet, version 2.

    `read_measurement_set` returns the same numbers if data and weights are of single precision, and the same order if
    rows come as (row, channel, feed); samples that make a row complete come back flagged.

    Parameters
    ----------
    path : str or Path
        Where the set shall be.
    vis : Visibilities
        The samples.
    model, corrected : array_like, shape (row,), optional
        The columns ``MODEL_DATA`` and ``CORRECTED_DATA``.
    dish_diameter : float, optional
        Of every antenna [m].
    overwrite : bool, optional
        Whether a MeasurementSet that is there already gives way.

    Raises
    ------
    ConfigError, DataError
        As for `MeasurementSetWriter`.

    Examples
    --------
    >>> path = Path(tempfile.mkdtemp()) / "one.ms"
    >>> one = Visibilities(np.ones((1, 3)), [1e9], [0.0], [0], [1], [1 + 2j], [1.0], [False])
    >>> write_measurement_set(path, one, model=[1j])
    >>> path.is_dir()
    True
    """
    more = {"MODEL_DATA": model, "CORRECTED_DATA": corrected}
    columns = {name: value for name, value in more.items() if value is not None}
    with MeasurementSetWriter(
        path, vis, columns=tuple(columns), dish_diameter=dish_diameter, overwrite=overwrite
    ) as writer:
        writer.append(vis, **columns)


def add_column(path: Path, column: str) -> None:
    """Add a column of visibilities: a copy of ``DATA`` for ``CORRECTED_DATA``, else zero.

    Parameters
    ----------
    path : Path
        Of a MeasurementSet.
    column : str
        Name.

    Raises
    ------
    DataError
        If the set has no ``DATA`` or cannot be written.

    Examples
    --------
    >>> path = Path(tempfile.mkdtemp()) / "one.ms"
    >>> one = Visibilities(np.ones((1, 3)), [1e9], [0.0], [0], [1], [1 + 2j], [1.0], [False])
    >>> write_measurement_set(path, one)
    >>> add_column(path, "CORRECTED_DATA")
    >>> open_table(path).getcol("CORRECTED_DATA").tolist()
    [[[(1+2j)]]]
    """
    from casacore.tables import makecoldesc, maketabdesc

    with open_table(path, write=True) as main:
        if "DATA" not in main.colnames():
            raise DataError(expected(f"{path}: DATA", "no such column", f"one whose form {column} can have"))
        manager = {**main.getdminfo("DATA"), "NAME": column}
        main.addcols(maketabdesc([makecoldesc(column, main.getcoldesc("DATA"))]), manager)
        for kind in np.unique(main.getcol("DATA_DESC_ID")) if main.nrows() else ():
            rows = main.query(f"DATA_DESC_ID == {kind}")
            block = max(1, BLOCK // max(1, rows.getcell("DATA", 0).size))
            for first in range(0, rows.nrows(), block):
                data = rows.getcol("DATA", first, block)
                rows.putcol(column, data if column == "CORRECTED_DATA" else np.zeros_like(data), first, data.shape[0])
