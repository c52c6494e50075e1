import math

import numpy as np
import pytest

from retrodict.physics.errors import DataError, SpaceError
from retrodict.physics.motion.waymo_forecasts import HORIZONS, MotionForecasts, speed_scale
from retrodict.physics.motion.waymo_metrics import score_forecasts
from retrodict.physics.motion.waymo_shapes import TrajectoryShape as Shape


@pytest.mark.parametrize(("seconds", "lateral", "longitudinal"), [(3.0, 1.0, 2.0), (5.0, 1.8, 3.6), (8.0, 3.0, 6.0)])
@pytest.mark.parametrize(("speed", "scale"), [(0.0, 0.5), (1.4, 0.5), (6.2, 0.75), (11.0, 1.0), (30.0, 1.0)])
@pytest.mark.parametrize("heading", [0.0, 0.7, -2.0])
def test_miss_box_lies_in_the_frame_of_the_true_heading(seconds, lateral, longitudinal, speed, scale, heading, scene):
    along, across = np.array([np.cos(heading), np.sin(heading)]), np.array([-np.sin(heading), np.cos(heading)])
    corners = [
        (sign * longitudinal * scale * u * along + sign * lateral * scale * v * across)
        for sign in (-1, 1)
        for u, v in ((0.999, 0.999), (1.001, 0.0), (0.0, 1.001))
    ]
    rows = [(Shape.STRAIGHT, heading, speed, [(*corner, 0.5) for corner in corners])]
    assert scene(rows).hits(HORIZONS[seconds])[0].tolist() == [True, False, False] * 2
    assert speed_scale(speed) == pytest.approx(scale)


def test_tracks_at_ten_hertz_are_thinned_to_two():
    time = np.arange(81) / 10
    radius, rate = 20.0, 0.2  # a left turn of 1.6 rad in 8 s at 4 m/s
    place = radius * np.stack([np.sin(rate * time), 1 - np.cos(rate * time)], axis=-1)
    velocity = radius * rate * np.stack([np.cos(rate * time), np.sin(rate * time)], axis=-1)
    valid = np.ones((2, 81))
    valid[1, 0] = 0
    states = (np.stack([place, place]), np.stack([rate * time] * 2), np.stack([velocity] * 2), valid)
    lag = np.stack([place[:-1], place[1:] + 1.0])  # mode 0 is late by 0.1 s = 0.4 m
    made = MotionForecasts.from_tracks(np.stack([lag, lag]), [[0.9, 0.1]] * 2, states)
    assert made.shape.tolist() == [Shape.LEFT, Shape.UNKNOWN]
    assert made.speed == pytest.approx([4.0, 0.0])
    np.testing.assert_allclose(made.truth[0], place[5::5])
    np.testing.assert_allclose(made.distances()[:, 0], 2 * radius * math.sin(rate * 0.05), rtol=1e-12)
    assert score_forecasts(made, 8.0).min_fde == pytest.approx(2 * radius * math.sin(rate * 0.05))
    with pytest.raises(SpaceError, match="80"):
        MotionForecasts.from_tracks(np.stack([lag, lag])[:, :, :79], [[0.9, 0.1]] * 2, states)


def parts(**changes):
    base = {
        "position": np.zeros((2, 3, 16, 2)),
        "confidence": np.ones((2, 3)),
        "truth": np.zeros((2, 16, 2)),
        "heading": np.zeros((2, 16)),
        "valid": np.ones((2, 16), dtype=bool),
        "speed": np.zeros(2),
        "shape": np.ones(2, dtype=int),
    }
    return base | changes


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"position": np.zeros((2, 3, 80, 2))}, SpaceError, r"position: got \(2, 3, 80, 2\)"),
        ({"position": np.zeros((2, 0, 16, 2))}, SpaceError, "position"),
        ({"confidence": np.ones((2, 2))}, SpaceError, "confidence"),
        ({"heading": np.zeros(2)}, SpaceError, "heading"),
        ({"position": np.full((2, 3, 16, 2), np.nan)}, DataError, "position: got NaN"),
        ({"truth": np.full((2, 16, 2), np.nan)}, DataError, "truth: got NaN"),
        ({"speed": np.array([0.0, np.inf])}, DataError, "speed"),
        ({"valid": np.zeros((2, 16))}, DataError, "no valid state"),
    ],
)
def test_wrong_forecasts_are_refused(changes, error, match):
    with pytest.raises(error, match=match):
        MotionForecasts(**parts(**changes))
