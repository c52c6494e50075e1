"""The oversampled Fourier grid of an image: gridding by Kaiser-Bessel kernels, and its adjoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from retrodict.physics.errors import DataError, expected

__all__ = ["WIDTH", "FourierGrid"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WIDTH = 6
"""Cells that a gridding kernel spans: 6 at an oversampling of 2 is accurate to some 1e-5, 8 to 1e-7."""


@dataclass(frozen=True)
class FourierGrid:
    """The oversampled Fourier grid of an image and the footprints of rows on it (Kaiser-Bessel gridding).

    Parameters
    ----------
    uv : ndarray, shape (row, 2)
        Spatial frequencies [rad/pixel].
    size : int
        Pixels along a side of the image.
    reach : int
        Cells by which a footprint grows on either side: ``2 R`` for gains of half-width ``R``.
    width : int
        Cells of the gridding kernel.

    Raises
    ------
    DataError
        If a frequency lies beyond ``pi``: the pixels are too coarse.

    Examples
    --------
    >>> grid = FourierGrid(np.array([[0.3, -0.2]]), 16)
    >>> x = np.zeros((16, 16)); x[8 + 2, 8 + 1] = 1
    >>> row = grid.wx[0][:, None] * grid.wy[0]
    >>> i, j = grid.corner[0]
    >>> v = (row * grid.plane(x)[i:i + 6, j:j + 6]).sum()
    >>> bool(abs(v - np.exp(-1j * (0.3 * 2 - 0.2 * 1))) < 1e-5)
    True
    """

    uv: Floats
    size: int
    reach: int = 0
    width: int = WIDTH
    corner: Ints = field(init=False, repr=False)
    wx: Floats = field(init=False, repr=False)
    wy: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        largest = float(np.abs(self.uv).max(initial=0.0))
        if largest > np.pi * (1 + 1e-9):
            got = f"spatial frequencies up to {largest:.3g} rad/pixel"
            raise DataError(expected("Grid.cell", got, f"at most pi: pixels smaller by {np.pi / largest:.3g}"))
        s = self.uv * (self.padded / (2 * np.pi))
        low = np.floor(s).astype(np.int64) - (self.width // 2 - 1)
        offsets = s[:, :, None] - (low[:, :, None] + np.arange(self.width))
        weights = _kaiser_bessel(offsets, self.width)
        object.__setattr__(self, "corner", np.ascontiguousarray((low - self.reach) % self.padded))
        object.__setattr__(self, "wx", np.ascontiguousarray(weights[:, 0]))
        object.__setattr__(self, "wy", np.ascontiguousarray(weights[:, 1]))

    @property
    def padded(self) -> int:
        """``K``, twice the size of the image."""
        return 2 * self.size

    @property
    def side(self) -> int:
        """Cells of a footprint along a side."""
        return self.width + 2 * self.reach

    @cached_property
    def correction(self) -> Floats:
        """What the image is multiplied by, shape (N,): one over the transform of the gridding kernel."""
        n = np.arange(self.size) - self.size // 2
        z = np.sqrt(_beta(self.width) ** 2 - (np.pi * self.width * n / self.padded) ** 2)
        return np.asarray(z / (self.width * np.sinh(z)))

    def plane(self, image: NDArray[np.floating], dtype: str = "complex128") -> NDArray[np.complexfloating]:
        """Return the Fourier grid of an image, repeated at its edges, shape (K + side, K + side)."""
        n, k, half = self.size, self.padded, self.size // 2
        flat = image * self.correction[:, None] * self.correction
        strip = np.zeros((n, k), np.complex64 if dtype == "complex64" else np.complex128)
        strip[:, :half] = flat[:, half:]
        strip[:, -half:] = flat[:, :half]
        strip = fft.fft(strip, axis=1, overwrite_x=True)
        full = np.zeros((k + self.side, k + self.side), strip.dtype)
        full[:half, :k] = strip[half:]
        full[k - half : k, :k] = strip[:half]
        full[:k, :k] = fft.fft(full[:k, :k], axis=0)
        full[k:, :k] = full[: self.side, :k]
        full[:, k:] = full[:, : self.side]
        return full

    def image(self, plane: NDArray[np.complexfloating]) -> Floats:
        """Adjoint of `plane`, over the reals; overwrites its argument."""
        n, k, half, side = self.size, self.padded, self.size // 2, self.side
        plane[:, :side] += plane[:, k:]
        plane[:side, :k] += plane[k:, :k]
        tall = fft.ifft(plane[:k, :k], axis=0, norm="forward")
        strip = np.concatenate([tall[k - half :], tall[:half]])
        strip = fft.ifft(strip, axis=1, norm="forward", overwrite_x=True)
        flat = np.concatenate([strip[:, -half:], strip[:, :half]], axis=1).real
        return np.asarray(flat * self.correction[:, None] * self.correction, np.float64).reshape(n, n)


def _beta(width: int) -> float:
    """Shape of the Kaiser-Bessel kernel: of least error for images that fill the field, found by trial."""
    return 2.3 * width


def _kaiser_bessel(offset: Floats, width: int) -> Floats:
    return np.asarray(np.i0(_beta(width) * np.sqrt(np.clip(1 - (2 * offset / width) ** 2, 0, None))))
