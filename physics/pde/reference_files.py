"""Reading published reference solutions ``u(x, t)``: npz, MATLAB 5, COMSOL text and NetCDF files.

Every file becomes one Dataset with ascending coordinates `x` and `t`, or one error that says where it is damaged. A
reader must never guess: a square array that may be transposed is refused until its layout is named.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.decoding import decoding
from retrodict.physics.errors import ConfigError, DataError, expected
from retrodict.physics.pde.reference_grids import Layout, as_reference, assemble

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["read_comsol", "read_mat", "read_netcdf", "read_npz", "read_reference"]

_AXES = {"x": ("x",), "t": ("t", "tt", "time")}
_LARGEST = 1 << 31
_COLUMN = re.compile(r"([^\s(@]+)\s*(?:\(([^)]*)\))?\s*@\s*t=(\S+)")
_COUNT = re.compile(r"%\s*(Dimension|Nodes|Expressions):\s*(\d+)\s*$")


def read_reference(path: Path, layout: Layout | None = None) -> xr.Dataset:
    """Read a reference solution; the first bytes of the file decide how.

    Parameters
    ----------
    path : Path
        An ``.npz`` or MATLAB 5 file with arrays `x`, `t` and fields, a COMSOL text export of one dimension, or NetCDF.
    layout : {"xt", "tx"}, optional
        Axes of the fields in npz and MATLAB files. Needed only where there are as many `x` as `t`.

    Returns
    -------
    xarray.Dataset
        Coordinates `x` and `t`, strictly ascending; fields with dims ``(x, t)`` and units, ``"1"`` unless told.

    Raises
    ------
    DataError
        If the file is missing, empty, damaged, of another format, or its content is not finite, not on a grid, or
        ambiguous.
    ConfigError
        If the layout is unknown.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "u.npz"
    >>> np.savez(path, x=[[0.0], [1.0], [2.0]], t=[[0.0], [0.5]], usol=[[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    >>> float(read_reference(path)["usol"].sel(x=2.0, t=0.5))
    5.0
    """
    if layout not in (None, "xt", "tx"):
        raise ConfigError(expected("layout", repr(layout), "'xt' or 'tx'"))
    start = _start(path)
    if start.startswith(b"PK"):
        return read_npz(path, layout)
    if start.startswith(b"MATLAB 5.0"):
        return read_mat(path, layout)
    if start.startswith((b"\x89HDF", b"CDF")):
        return read_netcdf(path)
    if start.lstrip().startswith(b"%"):
        return read_comsol(path)
    got = "an empty file" if not start else f"a file that starts with {start[:16]!r}"
    raise DataError(expected(str(path), got, "npz, MATLAB 5, COMSOL text or NetCDF"))


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(128)
    except OSError as error:
        raise DataError(expected(str(path), f"no readable file ({error.strerror})", "a reference solution")) from error


@contextmanager
def _decoding(path: Path, wanted: str) -> Iterator[None]:
    """Turn whatever a decoder raises or warns of into a DataError."""
    with decoding(path, wanted), warnings.catch_warnings(action="error"):
        yield


def read_npz(path: Path, layout: Layout | None = None) -> xr.Dataset:
    """Read a NumPy archive; see `read_reference`. Checksums are verified, and pickled objects are never loaded.

    Examples
    --------
    >>> read_npz(Path("none.npz"))
    Traceback (most recent call last):
    retrodict.physics.errors.DataError: none.npz: got no readable file (No such file or directory), expected a reference solution
    """  # noqa: E501 - a message has one line
    _start(path)
    with _decoding(path, "an npz archive"), zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > _LARGEST:
            raise DataError(expected(str(path), "more than 2 GiB of content", "a reference solution"))
        # reading a member to its end verifies its checksum before a byte of it is interpreted
        members = {member.filename: archive.read(member) for member in archive.infolist()}
        arrays = {
            name.removesuffix(".npy"): np.load(io.BytesIO(raw), allow_pickle=False) for name, raw in members.items()
        }
    return _from_arrays(path, arrays, layout)


def read_mat(path: Path, layout: Layout | None = None) -> xr.Dataset:
    """Read a MATLAB 5 file; see `read_reference`.

    Examples
    --------
    >>> read_mat(Path("none.mat"))
    Traceback (most recent call last):
    retrodict.physics.errors.DataError: none.mat: got no readable file (No such file or directory), expected a reference solution
    """  # noqa: E501 - a message has one line
    from scipy import io as matlab

    _start(path)
    with _decoding(path, "a MATLAB 5 file"):
        content = matlab.loadmat(str(path))
    return _from_arrays(path, {k: v for k, v in content.items() if not k.startswith("__")}, layout)


def read_netcdf(path: Path) -> xr.Dataset:
    """Read a NetCDF file whose variables have the dims `x` and `t`; see `read_reference`.

    The checksum over whole files that Retrodict appends is verified by `retrodict.solvers.result.load_dataset`;
    `retrodict.physics.pde.reference_grids.as_reference` takes what that returns.

    Examples
    --------
    >>> read_netcdf(Path("none.nc"))
    Traceback (most recent call last):
    retrodict.physics.errors.DataError: none.nc: got no readable file (No such file or directory), expected a reference solution
    """  # noqa: E501 - a message has one line
    import xarray as xr

    _start(path)
    with _decoding(path, "a NetCDF file"), xr.open_dataset(path, engine="netcdf4") as dataset:
        loaded = dataset.load()
    return as_reference(loaded, str(path))


def read_comsol(path: Path) -> xr.Dataset:
    """Read a COMSOL text export of fields of one space dimension at several times; see `read_reference`.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "u.txt"
    >>> text = "% Dimension: 1" + chr(10) + "% X  u (K) @ t=0  u (K) @ t=0.5" + chr(10) + "0 1 2" + chr(10) + "1 3 4"
    >>> count = path.write_text(text)
    >>> data = read_comsol(path)
    >>> data["u"].units, data["u"].values.tolist()
    ('K', [[1.0, 2.0], [3.0, 4.0]])
    """
    _start(path)
    with _decoding(path, "a COMSOL text export"):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    header = [line for line in lines if line.startswith("%")]
    columns = _COLUMN.findall(header[-1]) if header else []
    counts = {match[1]: int(match[2]) for match in map(_COUNT.match, header) if match}
    if not columns or counts.get("Dimension", 1) != 1:
        raise DataError(expected(str(path), header[-1:] or "no header", "columns 'u (1) @ t=...' of one dimension"))
    table = _table(path, lines, 1 + len(columns))
    if counts.get("Nodes", len(table)) != len(table) or counts.get("Expressions", len(columns)) != len(columns):
        got = f"{len(table)} rows of {len(columns)} expressions"
        raise DataError(expected(str(path), got, f"what its header says, {counts}"))
    times = {name: [_number(path, "header", t) for n, _, t in columns if n == name] for name, _, _ in columns}
    units = {name: unit or "1" for name, unit, _ in columns}
    first = next(iter(times.values()))
    if any(t != first for t in times.values()):
        raise DataError(expected(str(path), times, "the same times for every field"))
    fields = {
        name: table[:, [1 + i for i, column in enumerate(columns) if column[0] == name]] for name in times
    }  # fmt: skip
    return assemble(str(path), table[:, 0], np.asarray(first), fields, "xt", units)


def _table(path: Path, lines: list[str], width: int) -> NDArray[np.float64]:
    rows = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or line.startswith("%"):
            continue
        if len(words) != width:
            raise DataError(expected(f"{path}:{number}", f"{len(words)} columns", width))
        rows.append([_number(path, number, word) for word in words])
    if not rows:
        raise DataError(expected(str(path), "no rows", "numbers below the header"))
    return np.array(rows, dtype=np.float64)


def _number(path: Path, line: object, word: str) -> float:
    try:
        # Python's own literals may hold underscores and foreign digits
        if "_" in word or not word.isascii():
            raise ValueError(word)  # noqa: TRY301 - one way out
        return float(word)
    except ValueError as error:
        raise DataError(expected(f"{path}:{line}", repr(word), "a number")) from error


def _from_arrays(path: Path, arrays: Mapping[str, Any], layout: Layout | None) -> xr.Dataset:
    axes = {}
    for axis, names in _AXES.items():
        found = [name for name in names if name in arrays]
        if len(found) != 1:
            raise DataError(expected(str(path), f"arrays {sorted(arrays)}", f"one of {names} among them"))
        axes[axis] = found[0]
    rest = {name: np.asarray(value) for name, value in arrays.items() if name not in axes.values()}
    fields = {name: value for name, value in rest.items() if value.size != 1}
    x, t = (np.asarray(arrays[axes[axis]]) for axis in ("x", "t"))
    return assemble(str(path), x.ravel(), t.ravel(), fields, layout, {})
