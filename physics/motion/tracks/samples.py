"""Records of any format in one shape: a row for each state, a body for each track."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bodies", "Column", "Origin", "SampleList", "Samples"]

Column = NDArray[np.float64]


@dataclass(frozen=True)
class Bodies:
    """What is constant along each of the tracks.

    Parameters
    ----------
    ids : sequence of str
        Unique names of the tracks.
    category : sequence of str
        Kind of body: ``"car"``, ``"pedestrian"`` ... as the format names it.
    length, width : ndarray, shape (tracks,), or None
        Size of the body [m]; None where the format has none.

    Examples
    --------
    >>> Bodies(["7"], ["pedestrian"]).length is None
    True
    """

    ids: Sequence[str]
    category: Sequence[str]
    length: Column | None = None
    width: Column | None = None


@dataclass(frozen=True)
class Origin:
    """Where a track set comes from.

    Parameters
    ----------
    format : str
        Name in the registry of formats.
    source : str
        File name.
    sha256 : str
        Checksum of the file.
    reference : {"box-centre", "front-centre", "rear-axle", "point"}
        Point of the body whose position is given.
    time_step : float or None
        Nominal interval [s]; None: the median of the tracks' own.
    extra : mapping
        Further attributes: numbers and strings.

    Examples
    --------
    >>> Origin("eth-ucy", "a.txt", "00", "point", 0.4).time_step
    0.4
    """

    format: str
    source: str
    sha256: str
    reference: str
    time_step: float | None
    extra: Mapping[str, str | float | int] = field(default_factory=dict)


@dataclass(frozen=True)
class Samples:
    """States of all tracks, a row each, in the order of the file.

    Parameters
    ----------
    track : ndarray of int, shape (n,)
        Index of the body.
    time : ndarray, shape (n,)
        [s].
    record : ndarray of int, shape (n,)
        Number of the record in the file.
    columns : mapping of str to ndarray, shape (n,)
        SI values; what the record does not carry is marked in ``missing``.
    missing : mapping of str to ndarray of bool, shape (n,)
        True where a record legally lacks the quantity; a quantity that is not listed is in every record.
    unit : str
        What a record is called: ``"line"``, ``"row"``.

    Examples
    --------
    >>> rows = SampleList("line")
    >>> rows.append(0, 0.1, 5, x=1.0, y=2.0)
    >>> rows.finish(["x", "y"]).columns["x"]
    array([1.])
    """

    track: NDArray[np.int64]
    time: Column
    record: NDArray[np.int64]
    columns: Mapping[str, Column]
    missing: Mapping[str, NDArray[np.bool_]]
    unit: str

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Samples:
        """Return a selection of rows.

        Parameters
        ----------
        index : ndarray
            Row numbers, or a mask of shape (n,).

        Returns
        -------
        Samples
            The rows.
        """
        return Samples(
            self.track[index],
            self.time[index],
            self.record[index],
            {name: values[index] for name, values in self.columns.items()},
            {name: mask[index] for name, mask in self.missing.items()},
            self.unit,
        )

    def has(self, name: str) -> NDArray[np.bool_]:
        """Return where a quantity is carried, shape (n,)."""
        if name not in self.columns:
            return np.zeros(self.track.shape, dtype=bool)
        if name not in self.missing:
            return np.ones(self.track.shape, dtype=bool)
        return ~self.missing[name]

    def place(self, row: int, bodies: Bodies) -> str:
        """Name the place of a row in the file, for messages."""
        return f"{self.unit} {self.record[row]}, track {bodies.ids[self.track[row]]}"


class SampleList:
    """Grow a `Samples` row by row.

    Parameters
    ----------
    unit : str
        What a record is called.

    Examples
    --------
    >>> rows = SampleList("line")
    >>> rows.append(0, 0.0, 1, x=1.0)
    >>> rows.append(0, 0.1, 2)
    >>> rows.finish(["x"]).missing["x"]
    array([False,  True])
    """

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._keys: list[tuple[int, float, int]] = []
        self._rows: list[dict[str, float]] = []

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def append(self, track: int, time: float, record: int, **values: float) -> None:
        """Add a row.

        Parameters
        ----------
        track : int
            Index of the body.
        time : float
            [s].
        record : int
            Number of the record in the file.
        **values : float
            The quantities that the record carries, SI.
        """
        self._keys.append((track, time, record))
        self._rows.append(values)

    def finish(self, names: Sequence[str]) -> Samples:
        """Return the rows as arrays.

        Parameters
        ----------
        names : sequence of str
            Quantities to keep; one that no row carries is left out.

        Returns
        -------
        Samples
            All rows.
        """
        columns: dict[str, Column] = {}
        missing: dict[str, NDArray[np.bool_]] = {}
        for name in names:
            mask = np.array([name not in row for row in self._rows], dtype=bool)
            if mask.all():
                continue
            columns[name] = np.array([row.get(name, np.nan) for row in self._rows], dtype=float)
            if mask.any():
                missing[name] = mask
        return Samples(
            np.array([key[0] for key in self._keys], dtype=np.int64),
            np.array([key[1] for key in self._keys], dtype=float),
            np.array([key[2] for key in self._keys], dtype=np.int64),
            columns,
            missing,
            self._unit,
        )
