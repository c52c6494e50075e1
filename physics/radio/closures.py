"""Closure phases and closure amplitudes: what no gain of a station can change.

Over a triangle the phases of ``g_a conj(g_b)`` add up to zero, ``arg V_ab + arg V_bc + arg V_ca``; over a quadrangle
their amplitudes cancel in ``|V_ab V_cd| / (|V_ac| |V_bd|)`` (Thompson, Moran, Swenson 2017, section 10.3). Both are a
matrix of small integers times phases or times logarithms of amplitudes, which gives their values, their gradients and
their covariance (Blackburn et al. 2020, ApJ 894, 31).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from retrodict.physics.errors import DataError, expected
from retrodict.physics.radio.visibilities import Visibilities

__all__ = ["Closures", "closure_amplitudes", "closure_phases"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Complexes = NDArray[np.complex128]
Edge = tuple[int, int]
Loop = tuple[list[Edge], list[int], tuple[int, ...]]
Loops = list[Loop]


@dataclass(frozen=True, eq=False)
class Closures:
    """Closure quantities of one kind.

    Parameters
    ----------
    kind : {"phase", "amplitude"}
        Closure phases [rad], or logarithms of closure amplitudes.
    rows : ndarray of int, shape (closure, k)
        Rows of the table that take part, three or four.
    signs : ndarray, shape (closure, k)
        Their coefficients, 1 or -1.
    antennas : ndarray of int, shape (closure, k)
        The corners of the triangle ``ab + bc + ca``, or ``a, b, c, d`` of ``|ab| |cd| / (|ac| |bd|)``.
    total : int
        Rows of the table.

    Examples
    --------
    See `closure_phases`.
    """

    kind: str
    rows: Ints
    signs: Floats
    antennas: Ints
    total: int

    @property
    def count(self) -> int:
        """Number of closures."""
        return len(self.rows)

    @property
    def matrix(self) -> sparse.csr_array:
        """Return coefficients of phases or of logarithms of amplitudes, shape (closure, row)."""
        width = self.rows.shape[1]
        pointers = np.arange(self.count + 1) * width
        return sparse.csr_array((self.signs.ravel(), self.rows.ravel(), pointers), (self.count, self.total))

    def values(self, data: Complexes) -> Floats:
        """Return closure phases between -pi and pi, or logarithms of closure amplitudes, of visibilities.

        Examples
        --------
        >>> one = Closures("phase", np.array([[0, 1, 2]]), np.ones((1, 3)), np.array([[0, 1, 2]]), 3)
        >>> one.values(np.exp(1j * np.array([3.0, 2.0, 1.5]))).round(6)
        array([0.216815])
        """
        if self.kind == "amplitude":
            return np.asarray((self.signs * np.log(np.abs(data))[self.rows]).sum(axis=1))
        return wrapped((self.signs * np.angle(data)[self.rows]).sum(axis=1))

    def deviations(self, data: Complexes, weight: Floats) -> Floats:
        """Return standard deviations, to first order in the noise: roots of ``sum 1 / (w |V|^2)``."""
        variance = 1 / (weight * np.abs(data) ** 2)
        return np.asarray(np.sqrt(variance[self.rows].sum(axis=1)))

    def pull_back(self, data: Complexes, cotangent: Floats) -> Complexes:
        """Return the gradient with respect to visibilities, under ``Re sum conj(a) b``, of ``cotangent . values``.

        Examples
        --------
        >>> signs = np.array([[1.0, 1, -1, -1]])
        >>> one = Closures("amplitude", np.array([[0, 1, 2, 3]]), signs, np.zeros((1, 4), int), 4)
        >>> one.pull_back(np.full(4, 2.0 + 0j), np.ones(1)).real
        array([ 0.5,  0.5, -0.5, -0.5])
        """
        share = np.bincount(self.rows.ravel(), (cotangent[:, None] * self.signs).ravel(), self.total)
        return np.asarray(share * (1j if self.kind == "phase" else 1) / data.conj())

    def chi_squared(self, data: Complexes, model: Complexes, weight: Floats) -> float:
        """Return the squared misfit under the full covariance; the closures must be independent.

        Parameters
        ----------
        data, model : ndarray of complex, shape (row,)
            Visibilities.
        weight : ndarray, shape (row,)
            Inverse variance of real and of imaginary part.

        Examples
        --------
        >>> one = Closures("phase", np.array([[0, 1, 2]]), np.ones((1, 3)), np.array([[0, 1, 2]]), 3)
        >>> round(one.chi_squared(np.exp(1j * np.array([0.1, 0, 0])), np.ones(3) + 0j, np.full(3, 300.0)), 9)
        1.0
        """
        whitened = self.whitened(data, model, weight)
        return float(whitened @ whitened)

    def whitened(self, data: Complexes, model: Complexes, weight: Floats) -> Floats:
        """Return model less data in independent numbers of unit variance, shape (closure,); parameters as above.

        Closures that share a visibility are correlated: their covariance is factored group by group.

        Examples
        --------
        >>> one = Closures("phase", np.array([[0, 1, 2]]), np.ones((1, 3)), np.array([[0, 1, 2]]), 3)
        >>> one.whitened(np.exp(1j * np.array([0.1, 0, 0])), np.ones(3) + 0j, np.full(3, 300.0)).round(9)
        array([-1.])
        """
        from scipy.sparse.csgraph import connected_components

        gap = self.values(model) - self.values(data)
        gap = wrapped(gap) if self.kind == "phase" else gap
        if not gap.size:
            return gap
        matrix = self.matrix
        covariance = (matrix @ sparse.diags_array(1 / (weight * np.abs(data) ** 2)) @ matrix.T).tocsr()
        groups, label = connected_components(covariance, directed=False)
        order = np.argsort(label, kind="stable")
        for rows in np.split(order, np.cumsum(np.bincount(label, minlength=groups))[:-1]):
            factor = np.linalg.cholesky(covariance[rows][:, rows].toarray())
            gap[rows] = np.linalg.solve(factor, gap[rows])
        return gap


def wrapped(angle: Floats) -> Floats:
    """Return angles between -pi and pi.

    Examples
    --------
    >>> float(wrapped(np.array(2 * np.pi + 0.25)))
    0.25
    """
    return np.asarray(angle - 2 * np.pi * np.round(angle / (2 * np.pi)))


def closure_phases(vis: Visibilities, *, minimal: bool = True) -> Closures:
    """Return the closure phases of a table, triangle by triangle in every time slot, frequency and feed.

    Parameters
    ----------
    vis : Visibilities
        Usable rows: no flags, no autocorrelations, nothing exactly zero; baselines in either order.
    minimal : bool, optional
        An independent set, ``(n - 1) (n - 2) / 2`` of ``n`` antennas that all see each other: first the triangles with
        the antenna of the best signal to noise; or all triangles.

    Returns
    -------
    Closures
        The set.

    Raises
    ------
    DataError
        If a row cannot be used, or a baseline occurs twice in a slot.

    Examples
    --------
    >>> pairs = list(combinations(range(4), 2))
    >>> uvw, ones = np.ones((6, 3)), np.ones(6)
    >>> vis = Visibilities(uvw, ones, 0 * ones, *np.transpose(pairs), ones, ones, 0 * ones)
    >>> closure_phases(vis).antennas.tolist()
    [[0, 1, 2], [0, 1, 3], [0, 2, 3]]
    """
    return _build(vis, "phase", _triangles, 3, minimal)


def closure_amplitudes(vis: Visibilities, *, minimal: bool = True) -> Closures:
    """Return the logarithms of the closure amplitudes of a table, in every time slot, frequency and feed.

    Parameters
    ----------
    vis : Visibilities
        As in `closure_phases`.
    minimal : bool, optional
        An independent set, ``n (n - 3) / 2`` of ``n`` antennas that all see each other; or all three quadrangles of
        every four antennas.

    Returns
    -------
    Closures
        The set.

    Raises
    ------
    DataError
        As in `closure_phases`.

    Examples
    --------
    >>> pairs = list(combinations(range(4), 2))
    >>> uvw, ones = np.ones((6, 3)), np.ones(6)
    >>> vis = Visibilities(uvw, ones, 0 * ones, *np.transpose(pairs), ones, ones, 0 * ones)
    >>> closure_amplitudes(vis).count, closure_amplitudes(vis, minimal=False).count
    (2, 3)
    """
    return _build(vis, "amplitude", _quadrangles, 4, minimal)


def _triangles(antennas: list[int]) -> Iterator[Loop]:
    for a, b, c in combinations(antennas, 3):
        yield [(a, b), (b, c), (c, a)], [1, 1, 1], (a, b, c)


def _quadrangles(antennas: list[int]) -> Iterator[Loop]:
    for one in combinations(antennas, 4):
        for a, b, c, d in (one, (one[0], one[1], one[3], one[2]), (one[0], one[2], one[3], one[1])):
            yield [(a, b), (c, d), (a, c), (b, d)], [1, 1, -1, -1], (a, b, c, d)


def _build(
    vis: Visibilities, kind: str, loops: Callable[[list[int]], Iterator[Loop]], k: int, minimal: bool
) -> Closures:
    bad = vis.flag | (vis.antenna1 == vis.antenna2) | (vis.weight == 0) | (vis.data == 0)
    if bad.any():
        got = f"{int(bad.sum())} rows that are flagged, autocorrelations, weightless or zero"
        raise DataError(expected("closures", got, "usable rows (Visibilities.usable)"))
    slot, _ = vis.slots
    _, group = np.unique(np.stack([slot, vis.frequency, vis.feed]), axis=1, return_inverse=True)
    signal = np.abs(vis.data) ** 2 * vis.weight
    strength = np.bincount(vis.antenna1, signal, len(vis.antennas))
    strength += np.bincount(vis.antenna2, signal, len(vis.antennas))
    rank = np.argsort(np.argsort(-strength, kind="stable"), kind="stable")
    pairs = list(zip(vis.antenna1.tolist(), vis.antenna2.tolist(), strict=True))
    order = np.argsort(group, kind="stable")
    known: dict[tuple[Edge, ...], Loops] = {}
    rows, signs, corners = [], [], []
    for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        edges = {pairs[r]: int(r) for r in members}
        both = {**{(b, a): r for (a, b), r in edges.items()}, **edges}
        if len(both) < 2 * len(members):
            raise DataError(expected("closures", "a baseline twice in a time slot", "one row a slot and baseline"))
        pattern = tuple(sorted(tuple(sorted(e)) for e in edges))
        if pattern not in known:
            known[pattern] = _independent(pattern, rank, loops, minimal)
        for sides, coefficients, names in known[pattern]:
            turned = [
                c if side in edges or kind == "amplitude" else -c for side, c in zip(sides, coefficients, strict=True)
            ]
            rows.append([both[side] for side in sides])
            signs.append(turned)
            corners.append(names)
    shape = (-1, k)
    return Closures(
        kind,
        np.array(rows, np.int64).reshape(shape),
        np.array(signs, np.float64).reshape(shape),
        np.array(corners, np.int64).reshape(shape),
        vis.rows,
    )


def _independent(
    pattern: tuple[Edge, ...], rank: Ints, loops: Callable[[list[int]], Iterator[Loop]], minimal: bool
) -> Loops:
    """Return the loops of a set of baselines; of a minimal set, those that add to the rank."""
    antennas = sorted({a for edge in pattern for a in edge}, key=lambda a: int(rank[a]))
    index = {edge: i for i, edge in enumerate(pattern)}
    found, basis = [], np.zeros((0, len(pattern)))
    for sides, coefficients, names in loops(antennas):
        if not all((min(side), max(side)) in index for side in sides):
            continue
        if minimal:
            row = np.zeros(len(pattern))
            for side, c in zip(sides, coefficients, strict=True):
                turned = -1 if len(sides) == 3 and side[0] > side[1] else 1
                row[index[min(side), max(side)]] += c * turned
            rest = row - basis.T @ (basis @ row)
            if np.linalg.norm(rest) < 1e-6:
                continue
            basis = np.vstack([basis, rest / np.linalg.norm(rest)])
        found.append((sides, coefficients, names))
    return found
