"""Metrics of the Waymo Open Motion challenge, rebuilt from their public description; numpy in and numpy out.

Taken as facts from the public repository waymo-research/waymo-open-dataset (challenge configuration, message
documentation): the area under the interpolated precision with false positives first among equal confidences; buckets
without an object left out of the mean; right U-turns counted with right turns; soft mAP leaves further hits on one
object out. Inferred, because no text settles it: among equal confidences of one object the first mode wins;
`merge_right_u_turn` can be switched off as the challenge's pages speak of eight buckets. Overlap rate and joint
predictions are not covered.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrodict.physics.errors import ConfigError, DataError, expected
from retrodict.physics.motion.arrays import Floats
from retrodict.physics.motion.waymo_forecasts import HORIZONS, Horizon, MotionForecasts
from retrodict.physics.motion.waymo_shapes import TrajectoryShape

__all__ = ["MotionScores", "average_precision", "mean_average_precision", "score_forecasts"]

Bools: TypeAlias = NDArray[np.bool_]


def average_precision(confidence: ArrayLike, positive: ArrayLike, total: int) -> float:
    """Area under the interpolated precision over recall, all points (Everingham et al., PASCAL VOC, IJCV 2010).

    Parameters
    ----------
    confidence : array, shape (M,)
    positive : array of bool, shape (M,)
        True positives; among equal confidences the false ones are ranked first.
    total : int
        Number of true objects, > 0.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    DataError
        No object, or more true positives than objects.

    Examples
    --------
    >>> average_precision([0.9, 0.8, 0.7], [True, False, True], total=2) == 0.5 * 1 + 0.5 * 2 / 3
    True
    """
    hit = np.asarray(positive, dtype=bool)
    if total <= 0 or hit.sum() > total:
        raise DataError(expected("total", total, f"at least one and {hit.sum()} true objects"))
    found = np.cumsum(hit[np.lexsort((hit, -np.asarray(confidence, dtype=np.float64)))])
    precision = np.maximum.accumulate((found / np.arange(1, hit.size + 1))[::-1])[::-1]
    return float((np.diff(found, prepend=0) * precision).sum() / total)


def mean_average_precision(
    forecasts: MotionForecasts, horizon: Horizon, soft: bool = False, merge_right_u_turn: bool = True
) -> float:
    """Average precision averaged over the shape buckets that hold an object with a valid truth at the horizon.

    Parameters
    ----------
    forecasts : MotionForecasts
        Of one object type: the challenge averages types and horizons afterwards.
    horizon : Horizon
    soft : bool
        Leave out further hits on one object instead of counting them as false positives.
    merge_right_u_turn : bool
        Put right U-turns into the bucket of right turns.

    Returns
    -------
    float
        In [0, 1]; NaN if no object can be evaluated (the challenge reports 0).

    Examples
    --------
    >>> truth = np.zeros((1, 16, 2))
    >>> twice = np.zeros((1, 2, 16, 2))
    >>> both = MotionForecasts(twice, [[0.5, 0.4]], truth, truth[..., 0], np.ones((1, 16)), [0.0], [1])
    >>> mean_average_precision(both, HORIZONS[3.0])
    1.0
    """
    confidence = forecasts.confidence
    order = np.argsort(-confidence, axis=1, kind="stable")
    ranked = np.take_along_axis(forecasts.hits(horizon), order, 1)
    first = ranked & (np.cumsum(ranked, axis=1) == 1)
    counted = first | ~ranked if soft else np.ones_like(ranked)
    ranked_confidence = np.take_along_axis(confidence, order, 1)
    bucket = forecasts.shape
    if merge_right_u_turn:
        bucket = np.where(bucket == TrajectoryShape.RIGHT_U_TURN, TrajectoryShape.RIGHT, bucket)
    usable = forecasts.valid[:, horizon.step] & (bucket != TrajectoryShape.UNKNOWN)
    areas = []
    for name in np.unique(bucket[usable]):
        rows = usable & (bucket == name)
        pick = counted[rows]
        areas.append(average_precision(ranked_confidence[rows][pick], first[rows][pick], int(rows.sum())))
    return float(np.mean(areas)) if areas else float("nan")


@dataclass(frozen=True)
class MotionScores:
    """Challenge metrics at one horizon: errors in m, the rest dimensionless; NaN where nothing could be evaluated.

    `ade` and `fde` are those of the most confident mode (not a challenge metric), the others follow the challenge.

    Examples
    --------
    >>> MotionScores(1.0, 2.0, 0.5, 0.9, 0.1, 0.4, 0.45).miss_rate
    0.1
    """

    ade: float
    fde: float
    min_ade: float
    min_fde: float
    miss_rate: float
    mean_ap: float
    soft_mean_ap: float


def score_forecasts(forecasts: MotionForecasts, seconds: float = 8.0) -> MotionScores:
    """All metrics of one object type at one horizon.

    minADE and minFDE take the minimum over modes of each object (of different modes, perhaps), then the mean over the
    objects that have a valid state up to, respectively at, the horizon. A miss is an object without any hit.

    Parameters
    ----------
    forecasts : MotionForecasts
    seconds : float
        3, 5 or 8.

    Returns
    -------
    MotionScores

    Raises
    ------
    ConfigError
        Another horizon.

    Examples
    --------
    >>> truth = np.zeros((1, 16, 2))
    >>> one = MotionForecasts(truth[:, None] + 3.0, [[1.0]], truth, truth[..., 0], np.ones((1, 16)), [20.0], [1])
    >>> score_forecasts(one, 8.0).miss_rate, score_forecasts(one, 5.0).miss_rate
    (0.0, 1.0)
    """
    if seconds not in HORIZONS:
        raise ConfigError(expected("seconds", seconds, f"one of {sorted(HORIZONS)}"))
    horizon = HORIZONS[seconds]
    valid = forecasts.valid[:, : horizon.step + 1]
    seen, ends = np.asarray(valid.any(1)), valid[:, -1]
    distance = forecasts.distances()[:, :, : horizon.step + 1]
    average = (distance * valid[:, None]).sum(-1) / np.maximum(valid.sum(-1), 1)[:, None]
    final = distance[..., -1]
    best = np.argmax(forecasts.confidence, axis=1)[:, None]
    missed = 1.0 - np.max(forecasts.hits(horizon), axis=1)

    def mean(values: Floats, rows: Bools) -> float:
        return float(values[rows].mean()) if rows.any() else float("nan")

    return MotionScores(
        ade=mean(np.take_along_axis(average, best, 1)[:, 0], seen),
        fde=mean(np.take_along_axis(final, best, 1)[:, 0], ends),
        min_ade=mean(average.min(1), seen),
        min_fde=mean(final.min(1), ends),
        miss_rate=mean(missed, ends),
        mean_ap=mean_average_precision(forecasts, horizon),
        soft_mean_ap=mean_average_precision(forecasts, horizon, soft=True),
    )
