"""Checksums of FITS files: written into every part, verified where they are, required in files of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from retrodict.physics.errors import DataError, expected

__all__ = ["add_sum", "check_sum", "check_sums"]

_ORIGIN = "Retrodict"


def add_sum(part: Any) -> None:
    """Give a part the keywords CHECKSUM and DATASUM, and ORIGIN, which says that they must be there.

    Parameters
    ----------
    part : astropy HDU
        Its header is changed, and must not be changed afterwards.

    Examples
    --------
    >>> from astropy.io import fits
    >>> part = fits.PrimaryHDU(np.zeros((2, 2)))
    >>> add_sum(part)
    >>> part.header["DATASUM"]
    '0'
    """
    part.header["ORIGIN"] = _ORIGIN
    part.add_checksum(when="of the whole part")  # without the time, which astropy would add


def check_sums(parts: Any, path: Path) -> None:
    """Verify the checksums of all parts of a file, and that a file of ours has no bytes which are no part.

    Parameters
    ----------
    parts : astropy HDUList
        The parts. Astropy passes over what it does not take for one.
    path : Path
        The file, for errors.

    Raises
    ------
    DataError
        As `check_sum`; also if bytes are left behind the last part.
    """
    for part in parts:
        check_sum(part, path)
    about = parts[-1].fileinfo()
    about["file"].seek(about["datLoc"] + about["datSpan"])
    if parts[0].header.get("ORIGIN") == _ORIGIN and about["file"].read(1):
        raise DataError(expected(str(path), "bytes behind its last part", "the file as it was written"))


def check_sum(part: Any, path: Path) -> None:
    """Verify the checksum of a part that was opened from a file.

    Parameters
    ----------
    part : astropy HDU
        The part. By the standard, its bytes as 32-bit words add up to -0 in ones' complement.
    path : Path
        The file, for errors.

    Raises
    ------
    DataError
        If the checksum is not that of the content, or is missing in a file of ours.

    Examples
    --------
    >>> import tempfile
    >>> from astropy.io import fits
    >>> path = Path(tempfile.mkdtemp()) / "a.fits"
    >>> fits.PrimaryHDU(np.zeros((2, 2))).writeto(path, checksum=True)
    >>> with fits.open(path) as parts:
    ...     check_sum(parts[0], path)
    """
    from astropy.io import fits

    if isinstance(part, fits.CompImageHDU):
        return  # the checksum of what it unpacks to was made before it was packed
    if not str(part.header.get("CHECKSUM", "")).strip():
        if part.header.get("ORIGIN") == _ORIGIN:
            raise DataError(expected(f"{path}: CHECKSUM", "nothing", f"the checksum that {_ORIGIN} writes"))
        return
    about = part.fileinfo()
    start, length = about["hdrLoc"], about["datLoc"] - about["hdrLoc"] + about["datSpan"]
    about["file"].seek(start)
    words = np.frombuffer(about["file"].read(length).ljust(length), ">u4")
    if words.sum(dtype=np.uint64) % 0xFFFFFFFF:
        got = "a checksum that is not that of the content"
        raise DataError(expected(f"{path}: CHECKSUM", got, "the file as it was written"))
