"""The simulator against the definition written out, and against what no gains can change."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from retrodict.physics.errors import ConfigError, DataError
from retrodict.physics.radio import simulation
from retrodict.physics.radio.arrays import array, cell_for, observe
from retrodict.physics.radio.screens import BandLimited, smooth_random
from retrodict.physics.radio.simulation import predict, simulate
from retrodict.physics.radio.sky import Catalogue, point_sky
from retrodict.physics.radio.visibilities import LIGHT, Grid

SIZE, PADDED, SLOTS = 32, 64, 3


@pytest.fixture(scope="module")
def vis():
    return observe(array("vla-a", antennas=7, rng=np.random.default_rng(0)), declination=0.7, slots=SLOTS)


@pytest.fixture(scope="module")
def grid(vis):
    return Grid(SIZE, cell_for(vis))


@pytest.fixture(scope="module")
def gains():
    basis = np.cos(np.pi * np.outer((np.arange(SLOTS) + 0.5) / SLOTS, np.arange(2)))
    return BandLimited(smooth_random(np.random.default_rng(1), 7, 5, basis, 0.2), basis, PADDED)


@pytest.fixture(scope="module")
def sky():
    return np.random.default_rng(2).random((SIZE, SIZE))


def written_out(vis, cell, x, y, flux, gains, row, *, w=False):
    """The convention of the MeasurementSet, one source after the other."""
    slot = vis.slots[0][row]
    seen = gains.values(slot, x, y)
    u, v, depth = vis.uvw[row] * vis.frequency[row] / LIGHT
    total = 0j
    for n in range(x.size):
        east, north = -x[n] * cell, y[n] * cell
        turns = u * east + v * north + (depth * (np.sqrt(1 - east**2 - north**2) - 1) if w else 0)
        one, two = seen[vis.antenna1[row], n], seen[vis.antenna2[row], n]
        total += flux[n] * one * np.conj(two) * np.exp(2j * np.pi * turns)
    return total


@pytest.mark.parametrize("filled", [1.0, 0.5, 0.01])
def test_images_follow_the_definition(vis, grid, gains, sky, filled):
    image = np.where(np.random.default_rng(3).random(sky.shape) < filled, sky, 0)
    i, j = np.nonzero(image)
    x, y = grid.coordinates[i].astype(float), grid.coordinates[j].astype(float)
    got = predict(vis, grid, image, gains)
    for row in (0, 25, vis.rows - 1):
        want = written_out(vis, grid.cell, x, y, image[i, j], gains, row)
        assert abs(got[row] - want) < 1e-11 * image.sum()


@pytest.mark.parametrize("w", [False, True])
def test_catalogues_follow_the_definition(vis, gains, w):
    cell = 4e-3
    stars = point_sky(np.random.default_rng(4), extent=14.0, on_grid=False)
    got = predict(vis, Grid(SIZE, cell), stars, gains, w=w)
    for row in (1, 30, vis.rows - 2):
        want = written_out(vis, cell, stars.x, stars.y, stars.flux, gains, row, w=w)
        assert abs(got[row] - want) < 1e-9
    assert w == (np.abs(got - predict(vis, Grid(SIZE, cell), stars, gains)).max() > 0.1)


def test_images_with_w_are_their_catalogues(vis, gains, sky):
    grid, image = Grid(SIZE, 1e-3), np.where(sky > 0.8, sky, 0)
    i, j = np.nonzero(image)
    stars = Catalogue(grid.coordinates[i], grid.coordinates[j], image[i, j])
    np.testing.assert_allclose(predict(vis, grid, image, gains, w=True), predict(vis, grid, stars, gains, w=True))
    with pytest.raises(DataError, match="horizon"):
        predict(vis, Grid(SIZE, 0.2), stars, gains, w=True)


def test_both_sums_agree(vis, grid, gains, sky, monkeypatch):
    dense = predict(vis, grid, sky, gains)
    monkeypatch.setattr(simulation, "DENSE", 2.0)
    monkeypatch.setattr(simulation, "BLOCK", 5000)
    assert np.abs(predict(vis, grid, sky, gains) - dense).max() < 1e-13 * np.abs(dense).max()


def test_a_source_moved_east_turns_as_the_measurement_set_says(vis, grid):
    step = grid.cell * vis.frequency / LIGHT
    east = predict(vis, grid, Catalogue([-1.0], [0.0], [1.0]))
    north = predict(vis, grid, Catalogue([0.0], [1.0], [1.0]))
    np.testing.assert_allclose(east, np.exp(2j * np.pi * vis.uvw[:, 0] * step), atol=1e-12)
    np.testing.assert_allclose(north, np.exp(2j * np.pi * vis.uvw[:, 1] * step), atol=1e-12)


def test_closures_of_one_source_see_no_gains(vis, grid, gains):
    data = predict(vis, grid, Catalogue([4.3], [-7.9], [2.0]), gains)
    first = vis.slots[0] == 1
    v = {(a, b): d for a, b, d in zip(vis.antenna1[first], vis.antenna2[first], data[first], strict=True)}
    triangles = [v[a, b] * v[b, c] * np.conj(v[a, c]) for a, b, c in combinations(range(7), 3)]
    assert np.abs(np.angle(triangles)).max() < 1e-10
    quads = [abs(v[a, b] * v[c, d]) / abs(v[a, c] * v[b, d]) for a, b, c, d in combinations(range(7), 4)]
    assert np.abs(np.array(quads) - 1).max() < 1e-10
    assert np.abs(np.abs(data) - 2).max() > 0.1


def test_ambiguities_leave_the_visibilities(vis, grid, gains, sky):
    data = predict(vis, grid, sky, gains)
    scale = np.abs(data).max()

    def changed(u, image=sky):
        return np.abs(predict(vis, grid, image, BandLimited(u, gains.basis, PADDED)) - data).max() / scale

    u = gains.coefficients
    assert changed(np.exp(0.7j) * u) < 1e-13
    factor = 1.3 - 0.4j
    assert changed(factor * u, sky / abs(factor) ** 2) < 1e-13
    wide = np.pad(u, ((0, 0), (0, 0), (2, 2), (2, 2)))
    assert changed(np.roll(wide, (1, -2), axis=(2, 3))) < 1e-12
    assert changed(factor * u) > 0.1


def test_a_ramp_for_every_antenna_shifts_the_transform(vis, grid, sky):
    ramps = np.array([[0, 0], [1, 0], [0, 2], [-2, 1], [2, 2], [-1, -1], [1, -2]])
    u = np.zeros((7, 1, 5, 5), complex)
    u[np.arange(7), 0, ramps[:, 0] + 2, ramps[:, 1] + 2] = 1
    data = predict(vis, grid, sky, BandLimited(u, np.ones((SLOTS, 1)), PADDED))
    shifted = vis.uv(grid) - 2 * np.pi / PADDED * (ramps[vis.antenna1] - ramps[vis.antenna2])
    n = grid.coordinates
    along, across = np.exp(-1j * np.outer(shifted[:, 0], n)), np.exp(-1j * np.outer(shifted[:, 1], n))
    want = np.einsum("rx,xy,ry->r", along, sky, across)
    assert np.abs(data - want).max() < 1e-9 * np.abs(want).max()


def test_swapped_pairs_are_conjugates(vis, grid, gains, sky):
    swapped = replace(vis, uvw=-vis.uvw, antenna1=vis.antenna2, antenna2=vis.antenna1)
    data = predict(vis, grid, sky, gains)
    assert np.abs(predict(swapped, grid, sky, gains) - data.conj()).max() < 1e-14 * np.abs(data).max()


def test_feeds_have_gains_of_their_own_and_order_does_not_matter(grid, sky):
    vis = observe(
        array("vla-a", antennas=4, rng=np.random.default_rng(0)), declination=0.7, slots=2, feeds=("XX", "YY")
    )
    gain = np.arange(1.0, 9.0)
    gains = BandLimited(gain[:, None, None, None].astype(complex), np.ones((2, 1)), PADDED)
    bare, seen = predict(vis, grid, sky), predict(vis, grid, sky, gains)
    one, two = vis.receptors
    np.testing.assert_allclose(seen, bare * gain[one] * gain[two], rtol=1e-12)
    order = np.random.default_rng(5).permutation(vis.rows)
    np.testing.assert_allclose(predict(vis.select(order), grid, sky, gains), seen[order], rtol=1e-11)


def test_noise_has_its_level_and_weights_tell_it(vis, grid, sky):
    many = vis.select(np.tile(np.arange(vis.rows), 40))
    noisy, clean = simulate(many, grid, sky, rng=np.random.default_rng(6), snr_db=30.0)
    noise = noisy.data - clean
    chi2 = np.sum(noisy.weight * np.abs(noise) ** 2)
    assert chi2 == pytest.approx(2 * many.rows, abs=5 * np.sqrt(4 * many.rows))
    assert np.sum(noisy.weight * noise.real**2) == pytest.approx(many.rows, abs=5 * np.sqrt(2 * many.rows))
    ratio = 20 * np.log10(np.linalg.norm(clean) / np.linalg.norm(noise))
    assert ratio == pytest.approx(30.0, abs=0.3)
    told, _ = simulate(vis, grid, sky, rng=np.random.default_rng(6), noise_std=0.5)
    np.testing.assert_array_equal(told.weight, 4.0)


def test_without_noise_the_data_are_clean(vis, grid, sky):
    filled, clean = simulate(vis, grid, sky)
    np.testing.assert_array_equal(filled.data, clean)
    np.testing.assert_array_equal(filled.weight, vis.weight)
    assert not predict(vis, grid, np.zeros(grid.shape)).any()


def test_wrong_input_is_told(vis, grid, gains, sky):
    with pytest.raises(DataError, match="sky"):
        predict(vis, grid, sky[:-2, :-2])
    with pytest.raises(DataError, match="gains of 7 receptors"):
        predict(vis, grid, sky, BandLimited(gains.coefficients[:5], gains.basis, PADDED))
    with pytest.raises(ConfigError, match="one of the two"):
        simulate(vis, grid, sky, rng=np.random.default_rng(0), snr_db=20.0, noise_std=1.0)
    with pytest.raises(ConfigError, match="rng"):
        simulate(vis, grid, sky, snr_db=20.0)
    with pytest.raises(ConfigError, match="noise_std"):
        simulate(vis, grid, sky, rng=np.random.default_rng(0), noise_std=0.0)
