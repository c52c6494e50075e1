"""The error of a solution with uniform coefficients from its residual, Fourier mode by Fourier mode.

``e_t + c e_x = nu e_xx + r`` is ``e_k(t) = int_0^t exp(-(nu k^2 + i c k)(t - s)) r_k(s) ds`` for each mode k: the signs
of the residual count, which a bound by norms throws away. Jumps at seams are added with their signs.
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
_STEPS = 16


def duhamel_bound(pieces: Sequence[Piece], *, accuracy: float = 0.05, rounds: int = 6) -> tuple[Floats, Floats]:
    """Return times, and there the norm of the error plus what quadrature leaves open.

    Parameters
    ----------
    pieces : sequence of Piece
        Windows of one system in one dimension with uniform coefficients.
    accuracy : float, optional
        Share of the largest error down to which quadrature is refined.
    rounds : int, optional
        Times that intervals may be halved.

    Returns
    -------
    times, bound : ndarray, shape (n,)
        Sixteen equal steps of every window, and where a later window begins, the jump there included.

    Examples
    --------
    >>> from retrodict.physics.pde.convection import convection
    >>> from retrodict.solvers.pinn.trial import Trial, separate_networks
    >>> system = convection(1.0)
    >>> trial = Trial(system, separate_networks(system, 4, 1))
    >>> frozen = Piece(trial, np.zeros(trial.size))  # u = sin x for ever: the error is sin x - sin(x - t)
    >>> times, bound = duhamel_bound([frozen])
    >>> bool(np.allclose(bound, 2 * np.sin(times / 2) * np.sqrt(np.pi), rtol=1e-3))
    True
    """
    refined, count = 1, 64
    times, coarse = _errors(pieces, refined, count)
    for _ in range(rounds):
        refined, count = 2 * refined, min(2 * count, 2048)
        times, fine = _errors(pieces, refined, count)
        left = _norm(pieces[0], fine - np.pad(coarse, ((0, 0), (0, fine.shape[1] - coarse.shape[1]))))
        size, coarse = _norm(pieces[0], fine), fine
        if left.max() <= accuracy * size.max():
            break
    # the difference of two quadratures bounds the error of the finer one with a margin
    return times, np.asarray(np.maximum.accumulate(left) + size)


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
    return np.asarray(k, float), nu * k**2 + 1j * k * (system.values[system.streams[x]] if x in system.streams else 0.0)


def _norm(piece: Piece, modes: Complexes) -> Floats:
    """Return norms of real functions from their non-negative modes, shape (times,)."""
    (x,) = _system(piece).space
    low, high = _system(piece).coords[x].bounds
    weight = np.full(modes.shape[1], 2.0)
    weight[0] = 1.0
    return np.asarray(np.sqrt((high - low) * np.sum(weight * np.abs(modes) ** 2, 1)))


def _errors(pieces: Sequence[Piece], refined: int, count: int) -> tuple[Floats, Complexes]:
    """Return times and the modes of the error there, shape (times, count // 2 + 1)."""
    _, rate = _rates(pieces[0], count)
    error, times, out = np.zeros(len(rate), complex), [], []
    for i, piece in enumerate(pieces):
        low, high = piece.window
        if i:
            error = error + _field(piece, low, count) - _field(pieces[i - 1], low, count)
            times.append(low)
            out.append(error)
        steps = np.arange(_STEPS * refined + 1) / (_STEPS * refined)
        edges = low + (high - low) * np.concatenate([[0.0], steps[1] * 2.0 ** np.arange(-16, 0), steps[1:]])
        half, middle = 0.5 * np.diff(edges), 0.5 * (edges[1:] + edges[:-1])
        nodes = middle[:, None] + half[:, None] * _NODES
        sources = _modes(piece, nodes.ravel(), count).reshape(*nodes.shape, -1)
        kept = {len(half) - 1 - refined * j for j in range(_STEPS)}
        for j in range(len(half)):
            weights = half[j] * _GAUSS[:, None] * np.exp(-rate * (edges[j + 1] - nodes[j])[:, None])
            error = error * np.exp(-rate * (edges[j + 1] - edges[j])) + np.sum(weights * sources[j], 0)
            if j in kept:
                times.append(edges[j + 1])
                out.append(error)
    return np.array(times), np.stack(out)


def _field(piece: Piece, t: float, count: int) -> Complexes:
    """Return the modes of the field at a time, shape (count // 2 + 1,)."""
    (x,) = _system(piece).space
    low, high = _system(piece).coords[x].bounds
    coords = {"t": np.full(count, t), x: low + (high - low) * np.arange(count) / count}
    u = piece.trial.derivatives(piece.weights, coords, [key("u")])["u"]
    return np.fft.rfft(u.double().cpu().numpy()) / count


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
