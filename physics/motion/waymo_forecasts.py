"""Forecasts of one object type beside the truth as the Waymo Open Motion challenge evaluates them; numpy in and out.

Facts from the public repository waymo-research/waymo-open-dataset: six modes at most, the first six of the list; 2 Hz
from 10 Hz, the first sample at 0.5 s; horizons 3, 5, 8 s at samples 5, 9, 15; thresholds and their scaling by initial
speed; errors turned into the frame of the true heading at that step; a displacement equal to its threshold is a hit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrodict.physics.errors import DataError, SpaceError, expected
from retrodict.physics.motion.arrays import Floats, shaped_array
from retrodict.physics.motion.waymo_shapes import SHAPE_RULES_2024, ShapeRules, classify_shape

__all__ = ["HORIZONS", "Horizon", "MotionForecasts", "speed_scale"]

Bools: TypeAlias = NDArray[np.bool_]

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
    shape: NDArray[np.int64]

    def __post_init__(self) -> None:
        position = np.asarray(self.position, dtype=np.float64)
        if position.ndim != 4 or position.shape[2:] != (_STEPS, 2) or 0 in position.shape:
            raise SpaceError(expected("position", position.shape, f"(N, K, {_STEPS}, 2), none of them empty"))
        count, modes = position.shape[:2]
        valid = shaped_array("valid", self.valid, (count, _STEPS)).astype(bool)
        arrays: dict[str, NDArray[np.generic]] = {
            "position": position[:, :_MAX_MODES],
            "confidence": shaped_array("confidence", self.confidence, (count, modes))[:, :_MAX_MODES],
            "truth": np.where(valid[..., None], shaped_array("truth", self.truth, (count, _STEPS, 2)), 0.0),
            "heading": np.where(valid, shaped_array("heading", self.heading, (count, _STEPS)), 0.0),
            "speed": shaped_array("speed", self.speed, (count,)),
            "shape": shaped_array("shape", self.shape, (count,)).astype(np.int64),
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
