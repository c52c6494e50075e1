"""Periodic functions of one coordinate through their values at equidistant points."""

from __future__ import annotations

from typing import Any

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
    turn = 2 * np.pi / (high - low)

    def function(coords: Coords) -> Tensor:
        out: Tensor = _Series.apply(  # type: ignore[no-untyped-call]
            turn * (coords[coord] - low), series, 0
        )
        return out

    return function


class _Series(torch.autograd.Function):
    """``Re sum_k c_k (i k)^order exp(i k x)``; its derivative is the next order, so graphs stay small."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, series: NDArray[np.complex128], order: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.series, ctx.order = series, order
        k = np.arange(len(series))
        weight = np.where(k == 0, 1.0, 2.0) * series * (1j * k) ** order
        wave = torch.polar(torch.ones_like(x), x)
        total = torch.full_like(wave, complex(weight[-1]))
        for c in weight[-2::-1]:
            total.mul_(wave).add_(complex(c))
        return total.real.contiguous()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        slope: Tensor = _Series.apply(x, ctx.series, ctx.order + 1)  # type: ignore[no-untyped-call]
        return grads[0] * slope, None, None
