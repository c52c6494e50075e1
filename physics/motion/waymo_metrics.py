"""Metrics of the Waymo Open Motion challenge, rebuilt from their public description; numpy in and numpy out.

Taken as facts from the public repository waymo-research/waymo-open-dataset (challenge configuration, message
documentation, track classification): six modes at most, the first six of the list; 2 Hz from 10 Hz, the first sample at
0.5 s; horizons 3, 5, 8 s at samples 5, 9, 15; thresholds and their scaling by initial speed; errors turned into the
frame of the true heading at that step; a displacement equal to its threshold is a hit; shape classes and their limits;
the area under the interpolated precision with false positives first among equal confidences; buckets without an object
left out of the mean; right U-turns counted with right turns; soft mAP leaves further hits on one object out. Inferred,
because no text settles it: among equal confidences of one object the first mode wins; `merge_right_u_turn` can be
switched off as the challenge's pages speak of eight buckets. Overlap rate and joint predictions are not covered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrodict.physics.errors import ConfigError, DataError, SpaceError, expected

__all__ = [
    "HORIZONS",
    "SHAPE_RULES_2021",
    "SHAPE_RULES_2024",
    "Horizon",
    "MotionForecasts",
    "MotionScores",
    "ShapeRules",
    "TrajectoryShape",
    "average_precision",
    "classify_shape",
    "mean_average_precision",
    "score_forecasts",
    "speed_scale",
]

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Ints: TypeAlias = NDArray[np.int64]

_MAX_MODES = 6
_RATIO = 5  # 10 Hz tracks, 2 Hz evaluation
_STEPS = 16


@dataclass(frozen=True)
class Horizon:
    """One evaluation time: sample at 2 Hz counted from 0.5 s, miss thresholds in m at full speed scale.

    Examples
    --------
    >>> HORIZONS[8.0].step, HORIZONS[8.0].longitudinal
    (15, 6.0)
    """

    step: int
    lateral: float
    longitudinal: float


HORIZONS: Mapping[float, Horizon] = MappingProxyType(
    {3.0: Horizon(5, 1.0, 2.0), 5.0: Horizon(9, 1.8, 3.6), 8.0: Horizon(15, 3.0, 6.0)}
)


class TrajectoryShape(IntEnum):
    """Shape buckets of true trajectories; UNKNOWN where start or future are not valid.

    Examples
    --------
    >>> TrajectoryShape(5).name
    'LEFT'
    """

    UNKNOWN = -1
    STATIONARY = 0
    STRAIGHT = 1
    STRAIGHT_LEFT = 2
    STRAIGHT_RIGHT = 3
    LEFT_U_TURN = 4
    LEFT = 5
    RIGHT_U_TURN = 6
    RIGHT = 7


@dataclass(frozen=True)
class ShapeRules:
    """Limits of the shape classes, in m/s, m, m, m and rad; every comparison is strict.

    SHAPE_RULES_2021 holds the limits before March 2024. The challenge also compared headings without wrapping them
    then, and needed a heading change to the right for a right turn; these two habits are not reproduced.

    Examples
    --------
    >>> SHAPE_RULES_2021.stationary_displacement, SHAPE_RULES_2024.stationary_displacement
    (5.0, 3.0)
    """

    stationary_speed: float = 2.0
    stationary_displacement: float = 3.0
    straight_lateral: float = 2.5
    u_turn_longitudinal: float = 0.0
    straight_heading: float = np.pi / 6.0


SHAPE_RULES_2024 = ShapeRules()
SHAPE_RULES_2021 = ShapeRules(stationary_displacement=5.0, straight_lateral=5.0, u_turn_longitudinal=-5.0)


def _array(name: str, value: ArrayLike, shape: tuple[int, ...]) -> Floats:
    array = np.asarray(value, dtype=np.float64)
    if array.shape != shape:
        raise SpaceError(expected(name, array.shape, shape))
    return array


def speed_scale(speed: ArrayLike) -> Floats:
    """Factor of the miss thresholds: 0.5 below 1.4 m/s, 1 above 11 m/s, linear between.

    Parameters
    ----------
    speed : array
        Speed at the current time, m/s.

    Returns
    -------
    array
        Dimensionless.

    Examples
    --------
    >>> speed_scale([0.0, 6.2, 20.0])
    array([0.5 , 0.75, 1.  ])
    """
    return np.asarray(np.interp(np.asarray(speed, dtype=np.float64), [1.4, 11.0], [0.5, 1.0]))


def classify_shape(
    position: ArrayLike, heading: ArrayLike, velocity: ArrayLike, valid: ArrayLike, rules: ShapeRules = SHAPE_RULES_2024
) -> Ints:
    """Shape of true trajectories from the current state and the last valid one.

    Parameters
    ----------
    position, velocity : array, shape (N, S, 2)
        States from the current time (index 0) on, m and m/s.
    heading : array, shape (N, S)
        In rad.
    valid : array of bool, shape (N, S)
        False states may hold NaN.
    rules : ShapeRules
        The limits in force since 2024, or those of 2021.

    Returns
    -------
    array of int, shape (N,)
        `TrajectoryShape` values.

    Raises
    ------
    SpaceError
        Shapes do not fit.

    Examples
    --------
    >>> states = np.array([[[0.0, 0.0], [20.0, 4.0]]])
    >>> TrajectoryShape(classify_shape(states, [[0.0, 0.1]], states, [[True, True]])[0]).name
    'STRAIGHT_LEFT'
    """
    keep = np.asarray(valid, dtype=bool)
    if keep.ndim != 2 or keep.shape[1] < 2:
        raise SpaceError(expected("valid", keep.shape, "(N, S) with the current state and a future"))
    count, steps = keep.shape
    place, speed = _array("position", position, (count, steps, 2)), _array("velocity", velocity, (count, steps, 2))
    angle = _array("heading", heading, (count, steps))
    known = keep[:, 0] & keep[:, 1:].any(1)
    row = np.flatnonzero(known)
    last = np.where(keep, np.arange(steps), 0).max(1)[row]
    delta = place[row, last] - place[row, 0]
    start = angle[row, 0]
    forward = np.cos(start) * delta[:, 0] + np.sin(start) * delta[:, 1]
    left = np.cos(start) * delta[:, 1] - np.sin(start) * delta[:, 0]
    turn = np.abs(np.angle(np.exp(1j * (angle[row, last] - start))))
    fastest = np.maximum(np.hypot(*speed[row, 0].T), np.hypot(*speed[row, last].T))
    still = (fastest < rules.stationary_speed) & (np.hypot(*delta.T) < rules.stationary_displacement)
    ahead, back = turn < rules.straight_heading, forward < rules.u_turn_longitudinal
    on_left = left >= 0.0
    cases = [still, ahead & (np.abs(left) < rules.straight_lateral), ahead & on_left, ahead, on_left & back, on_left]
    shape = TrajectoryShape
    names = [shape.STATIONARY, shape.STRAIGHT, shape.STRAIGHT_LEFT, shape.STRAIGHT_RIGHT, shape.LEFT_U_TURN, shape.LEFT]
    result = np.full(count, int(shape.UNKNOWN), dtype=np.int64)
    result[row] = np.select(cases, names, np.where(back, shape.RIGHT_U_TURN, shape.RIGHT))
    return result


@dataclass(frozen=True, eq=False)
class MotionForecasts:
    """Forecasts and truths of N objects at 2 Hz; only the first six modes are kept, as in the challenge.

    Parameters
    ----------
    position : array, shape (N, K, 16, 2)
        Forecast positions at 0.5, 1, ..., 8 s, m.
    confidence : array, shape (N, K)
        Any scale, but one scale for all objects: they are ranked together and not normalised.
    truth : array, shape (N, 16, 2)
        True positions, m; not valid ones may hold NaN.
    heading : array, shape (N, 16)
        True headings, rad.
    valid : array of bool, shape (N, 16)
    speed : array, shape (N,)
        At the current time, m/s.
    shape : array of int, shape (N,)
        `TrajectoryShape` values; UNKNOWN is left out of the average precision alone.

    Raises
    ------
    SpaceError
        Shapes do not fit.
    DataError
        A value that counts is not finite, or no object or no valid state is there.

    Examples
    --------
    >>> truth = np.zeros((1, 16, 2))
    >>> one = MotionForecasts(truth[:, None] + 3.0, [[1.0]], truth, truth[..., 0], np.ones((1, 16)), [0.0], [1])
    >>> bool(one.distances()[0, 0, 0] == np.hypot(3.0, 3.0))
    True
    """

    position: Floats
    confidence: Floats
    truth: Floats
    heading: Floats
    valid: Bools
    speed: Floats
    shape: Ints

    def __post_init__(self) -> None:
        position = np.asarray(self.position, dtype=np.float64)
        if position.ndim != 4 or position.shape[2:] != (_STEPS, 2) or 0 in position.shape:
            raise SpaceError(expected("position", position.shape, f"(N, K, {_STEPS}, 2), none of them empty"))
        count, modes = position.shape[:2]
        valid = _array("valid", self.valid, (count, _STEPS)).astype(bool)
        arrays: dict[str, NDArray[np.generic]] = {
            "position": position[:, :_MAX_MODES],
            "confidence": _array("confidence", self.confidence, (count, modes))[:, :_MAX_MODES],
            "truth": np.where(valid[..., None], _array("truth", self.truth, (count, _STEPS, 2)), 0.0),
            "heading": np.where(valid, _array("heading", self.heading, (count, _STEPS)), 0.0),
            "speed": _array("speed", self.speed, (count,)),
            "shape": _array("shape", self.shape, (count,)).astype(np.int64),
        }
        for name, array in arrays.items():
            if not np.isfinite(np.asarray(array, dtype=np.float64)).all():
                raise DataError(expected(name, "NaN or infinity", "finite values where valid"))
            object.__setattr__(self, name, array)
        if not valid.any():
            raise DataError(expected("valid", "no valid state", "at least one"))
        object.__setattr__(self, "valid", valid)

    @classmethod
    def from_tracks(
        cls,
        position: ArrayLike,
        confidence: ArrayLike,
        states: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike],
        rules: ShapeRules = SHAPE_RULES_2024,
    ) -> "MotionForecasts":
        """Take every fifth sample of 10 Hz forecasts and tracks, and classify the shapes.

        Parameters
        ----------
        position : array, shape (N, K, 80, 2)
            Forecasts from 0.1 s to 8 s, m.
        confidence : array, shape (N, K)
        states : tuple of arrays
            Position (N, 81, 2), heading (N, 81), velocity (N, 81, 2) and valid (N, 81), from the current time on.
        rules : ShapeRules

        Examples
        --------
        >>> path = np.stack([np.arange(81.0), np.zeros(81)], axis=-1)[None]
        >>> states = (path, np.zeros((1, 81)), path * 0 + 10.0, np.ones((1, 81)))
        >>> MotionForecasts.from_tracks(path[:, None, 1:], [[1.0]], states).truth[0, :2, 0]
        array([ 5., 10.])
        """
        forecast = np.asarray(position, dtype=np.float64)
        place, heading, velocity, valid = (np.asarray(part, dtype=np.float64) for part in states)
        if forecast.ndim != 4 or forecast.shape[2] != _RATIO * _STEPS or place.shape[1:] != (_RATIO * _STEPS + 1, 2):
            raise SpaceError(
                expected("position, states[0]", (forecast.shape, place.shape), "(N, K, 80, 2), (N, 81, 2)")
            )
        shape = classify_shape(place, heading, velocity, valid, rules)
        now = np.where(valid[:, 0].astype(bool), np.hypot(*velocity[:, 0].T), 0.0)
        every = slice(_RATIO, None, _RATIO)
        return cls(
            position=forecast[:, :, _RATIO - 1 :: _RATIO],
            confidence=np.asarray(confidence, dtype=np.float64),
            truth=place[:, every],
            heading=heading[:, every],
            valid=valid[:, every].astype(bool),
            speed=now,
            shape=shape,
        )

    def distances(self) -> Floats:
        """Euclidean errors in m, shape (N, K, 16); meaningless where the truth is not valid.

        Examples
        --------
        >>> truth = np.zeros((1, 16, 2))
        >>> one = MotionForecasts(truth[:, None] + [3, 4], [[1.0]], truth, truth[..., 0], np.ones((1, 16)), [0.0], [1])
        >>> float(one.distances().max())
        5.0
        """
        error = self.position - self.truth[:, None]
        return np.asarray(np.hypot(error[..., 0], error[..., 1]))

    def hits(self, horizon: Horizon) -> Bools:
        """Whether a mode is within both scaled thresholds at the horizon, shape (N, K), in the true heading's frame.

        Examples
        --------
        >>> truth = np.zeros((1, 16, 2))
        >>> one = MotionForecasts(truth[:, None] + [2, 0], [[1.0]], truth, truth[..., 0], np.ones((1, 16)), [20.0], [1])
        >>> one.hits(HORIZONS[3.0])
        array([[ True]])
        """
        error = self.position[:, :, horizon.step] - self.truth[:, None, horizon.step]
        cos, sin = np.cos(self.heading[:, None, horizon.step]), np.sin(self.heading[:, None, horizon.step])
        longitudinal = cos * error[..., 0] + sin * error[..., 1]
        lateral = cos * error[..., 1] - sin * error[..., 0]
        scale = speed_scale(self.speed)[:, None]
        near = (np.abs(lateral) <= horizon.lateral * scale) & (np.abs(longitudinal) <= horizon.longitudinal * scale)
        return np.asarray(near)


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
