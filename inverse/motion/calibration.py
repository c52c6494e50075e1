"""Forecasts that mean what they say: laws fitted to forecast windows, scored and scaled on others.

A filter's one-step likelihood tunes the model to a tenth of a second. `forecast_problem` tunes it to the horizons that
matter, by the likelihood of positions there. What remains (heavy tails) is taken up by one factor a horizon that makes
the ellipses of the *fitting* windows cover what they should (split conformal scaling). Scores are then taken on tracks
that neither step has seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from retrodict.inverse.estimators import LBFGS
from retrodict.inverse.likelihood import LogLikelihood, normal_deviates
from retrodict.inverse.motion.filtering import Filtered
from retrodict.inverse.motion.tracking import LAW, MotionLaw, TrackBatch, filter_tracks, law_problem
from retrodict.inverse.priors import GaussianPrior
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Term
from retrodict.physics.errors import DataError, expected
from retrodict.physics.motion.forecast import forecast
from retrodict.physics.motion.state import Moments
from retrodict.solvers.base import Status
from retrodict.solvers.iterate import finished

__all__ = ["WHITE_TIME", "CrossFit", "Windows", "conformal_factor", "cross_fit", "fit_law", "forecast_problem", "score"]

Floats = NDArray[np.float64]
_OBJECTIVES = ("forecast", "one-step")

WHITE_TIME = 1e-3
"""Correlation time [s] that stands for white inputs at steps of a tenth of a second: exp(-100) of it is left."""


@dataclass(frozen=True)
class Windows:
    """Forecasts at several presents of several tracks, W of them, against what happened.

    Parameters
    ----------
    track : ndarray of int, shape (W,)
        Row of the batch.
    present : ndarray of int, shape (W,)
        Sample at which the forecast starts.
    distance : Tensor, shape (W, H)
        Squared Mahalanobis distance of the true position at each horizon.
    log_det : Tensor, shape (W, H)
        Log-determinant of the forecast covariance [ln m4].
    exists : Tensor of bool, shape (W, H)
        Whether the track lasts to the horizon.
    """

    track: NDArray[np.intp]
    present: NDArray[np.intp]
    distance: Tensor
    log_det: Tensor
    exists: Tensor

    def nll(self, factor: Tensor | float = 1.0) -> Tensor:
        """Return negative log-likelihoods of the positions, shape (W, H), with covariances scaled by ``factor``."""
        scale = torch.as_tensor(factor, dtype=self.distance.dtype)
        return 0.5 * (self.distance / scale + self.log_det) + torch.log(scale) + float(np.log(2 * np.pi))


def score(
    law: MotionLaw,
    tracks: TrackBatch,
    horizons: Sequence[int],
    *,
    history: int = 10,
    stride: int = 5,
    exact: bool = True,
) -> Windows:
    """Forecast from every ``stride``-th sample of every track and compare with the recorded positions.

    Parameters
    ----------
    law : MotionLaw
        Of inputs and noise.
    tracks : TrackBatch
        Recorded tracks.
    horizons : sequence of int
        Steps ahead, increasing.
    history : int, optional
        Samples that the filter has seen before the first forecast.
    stride : int, optional
        Samples between forecasts.
    exact : bool, optional
        Exact moments, or linearised.

    Returns
    -------
    Windows
        All windows that reach at least the first horizon. The measurement noise of the recorded position is part of
        the forecast covariance.

    Raises
    ------
    DataError
        If no window fits.

    Examples
    --------
    >>> track = torch.zeros(1, 40, 4, dtype=torch.float64)
    >>> tracks = TrackBatch(track, torch.ones(1, 40, dtype=torch.bool), torch.zeros(1, 2), 0.1, ("a",))
    >>> score(MotionLaw(*torch.full((7,), 0.5, dtype=torch.float64)), tracks, [10]).distance.shape
    torch.Size([4, 1])
    """
    _, last = tracks.valid.shape
    pairs = [
        (i, k)
        for i in range(tracks.valid.shape[0])
        for k in range(history, last - horizons[0], stride)
        if bool(tracks.valid[i, k]) and bool(tracks.valid[i, k + horizons[0]])
    ]
    if not pairs:
        raise DataError(expected("score", f"tracks of up to {last} samples", f"{history + horizons[0] + 1} or more"))
    row, present = np.array(pairs).T
    moments = _ahead(law, filter_tracks(law, tracks), row, present, horizons[-1], tracks.time_step, exact=exact)
    at = np.minimum(present[:, None] + np.array(horizons), last - 1)
    exists = tracks.valid[row[:, None], at] & torch.as_tensor(present[:, None] + np.array(horizons) < last)
    index = [h - 1 for h in horizons]
    gap = tracks.measured[row[:, None], at, :2] - moments.mean[:, index]
    covariance = moments.covariance[:, index] + law.position_noise**2 * torch.eye(2, dtype=gap.dtype, device=gap.device)
    distance = (gap[..., None, :] @ torch.linalg.solve(covariance, gap[..., None]))[..., 0, 0]
    return Windows(row, present, distance, torch.logdet(covariance), exists)


def _ahead(
    law: MotionLaw,
    filtered: Filtered,
    row: NDArray[np.intp],
    present: NDArray[np.intp],
    steps: int,
    time_step: float,
    *,
    exact: bool,
) -> Moments:
    """Forecast from filtered states; the filter's first time is the second sample."""
    mean, covariance = filtered.mean[present - 1, row], filtered.covariance[present - 1, row]
    return forecast(mean, covariance, law.std, law.time_constant, steps, time_step, exact=exact)


def forecast_problem(
    tracks: TrackBatch, start: MotionLaw, horizons: Sequence[int], *, history: int = 10, stride: int = 5
) -> InverseProblem:
    """Return the problem of the law that forecasts best.

    The mean over windows of the negative log-likelihood at each horizon, averaged over horizons and counted once for
    each track, with a weak prior on every logarithm (a factor of e about ``start``). Windows overlap and
    horizons are not independent, so this is a composite likelihood: its minimiser is meaningful, its curvature is no
    information matrix.

    Parameters
    ----------
    tracks, horizons, history, stride
        As in `score`.
    start : MotionLaw
        Where to begin.

    Examples
    --------
    >>> track = torch.zeros(1, 40, 4, dtype=torch.float64)
    >>> tracks = TrackBatch(track, torch.ones(1, 40, dtype=torch.bool), torch.zeros(1, 2), 0.1, ("a",))
    >>> law = MotionLaw(*torch.full((7,), 0.5, dtype=torch.float64))
    >>> bool(np.isfinite(forecast_problem(tracks, law, [10]).value(law.logs())))
    True
    """

    def loss(tree: dict[str, Tensor]) -> Tensor:
        windows = score(MotionLaw.from_logs(tree), tracks, horizons, history=history, stride=stride)
        held = torch.where(windows.exists, windows.nll(), 0.0)
        return (held.sum(0) / windows.exists.sum(0).clamp(min=1)).mean()

    def errors(tree: dict[str, Tensor]) -> dict[str, tuple[tuple[str, ...], Tensor]]:
        windows = score(MotionLaw.from_logs(tree), tracks, horizons, history=history, stride=stride)
        seen = torch.where(windows.exists, windows.distance, torch.nan)
        return {"forecasts": (("horizon", "window"), normal_deviates(seen.T, 2))}

    terms = [Term("forecasts", LogLikelihood(LAW, loss, errors), weight=float(len(tracks.names)))]
    terms += [
        Term(f"prior {k}", GaussianPrior(k, v, std=1.0), kind="prior", blocks=(k,)) for k, v in start.logs().items()
    ]
    return InverseProblem(LAW, terms, start.logs(), name="forecast-law")


def fit_law(
    tracks: TrackBatch,
    start: MotionLaw,
    horizons: Sequence[int] | None = None,
    *,
    white: bool = False,
    history: int = 10,
    stride: int = 5,
    max_steps: int = 25,
) -> MotionLaw:
    """Fit a law by the filter's likelihood, or (with horizons) by that of forecasts.

    Parameters
    ----------
    tracks, start, horizons, history, stride
        As in `forecast_problem`.
    white : bool, optional
        Hold the correlation times at `WHITE_TIME`.
    max_steps : int, optional
        Of L-BFGS; the last digits of a law do not change a forecast.

    Examples
    --------
    >>> rng = torch.Generator().manual_seed(0)
    >>> track = torch.zeros(1, 30, 4, dtype=torch.float64)
    >>> track[..., :2] += 0.5 * torch.randn(1, 30, 2, generator=rng)
    >>> tracks = TrackBatch(track, torch.ones(1, 30, dtype=torch.bool), torch.zeros(1, 2), 0.1, ("a",))
    >>> start = MotionLaw(*torch.full((7,), 0.1, dtype=torch.float64))
    >>> bool(fit_law(tracks, start, max_steps=3).position_noise > 0.1)
    True
    """
    problem = (
        law_problem(tracks, start)
        if horizons is None
        else forecast_problem(tracks, start, horizons, history=history, stride=stride)
    )
    held = {k: np.asarray(np.log(WHITE_TIME)) for k in ("ln_acceleration_time", "ln_yaw_rate_time")} if white else {}
    if held:
        problem = problem.fix(held)
    found = finished(LBFGS(problem, tolerance=1e-4), max_steps, Status.MAX_STEPS, Status.STALLED)
    return MotionLaw.of({**problem.space.from_dataset(found.data), **held})


def conformal_factor(windows: Windows, level: float = 0.9) -> Tensor:
    """Return the factor on the covariance at each horizon with which these windows are covered at ``level``.

    The ``ceil((n + 1) level)``-th smallest distance over the chi-squared quantile: for exchangeable windows, new ones
    are then covered with at least this probability.

    Parameters
    ----------
    windows : Windows
        Of the tracks that were fitted.
    level : float, optional
        Nominal coverage.

    Returns
    -------
    Tensor, shape (H,)
        Factors; 1 where a horizon has no window.

    Notes
    -----
    Papadopoulos et al. (2002), split conformal prediction; windows of one track are dependent, so that the guarantee
    is approximate.

    Examples
    --------
    >>> distance = torch.linspace(0.01, 10, 999, dtype=torch.float64)[:, None]
    >>> index = np.arange(999)
    >>> seen = Windows(index, index, distance, torch.zeros(999, 1), torch.ones(999, 1, dtype=torch.bool))
    >>> round(float(conformal_factor(seen)), 2)
    1.96
    """
    factors = []
    for h in range(windows.distance.shape[1]):
        seen = np.sort(windows.distance[:, h][windows.exists[:, h]].detach().numpy())
        rank = min(int(np.ceil((len(seen) + 1) * level)), len(seen))
        factors.append(float(seen[rank - 1]) / float(stats.chi2.ppf(level, 2)) if len(seen) else 1.0)
    return torch.tensor(factors, dtype=torch.float64).clamp(min=1e-6)


@dataclass(frozen=True)
class CrossFit:
    """Scores on tracks that the fold's law and factors have not seen.

    Parameters
    ----------
    track : ndarray of int, shape (W,)
        Row of the batch, for dependence among windows.
    distance, nll : ndarray, shape (W, H)
        Squared Mahalanobis distance and negative log-likelihood, NaN where the track ends before the horizon.
    laws : tuple of MotionLaw
        One a fold.
    factors : ndarray, shape (folds, H)
        Conformal factors, 1 where none were asked for.
    """

    track: NDArray[np.intp]
    distance: Floats
    nll: Floats
    laws: tuple[MotionLaw, ...]
    factors: Floats

    def coverage(self, level: float = 0.9) -> Floats:
        """Return the share of windows inside the nominal ellipses at each horizon, shape (H,)."""
        inside = np.where(np.isnan(self.distance), np.nan, self.distance <= stats.chi2.ppf(level, 2))
        return np.asarray(np.nanmean(inside, axis=0))


def cross_fit(
    tracks: TrackBatch,
    start: MotionLaw,
    horizons: Sequence[int],
    *,
    folds: int = 2,
    objective: str = "forecast",
    white: bool = False,
    conformal: bool = True,
    history: int = 10,
    stride: int = 5,
    max_steps: int = 25,
    level: float = 0.9,
) -> CrossFit:
    """Fit on all folds of tracks but one, score on that one, in turn.

    Tracks are dealt to the folds in order of length, so that each fold has long and short ones.

    Parameters
    ----------
    tracks, start, horizons, history, stride, white, max_steps
        As in `fit_law`.
    folds : int, optional
        Number of folds.
    objective : str, optional
        ``"forecast"`` or ``"one-step"``.
    conformal : bool, optional
        Scale the covariances by `conformal_factor` of the fitting tracks.
    level : float, optional
        Nominal coverage of the factors.

    Returns
    -------
    CrossFit
        Windows of all tracks.

    Raises
    ------
    DataError
        If there are fewer tracks than folds, or the objective is unknown.

    Examples
    --------
    >>> tracks = TrackBatch(torch.zeros(1, 9, 4), torch.ones(1, 9, dtype=torch.bool), torch.zeros(1, 2), 0.1, ("a",))
    >>> cross_fit(tracks, MotionLaw(*torch.ones(7)), [10])
    Traceback (most recent call last):
    retrodict.physics.errors.DataError: cross_fit: got 1 tracks, objective 'forecast', expected 2 tracks or more
    """
    count = len(tracks.names)
    if count < folds or folds < 2 or objective not in _OBJECTIVES:
        wanted = f"{max(folds, 2)} tracks or more" if objective in _OBJECTIVES else f"an objective among {_OBJECTIVES}"
        raise DataError(expected("cross_fit", f"{count} tracks, objective {objective!r}", wanted))
    order = np.argsort(-tracks.valid.sum(1).numpy(), kind="stable")
    fold_of = np.empty(count, int)
    fold_of[order] = np.arange(count) % folds
    rows, distances, nlls, laws, factors = [], [], [], [], []
    for fold in range(folds):
        seen, held = (np.flatnonzero(mask) for mask in (fold_of != fold, fold_of == fold))
        fitting = tracks.select(seen.tolist())
        law = fit_law(
            fitting,
            start,
            None if objective == "one-step" else horizons,
            white=white,
            max_steps=max_steps,
            history=history,
            stride=stride,
        )
        with torch.no_grad():
            factor = conformal_factor(score(law, fitting, horizons, history=history, stride=stride), level)
            factor = factor if conformal else torch.ones_like(factor)
            windows = score(law, tracks.select(held.tolist()), horizons, history=history, stride=stride)
            gone = ~windows.exists
            distances.append((windows.distance / factor).masked_fill(gone, torch.nan).numpy())
            nlls.append(windows.nll(factor).masked_fill(gone, torch.nan).numpy())
        rows.append(held[windows.track])
        laws.append(law)
        factors.append(factor.numpy())
    return CrossFit(
        np.concatenate(rows), np.concatenate(distances), np.concatenate(nlls), tuple(laws), np.stack(factors)
    )
