"""What a MeasurementSet holds: its fields, windows, correlations and antennas."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.decoding import decoding
from retrodict.physics.errors import DataError, expected

__all__ = ["BLOCK", "CORRELATIONS", "MSDescription", "describe", "open_table"]

Floats = NDArray[np.float64]

BLOCK = 1 << 20
"""Numbers of a column that are read at a time where a whole column is only looked through."""

CORRELATIONS = dict(
    zip(range(1, 13), ["I", "Q", "U", "V", "RR", "RL", "LR", "LL", "XX", "XY", "YX", "YY"], strict=True)
)
"""Names of the codes in the column ``CORR_TYPE``."""

_REQUIRED = ("UVW", "TIME", "ANTENNA1", "ANTENNA2", "DATA_DESC_ID", "FIELD_ID", "SCAN_NUMBER", "FLAG", "FLAG_ROW")


@dataclass(frozen=True)
class MSDescription:
    """What a MeasurementSet holds.

    Parameters
    ----------
    rows : int
        Of the main table: a row is a baseline and a time.
    columns : tuple of str
        Of the main table.
    antennas : tuple of str
        Names.
    positions : ndarray, shape (antenna, 3)
        Geocentric (ITRF) [m].
    fields : tuple of str
        Names.
    centres : tuple of (float, float)
        Right ascension and declination of the phase centre of each field [rad].
    windows : tuple of ndarray
        Frequencies of the channels of each spectral window [Hz].
    polarisations : tuple of tuple of str
        Names of the correlations of each setup.
    data_descriptions : tuple of (int, int)
        Window and polarisation setup that each ``DATA_DESC_ID`` stands for.
    described : dict of (int, int) to int
        Rows for each pair of ``FIELD_ID`` and ``DATA_DESC_ID`` that occurs.
    times : tuple of float
        First and last time [s], modified Julian date times 86400; zeros if there is no row.
    telescope : str
        Name, empty if not told.

    Examples
    --------
    >>> MSDescription(0, (), (), np.zeros((0, 3)), (), (), (), (), (), {}, (0.0, 0.0), "VLA").telescope
    'VLA'
    """

    rows: int
    columns: tuple[str, ...]
    antennas: tuple[str, ...]
    positions: Floats
    fields: tuple[str, ...]
    centres: tuple[tuple[float, float], ...]
    windows: tuple[Floats, ...]
    polarisations: tuple[tuple[str, ...], ...]
    data_descriptions: tuple[tuple[int, int], ...]
    described: dict[tuple[int, int], int]
    times: tuple[float, float]
    telescope: str


def open_table(path: Path, name: str = "", *, write: bool = False) -> Any:
    """Open the main table of a MeasurementSet, or a table in it.

    Parameters
    ----------
    path : Path
        Of the set.
    name : str, optional
        Of a table in it, ``"ANTENNA"``.
    write : bool, optional
        Whether to open it for writing.

    Returns
    -------
    casacore.tables.table
        The table.

    Raises
    ------
    DataError
        If there is no such table, it cannot be opened, or the main table is not that of a MeasurementSet.

    Examples
    --------
    >>> open_table(Path("no.ms"))
    Traceback (most recent call last):
        ...
    retrodict.physics.errors.DataError: no.ms: got nothing there, expected a MeasurementSet (a folder)
    """
    from casacore.tables import table

    if not path.exists():
        raise DataError(expected(str(path), "nothing there", "a MeasurementSet (a folder)"))
    if not (path / "table.dat").is_file():
        raise DataError(expected(str(path), "no table in it", "a MeasurementSet (a folder with a table.dat)"))
    where = f"{path}::{name}" if name else str(path)
    try:
        opened = table(where, ack=False, readonly=not write)
    except RuntimeError as error:
        raise DataError(expected(where, str(error), "a casacore table that can be opened")) from error
    if not name and "MS_VERSION" not in opened.keywordnames():
        raise DataError(expected(where, "a table without MS_VERSION", "the main table of a MeasurementSet"))
    missing = [] if name else [column for column in _REQUIRED if column not in opened.colnames()]
    if missing:
        raise DataError(expected(where, f"no column {', '.join(missing)}", f"the columns {', '.join(_REQUIRED)}"))
    return opened


def describe(path: str | Path) -> MSDescription:
    """Return what a MeasurementSet holds, without reading its visibilities.

    Parameters
    ----------
    path : str or Path
        Of the set.

    Returns
    -------
    MSDescription
        Its fields, windows, correlations, antennas, times and columns.

    Raises
    ------
    DataError
        If it is not a MeasurementSet or a table in it cannot be read.

    Examples
    --------
    >>> describe("no.ms")
    Traceback (most recent call last):
        ...
    retrodict.physics.errors.DataError: no.ms: got nothing there, expected a MeasurementSet (a folder)
    """
    path = Path(path)
    with decoding(path, "a MeasurementSet"):
        return _described(path)


def _described(path: Path) -> MSDescription:
    with open_table(path) as main:
        described, times = _rows_by_kind(main)
        count, columns = int(main.nrows()), tuple(main.colnames())
    with open_table(path, "ANTENNA") as antennas:
        names, positions = tuple(antennas.getcol("NAME")), np.asarray(antennas.getcol("POSITION"), np.float64)
    with open_table(path, "FIELD") as fields:
        titles = tuple(fields.getcol("NAME"))
        centres = [np.asarray(fields.getcell("PHASE_DIR", k)).reshape(-1, 2)[0] for k in range(fields.nrows())]
    with open_table(path, "SPECTRAL_WINDOW") as spectral:
        windows = [np.asarray(spectral.getcell("CHAN_FREQ", k), np.float64) for k in range(spectral.nrows())]
    with open_table(path, "POLARIZATION") as setups:
        codes = [setups.getcell("CORR_TYPE", k) for k in range(setups.nrows())]
    with open_table(path, "DATA_DESCRIPTION") as table:
        pairs = [table.getcol(name).tolist() for name in ("SPECTRAL_WINDOW_ID", "POLARIZATION_ID")]
    with open_table(path, "OBSERVATION") as table:
        telescope = str(table.getcell("TELESCOPE_NAME", 0)) if table.nrows() else ""
    return MSDescription(
        rows=count,
        columns=columns,
        antennas=names,
        positions=positions.reshape(-1, 3),
        fields=titles,
        centres=tuple((float(c[0]), float(c[1])) for c in centres),
        windows=tuple(windows),
        polarisations=tuple(tuple(CORRELATIONS.get(int(c), f"code {c}") for c in setup) for setup in codes),
        data_descriptions=tuple(zip(*pairs, strict=True)),
        described=described,
        times=times,
        telescope=telescope,
    )


def _rows_by_kind(main: Any) -> tuple[dict[tuple[int, int], int], tuple[float, float]]:
    counts: dict[tuple[int, int], int] = {}
    first, last = np.inf, -np.inf
    for start in range(0, main.nrows(), BLOCK):
        kinds = np.stack([main.getcol(name, start, BLOCK) for name in ("FIELD_ID", "DATA_DESC_ID")], axis=1)
        for (field, kind), rows in zip(*np.unique(kinds, axis=0, return_counts=True), strict=True):
            key = (int(field), int(kind))
            counts[key] = counts.get(key, 0) + int(rows)
        time = main.getcol("TIME", start, BLOCK)
        first, last = min(first, float(time.min())), max(last, float(time.max()))
    return counts, (first, last) if counts else (0.0, 0.0)
