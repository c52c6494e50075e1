"""Noise models: how observed values scatter about the data that a forward model predicts.

Each model answers four questions about observed values ``y`` and a prediction ``f`` (arrays of one shape, with a mask
of the valid entries): the negative log-likelihood, a whitened form, standardised residuals, and samples.
The whitened form is a residual ``r`` with a linear map ``W`` such that ``W' r`` is the gradient and ``W' W`` the Fisher
information; Gauss-Newton methods need nothing else, whether the noise is Gaussian or not. It is the score, which is
bounded for Student-t noise and quadratic in the error for relative noise, and so is no test of the model: the
standardised residuals are, for they are independent standard normal numbers if and only if model and noise are right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import gammaln, ndtri, xlogy

from retrodict.physics.errors import DataError, expected

__all__ = ["Autocorrelated", "Gaussian", "Heteroscedastic", "NoiseModel", "Poisson", "StudentT", "Whitened"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_LOG_2PI = float(np.log(2 * np.pi))
_LEAST = 1e-300  # least probability of a tail: a residual beyond 37 standard deviations is as good as one at it


@dataclass(frozen=True)
class Whitened:
    """Residual and linear map of a noise model at one prediction.

    Parameters
    ----------
    residual : ndarray
        ``r``, the score over the root of the Fisher information; zero where masked.
    forward, transpose : callable
        ``W df`` and ``W' r``.
    """

    residual: Floats
    forward: Callable[[Floats], Floats]
    transpose: Callable[[Floats], Floats]


@runtime_checkable
class NoiseModel(Protocol):
    """What `retrodict.inverse.terms.Misfit` asks of noise."""

    def nll(self, y: Floats, f: Floats, mask: Mask) -> float:
        """Return the negative log-likelihood of the valid entries, with all constants."""
        ...

    def whiten(self, y: Floats, f: Floats, mask: Mask) -> Whitened:
        """Return the whitened residual and its map."""
        ...

    def standardise(self, y: Floats, f: Floats, mask: Mask) -> Floats:
        """Return residuals ``f - y`` as standard normal deviates under the model; zero where masked."""
        ...

    def sample(self, f: Floats, rng: np.random.Generator) -> Floats:
        """Return one noisy observation of the prediction ``f``."""
        ...


def _positive(name: str, value: ArrayLike) -> Floats:
    array = np.asarray(value, dtype=float)
    if array.size == 0 or not np.all(np.isfinite(array)) or np.any(array <= 0):
        raise DataError(expected(name, value, "finite positive numbers"))
    return array


@dataclass(frozen=True)
class Gaussian:
    """Independent Gaussian noise with a known standard deviation, one for all values or one for each.

    Parameters
    ----------
    std : float or array_like
        Standard deviation in the units of the data; broadcast against the data.

    Raises
    ------
    DataError
        If a standard deviation is not a finite positive number.

    Examples
    --------
    >>> y, f = np.array([1.0, 3.0]), np.array([1.0, 1.0])
    >>> Gaussian(2.0).whiten(y, f, np.array([True, True])).residual
    array([ 0., -1.])
    """

    std: Any

    def __post_init__(self) -> None:
        _positive("Gaussian.std", self.std)

    def nll(self, y: Floats, f: Floats, mask: Mask) -> float:
        """Return ``sum z^2 / 2 + log(std) + log(2 pi) / 2`` over the valid entries."""
        std = np.broadcast_to(np.asarray(self.std, float), y.shape)[mask]
        z = (y[mask] - f[mask]) / std
        return float(np.sum(0.5 * z**2 + np.log(std) + 0.5 * _LOG_2PI))

    def whiten(self, y: Floats, f: Floats, mask: Mask) -> Whitened:
        """Return ``(f - y) / std``."""
        weight = mask / np.asarray(self.std, float)
        residual = np.where(mask, f - np.where(mask, y, 0.0), 0.0) * weight
        return Whitened(residual, lambda df: weight * df, lambda r: weight * r)

    def standardise(self, y: Floats, f: Floats, mask: Mask) -> Floats:
        """Return ``(f - y) / std``."""
        return self.whiten(y, f, mask).residual

    def sample(self, f: Floats, rng: np.random.Generator) -> Floats:
        """Return ``f`` plus noise."""
        return f + np.asarray(self.std, float) * rng.standard_normal(f.shape)


@dataclass(frozen=True)
class Heteroscedastic:
    """Gaussian noise whose variance grows with the prediction: ``std^2 = absolute^2 + (relative f)^2``.

    The variance follows the *prediction*, so the log-likelihood keeps its ``log std`` term and its Fisher information
    ``1/std^2 + 2 (std'/std)^2``; weighting by the observed value instead would favour low observations.

    Parameters
    ----------
    absolute : float
        Floor, in the units of the data.
    relative : float
        Fraction of the prediction.

    Raises
    ------
    DataError
        If either is not positive.

    Examples
    --------
    >>> noise = Heteroscedastic(1.0, 0.1)
    >>> float(noise.std(np.array(0.0)))
    1.0
    """

    absolute: float
    relative: float

    def __post_init__(self) -> None:
        _positive("Heteroscedastic", [self.absolute, self.relative])

    def std(self, f: Floats) -> Floats:
        """Return the standard deviation at a prediction."""
        return np.hypot(self.absolute, self.relative * f)

    def nll(self, y: Floats, f: Floats, mask: Mask) -> float:
        """Return the Gaussian negative log-likelihood with the variance of the prediction."""
        return Gaussian(self.std(f)).nll(y, f, mask)

    def whiten(self, y: Floats, f: Floats, mask: Mask) -> Whitened:
        """Return the score over the root of the Fisher information."""
        std = self.std(f)
        slope = self.relative**2 * f / std
        e = np.where(mask, f - np.where(mask, y, 0.0), 0.0)
        score = e / std**2 - e**2 * slope / std**3 + slope / std
        root = np.where(mask, np.sqrt(1 / std**2 + 2 * (slope / std) ** 2), 0.0)
        residual = np.where(mask, score / np.where(mask, root, 1.0), 0.0)
        return Whitened(residual, lambda df: root * df, lambda r: root * r)

    def standardise(self, y: Floats, f: Floats, mask: Mask) -> Floats:
        """Return ``(f - y) / std(f)``."""
        return Gaussian(self.std(f)).standardise(y, f, mask)

    def sample(self, f: Floats, rng: np.random.Generator) -> Floats:
        """Return ``f`` plus noise."""
        return f + self.std(f) * rng.standard_normal(f.shape)


@dataclass(frozen=True)
class StudentT:
    """Independent Student-t noise: outliers lose weight ``(nu + 1) / (nu + z^2)``.

    Parameters
    ----------
    scale : float or array_like
        Scale in the units of the data; the standard deviation is ``scale sqrt(nu / (nu - 2))``.
    nu : float
        Degrees of freedom.

    Raises
    ------
    DataError
        If scale or nu is not positive.

    Examples
    --------
    >>> far = StudentT(1.0, 4.0).whiten(np.array([0.0]), np.array([100.0]), np.array([True]))
    >>> bool(abs(far.transpose(far.residual))[0] < 0.1)
    True
    """

    scale: Any
    nu: float

    def __post_init__(self) -> None:
        _positive("StudentT.scale", self.scale)
        _positive("StudentT.nu", self.nu)

    def nll(self, y: Floats, f: Floats, mask: Mask) -> float:
        """Return the Student-t negative log-likelihood."""
        nu = self.nu
        scale = np.broadcast_to(np.asarray(self.scale, float), y.shape)[mask]
        z = (y[mask] - f[mask]) / scale
        constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
        return float(np.sum(0.5 * (nu + 1) * np.log1p(z**2 / nu) + np.log(scale) - constant))

    def whiten(self, y: Floats, f: Floats, mask: Mask) -> Whitened:
        """Return the score over the root of the Fisher information ``(nu + 1) / (nu + 3) / scale^2``."""
        scale = np.broadcast_to(np.asarray(self.scale, float), y.shape)
        z = np.where(mask, f - np.where(mask, y, 0.0), 0.0) / scale
        root = mask * np.sqrt((self.nu + 1) / (self.nu + 3)) / scale
        score = (self.nu + 1) * z / (self.nu + z**2) * mask
        return Whitened(score * np.sqrt((self.nu + 3) / (self.nu + 1)), lambda df: root * df, lambda r: root * r)

    def standardise(self, y: Floats, f: Floats, mask: Mask) -> Floats:
        """Return the normal deviate of the same probability as ``(f - y) / scale``, of the tail that it lies in."""
        z = np.where(mask, f - np.where(mask, y, 0.0), 0.0) / np.asarray(self.scale, float)
        return np.asarray(-np.sign(z) * ndtri(np.maximum(stats.t.sf(np.abs(z), self.nu), _LEAST)))

    def sample(self, f: Floats, rng: np.random.Generator) -> Floats:
        """Return ``f`` plus noise."""
        return f + np.asarray(self.scale, float) * rng.standard_t(self.nu, f.shape)


@dataclass(frozen=True)
class Poisson:
    """Counts of independent events; the prediction is their expectation.

    Raises
    ------
    DataError
        If a count is negative or not whole, or a prediction is not positive where a gradient is asked for.

    Notes
    -----
    Counts are discrete, so that their standardised residuals are randomised quantile residuals (Dunn and Smyth 1996):
    a uniform number picks a place within the probability of the count. It is drawn from the counts' own place in the
    array, so that equal data give equal residuals.

    Examples
    --------
    >>> y, f = np.array([3.0]), np.array([4.0])
    >>> Poisson().whiten(y, f, np.array([True])).residual
    array([0.5])
    """

    @staticmethod
    def _counts(y: Floats, mask: Mask) -> Floats:
        counts = np.where(mask, y, 0.0)
        bad = (counts < 0) | (counts != np.floor(counts))
        if bad.any():
            raise DataError(expected("Poisson", f"a count of {counts[bad][0]:g}", "whole numbers from zero on"))
        return counts

    def nll(self, y: Floats, f: Floats, mask: Mask) -> float:
        """Return ``sum f - y ln f + ln y!``; infinite where a prediction is negative."""
        counts, rate = self._counts(y, mask)[mask], f[mask]
        if np.any(rate < 0) or np.any((rate == 0) & (counts > 0)):
            return np.inf
        return float(np.sum(rate - xlogy(counts, rate) + gammaln(counts + 1)))

    def whiten(self, y: Floats, f: Floats, mask: Mask) -> Whitened:
        """Return ``(f - y) / sqrt(f)``."""
        if np.any(f[mask] <= 0):
            raise DataError(expected("Poisson", f"a prediction of {f[mask].min():g}", "positive expectations"))
        weight = mask / np.sqrt(np.where(mask, f, 1.0))
        return Whitened(weight * (f - self._counts(y, mask)), lambda df: weight * df, lambda r: weight * r)

    def standardise(self, y: Floats, f: Floats, mask: Mask) -> Floats:
        """Return randomised quantile residuals."""
        counts = self._counts(y, mask)
        rate = np.where(mask, f, 1.0)
        share = np.random.default_rng(counts.size).random(counts.shape)
        below = stats.poisson.cdf(counts - 1, rate) + share * stats.poisson.pmf(counts, rate)
        above = stats.poisson.sf(counts, rate) + (1 - share) * stats.poisson.pmf(counts, rate)
        # of the smaller tail, for precision; f - y is large where the count is small
        z = np.where(below < above, -ndtri(np.maximum(below, _LEAST)), ndtri(np.maximum(above, _LEAST)))
        return np.where(mask, z, 0.0)

    def sample(self, f: Floats, rng: np.random.Generator) -> Floats:
        """Return counts."""
        return rng.poisson(f).astype(float)


@dataclass(frozen=True)
class Autocorrelated:
    """Gaussian noise correlated in time (Ornstein-Uhlenbeck), along the last axis: ``std^2 exp(-|dt| / time_scale)``.

    Times may be irregular and entries masked: between neighbours that are valid, the process is Markov, so whitening
    costs one subtraction a value.

    Parameters
    ----------
    std : float
        Standard deviation in the units of the data.
    time_scale : float
        Correlation time [s].
    times : array_like, shape (n,)
        Increasing times of the last axis [s].

    Raises
    ------
    DataError
        If std or time scale is not positive, or times do not increase.

    Examples
    --------
    >>> noise = Autocorrelated(1.0, 2.0, np.arange(3.0))
    >>> z = noise.whiten(np.zeros(3), np.ones(3), np.ones(3, bool)).residual
    >>> bool(np.isclose(z[1], (1 - np.exp(-0.5)) / np.sqrt(1 - np.exp(-1.0))))
    True
    """

    std: float
    time_scale: float
    times: Any

    def __post_init__(self) -> None:
        _positive("Autocorrelated.std", self.std)
        _positive("Autocorrelated.time_scale", self.time_scale)
        times = np.asarray(self.times, float)
        if times.ndim != 1 or not np.all(np.isfinite(times)) or np.any(np.diff(times) <= 0):
            raise DataError(expected("Autocorrelated.times", self.times, "increasing finite times"))

    def _neighbours(self, mask: Mask) -> tuple[NDArray[np.intp], Floats, Floats]:
        """Return the last valid index before each entry (-1: none), its coefficient, and the innovation's std."""
        times = np.asarray(self.times, float)
        n = mask.shape[-1]
        if n != times.size:
            raise DataError(expected("Autocorrelated.times", f"{times.size} times", f"{n}, one for each value"))
        index = np.where(mask, np.arange(n), -1)
        last = np.maximum.accumulate(index, axis=-1)
        before = np.concatenate([np.full((*mask.shape[:-1], 1), -1), last[..., :-1]], axis=-1)
        gap = times - times[np.maximum(before, 0)]
        phi = np.where(before >= 0, np.exp(-gap / self.time_scale), 0.0)
        return before, phi, self.std * np.sqrt(-np.expm1(-2 * gap / self.time_scale) * (before >= 0) + (before < 0))

    def nll(self, y: Floats, f: Floats, mask: Mask) -> float:
        """Return the negative log-likelihood of the chain of innovations."""
        residual = self.whiten(y, f, mask).residual
        _, _, spread = self._neighbours(mask)
        return float(np.sum(0.5 * residual[mask] ** 2 + np.log(spread[mask]) + 0.5 * _LOG_2PI))

    def whiten(self, y: Floats, f: Floats, mask: Mask) -> Whitened:
        """Return innovations in units of their standard deviation."""
        before, phi, spread = self._neighbours(mask)
        at = np.maximum(before, 0)

        def forward(df: Floats) -> Floats:
            clean = np.where(mask, df, 0.0)
            return np.where(mask, (clean - phi * np.take_along_axis(clean, at, -1)) / spread, 0.0)

        def transpose(r: Floats) -> Floats:
            scaled = np.where(mask, r / spread, 0.0)
            out = scaled.copy().reshape(-1, mask.shape[-1])
            flow = (phi * scaled).reshape(out.shape)
            rows = np.arange(out.shape[0])[:, None]
            np.subtract.at(out, (np.broadcast_to(rows, flow.shape), at.reshape(out.shape)), flow)
            return np.where(mask, out.reshape(mask.shape), 0.0)

        return Whitened(forward(f - np.where(mask, y, 0.0)), forward, transpose)

    def standardise(self, y: Floats, f: Floats, mask: Mask) -> Floats:
        """Return innovations in units of their standard deviation."""
        return self.whiten(y, f, mask).residual

    def sample(self, f: Floats, rng: np.random.Generator) -> Floats:
        """Return ``f`` plus one path of the process for each series."""
        _, phi, spread = self._neighbours(np.ones(f.shape, bool))
        noise = spread * rng.standard_normal(f.shape)
        for i in range(1, f.shape[-1]):
            noise[..., i] += phi[..., i] * noise[..., i - 1]
        return f + noise
