import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrodict.physics.errors import ConfigError, DataError
from retrodict.physics.motion.waymo_forecasts import HORIZONS, MotionForecasts
from retrodict.physics.motion.waymo_metrics import average_precision, mean_average_precision, score_forecasts
from retrodict.physics.motion.waymo_shapes import TrajectoryShape as Shape

# Five objects. At 8 s the thresholds are lateral 3 m, longitudinal 6 m, times the scale s of the initial speed.
TOY = [
    # A, s = 1, heading 0: (5, 0) hit; (0, 2.5) hit, but a second one; (0, 3.5) miss
    (Shape.STRAIGHT, 0.0, 20.0, [(5, 0, 0.9), (0, 2.5, 0.6), (0, 3.5, 0.1)]),
    # B, s = 0.5 (1.5 m, 3 m), heading +y, so dx is lateral: (2, 0) miss; (1, -2.9) hit; (0, 3.1) miss
    (Shape.STRAIGHT, math.pi / 2, 0.0, [(2, 0, 0.8), (1, -2.9, 0.5), (0, 3.1, 0.2)]),
    # C, 6.2 m/s is half way from 1.4 to 11, s = 0.75 (2.25 m, 4.5 m): all miss
    (Shape.LEFT, 0.0, 6.2, [(4.6, 0, 0.7), (0, -2.3, 0.3), (9, 9, 0.2)]),
    # D, s = 1: hit; second hit; miss
    (Shape.RIGHT_U_TURN, 0.0, 20.0, [(0, 0, 0.4), (1, 1, 0.3), (50, 0, 0.35)]),
    # E, s = 1: miss; hit; second hit
    (Shape.RIGHT, 0.0, 20.0, [(7, 0, 0.95), (0, 0, 0.45), (0, 0, 0.05)]),
]


def test_toy_scene_by_hand(scene):
    scores = score_forecasts(scene(TOY), 8.0)
    # one of five objects (C) has no hit
    assert scores.miss_rate == pytest.approx(1 / 5)
    # smallest errors: A 2.5, B 2 (the miss!), C 2.3, D 0, E 0
    assert scores.min_fde == pytest.approx((2.5 + 2 + 2.3) / 5)
    assert scores.min_ade == pytest.approx((2.5 + 2 + 2.3) / 5)
    # most confident mode: A 5, B 2, C 4.6, D 0, E 7
    assert scores.fde == pytest.approx((5 + 2 + 4.6 + 0 + 7) / 5)
    # STRAIGHT (A, B), by confidence: .9 T, .8 F, .6 F (duplicate of A), .5 T, .2 F, .1 F
    #   precision at the two hits 1/1 and 2/4, each worth 1/2 of the recall: AP = 1/2 + 1/4 = 3/4
    #   soft, without the .6: 1/1 and 2/3: AP = 1/2 + 1/3 = 5/6
    # LEFT (C): no hit, AP = 0
    # RIGHT with right U-turns (D, E): .95 F, .45 T, .4 T, .35 F, .3 F (duplicate), .05 F (duplicate)
    #   precision 1/2 then 2/3; interpolated, the first is raised to 2/3: AP = 2/3, soft as well
    assert scores.mean_ap == pytest.approx((3 / 4 + 0 + 2 / 3) / 3)
    assert scores.soft_mean_ap == pytest.approx((5 / 6 + 0 + 2 / 3) / 3)
    # own bucket for U-turns: D 1, E .95 F, .45 T gives 1/2
    apart = mean_average_precision(scene(TOY), HORIZONS[8.0], merge_right_u_turn=False)
    assert apart == pytest.approx((3 / 4 + 0 + 1 + 1 / 2) / 4)


def test_toy_scene_at_shorter_horizons(scene):
    # 3 s: 1 m, 2 m. A 5 > 2, 2.5 > 1; B 0.5 m, 1 m: none; C none; D (0, 0) and (1, 1) on the limit; E (0, 0)
    assert score_forecasts(scene(TOY), 3.0).miss_rate == pytest.approx(3 / 5)
    # 5 s: 1.8 m, 3.6 m. A: 5 > 3.6, 2.5 > 1.8; B 0.9 m, 1.8 m: none; C 1.35 m, 2.7 m: none
    assert score_forecasts(scene(TOY), 5.0).miss_rate == pytest.approx(3 / 5)
    assert scene(TOY).hits(HORIZONS[3.0])[3].tolist() == [True, True, False]


def test_errors_average_over_valid_states_up_to_the_horizon():
    truth = np.zeros((2, 16, 2))
    forecast = np.zeros((2, 2, 16, 2))
    forecast[0, 0, :, 0] = np.arange(1, 17)  # errors 1, 2, ..., 16 m
    forecast[0, 1, :, 1] = 4.0  # constant error 4 m
    forecast[1] = 5.0
    valid = np.ones((2, 16), dtype=bool)
    valid[0, [1, 3]] = False  # leaves errors 1, 3, 5, 6 at 3 s (samples 0-5)
    valid[1, 5:] = False  # the second object ends before 3 s
    truth[~valid] = np.nan
    made = MotionForecasts(
        forecast, [[1.0, 0.5], [1.0, 0.5]], truth, np.full((2, 16), math.pi / 2), valid, [20.0] * 2, [1, 1]
    )
    three = score_forecasts(made, 3.0)
    # first object: mean (1 + 3 + 5 + 6)/4 = 3.75 of mode 0 beats 4; the second has 5 sqrt 2 in samples 0-4
    assert three.min_ade == pytest.approx((3.75 + 5 * math.sqrt(2)) / 2)
    assert three.min_fde == 4.0  # of mode 1, and of the first object alone
    assert three.miss_rate == 1.0
    # another mode has the smallest final error: minADE and minFDE are minimised apart
    five = score_forecasts(made, 5.0)
    assert five.min_ade == pytest.approx((4.0 + 5 * math.sqrt(2)) / 2)  # mode 0: (1+3+5+6+7+8+9+10)/8 = 6.1
    assert five.min_fde == 4.0
    # heading +y: 4 m are longitudinal, a hit at 8 s (6 m); the second object would miss (5 > 3 m), but has ended
    assert score_forecasts(made, 8.0).miss_rate == 0.0


def test_unclassified_objects_count_for_errors_but_not_for_precision(scene):
    rows = [*TOY, (Shape.UNKNOWN, 0.0, 20.0, [(100, 0, 0.99), (100, 0, 0.98), (100, 0, 0.97)])]
    scores = score_forecasts(scene(rows), 8.0)
    assert scores.miss_rate == pytest.approx(2 / 6)
    assert scores.mean_ap == score_forecasts(scene(TOY), 8.0).mean_ap
    alone = score_forecasts(scene(rows[-1:]), 8.0)
    assert math.isnan(alone.mean_ap)
    assert alone.miss_rate == 1.0


def test_only_the_first_six_modes_count(scene):
    far = [(50, 0, 0.1 + 0.01 * k) for k in range(6)]
    made = scene([(Shape.STRAIGHT, 0.0, 20.0, [*far, (0, 0, 0.99)])])
    assert made.position.shape[1] == 6
    scores = score_forecasts(made, 8.0)
    assert (scores.miss_rate, scores.min_fde, scores.mean_ap) == (1.0, 50.0, 0.0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=25),
    st.integers(0, 5),
)
def test_average_precision_equals_brute_force(samples, missing):
    confidence, hits = [c for c, _ in samples], [h for _, h in samples]
    total = max(sum(hits) + missing, 1)
    ranked = [hit for _, hit in sorted(samples, key=lambda pair: (-pair[0], pair[1]))]
    # for the k-th unit of recall the best precision of any cut that finds at least k
    area = 0.0
    for k in range(1, sum(hits) + 1):
        area += max(sum(ranked[:n]) / n for n in range(1, len(ranked) + 1) if sum(ranked[:n]) >= k)
    assert average_precision(confidence, hits, total) == pytest.approx(area / total, abs=1e-12)


def test_average_precision_limits():
    assert average_precision([3, 2, 1], [True, True, True], 3) == 1.0
    assert average_precision([3, 2, 1], [False, False, False], 3) == 0.0
    assert average_precision([], [], 2) == 0.0
    assert average_precision([1, 1], [True, False], 1) == 0.5  # the false one is ranked first
    for total in (0, 1):
        with pytest.raises(DataError, match="total"):
            average_precision([2, 1], [True, True], total)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    angle=st.floats(-math.pi, math.pi),
    shift=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
    order=st.permutations(range(5)),
)
def test_scores_ignore_the_frame_and_the_order_of_modes_and_objects(seed, angle, shift, order):
    rng = np.random.default_rng(seed)
    count, order = 12, list(order)
    truth = np.cumsum(rng.normal(3, 1, size=(count, 16, 2)), axis=1)
    forecast = truth[:, None] + rng.normal(size=(count, 5, 16, 2)) * np.linspace(0.3, 4, 16)[:, None]
    heading, confidence = rng.uniform(-3, 3, (count, 16)), rng.permutation(count * 5).reshape(count, 5)
    valid, speed, shape = rng.random((count, 16)) < 0.9, rng.uniform(0, 15, count), rng.integers(-1, 8, count)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    base = MotionForecasts(forecast, confidence, truth, heading, valid, speed, shape)
    swap = rng.permutation(count)
    moved = MotionForecasts(
        (forecast @ turn.T + shift)[swap][:, order],
        np.exp(0.1 * confidence)[swap][:, order],  # only the ranks of the confidences matter
        (truth @ turn.T + shift)[swap],
        (heading + angle + 2 * np.pi)[swap],
        valid[swap],
        speed[swap],
        shape[swap],
    )
    for seconds in HORIZONS:
        one, other = score_forecasts(base, seconds), score_forecasts(moved, seconds)
        for name, value in vars(one).items():
            assert getattr(other, name) == pytest.approx(value, abs=1e-9, nan_ok=True), name
        assert one.soft_mean_ap >= one.mean_ap or math.isnan(one.mean_ap)
        assert one.min_ade <= one.ade
        assert one.min_fde <= one.fde


def test_wrong_horizon_is_refused(scene):
    with pytest.raises(ConfigError, match=r"seconds: got 4.0, expected one of \[3.0, 5.0, 8.0\]"):
        score_forecasts(scene(TOY), 4.0)
