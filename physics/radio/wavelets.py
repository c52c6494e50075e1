"""Sparsity averaging: an image seen in eight Daubechies bases and in its own pixels (Carrillo et al. 2012, SARA).

Wavelets are periodised, so that every basis is orthogonal and their concatenation, divided by the root of their number,
a tight frame: ``Psi Psi' = 1``. Filters are PyWavelets'; the transforms are compiled loops that agree with its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from retrodict.physics.errors import DataError, expected

__all__ = ["SARA", "Dictionary"]

Reals = NDArray[Any]
Ints = NDArray[np.int64]

SARA = ("db1", "db2", "db3", "db4", "db5", "db6", "db7", "db8", "dirac")
"""The bases of sparsity averaging."""


@dataclass(frozen=True)
class Dictionary:
    """A concatenation of orthogonal bases with ``Psi Psi' = 1``.

    Coefficients are one array, a plane a basis, in the layout of `pywt.coeffs_to_array`: the smooth part in the leading
    corner, around it the details from coarse to fine. Single precision stays single.

    Parameters
    ----------
    shape : tuple of int
        Pixels of the image along either side; even.
    names : sequence of str, optional
        Orthogonal wavelets of PyWavelets, or ``"dirac"`` for the pixels.
    level : int, optional
        How often the smooth part is split; no oftener than both sides can be halved.

    Raises
    ------
    DataError
        If a side is odd, no basis is named, or a name is not that of an orthogonal wavelet.

    Examples
    --------
    >>> psi = Dictionary((8, 8), ("db2", "dirac"))
    >>> x = np.arange(64.0).reshape(8, 8)
    >>> bool(np.allclose(psi.synthesise(psi.analyse(x)), x)), psi.level
    (True, 3)
    """

    shape: tuple[int, int]
    names: Sequence[str] = SARA
    level: int = 4

    def __post_init__(self) -> None:
        if len(self.shape) != 2 or any(s < 2 or s % 2 for s in self.shape):
            raise DataError(expected("Dictionary.shape", self.shape, "two even numbers of pixels"))
        if not self.names:
            raise DataError(expected("Dictionary.names", self.names, "at least one basis"))
        if self.level < 1:
            raise DataError(expected("Dictionary.level", self.level, "at least 1"))
        halvings = min((s & -s).bit_length() - 1 for s in self.shape)
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "level", min(self.level, halvings))
        _ = self._filters

    @property
    def coefficients(self) -> tuple[int, int, int]:
        """Shape of the coefficients: basis, and the sides of the image."""
        return (len(self.names), *self.shape)

    @property
    def scale(self) -> float:
        """One over the root of the number of bases."""
        return float(len(self.names) ** -0.5)

    def analyse(self, x: Reals, out: Reals | None = None) -> Reals:
        """Return ``Psi' x``.

        Parameters
        ----------
        x : ndarray, shape (n, m)
            Image.
        out : ndarray, shape (basis, n, m), optional
            Receives the coefficients; contiguous, of the kind of the image.

        Returns
        -------
        ndarray, shape (basis, n, m)
            Coefficients; their norm is that of the image.

        Raises
        ------
        DataError
            If a shape is wrong.
        """
        from retrodict.physics.radio import wavelet_kernels

        kind = _kind(x)
        image = np.multiply(self._checked("x", x, self.shape), self.scale, dtype=kind, order="C")
        if out is None:
            out = np.empty(self.coefficients, kind)
        self._checked("out", out, self.coefficients, kind)
        banks, halves = self._filters
        half, lines, _ = self._work(kind)
        wavelet_kernels.analyse(image, banks.astype(kind, copy=False), halves, self.level, half, lines, out)
        return out

    def synthesise(self, a: Reals, out: Reals | None = None) -> Reals:
        """Return ``Psi a``, the transpose of `analyse`.

        Parameters
        ----------
        a : ndarray, shape (basis, n, m)
            Coefficients.
        out : ndarray, shape (n, m), optional
            Receives the image; contiguous, of the kind of the coefficients.

        Returns
        -------
        ndarray, shape (n, m)
            Image.

        Raises
        ------
        DataError
            If a shape is wrong.
        """
        from retrodict.physics.radio import wavelet_kernels

        kind = _kind(a)
        given = np.ascontiguousarray(self._checked("a", a, self.coefficients), kind)
        if out is None:
            out = np.empty(self.shape, kind)
        self._checked("out", out, self.shape, kind)
        banks, halves = self._filters
        scale, banks = kind.type(self.scale), banks.astype(kind, copy=False)
        wavelet_kernels.synthesise(given, banks, halves, self.level, scale, *self._work(kind), out)
        return out

    @cached_property
    def subbands(self) -> Ints:
        """Number of the subband of every coefficient, shape (basis, n, m); `labels` names them."""
        out = np.zeros(self.coefficients, np.int64)
        count = 0
        for b, name in enumerate(self.names):
            if name != "dirac":
                for j in range(1, self.level + 1):
                    n, m = self.shape[0] >> j, self.shape[1] >> j
                    out[b, n : 2 * n, :m] = count
                    out[b, :n, m : 2 * m] = count + 1
                    out[b, n : 2 * n, m : 2 * m] = count + 2
                    count += 3
            n, m = (s >> (self.level if name != "dirac" else 0) for s in self.shape)
            out[b, :n, :m] = count
            count += 1
        return out

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of the subbands: basis, level (1 is the finest), and detail (d) or average (a) along x and y."""
        out: list[str] = []
        for name in self.names:
            if name == "dirac":
                out.append("dirac")
                continue
            out += [f"{name}/{j}/{kind}" for j in range(1, self.level + 1) for kind in ("da", "ad", "dd")]
            out.append(f"{name}/{self.level}/aa")
        return tuple(out)

    @cached_property
    def _filters(self) -> tuple[Reals, Ints]:
        """Pairs of taps (basis, pair, low or high, tap), and the number of pairs of each basis."""
        import pywt

        taps: list[Reals] = []
        for name in self.names:
            if name == "dirac":
                taps.append(np.zeros((0, 2, 2)))
                continue
            if name not in pywt.wavelist(kind="discrete") or not pywt.Wavelet(name).orthogonal:
                raise DataError(expected("Dictionary.names", name, "an orthogonal wavelet of PyWavelets, or 'dirac'"))
            wave = pywt.Wavelet(name)
            both = np.array([wave.dec_lo[::-1], wave.dec_hi[::-1]])
            taps.append(both.reshape(2, -1, 2).transpose(1, 0, 2))
        halves = np.array([len(t) for t in taps], np.int64)
        banks = np.zeros((len(taps), max(1, int(halves.max())), 2, 2))
        for bank, t in zip(banks, taps, strict=True):
            bank[: len(t)] = t
        return banks, halves

    def _work(self, kind: np.dtype[Any]) -> tuple[Reals, Reals, Reals]:
        banks, _ = self._filters
        lines = np.empty((2, 2 * self.shape[1] + 2 * banks.shape[1]), kind)
        return np.empty(self.shape, kind), lines, np.empty(self.shape, kind)

    @staticmethod
    def _checked(name: str, value: Reals, shape: tuple[int, ...], kind: DTypeLike | None = None) -> Reals:
        if value.shape != shape:
            raise DataError(expected(f"Dictionary: {name}", f"shape {value.shape}", f"shape {shape}"))
        if kind is not None and (value.dtype != kind or not value.flags.c_contiguous):
            raise DataError(expected(f"Dictionary: {name}", value.dtype, f"a contiguous array of {kind}"))
        return value


def _kind(value: Reals) -> np.dtype[Any]:
    """Single precision stays single; anything else is computed in double."""
    return np.dtype(np.float32 if value.dtype == np.float32 else np.float64)
