"""Means over time: data, weights and baselines by hand, and tables that other formats can hold."""

import numpy as np
import pytest

from retrodict.physics.errors import DataError
from retrodict.physics.radio.averaging import averaged
from retrodict.physics.radio.measurement_set import read_measurement_set, write_measurement_set
from retrodict.physics.radio.visibilities import Visibilities


def table():
    """One baseline, four times of two scans, two channels, the second flagged at the first time."""
    time, channel = (a.ravel() for a in np.meshgrid([0.0, 10.0, 100.0, 110.0], [0, 1], indexing="ij"))
    xyz = np.array([[0.0, 0, 0], [300.0, 100, 0]])
    return Visibilities(
        np.stack([300 - time, 100 + 2 * time, 0 * time], axis=1),
        np.where(channel, 1.5e9, 1.4e9),
        5e9 + time,
        np.zeros(8, int),
        np.ones(8, int),
        np.arange(8) + 1j * time,
        np.arange(1.0, 9.0),
        np.arange(8) == 1,
        scan=(time > 50).astype(int),
        antennas=("a", "b"),
        positions=xyz,
    )


def test_means_are_weighted_and_weights_add_up():
    mean = averaged(table())
    assert mean.rows == 4
    first = (mean.scan == 0) & (mean.frequency == 1.4e9)
    # rows 0 and 2 with weights 1 and 3
    assert mean.data[first] == pytest.approx((0 + 3 * (2 + 10j)) / 4)
    assert mean.weight[first] == 4
    # row 3 alone: row 1 is flagged
    other = (mean.scan == 0) & (mean.frequency == 1.5e9)
    assert (mean.data[other], mean.weight[other]) == (3 + 10j, 4)
    assert mean.time[first] == pytest.approx(5e9 + np.mean([0, 10, 10]))


def test_one_baseline_at_one_time_has_one_uvw_whatever_is_flagged(tmp_path):
    mean = averaged(table())
    # weights 1 at the first time, 3 and 4 at the second
    np.testing.assert_allclose(mean.uvw[mean.scan == 0], 2 * [[300 - 70 / 8, 100 + 140 / 8, 0]])
    write_measurement_set(tmp_path / "a.ms", mean)
    back = read_measurement_set(tmp_path / "a.ms")
    np.testing.assert_allclose(np.sort(back.data.real), np.sort(mean.data.real), rtol=1e-6)


def test_intervals_end_with_their_scan_and_lengths_are_positive():
    assert averaged(table(), 5.0).slots[1].size == 4
    assert averaged(table(), 1e3).slots[1].size == 2
    with pytest.raises(DataError, match="positive time"):
        averaged(table(), 0.0)


def test_integrations_at_the_edge_of_an_interval_are_evenly_shared():
    time = 5.1e9 + 9.9 * np.arange(90)
    ones = np.ones(90)
    vis = Visibilities(np.ones((90, 3)), 1e9 * ones, time, 0 * ones, ones, ones, ones, 0 * ones)
    assert (averaged(vis, 29.7).weight == 3).all()
