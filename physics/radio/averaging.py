"""Means over time of the rows of each baseline, weighted by inverse variance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import DataError, expected
from retrodict.physics.radio.visibilities import Visibilities

__all__ = ["averaged"]


def averaged(vis: Visibilities, seconds: float = np.inf) -> Visibilities:
    """Average every baseline over its scans, or over intervals of them.

    Means are coherent: phases that turn within an interval cost amplitude. Flagged rows, autocorrelations and rows
    without weight are left out, but not blanks, rows of exactly zero, which `Visibilities.usable` leaves out. The
    weights of the others add up, and every mean points from the lower antenna to the higher. The times of an interval
    become one, the mean over all its rows, so that its baselines close.

    Parameters
    ----------
    vis : Visibilities
        The table.
    seconds : float, optional
        Length of an interval [s], counted from the start of a scan; by default whole scans.

    Returns
    -------
    Visibilities
        One row an interval, baseline, frequency and feed.

    Raises
    ------
    DataError
        If the length is not positive, or no row can be used.

    Examples
    --------
    >>> uvw = np.array([[1.0, 0, 0], [-3.0, 0, 0]])
    >>> two = Visibilities(uvw, [1e9] * 2, [0, 10], [0, 1], [1, 0], [2 + 1j, 4 - 1j], [1, 1], [False] * 2)
    >>> mean = averaged(two)
    >>> mean.data, mean.uvw[0, 0], mean.time
    (array([3.+1.j]), np.float64(2.0), array([5.]))
    """
    if not seconds > 0:
        raise DataError(expected("averaged: seconds", seconds, "a positive time"))
    vis, _ = vis.usable(drop_zero=False)
    swap = vis.antenna1 > vis.antenna2
    data: NDArray[np.complex128] = np.where(swap, vis.data.conj(), vis.data)
    uvw = np.where(swap[:, None], -vis.uvw, vis.uvw)
    low, high = np.minimum(vis.antenna1, vis.antenna2), np.maximum(vis.antenna1, vis.antenna2)
    scans, scan = np.unique(vis.scan, return_inverse=True)
    begin = np.full(scans.size, np.inf)
    np.minimum.at(begin, scan, vis.time)
    # times of thousands of millions of seconds are known to a microsecond: none may fall short of its interval by that
    part = np.floor((vis.time - begin[scan] + 1e-5) / seconds).astype(np.int64)
    _, interval = np.unique(np.stack([scan, part]), axis=1, return_inverse=True)
    key = np.stack([interval, low, high, vis.frequency, vis.feed])
    kept, cell = np.unique(key, axis=1, return_inverse=True)
    weight = np.asarray(np.bincount(cell, vis.weight), np.float64)
    origin = vis.time.min()
    centre = np.bincount(interval, vis.time - origin) / np.bincount(interval) + origin

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(cell, vis.weight * values) / weight

    # one baseline at one time has one uvw, whatever was flagged in its channels
    _, pair = np.unique(np.stack([interval, low, high]), axis=1, return_inverse=True)
    share = np.bincount(pair, vis.weight)
    baseline = np.empty((weight.size, 3))
    baseline[cell] = np.stack([np.bincount(pair, vis.weight * u) / share for u in uvw.T], axis=1)[pair]

    at = kept.astype(np.int64)
    of = np.zeros(weight.size, np.int64)
    of[cell] = vis.scan
    return Visibilities(
        uvw=baseline,
        frequency=kept[3],
        time=centre[at[0]],
        antenna1=at[1],
        antenna2=at[2],
        data=mean(data.real) + 1j * mean(data.imag),
        weight=weight,
        flag=np.zeros(weight.size, bool),
        feed=at[4],
        scan=of,
        feeds=vis.feeds,
        antennas=vis.antennas,
        positions=vis.positions,
        centre=vis.centre,
        telescope=vis.telescope,
    )
