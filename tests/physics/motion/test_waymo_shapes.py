import numpy as np
import pytest

from retrodict.physics.errors import SpaceError
from retrodict.physics.motion.waymo_shapes import SHAPE_RULES_2021, classify_shape
from retrodict.physics.motion.waymo_shapes import TrajectoryShape as Shape

CASES = [
    # final forward and left displacement in the start's frame, heading change, start speed, end speed
    ((2.9, 0.0), 0.0, 1.9, 0.0, Shape.STATIONARY),
    ((2.9, 0.0), 3.0, 1.9, 1.9, Shape.STATIONARY),
    ((2.9, 0.0), 0.0, 0.0, 2.1, Shape.STRAIGHT),  # moves at the end
    ((3.1, 0.0), 0.0, 1.0, 1.0, Shape.STRAIGHT),
    ((50.0, 2.4), 0.5, 10.0, 10.0, Shape.STRAIGHT),
    ((50.0, 2.6), 0.5, 10.0, 10.0, Shape.STRAIGHT_LEFT),
    ((50.0, -2.6), -0.5, 10.0, 10.0, Shape.STRAIGHT_RIGHT),
    ((50.0, 2.6), -0.5, 10.0, 10.0, Shape.STRAIGHT_LEFT),  # the side is that of the displacement
    ((50.0, 2.0), 0.53, 10.0, 10.0, Shape.LEFT),  # beyond 30 degrees = 0.5236 rad
    ((20.0, -20.0), -1.5, 10.0, 10.0, Shape.RIGHT),
    ((-0.1, 12.0), 3.1, 10.0, 10.0, Shape.LEFT_U_TURN),
    ((0.1, 12.0), 3.1, 10.0, 10.0, Shape.LEFT),
    ((-5.0, -8.0), 3.1, 10.0, 10.0, Shape.RIGHT_U_TURN),
]


@pytest.mark.parametrize("start", [0.0, 0.5, 3.1, -1.7, 40.0])
@pytest.mark.parametrize(("displacement", "change", "first", "final", "wanted"), CASES)
def test_shapes_in_any_frame(start, displacement, change, first, final, wanted):
    turn = np.array([[np.cos(start), -np.sin(start)], [np.sin(start), np.cos(start)]])
    position = np.zeros((1, 4, 2))
    position[0, 2] = turn @ displacement
    position[0, 3] = np.nan  # not valid: the third state is the last
    velocity = np.zeros((1, 4, 2))
    velocity[0, 0], velocity[0, 2] = (first, 0.0), (0.0, final)
    # a heading wrapped to (-pi, pi] must not look like a turn
    heading = np.array([[start, 0.0, np.angle(np.exp(1j * (start + change))), np.nan]])
    valid = np.array([[True, False, True, False]])
    assert Shape(classify_shape(position, heading, velocity, valid)[0]) is wanted


def test_shapes_without_start_or_future_are_unknown():
    zeros = np.zeros((3, 3, 2))
    valid = np.array([[False, True, True], [True, False, False], [True, False, True]])
    assert classify_shape(zeros, zeros[..., 0], zeros, valid).tolist() == [-1, -1, 0]


def test_shape_rules_of_2021_are_wider():
    def classify(x, y, turn, rules):
        position = np.array([[[0.0, 0.0], [x, y]]])
        return Shape(classify_shape(position, [[0.0, turn]], position * 0 + 1.0, [[1, 1]], rules)[0])

    assert classify(4.0, 0.0, 0.0, SHAPE_RULES_2021) is Shape.STATIONARY
    assert classify(60.0, 4.0, 0.1, SHAPE_RULES_2021) is Shape.STRAIGHT
    assert classify(-4.0, 12.0, 3.0, SHAPE_RULES_2021) is Shape.LEFT
    assert classify(-5.1, 12.0, 3.0, SHAPE_RULES_2021) is Shape.LEFT_U_TURN


def test_wrong_states_are_refused():
    with pytest.raises(SpaceError, match="valid"):
        classify_shape(np.zeros((2, 1, 2)), np.zeros((2, 1)), np.zeros((2, 1, 2)), np.ones((2, 1)))
    with pytest.raises(SpaceError, match="position"):
        classify_shape(np.zeros((2, 4)), np.zeros((2, 4)), np.zeros((2, 4, 2)), np.ones((2, 4)))
