"""Wheelbase, understeer, delay and bias from a log of speed, steering and yaw rate.

    yaw rate(t) = v tan(delta(t - tau) + b) / (L + K v^2)

The delay tau is a real number: the steering log is interpolated by a cubic spline, and the likelihood differentiates
through it. Both the yaw rate and the steering are measured with noise. Weighting by the yaw rate's noise alone would
bias L (attenuation); here the residual is scaled by the standard deviation that noise in the angle and in the rate give
together, which is orthogonal regression (Deming 1943) and free of that bias to first order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from torch import Tensor

from retrodict.inverse.noise import Gaussian
from retrodict.inverse.observation import Observation
from retrodict.inverse.problem import InverseProblem
from retrodict.inverse.terms import Misfit, Term
from retrodict.physics.autograd import TorchModel
from retrodict.physics.errors import DataError, expected
from retrodict.physics.spaces import Space, Tree, Var

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["STEERING", "SteeringLog", "block_bootstrap", "residual_model", "steering_problem", "straightness"]

Floats = NDArray[np.float64]

STEERING = Space(
    {
        "wheelbase": Var(units="m", bounds=(0.5, 25.0), long_name="wheelbase L"),
        "understeer": Var(units="s2 m-1", bounds=(-0.02, 0.1), long_name="understeer K"),
        "delay": Var(units="s", bounds=(-0.5, 0.5), long_name="delay of the yaw rate behind the steering"),
        "bias": Var(units="rad", bounds=(-0.2, 0.2), long_name="bias of the steering angle"),
    }
)
"""Unknowns of a steering log."""


@dataclass(frozen=True)
class SteeringLog:
    """A log on one clock.

    Parameters
    ----------
    time : ndarray, shape (N,)
        Increasing times [s].
    speed : ndarray, shape (N,)
        Speed of the rear axle [m/s].
    yaw_rate : ndarray, shape (N,)
        [rad/s].
    steering : ndarray, shape (N,)
        Road-wheel angle [rad].

    Raises
    ------
    DataError
        If lengths differ, values are not finite, times do not increase, or there are fewer than 20 samples.

    Examples
    --------
    >>> SteeringLog(np.arange(3.0), np.ones(3), np.ones(3), np.ones(3))
    Traceback (most recent call last):
    retrodict.physics.errors.DataError: SteeringLog: got 3 samples, expected at least 20
    """

    time: Floats
    speed: Floats
    yaw_rate: Floats
    steering: Floats

    def __post_init__(self) -> None:
        n = len(self.time)
        if n < 20:
            raise DataError(expected("SteeringLog", f"{n} samples", "at least 20"))
        for name in ("time", "speed", "yaw_rate", "steering"):
            values = np.asarray(getattr(self, name), float)
            if values.shape != (n,) or not np.all(np.isfinite(values)):
                raise DataError(
                    expected(f"SteeringLog.{name}", f"{values.shape} with NaN or another length", f"{n} numbers")
                )
        if np.any(np.diff(self.time) <= 0):
            at = int(np.argmax(np.diff(self.time) <= 0)) + 1
            raise DataError(expected(f"SteeringLog.time[{at}]", self.time[at], "a later time than the one before"))

    @classmethod
    def of(cls, tracks: xr.Dataset) -> SteeringLog:
        """Return the log of a track set with one track, as `retrodict.physics.motion.tracks.read_tracks` gives it.

        Raises
        ------
        DataError
            If a channel is missing.
        """
        missing = {"speed", "yaw_rate", "steering"} - set(tracks.data_vars)
        if missing:
            raise DataError(expected("drive log", f"no {', '.join(sorted(missing))}", "speed, yaw rate and steering"))
        ok = np.asarray(tracks["valid"].values[0])
        channels = (np.asarray(tracks[k].values[0], float)[ok] for k in ("speed", "yaw_rate", "steering"))
        return cls(np.asarray(tracks["time"].values, float)[ok], *channels)


def _spline(log: SteeringLog) -> tuple[Tensor, Tensor]:
    spline = CubicSpline(log.time, log.steering)
    return torch.tensor(spline.x), torch.tensor(spline.c)


@cache
def _noise_gain() -> tuple[Tensor, Tensor]:
    """Return the variance of an interpolated value, white noise of unit variance at the knots, over a cell.

    Between knots a spline averages noise: a likelihood that ignores it prefers delays that fall there.
    """
    knots, phase = np.arange(-12.0, 14.0), np.linspace(0, 1, 33)
    weights = CubicSpline(knots, np.eye(knots.size))(phase)
    gain = CubicSpline(phase, (weights**2).sum(1))
    return torch.tensor(gain.x), torch.tensor(gain.c)


def _evaluate(breaks: Tensor, coefficients: Tensor, t: Tensor) -> Tensor:
    """Evaluate a piecewise cubic, differentiable in t."""
    i = (torch.searchsorted(breaks, t.detach().contiguous(), right=True) - 1).clamp(0, breaks.numel() - 2)
    s = t - breaks[i]
    c = coefficients[:, i]
    return ((c[0] * s + c[1]) * s + c[2]) * s + c[3]


def residual_model(log: SteeringLog, yaw_rate_noise: float, steering_noise: float) -> TorchModel:
    """Return the model from the four unknowns to the standardised residuals of the yaw rate.

    Samples so near the ends that a delay within bounds would look outside the log are left out.

    Parameters
    ----------
    log : SteeringLog
        Data.
    yaw_rate_noise : float
        Standard deviation of the yaw rate [rad/s].
    steering_noise : float
        Standard deviation of the steering angle [rad]; zero if it is exact.

    Raises
    ------
    DataError
        If a noise level is out of range or the log is shorter than twice the largest delay.

    Examples
    --------
    >>> t = 0.1 * np.arange(100)
    >>> log = SteeringLog(t, 10 + 0 * t, 0.4 * np.tan(0.1 * np.sin(t)) * 10, 0.1 * np.sin(t))
    >>> unknowns = {**STEERING.zeros(), "wheelbase": np.array(2.5)}
    >>> bool(np.abs(residual_model(log, 0.01, 0.0).apply(unknowns)["residual"]).max() < 1e-9)
    True
    """
    if not (yaw_rate_noise > 0 and steering_noise >= 0):
        got = f"yaw rate {yaw_rate_noise}, steering {steering_noise}"
        raise DataError(expected("noise levels", got, "a positive and a non-negative number"))
    reach = max(abs(b) for b in STEERING["delay"].bounds)
    inside = (log.time >= log.time[0] + reach) & (log.time <= log.time[-1] - reach)
    if inside.sum() < 10:
        raise DataError(expected("SteeringLog", f"{np.ptp(log.time):g} s", f"a log well over {2 * reach:g} s long"))
    breaks, coefficients = _spline(log)
    t, v, w = (torch.tensor(np.asarray(x, float)[inside]) for x in (log.time, log.speed, log.yaw_rate))

    def function(p: dict[str, Tensor]) -> dict[str, Tensor]:
        when = t - p["delay"]
        angle = _evaluate(breaks, coefficients, when) + p["bias"]
        cell = (torch.searchsorted(breaks, when.detach().contiguous(), right=True) - 1).clamp(0, breaks.numel() - 2)
        phase = (when - breaks[cell]) / (breaks[cell + 1] - breaks[cell])
        variance = steering_noise**2 * _evaluate(*_noise_gain(), phase)
        gain = v / (p["wheelbase"] + p["understeer"] * v * v)
        spread = torch.sqrt(yaw_rate_noise**2 + (gain / torch.cos(angle) ** 2) ** 2 * variance)
        return {"residual": (gain * torch.tan(angle) - w) / spread}

    return TorchModel(STEERING, Space({"residual": Var(("sample",), (int(inside.sum()),))}), function)


def steering_problem(
    log: SteeringLog,
    yaw_rate_noise: float,
    steering_noise: float = 0.0,
    *,
    start: Tree | None = None,
    truth: Tree | None = None,
) -> InverseProblem:
    """Return the inverse problem of a steering log.

    Parameters
    ----------
    log, yaw_rate_noise, steering_noise
        As in `residual_model`.
    start : Tree, optional
        Where to begin; default 3 m and zeros.
    truth : Tree, optional
        Of a synthetic log.

    Examples
    --------
    >>> t = 0.1 * np.arange(100)
    >>> log = SteeringLog(t, 10 + 0 * t, 0.4 * np.tan(0.1 * np.sin(t)) * 10, 0.1 * np.sin(t))
    >>> from retrodict.inverse.estimators import estimate
    >>> held = {"understeer": np.array(0.0)}
    >>> round(float(estimate(steering_problem(log, 0.01).fix(held)).data["wheelbase"]), 4)
    2.5
    """
    model = residual_model(log, yaw_rate_noise, steering_noise)
    seen = Observation(model.range, model.range.zeros(), {"residual": Gaussian(1.0)})
    begin = {"wheelbase": np.array(3.0), "understeer": np.array(0.0), "delay": np.array(0.0), "bias": np.array(0.0)}
    return InverseProblem(STEERING, (Term("yaw rate", Misfit(model, seen)),), start or begin, truth, "steering-log")


def straightness(log: SteeringLog, steering_noise: float) -> str | None:
    """Say why a log cannot determine a wheelbase, or None where it can.

    Parameters
    ----------
    log : SteeringLog
        Data.
    steering_noise : float
        Standard deviation of the steering angle [rad].

    Examples
    --------
    >>> t = 0.1 * np.arange(100)
    >>> straightness(SteeringLog(t, 10 + 0 * t, 0 * t, 0 * t), 1e-3)
    'not identifiable: the steering never leaves its noise (spread 0 rad, noise 0.001 rad)'
    """
    spread = float(np.std(log.steering))
    bar = 3 * max(steering_noise, 1e-6)
    if spread <= bar:
        levels = f"spread {spread:.2g} rad, noise {steering_noise:.2g} rad"
        return f"not identifiable: the steering never leaves its noise ({levels})"
    if float(np.quantile(np.abs(log.speed), 0.9)) < 0.5:
        return "not identifiable: the vehicle hardly moves"
    return None


def block_bootstrap(
    problem: InverseProblem,
    at: Tree,
    rng: np.random.Generator,
    *,
    block: int = 25,
    resamples: int = 2000,
    level: float = 0.95,
) -> dict[str, Any]:
    """Return intervals of the unknowns that hold for residuals correlated in time.

    Blocks of residuals are drawn with replacement and each draw is solved to first order,
    ``theta - (J' J)^-1 sum over drawn blocks of J_b' r_b``; no fit is repeated.

    Parameters
    ----------
    problem : InverseProblem
        Least squares over samples in order of time.
    at : Tree
        Its minimiser.
    rng : numpy.random.Generator
        Of the draws.
    block : int, optional
        Samples in a block: longer than the residuals' correlation.
    resamples : int, optional
        Number of draws.
    level : float, optional
        Of the percentile interval.

    Returns
    -------
    dict
        ``interval``: (n, 2); ``covariance``: (n, n); rows as ``problem.space.labels()``.

    Notes
    -----
    Künsch (1989), moving blocks.

    Examples
    --------
    >>> t = 0.1 * np.arange(200)
    >>> noisy = 0.4 * np.tan(0.1 * np.sin(t)) * 10 + 0.01 * np.random.default_rng(0).standard_normal(200)
    >>> log = SteeringLog(t, 10 + 0 * t, noisy, 0.1 * np.sin(t))
    >>> problem = steering_problem(log, 0.01).fix({"understeer": np.array(0.0)})
    >>> from retrodict.inverse.estimators import estimate
    >>> at = problem.space.from_dataset(estimate(problem).data)
    >>> low, high = block_bootstrap(problem, at, np.random.default_rng(0))["interval"][0]
    >>> bool(low < 2.5 < high)
    True
    """
    r, jac = problem.jacobian(at)
    n = len(r)
    block = max(1, min(block, n // 4))
    scores = jac * r[:, None]
    cumulative = np.vstack([np.zeros(jac.shape[1]), np.cumsum(scores, 0)])
    sums = cumulative[block:] - cumulative[:-block]
    count = int(np.ceil(n / block))
    draws = sums[rng.integers(0, len(sums), (resamples, count))].sum(1) * (n / (count * block))
    steps = -np.linalg.lstsq(jac.T @ jac, (draws - draws.mean(0)).T, rcond=None)[0].T
    centre = problem.space.pack(at)
    tail = (1 - level) / 2
    low, high = np.quantile(steps, [tail, 1 - tail], axis=0)
    return {"interval": np.stack([centre + low, centre + high], 1), "covariance": np.cov(steps.T)}
