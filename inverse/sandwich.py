"""Covariance of an estimate whose residuals are correlated or of another size than assumed: the sandwich, by blocks.

    C = H^-1 (B + P) H^-1,    B = 1/L sum over windows of L steps of S S',    S = sum of the scores J' r in a window

``H`` is the information of data and priors and ``P`` that of the priors alone. Overlapping windows give Bartlett's
weights (Newey and West 1987; Künsch 1989); their length and the bias that it leaves follow from the autocovariance of
the scores (Politis and White 2004; Patton, Politis and White 2009).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from retrodict.inverse.curvature import Leverage
from retrodict.inverse.diagnostics import noise_floor

__all__ = ["Sandwich", "sandwich"]

Floats = NDArray[np.float64]

_SEGMENTS = 4
_PLENTY = 60  # residuals for each unknown of a quarter: an estimate of its own takes long correlations out of fewer
_WINDOWS = 8  # fewer windows than this in all data give no covariance worth its name


@dataclass(frozen=True)
class Sandwich:
    """What the data say of the covariance of an estimate without trusting the noise model.

    Parameters
    ----------
    covariance : ndarray, shape (n, n)
        Of the unknowns; as uncertain as one from ``freedom`` observations.
    window : int
        Steps in a window.
    freedom : float
        Degrees of freedom of the covariance, for intervals by Student's t.
    disagreement : float
        Mean square by which quarters of the data pull the estimate apart, in units of what the covariance allows; one
        is expected. NaN where the quarters are too short to be compared.
    disagreement_p : float
        Probability of a larger one.
    """

    covariance: Floats
    window: int
    freedom: float
    disagreement: float
    disagreement_p: float


def sandwich(lever: Leverage, information: Floats, prior: Floats) -> Sandwich | None:
    """Return the covariance of an estimate by blocks of its residuals.

    Parameters
    ----------
    lever : Leverage
        Residuals and their derivative at the estimate.
    information : ndarray, shape (n, n)
        Of data and priors; of full rank.
    prior : ndarray, shape (n, n)
        Of the priors.

    Returns
    -------
    Sandwich or None
        None where the data hold fewer than eight windows: they are too few to measure their own correlation.

    Examples
    --------
    A mean of 400 numbers whose neighbours agree nine times out of ten has the variance of some twenty:

    >>> rng, r = np.random.default_rng(0), np.zeros(400)
    >>> for i in range(1, 400):
    ...     r[i] = 0.9 * r[i - 1] + 0.19**0.5 * rng.standard_normal()
    >>> lever = Leverage(r - r.mean(), np.ones((400, 1)), np.full(400, 1 / 400), {"y": np.arange(400)[None]})
    >>> found = sandwich(lever, np.array([[400.0]]), np.zeros((1, 1)))
    >>> bool(10 < 400 * found.covariance[0, 0] < 40)
    True
    """
    grids = _grids(lever)
    middle = _middle(lever, grids, float(lever.share.sum()))
    if middle is None:
        return None
    half = np.linalg.solve(information, middle.matrix + prior)
    covariance = np.linalg.solve(information, half.T).T
    spread, p = _disagreement(lever, grids)
    return Sandwich(0.5 * (covariance + covariance.T), middle.window, middle.freedom, spread, p)


@dataclass(frozen=True)
class _Middle:
    """Covariance of the sum of all scores, by windows."""

    matrix: Floats
    window: int
    freedom: float


def _middle(lever: Leverage, grids: list[list[NDArray[np.int64]]], lost: float) -> _Middle | None:
    """Return the covariance of the scores; ``lost`` degrees of freedom have gone into the residuals."""
    groups = [_scores(lever, grid) for grid in grids]
    count = sum(int(np.any([r >= 0 for r in grid], axis=0).sum()) for grid in grids)
    if count < 2 * _WINDOWS:  # none at all where the terms have no residual vector
        return None
    level, moment = _spectra(groups, count)
    longest = max(g.shape[1] for g in groups)
    optimal = (1.5 * (moment / level) ** 2 * count) ** (1 / 3)
    window = int(np.clip(np.ceil(optimal.max()), 1, longest))
    if count < _WINDOWS * window:
        return None
    left = np.maximum(count / level, 2 * lost)  # independent residuals that would hold as much
    # what a finite window misses, and what the fit has taken out of the residuals
    missed = np.maximum(1 - moment / (level * window), 0.3) * (1 - lost / left)
    matrix = np.asarray(sum(_windowed(g, window) for g in groups)) / np.sqrt(np.outer(missed, missed))
    return _Middle(matrix, window, max(1.5 * count / window - lost, 2.0))


def _grids(lever: Leverage) -> list[list[NDArray[np.int64]]]:
    """Return rows as series, shape (series, step); variables of one term on the same grid stand together."""
    grids: dict[tuple[str, tuple[int, ...]], list[NDArray[np.int64]]] = {}
    placed = np.zeros(len(lever.residual), bool)
    for name, rows in lever.places.items():
        grids.setdefault((name.rpartition("/")[0], rows.shape), []).append(rows)
        placed[rows[rows >= 0]] = True
    rest = np.flatnonzero(~placed)
    # residuals without an order of their own are taken as independent
    return [*grids.values(), *([[rest[:, None]]] if rest.size else [])]


def _scores(lever: Leverage, grid: list[NDArray[np.int64]]) -> Floats:
    """Return the scores ``J' r`` of one grid, shape (series, step, n)."""
    total = np.zeros((*grid[0].shape, lever.jacobian.shape[1]))
    for rows in grid:
        seen = rows >= 0
        total[seen] += lever.jacobian[rows[seen]] * lever.residual[rows[seen], None]
    return total


def _spectra(groups: list[Floats], count: int) -> tuple[Floats, Floats]:
    """Return the sum of the autocorrelation over all lags, and its first moment, of the scores of every unknown."""
    power = np.asarray(sum(np.sum(g**2, axis=(0, 1)) for g in groups))
    longest = max(max(g.shape[1] for g in groups) // 2, 2)
    sums = np.zeros((longest - 1, power.size))
    for g in groups:
        reach = min(longest, g.shape[1])
        # correlations of all lags at once, through Fourier space
        spectrum = np.fft.rfft(g, 2 * g.shape[1], axis=1)
        sums[: reach - 1] += np.fft.irfft(np.sum(np.abs(spectrum) ** 2, axis=0), axis=0)[1:reach]
    rho = sums / np.where(power > 0, power, 1.0)
    level, moment = np.ones(power.size), np.zeros(power.size)
    for j, one in enumerate(rho.T):
        reach = min(max(2 * noise_floor(one, count), 1), one.size)
        lags = np.arange(1, reach + 1)
        taper = np.clip(2 * (1 - lags / (reach + 1)), 0.0, 1.0) * one[:reach]  # flat top
        level[j] += 2 * float(np.sum(taper))
        moment[j] = 2 * float(np.sum(lags * taper))
    return np.maximum(level, 0.2), np.maximum(moment, 0.0)


def _windowed(scores: Floats, window: int) -> Floats:
    """Return the sum over windows of the outer product of their sums, divided by the length of a window."""
    width = min(window, scores.shape[1])
    padded = np.pad(scores, ((0, 0), (width, width - 1), (0, 0)))
    running = np.cumsum(padded, axis=1)
    sums = running[:, width:] - running[:, :-width]
    flat = sums.reshape(-1, scores.shape[2])
    return np.asarray(flat.T @ flat / width)


def _disagreement(lever: Leverage, grids: list[list[NDArray[np.int64]]]) -> tuple[float, float]:
    """Return how far quarters of the data pull the estimate apart, and how likely that is.

    What is allowed is measured within the quarters, each with its own estimate, so that a model that holds for none of
    the whole record does not excuse itself by what it leaves.
    """
    data = lever.jacobian.T @ lever.jacobian
    values, vectors = np.linalg.eigh(data)
    kept = values > 1e-11 * values.max(initial=0.0)
    root = vectors[:, kept] / np.sqrt(values[kept])
    jacobian, size = lever.jacobian @ root, int(kept.sum())
    quarters = []
    within = lever.residual.copy()
    for quarter in range(_SEGMENTS):
        rows = np.concatenate([np.array_split(r.ravel(), _SEGMENTS)[quarter] for grid in grids for r in grid])
        rows = rows[rows >= 0]
        own = jacobian[rows].T @ jacobian[rows]
        if rows.size < _PLENTY * size or np.linalg.cond(own) > 1e10:
            return np.nan, np.nan  # a quarter that hardly determines all unknowns says nothing of them
        score = jacobian[rows].T @ lever.residual[rows]
        within[rows] -= jacobian[rows] @ np.linalg.solve(own, score)
        quarters.append((own, score))
    allowed = _middle(replace(lever, residual=within, jacobian=jacobian), grids, float(_SEGMENTS * size))
    if allowed is None:
        return np.nan, np.nan
    total = 0.0
    for own, score in quarters:
        # the scores of a quarter are as uncertain as its information, which is a part of one, makes them
        information, turned = np.linalg.eigh(own)
        half = (turned * np.sqrt(information)) @ turned.T
        total += float(score @ np.linalg.solve(half @ allowed.matrix @ half, score))
    degrees = (_SEGMENTS - 1) * size
    ratio = total / degrees
    return ratio, float(stats.f.sf(ratio, degrees, allowed.freedom))
