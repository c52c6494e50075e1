"""Reading the file that a user gives with ``--data``: whatever is wrong with it becomes one clear error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from retrodict.physics.errors import DataError, expected

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["open_data"]


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
    try:
        with xr.open_dataset(path, engine="netcdf4") as dataset:
            return dataset.load()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise DataError(expected(str(path), f"a file that cannot be read ({error})", "a NetCDF file")) from error
