"""Visibilities in UVFITS, the random groups of FITS that AIPS, Difmap and the Event Horizon Telescope write.

Sign: a file states ``(u, v, w)``, in seconds, from the second antenna of ``BASELINE = 256 a1 + a2`` to the first, and
its visibility is ``sum I exp(+2 pi i (u l + v m + w (n - 1)))``, ``l`` to the east. Coordinates and data are taken over
as they stand. The public data of M87 hold to it: their coordinates follow from the positions in the file in that order,
and the bright side of the ring comes out in the south.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.decoding import decoding
from retrodict.physics.errors import DataError, expected
from retrodict.physics.radio.fits_sums import check_sums
from retrodict.physics.radio.visibilities import LIGHT, Visibilities

__all__ = ["read_uvfits"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STOKES = {1: "I", -1: "RR", -2: "LL", -5: "XX", -6: "YY"}
"""Codes of the STOKES axis that can be read; cross-hands and other parameters are passed over."""
GAP = 60.0
"""Silence after which a new scan begins, for UVFITS numbers none [s]."""
MJD = 2400000.5
"""Julian date of the origin of the modified one [d]."""


@dataclass(frozen=True)
class _Cells:
    """All samples of a file, shape (group, channel, feed), channels of all spectral windows in one row."""

    data: NDArray[np.complex128]
    weight: Floats
    frequency: Floats
    feeds: tuple[str, ...]


def read_uvfits(path: Path | str, *, feeds: str = "stokes-i") -> Visibilities:
    """Read a UVFITS file.

    Weights that are not positive flag a row, and so do samples that are not finite; scans begin after a minute of
    silence. Rows come group by group, then channel by channel, then feed by feed.

    Parameters
    ----------
    path : Path or str
        The file.
    feeds : {"stokes-i", "parallel"}
        Stokes I, half the sum of the two parallel hands, or one of them alone where the other is missing, which takes
        the source for unpolarised; or both hands as feeds of their own.

    Returns
    -------
    Visibilities
        The table; coordinates in metres, times in seconds, positions geocentric.

    Raises
    ------
    DataError
        If the file is not FITS, does not match its checksums, has no random groups, or lacks a parameter, an axis, a
        table or an antenna.

    Examples
    --------
    >>> read_uvfits("none.uvfits")
    Traceback (most recent call last):
    retrodict.physics.errors.DataError: none.uvfits: got no file, expected a UVFITS file
    """
    if feeds not in ("stokes-i", "parallel"):
        raise DataError(expected("feeds", repr(feeds), "'stokes-i' or 'parallel'"))
    with _opened(Path(path)) as tables:
        groups, where = tables[0], str(path)
        first, second = _antennas(groups, where)
        for chosen in ("SOURCE", "FREQSEL"):
            if chosen in _names(groups) and np.unique(_parameter(groups, chosen, where)).size > 1:
                raise DataError(expected(f"{where}: {chosen}", "several of them", "a file of one, split from this"))
        names, positions, numbers = _stations(tables, where)
        cells = _cells(tables, where)
        cells = _stokes_i(cells, where) if feeds == "stokes-i" else _hands(cells, where)
        uvw = np.stack([_coordinate(groups, axis, where) for axis in ("UU", "VV", "WW")], axis=1)
        time = (_parameter(groups, "DATE", where) - MJD) * 86400
        centre = (_pointing(groups.header, "RA"), _pointing(groups.header, "DEC"))
        telescope = str(groups.header.get("TELESCOP", "")).strip()
        shape = cells.data.shape
        rows = np.repeat(np.arange(shape[0]), shape[1] * shape[2])
        ordered = np.unique(time)
        scan = np.concatenate([[0], np.cumsum(np.diff(ordered) > GAP)])[np.searchsorted(ordered, time)]
        data, weight = cells.data.ravel(), cells.weight.ravel()
        good = np.isfinite(data) & np.isfinite(weight) & (weight > 0)
        return Visibilities(
            uvw=LIGHT * uvw[rows],
            frequency=np.tile(np.repeat(cells.frequency, shape[2]), shape[0]),
            time=time[rows],
            antenna1=_index(first, numbers, where)[rows],
            antenna2=_index(second, numbers, where)[rows],
            data=np.where(good, data, 0),
            weight=np.where(good, weight, 0.0),
            flag=~good,
            feed=np.tile(np.arange(shape[2]), shape[0] * shape[1]),
            scan=scan[rows],
            feeds=cells.feeds,
            antennas=names,
            positions=positions,
            centre=centre,
            telescope=telescope,
        )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Hold a FITS file open whose first part is random groups; what is raised in the block is a DataError."""
    from astropy.io import fits

    if not path.is_file():
        raise DataError(expected(str(path), "no file", "a UVFITS file"))
    with decoding(path, "a UVFITS file"), path.open("rb") as stream, fits.open(stream, memmap=False) as tables:
        check_sums(tables, path)
        primary: Any = tables[0]
        if not isinstance(primary, fits.GroupsHDU) or not primary.header.get("GCOUNT"):
            raise DataError(expected(str(path), "no random groups", "a UVFITS file"))
        yield tables


def _names(groups: Any) -> list[str]:
    return [str(n).strip().upper() for n in groups.data.parnames]


def _parameter(groups: Any, name: str, where: str) -> Floats:
    """Return a parameter of every group; parts of the same name are added, as two dates are."""
    found = [i for i, n in enumerate(_names(groups)) if n == name or n.rstrip("_") == name]
    if not found:
        raise DataError(expected(where, f"parameters {', '.join(_names(groups))}", f"one named {name}"))
    return np.asarray(np.sum([np.asarray(groups.data.field(i), np.float64) for i in found], axis=0))


def _coordinate(groups: Any, axis: str, where: str) -> Floats:
    """Return ``UU``, ``VV`` or ``WW`` [s], whatever projection its name states."""
    names = [n for n in _names(groups) if n.startswith(axis)]
    if not names or names[0].startswith(f"{axis}-L"):
        got = f"{names[0]}, in wavelengths" if names else f"parameters {', '.join(_names(groups))}"
        raise DataError(expected(where, got, f"one named {axis}, in seconds"))
    return _parameter(groups, names[0], where)


def _antennas(groups: Any, where: str) -> tuple[Ints, Ints]:
    """Return the numbers of the two antennas of every group."""
    if "BASELINE" not in _names(groups) and "ANTENNA1" in _names(groups):
        first, second = (_parameter(groups, f"ANTENNA{k}", where).astype(np.int64) for k in (1, 2))
        return first, second
    # decimals number a subarray; above 65536 antennas are counted in 2048 instead of 256
    code = np.floor(_parameter(groups, "BASELINE", where) + 1e-3).astype(np.int64)
    many = code > 65536
    base = np.where(many, 2048, 256)
    code = np.where(many, code - 65536, code)
    return code // base, code % base


def _stations(tables: Any, where: str) -> tuple[tuple[str, ...], Floats, Ints]:
    """Return names, geocentric positions and numbers of the antennas."""
    table = _table(tables, "AIPS AN")
    if table is None:
        raise DataError(expected(where, "no table AIPS AN", "the antennas"))
    rows, header = table.data, table.header
    names = tuple(str(n).strip() for n in rows["ANNAME"])
    origin = np.array([float(header.get(f"ARRAY{axis}", 0.0)) for axis in "XYZ"])
    hand = np.array([1.0, -1.0 if str(header.get("XYZHAND", "")).strip() == "LEFT" else 1.0, 1.0])
    positions = np.asarray(rows["STABXYZ"], np.float64).reshape(-1, 3) * hand + origin
    return names, positions, np.asarray(rows["NOSTA"], np.int64)


def _index(numbers: Ints, known: Ints, where: str) -> Ints:
    """Return the row in the antenna table for each antenna number."""
    order = np.argsort(known)
    at = np.clip(np.searchsorted(known[order], numbers), 0, known.size - 1)
    if (bad := known[order][at] != numbers).any():
        raise DataError(
            expected(where, f"antenna {numbers[bad][0]}", f"numbers of the table AIPS AN, {known.tolist()}")
        )
    return np.asarray(order[at], np.int64)


def _table(tables: Any, name: str) -> Any:
    return next((t for t in tables[1:] if t.name.strip() == name), None)


def _pointing(header: Any, axis: str) -> float:
    """Return a coordinate of the phase centre [rad]."""
    number = _axis(header, axis)
    degrees = header.get(f"CRVAL{number}") if number else header.get("OBSDEC" if axis == "DEC" else f"OBS{axis}", 0.0)
    return float(np.deg2rad(degrees))


def _axis(header: Any, kind: str) -> int | None:
    """Return the FITS number of an axis."""
    count = int(header["NAXIS"])
    return next((k for k in range(2, count + 1) if str(header.get(f"CTYPE{k}", "")).strip() == kind), None)


def _cells(tables: Any, where: str) -> _Cells:
    """Return all samples of the known Stokes parameters."""
    groups = tables[0]
    header, raw = groups.header, np.asarray(groups.data.data)
    numbers = {kind: _axis(header, kind) for kind in ("IF", "FREQ", "STOKES", "COMPLEX")}
    if missing := [k for k in ("FREQ", "STOKES", "COMPLEX") if numbers[k] is None]:
        raise DataError(expected(where, f"no axis {missing[0]}", "axes COMPLEX, STOKES and FREQ"))
    places = [raw.ndim - (n - 1) for n in numbers.values() if n is not None]
    raw = np.moveaxis(raw, places, range(-len(places), 0))
    windows = raw.shape[-4] if numbers["IF"] is not None else 1
    raw = raw.reshape(raw.shape[0], -1, *raw.shape[-2:])
    if raw.shape[-1] != 3:
        raise DataError(expected(where, f"{raw.shape[-1]} numbers a sample", "real part, imaginary part and weight"))
    frequency = _frequencies(tables, numbers["FREQ"], windows, raw.shape[1] // windows)
    if frequency.size != raw.shape[1]:
        raise DataError(expected(where, f"{raw.shape[1]} channels for {frequency.size}", "one value along RA and DEC"))
    codes = _codes(header, numbers["STOKES"], raw.shape[2])
    kept = [i for i, c in enumerate(codes) if c in STOKES]
    raw = raw[:, :, kept].astype(np.float64)
    feeds = tuple(STOKES[codes[i]] for i in kept)
    return _Cells(raw[..., 0] + 1j * raw[..., 1], raw[..., 2], frequency, feeds)


def _codes(header: Any, axis: int | None, count: int) -> list[int]:
    at = np.arange(count) + 1 - header.get(f"CRPIX{axis}", 1.0)
    return [round(c) for c in header[f"CRVAL{axis}"] + at * header.get(f"CDELT{axis}", 1.0)]


def _frequencies(tables: Any, axis: int | None, windows: int, channels: int) -> Floats:
    """Return the frequency of every channel of every spectral window [Hz]."""
    header, table = tables[0].header, _table(tables, "AIPS FQ")
    at = np.arange(channels) + 1 - header.get(f"CRPIX{axis}", 1.0)
    offset = np.zeros(windows) if table is None else np.ravel(table.data["IF FREQ"][0])[:windows]
    width = np.full(windows, header.get(f"CDELT{axis}", 1.0))
    if table is not None and "CH WIDTH" in table.columns.names:
        width = np.ravel(table.data["CH WIDTH"][0])[:windows]
    return np.asarray((header[f"CRVAL{axis}"] + offset[:, None] + at * width[:, None]).ravel(), np.float64)


def _hands(cells: _Cells, where: str) -> _Cells:
    """Return the two parallel hands."""
    pair = next((p for p in (("RR", "LL"), ("XX", "YY")) if set(p) <= set(cells.feeds)), None)
    if pair is None:
        raise DataError(expected(where, f"feeds {cells.feeds}", "RR and LL, or XX and YY"))
    at = [cells.feeds.index(p) for p in pair]
    return _Cells(cells.data[:, :, at], cells.weight[:, :, at], cells.frequency, pair)


def _stokes_i(cells: _Cells, where: str) -> _Cells:
    """Return Stokes I."""
    if "I" in cells.feeds:
        at = [cells.feeds.index("I")]
        return _Cells(cells.data[:, :, at], cells.weight[:, :, at], cells.frequency, ("I",))
    two = _hands(cells, where)
    good = np.isfinite(two.data) & np.isfinite(two.weight) & (two.weight > 0)
    weight = np.where(good, two.weight, 1.0)
    count = np.maximum(good.sum(axis=-1), 1)
    data = np.where(good, two.data, 0).sum(axis=-1) / count
    variance = np.where(good, 1 / weight, 0).sum(axis=-1) / count**2
    weight = np.where(good.any(axis=-1), 1 / np.where(variance > 0, variance, 1.0), 0.0)
    return _Cells(data[..., None], weight[..., None], two.frequency, ("I",))
