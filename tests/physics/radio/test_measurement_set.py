"""MeasurementSets written and read back, edge cases of real sets, and wrong input."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from casacore.tables import table

from retrodict.physics.errors import ConfigError, DataError
from retrodict.physics.radio.arrays import array, observe
from retrodict.physics.radio.measurement_set import (
    MeasurementSetWriter,
    chunks,
    describe,
    read_measurement_set,
    write_column,
    write_measurement_set,
)

COLUMNS = ("uvw", "frequency", "time", "antenna1", "antenna2", "data", "weight", "flag", "feed", "scan")


def observation(feeds=("I",), frequency=(1.4e9, 1.41e9, 1.42e9), slots=4, antennas=5, seed=0):
    rng = np.random.default_rng(seed)
    vis = observe(array("vla-a"), declination=0.7, slots=slots, frequency=list(frequency), feeds=feeds)
    vis = vis.select(vis.antenna2 < antennas)
    # the order of a set: row, channel, feed
    vis = vis.select(np.lexsort((vis.feed, vis.frequency, vis.antenna2, vis.antenna1, vis.time)))
    data = rng.standard_normal(vis.rows) + 1j * rng.standard_normal(vis.rows)
    return replace(
        vis,
        data=data.astype(np.complex64).astype(complex),
        weight=rng.integers(1, 9, vis.rows).astype(float),
        flag=rng.random(vis.rows) < 0.1,
        scan=np.ones(vis.rows, np.int64),
    )


@pytest.mark.parametrize(
    ("feeds", "how"), [(("I",), "stokes-i"), (("XX", "YY"), "parallel"), (("RR", "LL"), "parallel")]
)
def test_what_is_written_is_read(tmp_path, feeds, how):
    vis = observation(feeds)
    write_measurement_set(tmp_path / "one.ms", vis)
    back = read_measurement_set(tmp_path / "one.ms", feeds=how)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(back, name), getattr(vis, name), err_msg=name)
    assert (back.feeds, back.antennas, back.telescope) == (vis.feeds, vis.antennas, vis.telescope)
    np.testing.assert_allclose(back.positions, vis.positions)
    np.testing.assert_allclose(back.centre, vis.centre)


def test_stokes_i_is_the_mean_of_two_hands_with_its_own_weight(tmp_path):
    vis = observation(("XX", "YY"))
    write_measurement_set(tmp_path / "one.ms", vis)
    back = read_measurement_set(tmp_path / "one.ms")
    x, y = (vis.select(vis.feed == k) for k in (0, 1))
    np.testing.assert_allclose(back.data, (x.data + y.data) / 2, rtol=1e-6)
    np.testing.assert_allclose(back.weight, 4 * x.weight * y.weight / (x.weight + y.weight))
    np.testing.assert_array_equal(back.flag, x.flag | y.flag)


def test_chunks_keep_slots_whole_and_add_up(tmp_path):
    vis = observation(slots=6)
    write_measurement_set(tmp_path / "one.ms", vis)
    parts = list(chunks(tmp_path / "one.ms", 25))
    assert len(parts) == 3
    assert [set(p.time) & set(q.time) for p, q in pairwise(parts)] == [set()] * 2
    whole = read_measurement_set(tmp_path / "one.ms")
    np.testing.assert_array_equal(np.concatenate([p.data for p in parts]), whole.data)


def test_rows_out_of_order_are_read_in_order_of_time(tmp_path):
    vis = observation(slots=3)
    with MeasurementSetWriter(tmp_path / "one.ms", vis) as writer:
        for slot in (2, 0, 1):
            writer.append(vis.select(vis.slots[0] == slot))
    back = read_measurement_set(tmp_path / "one.ms")
    assert (np.diff(back.time) >= 0).all()
    np.testing.assert_array_equal(back.data, vis.data)


def test_columns_are_made_and_filled_where_selected(tmp_path):
    vis = observation(("XX", "YY"))
    path = tmp_path / "one.ms"
    write_measurement_set(path, vis)
    values = np.arange(vis.rows // 6 * 2) + 1j
    assert write_column(path, "CORRECTED_DATA", values, feeds="parallel", channels=slice(1, 2)) == vis.rows // 6
    back = read_measurement_set(path, column="CORRECTED_DATA", feeds="parallel")
    middle = back.frequency == 1.41e9
    np.testing.assert_array_equal(back.data[middle], values)
    np.testing.assert_array_equal(back.data[~middle], vis.data[~middle])
    with pytest.raises(ConfigError, match="never written over"):
        write_column(path, "DATA", values)


def test_a_description_tells_what_is_there(tmp_path):
    vis = observation(("XX", "YY"))
    write_measurement_set(tmp_path / "one.ms", vis)
    told = describe(tmp_path / "one.ms")
    assert told.rows == vis.rows // 6
    assert told.polarisations == (("XX", "YY"),)
    np.testing.assert_array_equal(told.windows[0], [1.4e9, 1.41e9, 1.42e9])


def test_wrong_sets_and_choices_are_named(tmp_path):
    path = tmp_path / "one.ms"
    with pytest.raises(DataError, match="nothing there"):
        read_measurement_set(path)
    (tmp_path / "text.ms").write_text("no table")
    with pytest.raises(DataError, match=r"text\.ms"):
        read_measurement_set(tmp_path / "text.ms")
    write_measurement_set(path, observation())
    with pytest.raises(ConfigError, match=r"expected a new name, or overwrite=True"):
        write_measurement_set(path, observation())
    with pytest.raises(DataError, match=r"MODEL_DATA: got no such column, expected one of DATA"):
        read_measurement_set(path, column="MODEL_DATA")
    with pytest.raises(ConfigError, match="window"):
        read_measurement_set(path, window=3)


def test_damaged_columns_are_named(tmp_path):
    def broken(column, change):
        path = tmp_path / f"{column}.ms"
        write_measurement_set(path, replace(observation(), flag=np.zeros(observation().rows, bool)))
        with table(str(path), readonly=False, ack=False) as main:
            value = main.getcol(column)
            main.putcol(column, change(value))
            return path, main

    def with_nan(value):
        value[3, 1, 0] = np.nan
        return value

    path, _ = broken("DATA", with_nan)
    with pytest.raises(DataError, match=r"DATA\.ms .*Visibilities\.data: got"):
        read_measurement_set(path)
    path = tmp_path / "weights.ms"
    write_measurement_set(path, replace(observation(), weight=np.zeros(observation().rows)))
    with pytest.raises(DataError, match="no weight"):
        read_measurement_set(path)
    path = tmp_path / "frequency.ms"
    write_measurement_set(path, observation())
    with table(f"{path}::SPECTRAL_WINDOW", readonly=False, ack=False) as window:
        window.putcell("CHAN_FREQ", 0, -window.getcell("CHAN_FREQ", 0))
    with pytest.raises(DataError, match="CHAN_FREQ: got"):
        read_measurement_set(path)


def test_everything_flagged_is_told_when_rows_are_asked_for(tmp_path):
    vis = observation()
    write_measurement_set(tmp_path / "one.ms", replace(vis, flag=np.ones(vis.rows, bool)))
    with pytest.raises(DataError, match=f"{vis.rows} flagged"):
        read_measurement_set(tmp_path / "one.ms").usable()


def test_a_failed_write_leaves_nothing(tmp_path):
    vis = observation()

    def interrupted():
        with MeasurementSetWriter(tmp_path / "one.ms", vis) as writer:
            writer.append(vis)
            raise RuntimeError("power")

    with pytest.raises(RuntimeError, match="power"):
        interrupted()
    assert list(tmp_path.iterdir()) == []
