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
from retrodict.physics.radio.measurement_set_tables import BLOCK, CORRELATIONS, open_table
from retrodict.physics.radio.visibilities import Visibilities

__all__ = ["MeasurementSetWriter", "add_column", "write_measurement_set"]

Floats = NDArray[np.float64]

_CODES = {name: code for code, name in CORRELATIONS.items()}
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
        self.rows, self._times, self._folder, self._main = 0, (np.inf, -np.inf), "", None

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
            "FLAG_ROW": flag.all(axis=(1, 2)),
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
            **{name: (0j, "complex", cube, 8) for name in ("DATA", *self.columns)},
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
        for name, columns in self._tables().items():
            count = len(next(iter(columns.values())))
            with open_table(self._inside, name, write=True) as table:
                table.addrows(count)
                for column, value in columns.items():
                    for k in range(count):
                        table.putcell(column, k, value[k])

    @property
    def _inside(self) -> Path:
        return Path(self._folder) / self.path.name

    def _tables(self) -> dict[str, dict[str, Sequence[Any] | NDArray[Any]]]:
        """Return the small tables, each column with one entry for each row."""
        like, count, channels = self.like, len(self.like.antennas), self.frequency.size
        width = np.full(channels, self.width)
        hands = sorted({hand for name in like.feeds for hand in name} - {"I"}, key="XYRL".index)
        letters = {"I": ["X", "Y"], "X": ["X", "Y"], "Y": ["X", "Y"], "R": ["R", "L"], "L": ["R", "L"]}
        position = like.positions if len(like.positions) else np.zeros((count, 3))
        direction = np.reshape(like.centre, (1, 1, 2))
        product = [[k, k] for k in range(len(like.feeds))]
        return {
            "ANTENNA": {
                "NAME": like.antennas,
                "STATION": like.antennas,
                "POSITION": position,
                "OFFSET": np.zeros((count, 3)),
                "TYPE": ["GROUND-BASED"] * count,
                "MOUNT": ["ALT-AZ"] * count,
                "DISH_DIAMETER": [self.dish_diameter] * count,
            },
            "FEED": {
                "ANTENNA_ID": range(count),
                "NUM_RECEPTORS": [2] * count,
                "POLARIZATION_TYPE": [letters[hands[0] if hands else "I"]] * count,
                "POL_RESPONSE": [np.eye(2, dtype=np.complex64)] * count,
                "BEAM_OFFSET": np.zeros((count, 2, 2)),
                "RECEPTOR_ANGLE": np.zeros((count, 2)),
                "POSITION": np.zeros((count, 3)),
                "BEAM_ID": [-1] * count,
                "SPECTRAL_WINDOW_ID": [-1] * count,
            },
            "FIELD": {"NAME": ["target"], "DELAY_DIR": direction, "PHASE_DIR": direction, "REFERENCE_DIR": direction},
            "POLARIZATION": {
                "NUM_CORR": [len(like.feeds)],
                "CORR_TYPE": [np.array([_CODES[name] for name in like.feeds], np.int32)],
                "CORR_PRODUCT": [np.array(product, np.int32)],
            },
            "DATA_DESCRIPTION": {"SPECTRAL_WINDOW_ID": [0], "POLARIZATION_ID": [0]},
            "OBSERVATION": {"TELESCOPE_NAME": [like.telescope], "TIME_RANGE": np.zeros((1, 2))},
            "SPECTRAL_WINDOW": {
                "NAME": ["window"],
                "NUM_CHAN": [channels],
                "CHAN_FREQ": [self.frequency],
                **{name: [width] for name in ("CHAN_WIDTH", "EFFECTIVE_BW", "RESOLUTION")},
                "REF_FREQUENCY": [self.frequency[channels // 2]],
                "TOTAL_BANDWIDTH": [width.sum()],
                "MEAS_FREQ_REF": [5],
                "NET_SIDEBAND": [1],
            },
        }
