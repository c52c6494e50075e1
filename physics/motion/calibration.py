"""Calibration of probabilistic forecasts from their probability integral transforms, numpy in and numpy out.

CPU or device torch tensors are accepted wherever arrays are; gradients are not carried.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from retrodict.physics.errors import DataError, SpaceError, expected
from retrodict.physics.motion.arrays import Floats, Values, probabilities

__all__ = [
    "Calibration",
    "Reliability",
    "calibration",
    "calibration_by_group",
    "pit_histogram",
    "reliability",
    "wilson_interval",
]


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
        Probability content of the region that ends at the target (`radius_pit`, `content_pit` of
        `retrodict.physics.motion.pit`), any shape.
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
    values, wanted = np.sort(probabilities("pit", pit)), probabilities("nominal", nominal)
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
    values, wanted, label = probabilities("pit", pit), probabilities("nominal", nominal), np.asarray(groups).ravel()
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
    values = probabilities("pit", pit)
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
    values = np.sort(probabilities("pit", pit))
    count = values.size
    edges = np.concatenate([[0.0], values, [1.0]])
    share = np.arange(count + 1) / count
    left, right = edges[:-1] - share, edges[1:] - share
    # integral of |p - share| over each step: x |x| / 2 is a primitive of |x|
    area = 0.5 * (right * np.abs(right) - left * np.abs(left)).sum()
    largest = np.maximum(np.abs(left), np.abs(right)).max()
    return Reliability(float(area), float(largest), float(values.mean() - 0.5), float(12.0 * values.var()), count)
