"""A periodic field with unknown coefficients: a mean and some harmonics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrodict.physics.errors import SolverError, expected
from retrodict.physics.spaces import Var

__all__ = ["Harmonics"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Harmonics:
    """Trigonometric polynomials of one period: ``a_0 + sum_k a_k cos(k w y) + b_k sin(k w y)``, ``y`` from the origin.

    Parameters
    ----------
    count : int
        Number of harmonics.
    period, origin : float
        The interval.

    Raises
    ------
    SolverError
        If there is no harmonic or no period.

    Examples
    --------
    >>> Harmonics(2, 2 * np.pi).values(np.array([0.0])).tolist()  # 1, cos, sin, cos 2, sin 2
    [[1.0, 1.0, 0.0, 1.0, 0.0]]
    """

    count: int
    period: float
    origin: float = 0.0

    def __post_init__(self) -> None:
        if self.count < 1 or not (np.isfinite(self.period) and self.period > 0):
            got = f"{self.count} harmonics of period {self.period}"
            raise SolverError(expected("Harmonics", got, "at least one, and a positive period"))

    @property
    def size(self) -> int:
        """Number of coefficients."""
        return 2 * self.count + 1

    @property
    def var(self) -> Var:
        """The coefficients as a variable of a space."""
        return Var(("coefficient",), (self.size,), long_name="coefficients of the initial field")

    def values(self, x: ArrayLike, order: int = 0) -> Floats:
        """Return the functions or a derivative of them at points, shape (n, size).

        Parameters
        ----------
        x : array_like, shape (n,)
            Points.
        order : int, optional
            Of the derivative.

        Returns
        -------
        ndarray, shape (n, size)
            One column a coefficient.
        """
        y = np.asarray(x, float) - self.origin
        w = 2 * np.pi / self.period * np.arange(1, self.count + 1)
        # cos and sin turn by a quarter with every derivative
        phase = np.multiply.outer(y, w) + 0.5 * np.pi * order
        out = np.empty((len(y), self.size))
        out[:, 0] = 1.0 if order == 0 else 0.0
        out[:, 1::2] = w**order * np.cos(phase)
        out[:, 2::2] = w**order * np.sin(phase)
        return out

    def project(self, profile: Callable[[Floats], Floats]) -> Floats:
        """Return the coefficients of a periodic function, by equidistant samples.

        Parameters
        ----------
        profile : callable
            Points to values.

        Returns
        -------
        ndarray, shape (size,)
            Coefficients.
        """
        n = max(64, 4 * self.count)
        x = self.origin + self.period * np.arange(n) / n
        series = np.fft.rfft(np.broadcast_to(profile(x), x.shape))[: self.count + 1] * (2 / n)
        out = np.empty(self.size)
        out[0], out[1::2], out[2::2] = series[0].real / 2, series[1:].real, -series[1:].imag
        return out
