"""Shape classes of true trajectories in the Waymo Open Motion challenge, rebuilt from their public description.

The classes and their limits are facts from the public repository waymo-research/waymo-open-dataset.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrodict.physics.errors import SpaceError, expected
from retrodict.physics.motion.arrays import shaped_array

__all__ = ["SHAPE_RULES_2021", "SHAPE_RULES_2024", "ShapeRules", "TrajectoryShape", "classify_shape"]


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


def classify_shape(
    position: ArrayLike, heading: ArrayLike, velocity: ArrayLike, valid: ArrayLike, rules: ShapeRules = SHAPE_RULES_2024
) -> NDArray[np.int64]:
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
    place = shaped_array("position", position, (count, steps, 2))
    speed = shaped_array("velocity", velocity, (count, steps, 2))
    angle = shaped_array("heading", heading, (count, steps))
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
