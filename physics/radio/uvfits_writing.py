"""Writing visibilities as UVFITS; the sign of coordinates is told in `retrodict.physics.radio.uvfits`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import DataError, expected
from retrodict.physics.radio.fits_sums import add_sum
from retrodict.physics.radio.uvfits import MJD, STOKES
from retrodict.physics.radio.visibilities import LIGHT, Visibilities

__all__ = ["write_uvfits"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def write_uvfits(vis: Visibilities, path: Path | str, *, source: str = "SOURCE") -> None:
    """Write a table as UVFITS, one spectral window a frequency; flagged rows get weights below zero.

    Samples are single precision, as the format has them: coordinates, data and weights keep seven digits, and times a
    few milliseconds. Rows come back group by group, with cells that the table lacks as flagged rows. Every part of the
    file has its checksum.

    Parameters
    ----------
    vis : Visibilities
        The table. The feeds are I, RR and LL, or XX and YY; antennas without positions are written at the origin.
    path : Path or str
        Replaced if it exists.
    source : str, optional
        Name of the source.

    Raises
    ------
    DataError
        If feeds have no code, there are more than 255 antennas, or a cell occurs twice.

    Examples
    --------
    >>> import tempfile
    >>> from retrodict.physics.radio.uvfits import read_uvfits
    >>> one = Visibilities(np.ones((1, 3)), [1e9], [0.0], [0], [1], [2 + 1j], [4.0], [False])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_uvfits(one, f"{folder}/one.uvfits")
    ...     read_uvfits(f"{folder}/one.uvfits").data
    array([2.+1.j])
    """
    from astropy.io import fits

    codes = _codes(vis)
    if len(vis.antennas) > 255 or not vis.rows:
        got = f"{len(vis.antennas)} antennas and {vis.rows} rows"
        raise DataError(expected("write_uvfits", got, "at most 255 antennas and at least one row"))
    frequencies = np.unique(vis.frequency)
    first, cells = _arrange(vis, frequencies)
    day = vis.time[first] / 86400 + MJD
    # quarters of a day are exact in single precision, and leave the rest its digits
    whole = np.floor(4 * day) / 4
    code = 256.0 * (vis.antenna1[first] + 1) + vis.antenna2[first] + 1
    values = [*(vis.uvw[first] / LIGHT).T, code, whole, day - whole]
    groups = fits.GroupData(
        cells.astype(np.float32),
        bitpix=-32,
        parnames=["UU---SIN", "VV---SIN", "WW---SIN", "BASELINE", "DATE", "DATE"],
        pardata=[v.astype(np.float32) for v in values],
    )
    primary = fits.GroupsHDU(groups)
    primary.header.update(_header(vis, codes, frequencies[0], source))
    tables = fits.HDUList([primary, _antenna_table(vis, fits), _window_table(frequencies, fits)])
    tables.update_extend()
    for part in tables:
        add_sum(part)
    tables.writeto(path, overwrite=True)


def _codes(vis: Visibilities) -> tuple[int, int]:
    """Return the first code of the STOKES axis and its step."""
    known = {name: code for code, name in STOKES.items()}
    if vis.feeds not in (("I",), ("RR", "LL"), ("XX", "YY")):
        raise DataError(expected("write_uvfits", f"feeds {vis.feeds}", "I, or RR and LL, or XX and YY"))
    return known[vis.feeds[0]], 1 if vis.feeds == ("I",) else -1


def _arrange(vis: Visibilities, frequencies: Floats) -> tuple[Ints, Floats]:
    """Return the first row of every group, and cells of shape (group, dec, ra, window, channel, feed, 3)."""
    slot, _ = vis.slots
    antennas = len(vis.antennas)
    key = (slot * antennas + vis.antenna1) * antennas + vis.antenna2
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    window = np.searchsorted(frequencies, vis.frequency)
    if np.unique(np.stack([group, window, vis.feed]), axis=1).shape[1] < vis.rows:
        raise DataError(
            expected("write_uvfits", "two rows of one cell", "one row a time, baseline, frequency and feed")
        )
    cells = np.zeros((first.size, frequencies.size, len(vis.feeds), 3))
    weight = np.where(vis.flag, -np.maximum(vis.weight, np.finfo(np.float32).tiny), vis.weight)
    data = np.asarray(np.where(vis.flag & ~np.isfinite(vis.data), 0, vis.data), np.complex128)
    cells[group, window, vis.feed] = np.stack([data.real, data.imag, weight], axis=1)
    return first, cells[:, None, None, :, None]


def _header(vis: Visibilities, codes: tuple[int, int], frequency: float, source: str) -> dict[str, Any]:
    """Return the axes and the names that the primary header states."""
    ra, dec = np.rad2deg(vis.centre)
    axes = (("COMPLEX", 1.0, 1.0), ("STOKES", *codes), ("FREQ", frequency, 1.0), ("IF", 1.0, 1.0))
    found: dict[str, Any] = {"OBJECT": source, "TELESCOP": vis.telescope, "INSTRUME": vis.telescope, "BUNIT": "JY"}
    for k, (kind, value, step) in enumerate([*axes, ("RA", ra, 1.0), ("DEC", dec, 1.0)], 2):
        found |= {f"CTYPE{k}": kind, f"CRVAL{k}": float(value), f"CDELT{k}": float(step), f"CRPIX{k}": 1.0}
    return found | {"OBSRA": float(ra), "OBSDEC": float(dec), "EQUINOX": 2000.0}


def _antenna_table(vis: Visibilities, fits: Any) -> Any:
    count = len(vis.antennas)
    positions = vis.positions if len(vis.positions) else np.zeros((count, 3))
    width = max(8, *(len(n) for n in vis.antennas))
    columns = [
        fits.Column("ANNAME", f"{width}A", array=np.array(vis.antennas)),
        fits.Column("STABXYZ", "3D", "METERS", array=positions),
        fits.Column("NOSTA", "1J", array=np.arange(1, count + 1)),
        fits.Column("MNTSTA", "1J", array=np.zeros(count, np.int32)),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="AIPS AN")
    table.header.update({"ARRAYX": 0.0, "ARRAYY": 0.0, "ARRAYZ": 0.0, "ARRNAM": vis.telescope, "XYZHAND": "RIGHT"})
    return table


def _window_table(frequencies: Floats, fits: Any) -> Any:
    count = frequencies.size
    columns = [
        fits.Column("FRQSEL", "1J", array=np.array([1])),
        fits.Column("IF FREQ", f"{count}D", "HZ", array=(frequencies - frequencies[0])[None]),
        fits.Column("CH WIDTH", f"{count}E", "HZ", array=np.ones((1, count))),
        fits.Column("SIDEBAND", f"{count}J", array=np.ones((1, count), np.int32)),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="AIPS FQ")
    table.header["NO_IF"] = count
    return table
