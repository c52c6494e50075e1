"""Residuals of visibilities as the diagnostics of every fit read them: one series a baseline, in order of time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrodict.inverse.residuals import Residuals
from retrodict.physics.radio.closures import Closures
from retrodict.physics.radio.visibilities import Visibilities

__all__ = ["closure_residuals", "visibility_residuals"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]


def visibility_residuals(name: str, vis: Visibilities, predicted: Complexes, noise: float = 1.0) -> Residuals:
    """Return what a prediction leaves of visibilities, in standard deviations of their noise.

    Real and imaginary parts of a baseline are two series.

    Parameters
    ----------
    name : str
        For reports.
    vis : Visibilities
        Data that the prediction was not fitted to, for no degree of freedom is taken off.
    predicted : ndarray of complex, shape (row,)
        Prediction.
    noise : float, optional
        Noise in units of what the weights say, as of `retrodict.physics.radio.noise.noise_from_differences`.

    Examples
    --------
    >>> vis = Visibilities(np.zeros((2, 3)), [1e9, 1e9], [0.0, 1.0], [0, 0], [1, 1], [2 + 0j, 3j], [1.0, 1.0], [0, 0])
    >>> visibility_residuals("held out", vis, np.zeros(2, complex)).values + 0.0
    array([[-2.,  0.],
           [ 0., -3.]])
    """
    slot = vis.slots[0]
    keys = np.stack([vis.antenna1, vis.antenna2, vis.feed, vis.frequency], axis=1)
    _, series = np.unique(keys, axis=0, return_inverse=True)
    series = np.asarray(series).ravel()
    # rows of one baseline at one time, such as two correlations, are series of their own
    order = np.lexsort((slot, series))
    same = np.append(False, (np.diff(series[order]) == 0) & (np.diff(slot[order]) == 0))
    begins = np.maximum.accumulate(np.where(same, 0, np.arange(order.size)))
    copy = np.empty(order.size, np.int64)
    copy[order] = np.arange(order.size) - begins
    _, place = np.unique(np.stack([series, copy], axis=1), axis=0, return_inverse=True)
    place = np.asarray(place).ravel()
    left = np.sqrt(vis.weight) * (predicted - vis.data) / noise
    values = np.full((2, int(place.max(initial=-1)) + 1, vis.slots[1].size), np.nan)
    values[0, place, slot], values[1, place, slot] = left.real, left.imag
    return Residuals(name, values.reshape(-1, vis.slots[1].size))


def closure_residuals(closures: Closures, data: Complexes, model: Complexes, weight: Floats) -> Residuals:
    """Return what a model leaves of closure phases or amplitudes, whitened by their full covariance.

    Parameters
    ----------
    closures : Closures
        An independent set.
    data, model : ndarray of complex, shape (row,)
        Visibilities.
    weight : ndarray, shape (row,)
        Inverse variance of real and of imaginary part.

    Examples
    --------
    >>> one = Closures("phase", np.array([[0, 1, 2]]), np.ones((1, 3)), np.array([[0, 1, 2]]), 3)
    >>> left = closure_residuals(one, np.exp(1j * np.array([0.1, 0, 0])), np.ones(3) + 0j, np.full(3, 300.0))
    >>> left.name, left.values.round(9)
    ('closure phases', array([[-1.]]))
    """
    return Residuals(f"closure {closures.kind}s", closures.whitened(data, model, weight)[None])
