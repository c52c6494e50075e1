"""Compiled loops over the rows of an interferometer: degridding with direction-dependent kernels, and normal equations.

``R = (S - 1) / 2`` is the half-width of a gain kernel, ``J`` the width of the gridding kernel, ``c`` the cube of a row:
``c[qx, qy] = X(u - omega (q - 2R))`` for ``q`` from 0 to ``4R``. Indices into the Fourier grid are those of a copy that
repeats periodically at its edges, so that no loop needs a modulus.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "accumulate",
    "bilinear",
    "cubes",
    "degrid",
    "footprints",
    "gather",
    "grams",
    "grid_rows",
    "responses",
    "scatter",
]

Complexes = NDArray[np.complex128]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@njit(cache=True, nogil=True, fastmath=True)
def cubes(plane: Complexes, corner: Ints, wx: Floats, wy: Floats, extent: int, out: Complexes) -> None:
    """Interpolate the Fourier plane at the shifted frequencies of every row.

    Parameters
    ----------
    plane : ndarray of complex, shape (padded, padded)
        Fourier grid, extended periodically.
    corner : ndarray of int, shape (row, 2)
        First index of the footprint of a row.
    wx, wy : ndarray, shape (row, J)
        Gridding weights.
    extent : int
        ``4R + 1``.
    out : ndarray of complex, shape (row, extent, extent)
        Receives the cube.
    """
    rows, width = wx.shape
    side = extent + width - 1
    half = np.empty((extent, side), np.complex128)
    for m in range(rows):
        x0, y0 = corner[m, 0], corner[m, 1]
        for q in range(extent):
            for b in range(side):
                total = 0j
                for a in range(width):
                    total += wx[m, a] * plane[x0 + extent - 1 - q + a, y0 + b]
                half[q, b] = total
        for q in range(extent):
            for r in range(extent):
                total = 0j
                for b in range(width):
                    total += wy[m, b] * half[q, extent - 1 - r + b]
                out[m, q, r] = total


@njit(cache=True, nogil=True, fastmath=True)
def _ahead(d2: Complexes, c: Complexes, i: int, j: int) -> complex:
    """What multiplies coefficient ``i, j`` of the first receptor of a row, of the kernel of the second and the cube."""
    size = d2.shape[0]
    total = 0j
    for k in range(size):
        for n in range(size):
            total += np.conj(d2[k, n]) * c[i - k + size - 1, j - n + size - 1]
    return total


@njit(cache=True, nogil=True, fastmath=True)
def _behind(d1: Complexes, c: Complexes, i: int, j: int) -> complex:
    """What multiplies coefficient ``i, j`` of the second receptor in ``conj(V)``, of the kernel of the first."""
    size = d1.shape[0]
    total = 0j
    for k in range(size):
        for n in range(size):
            total += d1[k, n] * c[k - i + size - 1, n - j + size - 1]
    return total.conjugate()


@njit(cache=True, nogil=True, fastmath=True)
def responses(
    cube: Complexes,
    own: Complexes,
    other: Complexes,
    first: Ints,
    second: Ints,
    slot: Ints,
    h1: Complexes,
    h2: Complexes,
) -> None:
    """Compute what multiplies the gains of either antenna: ``V = sum d1 h1``, ``conj(V) = sum d2 h2``.

    Parameters
    ----------
    cube : ndarray of complex, shape (row, 4R + 1, 4R + 1)
        Visibility cube.
    own, other : ndarray of complex, shape (slot, receptor, S, S)
        Gain kernels, of which ``d1`` and ``d2`` are taken.
    first, second, slot : ndarray of int, shape (row,)
        Receptors and time slot.
    h1, h2 : ndarray of complex, shape (row, S, S)
        Receive the responses.
    """
    size = own.shape[2]
    for m in range(first.size):
        d1, d2, c = own[slot[m], first[m]], other[slot[m], second[m]], cube[m]
        for i in range(size):
            for j in range(size):
                h1[m, i, j] = _ahead(d2, c, i, j)
                h2[m, i, j] = _behind(d1, c, i, j)


@njit(cache=True, nogil=True, fastmath=True)
def bilinear(
    cube: Complexes, own: Complexes, other: Complexes, first: Ints, second: Ints, slot: Ints, out: Complexes
) -> None:
    """Compute visibilities from the cube, ``V = sum d1 conj(d2) c``.

    Parameters
    ----------
    cube, own, other, first, second, slot
        As in `responses`.
    out : ndarray of complex, shape (row,)
        Receives the visibilities.
    """
    size = own.shape[2]
    for m in range(first.size):
        d1, d2, c = own[slot[m], first[m]], other[slot[m], second[m]], cube[m]
        total = 0j
        for i in range(size):
            for j in range(size):
                total += d1[i, j] * _ahead(d2, c, i, j)
        out[m] = total


@njit(cache=True, nogil=True, fastmath=True)
def footprints(
    own: Complexes,
    other: Complexes,
    first: Ints,
    second: Ints,
    slot: Ints,
    wx: Floats,
    wy: Floats,
    scale: Floats,
    out: NDArray[np.complexfloating],
) -> None:
    """Compute the rows of the sparse degridding matrix: products of gain kernels spread by the gridding kernel.

    Parameters
    ----------
    own, other, first, second, slot
        As in `responses`.
    wx, wy : ndarray, shape (row, J)
        Gridding weights.
    scale : ndarray, shape (row,)
        Factor of each row.
    out : ndarray of complex, shape (row, 4R + J, 4R + J)
        Receives the rows.
    """
    rows, width = wx.shape
    size = own.shape[2]
    extent = 2 * size - 1
    side = extent + width - 1
    product = np.empty((extent, extent), np.complex128)
    half = np.empty((extent, side), np.complex128)
    full = np.empty((side, side), np.complex128)
    for m in range(rows):
        d1, d2 = own[slot[m], first[m]], other[slot[m], second[m]]
        product[:] = 0
        for i in range(size):
            for j in range(size):
                d = d1[i, j] * scale[m]
                for k in range(size):
                    for n in range(size):
                        product[i - k + size - 1, j - n + size - 1] += d * np.conj(d2[k, n])
        half[:] = 0
        for q in range(extent):
            for r in range(extent):
                c = product[q, r]
                for b in range(width):
                    half[q, extent - 1 - r + b] += wy[m, b] * c
        full[:] = 0
        for q in range(extent):
            for a in range(width):
                w = wx[m, a]
                for b in range(side):
                    full[extent - 1 - q + a, b] += w * half[q, b]
        out[m] = full


@njit(cache=True, nogil=True, fastmath=True)
def degrid(rows: NDArray[np.complexfloating], corner: Ints, plane: NDArray[np.complexfloating], out: Complexes) -> None:
    """Compute visibilities from a Fourier plane by stored rows.

    Parameters
    ----------
    rows : ndarray of complex, shape (row, side, side)
        Of `footprints`.
    corner : ndarray of int, shape (row, 2)
        First index of the footprint.
    plane : ndarray of complex, shape (padded, padded)
        Fourier grid, extended periodically.
    out : ndarray of complex, shape (row,)
        Receives the visibilities.
    """
    count, side = rows.shape[0], rows.shape[1]
    for m in range(count):
        x0, y0 = corner[m, 0], corner[m, 1]
        total = rows[0, 0, 0] * 0
        for a in range(side):
            for b in range(side):
                total += rows[m, a, b] * plane[x0 + a, y0 + b]
        out[m] = total


@njit(cache=True, nogil=True, fastmath=True)
def grid_rows(
    rows: NDArray[np.complexfloating],
    corner: Ints,
    values: NDArray[np.complexfloating],
    plane: NDArray[np.complexfloating],
) -> None:
    """Add the adjoint of `degrid` to ``plane``."""
    count, side = rows.shape[0], rows.shape[1]
    for m in range(count):
        x0, y0 = corner[m, 0], corner[m, 1]
        v = values[m]
        for a in range(side):
            for b in range(side):
                plane[x0 + a, y0 + b] += np.conj(rows[m, a, b]) * v


@njit(cache=True, nogil=True, fastmath=True)
def accumulate(
    cube: Complexes,
    rows: Ints,
    leading: NDArray[np.bool_],
    other: Ints,
    slot: Ints,
    kernels: Complexes,
    data: Complexes,
    weight: Floats,
    gram: Complexes,
    moment: Complexes,
) -> None:
    """Accumulate the normal equations of the gains of one receptor, slot by slot.

    Parameters
    ----------
    cube : ndarray of complex, shape (row, 4R + 1, 4R + 1)
        Visibility cube of all rows.
    rows : ndarray of int, shape (n,)
        Rows in which the receptor takes part.
    leading : ndarray of bool, shape (n,)
        Whether it is the first of the pair there.
    other : ndarray of int, shape (n,)
        The other receptor.
    slot : ndarray of int, shape (n,)
        Time slot.
    kernels : ndarray of complex, shape (slot, receptor, S, S)
        Gain kernels of all receptors.
    data : ndarray of complex, shape (row,)
        Visibilities.
    weight : ndarray, shape (row,)
        Inverse variances.
    gram : ndarray of complex, shape (slot, S S, S S)
        Receives ``sum w conj(h) h'``.
    moment : ndarray of complex, shape (slot, S S)
        Receives ``sum w conj(h) y``.
    """
    size = kernels.shape[2]
    n = size * size
    h = np.empty(n, np.complex128)
    for i in range(rows.size):
        m, t = rows[i], slot[i]
        far, c = kernels[t, other[i]], cube[m]
        for a in range(size):
            for b in range(size):
                h[a * size + b] = _ahead(far, c, a, b) if leading[i] else _behind(far, c, a, b)
        w = weight[m]
        y = data[m] if leading[i] else np.conj(data[m])
        for a in range(n):
            left = w * np.conj(h[a])
            moment[t, a] += left * y
            for b in range(a + 1):
                gram[t, a, b] += left * h[b]


@njit(cache=True, nogil=True, fastmath=True)
def gather(
    h1: Complexes, h2: Complexes, first: Ints, second: Ints, slot: Ints, change: Complexes, out: Complexes
) -> None:
    """Compute the change of the visibilities caused by a change of the kernels: ``h1 . d1 + conj(h2 . d2)``.

    Parameters
    ----------
    h1, h2 : ndarray of complex, shape (row, S S)
        Of `responses`.
    first, second, slot : ndarray of int, shape (row,)
        Receptors and time slot.
    change : ndarray of complex, shape (slot, receptor, S S)
        Change of the kernels.
    out : ndarray of complex, shape (row,)
        Receives the change of the visibilities.
    """
    n = h1.shape[1]
    for m in range(first.size):
        one = 0j
        two = 0j
        for a in range(n):
            one += h1[m, a] * change[slot[m], first[m], a]
            two += h2[m, a] * change[slot[m], second[m], a]
        out[m] = one + np.conj(two)


@njit(cache=True, nogil=True, fastmath=True)
def scatter(
    h1: Complexes, h2: Complexes, first: Ints, second: Ints, slot: Ints, values: Complexes, out: Complexes
) -> None:
    """Add the adjoint of `gather` over the reals to ``out``, shape (slot, receptor, S S)."""
    n = h1.shape[1]
    for m in range(first.size):
        v = values[m]
        c = np.conj(v)
        for a in range(n):
            out[slot[m], first[m], a] += np.conj(h1[m, a]) * v
            out[slot[m], second[m], a] += np.conj(h2[m, a]) * c


@njit(cache=True, nogil=True, fastmath=True)
def grams(h1: Complexes, h2: Complexes, first: Ints, second: Ints, slot: Ints, weight: Floats, out: Complexes) -> None:
    """Add the normal matrix of every receptor and slot to ``out``, shape (slot, receptor, S S, S S), lower part."""
    n = h1.shape[1]
    for m in range(first.size):
        t, w = slot[m], weight[m]
        p, q = first[m], second[m]
        for a in range(n):
            one = w * np.conj(h1[m, a])
            two = w * np.conj(h2[m, a])
            for b in range(a + 1):
                out[t, p, a, b] += one * h1[m, b]
                out[t, q, a, b] += two * h2[m, b]
