"""Gains as a Zarr store that says what their coefficients mean: ``K``, ``S``, ``P``, functions of time, receptors."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.decoding import decoding
from retrodict.physics.errors import ConfigError, DataError, expected
from retrodict.physics.radio.gains import Kernels, TimeBasis
from retrodict.physics.radio.placement import put_in_place

__all__ = ["GainTable", "read_gains", "write_gains"]

Complexes = NDArray[np.complex128]

_FORMAT = "retrodict-gains-2"
_BASIS = ("kind", "start", "stop", "terms", "margin")


@dataclass(frozen=True, eq=False)
class GainTable:
    """Gains and what is needed to evaluate them.

    Parameters
    ----------
    kernels : Kernels
        Shape, padded size, functions of time.
    gains : ndarray of complex, shape (receptor, term, S, S)
        Coefficients.
    receptors : tuple of str
        Names.

    Examples
    --------
    See `write_gains`.
    """

    kernels: Kernels
    gains: Complexes
    receptors: tuple[str, ...]


def write_gains(
    path: str | Path, kernels: Kernels, gains: Complexes, receptors: Sequence[str], *, overwrite: bool = False
) -> None:
    """Write gains as a Zarr store; it is filled under a temporary name beside its place and renamed when it is whole.

    The attribute ``sha256`` covers all that `read_gains` returns, the other attributes too.

    Parameters
    ----------
    path : str or Path
        Where the store shall be.
    kernels : Kernels
        What the coefficients mean.
    gains : ndarray of complex, shape (receptor, term, S, S)
        Coefficients.
    receptors : sequence of str
        Name of each receptor.
    overwrite : bool, optional
        Whether a gain table that is there already gives way.

    Raises
    ------
    ConfigError
        If something else is there, or a table that must not be overwritten.
    DataError
        If gains or names do not fit the kernels.

    Examples
    --------
    >>> kernels = Kernels(3, 16, TimeBasis("dct", 0.0, 9.0, 2), 2)
    >>> path = Path(tempfile.mkdtemp()) / "gains.zarr"
    >>> write_gains(path, kernels, kernels.unit(), ["a", "b"])
    >>> read_gains(path).kernels == kernels
    True
    """
    import xarray as xr
    from zarr.codecs import Crc32cCodec, ZstdCodec

    path = Path(path)
    values = kernels.check(gains)
    if len(receptors) != kernels.receptors:
        raise DataError(expected("receptors", f"{len(receptors)} names", f"one for each of {kernels.receptors}"))
    if path.exists() and not (overwrite and _is_table(path)):
        wanted = "a new name" if not _is_table(path) else "a new name, or overwrite=True"
        raise ConfigError(expected(str(path), "something that is there", wanted))
    dims, unit = ("receptor", "term", "kx", "ky"), {"units": "1"}
    order = np.arange(kernels.size) - kernels.half
    attributes = {
        "format": _FORMAT,
        "padded": kernels.padded,
        "basis": json.dumps({name: getattr(kernels.basis, name) for name in _BASIS}),
        "times": list(kernels.basis.times),
        "receptors": list(receptors),  # text in arrays has no settled form in Zarr
    }
    data = xr.Dataset(
        {"re": (dims, values.real, unit), "im": (dims, values.imag, unit)},
        {"kx": order, "ky": order},
        attributes | {"sha256": _digest(attributes, values)},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
    try:
        checked = {"compressors": (ZstdCodec(), Crc32cCodec())}
        data.to_zarr(beside / "new", consolidated=False, zarr_format=3, encoding=dict.fromkeys(data.variables, checked))
        put_in_place(beside / "new", path, beside / "old")
    finally:
        shutil.rmtree(beside)


def read_gains(path: str | Path) -> GainTable:
    """Read gains.

    Parameters
    ----------
    path : str or Path
        Of `write_gains`.

    Raises
    ------
    DataError
        If it is no such store, or is damaged; the path is named.
    """
    import xarray as xr

    path = Path(path)
    if not _is_table(path):
        raise DataError(expected(str(path), "no gain table", f"a Zarr store of the format {_FORMAT}"))
    with decoding(path, "a whole gain table"), xr.open_zarr(path, consolidated=False) as data:
        about = dict(data.attrs)
        gains = np.asarray(data["re"].values + 1j * data["im"].values)
        if about.pop("sha256") != _digest(about, gains):
            raise DataError(expected(str(path), "content that does not match its checksum", "the table as written"))
        basis = TimeBasis(**json.loads(about["basis"]), times=tuple(about["times"]))
        kernels = Kernels(gains.shape[2], int(about["padded"]), basis, gains.shape[0])
        return GainTable(kernels, kernels.check(gains), tuple(about["receptors"]))


def _digest(attributes: Mapping[str, object], gains: Complexes) -> str:
    told = json.dumps([attributes, gains.shape], sort_keys=True)
    return hashlib.sha256(told.encode() + np.ascontiguousarray(gains).astype("<c16").tobytes()).hexdigest()


def _is_table(path: Path) -> bool:
    about = path / "zarr.json"
    return about.is_file() and f'"{_FORMAT}"' in about.read_text(errors="replace")
