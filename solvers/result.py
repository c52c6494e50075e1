"""What a solve returns, and how it is kept: NetCDF with checksums, units and provenance."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrodict.physics.errors import DataError, expected
from retrodict.solvers.base import Status
from retrodict.solvers.files import write_atomic

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Result", "is_sealed", "load_dataset", "save_dataset"]

_TRAILER = b"RETRODICT-SHA256"


@dataclass(frozen=True)
class Result:
    """The outcome of a solve.

    Parameters
    ----------
    data : xarray.Dataset
        The solution.
    history : xarray.Dataset
        Metrics over dimension ``step``.
    status : Status
        How it ended.
    steps : int
        Steps done.
    best : Mapping of str to float
        Last metrics, those that belong to ``data``.
    timing : Mapping of str to float
        Wall-clock seconds; never part of ``history``, which is bit-equal after a resume.
    """

    data: xr.Dataset
    history: xr.Dataset
    status: Status
    steps: int
    best: Mapping[str, float] = field(default_factory=dict)
    timing: Mapping[str, float] = field(default_factory=dict)

    def save(self, folder: Path, provenance: Mapping[str, Any] | None = None) -> None:
        """Write ``result.nc`` and ``history.nc`` into a folder.

        Parameters
        ----------
        folder : Path
            Where.
        provenance : Mapping, optional
            JSON-serialisable; stored in the file as one attribute.
        """
        meta = {"status": self.status.value, "steps": self.steps, "best": dict(self.best), "timing": dict(self.timing)}
        stamped = {"retrodict_result": json.dumps(meta), "provenance": json.dumps(dict(provenance or {}))}
        save_dataset(self.data.assign_attrs(self.data.attrs | stamped), folder / "result.nc")
        save_dataset(self.history, folder / "history.nc")

    @classmethod
    def load(cls, folder: Path) -> Result:
        """Read a result back.

        Raises
        ------
        DataError
            If a file is missing or damaged.
        """
        data = load_dataset(folder / "result.nc")
        try:
            meta = json.loads(data.attrs["retrodict_result"])
            status = Status(meta["status"])
        except (KeyError, ValueError) as error:
            where = str(folder / "result.nc")
            raise DataError(expected(where, f"no readable status ({error})", "a Retrodict result")) from error
        history = load_dataset(folder / "history.nc")
        return cls(data, history, status, meta["steps"], meta["best"], meta["timing"])


def save_dataset(dataset: xr.Dataset, path: Path) -> None:
    """Write a Dataset as NetCDF-4, atomically, compressed, every byte under a checksum.

    Chunks carry a Fletcher-32 checksum that every HDF5 reader verifies. It does not cover attributes, names and
    scalars, so a SHA-256 of the whole file follows the end of the HDF5 data, where other readers do not look and
    `load_dataset` does.

    Parameters
    ----------
    dataset : xarray.Dataset
        Attributes of type bool, None and dict, which NetCDF cannot hold, are written as JSON.
    path : Path
        Where.

    Examples
    --------
    >>> import tempfile, xarray as xr
    >>> path = Path(tempfile.mkdtemp()) / "a.nc"
    >>> save_dataset(xr.Dataset({"a": ("i", [1.0, 2.0], {"units": "m"})}), path)
    >>> load_dataset(path)["a"].values
    array([1., 2.])
    """
    plain = dataset.copy()
    plain.attrs = {k: _attribute(v) for k, v in dataset.attrs.items()}
    for name in plain.variables:
        plain[name].attrs = {k: _attribute(v) for k, v in plain[name].attrs.items()}
    encoding = {
        name: {"zlib": True, "complevel": 4, "fletcher32": True}
        for name, var in plain.variables.items()
        if var.dtype.kind in "iufb" and var.size and var.ndim
    }

    raw = _netcdf(plain, encoding)
    write_atomic(path, lambda p: p.write_bytes(raw + _TRAILER + hashlib.sha256(raw).digest()))


def _netcdf(dataset: xr.Dataset, encoding: Mapping[Any, Any]) -> bytes:
    """Return a dataset as the bytes of a NetCDF-4 file: HDF5 would hide why a disk does not take it."""
    import netCDF4
    from xarray.backends import NetCDF4DataStore

    content = netCDF4.Dataset("memory.nc", "w", format="NETCDF4", memory=max(4096, 2 * dataset.nbytes))
    store: Any = NetCDF4DataStore(content)  # type: ignore[no-untyped-call]
    dataset.dump_to_store(store, encoding=encoding)
    raw = bytes(content.close())
    # The image in memory is longer than the file in it: cut at the end that HDF5 has noted, a truncation is noticed.
    at = 28 if raw[8] >= 2 else 40
    return raw[: int.from_bytes(raw[at : at + 8], "little")]


def is_sealed(path: Path) -> bool:
    """Return whether a file ends in the checksum that `save_dataset` writes; other programs' files do not.

    Examples
    --------
    >>> is_sealed(Path("none.nc"))
    False
    """
    if not path.is_file() or path.stat().st_size < 32 + len(_TRAILER):
        return False
    with path.open("rb") as stream:
        stream.seek(-32 - len(_TRAILER), 2)
        return stream.read(len(_TRAILER)) == _TRAILER


def load_dataset(path: Path) -> xr.Dataset:
    """Read a NetCDF file that `save_dataset` wrote into memory, verifying its checksum.

    Raises
    ------
    DataError
        If the file is missing, damaged, or was not written (or was changed) by another program.

    Examples
    --------
    >>> load_dataset(Path("none.nc"))
    Traceback (most recent call last):
    retrodict.physics.errors.DataError: none.nc: got no file, expected a NetCDF file
    """
    import xarray as xr

    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(expected(str(path), "no file", "a NetCDF file")) from error
    body, digest = raw[: -32 - len(_TRAILER)], raw[-32:]
    if raw[len(body) : -32] != _TRAILER or hashlib.sha256(body).digest() != digest:
        raise DataError(expected(str(path), "bytes that do not match their checksum", "an undamaged Retrodict file"))
    with xr.open_dataset(path, engine="netcdf4") as dataset:
        return dataset.load()


def _attribute(value: Any) -> Any:
    """Return an attribute as NetCDF can hold it: bool, None, dict and mixed lists become JSON."""
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return value
    return value if hasattr(value, "dtype") else json.dumps(value)
