import numpy as np
import pytest

from retrodict.physics.motion.tracks.checks import Limits, check
from retrodict.physics.motion.tracks.damage import Damage
from retrodict.physics.motion.tracks.samples import Bodies, SampleList


def run(x, times=None, speed=None, limits=None):
    rows = SampleList("line")
    for k, value in enumerate(x):
        values = {"x": float(value), "y": 0.0} | ({"speed": float(speed[k])} if speed is not None else {})
        rows.append(0, 0.1 * k if times is None else float(times[k]), k, **values)
    damage = Damage("a", "report")
    kept = check(rows.finish(["x", "y", "speed"]), Bodies(["7"], ["car"]), damage, limits or Limits())
    return kept.record.tolist(), damage.reports


@pytest.mark.parametrize("at", [0, 3, 9])
def test_one_outlier_is_the_one_to_go(at):
    x = np.arange(10.0)
    x[at] += 500
    kept, reports = run(x)
    assert kept == [k for k in range(10) if k != at]
    assert reports[0]["place"] == f"line {at}, track 7"


def test_two_outliers_apart():
    x = np.arange(12.0)
    x[[2, 8]] -= 500
    assert run(x)[0] == [0, 1, 3, 4, 5, 6, 7, 9, 10, 11]


def test_a_burst_of_outliers_goes_alone():
    x = np.arange(40.0)
    x[10:14] += 700
    assert run(x)[0] == [k for k in range(40) if not 10 <= k < 14]


def test_a_gap_is_not_judged_by_the_speeds_at_its_ends():
    x, times = [0.0, 1.0, 201.0, 202.0], [0.0, 0.1, 8.1, 8.2]
    assert run(x, times, [10.0] * 4)[1] == []


def test_a_lone_jump_costs_the_track():
    x = np.arange(10.0) + 500 * (np.arange(10) > 4)
    kept, reports = run(x)
    assert kept == []
    assert "left out as a whole" in reports[0]["got"]


def test_steps_must_fit_the_recorded_speed():
    x = np.arange(10.0)
    assert run(x, speed=[10.0] * 10)[1] == []
    assert run(x, speed=[10.0] * 4 + [60.0] + [10.0] * 5)[0] == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    x[5] += 3.3
    assert run(x)[1] == []
    assert run(x, speed=[10.0] * 10)[0] == [0, 1, 2, 3, 4, 6, 7, 8, 9]


def test_noise_as_real_files_have_it_passes():
    # The largest misfit of a step and its speeds in the recordings tried was 0.58 m in 0.1 s.
    rng = np.random.default_rng(0)
    x = 1.2 * np.arange(500) + rng.uniform(-0.3, 0.3, 500)
    assert run(x, speed=[12.0] * 500)[1] == []


@pytest.mark.parametrize(("times", "gone"), [([0, 9, 1, 2, 3], [1]), ([0, 1, 1, 2, 3], [1]), ([3, 0, 1, 2, 4], [0])])
def test_the_fewest_are_blamed_for_a_wrong_order(times, gone):
    kept, reports = run(np.zeros(5), times)
    assert len(reports) == len(gone)
    assert len(kept) == 5 - len(gone)


def test_an_unordered_format_is_sorted():
    kept, reports = run([2.0, 0.0, 1.0], [0.2, 0.0, 0.1], limits=Limits(ordered=False))
    assert (kept, reports) == ([1, 2, 0], [])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e9])
def test_wild_values(value):
    assert run([0.0, value, 0.2])[0] == [0, 2]
    assert run([0.0, 0.1, 0.2], [0.0, 0.1, value if not np.isfinite(value) else 1e12])[0] == [0, 1]
