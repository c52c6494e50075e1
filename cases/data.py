"""Reading the file that a user gives with ``--data``: whatever is wrong with it becomes one clear error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from retrodict.physics.decoding import decoding
from retrodict.physics.errors import DataError, expected

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["REFERENCE_DATA", "bundled", "open_data"]

REFERENCE_DATA = Path(__file__).parent / "reference_data"
"""Small files with an open licence; origin and licence stand in their ``SOURCES.md``."""


def open_data(path: Path) -> xr.Dataset:
    """Read a NetCDF file into memory.

    Parameters
    ----------
    path : Path
        Any NetCDF file; one that `retrodict.solvers.result.save_dataset` wrote is verified by its checksum.

    Returns
    -------
    xarray.Dataset
        Its content.

    Raises
    ------
    DataError
        If the file is missing, empty, damaged or not NetCDF.

    Examples
    --------
    >>> open_data(Path("none.nc"))
    Traceback (most recent call last):
    retrodict.physics.errors.DataError: none.nc: got no file, expected a NetCDF file
    """
    import xarray as xr

    from retrodict.solvers.result import is_sealed, load_dataset

    if not path.is_file():
        raise DataError(expected(str(path), "no file", "a NetCDF file"))
    if is_sealed(path):
        return load_dataset(path)
    with decoding(path, "a NetCDF file"), xr.open_dataset(path, engine="netcdf4") as dataset:
        return dataset.load()


def bundled(name: str) -> Path:
    """Return the path of a bundled file, after verifying its SHA-256.

    Parameters
    ----------
    name : str
        Relative to `REFERENCE_DATA`, with forward slashes.

    Raises
    ------
    DataError
        If the file is not in the manifest, missing, or changed.

    Examples
    --------
    >>> bundled("motion/USA_US101-3_3_T-1.xml").suffix
    '.xml'
    """
    from retrodict.solvers.files import read_json, sha256

    manifest = read_json(REFERENCE_DATA / "manifest.json")
    if name not in manifest:
        raise DataError(expected("bundled data", repr(name), f"one of {sorted(manifest)}"))
    path = REFERENCE_DATA / name
    if not path.is_file() or sha256(path) != manifest[name]:
        raise DataError(expected(str(path), "a missing or changed file", "the file of the manifest"))
    return path
