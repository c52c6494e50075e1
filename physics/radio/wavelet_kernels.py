"""Compiled filter banks of periodised orthogonal wavelets on images, all bases of a dictionary in one call.

With ``p`` the half-length of a filter, ``a`` a signal of even length and ``e`` its periodic extension that begins
``p - 1`` samples early, ``lo[o] = sum_k g[k] e[2 o + k]``, the convention of PyWavelets' mode ``periodization``. Rows
are first parted into even and odd samples, so that every inner loop runs over neighbours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["analyse", "synthesise"]

Reals = NDArray[Any]
Ints = NDArray[np.int64]


@njit(cache=True, nogil=True, fastmath=True)
def _pair(lo: Reals, hi: Reals, even: Reals, odd: Reals, w: Reals, first: bool) -> None:
    """Add two taps of both filters; ``w`` holds their weights, shape (2, 2), filter by tap."""
    a, b, c, d = w[0, 0], w[0, 1], w[1, 0], w[1, 1]
    if first:
        for j in range(lo.size):
            lo[j] = a * even[j] + b * odd[j]
            hi[j] = c * even[j] + d * odd[j]
    else:
        for j in range(lo.size):
            lo[j] += a * even[j] + b * odd[j]
            hi[j] += c * even[j] + d * odd[j]


@njit(cache=True, nogil=True, fastmath=True)
def _wrap(line: Reals, since: int, period: int, stop: int) -> None:
    """Continue ``line[since : since + period]`` periodically to the entries from 0 to ``stop``."""
    for j in range(since - 1, -1, -1):
        line[j] = line[j + period]
    for j in range(since + period, stop):
        line[j] = line[j - period]


@njit(cache=True, nogil=True, fastmath=True)
def _forward(
    source: Reals, bank: Reals, p: int, n: int, m: int, half: Reals, even: Reals, odd: Reals, out: Reals
) -> None:
    """Transform the leading ``n`` by ``m`` corner of ``source`` into that of ``out``; ``out`` may be ``source``."""
    q, parity, s = m // 2, 1 - p % 2, p // 2
    for i in range(n):
        row, target = source[i], half[i]
        ahead, behind = even[s:][:q], odd[s - parity :][:q]
        for j in range(q):
            ahead[j] = row[2 * j + parity]
            behind[j] = row[2 * j + 1 - parity]
        _wrap(even, s, q, q + p - 1)
        _wrap(odd, s - parity, q, q + p - 1)
        for r in range(p):
            _pair(target[:q], target[q:m], even[r:][:q], odd[r:][:q], bank[r], r == 0)
    for o in range(n // 2):
        lo, hi = out[o][:m], out[o + n // 2][:m]
        for r in range(p):
            k = (2 * (o + r) + 1 - p) % n
            _pair(lo, hi, half[k][:m], half[(k + 1) % n][:m], bank[r], r == 0)


@njit(cache=True, nogil=True, fastmath=True)
def _backward(
    source: Reals, bank: Reals, p: int, n: int, m: int, half: Reals, lo: Reals, hi: Reals, out: Reals
) -> None:
    """Transpose of `_forward`, from the corner of ``source`` to that of ``out``; ``out`` may be ``source``."""
    for o in range(n // 2):
        k = (2 * o + 1 - p) % n
        even, odd = half[k][:m], half[(k + 1) % n][:m]
        for r in range(p):
            s = (o - r) % (n // 2)
            _pair(even, odd, source[s][:m], source[s + n // 2][:m], bank[r].T, r == 0)
    q, parity = m // 2, 1 - p % 2
    first = (p // 2) % q
    for i in range(n):
        row, target = half[i], out[i]
        lo[p - 1 :][:q] = row[:q]
        hi[p - 1 :][:q] = row[q:m]
        _wrap(lo, p - 1, q, 0)
        _wrap(hi, p - 1, q, 0)
        even, odd = lo[q + p - 1 :][:q], hi[q + p - 1 :][:q]
        for r in range(p):
            _pair(even, odd, lo[p - 1 - r :][:q], hi[p - 1 - r :][:q], bank[r].T, r == 0)
        _place(even, first, target[parity:])
        _place(odd, (first - parity) % q, target[1 - parity :])


@njit(cache=True, nogil=True, fastmath=True)
def _place(samples: Reals, first: int, target: Reals) -> None:
    """Write samples to every second entry, the first of them ``first`` samples before the end of the period."""
    q = samples.size
    for j in range(first):
        target[2 * (q - first + j)] = samples[j]
    for j in range(first, q):
        target[2 * (j - first)] = samples[j]


@njit(cache=True, nogil=True, fastmath=True)
def analyse(x: Reals, banks: Reals, halves: Ints, level: int, half: Reals, lines: Reals, out: Reals) -> None:
    """Compute the coefficients of an image in every basis.

    Parameters
    ----------
    x : ndarray, shape (n, m)
        Image.
    banks : ndarray, shape (basis, taps / 2, 2, 2)
        Filters: pair of taps, low or high pass, tap of the pair.
    halves : ndarray of int, shape (basis,)
        Pairs of taps of each basis; zero stands for the pixels themselves.
    level : int
        How often the smooth part is split.
    half : ndarray, shape (n, m)
        Work space.
    lines : ndarray, shape (2, 2 m + taps)
        Work space.
    out : ndarray, shape (basis, n, m)
        Receives the coefficients.
    """
    for b in range(halves.size):
        n, m = x.shape
        if halves[b] == 0:
            out[b, :, :] = x
            continue
        _forward(x, banks[b], halves[b], n, m, half, lines[0], lines[1], out[b])
        for _ in range(1, level):
            n //= 2
            m //= 2
            _forward(out[b], banks[b], halves[b], n, m, half, lines[0], lines[1], out[b])


@njit(cache=True, nogil=True, fastmath=True)
def synthesise(
    a: Reals, banks: Reals, halves: Ints, level: int, scale: float, half: Reals, lines: Reals, work: Reals, x: Reals
) -> None:
    """Compute ``scale`` times the sum over the bases of the transpose of `analyse`; ``work`` is one more image."""
    x[:, :] = 0
    n, m = x.shape
    for b in range(halves.size):
        if halves[b] == 0:
            for i in range(n):
                for j in range(m):
                    x[i, j] += a[b, i, j]
            continue
        work[:, :] = a[b]
        for step in range(level - 1, -1, -1):
            _backward(work, banks[b], halves[b], n >> step, m >> step, half, lines[0], lines[1], work)
        for i in range(n):
            for j in range(m):
                x[i, j] += work[i, j]
    for i in range(n):
        for j in range(m):
            x[i, j] *= scale
