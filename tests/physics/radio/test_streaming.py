"""Observations read in chunks: the same rows, the same sums, whatever the chunks."""

import numpy as np
import pytest

from retrodict.physics.errors import ConfigError, DataError
from retrodict.physics.radio.measurement_set import ranges, read_measurement_set, write_measurement_set
from retrodict.physics.radio.streaming import Streamed, slices, stream_measurement_set
from retrodict.physics.radio.visibilities import Grid, Visibilities

GRID = Grid(16, 2e-3)


def table(rows=60, antennas=4, seed=0):
    """Unsorted rows over ten slots, some flagged, some autocorrelations, some without weight."""
    rng = np.random.default_rng(seed)
    slot, first, second = np.unravel_index(rng.permutation(10 * antennas**2)[:rows], (10, antennas, antennas))
    return Visibilities(
        np.append(rng.uniform(-40, 40, (rows, 2)), np.zeros((rows, 1)), axis=1) * (first != second)[:, None],
        np.full(rows, 1e9),
        5e9 + 10.0 * slot,
        first,
        second,
        rng.standard_normal(rows) + 1j * rng.standard_normal(rows),
        np.where(rng.random(rows) < 0.1, 0.0, rng.random(rows)),
        rng.random(rows) < 0.2,
        antennas=tuple("abcd"),
    )


def moments(part):
    vis = part.vis
    return float(vis.weight @ np.abs(vis.data) ** 2), part.beam(), part.imager(part.kernels.unit()).adjoint(vis.data)


@pytest.mark.parametrize(("rows", "workers"), [(1, 1), (13, 1), (13, 3), (1000, 2)])
def test_sums_over_chunks_are_those_over_the_usable_rows(rows, workers):
    vis = table()
    used, _ = vis.usable()
    whole = Streamed([lambda: used], GRID).total(moments)
    split = Streamed(slices(vis, rows), GRID, workers=workers)
    assert split.rows == used.rows
    for one, other in zip(whole, split.total(moments), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-12 * np.abs(one).max())


def test_slices_keep_slots_whole_and_lose_nothing():
    vis = table()
    parts = [read() for read in slices(vis, 15)]
    assert sum(p.rows for p in parts) == vis.rows
    times = [set(p.time.tolist()) for p in parts]
    assert sum(len(t) for t in times) == len(set.union(*times))
    assert len(parts) > 2


def test_slots_left_out_do_not_take_part_but_the_basis_spans_them():
    vis = table()
    late = Streamed(slices(vis, 20), GRID, basis="dct", terms=2, keep=lambda time: time > 5e9 + 45)
    used = vis.usable()[0]
    assert late.rows == np.count_nonzero(used.time > 5e9 + 45)
    assert (late.kernels.basis.start, late.kernels.basis.stop) == (used.time.min(), used.time.max())


def test_a_measurement_set_in_chunks_is_the_measurement_set(tmp_path):
    path = tmp_path / "some.ms"
    vis = table()
    write_measurement_set(path, vis)
    reads = stream_measurement_set(path, 17)
    assert len(reads) == len(ranges(path, 17)) > 2
    whole = Streamed([lambda: read_measurement_set(path)], GRID).total(moments)
    for one, other in zip(whole, Streamed(reads, GRID, workers=2).total(moments), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-12 * np.abs(one).max())


def test_wrong_streams_are_refused(tmp_path):
    vis = table()
    with pytest.raises(DataError, match="no row that can be used"):
        Streamed([lambda: vis], GRID, keep=lambda time: time < 0)
    other = Visibilities(np.ones((1, 3)), [1e9], [0.0], [0], [1], [1j], [1.0], [False], antennas=("a", "b"))
    with pytest.raises(DataError, match=r"2 antennas .* and 4 antennas"):
        Streamed([lambda: vis, lambda: other], GRID)
    path = tmp_path / "some.ms"
    write_measurement_set(path, vis)
    with pytest.raises(ConfigError, match="chunks size: got 0"):
        stream_measurement_set(path, 0)
