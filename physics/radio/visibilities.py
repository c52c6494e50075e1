"""Visibilities of an interferometer: one row is one baseline, time, channel and feed.

Convention, that of the MeasurementSet: ``uvw`` points from ``antenna1`` to ``antenna2`` and, for a sky of brightness
``I`` with ``l`` to the east and ``m`` to the north, ``V = sum I exp(+2 pi i (u l + v m + w (n - 1)) / lambda)``. Images
are indexed ``[x, y]`` with ``x`` to the west and ``y`` to the north, as the pixels of a FITS file; in pixels the same
sum is ``V = sum x(n) exp(-i uv . n)`` with ``uv = 2 pi cell (u, -v) / lambda``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import DataError, expected

__all__ = ["LIGHT", "Grid", "Selection", "Visibilities"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Complexes = NDArray[np.complex128]
Mask = NDArray[np.bool_]

LIGHT = 299792458.0
"""Speed of light [m/s]."""


@dataclass(frozen=True)
class Grid:
    """Pixels of an image, indexed ``[x, y]``: ``x`` to the west, ``y`` to the north, the centre at ``size // 2``.

    Parameters
    ----------
    size : int
        Pixels along each side; even.
    cell : float
        Side of a pixel [rad].
    centre : tuple of float
        Right ascension and declination of the phase centre [rad].

    Raises
    ------
    DataError
        If the size is odd or below 4, or the cell is not positive.

    Examples
    --------
    >>> int(Grid(128, 1e-6).coordinates[0])
    -64
    """

    size: int
    cell: float
    centre: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if self.size < 4 or self.size % 2:
            raise DataError(expected("Grid.size", self.size, "an even number of pixels, at least 4"))
        if not (np.isfinite(self.cell) and self.cell > 0):
            raise DataError(expected("Grid.cell", self.cell, "a positive angle in radians"))

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of an image."""
        return (self.size, self.size)

    def covers(self, other: Grid) -> bool:
        """Whether pixels are those of another grid: as many, nowhere a hundredth of a pixel apart."""
        if self.size != other.size:
            return False
        east = (self.centre[0] - other.centre[0] + np.pi) % (2 * np.pi) - np.pi
        apart = np.hypot(east * np.cos(other.centre[1]), self.centre[1] - other.centre[1])
        return bool(apart + self.size * abs(self.cell - other.cell) < 0.01 * other.cell)

    @property
    def coordinates(self) -> Ints:
        """Pixel coordinates along a side, from ``-size / 2``."""
        return np.arange(self.size) - self.size // 2


@dataclass(frozen=True)
class Selection:
    """What `Visibilities.usable` left out, by reason.

    Parameters
    ----------
    flagged, autocorrelations, weightless, zero : int
        Rows left out; each row counts once, under the first reason that holds.
    kept : int
        Rows kept.
    """

    flagged: int
    autocorrelations: int
    weightless: int
    zero: int
    kept: int

    def __str__(self) -> str:
        out = {k: v for k, v in vars(self).items() if v and k != "kept"}
        return f"{self.kept} rows used; left out: " + (", ".join(f"{v} {k}" for k, v in out.items()) or "none")


@dataclass(frozen=True)
class Visibilities:
    """A table of visibilities.

    Parameters
    ----------
    uvw : ndarray, shape (row, 3)
        Baseline from ``antenna1`` to ``antenna2`` [m].
    frequency : ndarray, shape (row,)
        Of the channel [Hz].
    time : ndarray, shape (row,)
        Centre of the integration [s], modified Julian date times 86400.
    antenna1, antenna2 : ndarray of int, shape (row,)
        Indices into ``antennas``; any order of the pair, autocorrelations allowed.
    data : ndarray of complex, shape (row,)
        Visibility [Jy].
    weight : ndarray, shape (row,)
        Inverse variance of the real and of the imaginary part [Jy-2], the convention of the column ``WEIGHT``.
    flag : ndarray of bool, shape (row,)
        Whether the row must not be used.
    feed : ndarray of int, shape (row,), optional
        Index into ``feeds``; each feed of an antenna has gains of its own.
    scan : ndarray of int, shape (row,), optional
        Scan number.
    feeds : tuple of str
        ``("I",)``, or the parallel hands, ``("XX", "YY")``.
    antennas : tuple of str
        Names; by default the numbers.
    positions : ndarray, shape (antenna, 3), optional
        Geocentric positions (ITRF) [m].
    centre : tuple of float
        Right ascension and declination of the phase centre [rad].
    telescope : str
        Name.

    Raises
    ------
    DataError
        Naming the column: shapes that disagree, indices without an antenna or feed, coordinates, frequencies, times or
        weights that are not finite, a frequency that is not positive, negative weights, or data that are not finite
        in a row that is not flagged.

    Examples
    --------
    >>> one = Visibilities(np.ones((1, 3)), [1e9], [0.0], [0], [1], [1 + 0j], [1.0], [False])
    >>> one.baselines
    1
    """

    uvw: Floats
    frequency: Floats
    time: Floats
    antenna1: Ints
    antenna2: Ints
    data: Complexes
    weight: Floats
    flag: Mask
    feed: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    scan: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    feeds: tuple[str, ...] = ("I",)
    antennas: tuple[str, ...] = ()
    positions: Floats = field(default_factory=lambda: np.zeros((0, 3)))
    centre: tuple[float, float] = (0.0, 0.0)
    telescope: str = ""

    def __post_init__(self) -> None:
        rows = np.asarray(self.data).size
        for name, kind in _COLUMNS.items():
            value = np.asarray(getattr(self, name))
            if name in ("feed", "scan") and value.size == 0:
                value = np.zeros(rows, np.int64)
            shape = (rows, 3) if name == "uvw" else (rows,)
            if value.shape != shape:
                raise DataError(expected(f"Visibilities.{name}", f"shape {value.shape}", f"shape {shape}"))
            object.__setattr__(self, name, np.ascontiguousarray(value, kind))
        if not self.antennas:
            count = 1 + max(self.antenna1.max(initial=-1), self.antenna2.max(initial=-1))
            object.__setattr__(self, "antennas", tuple(str(a) for a in range(count)))
        object.__setattr__(self, "positions", np.asarray(self.positions, np.float64).reshape(-1, 3))
        self._check()

    def _check(self) -> None:
        for name, limit in (("antenna1", self.antennas), ("antenna2", self.antennas), ("feed", self.feeds)):
            value = getattr(self, name)
            if value.size and (value.min() < 0 or value.max() >= len(limit)):
                got = f"indices {value.min()} to {value.max()}"
                raise DataError(expected(f"Visibilities.{name}", got, f"indices into {len(limit)} names"))
        for name in ("uvw", "frequency", "time", "weight"):
            _finite(name, getattr(self, name), np.ones(self.rows, bool))
        _finite("data", self.data, ~self.flag)
        if self.rows and self.frequency.min() <= 0:
            raise DataError(expected("Visibilities.frequency", f"{self.frequency.min():g} Hz", "positive frequencies"))
        if self.rows and self.weight.min() < 0:
            raise DataError(expected("Visibilities.weight", f"{self.weight.min():g}", "weights of at least zero"))
        if len(self.positions) not in (0, len(self.antennas)):
            got, wanted = f"{len(self.positions)} positions", f"none or one for each of {len(self.antennas)} antennas"
            raise DataError(expected("Visibilities.positions", got, wanted))

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.data.size)

    @property
    def baselines(self) -> int:
        """Number of different pairs of antennas."""
        low, high = np.minimum(self.antenna1, self.antenna2), np.maximum(self.antenna1, self.antenna2)
        return int(np.unique(low * len(self.antennas) + high).size)

    @property
    def receptors(self) -> tuple[Ints, Ints]:
        """Index of the first and the second receptor: a feed of an antenna, ``feed * antennas + antenna``."""
        offset = self.feed * len(self.antennas)
        return self.antenna1 + offset, self.antenna2 + offset

    @property
    def receptor_names(self) -> list[str]:
        """Names of the receptors in the order of `receptors`: antenna, or antenna/feed where feeds are several."""
        one = len(self.feeds) == 1
        return [a if one else f"{a}/{f}" for f in self.feeds for a in self.antennas]

    @property
    def slots(self) -> tuple[Ints, Floats]:
        """Time slot of each row, and the times of the slots, in order; times within a millisecond are one."""
        _, first, slot = np.unique(np.round(self.time, 3), return_index=True, return_inverse=True)
        return slot.astype(np.int64), self.time[first]

    def uv(self, grid: Grid) -> Floats:
        """Return spatial frequencies in radians per pixel, shape (row, 2): ``2 pi cell (u, -v) / lambda``."""
        scale = 2 * np.pi * grid.cell * self.frequency / LIGHT
        return np.ascontiguousarray(scale[:, None] * self.uvw[:, :2] * np.array([1.0, -1.0]))

    def select(self, which: Mask | Ints) -> Visibilities:
        """Return the rows of a mask or an index; antennas and their numbers stay."""
        return replace(self, **{name: getattr(self, name)[which] for name in _COLUMNS})

    def with_data(self, data: Complexes) -> Visibilities:
        """Return the same rows with other data."""
        return replace(self, data=np.asarray(data, np.complex128))

    def unusable(self, *, drop_zero: bool = True) -> dict[str, Mask]:
        """Return which rows cannot be fitted, by reason, as `usable` names and leaves them out."""
        return {
            "flagged": self.flag,
            "autocorrelations": self.antenna1 == self.antenna2,
            "weightless": self.weight == 0,
            "zero": (self.data == 0) if drop_zero else np.zeros(self.rows, bool),
        }

    def usable(self, *, drop_zero: bool = True) -> tuple[Visibilities, Selection]:
        """Return the rows that can be fitted, and how many were left out for what reason.

        Left out are flagged rows, autocorrelations, rows without weight, and rows whose data are exactly zero, which
        correlators write where nothing was measured.

        Parameters
        ----------
        drop_zero : bool, optional
            Whether to leave out rows of exactly zero.

        Raises
        ------
        DataError
            If no row is left, naming the commonest reason.

        Examples
        --------
        >>> two = Visibilities(np.ones((2, 3)), [1e9, 1e9], [0, 0], [0, 0], [1, 1], [1, 1], [1, 1], [False, True])
        >>> print(two.usable()[1])
        1 rows used; left out: 1 flagged
        """
        left = np.ones(self.rows, bool)
        counts: dict[str, int] = {}
        for name, bad in self.unusable(drop_zero=drop_zero).items():
            counts[name] = int(np.count_nonzero(left & bad))
            left &= ~bad
        if not left.any():
            told = ", ".join(f"{v} {k}" for k, v in counts.items() if v) or "no rows"
            raise DataError(expected("Visibilities", told, "at least one row that can be used"))
        return self.select(left), Selection(**counts, kept=int(left.sum()))


_COLUMNS = {
    "uvw": np.float64,
    "frequency": np.float64,
    "time": np.float64,
    "antenna1": np.int64,
    "antenna2": np.int64,
    "data": np.complex128,
    "weight": np.float64,
    "flag": np.bool_,
    "feed": np.int64,
    "scan": np.int64,
}


def _finite(name: str, value: NDArray[np.generic], where: Mask) -> None:
    bad = ~np.isfinite(value).reshape(where.size, -1).all(axis=1) & where if where.size else where
    if bad.any():
        row = int(np.argmax(bad))
        got = f"{value[row]} in row {row} ({int(bad.sum())} rows in all)"
        raise DataError(expected(f"Visibilities.{name}", got, "finite numbers in rows that are not flagged"))
