"""Proper scores and calibration of probabilistic trajectory forecasts, numpy in and numpy out.

Scores are negatively oriented (smaller is better) and proper: in expectation the truth wins (Gneiting and Raftery, J.
Am. Stat. Assoc. 102, 2007). CPU or device torch tensors are accepted wherever arrays are; gradients are not carried.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from retrodict.physics.errors import DataError, SpaceError, expected

__all__ = [
    "Calibration",
    "Reliability",
    "calibration",
    "calibration_by_group",
    "crps_ensemble",
    "crps_gaussian_mixture",
    "energy_score_ensemble",
    "energy_score_gaussian_mixture",
    "expected_norm",
    "nll_gaussian",
    "pit_histogram",
    "reliability",
    "wilson_interval",
]

Floats: TypeAlias = NDArray[np.float64]
Values: TypeAlias = ArrayLike | torch.Tensor


def _array(name: str, value: Values) -> Floats:
    plain: Any = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
    array = np.asarray(plain, dtype=np.float64)
    if not np.isfinite(array).all():
        raise DataError(expected(name, "NaN or infinity", "finite values (select the unmasked entries first)"))
    return array


def _probabilities(name: str, value: Values) -> Floats:
    array = _array(name, value).ravel()
    if array.size == 0 or array.min() < 0.0 or array.max() > 1.0:
        raise DataError(expected(name, f"{array.size} values outside [0, 1] or none", "probabilities in [0, 1]"))
    return array


def _weights(value: Values, modes: int) -> Floats:
    array = _array("weights", value)
    if array.shape[-1] != modes:
        raise SpaceError(expected("weights", array.shape, f"(..., {modes}), one weight a mode"))
    if (array < 0).any() or not np.allclose(array.sum(-1), 1.0, atol=1e-6):
        raise DataError(expected("weights", "negative or not summing to one", "probabilities of the modes"))
    return array


def _squared(name: str, values: Floats) -> Floats:
    if (values < 0.0).any():
        raise DataError(expected(name, "a negative value", "values >= 0"))
    return values**2


def _pdf(z: Floats) -> Floats:
    return np.asarray(np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi))


def _excess(mean: Floats, variance: Floats) -> Floats:
    # E|N(m, v)| - |m| >= 0; in this form the tail decays instead of cancelling, and v = 0 gives exactly 0
    std = np.sqrt(variance)
    size = np.abs(mean)
    with np.errstate(over="ignore"):
        z = np.divide(size, std, out=np.full(np.broadcast(size, std).shape, np.inf), where=std > 0.0)
        return np.asarray(2.0 * (std * _pdf(z) - size * ndtr(-z)))


def nll_gaussian(mean: Values, covariance: Values, target: Values) -> Floats:
    """Negative log density of a multivariate normal, 2 pi included.

    Parameters
    ----------
    mean, target : array, shape (..., d)
        In m.
    covariance : array, shape (..., d, d)
        In m^2.

    Returns
    -------
    array, shape (...)
        In nat.

    Raises
    ------
    DataError
        A value is not finite or a covariance not positive definite.

    Examples
    --------
    >>> float(nll_gaussian([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0]).round(6))
    1.837877
    """
    residual = _array("target", target) - _array("mean", mean)
    try:
        factor = np.linalg.cholesky(_array("covariance", covariance))
    except np.linalg.LinAlgError as error:
        raise DataError(expected("covariance", "not positive definite", "positive definite")) from error
    white = np.linalg.solve(factor, residual[..., None])[..., 0]
    log_diagonal = np.log(np.diagonal(factor, axis1=-2, axis2=-1)).sum(-1)
    return np.asarray(0.5 * (white**2).sum(-1) + log_diagonal + 0.5 * residual.shape[-1] * np.log(2.0 * np.pi))


def crps_gaussian_mixture(weights: Values, mean: Values, std: Values, target: Values) -> Floats:
    """Continuous ranked probability score of a one-dimensional Gaussian mixture, in closed form.

    Grimit et al., Q. J. R. Meteorol. Soc. 132 (2006); one mode is the Gaussian of Gneiting and Raftery (2007).

    Parameters
    ----------
    weights, mean, std : array, shape (..., K)
        Weights that sum to one, means and standard deviations (0 allowed) in the unit of the target.
    target : array, shape (...)

    Returns
    -------
    array, shape (...)
        In the unit of the target.

    Raises
    ------
    SpaceError, DataError
        Shapes do not fit; not finite, a negative standard deviation, or weights that are no probabilities.

    Examples
    --------
    >>> float(crps_gaussian_mixture([1.0], [0.0], [1.0], 0.0).round(6))
    0.233695
    """
    mu, point = _array("mean", mean), _array("target", target)
    variance, pi = _squared("std", _array("std", std)), _weights(weights, mu.shape[-1])
    shift = point[..., None] - mu
    pair_shift = mu[..., :, None] - mu[..., None, :]
    pair_variance = variance[..., :, None] + variance[..., None, :]
    spread = np.abs(pair_shift) + _excess(pair_shift, pair_variance)
    reach = np.abs(shift) + _excess(shift, variance)
    pairs = pi[..., :, None] * pi[..., None, :]
    return np.asarray((pi * reach).sum(-1) - 0.5 * (pairs * spread).sum((-2, -1)))


def crps_ensemble(samples: Values, target: Values) -> Floats:
    """Fair CRPS from samples: unbiased for the score of the distribution they were drawn from (Ferro, 2014).

    mean |x_i - y| - sum_{i<j} |x_i - x_j| / (n (n - 1)), by sorting in n log n.

    Parameters
    ----------
    samples : array, shape (n, ...)
        n >= 2 draws.
    target : array, shape (...)

    Returns
    -------
    array, shape (...)
        In the unit of the target; may be negative.

    Raises
    ------
    SpaceError, DataError
        Shapes do not fit or n < 2; a value is not finite.

    Examples
    --------
    >>> float(crps_ensemble([0.0, 1.0], 0.0))
    0.0
    """
    draws, point = _draws(samples, target)
    count = draws.shape[0]
    ranks = (2.0 * np.arange(count) - count + 1.0).reshape(-1, *[1] * point.ndim)
    spread = (ranks * np.sort(draws, axis=0)).sum(0) / (count * (count - 1.0))
    return np.asarray(np.abs(draws - point).mean(0) - spread)


def _draws(samples: Values, target: Values) -> tuple[Floats, Floats]:
    draws, point = _array("samples", samples), _array("target", target)
    if draws.ndim == 0 or draws.shape[0] < 2 or draws.shape[1:] != point.shape:
        raise SpaceError(expected("samples", draws.shape, f"(n >= 2, *{point.shape})"))
    return draws, point


def energy_score_ensemble(samples: Values, target: Values, event_dims: int = 1) -> Floats:
    """Unbiased energy score from samples, of points or whole trajectories.

    mean |X_i - y| - sum_{i != j} |X_i - X_j| / (2 n (n - 1)), Euclidean norm over the last `event_dims` axes.

    Parameters
    ----------
    samples : array, shape (n, ..., event)
        n >= 2 draws, m.
    target : array, shape (..., event)
    event_dims : int
        1 for points (..., 2), 2 for trajectories (..., T, 2).

    Returns
    -------
    array, shape (...)
        In m; may be negative.

    Raises
    ------
    SpaceError, DataError
        Shapes do not fit or n < 2; a value is not finite.

    Examples
    --------
    >>> float(energy_score_ensemble([[3.0, 4.0], [0.0, 0.0]], [0.0, 0.0]))
    0.0
    """
    draws, point = _draws(samples, target)
    if not 1 <= event_dims <= point.ndim:
        raise SpaceError(expected("event_dims", event_dims, f"1 to {point.ndim}"))
    axes = tuple(range(-event_dims, 0))

    def norm(difference: Floats) -> Floats:
        return np.asarray(np.sqrt((difference**2).sum(axes)))

    count = draws.shape[0]
    pairs = np.zeros(point.shape[: point.ndim - event_dims])
    for lag in range(1, count):  # one lag at a time: all n^2 differences at once would not fit in memory
        pairs = pairs + norm(draws[lag:] - draws[:-lag]).sum(0)
    return np.asarray(norm(draws - point).mean(0) - pairs / (count * (count - 1.0)))


def expected_norm(mean: Values, covariance: Values, nodes: int = 256) -> Floats:
    """E|V| of a planar Gaussian V, by a periodic quadrature that converges exponentially.

    |v| is a quarter of the integral of |v . u| over all directions u, so E|V| is an average of one-dimensional
    moments. In the eigenbasis the directions are crowded towards the minor axis, which makes the relative error about
    exp(-2 nodes (s_min / s_max)^(1/2)) for standard deviations s. It stays below 2e-5 at 256 nodes, falling as
    nodes^-2, for the hardest inputs: means beyond 10 s_max, or singular covariances.

    Parameters
    ----------
    mean : array, shape (..., 2)
        In m.
    covariance : array, shape (..., 2, 2)
        In m^2; may be singular.
    nodes : int
        Directions in half a turn.

    Returns
    -------
    array, shape (...)
        In m.

    Raises
    ------
    DataError
        A value is not finite or a covariance has a negative eigenvalue.

    Examples
    --------
    >>> float(expected_norm([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]]).round(12)) == round(float(np.sqrt(np.pi / 2)), 12)
    True
    """
    centre, matrix = _array("mean", mean), _array("covariance", covariance)
    values, axes = np.linalg.eigh(matrix)
    if (values[..., 0] < -1e-10 * np.abs(values[..., 1])).any():
        raise DataError(expected("covariance", "a negative eigenvalue", "positive semidefinite"))
    small, large = np.maximum(values[..., 0, None], 0.0), np.maximum(values[..., 1, None], 0.0)
    along = np.einsum("...i,...ij->...j", centre, axes)
    spread = np.sqrt(np.where(large > 0.0, large, 1.0))
    distance = np.hypot(centre[..., 0], centre[..., 1])[..., None]
    # crowding beyond what the nodes resolve would lose the major axis, and far means bend the integrand anywhere
    floor = np.maximum(distance / (10.0 * spread), 12.0 / nodes)
    ratio = np.minimum(np.maximum((small / spread**2) ** 0.25, floor), 1.0)
    angle = (np.arange(nodes) + 0.5) * np.pi / nodes
    stretch = np.hypot(ratio * np.cos(angle), np.sin(angle))
    major, minor = ratio * np.cos(angle) / stretch, np.sin(angle) / stretch
    projected = along[..., 1, None] * major + along[..., 0, None] * minor
    excess, weight = _excess(projected, large * major**2 + small * minor**2), 0.5 * np.pi * ratio / stretch**2
    # |m| + excess is smooth, each alone is not; once the bend is too sharp for the nodes, |m| is better done exactly
    bend = np.where(distance > nodes * np.sqrt(large), distance, np.abs(projected) * weight).mean(-1)
    return np.asarray(bend + (excess * weight).mean(-1))


def energy_score_gaussian_mixture(
    weights: Values, mean: Values, covariance: Values, target: Values, nodes: int = 256
) -> Floats:
    """Energy score of a planar Gaussian mixture without sampling (K = 1 for one Gaussian).

    E|X - y| - E|X - X'| / 2, where every term is an `expected_norm`.

    Parameters
    ----------
    weights : array, shape (..., K)
    mean : array, shape (..., K, 2)
        In m.
    covariance : array, shape (..., K, 2, 2)
        In m^2.
    target : array, shape (..., 2)
    nodes : int
        See `expected_norm`.

    Returns
    -------
    array, shape (...)
        In m.

    Raises
    ------
    SpaceError, DataError
        As `crps_gaussian_mixture` and `expected_norm`.

    Examples
    --------
    >>> float(energy_score_gaussian_mixture([1.0], [[3.0, 4.0]], np.zeros((1, 2, 2)), [0.0, 0.0]))
    5.0
    """
    mu, matrix = _array("mean", mean), _array("covariance", covariance)
    pi = _weights(weights, mu.shape[-2])
    reach = expected_norm(mu - _array("target", target)[..., None, :], matrix, nodes)
    shift = mu[..., :, None, :] - mu[..., None, :, :]
    spread = expected_norm(shift, matrix[..., :, None, :, :] + matrix[..., None, :, :, :], nodes)
    return np.asarray((pi * reach).sum(-1) - 0.5 * (pi[..., :, None] * pi[..., None, :] * spread).sum((-2, -1)))


def wilson_interval(hits: ArrayLike, count: int, level: float = 0.95) -> tuple[Floats, Floats]:
    """Wilson's score interval of a binomial proportion (J. Am. Stat. Assoc. 22, 1927); trials are independent.

    Parameters
    ----------
    hits : array of int
    count : int
        Number of trials, > 0.
    level : float
        Confidence of the interval.

    Returns
    -------
    tuple of array
        Lower and upper end.

    Raises
    ------
    DataError
        Hits outside [0, count], no trials, or a level outside (0, 1).

    Examples
    --------
    >>> [round(float(end), 4) for end in wilson_interval(8, 10)]
    [0.4902, 0.9433]
    """
    number = np.asarray(hits, dtype=np.float64)
    if count <= 0 or (number < 0).any() or (number > count).any() or not 0.0 < level < 1.0:
        raise DataError(expected("hits, count, level", (hits, count, level), "0 <= hits <= count > 0, 0 < level < 1"))
    z2 = float(ndtri(0.5 + 0.5 * level)) ** 2
    centre = (number + 0.5 * z2) / (count + z2)
    half = np.sqrt(z2 * (number * (count - number) / count + 0.25 * z2)) / (count + z2)
    # at no hit and at all hits the exact ends are 0 and 1: rounding must not exclude them
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Nominal against empirical coverage of forecast regions, with a confidence band; arrays of one shape (L,).

    Parameters
    ----------
    nominal, empirical, low, high : array
        Probability of the regions, share of targets inside, ends of the band about the share.
    count : int
        Independent units behind the band: targets, or groups.

    Examples
    --------
    >>> calibration([0.2, 0.4, 0.6, 0.8], [0.5]).empirical
    array([0.5])
    """

    nominal: Floats
    empirical: Floats
    low: Floats
    high: Floats
    count: int


_NOMINAL = tuple(np.round(np.arange(0.05, 0.96, 0.05), 2))


def calibration(pit: Values, nominal: Values = _NOMINAL, level: float = 0.95) -> Calibration:
    """Coverage of nested regions: the share of PIT values up to each nominal probability, with Wilson's band.

    Parameters
    ----------
    pit : array
        Probability content of the region that ends at the target (`radius_pit`, `content_pit`), any shape.
    nominal : array
        Nominal probabilities; one gives a coverage, many the calibration curve.
    level : float
        Confidence of the band, which supposes independent targets; else use `calibration_by_group`.

    Returns
    -------
    Calibration

    Raises
    ------
    DataError
        Probabilities outside [0, 1], not finite, or none.

    Examples
    --------
    >>> round(float(calibration(np.linspace(0.05, 0.95, 10), 0.9).high[0]), 4)
    0.9821
    """
    values, wanted = np.sort(_probabilities("pit", pit)), _probabilities("nominal", nominal)
    hits = np.searchsorted(values, wanted, side="right")
    low, high = wilson_interval(hits, values.size, level)
    return Calibration(wanted, hits / values.size, low, high, values.size)


def calibration_by_group(
    pit: Values,
    groups: ArrayLike,
    rng: np.random.Generator,
    nominal: Values = _NOMINAL,
    level: float = 0.95,
    resamples: int = 1000,
) -> Calibration:
    """Coverage with a cluster bootstrap band: whole groups (tracks) are resampled, as steps of one are dependent.

    Percentile interval (Efron and Tibshirani, 1993, chapter 13); for blocks of a long track number the blocks.

    Parameters
    ----------
    pit, nominal, level
        As for `calibration`.
    groups : array of int or str, shape of pit
        Group of each value.
    rng : numpy.random.Generator
    resamples : int
        Bootstrap replicates.

    Returns
    -------
    Calibration
        With the number of groups as count.

    Raises
    ------
    SpaceError, DataError
        Groups of another size than pit; fewer than two groups, or probabilities as for `calibration`.

    Examples
    --------
    >>> tracks = np.repeat(np.arange(30), 10)
    >>> curve = calibration_by_group(np.repeat(np.linspace(0, 1, 30), 10), tracks, np.random.default_rng(0), 0.5)
    >>> bool(curve.low[0] < 0.4 < 0.6 < curve.high[0])
    True
    """
    values, wanted, label = _probabilities("pit", pit), _probabilities("nominal", nominal), np.asarray(groups).ravel()
    if label.size != values.size:
        raise SpaceError(expected("groups", label.size, f"{values.size} labels, one a PIT value"))
    index = np.unique(label, return_inverse=True)[1]
    size = np.bincount(index).astype(np.float64)
    if size.size < 2 or not 0.0 < level < 1.0:
        raise DataError(expected("groups, level", (size.size, level), "at least two groups, 0 < level < 1"))
    hits = np.stack([np.bincount(index, weights=values <= bound, minlength=size.size) for bound in wanted], axis=-1)
    times = rng.multinomial(size.size, np.full(size.size, 1.0 / size.size), size=resamples).astype(np.float64)
    shares = (times @ hits) / (times @ size)[:, None]
    low, high = np.quantile(shares, [0.5 - 0.5 * level, 0.5 + 0.5 * level], axis=0)
    return Calibration(wanted, hits.sum(0) / values.size, low, high, size.size)


def pit_histogram(pit: Values, bins: int = 10) -> tuple[Floats, Floats, float]:
    """PIT histogram: densities (one if calibrated), bin edges, standard error of a density if calibrated.

    Too wide forecasts show as a hump of a one-dimensional PIT, and as an excess of small values of a region PIT.

    Parameters
    ----------
    pit : array
        Any shape.
    bins : int
        Number of equal bins on [0, 1].

    Returns
    -------
    tuple
        Densities of shape (bins,), edges of shape (bins + 1,), standard error for independent targets.

    Raises
    ------
    DataError
        PIT values outside [0, 1], not finite, or none; no bin.

    Examples
    --------
    >>> pit_histogram([0.1, 0.2, 0.3, 0.9], bins=2)[0]
    array([1.5, 0.5])
    """
    values = _probabilities("pit", pit)
    if bins < 1:
        raise DataError(expected("bins", bins, "at least one"))
    density, edges = np.histogram(values, bins=bins, range=(0.0, 1.0), density=True)
    return density, edges, float(np.sqrt((bins - 1.0) / values.size))


@dataclass(frozen=True)
class Reliability:
    """Distances of a PIT sample from uniformity.

    Parameters
    ----------
    area : float
        Integral of |empirical - nominal| coverage over [0, 1]: mean absolute calibration error.
    largest : float
        Largest |empirical - nominal|, the Kolmogorov-Smirnov statistic.
    bias : float
        Mean PIT minus 1/2; for a region PIT positive means over-confident (regions too small).
    dispersion : float
        12 Var PIT: one if uniform; for a one-dimensional PIT above one means over-confident.
    count : int
        PIT values.

    Examples
    --------
    >>> reliability([0.5]).largest
    0.5
    """

    area: float
    largest: float
    bias: float
    dispersion: float
    count: int


def reliability(pit: Values) -> Reliability:
    """Summarise a PIT sample; all integrals are exact for the empirical step function.

    Parameters
    ----------
    pit : array
        Any shape.

    Returns
    -------
    Reliability

    Raises
    ------
    DataError
        PIT values outside [0, 1], not finite, or none.

    Examples
    --------
    >>> round(reliability([0.25, 0.75]).area, 6)
    0.125
    """
    values = np.sort(_probabilities("pit", pit))
    count = values.size
    edges = np.concatenate([[0.0], values, [1.0]])
    share = np.arange(count + 1) / count
    left, right = edges[:-1] - share, edges[1:] - share
    # integral of |p - share| over each step: x |x| / 2 is a primitive of |x|
    area = 0.5 * (right * np.abs(right) - left * np.abs(left)).sum()
    largest = np.maximum(np.abs(left), np.abs(right)).max()
    return Reliability(float(area), float(largest), float(values.mean() - 0.5), float(12.0 * values.var()), count)
