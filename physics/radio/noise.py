"""Noise of an observation from its own data: what changes from one time slot to the next."""

from __future__ import annotations

import numpy as np

from retrodict.physics.errors import DataError, expected
from retrodict.physics.radio.visibilities import Visibilities

__all__ = ["noise_from_differences"]


def noise_from_differences(vis: Visibilities) -> float:
    """Return the noise in units of what the weights say, from differences of neighbours in time.

    A baseline sees nearly the same in two slots that follow each other, so that half the mean square of the difference
    is noise, and what the sky and the gains change in that time. No model of either is needed; a fit of both cannot
    leave less than the noise on data that it has not seen.

    Parameters
    ----------
    vis : Visibilities
        Rows that can be used; those of one baseline, feed and frequency within a scan are compared, at most one and a
        half times the usual distance of two slots apart.

    Returns
    -------
    float
        Root of the mean of ``w |y' - y|^2 / 2``, ``w`` the inverse variance of the difference.

    Raises
    ------
    DataError
        If no two rows follow each other.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.standard_normal(4000) + 1j * rng.standard_normal(4000)
    >>> n = np.arange(4000)
    >>> vis = Visibilities(np.ones((4000, 3)), 0 * n + 1e9, n, 0 * n, 0 * n + 1, 5 + 3 * noise, 0 * n + 1.0, n < 0)
    >>> round(noise_from_differences(vis), 1)
    3.0
    """
    swap = vis.antenna1 > vis.antenna2
    low, high = np.minimum(vis.antenna1, vis.antenna2), np.maximum(vis.antenna1, vis.antenna2)
    order = np.lexsort((vis.time, vis.scan, vis.frequency, vis.feed, high, low))
    same = np.ones(max(vis.rows - 1, 0), bool)
    for key in (low, high, vis.feed, vis.frequency, vis.scan):
        same &= key[order][1:] == key[order][:-1]
    gap = np.diff(vis.time[order])
    same &= gap > 0
    if not same.any():
        raise DataError(expected("noise_from_differences", "no two rows of a baseline in a scan", "some that follow"))
    same &= gap <= 1.5 * np.median(gap[same])
    data = np.where(swap, vis.data.conj(), vis.data)[order]
    variance = 1 / vis.weight[order]
    square = np.abs(np.diff(data)) ** 2 / (variance[1:] + variance[:-1])
    return float(np.sqrt(np.mean(square[same]) / 2))
