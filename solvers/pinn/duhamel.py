"""The error of a solution with uniform coefficients from its residual, Fourier mode by Fourier mode.

``e_t + c e_x = nu e_xx + r`` is ``e_k(t) = int_0^t exp(-(nu k^2 + i c k)(t - s)) r_k(s) ds`` for each mode k: the signs
of the residual count, which a bound by norms throws away.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from retrodict.physics.pde.quasilinear import QuasiLinear
from retrodict.physics.system import key
from retrodict.solvers.pinn.windows import Piece, Window

__all__ = ["duhamel_bound"]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
_NODES, _GAUSS = np.polynomial.legendre.leggauss(6)


def duhamel_bound(pieces: Sequence[Piece], times: Floats, *, accuracy: float = 0.05, rounds: int = 8) -> Floats:
    """Return the norm of the error at times, plus what quadrature leaves open.

    Parameters
    ----------
    pieces : sequence of Piece
        Windows of one system in one dimension with uniform coefficients.
    times : ndarray, shape (n,)
        Ascending, within the windows.
    accuracy : float, optional
        Share of the largest error down to which quadrature is refined.
    rounds : int, optional
        Times that intervals may be halved.

    Returns
    -------
    ndarray, shape (n,)
        The bound.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.pinn.trial import Trial, separate_networks
    >>> system = convection(1.0)
    >>> trial = Trial(system, separate_networks(system, 4, 1))
    >>> frozen = Piece(trial, np.zeros(trial.size))  # u = sin x for ever: the error is sin x - sin(x - t)
    >>> bound = duhamel_bound([frozen], np.array([1.0]))
    >>> bool(np.isclose(bound[0], 2 * np.sin(0.5) * np.sqrt(np.pi), rtol=1e-3))
    True
    """
    intervals, count = 32, 128
    coarse = _errors(pieces, times, intervals, count)
    for _ in range(rounds):
        fine = _errors(pieces, times, 2 * intervals, 2 * count)
        open_ = _norm(pieces[0], fine - np.pad(coarse, ((0, 0), (0, fine.shape[1] - coarse.shape[1]))))
        size = _norm(pieces[0], fine)
        if open_.max(initial=0.0) <= accuracy * size.max(initial=0.0):
            break
        coarse, intervals, count = fine, 2 * intervals, min(2 * count, 2048)
    # the difference of two quadratures bounds the error of the finer one with a margin
    return np.asarray(np.maximum.accumulate(open_) + size)


def _system(piece: Piece) -> QuasiLinear:
    system = piece.trial.system
    found = system.system if isinstance(system, Window) else system
    assert isinstance(found, QuasiLinear)
    return found


def _rates(piece: Piece, count: int) -> tuple[Floats, Complexes]:
    """Return wave numbers of the non-negative modes and ``nu k^2 + i c k``."""
    system = _system(piece)
    (x,) = system.space
    low, high = system.coords[x].bounds
    k = 2 * np.pi / (high - low) * np.arange(count // 2 + 1)
    params = {name: torch.tensor(v, dtype=torch.float64) for name, v in system.values.items()}
    zero = torch.zeros(1, dtype=torch.float64)
    nu = float(system.diffusivity(zero, {}, params)) if system.diffusivity else 0.0
    return k, nu * k**2 + 1j * k * (system.values[system.streams[x]] if x in system.streams else 0.0)


def _norm(piece: Piece, modes: Complexes) -> Floats:
    """Return norms of real functions from their non-negative modes, shape (times,)."""
    (x,) = _system(piece).space
    low, high = _system(piece).coords[x].bounds
    weight = np.full(modes.shape[1], 2.0)
    weight[0] = 1.0
    return np.asarray(np.sqrt((high - low) * np.sum(weight * np.abs(modes) ** 2, 1)))


def _errors(pieces: Sequence[Piece], times: Floats, intervals: int, count: int) -> Complexes:
    """Return the modes of the error at times, shape (times, count // 2 + 1)."""
    _, rate = _rates(pieces[0], count)
    error, out = np.zeros(len(rate), complex), np.zeros((len(times), len(rate)), complex)
    for i, piece in enumerate(pieces):
        low, high = piece.window
        last = i == len(pieces) - 1
        mine = np.flatnonzero((times >= low) & ((times <= high) if last else (times < high)))
        graded = 2.0 ** np.arange(-20, 0) / intervals
        edges = low + (high - low) * np.concatenate([[0.0], graded, np.arange(1, intervals + 1) / intervals])
        edges = np.unique(np.concatenate([edges, times[mine], [high]]))
        half, middle = 0.5 * np.diff(edges), 0.5 * (edges[1:] + edges[:-1])
        nodes = middle[:, None] + half[:, None] * _NODES
        sources = _modes(piece, nodes.ravel(), count).reshape(*nodes.shape, -1)
        reached = {}
        for j in range(len(half)):
            reached[edges[j]] = error
            weights = half[j] * _GAUSS[:, None] * np.exp(-rate * (edges[j + 1] - nodes[j])[:, None])
            error = error * np.exp(-rate * (edges[j + 1] - edges[j])) + np.sum(weights * sources[j], 0)
        reached[edges[-1]] = error
        for index in mine:
            out[index] = reached[times[index]]
    return out


def _modes(piece: Piece, t: Floats, count: int) -> Complexes:
    """Return the modes of the residual at times, shape (times, count // 2 + 1)."""
    system, trial = _system(piece), piece.trial
    (x,) = system.space
    low, high = system.coords[x].bounds
    grid = low + (high - low) * np.arange(count) / count
    params = {k: trial.tensor(v) for k, v in system.values.items()}
    per, rows = max(1, 40_000 // count), []
    for i in range(0, len(t), per):
        part = t[i : i + per]
        coords = {"t": np.repeat(part, count), x: np.tile(grid, len(part))}
        d = trial.derivatives(piece.weights, coords, (*system.derivatives, key("u")))
        r = system.residuals(d, {k: trial.tensor(v) for k, v in coords.items()}, params)[system.name]
        rows.append(np.fft.rfft(r.detach().double().cpu().numpy().reshape(len(part), count)) / count)
    return np.concatenate(rows)
