"""Filtering and smoothing of tracks: sigma-point and extended Kalman filters with a Rauch-Tung-Striebel smoother.

Batched over tracks and differentiable in torch, so that noise levels can be fitted by maximum likelihood with exact
gradients. Angles are wrapped wherever two of them are subtracted.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from retrodict.physics.errors import DataError, SolverError, expected

__all__ = ["Filtered", "Measurement", "Sensor", "StateSpace", "kalman_filter", "smooth"]

_LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class StateSpace:
    """A stochastic state equation ``x' = f(x, w, dt)`` with standard noise ``w`` of given covariance.

    Parameters
    ----------
    transition : callable
        ``(x (..., n), w (..., q), dt scalar) -> (..., n)``.
    noise : Tensor, shape (q, q), or callable
        Covariance of w in a step, or a function of dt that returns it.
    angles : tuple of int, optional
        Components of the state that are angles.
    """

    transition: Callable[[Tensor, Tensor, Tensor], Tensor]
    noise: Tensor | Callable[[Tensor], Tensor]
    angles: tuple[int, ...] = ()

    def covariance(self, dt: Tensor) -> Tensor:
        """Return the noise covariance of a step."""
        return self.noise(dt) if callable(self.noise) else self.noise


@dataclass(frozen=True)
class Sensor:
    """What is measured of a state.

    Parameters
    ----------
    observe : callable
        ``(..., n) -> (..., m)``.
    noise : Tensor, shape (m, m)
        Covariance of the measurement noise.
    angles : tuple of int, optional
        Components of the measurement that are angles.
    """

    observe: Callable[[Tensor], Tensor]
    noise: Tensor
    angles: tuple[int, ...] = ()


@dataclass(frozen=True)
class Measurement:
    """Values of one sensor at one time, for all tracks of a batch.

    Parameters
    ----------
    time : float
        Seconds.
    sensor : Sensor
        Which.
    value : Tensor, shape (B, m)
        What it read; anything where not valid.
    valid : Tensor of bool, shape (B,), optional
        Which tracks it saw; default all.
    """

    time: float
    sensor: Sensor
    value: Tensor
    valid: Tensor | None = None


@dataclass(frozen=True)
class Filtered:
    """Output of a filter or smoother, K times.

    Parameters
    ----------
    time : Tensor, shape (K,)
        Seconds.
    mean, covariance : Tensor, shape (K, B, n) and (K, B, n, n)
        Of the state given the measurements so far (filter) or all (smoother).
    predicted_mean, predicted_covariance : Tensor
        Before the measurement of that time.
    cross : Tensor, shape (K, B, n, n)
        Covariance of the state one time before with the predicted one; the first is zero.
    nll : Tensor, shape (B,)
        Negative log-likelihood of all measurements, with constants.
    innovations : Tensor, shape (K, B)
        Squared innovation in units of its covariance (chi-squared with m degrees of freedom); NaN where not valid.
    angles : tuple of int
        Components of the state that are angles.
    """

    time: Tensor
    mean: Tensor
    covariance: Tensor
    predicted_mean: Tensor
    predicted_covariance: Tensor
    cross: Tensor
    nll: Tensor
    innovations: Tensor
    angles: tuple[int, ...] = ()


def _wrap(x: Tensor, angles: tuple[int, ...]) -> Tensor:
    """Wrap the angle components of a difference to (-pi, pi]."""
    if not angles:
        return x
    mask = torch.zeros(x.shape[-1], dtype=torch.bool, device=x.device)
    mask[list(angles)] = True
    return torch.where(mask, torch.remainder(x + math.pi, 2 * math.pi) - math.pi, x)


def _sigma(mean: Tensor, root: Tensor, spread: float) -> tuple[Tensor, Tensor]:
    """Return points (2n + 1, ..., n) and weights for ``spread = n + lambda``."""
    n = mean.shape[-1]
    offsets = math.sqrt(spread) * root.movedim(-1, 0)
    points = torch.cat([mean[None], mean + offsets, mean - offsets])
    weights = mean.new_full((2 * n + 1,), 0.5 / spread)
    weights[0] = 1 - n / spread
    return points, weights


def _moments(points: Tensor, weights: Tensor, angles: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return mean and deviations; angles are averaged as deviations from the first point."""
    centre = points[0]
    mean = centre + torch.einsum("s,s...n->...n", weights, _wrap(points - centre, angles))
    return mean, _wrap(points - mean, angles)


def _outer(weights: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.einsum("s,s...i,s...j->...ij", weights, a, b)


def _block(a: Tensor, b: Tensor) -> Tensor:
    """Block-diagonal matrix of two batched square matrices."""
    n, q = a.shape[-1], b.shape[-1]
    b = b.expand(*a.shape[:-2], q, q)
    top = torch.cat([a, a.new_zeros(*a.shape[:-2], n, q)], -1)
    return torch.cat([top, torch.cat([a.new_zeros(*a.shape[:-2], q, n), b], -1)], -2)


def _predict(
    model: StateSpace, mean: Tensor, covariance: Tensor, dt: Tensor, method: str, spread: float | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return predicted mean and covariance, and the covariance of the old state with the new one."""
    noise = model.covariance(dt)
    n, q = mean.shape[-1], noise.shape[-1]
    if method == "extended":
        zero = mean.new_zeros(*mean.shape[:-1], q)
        f_x, f_w = torch.func.vmap(torch.func.jacfwd(lambda x, w: model.transition(x, w, dt), (0, 1)))(mean, zero)
        cross = covariance @ f_x.mT
        return model.transition(mean, zero, dt), f_x @ cross + f_w @ noise @ f_w.mT, cross
    joint = torch.cat([mean, mean.new_zeros(*mean.shape[:-1], q)], -1)
    points, weights = _sigma(joint, torch.linalg.cholesky(_block(covariance, noise)), spread or float(n + q))
    moved = model.transition(points[..., :n], points[..., n:], dt)
    new, gaps = _moments(moved, weights, model.angles)
    return new, _outer(weights, gaps, gaps), _outer(weights, points[..., :n] - mean, gaps)


def _update(
    sensor: Sensor,
    mean: Tensor,
    covariance: Tensor,
    value: Tensor,
    angles: tuple[int, ...],
    method: str,
    spread: float | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return updated mean and covariance, the negative log-likelihood and the squared whitened innovation."""
    if method == "extended":
        jacobian = torch.func.vmap(torch.func.jacfwd(sensor.observe))(mean)
        seen, cross = sensor.observe(mean), covariance @ jacobian.mT
        s = jacobian @ cross + sensor.noise
    else:
        points, weights = _sigma(mean, torch.linalg.cholesky(covariance), spread or float(mean.shape[-1]))
        seen, gaps = _moments(sensor.observe(points), weights, sensor.angles)
        s = _outer(weights, gaps, gaps) + sensor.noise
        cross = _outer(weights, _wrap(points - mean, angles), gaps)
    gap = _wrap(value - seen, sensor.angles)
    root = torch.linalg.cholesky(s)
    white = torch.linalg.solve_triangular(root, gap[..., None], upper=False)[..., 0]
    half = torch.linalg.solve_triangular(root, cross.mT, upper=False)
    chi2 = (white**2).sum(-1)
    log_det = 2 * torch.log(torch.diagonal(root, dim1=-2, dim2=-1)).sum(-1)
    nll = 0.5 * (chi2 + log_det + gap.shape[-1] * _LOG_2PI)
    updated = covariance - half.mT @ half
    return mean + (half.mT @ white[..., None])[..., 0], 0.5 * (updated + updated.mT), nll, chi2


def kalman_filter(
    model: StateSpace,
    mean: Tensor,
    covariance: Tensor,
    measurements: Sequence[Measurement],
    *,
    start_time: float | None = None,
    method: str = "sigma-point",
    spread: float | None = None,
    jitter: float = 0.0,
) -> Filtered:
    """Run a Gaussian filter over measurements in order of time.

    Parameters
    ----------
    model : StateSpace
        How states move.
    mean, covariance : Tensor, shape (B, n) and (B, n, n)
        State at ``start_time``.
    measurements : sequence of Measurement
        In order of time; several at one time are allowed.
    start_time : float, optional
        Time of the first state; default that of the first measurement, which then only updates.
    method : str, optional
        ``sigma-point`` (unscented with the noise in the state) or ``extended``.
    spread : float, optional
        ``n + lambda`` of the sigma points; default the dimension (cubature, positive weights only).
    jitter : float, optional
        Added to the diagonal of predicted covariances.

    Returns
    -------
    Filtered
        Over all measurements.

    Raises
    ------
    SolverError
        If the method is unknown or a covariance stops being positive definite.
    DataError
        If there is no measurement, or times go back.

    Examples
    --------
    A random walk seen three times:

    >>> walk = StateSpace(lambda x, w, dt: x + w, torch.eye(1))
    >>> eye = Sensor(lambda x: x, torch.eye(1))
    >>> seen = [Measurement(float(k), eye, torch.ones(1, 1)) for k in range(3)]
    >>> round(float(kalman_filter(walk, torch.zeros(1, 1), torch.ones(1, 1, 1), seen).mean[-1]), 4)
    0.9231
    """
    if method not in ("sigma-point", "extended"):
        raise SolverError(expected("method", repr(method), "'sigma-point' or 'extended'"))
    times = [m.time for m in measurements]
    if not times or any(b < a for a, b in itertools.pairwise(times)):
        raise DataError(expected("measurements", f"{len(times)} of them", "one or more, in order of time"))
    now = times[0] if start_time is None else start_time
    if now > times[0]:
        raise DataError(expected("start_time", now, f"no later than the first measurement at {times[0]}"))
    rows: list[tuple[Tensor, ...]] = []
    nll = torch.zeros(mean.shape[:-1], dtype=mean.dtype, device=mean.device)
    eye = jitter * torch.eye(mean.shape[-1], dtype=mean.dtype, device=mean.device)
    try:
        for m in measurements:
            cross = torch.zeros_like(covariance)
            if m.time > now:
                step = mean.new_tensor(m.time - now)
                mean, covariance, cross = _predict(model, mean, covariance, step, method, spread)
                covariance, now = covariance + eye, m.time
            before = (mean, covariance)
            new, p, loss, chi2 = _update(m.sensor, mean, covariance, m.value, model.angles, method, spread)
            if m.valid is None:
                mean, covariance, nll = new, p, nll + loss
            else:
                ok = m.valid
                mean, covariance = torch.where(ok[:, None], new, mean), torch.where(ok[:, None, None], p, covariance)
                nll, chi2 = nll + torch.where(ok, loss, 0.0), torch.where(ok, chi2, torch.nan)
            rows.append((mean, covariance, *before, cross, chi2))
    except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
        at = f"a covariance that is not positive definite at t = {now:g} s"
        raise SolverError(
            expected("kalman_filter", at, "positive definite covariances; try jitter or 'cubature' spread")
        ) from error
    columns = [torch.stack(c) for c in zip(*rows, strict=True)]
    means, covariances, priors, spreads, crosses, chi2s = columns
    stamps = torch.tensor(times, dtype=mean.dtype, device=mean.device)
    return Filtered(stamps, means, covariances, priors, spreads, crosses, nll, chi2s, model.angles)


def smooth(filtered: Filtered) -> Filtered:
    """Run the Rauch-Tung-Striebel smoother backwards.

    Parameters
    ----------
    filtered : Filtered
        From `kalman_filter`.

    Returns
    -------
    Filtered
        Mean and covariance given all measurements; the rest unchanged.

    Notes
    -----
    Särkkä (2008), unscented Rauch-Tung-Striebel smoother.

    Examples
    --------
    >>> walk = StateSpace(lambda x, w, dt: x + w, torch.eye(1))
    >>> eye = Sensor(lambda x: x, torch.eye(1))
    >>> seen = [Measurement(float(k), eye, torch.ones(1, 1)) for k in range(3)]
    >>> out = kalman_filter(walk, torch.zeros(1, 1), torch.ones(1, 1, 1), seen)
    >>> bool(smooth(out).covariance[0] < out.covariance[0])
    True
    """
    means, covariances = [filtered.mean[-1]], [filtered.covariance[-1]]
    for k in range(len(filtered.time) - 2, -1, -1):
        if filtered.time[k + 1] == filtered.time[k]:
            means.append(means[-1])
            covariances.append(covariances[-1])
            continue
        gain = torch.linalg.solve(filtered.predicted_covariance[k + 1], filtered.cross[k + 1].mT).mT
        gap = _wrap(means[-1] - filtered.predicted_mean[k + 1], filtered.angles)
        change = covariances[-1] - filtered.predicted_covariance[k + 1]
        means.append(filtered.mean[k] + (gain @ gap[..., None])[..., 0])
        p = filtered.covariance[k] + gain @ change @ gain.mT
        covariances.append(0.5 * (p + p.mT))
    return Filtered(
        filtered.time,
        torch.stack(means[::-1]),
        torch.stack(covariances[::-1]),
        filtered.predicted_mean,
        filtered.predicted_covariance,
        filtered.cross,
        filtered.nll,
        filtered.innovations,
        filtered.angles,
    )
