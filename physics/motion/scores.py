"""Proper scores of probabilistic trajectory forecasts, numpy in and numpy out: likelihood and CRPS.

Scores are negatively oriented (smaller is better) and proper: in expectation the truth wins (Gneiting and Raftery, J.
Am. Stat. Assoc. 102, 2007). CPU or device torch tensors are accepted wherever arrays are; gradients are not carried.
"""

import numpy as np
from scipy.special import ndtr

from retrodict.physics.errors import DataError, expected
from retrodict.physics.motion.arrays import Floats, Values, draws_about, finite_array, mode_weights

__all__ = ["crps_ensemble", "crps_gaussian_mixture", "mean_absolute_excess", "nll_gaussian"]


def _squared(name: str, values: Floats) -> Floats:
    if (values < 0.0).any():
        raise DataError(expected(name, "a negative value", "values >= 0"))
    return values**2


def _pdf(z: Floats) -> Floats:
    return np.asarray(np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi))


def mean_absolute_excess(mean: Floats, variance: Floats) -> Floats:
    """E|N(m, v)| - |m|, which is never negative, in a form whose tail decays instead of cancelling.

    Examples
    --------
    >>> float(mean_absolute_excess(np.array(3.0), np.array(0.0)))
    0.0
    """
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
    residual = finite_array("target", target) - finite_array("mean", mean)
    try:
        factor = np.linalg.cholesky(finite_array("covariance", covariance))
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
    mu, point = finite_array("mean", mean), finite_array("target", target)
    variance, pi = _squared("std", finite_array("std", std)), mode_weights(weights, mu.shape[-1])
    shift = point[..., None] - mu
    pair_shift = mu[..., :, None] - mu[..., None, :]
    pair_variance = variance[..., :, None] + variance[..., None, :]
    spread = np.abs(pair_shift) + mean_absolute_excess(pair_shift, pair_variance)
    reach = np.abs(shift) + mean_absolute_excess(shift, variance)
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
    draws, point = draws_about(samples, target)
    count = draws.shape[0]
    ranks = (2.0 * np.arange(count) - count + 1.0).reshape(-1, *[1] * point.ndim)
    spread = (ranks * np.sort(draws, axis=0)).sum(0) / (count * (count - 1.0))
    return np.asarray(np.abs(draws - point).mean(0) - spread)
