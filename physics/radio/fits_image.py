"""Images as FITS files, with the sky coordinates that other programs of radio astronomy expect."""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrodict.physics.decoding import decoding
from retrodict.physics.errors import ConfigError, DataError, expected
from retrodict.physics.radio.fits_sums import add_sum, check_sum
from retrodict.physics.radio.visibilities import Grid

__all__ = ["read_image", "read_pixels", "write_image"]

Floats = NDArray[np.float64]

_TEXT = ("", "COMMENT", "HISTORY")  # cards of a header that have no value
_ALIKE = 1e-6  # relative: pixels that are square, axes that are not turned


def write_image(
    path: str | Path,
    image: ArrayLike,
    grid: Grid,
    *,
    unit: str = "Jy/pixel",
    frequency: float | None = None,
    object_name: str = "",
    overwrite: bool = False,
) -> None:
    """Write an image as FITS in double precision, with a SIN projection whose reference is the phase centre.

    The first axis of a FITS file is the fastest, so that its data are the transposed image. The keywords CHECKSUM and
    DATASUM cover every byte of the file, which is written under a temporary name and renamed.

    Parameters
    ----------
    path : str or Path
        Where the file shall be.
    image : array_like, shape (size, size)
        Brightness ``[x, y]``.
    grid : Grid
        Its pixels.
    unit : str, optional
        Of the brightness.
    frequency : float, optional
        Observing frequency [Hz]; adds axes of length one for frequency and Stokes I.
    object_name : str, optional
        What is seen.
    overwrite : bool, optional
        Whether a file that is there already gives way.

    Raises
    ------
    ConfigError
        If the file is there and must not be overwritten, or the frequency is not positive.
    DataError
        If the shape is not that of the grid, or there are values that are not finite.

    Examples
    --------
    >>> path = Path(tempfile.mkdtemp()) / "sky.fits"
    >>> write_image(path, np.eye(4), Grid(4, 1e-5, (0.5, -0.3)))
    >>> read_image(path)[0].trace()
    np.float64(4.0)
    """
    from astropy.io import fits

    path, value = Path(path), np.asarray(image, np.float64)
    if value.shape != grid.shape:
        raise DataError(expected("image", f"shape {value.shape}", f"shape {grid.shape}"))
    _check_finite("image", value)
    if frequency is not None and not (np.isfinite(frequency) and frequency > 0):
        raise ConfigError(expected("frequency", frequency, "a positive number of hertz"))
    if path.exists() and not overwrite:
        raise ConfigError(expected(str(path), "a file that is there", "a new name, or overwrite=True"))
    data = value.T if frequency is None else value.T[None, None]
    hdu = fits.PrimaryHDU(np.ascontiguousarray(data))
    hdu.header.update(_header(grid, unit, frequency, object_name))
    add_sum(hdu)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            hdu.writeto(stream)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def read_image(path: str | Path, *, cell: float | None = None, per_pixel: bool = False) -> tuple[Floats, Grid]:
    """Read an image of a FITS file and its grid; nothing is regridded.

    The centre of the grid is the position of the pixel ``size // 2``. Where the reference of the file is another pixel,
    this is a shift of the tangent point, right to second order in the shift.

    Parameters
    ----------
    path : str or Path
        Of the file; axes of length one are left out, the first part of the file with two other axes is taken.
    cell : float, optional
        Side of a pixel [rad], for files without coordinates; the centre is then zero.
    per_pixel : bool, optional
        Refuse an image that says of itself that it is per beam.

    Returns
    -------
    image : ndarray, shape (size, size)
        Brightness ``[x, y]``.
    grid : Grid
        Its pixels.

    Raises
    ------
    DataError
        If there is no image, or its checksum is wrong, or missing in a file of ours; if it is not square, has an odd or
        too small size or values that are not finite; if there are no coordinates and no ``cell``; if the axes are not
        right ascension falling and declination rising along square pixels in a SIN or TAN projection; if it is per
        beam where it must not be.
    ConfigError
        If a ``cell`` is given for a file with coordinates, or is not positive.

    Examples
    --------
    >>> path = Path(tempfile.mkdtemp()) / "sky.fits"
    >>> write_image(path, np.eye(4), Grid(4, 1e-5, (0.5, -0.3)))
    >>> grid = read_image(path)[1]
    >>> round(grid.cell / 1e-5, 12), round(grid.centre[0], 12), round(grid.centre[1], 12)
    (1.0, 0.5, -0.3)
    """
    path = Path(path)
    image, header = _square_image(path)
    if per_pixel and "beam" in (unit := str(header.get("BUNIT", ""))).lower():
        raise DataError(expected(f"{path}: BUNIT", unit, "flux of a pixel, Jy/pixel: an image per beam is brighter"))
    if cell is not None and not (np.isfinite(cell) and cell > 0):
        raise ConfigError(expected("cell", cell, "a positive angle in radians"))
    if not header.get("CTYPE1", ""):
        if cell is None:
            raise DataError(expected(str(path), "no coordinates (CTYPE1)", "sky coordinates, or the argument cell"))
        return image, Grid(len(image), cell)
    if cell is not None:
        raise ConfigError(expected("cell", cell, f"no cell: {path} has coordinates of its own"))
    return image, _grid(path, header, len(image))


def read_pixels(path: str | Path, size: int) -> Floats:
    """Read the pixels of a FITS image, whatever its coordinates, and add them up to fewer and larger ones.

    Parameters
    ----------
    path : str or Path
        Of the file, as `read_image` takes it.
    size : int
        Pixels along a side of what is returned.

    Returns
    -------
    ndarray, shape (size, size)
        Brightness ``[x, y]``.

    Raises
    ------
    DataError
        If there is no square image of finite values, or its side is no multiple of the size.

    Examples
    --------
    >>> path = Path(tempfile.mkdtemp()) / "sky.fits"
    >>> write_image(path, np.ones((8, 8)), Grid(8, 1e-5))
    >>> read_pixels(path, 4)[0, 0]
    np.float64(4.0)
    """
    image, _ = _square_image(Path(path))
    step, rest = divmod(len(image), size)
    if rest:
        raise DataError(expected(str(path), f"{len(image)} pixels along a side", f"a multiple of {size}"))
    return np.asarray(image.reshape(size, step, size, step).sum(axis=(1, 3)))


def _header(grid: Grid, unit: str, frequency: float | None, object_name: str) -> dict[str, Any]:
    ra, dec = np.rad2deg(grid.centre)
    cell, reference = float(np.rad2deg(grid.cell)), grid.size // 2 + 1.0
    axes: list[tuple[str, float, float, float, str]] = [
        ("RA---SIN", float(ra % 360), -cell, reference, "deg"),
        ("DEC--SIN", float(dec), cell, reference, "deg"),
    ]
    if frequency is not None:
        axes += [("FREQ", float(frequency), 1.0, 1.0, "Hz"), ("STOKES", 1.0, 1.0, 1.0, "")]
    found: dict[str, Any] = {"BUNIT": unit, "OBJECT": object_name, "RADESYS": "FK5", "EQUINOX": 2000.0}
    for k, (kind, value, step, pixel, units) in enumerate(axes, 1):
        found |= {f"CTYPE{k}": kind, f"CRVAL{k}": value, f"CDELT{k}": step, f"CRPIX{k}": pixel, f"CUNIT{k}": units}
    return found


def _square_image(path: Path) -> tuple[Floats, Any]:
    """Return the image ``[x, y]`` of a file, and its header."""
    data, header = _first_image(path)
    size = data.shape[0]
    if data.shape != (size, size) or size % 2 or size < 4:
        got = f"{data.shape[1]} by {data.shape[0]} pixels"
        raise DataError(expected(str(path), got, "a square image with an even number of pixels, at least 4"))
    _check_finite(str(path), data)
    return np.ascontiguousarray(data.T), header


def _first_image(path: Path) -> tuple[Floats, Any]:
    """Return the data ``[dec, ra]`` of the first image in a file, and its header."""
    from astropy.io import fits
    from astropy.utils.exceptions import AstropyUserWarning

    if not path.is_file():
        raise DataError(expected(str(path), "nothing there", "a FITS file"))
    # cards that the standard forbids do not hurt the pixels, and are not passed on
    with (
        decoding(path, "a FITS file"),
        warnings.catch_warnings(action="ignore", category=AstropyUserWarning),
        path.open("rb") as stream,
        fits.open(stream, memmap=False) as parts,
    ):
        for part in parts:
            if part.is_image and part.data is not None and np.squeeze(part.data).ndim == 2:
                check_sum(part, path)
                part.verify("silentfix+ignore")
                cards = [(c.keyword, c.value) for c in part.header.cards if c.keyword not in _TEXT]
                return np.squeeze(part.data).astype(np.float64), fits.Header(cards)
        shapes = [np.shape(part.data) for part in parts]
    raise DataError(expected(str(path), f"parts of shapes {shapes}", "one with two axes longer than one"))


def _grid(path: Path, header: Any, size: int) -> Grid:
    from astropy.wcs import WCS

    with decoding(path, "coordinates that astropy reads"):
        whole = WCS(header, fix=False)
        sky = whole.celestial
        if sky.wcs.lng != 0 or sky.wcs.lat != 1 or sky.wcs.lngtyp != "RA":
            raise DataError(expected(str(path), ", ".join(whole.wcs.ctype), "right ascension, then declination"))
        matrix = sky.pixel_scale_matrix
        ra, dec = sky.all_pix2world(size // 2, size // 2, 0)
    if sky.wcs.ctype[0][-3:] not in ("SIN", "TAN"):
        raise DataError(expected(f"{path}: CTYPE1", sky.wcs.ctype[0], "RA---SIN or RA---TAN"))
    scale = matrix[1, 1]
    if not (scale > 0 and np.abs(matrix - scale * np.diag([-1.0, 1.0])).max() < _ALIKE * scale):
        got = f"degrees per pixel {np.array2string(matrix, separator=', ').replace(chr(10), '')}"
        raise DataError(expected(f"{path} pixels", got, "square ones, the first axis to the west, the second north"))
    return Grid(size, float(np.deg2rad(scale)), (float(np.deg2rad(ra)), float(np.deg2rad(dec))))


def _check_finite(where: str, value: Floats) -> None:
    bad = ~np.isfinite(value)
    if bad.any():
        raise DataError(expected(where, f"{int(bad.sum())} values that are not finite", "finite values"))
