"""Nodes where the solution needs them: slopes and curvatures shared out evenly, neighbouring cells of similar size."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from retrodict.physics.errors import SolverError, expected

__all__ = ["equidistributed", "halved"]

Floats = NDArray[np.float64]


def equidistributed(x: Floats, U: Floats, nodes: int, *, keep: float | None = None, grading: float = 0.25) -> Floats:
    """Return nodes between which the unknowns and their slopes change by equal amounts.

    The cost of a cell is its share of the line, plus the largest change of any unknown relative to its range, plus the
    largest change of any slope relative to the slope's range. Cells grow by at most ``grading`` times the distance.

    Parameters
    ----------
    x : ndarray, shape (n,)
        Present nodes, increasing.
    U : ndarray, shape (n, M)
        Unknowns on them.
    nodes : int
        Number of nodes wanted.
    keep : float, optional
        A position that must be a node.
    grading : float
        Largest growth of the cell size with distance.

    Returns
    -------
    ndarray, shape (nodes,)
        The ends are kept.

    Raises
    ------
    SolverError
        If fewer than five nodes are wanted.

    Examples
    --------
    >>> x = np.linspace(0, 1, 101)
    >>> finest = np.diff(equidistributed(x, np.tanh((x[:, None] - 0.5) * 40), 31)).min()
    >>> bool(finest < 0.01)
    True
    """
    if nodes < 5:
        raise SolverError(expected("equidistributed", f"{nodes} nodes", "at least 5"))
    fine = np.unique(np.concatenate([np.linspace(a, b, 9) for a, b in pairwise(x)]))
    density = np.interp(fine, (x[1:] + x[:-1]) / 2, _cost(x, U) / np.diff(x))
    size = 1 / density
    for _ in range(8):  # the number of nodes follows from the sizes, which are limited in turn by the grading
        size *= _cells(fine, size) / (nodes - 1)
        size = _graded(fine, size, grading)
    count = np.concatenate([[0.0], np.cumsum(np.diff(fine) * (1 / size[1:] + 1 / size[:-1]) / 2)])
    marks = np.linspace(0, count[-1], nodes)
    if keep is not None:
        held = float(np.interp(keep, fine, count))
        at = int(np.clip(np.rint(held / count[-1] * (nodes - 1)), 1, nodes - 2))
        marks = np.concatenate([np.linspace(0, held, at + 1), np.linspace(held, count[-1], nodes - at)[1:]])
    made = np.asarray(np.interp(marks, count, fine))
    made[0], made[-1] = x[0], x[-1]
    if keep is not None:
        made[at] = keep
    return made


def halved(x: Floats) -> Floats:
    """Return the nodes with a new one in the middle of every cell.

    Examples
    --------
    >>> halved(np.array([0.0, 1.0, 3.0])).tolist()
    [0.0, 0.5, 1.0, 2.0, 3.0]
    """
    finer = np.empty(2 * x.size - 1)
    finer[::2], finer[1::2] = x, (x[1:] + x[:-1]) / 2
    return finer


def _cost(x: Floats, U: Floats) -> Floats:
    """Return the cost of every cell, shape (n - 1,)."""
    dx = np.diff(x)
    span = np.ptp(U, axis=0)
    matters = span > 1e-4 * np.abs(U).max(axis=0) + 1e-10
    changes = np.diff(U[:, matters], axis=0)
    slopes = changes / dx[:, None]
    bend = np.abs(np.diff(slopes, axis=0)) / (np.ptp(slopes, axis=0) + 1e-300)
    at_node = np.concatenate([[0.0], bend.max(axis=1, initial=0.0), [0.0]])
    share = np.abs(changes / span[matters]).max(axis=1, initial=0.0)
    return np.asarray(dx / (x[-1] - x[0]) + 2 * share + (at_node[1:] + at_node[:-1]) / 2)


def _cells(x: Floats, size: Floats) -> float:
    return float(np.sum(np.diff(x) * (1 / size[1:] + 1 / size[:-1]) / 2))


def _graded(x: Floats, size: Floats, grading: float) -> Floats:
    """Limit the size at every point by that of all others plus ``grading`` times the distance."""
    rising = size - grading * x
    forward = np.minimum.accumulate(rising) + grading * x
    falling = size + grading * x
    backward = np.minimum.accumulate(falling[::-1])[::-1] - grading * x
    return np.minimum(forward, backward)
