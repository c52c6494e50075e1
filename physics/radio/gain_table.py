"""Gains as a Zarr store that says what their coefficients mean: ``K``, ``S``, ``P``, functions of time, receptors."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import ConfigError, DataError, expected
from retrodict.physics.radio.gains import Kernels, TimeBasis
from retrodict.physics.radio.placement import put_in_place

__all__ = ["GainTable", "read_gains", "write_gains"]

Complexes = NDArray[np.complex128]

_FORMAT = "retrodict-gains-1"
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
    basis = {name: getattr(kernels.basis, name) for name in _BASIS}
    data = xr.Dataset(
        {"re": (dims, values.real, unit), "im": (dims, values.imag, unit)},
        {"kx": order, "ky": order},
        {
            "format": _FORMAT,
            "padded": kernels.padded,
            "basis": json.dumps(basis),
            "times": list(kernels.basis.times),
            "receptors": list(receptors),  # text in arrays has no settled form in Zarr
        },
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
    try:
        checked = {"compressors": (ZstdCodec(), Crc32cCodec())}
        data.to_zarr(beside / "new", consolidated=False, zarr_format=3, encoding={"re": checked, "im": checked})
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
    try:
        with xr.open_zarr(path, consolidated=False) as data:
            basis = TimeBasis(**json.loads(data.attrs["basis"]), times=tuple(data.attrs["times"]))
            gains = data["re"].values + 1j * data["im"].values
            kernels = Kernels(gains.shape[2], int(data.attrs["padded"]), basis, gains.shape[0])
            return GainTable(kernels, kernels.check(gains), tuple(data.attrs["receptors"]))
    except (KeyError, TypeError, ValueError, OSError, RuntimeError) as error:
        raise DataError(expected(str(path), repr(error), "a whole gain table")) from error


def _is_table(path: Path) -> bool:
    about = path / "zarr.json"
    return about.is_file() and f'"{_FORMAT}"' in about.read_text(errors="replace")
