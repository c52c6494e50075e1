"""Periodic functions of one coordinate through their values at equidistant points."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrodict.physics.system import Coords, Value

__all__ = ["periodic_polynomial"]

_ROUNDING = 1e-15


def periodic_polynomial(values: NDArray[np.float64], coord: str, bounds: tuple[float, float]) -> Value:
    """Return the trigonometric polynomial through values at equidistant points of a period.

    Parameters
    ----------
    values : ndarray, shape (n,)
        At ``low + (high - low) j / n``.
    coord : str
        Coordinate that it is a function of.
    bounds : tuple of float
        The period.

    Returns
    -------
    callable
        Coordinates to values, differentiable by torch to any order; harmonics at the level of rounding are left out.

    Examples
    --------
    >>> f = periodic_polynomial(np.sin(2 * np.pi * np.arange(8) / 8), "x", (0.0, 1.0))
    >>> round(float(f({"x": torch.tensor([0.25], dtype=torch.float64)})[0]), 12)
    1.0
    """
    series = np.fft.rfft(values) / len(values)
    if len(values) % 2 == 0:
        series[-1] *= 0.5  # the last harmonic is its own mirror
    loud = np.flatnonzero(np.abs(series) > _ROUNDING * np.abs(series).max(initial=0.0))
    series = series[: int(loud.max(initial=0)) + 1]
    low, high = bounds

    def function(coords: Coords) -> Tensor:
        angle = 2 * torch.pi * (coords[coord] - low) / (high - low)
        k = torch.arange(1, len(series), dtype=angle.dtype, device=angle.device)
        cos, sin = (torch.as_tensor(v, dtype=angle.dtype, device=angle.device) for v in (series[1:].real, series[1:].imag))
        waves = angle[:, None] * k
        return series[0].real + 2 * (torch.cos(waves) @ cos - torch.sin(waves) @ sin)

    return function
