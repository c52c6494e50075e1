"""Series in space: what a window's end hands to the next window, so that nesting does not grow with their number.

Periodic coordinates carry sines and cosines, others Chebyshev polynomials; several coordinates carry products.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrodict.physics.system import Coords

__all__ = ["Axis", "Series"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """Basis functions of one coordinate.

    Parameters
    ----------
    low, high : float
        The interval.
    degree : int
        Largest wavenumber, or degree of polynomials.
    periodic : bool
        Whether the interval is one period.

    Examples
    --------
    >>> Axis(0.0, 2 * math.pi, 1, True).basis(torch.zeros(1))
    tensor([[1., 1., 0.]])
    """

    low: float
    high: float
    degree: int
    periodic: bool

    @property
    def nodes(self) -> Floats:
        """Points that determine the coefficients, twice as many as needed."""
        if self.periodic:
            count = 4 * self.degree + 4
            return self.low + (self.high - self.low) * np.arange(count) / count
        share = 0.5 - 0.5 * np.cos(np.pi * np.arange(2 * self.degree + 3) / (2 * self.degree + 2))
        return np.asarray(self.low + (self.high - self.low) * share)

    def centres(self, count: int) -> Floats:
        """Return equidistant points of a period, or Chebyshev points without the ends."""
        share = (np.arange(count) + 0.5) / count
        share = share - 0.5 / count if self.periodic else 0.5 - 0.5 * np.cos(np.pi * share)
        return np.asarray(self.low + (self.high - self.low) * share)

    def basis(self, x: Tensor) -> Tensor:
        """Return all functions at points, shape (n, size), differentiable by torch."""
        if self.periodic:
            angle = x[:, None] * self._wavenumbers.to(x)
            return torch.cat([torch.ones_like(x)[:, None], torch.cos(angle), torch.sin(angle)], 1)
        z = (2 * x - self.low - self.high) / (self.high - self.low)
        columns = [torch.ones_like(z), z]
        for _ in range(2, self.degree + 1):
            columns.append(2 * z * columns[-1] - columns[-2])
        return torch.stack(columns[: self.degree + 1], 1)

    def slopes(self, x: Floats, order: int) -> Floats:
        """Return a derivative of all functions of a periodic coordinate, shape (n, size), in closed form."""
        k = self._wavenumbers.numpy()
        angle, turn = np.multiply.outer(x, k), 0.5 * np.pi * order
        constant = np.full((len(x), 1), float(order == 0))
        return np.hstack([constant, k**order * np.cos(angle + turn), k**order * np.sin(angle + turn)])

    @property
    def _wavenumbers(self) -> Tensor:
        k = torch.arange(1, self.degree + 1, dtype=torch.float64)
        return 2 * math.pi / (self.high - self.low) * k

    @cached_property
    def analysis(self) -> Floats:
        """Matrix from values at the nodes to coefficients, by least squares."""
        return np.asarray(np.linalg.pinv(self.basis(torch.from_numpy(self.nodes)).numpy()))

    def reach(self, coefficients: Floats, floor: float) -> int:
        """Return the largest wavenumber or degree whose coefficient is above ``floor`` times the largest one."""
        size = np.abs(coefficients)
        if self.periodic:
            tail = size[1:].reshape(2, self.degree).max(0)
            size = np.concatenate([size[:1], tail])
        return int(np.flatnonzero(size >= floor * size.max())[-1]) if size.any() else 0


@dataclass(frozen=True)
class Series:
    """Products of the axes' functions.

    Parameters
    ----------
    axes : Mapping of str to Axis
        By coordinate.

    Examples
    --------
    >>> series = Series({"x": Axis(0.0, 2 * math.pi, 3, True)})
    >>> trace = series.function(series.project(np.sin(series.nodes["x"])))
    >>> abs(float(trace({"x": torch.tensor([0.5], dtype=torch.float64)})) - math.sin(0.5)) < 1e-14
    True
    """

    axes: Mapping[str, Axis]

    @cached_property
    def nodes(self) -> dict[str, Floats]:
        """Points that determine the coefficients, each of shape (n,)."""
        mesh = np.meshgrid(*(a.nodes for a in self.axes.values()), indexing="ij")
        return {name: m.ravel() for name, m in zip(self.axes, mesh, strict=True)}

    def project(self, values: Floats) -> Floats:
        """Return the coefficients of values at the nodes, one axis a dimension."""
        out = values.reshape([len(a.nodes) for a in self.axes.values()])
        for i, axis in enumerate(self.axes.values()):
            out = np.moveaxis(np.tensordot(axis.analysis, out, (1, i)), 0, i)
        return out

    def function(self, coefficients: Floats) -> Callable[[Coords], Tensor]:
        """Return the series as a function of coordinates that torch can differentiate."""
        fixed = torch.from_numpy(np.ascontiguousarray(coefficients))

        def value(coords: Coords) -> Tensor:
            bases = [axis.basis(coords[name]) for name, axis in self.axes.items()]
            total = bases[0] @ fixed.to(bases[0]).reshape(bases[0].shape[1], -1)
            for basis in bases[1:]:
                total = (total.view(*basis.shape, -1) * basis[:, :, None]).sum(1)
            return total.view(-1)

        return value

    def slopes(self, coords: Mapping[str, Floats], by: Sequence[str]) -> Floats:
        """Return a derivative of all products at points, shape (n, size); for periodic axes."""
        out = np.ones((len(next(iter(coords.values()))), 1))
        for name, axis in self.axes.items():
            part = axis.slopes(coords[name], list(by).count(name))
            out = (out[:, :, None] * part[:, None, :]).reshape(len(out), -1)
        return out

    def reach(self, coefficients: Floats, floor: float = 1e-8) -> dict[str, int]:
        """Return the largest wavenumber or degree of every coordinate with a coefficient that counts."""
        out = {}
        for i, (name, axis) in enumerate(self.axes.items()):
            flat = np.abs(np.moveaxis(coefficients, i, 0)).reshape(coefficients.shape[i], -1).max(1)
            out[name] = axis.reach(flat, floor)
        return out
