"""How samples are laid out in the rows of a main table: which row, channel and feed each of them has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import DataError, expected
from retrodict.physics.radio.visibilities import Visibilities

__all__ = ["MainRows", "main_rows"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
T = TypeVar("T", np.bool_, np.float64, np.complex128)


@dataclass(frozen=True)
class MainRows:
    """Where the samples of a table of visibilities are in a main table.

    Parameters
    ----------
    first : ndarray of int, shape (row,)
        A sample of each row; rows are in the order in which they are met.
    place : ndarray of int, shape (sample,)
        Index of each sample in an array of the shape.
    shape : tuple of int
        Rows, channels and feeds.

    Examples
    --------
    >>> MainRows(np.array([0]), np.array([1]), (1, 2, 1)).cube(np.array([5.0]), 0.0).tolist()
    [[[0.0], [5.0]]]
    """

    first: Ints
    place: Ints
    shape: tuple[int, int, int]

    def cube(self, values: NDArray[T], missing: complex) -> NDArray[T]:
        """Return values of samples as an array (row, channel, feed), with a value where there is no sample."""
        out = np.full(int(np.prod(self.shape)), missing, values.dtype)
        out[self.place] = values
        return out.reshape(self.shape)


def main_rows(vis: Visibilities, frequency: Floats) -> MainRows:
    """Return where samples go: one row for one time, ordered pair of antennas and scan.

    Parameters
    ----------
    vis : Visibilities
        The samples.
    frequency : ndarray, shape (channel,)
        Channels, rising [Hz].

    Raises
    ------
    DataError
        If a frequency is none of the channels, two samples are in one place, or samples of one row differ in uvw.

    Examples
    --------
    >>> two = Visibilities(np.ones((2, 3)), [1e9, 2e9], [0, 0], [0, 0], [1, 1], [1, 1], [1, 1], [0, 0])
    >>> main_rows(two, np.array([1e9, 2e9, 3e9])).place.tolist()
    [0, 1]
    """
    channel = np.searchsorted(frequency, vis.frequency).clip(max=frequency.size - 1)
    if (off := frequency[channel] != vis.frequency).any():
        raise DataError(expected("frequency", f"{vis.frequency[off][0]:.9g} Hz", "one of the channels of the set"))
    key = np.unique(vis.time, return_inverse=True)[1].astype(np.int64)
    scans = np.unique(vis.scan, return_inverse=True)[1]
    for index in (scans, vis.antenna1, vis.antenna2):
        key = key * (1 + index.max(initial=0)) + index
    _, first, row = np.unique(key, return_index=True, return_inverse=True)
    order = np.argsort(first)
    row = np.argsort(order)[row]
    first = first[order]
    if (torn := (vis.uvw != vis.uvw[first[row]]).any(axis=1)).any():
        got = f"two uvw for antennas {vis.antenna1[torn][0]} and {vis.antenna2[torn][0]} at {vis.time[torn][0]:.3f} s"
        raise DataError(expected("uvw", got, "one for each baseline, time and scan"))
    shape = (first.size, frequency.size, len(vis.feeds))
    place = (row * shape[1] + channel) * shape[2] + vis.feed
    if np.bincount(place, minlength=1).max() > 1:
        twice = int(np.argmax(np.bincount(place)[place] > 1))
        raise DataError(expected("Visibilities", f"sample {twice} twice", "one sample for a row, channel and feed"))
    return MainRows(first, place, shape)
