"""Direction-dependent gains: smooth over the field, hence a few Fourier coefficients, and smooth in time.

``D_{t,r}(n) = sum_k d_{t,r}[k] exp(i (2 pi / K) k . n)`` over ``k`` in ``[-R, R]^2``, and
``d_{t,r} = sum_p B[t, p] U[r, p]`` (Repetti et al. 2017, MNRAS 470, 3981; Thouvenin et al. 2018 for the time axis).
The padded size ``K`` is part of the meaning of the coefficients: it is stored with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrodict.physics.errors import DataError, expected

__all__ = ["Kernels", "TimeBasis"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

BasisKind = Literal["constant", "dct", "fourier", "b-spline", "slots"]


@dataclass(frozen=True)
class TimeBasis:
    """Functions of time that a gain coefficient is a sum of.

    Parameters
    ----------
    kind : {"constant", "dct", "fourier", "b-spline", "slots"}
        ``dct``: cosines over the observation, free at its ends; ``fourier``: complex exponentials, periodic over
        ``margin`` times the observation; ``b-spline``: cubic, on equal knots; ``slots``: every time slot on its own.
    start, stop : float
        First and last time of the observation [s].
    terms : int
        Number of functions ``P``; odd for ``fourier``, at least 4 for ``b-spline``.
    times : tuple of float, optional
        The slots of ``slots``.
    margin : float
        Period of ``fourier`` in lengths of the observation; 1 forces equal gains at both ends.

    Raises
    ------
    DataError
        If the kind is unknown, the number of terms does not suit it, or the interval is empty.

    Examples
    --------
    >>> TimeBasis("dct", 0.0, 10.0, 2).at([0.0, 10.0]).round(3)
    array([[ 1.   ,  1.414],
           [ 1.   , -1.414]])
    """

    kind: BasisKind
    start: float = 0.0
    stop: float = 1.0
    terms: int = 1
    times: tuple[float, ...] = ()
    margin: float = 1.25

    def __post_init__(self) -> None:
        if self.kind not in ("constant", "dct", "fourier", "b-spline", "slots"):
            raise DataError(expected("TimeBasis.kind", repr(self.kind), "constant, dct, fourier, b-spline or slots"))
        wrong = {
            "constant": self.terms != 1,
            "fourier": self.terms % 2 == 0,
            "b-spline": self.terms < 4,
            "slots": self.terms != len(self.times),
        }.get(self.kind, False)
        if self.terms < 1 or wrong:
            wanted = {
                "constant": "1",
                "fourier": "an odd number",
                "b-spline": "at least 4",
                "slots": "one for each time",
            }
            raise DataError(expected("TimeBasis.terms", self.terms, wanted.get(self.kind, "at least 1")))
        if not (self.stop >= self.start and self.margin >= 1):
            raise DataError(expected("TimeBasis", f"{self.start} to {self.stop}", "an interval, and a margin of >= 1"))

    @classmethod
    def spanning(cls, kind: BasisKind, times: ArrayLike, terms: int = 1) -> TimeBasis:
        """Return the basis over the slots of an observation, shape (slot,)."""
        t = np.asarray(times, float)
        if kind == "slots":
            return cls(kind, float(t.min()), float(t.max()), t.size, tuple(float(v) for v in t))
        return cls(kind, float(t.min()), float(t.max()), 1 if kind == "constant" else terms)

    def at(self, times: ArrayLike) -> Complexes | Floats:
        """Return the functions at times, shape (time, terms); their mean square over the observation is about 1.

        Raises
        ------
        DataError
            If ``slots`` are asked for at a time that is not one of them.
        """
        t = np.atleast_1d(np.asarray(times, float))
        tau = (t - self.start) / ((self.stop - self.start) or 1.0)
        p = np.arange(self.terms)
        if self.kind in ("constant", "dct"):
            return np.asarray(np.where(p > 0, np.sqrt(2.0), 1.0) * np.cos(np.pi * p * tau[:, None]))
        if self.kind == "fourier":
            order = _fourier_order(self.terms)
            return np.asarray(np.exp(2j * np.pi * order * tau[:, None] / self.margin), np.complex128)
        if self.kind == "b-spline":
            from scipy.interpolate import BSpline

            inner = np.linspace(0, 1, self.terms - 2)
            knots = np.concatenate([[0.0] * 3, inner, [1.0] * 3])
            scale = np.sqrt(self.terms - 3)
            return np.asarray(scale * BSpline(knots, np.eye(self.terms), 3)(np.clip(tau, 0, 1)), np.float64)
        near = np.asarray(np.abs(t[:, None] - np.asarray(self.times)) < 1e-3)
        if not near.any(axis=1).all():
            raise DataError(expected("TimeBasis", "a time that is no slot", "one of the slots the gains belong to"))
        return np.asarray(near, np.float64)

    @property
    def steady(self) -> Floats:
        """Coefficients of the function that is 1 at all times, shape (terms,)."""
        first = np.zeros(self.terms)
        if self.kind in ("slots", "b-spline"):
            return np.full(self.terms, 1.0 if self.kind == "slots" else 1 / np.sqrt(self.terms - 3))
        first[0] = 1.0
        return first


@dataclass(frozen=True)
class Kernels:
    """Shape of band-limited gains: how many coefficients, on which padded grid, over which functions of time.

    Parameters
    ----------
    size : int
        ``S``, odd: coefficients along each axis; 1 is a gain without direction.
    padded : int
        ``K``: the field is one period of the first harmonic divided by ``K / N``.
    basis : TimeBasis
        Functions of time.
    receptors : int
        Number of receptors: feeds times antennas.

    Raises
    ------
    DataError
        If the size is even or not below ``K / 2``, or there are no receptors.

    Examples
    --------
    >>> Kernels(5, 256, TimeBasis("dct", 0, 1, 3), 27).shape
    (27, 3, 5, 5)
    """

    size: int
    padded: int
    basis: TimeBasis
    receptors: int

    def __post_init__(self) -> None:
        if self.size < 1 or self.size % 2 == 0 or 2 * self.size >= self.padded:
            raise DataError(expected("Kernels.size", self.size, f"an odd number below {self.padded} / 2"))
        if self.receptors < 2:
            raise DataError(expected("Kernels.receptors", self.receptors, "at least two"))

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the unknowns: receptor, term, kx, ky."""
        return (self.receptors, self.basis.terms, self.size, self.size)

    @property
    def half(self) -> int:
        """``R``."""
        return self.size // 2

    def unit(self) -> Complexes:
        """Return the coefficients of gains that are 1 everywhere and always."""
        gains = np.zeros(self.shape, np.complex128)
        gains[:, :, self.half, self.half] = self.basis.steady
        return gains

    def check(self, gains: ArrayLike) -> Complexes:
        """Return gains as an array of the right shape.

        Raises
        ------
        DataError
            If the shape is wrong or a number is not finite.
        """
        array = np.asarray(gains, np.complex128)
        if array.shape != self.shape or not np.isfinite(array).all():
            raise DataError(expected("gains", f"shape {array.shape}", f"finite numbers of shape {self.shape}"))
        return array

    def at(self, gains: Complexes, times: ArrayLike) -> Complexes:
        """Return the kernels at times, shape (time, receptor, S, S)."""
        return np.asarray(np.einsum("tp,rpij->trij", self.basis.at(times), gains, optimize=True), np.complex128)

    def screens(self, kernels: Complexes, x: ArrayLike, y: ArrayLike) -> Complexes:
        """Return the gains towards directions.

        Parameters
        ----------
        kernels : ndarray of complex, shape (..., S, S)
            As `at` returns them.
        x, y : array_like, shape (point,)
            Directions in pixels from the phase centre.

        Returns
        -------
        ndarray of complex, shape (..., point)
            ``D``.
        """
        k = np.arange(-self.half, self.half + 1)
        omega = 2j * np.pi / self.padded
        ex = np.exp(omega * k[:, None] * np.asarray(x, float))
        ey = np.exp(omega * k[:, None] * np.asarray(y, float))
        return np.asarray(np.einsum("...ij,in,jn->...n", kernels, ex, ey, optimize=True), np.complex128)


def _fourier_order(terms: int) -> NDArray[np.int64]:
    """0, 1, -1, 2, -2 ...: the steady term comes first in every basis that has one."""
    p = np.arange(terms)
    return np.where(p % 2 == 1, (p + 1) // 2, -p // 2)
